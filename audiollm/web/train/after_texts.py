"""Every sentence about what came of a training: its figures, its mistakes, a comparison, the room
that it needs; zh and en."""

from audiollm.labels import Language

AFTERWARDS: dict[str, dict[Language, str]] = {
    "judged_confusion": {
        "en": "Meant (rows) and answered (columns), recordings",
        "zh": "实际情感（行）与判断（列），段数",
    },
    "judged_reliability": {"en": "Are its probabilities true?", "zh": "它的概率可信吗？"},
    "judged_perfect": {"en": "as it should be", "zh": "理想情况"},
    "judged_model": {"en": "this model", "zh": "本模型"},
    "judged_claim": {"en": "probability of its answer", "zh": "它给出的概率"},
    "judged_right": {"en": "share right", "zh": "实际正确率"},
    "judged_clips": {"en": "clips", "zh": "段数"},
    "judged_means": {
        "en": "Below the dotted line it is more certain than right.",
        "zh": "位于虚线下方表示它的把握高于实际正确率。",
    },
    "report_get": {"en": "Download the whole report", "zh": "下载完整报告"},
    "wrong_title": {"en": "Listen to what it gets wrong", "zh": "听听它判断错的录音"},
    "wrong_many": {
        "en": "{wrong} of {all} recordings of the test speakers; the most confident mistakes first."
        " Choose one to hear it.",
        "zh": "测试说话人的 {all} 段录音中错了 {wrong} 段，按它的把握从高到低排列。点选即可播放。",
    },
    "wrong_first": {"en": "The first {n} are listed.", "zh": "此处列出前 {n} 段。"},
    "wrong_none": {
        "en": "It answered all {all} recordings of the test speakers right.",
        "zh": "测试说话人的 {all} 段录音全部判断正确。",
    },
    "wrong_list": {"en": "Wrong answers", "zh": "错误的判断"},
    "wrong_line": {
        "en": "{label} taken for {answer} ({share}), speaker {speaker}",
        "zh": "“{label}”判断为“{answer}”（{share}），说话人 {speaker}",
    },
    "wrong_silent": {"en": "nothing", "zh": "无"},
    "wrong_told": {
        "en": "Labelled {label}, to which it gave {own}; it said {answer} with {share}. {file}",
        "zh": "标注为{label}，它给出 {own}；它判断为{answer}，概率 {share}。{file}",
    },
    "wrong_sound": {"en": "A wrong answer", "zh": "判断错误的录音"},
    "wrong_send": {"en": "Is the label wrong? Send it to Label", "zh": "标注有误？送去标注"},
    "wrong_sent": {
        "en": "It is in the queue of the Label page.",
        "zh": "已加入“标注”页面的队列。",
    },
    "wrong_known": {
        "en": "It was in the queue of the Label page already.",
        "zh": "它已经在“标注”页面的队列中。",
    },
    "step_versus": {"en": "comparing it with the model in use", "zh": "与正在使用的模型比较"},
    "versus_title": {
        "en": "Against {name}, on the same recordings",
        "zh": "与 {name} 在相同录音上比较",
    },
    "versus_better": {
        "en": "It is better: UA {by} [{low}, {high}].",
        "zh": "新模型更好：UA {by} [{low}, {high}]。",
    },
    "versus_worse": {
        "en": "It is worse: UA {by} [{low}, {high}].",
        "zh": "新模型更差：UA {by} [{low}, {high}]。",
    },
    "versus_level": {
        "en": "The difference may be chance: UA {by} [{low}, {high}].",
        "zh": "差异可能出于偶然：UA {by} [{low}, {high}]。",
    },
    "versus_note": {"en": "Note: {note}", "zh": "注意：{note}"},
    "versus_nothing": {"en": "They could not be compared.", "zh": "未能比较。"},
    "versus_held_out": {
        "en": "{clips} recordings of speakers from whom neither has learned ({speakers}).",
        "zh": "两个模型都没有学过的 {speakers} 位说话人，{clips} 段录音。",
    },
    "versus_heard": {
        "en": "{clips} recordings of speakers from whom {name} has learned and the new model has "
        "not ({speakers}): {name} is at an advantage here.",
        "zh": "{name} 学过而新模型没有学过的 {speakers} 位说话人，{clips} 段录音："
        "{name} 在此占优势。",
    },
    "promote_worse_same": {
        "en": "On the same {clips} recordings {name} has UA {new} and the model that answers now "
        "{old}, a difference of [{low}, {high}]: it is worse.",
        "zh": "在相同的 {clips} 段录音上，{name} 的 UA 为 {new}，正在使用的模型为 {old}，"
        "差异区间 [{low}, {high}]：它更差。",
    },
    "promote_chance": {"en": "That may be chance.", "zh": "这可能出于偶然。"},
    "promote_unfair": {
        "en": "But the model that answers now has learned from these speakers.",
        "zh": "但正在使用的模型学过这些说话人。",
    },
    "promote_again": {
        "en": "Press “Let it answer anyway” if you want it all the same.",
        "zh": "如仍要使用，请按“仍然使用”。",
    },
    "estimate_room": {
        "en": "The model that answers sits on this GPU: it moves to the processor by itself before "
        "the training starts, and comes back afterwards.",
        "zh": "正在使用的模型也在这块 GPU 上：训练开始前它会自动移到处理器，结束后再移回。",
    },
    "away_slow": {
        "en": "A training uses the GPU: until it ends, answers come from the processor and take "
        "longer.",
        "zh": "GPU 正用于训练：在训练结束之前由处理器回答，速度较慢。",
    },
    "away_first": {
        "en": "A training uses the GPU, so this answer comes from the processor and takes longer.",
        "zh": "GPU 正用于训练，本次由处理器回答，需要更长时间。",
    },
    "away_busy": {
        "en": "A training uses the GPU, and the model is too large for the processor: it answers "
        "again, by itself, when the training has ended.",
        "zh": "GPU 正用于训练，而模型太大，无法由处理器运行：训练结束后会自动恢复回答。",
    },
    "wrong_gone": {
        "en": "This evaluation is no longer there: look at the list of trainings again.",
        "zh": "这次测试的结果已不存在：请重新查看训练任务列表。",
    },
    "wrong_no_file": {
        "en": "The sound of this clip is no file on this computer, so it cannot be labelled.",
        "zh": "这段录音在本机上不是单独的文件，无法送去标注。",
    },
}
