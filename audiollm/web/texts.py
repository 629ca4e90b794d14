"""Every sentence of the page in Chinese and English: the only copy."""

from audiollm.analysis.wording import UNITS_ZH
from audiollm.labels import Language
from audiollm.web.analyse.voice_texts import VOICE
from audiollm.web.auth.texts import DOOR
from audiollm.web.label.improve_texts import IMPROVING
from audiollm.web.label.texts import LABELLING
from audiollm.web.label.worth_texts import WORTH
from audiollm.web.train.after_texts import AFTERWARDS
from audiollm.web.train.fine_texts import FINE
from audiollm.web.train.recordings_texts import DATA
from audiollm.web.train.texts import TRAINING
from audiollm.web.train.view_texts import WATCHING

TEXTS: dict[str, dict[Language, str]] = {
    "heading": {
        "en": "What emotion does this voice express?",
        "zh": "这段声音表达了什么情感？",
    },
    "intro": {
        "en": "Record a sentence or choose a sound file. The answer comes by itself.",
        "zh": "录一句话，或选择一个音频文件，分析会自动开始。",
    },
    "tab_analyse": {"en": "Analyse", "zh": "分析"},
    "language": {"en": "Language", "zh": "语言"},
    "audio": {"en": "Your voice", "zh": "你的声音"},
    "analyse": {"en": "Analyse this clip", "zh": "分析这段声音"},
    "again": {"en": "Record again", "zh": "重新录音"},
    "examples": {"en": "Or try one of these", "zh": "或试试这些录音"},
    "too_large": {
        "en": "That file has {size} MB and the limit is {most} MB: cut it into shorter pieces.",
        "zh": "该文件有 {size} MB，上限为 {most} MB：请剪成更短的片段。",
    },
    "insecure": {
        "en": "This address is not HTTPS, so the browser gives no microphone: upload a file, or "
        "open the page over HTTPS or on the computer that runs it.",
        "zh": "此地址不是 HTTPS，浏览器不会开放麦克风：请上传文件，或通过 HTTPS、"
        "或在运行本页面的电脑上打开。",
    },
    "waiting_title": {"en": "The answer will stand here", "zh": "分析结果会显示在这里"},
    "waiting": {
        "en": "How likely each emotion is, what the model hears, and what was measured.",
        "zh": "每种情感的可能性、模型听到了什么，以及测得的声学线索。",
    },
    "listening": {"en": "Listening…", "zh": "正在聆听……"},
    "long": {
        "en": "A long recording: {share} done, about {left} left.",
        "zh": "录音较长：已完成 {share}，大约还需 {left}。",
    },
    "long_begun": {"en": "A long recording: it is being measured.", "zh": "录音较长：正在测量。"},
    "acted_right": {"en": "The actor meant: {name}.", "zh": "演员想表达的是：{name}。"},
    "acted_wrong": {
        "en": "The actor meant: {name}. The model is wrong here.",
        "zh": "演员想表达的是：{name}。模型在这里判断错了。",
    },
    "reading": {"en": "A large file is being read.", "zh": "文件较大，正在读取。"},
    "seconds": {"en": "{n} s", "zh": "{n} 秒"},
    "minutes": {"en": "{n} min", "zh": "{n} 分钟"},
    "stop": {"en": "Stop", "zh": "停止"},
    "stopped": {
        "en": "Stopped. The recording is still here: analyse it again, or choose another.",
        "zh": "已停止。录音仍在，可以重新分析，或换一段录音。",
    },
    "course": {"en": "Over time", "zh": "随时间的变化"},
    "course_hint": {
        "en": "Click where you want to listen.",
        "zh": "点击图中任意位置即可从那里开始播放。",
    },
    "course_steps": {
        "en": "Click where you want to listen. Each step stands for the {length} s around it, "
        "heard for themselves: a piece is less certain than the whole.",
        "zh": "点击图中任意位置即可从那里开始播放。每一格由其前后共 {length} 秒的录音单独分析得出："
        "片段不如整段录音可靠。",
    },
    "silence": {"en": "nobody speaks", "zh": "无人说话"},
    "course_stopped": {
        "en": "Stopped: the rest was not heard.",
        "zh": "已停止：其余部分没有分析。",
    },
    "row_emotions": {"en": "Emotions", "zh": "情感"},
    "row_wave": {"en": "Waveform; the grey line marks speech", "zh": "波形；灰线处有人说话"},
    "row_spectrum": {"en": "Spectrogram and pitch, Hz", "zh": "频谱与音高（赫兹）"},
    "take_copy": {"en": "Copy the text", "zh": "复制文字"},
    "take_json": {"en": "Save as JSON", "zh": "保存为 JSON"},
    "take_csv": {"en": "Save as CSV", "zh": "保存为 CSV"},
    "take_png": {"en": "Save the picture", "zh": "保存图片"},
    "compare_title": {"en": "Compare", "zh": "比较"},
    "rival": {"en": "Hold this answer against", "zh": "与什么比较"},
    "rival_clip": {"en": "another recording", "zh": "另一段录音"},
    "rival_probe": {
        "en": "a linear probe on the encoder's features, without the language model",
        "zh": "编码器特征上的线性分类器（不经语言模型）",
    },
    "rival_model": {"en": "the model {name}", "zh": "模型 {name}"},
    "no_rival": {
        "en": "That cannot be compared with any more: choose again.",
        "zh": "该选项已不可用，请重新选择。",
    },
    "no_second": {
        "en": "Record or choose the second recording first.",
        "zh": "请先录制或选择第二段录音。",
    },
    "first_clip": {"en": "First recording", "zh": "第一段录音"},
    "second_clip": {"en": "Second recording", "zh": "第二段录音"},
    "probe_name": {
        "en": "linear probe on the encoder's features",
        "zh": "编码器特征上的线性分类器",
    },
    "compare": {"en": "Compare", "zh": "开始比较"},
    "models_agree": {"en": "They agree", "zh": "两者一致"},
    "models_differ": {"en": "They disagree", "zh": "两者不一致"},
    "clips_agree": {"en": "Both sound alike", "zh": "两段听起来是同一种情感"},
    "clips_differ": {"en": "They sound different", "zh": "两段听起来不同"},
    "send": {
        "en": "Keep this disagreement for labelling",
        "zh": "保留这段有分歧的录音以供标注",
    },
    "ask_title": {"en": "Ask about this clip", "zh": "就这段录音提问"},
    "question": {"en": "Your question", "zh": "你的问题"},
    "question_example": {
        "en": "For example: does the speaker sound tired?",
        "zh": "例如：说话人听起来累吗？",
    },
    "ask": {"en": "Ask", "zh": "提问"},
    "cannot_ask": {
        "en": "This small model names emotions and explains them; it cannot answer questions. "
        "Larger models can.",
        "zh": "这个小模型只会判断并解释情感，不能回答问题；更大的模型可以。",
    },
    "thinking": {"en": "Thinking…", "zh": "正在思考……"},
    "unchecked": {
        "en": "In the model's own words: nothing has checked them.",
        "zh": "以上是模型自己的话，未经核对。",
    },
    "keep_title": {"en": "Keep this clip for labelling", "zh": "保留这段录音以供标注"},
    "keep_says": {
        "en": "Kept on the computer that runs this page, until it is removed there: the sound as "
        "the model heard it, the model's answer, and the time. Ask the person who speaks first.",
        "zh": "将保存在运行本页面的电脑上，直到在那里被删除：模型听到的声音、模型的回答和时间。"
        "请先征得说话人的同意。",
    },
    "keep": {"en": "Keep it", "zh": "保留"},
    "forget": {"en": "Remove it again", "zh": "撤销并删除"},
    "is_queued": {
        "en": "The clip is kept: it waits in the Label tab.",
        "zh": "已保留，在“标注”页面等待标注。",
    },
    "is_kept": {"en": "The clip is kept for labelling.", "zh": "已保留，等待标注。"},
    "is_labelled": {
        "en": "Somebody has labelled the clip already, so it stays.",
        "zh": "这段录音已有人标注，因此保留。",
    },
    "keep_bug": {
        "en": "The program failed to do that. That is a fault of the program; its log holds the "
        "details.",
        "zh": "程序出错，操作没有完成，详情见运行日志。",
    },
    "is_forgotten": {"en": "The clip is removed.", "zh": "已删除。"},
    "not_kept": {
        "en": "There is nothing to keep here.",
        "zh": "这里没有可以保留的内容。",
    },
    "card": {"en": "Model card", "zh": "模型说明（英文）"},
    "loading": {"en": "The model is being loaded.", "zh": "模型正在加载。"},
    "loading_step": {
        "en": "The model is being loaded: {step}, about {left} left.",
        "zh": "模型正在加载：{step}，大约还需 {left}。",
    },
    "loading_late": {
        "en": "The model is being loaded: {step}. It takes longer than usual, as the first start "
        "after an installation does.",
        "zh": "模型正在加载：{step}。用时比平常长，安装后第一次启动就是这样。",
    },
    "loading_unknown": {
        "en": "The model is being loaded: {step}. It may have to be fetched from its hub first.",
        "zh": "模型正在加载：{step}。可能需要先从模型库下载。",
    },
    "step_program": {"en": "starting the programs that it needs", "zh": "启动所需程序"},
    "step_llm": {"en": "reading its language model", "zh": "读取语言模型"},
    "step_encoder": {"en": "reading its encoder", "zh": "读取编码器"},
    "step_trial": {"en": "trying it", "zh": "试运行"},
    "no_clip": {
        "en": "There is no recording yet: record a sentence or choose a sound file.",
        "zh": "还没有录音：请先录一句话，或选择一个音频文件。",
    },
    "error_title": {"en": "No answer for this clip", "zh": "这段声音没有分析结果"},
    "error_audio": {
        "en": "{sentence}",
        "zh": "无法读取这段录音，请重新录制，或换一个音频文件。详细信息（英文）：{sentence}",
    },
    "error_model": {
        "en": "{sentence}",
        "zh": "模型无法使用，因此不能分析。详细信息（英文）：{sentence}",
    },
    "error_known": {"en": "{sentence}", "zh": "分析没有完成。详细信息（英文）：{sentence}"},
    "error_bug": {
        "en": "The program failed on this clip. That is a fault of the program, not of the "
        "recording; its log holds the details. Try another clip.",
        "zh": "程序在处理这段声音时出错。这是程序的问题，不是录音的问题，"
        "详情见运行日志。请换一段声音再试。",
    },
    "error_load": {
        "en": "The model could not be loaded because of a fault in the program; its log holds the "
        "details.",
        "zh": "程序出错，模型未能加载，详情见运行日志。",
    },
    "sure": {"en": "The voice sounds", "zh": "这段声音听起来"},
    "unsure": {"en": "Not sure. The closest two are", "zh": "不确定，最接近的两种是"},
    "probabilities": {"en": "Probability of each emotion", "zh": "每种情感的概率"},
    "order": {"en": "The same order for every clip", "zh": "各情感按固定顺序排列"},
    "analysis": {"en": "What the model hears", "zh": "模型听到了什么"},
    "cues": {"en": "Measured in this clip", "zh": "本段录音的测量值"},
    "cue": {"en": "Cue", "zh": "线索"},
    "value": {"en": "Measured", "zh": "测量值"},
    "meaning": {"en": "Level", "zh": "程度"},
    "usual": {"en": "Usual", "zh": "常见范围"},
    "range": {"en": "{low} to {high}", "zh": "{low} 至 {high}"},
    "not_measured": {"en": "too little voice", "zh": "声音太少，无法测量"},
    **{unit: {"en": unit, "zh": zh} for unit, zh in UNITS_ZH.items()},
    "too_loud": {
        "en": "The recording was too loud for its microphone: {share} of its samples are cut off. "
        "Step back or turn it down; what was measured may be off.",
        "zh": "录音过载：{share} 的采样点被削平。请离麦克风远一些或调低音量；测量值可能不准。",
    },
    "model": {"en": "The model", "zh": "模型"},
    "answered_by": {
        "en": "{name}, {size}, running on {device}.",
        "zh": "{name}，{size}，运行于 {device}。",
    },
    "picker": {"en": "Model that answers", "zh": "使用的模型"},
    "entry": {
        "en": "{name} ({size}; {wa} right on speakers it never heard)",
        "zh": "{name}（{size}；在从未听过的说话人上正确率 {wa}）",
    },
    "entry_unmeasured": {
        "en": "{name} ({size}; not measured on new speakers)",
        "zh": "{name}（{size}；尚未在新的说话人上测试）",
    },
    "not_switched": {
        "en": "The model that was chosen could not be loaded, so the one before answers: "
        "{sentence}",
        "zh": "选择的模型无法加载，仍由原来的模型回答。详细信息（英文）：{sentence}",
    },
    "parameters_k": {"en": "{value} thousand parameters", "zh": "{value} 万参数"},
    "parameters_m": {"en": "{value} million parameters", "zh": "{value} 万参数"},
    "parameters_b": {"en": "{value} billion parameters", "zh": "{value} 亿参数"},
    "measured": {
        "en": "Tested on {n} clips by {speakers} speakers it had never heard ({data}): {wa} of the "
        "clips right (95% interval {low} to {high}), {ua} averaged over the emotions.",
        "zh": "用 {speakers} 位它从未听过的说话人的 {n} 段录音测试（{data}）：答对 {wa}"
        "（95% 区间 {low} 至 {high}），各情感平均 {ua}。",
    },
    "measured_seen": {
        "en": "Tested on {n} clips ({data}), some perhaps by speakers it was trained on: {wa} of "
        "the clips right (95% interval {low} to {high}), {ua} averaged over the emotions. Expect "
        "less from new speakers.",
        "zh": "用 {n} 段录音测试（{data}），其中可能有训练时听过的说话人：答对 {wa}"
        "（95% 区间 {low} 至 {high}），各情感平均 {ua}。对新的说话人，结果会更差。",
    },
    "unmeasured": {
        "en": "How often this model is right on speakers it never heard has not been measured yet, "
        "so take its answers lightly.",
        "zh": "这个模型在从未听过的说话人身上的准确率尚未测量，请谨慎看待它的回答。",
    },
    "honest": {
        "en": "It reads expression in the voice, not inner feeling.",
        "zh": "它读取的是声音中的表达，而不是内心的感受。",
    },
    "kept": {
        "en": "Nothing is kept unless you ask for it: a recording goes only to the computer that "
        "runs this page, and is deleted there within an hour.",
        "zh": "除非你要求，否则不保存任何内容：录音只会发送到运行本页面的电脑，并在一小时内删除。",
    },
    "accuracy": {
        "en": "It was trained on acted speech in {languages}. Of 10 clips by new speakers in such "
        "recordings it is right about {known}; of 10 clips in a new language and from a new "
        "microphone, about {new}.",
        "zh": "它用{languages}的表演语音训练。对同类录音中的新说话人，10 段中约有 {known} 段"
        "判断正确；对新的语言和麦克风，10 段中约有 {new} 段判断正确。",
    },
    "accuracy_sure": {
        "en": " There, when it gives 80% or more, it is right about {sure} times of 10.",
        "zh": "在后一种情况下，当它给出 80% 以上的概率时，10 次中约有 {sure} 次正确。",
    },
    "terms": {
        "en": "The weights are for research and demonstration ({terms}).",
        "zh": "模型权重仅供研究与演示（{terms}）。",
    },
    "wrong": {
        "en": "On speakers it never heard it is wrong in about {n} of 10 clips.",
        "zh": "对从未听过的说话人，10 段录音中大约有 {n} 段会判断错误。",
    },
    "seldom_wrong": {
        "en": "On speakers it never heard it is wrong in fewer than 1 of 10 clips.",
        "zh": "对从未听过的说话人，10 段录音中判断错误的不到 1 段。",
    },
    **VOICE,
    **DOOR,
    **TRAINING,
    **FINE,
    **DATA,
    **WATCHING,
    **AFTERWARDS,
    **LABELLING,
    **IMPROVING,
    **WORTH,
}


def text(key: str, language: Language, **values: object) -> str:
    """One sentence of the page, its blanks filled in."""
    return TEXTS[key][language].format(**values)
