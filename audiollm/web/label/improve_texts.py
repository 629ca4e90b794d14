"""Every sentence about a model that learns from labels; texts.py joins them to the rest."""

from audiollm.labels import Language

IMPROVING: dict[str, dict[Language, str]] = {
    "improve_title": {"en": "Improve the model with these labels", "zh": "用这些标注改进模型"},
    "improve_data": {"en": "Data that the model learned from", "zh": "模型训练时所用的数据"},
    "improve_data_info": {
        "en": "Labels are put into a copy of them. Nobody whom the model is tested on is taught.",
        "zh": "标注会并入这份数据的副本；用于测试模型的说话人不会参与训练。",
    },
    "improve_model": {"en": "Model that is taught", "zh": "要改进的模型"},
    "improve_model_info": {
        "en": "It stays as it is; a new one is made.",
        "zh": "原模型保持不变，会生成一个新模型。",
    },
    "improve_current": {"en": "the one that answers: {name}", "zh": "当前使用的模型：{name}"},
    "improve_weight": {"en": "Weight of a label", "zh": "标注的权重"},
    "improve_weight_info": {
        "en": "Of a clip on which people agree; any other clip weighs 1.",
        "zh": "标注者意见一致的录音的权重；其他录音为 1。",
    },
    "improve_epochs": {"en": "Passes", "zh": "训练轮数"},
    "improve_epochs_info": {
        "en": "How often it hears all clips; more takes longer and forgets more.",
        "zh": "所有录音学习几遍；越多越慢，也越容易遗忘。",
    },
    "improve_device": {"en": "Device", "zh": "设备"},
    "improve_device_info": {"en": "Where it learns.", "zh": "在哪里训练。"},
    "improve_start": {"en": "Teach it", "zh": "开始改进"},
    "improve_started": {
        "en": "{name} waits for its turn: the Train page shows how far it is, and afterwards what "
        "the labels have changed.",
        "zh": "{name} 已加入队列：“训练”页面会显示进度，完成后给出标注带来的变化。",
    },
    "step_relabel": {"en": "labels into the data", "zh": "把标注并入数据"},
    "step_compare": {"en": "before and after", "zh": "前后比较"},
    "improve_no_labels": {
        "en": "Nobody has labelled a clip with a class yet: label some first.",
        "zh": "还没有任何录音被标注为某个情感：请先标注一些。",
    },
    "improve_no_data": {
        "en": "{folder} is no prepared folder: choose the data that the model learned from.",
        "zh": "{folder} 不是已准备好的数据：请选择模型训练时所用的数据。",
    },
    "improve_no_model": {
        "en": "No model answers yet: wait until it is loaded.",
        "zh": "模型尚未就绪：请等它加载完成。",
    },
    "improve_gone": {
        "en": "This model is not there any more: choose another.",
        "zh": "这个模型已不存在：请另选一个。",
    },
    "improve_original": {
        "en": "{name} was made by the original project and cannot be taught further: train a model "
        "on the Train page first.",
        "zh": "{name} 由原项目生成，无法继续训练：请先在“训练”页面训练一个模型。",
    },
    "improve_other_encoder": {
        "en": "{name} listens with another encoder than {folder} was prepared with: choose other "
        "data, or prepare them again with its encoder.",
        "zh": "{name} 使用的编码器与准备 {folder} 时的不同：请选择其他数据，"
        "或用它的编码器重新准备。",
    },
    "improve_taught": {
        "en": "Taught: {corrected} corrected, {confirmed} confirmed and {new} new clips.",
        "zh": "用于训练：更正 {corrected} 段，确认 {confirmed} 段，新增 {new} 段。",
    },
    "improve_left": {
        "en": "{n} labelled clips were left out.",
        "zh": "{n} 段已标注的录音未被使用。",
    },
    "improve_corrected": {"en": "Clips that people corrected", "zh": "人工更正的录音"},
    "improve_corrected_why": {
        "en": "The new model has learned these: they show that the labels arrived, not how good "
        "it is.",
        "zh": "新模型学过这些录音：这只说明标注已生效，不代表模型的水平。",
    },
    "improve_held_out": {"en": "Speakers whom neither has heard", "zh": "两个模型都没听过的说话人"},
    "improve_nobody": {"en": "There are none.", "zh": "没有。"},
    "improve_clips": {
        "en": "{clips} clips, {speakers} known speakers",
        "zh": "{clips} 段录音，{speakers} 位已知说话人",
    },
    "improve_before": {"en": "before", "zh": "之前"},
    "improve_after": {"en": "after", "zh": "之后"},
    "improve_change": {"en": "change [95 %]", "zh": "变化 [95 %]"},
    "improve_ua": {"en": "mean recall of the classes (UA)", "zh": "各类平均召回率 (UA)"},
    "improve_wa": {"en": "share right (WA)", "zh": "正确率 (WA)"},
    "improve_flips": {
        "en": "{right} answers became right, {wrong} became wrong, {other} changed otherwise.",
        "zh": "{right} 个判断变对，{wrong} 个变错，另有 {other} 个改变。",
    },
    "improve_flip": {
        "en": "{file}: labelled {label}; {before} before, {after} now",
        "zh": "{file}：标注为“{label}”，之前判断为“{before}”，现在判断为“{after}”",
    },
    "improve_note": {"en": "Note: {note}", "zh": "注意（原文）：{note}"},
}
