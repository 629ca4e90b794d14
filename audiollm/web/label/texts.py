"""Every sentence of the Label page in Chinese and English; texts.py joins them to the rest."""

from audiollm.labels import Language

LABELLING: dict[str, dict[Language, str]] = {
    "tab_label": {"en": "Label", "zh": "标注"},
    "label_intro": {
        "en": "Say what you hear in clips that the model got wrong or is unsure about. One key a "
        "label; each is written to the disk before the next clip comes.",
        "zh": "听一听模型判断错误或不确定的录音，标出你听到的情感。一个按键一个标注，"
        "写入磁盘之后才显示下一段。",
    },
    "label_person": {"en": "Your name", "zh": "你的名字"},
    "label_person_info": {
        "en": "Your labels are kept under it; this browser remembers it.",
        "zh": "标注会记在这个名字下；浏览器会记住它。",
    },
    "label_work": {"en": "What you do", "zh": "做什么"},
    "work_first": {"en": "label new clips", "zh": "标注新录音"},
    "work_second": {"en": "second labels, blind", "zh": "盲法二次标注"},
    "work_decide": {"en": "decide disagreements", "zh": "裁定分歧"},
    "label_reasons": {"en": "Only clips with these reasons", "zh": "只看这些原因的录音"},
    "label_blind": {"en": "Hide what the model says", "zh": "隐藏模型的判断"},
    "label_blind_info": {
        "en": "Whoever sees an answer tends to agree with it.",
        "zh": "看到答案的人往往会跟着它走。",
    },
    "label_choices": {"en": "What is shown", "zh": "显示设置"},
    "reason_wrong": {"en": "the model was wrong", "zh": "模型判断错误"},
    "reason_disagreement": {"en": "two answers differ", "zh": "两个判断不一致"},
    "reason_tie": {"en": "near tie", "zh": "难分高下"},
    "reason_suspect": {"en": "likely label error", "zh": "标签可能有误"},
    "reason_sent": {"en": "sent from Analyse", "zh": "来自“分析”页面"},
    "reason_plain": {"en": "not labelled yet", "zh": "尚未标注"},
    "reason_random": {"en": "random", "zh": "随机抽取"},
    "why_wrong": {
        "en": "The model said {predicted} ({share}); the clip came labelled {original}.",
        "zh": "模型判断为“{predicted}”（{share}），而录音原来的标签是“{original}”。",
    },
    "why_disagreement": {
        "en": "The model said {predicted}, {other} said {second}.",
        "zh": "模型判断为“{predicted}”，{other}判断为“{second}”。",
    },
    "why_probe": {
        "en": "a linear probe on its encoder's features",
        "zh": "编码器特征上的线性分类器",
    },
    "why_tie": {
        "en": "For the model {predicted} and {second} are nearly as likely.",
        "zh": "模型认为“{predicted}”与“{second}”几乎同样可能。",
    },
    "why_suspect": {
        "en": "Its label in the training data, {original}, is doubted: a probe that never heard "
        "this speaker gives it {share}.",
        "zh": "训练数据中的标签“{original}”存疑：从未听过这位说话人的探针只给它 {share}。",
    },
    "why_sent": {"en": "Somebody kept it on the Analyse page.", "zh": "有人在“分析”页面保留了它。"},
    "why_plain": {"en": "Nobody has labelled it yet.", "zh": "还没有人标注过。"},
    "why_random": {
        "en": "Drawn at random, whatever the model says: such clips tell how good it is.",
        "zh": "随机抽取，与模型的判断无关：用来估计模型的准确率。",
    },
    "why_hidden": {
        "en": "What the model says is hidden while you listen.",
        "zh": "你听的时候，模型的判断是隐藏的。",
    },
    "why_second": {
        "en": "Somebody has labelled it; you do not see how.",
        "zh": "已有人标注过，你看不到结果。",
    },
    "why_decide": {"en": "People disagree: {votes}.", "zh": "标注者意见不一：{votes}。"},
    "vote": {"en": "{person} said {name}", "zh": "{person}认为是“{name}”"},
    "label_answer": {"en": "What {model} says", "zh": "{model} 的判断"},
    "label_play": {"en": "Play", "zh": "播放"},
    "label_loop": {"en": "Loop", "zh": "循环"},
    "label_slower": {"en": "Slower", "zh": "减速"},
    "label_faster": {"en": "Faster", "zh": "加速"},
    "label_what": {"en": "What do you hear?", "zh": "你听到了什么情感？"},
    "label_unclear": {"en": "unclear", "zh": "听不清"},
    "label_not_speech": {"en": "not speech", "zh": "不是人声"},
    "label_several": {"en": "several people", "zh": "多人说话"},
    "label_second": {"en": "Second emotion", "zh": "第二种情感"},
    "label_second_now": {"en": "now the second emotion", "zh": "请选第二种情感"},
    "label_intensity": {"en": "Intensity", "zh": "强度"},
    "intensity_1": {"en": "weak", "zh": "弱"},
    "intensity_2": {"en": "medium", "zh": "中"},
    "intensity_3": {"en": "strong", "zh": "强"},
    "label_note": {"en": "Note", "zh": "备注"},
    "label_skip": {"en": "Skip", "zh": "跳过"},
    "label_undo": {"en": "Undo", "zh": "撤销"},
    "label_back": {"en": "Back", "zh": "上一段"},
    "label_forward": {"en": "Forward", "zh": "下一段"},
    "label_done": {
        "en": "{done} labelled by you, {left} left",
        "zh": "你已标注 {done} 段，还剩 {left} 段",
    },
    "label_yours": {"en": "You said {name}.", "zh": "你的标注：“{name}”。"},
    "label_keys": {
        "en": "Keys: the sign on each button. Shift and a class: second emotion. Space: play. "
        "I: intensity. M: note, Escape leaves it.",
        "zh": "按键：见各按钮上的字符。Shift 加类别键：第二种情感。空格：播放。"
        "I：强度。M：备注，Esc 离开。",
    },
    "label_saving": {
        "en": "Not written yet: the program does not answer. Your label is kept in this browser "
        "and is sent again.",
        "zh": "尚未写入：程序没有响应。标注已保留在浏览器中，会再次发送。",
    },
    "label_who": {"en": "First type your name above.", "zh": "请先在上方填写你的名字。"},
    "label_waiting": {
        "en": "Clips waiting for a label: {left}.",
        "zh": "有 {left} 段录音等待标注。",
    },
    "label_empty": {
        "en": "There is nothing to label here now. Add clips below, or do something else above.",
        "zh": "现在没有可标注的录音。请在下方添加录音，或在上方换一种工作。",
    },
    "label_refused": {"en": "{sentence}", "zh": "没有完成。详细信息（英文）：{sentence}"},
    "label_nothing": {"en": "There is nothing to take back.", "zh": "没有可撤销的标注。"},
    "label_first": {
        "en": "This is the first clip that you labelled.",
        "zh": "这已是你标注的第一段。",
    },
    "label_add": {"en": "Add clips", "zh": "添加录音"},
    "label_source": {"en": "From", "zh": "来源"},
    "from_evaluation": {"en": "mistakes of {name}", "zh": "{name} 的错误"},
    "from_suspects": {"en": "suspected labels: {name}", "zh": "存疑的标签：{name}"},
    "from_kept": {"en": "clips kept on the Analyse page", "zh": "“分析”页面保留的录音"},
    "from_folder": {"en": "a folder on this computer", "zh": "本机上的一个文件夹"},
    "label_folder": {"en": "Folder", "zh": "文件夹"},
    "label_folder_info": {
        "en": "The model listens to every sound in it first.",
        "zh": "模型会先听其中的每一段录音。",
    },
    "label_gather": {"en": "Add", "zh": "添加"},
    "label_stop": {"en": "Stop", "zh": "停止"},
    "label_stopped": {
        "en": "Stopped: nothing of this folder was added.",
        "zh": "已停止：没有添加该文件夹中的录音。",
    },
    "label_gathering": {"en": "{done} of {total} heard", "zh": "已听 {done} 段，共 {total} 段"},
    "label_added": {
        "en": "{new} new clips, {known} known already; {passed} left out because there is nothing "
        "to ask about them, {unusable} because their sound cannot be used.",
        "zh": "新增 {new} 段，已有 {known} 段；{passed} 段无需询问，{unusable} 段的声音无法使用。",
    },
    "label_files": {"en": "Import and export", "zh": "导入与导出"},
    "label_path": {"en": "File or folder on this computer", "zh": "本机上的文件或文件夹"},
    "label_path_info": {
        "en": "CSV, JSON lines, Label Studio's JSON, a folder with one folder a class, or a data "
        "set folder with metadata. A file with a fault is refused whole.",
        "zh": "CSV、JSONL、Label Studio 的 JSON、每类一个子文件夹的文件夹，"
        "或带 metadata 的数据集文件夹。有错误的文件会整个拒绝。",
    },
    "label_upload": {"en": "Or a file from here", "zh": "或上传文件"},
    "label_import": {"en": "Import", "zh": "导入"},
    "label_imported": {
        "en": "{tasks} clips, {new} of them new, and {labels} new labels.",
        "zh": "{tasks} 段录音（新增 {new} 段），{labels} 个新标注。",
    },
    "label_format": {"en": "Format", "zh": "格式"},
    "format_csv": {"en": "CSV", "zh": "CSV"},
    "format_jsonl": {"en": "JSON lines", "zh": "JSONL"},
    "format_folder": {"en": "folder by class (zip)", "zh": "按类别的文件夹（zip）"},
    "format_dataset": {"en": "Hugging Face data set (zip)", "zh": "Hugging Face 数据集（zip）"},
    "format_studio": {"en": "Label Studio JSON", "zh": "Label Studio JSON"},
    "label_export": {"en": "Export", "zh": "导出"},
    "label_file": {"en": "To save", "zh": "可保存的文件"},
    "label_progress": {"en": "How it goes", "zh": "进展"},
    "label_refresh": {"en": "Count again", "zh": "重新统计"},
    "stat_state": {
        "en": "{labelled} of {tasks} clips have a final label, {disputed} wait for a decision.",
        "zh": "{tasks} 段录音中 {labelled} 段已有最终标签，{disputed} 段等待裁定。",
    },
    "stat_pace": {"en": "{person}: {pace} labels a minute", "zh": "{person}：每分钟 {pace} 个标注"},
    "stat_classes": {"en": "Classes so far: {classes}.", "zh": "目前的类别：{classes}。"},
    "stat_right": {
        "en": "On {of} random clips {model} said what people hear in {share} [{low}, {high}].",
        "zh": "在 {of} 段随机录音上，{model} 与人一致的比例为 {share} [{low}, {high}]。",
    },
    "stat_wanted": {
        "en": "{n} more random clips make that certain to about 5 points.",
        "zh": "再标注 {n} 段随机录音，误差可降到约 5 个百分点。",
    },
    "stat_enough": {
        "en": "That is known to about 5 points: more random clips change little.",
        "zh": "误差已约为 5 个百分点：更多随机录音意义不大。",
    },
    "stat_none": {
        "en": "How often the model is right is not known yet: no random clip is labelled.",
        "zh": "还没有标注随机录音，因此不知道模型的准确率。",
    },
    "stat_reason": {"en": "Reason", "zh": "原因"},
    "stat_left": {"en": "Left", "zh": "剩余"},
    "stat_changed": {"en": "Label changed", "zh": "标签被改"},
    "stat_worth": {"en": "Expected among those left", "zh": "剩余中预计"},
    "agree_title": {"en": "Agreement", "zh": "一致性"},
    "agree_none": {
        "en": "Nobody has given second labels yet.",
        "zh": "还没有人做二次标注。",
    },
    "agree_state": {
        "en": "{clips} clips with several labels, {blind} of {labels} labels given blind.",
        "zh": "{clips} 段录音有多个标注；{labels} 个标注中 {blind} 个为盲法标注。",
    },
    "agree_pair": {
        "en": "{first} and {second}: same label on {same} of {clips}; Cohen's kappa {kappa}.",
        "zh": "{first} 与 {second}：{clips} 段中 {same} 段一致；Cohen's kappa {kappa}。",
    },
    "agree_all": {
        "en": "Krippendorff's alpha {alpha}; Fleiss' kappa of {raters} people {fleiss}. 1 is "
        "perfect, 0 is chance.",
        "zh": "Krippendorff's alpha {alpha}；{raters} 人的 Fleiss' kappa {fleiss}。"
        "1 为完全一致，0 为随机水平。",
    },
    "agree_confusion": {
        "en": "{person}, against the decision or what most others say: {right} of {all} the same.",
        "zh": "{person}，与裁定或多数人的标注相比：{all} 段中 {right} 段一致。",
    },
    "agree_mixed": {
        "en": "{n} × {said} for {reference}",
        "zh": "{n} 次把“{reference}”标为“{said}”",
    },
}
