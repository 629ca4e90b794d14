"""Every sentence about what more labels are worth; texts.py joins them to the rest."""

from audiollm.labels import Language

WORTH: dict[str, dict[Language, str]] = {
    "worth_title": {"en": "What more labels are worth", "zh": "再标注是否值得"},
    "worth_measure": {"en": "How many more are worth it?", "zh": "再标多少才值得？"},
    "worth_begins": {
        "en": "The labels and the data are being read.",
        "zh": "正在读取标注和数据。",
    },
    "worth_goes_on": {
        "en": "A quick linear model learns with few and with many of the labels.",
        "zh": "快速线性模型正在用不同数量的标注学习。",
    },
    "worth_few": {
        "en": "What more labels are worth cannot be told from {n} usable ones: it takes {fewest}.",
        "zh": "只有 {n} 个可用标注，无法估计再标注的价值：至少需要 {fewest} 个。",
    },
    "worth_yes": {
        "en": "More labels are worth it: {n} more like these may bring {more} points of mean "
        "recall (UA) on people whom it has not heard; the {labels} so far brought {gain}.",
        "zh": "值得继续标注：再标 {n} 段同类录音，没听过的说话人上的平均召回率 (UA) "
        "预计变化 {more} 个百分点；目前的 {labels} 段带来 {gain}。",
    },
    "worth_unknown": {
        "en": "Whether more labels help cannot be told yet: {n} more like these may bring {more} "
        "points of mean recall (UA) on people whom it has not heard; the {labels} so far brought "
        "{gain}.",
        "zh": "还无法判断继续标注是否有用：再标 {n} 段同类录音，没听过的说话人上的平均召回率 (UA) "
        "预计变化 {more} 个百分点；目前的 {labels} 段带来 {gain}。",
    },
    "worth_no": {
        "en": "More labels of this kind will hardly help: {n} more may bring {more} points of mean "
        "recall (UA) on people whom it has not heard; the {labels} so far brought {gain}.",
        "zh": "继续标注这类录音作用不大：再标 {n} 段，没听过的说话人上的平均召回率 (UA) "
        "预计变化 {more} 个百分点；目前的 {labels} 段带来 {gain}。",
    },
    "worth_how": {
        "en": "Measured with a quick linear model in place of the one that answers, on {clips} "
        "clips of {speakers} speakers in {data}; in brackets 95 % intervals. The end of the queue "
        "may give less than what was labelled first.",
        "zh": "用快速线性模型代替正式模型，在 {data} 的 {speakers} 位说话人、{clips} 段录音上测得；"
        "方括号内为 95% 区间。队列靠后的录音带来的收益可能更小。",
    },
    "worth_strangers": {
        "en": "Nobody knows who speaks there: the same voice may have been learned and judged.",
        "zh": "这些录音的说话人未知：同一声音可能既用于学习又用于评判。",
    },
    "worth_left": {
        "en": "{n} labelled clips take no part: their speakers judge the model, their sound cannot "
        "be measured, or people are level.",
        "zh": "{n} 段已标注录音没有参与：其说话人用于评判模型，声音无法测量，或标注者意见相持。",
    },
    "worth_stale": {
        "en": "Measured with {n} labelled clips; now there are {now}.",
        "zh": "测量时有 {n} 段已标注录音，现在有 {now} 段。",
    },
    "worth_labels": {"en": "labelled clips", "zh": "已标注的录音数"},
    "worth_measured": {"en": "measured", "zh": "实测"},
    "worth_ahead": {"en": "expected", "zh": "预计"},
}
