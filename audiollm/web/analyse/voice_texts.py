"""What the Analyse page says of the visitor's own voice."""

from audiollm.labels import Language

VOICE: dict[str, dict[Language, str]] = {
    "voice": {"en": "Adapt to my voice", "zh": "适应我的声音"},
    "voice_consent": {
        "en": "Your recordings are compared with each other, so that your usual voice is not taken "
        "for a mood. For that, features of them are kept while this is on, not the sound: in the "
        "memory of the computer that runs this page, for this page only. They are forgotten when "
        "you close the page, turn this off or press Forget.",
        "zh": "把你的录音互相比较，以免把你平常的嗓音当成某种情绪。为此，开启期间会保留录音的特征"
        "（不是声音本身），只存放在运行本页面的电脑的内存里，只用于本页面。"
        "关闭页面、关闭此开关或点击“忘记”，即全部清除。",
    },
    "voice_nothing": {
        "en": "Nothing is known of your voice yet. Record or upload three clips, or read a short "
        "text.",
        "zh": "还不熟悉你的声音。请录制或上传三段录音，或朗读一小段文字。",
    },
    "voice_changed": {
        "en": "Another model answers now, so your voice was forgotten. Record or upload three "
        "clips, or read a short text.",
        "zh": "模型已更换，之前对你声音的了解已清除。请录制或上传三段录音，或朗读一小段文字。",
    },
    "voice_few": {
        "en": "Knows {n} s of your voice. Answers use it from three recordings on.",
        "zh": "已了解你的 {n} 秒语音，满三段录音后开始使用。",
    },
    "voice_rests": {
        "en": "Answers rest on {n} s of your voice.",
        "zh": "分析时会参考你的 {n} 秒语音。",
    },
    "voice_corpora": {
        "en": "On languages and microphones it was not trained on, the model was right in {right} "
        "of the clips with {clips} recordings of the speaker to compare with, and in {plain} "
        "without.",
        "zh": "在训练时没有的语言和麦克风上测试：有本人的 {clips} 段录音可比较时答对 {right}，"
        "没有时答对 {plain}。",
    },
    "voice_speakers": {
        "en": "On speakers it had never heard, the model was right in {right} of the clips with "
        "{clips} recordings of the speaker to compare with, and in {plain} without.",
        "zh": "在从未听过的说话人身上测试：有本人的 {clips} 段录音可比较时"
        "答对 {right}，没有时答对 {plain}。",
    },
    "voice_one_emotion": {
        "en": "Your recordings so far nearly all sound {name}. Compared with them, that would pass "
        "for your usual tone, so they are not used yet. Record something in another mood, or read "
        "the short text.",
        "zh": "你目前的录音听起来几乎都是“{name}”。与之比较会把它当成你平时的语气，所以暂不使用。"
        "请录一段其他情绪的话，或朗读那一小段文字。",
    },
    "voice_compared": {
        "en": "Compared with {n} s of your voice.",
        "zh": "已与你的 {n} 秒语音比较。",
    },
    "voice_itself": {
        "en": "Each part was compared with the rest of the recording.",
        "zh": "已将每一部分与录音的其余部分比较。",
    },
    "voice_not_compared": {
        "en": "Not compared with your voice: your recordings so far nearly all sound {name}.",
        "zh": "没有与你的声音比较：你目前的录音听起来几乎都是“{name}”。",
    },
    "voice_other": {
        "en": "This sounds like another voice, so it does not count yet.",
        "zh": "这听起来像是另一个人的声音，暂不计入。",
    },
    "voice_anew": {"en": "Start anew with it", "zh": "改用这个声音"},
    "voice_mine": {"en": "It is me", "zh": "这是我"},
    "voice_out": {"en": "Leave it out", "zh": "不使用这段"},
    "voice_read": {"en": "Read a short text (20 s)", "zh": "朗读一小段文字（20 秒）"},
    "voice_forget": {"en": "Forget", "zh": "忘记"},
    "voice_how": {
        "en": "Record yourself while you read this aloud in your usual voice. The recording is "
        "deleted at once; only its features stay.",
        "zh": "用平常的语气朗读下面的文字并录音。录音会立即删除，只保留特征。",
    },
    "voice_text": {
        "en": "The library opens at nine on weekdays. Take the stairs on the left, pass two long "
        "shelves with maps, and the reading room is at the end. Coats are left at the door. "
        "Newspapers lie on the table by the window, and older volumes are brought up from the "
        "cellar, usually within half an hour. It closes at six.",
        "zh": "图书馆工作日早上九点开门。从左边的楼梯上去，经过两排放地图的书架，"
        "走到尽头就是阅览室。外套请放在门口。当天的报纸摆在窗边的桌子上，较早的书刊要从地下书库调取，一般半小时内送到。"
        "图书馆下午六点关门。",
    },
    "voice_reading": {"en": "Your reading", "zh": "你的朗读"},
    "voice_bug": {
        "en": "The program failed on this recording. That is a fault of the program; its log holds "
        "the details.",
        "zh": "程序在处理这段录音时出错，详情见运行日志。",
    },
}
