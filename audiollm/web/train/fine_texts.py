"""Every sentence about what is proposed on the Train page and how a model learns, in Chinese and
English."""

from audiollm.labels import Language

FINE: dict[str, dict[Language, str]] = {
    "fits_few": {
        "en": "The settings fit about {n} recordings to learn from, which is few: the model is "
        "kept from learning voices by heart. What you change stays yours.",
        "zh": "设置按约 {n} 段训练录音给出。数量较少，因此会防止模型死记声音。你改过的设置会保留。",
    },
    "fits_some": {
        "en": "The settings fit about {n} recordings to learn from: fewer passes, less held back. "
        "What you change stays yours.",
        "zh": "设置按约 {n} 段训练录音给出：轮数更少，约束更小。你改过的设置会保留。",
    },
    "fits_many": {
        "en": "The settings fit about {n} recordings to learn from, which is many: few passes, "
        "hardly anything held back. What you change stays yours.",
        "zh": "设置按约 {n} 段训练录音给出。数量很多，因此轮数少，几乎不加约束。"
        "你改过的设置会保留。",
    },
    "fits_unknown": {
        "en": "Nobody knows yet how many recordings there are: these settings are for few.",
        "zh": "还不知道有多少录音：这些设置适合录音较少的情况。",
    },
    "train_all_learn": {
        "en": "All but the test speakers learn",
        "zh": "除测试说话人外全部参与训练",
    },
    "train_all_learn_info": {
        "en": "Better where speakers are few; but nobody is left to choose the best moment, and no "
        "validation curve is drawn. For recordings that are not prepared yet.",
        "zh": "说话人少时效果更好；但没有人用于验证，因此不会选择最佳时刻，也没有验证曲线。"
        "仅用于尚未准备的录音。",
    },
    "train_fine": {"en": "How it learns, in detail", "zh": "训练细节"},
    "train_pooling": {"en": "What becomes audio tokens", "zh": "语音标记的来源"},
    "train_pooling_info": {
        "en": "utterance: the mean of a clip; frames: its course, where there are many "
        "recordings; auto: frames where the data has them.",
        "zh": "utterance：整段的平均；frames：随时间的变化，适合录音很多时；"
        "auto：数据中有逐帧特征就用 frames。",
    },
    "train_per_clip": {"en": "Questions on a recording", "zh": "每段录音的指令数"},
    "train_per_clip_info": {
        "en": "So many instructions are drawn for each recording in a pass.",
        "zh": "每一轮中为每段录音抽取的指令条数。",
    },
    "train_rate_1": {"en": "Stage 1: learning rate", "zh": "第一阶段：学习率"},
    "train_rate_1_info": {
        "en": "How far each step goes at most. Too high and the loss jumps.",
        "zh": "每一步最多走多远。过大时损失会跳动。",
    },
    "train_rate_2": {"en": "Stage 2: learning rate", "zh": "第二阶段：学习率"},
    "train_rate_2_info": {
        "en": "The same for stage 2. Too high and it forgets what stage 1 heard.",
        "zh": "同上，用于第二阶段。过大时会忘掉第一阶段学到的内容。",
    },
    "train_weight_decay": {"en": "Weight decay", "zh": "权重衰减"},
    "train_weight_decay_info": {
        "en": "Pulls weights towards zero; more for few recordings.",
        "zh": "把权重拉向零；录音少时可取大些。",
    },
    "train_tokens": {"en": "Audio tokens", "zh": "语音标记数"},
    "train_tokens_info": {
        "en": "Of a clip, or of a second where frames become tokens.",
        "zh": "每段录音的个数；使用 frames 时为每秒的个数。",
    },
    "train_hidden": {"en": "Width of the projector", "zh": "投影层宽度"},
    "train_hidden_info": {
        "en": "Units of its hidden layer: wider hears more and overfits sooner.",
        "zh": "隐藏层的单元数：越宽能听到的越多，也越容易过拟合。",
    },
    "train_dropout": {"en": "Dropout of the projector", "zh": "投影层 dropout"},
    "train_dropout_info": {
        "en": "Share of the hidden units left out at each step.",
        "zh": "每一步随机略去的隐藏单元比例。",
    },
    "train_input_dropout": {"en": "Dropout of the encoder", "zh": "编码器特征 dropout"},
    "train_input_dropout_info": {
        "en": "Share of the encoder's features left out: a small encoder knows voices too well.",
        "zh": "随机略去的编码器特征比例：小编码器太容易记住说话人。",
    },
    "train_functionals_dropout": {"en": "Dropout of what is measured", "zh": "声学统计 dropout"},
    "train_functionals_dropout_info": {
        "en": "Share of the measured statistics (pitch, loudness, tempo) left out.",
        "zh": "随机略去的声学统计量（音高、响度、语速）比例。",
    },
    "train_noise": {"en": "Noise", "zh": "噪声"},
    "train_noise_info": {
        "en": "Added to the features while learning, in units of their spread.",
        "zh": "训练时加到特征上的噪声，以特征的离散程度为单位。",
    },
    "train_smoothing": {"en": "Doubt", "zh": "标签平滑"},
    "train_smoothing_info": {
        "en": "Share of the right answer that every emotion gets alike: less certainty, better "
        "probabilities.",
        "zh": "把正确答案的一部分平均分给所有情感：不过分自信，概率更可靠。",
    },
    "train_lora_rank": {"en": "LoRA: rank", "zh": "LoRA 的秩"},
    "train_lora_rank_info": {
        "en": "How much of the language model may change in stage 2.",
        "zh": "第二阶段中语言模型可以改变多少。",
    },
    "train_lora_dropout": {"en": "LoRA: dropout", "zh": "LoRA dropout"},
    "train_lora_dropout_info": {
        "en": "Share of its inputs left out at each step.",
        "zh": "每一步随机略去的输入比例。",
    },
}
