"""Every sentence about how long a training takes, how it goes and what came of it, zh and en."""

from audiollm.labels import Language

WATCHING: dict[str, dict[Language, str]] = {
    "preset_quick": {"en": "Quick try", "zh": "快速试验"},
    "preset_balanced": {"en": "Balanced", "zh": "均衡"},
    "preset_thorough": {"en": "Thorough", "zh": "充分训练"},
    "estimate": {
        "en": "About {left} on {device}, with up to {need} GB of memory.",
        "zh": "在 {device} 上大约需要 {left}，最多占用 {need} GB 内存。",
    },
    "estimate_gpu": {
        "en": "{need} GB of it on the GPU.",
        "zh": "其中 GPU 显存 {need} GB。",
    },
    "estimate_measured": {
        "en": "Estimated from earlier trainings of this size on this machine.",
        "zh": "根据本机以往同规模的训练推算。",
    },
    "estimate_scaled": {
        "en": "Estimated from trainings of another size on this machine, so it may be far off.",
        "zh": "根据本机以往其他规模的训练推算，可能相差较大。",
    },
    "estimate_guessed": {
        "en": "A guess: nothing like it has run on this machine yet.",
        "zh": "这只是猜测：本机还没有运行过类似的训练。",
    },
    "estimate_unknown": {
        "en": "How long it takes is known once the recordings and the language model are here.",
        "zh": "录音和语言模型就绪后才能估计所需时间。",
    },
    "estimate_tight": {
        "en": "It needs about {need} GB of memory on {device}, and {free} GB are free: close other "
        "programs, or choose fewer examples at once or a smaller language model.",
        "zh": "在 {device} 上大约需要 {need} GB 内存，目前空闲 {free} GB："
        "请关闭其他程序，或减小批大小，或选择更小的语言模型。",
    },
    "gpu_full": {
        "en": "{sentence}",
        "zh": "GPU 显存已满：请减小批大小或选择更小的语言模型，结束占用显存的其他程序，"
        "然后点击“继续”。",
    },
    "memory_full": {
        "en": "{sentence}",
        "zh": "本机内存已满：请减小批大小或选择更小的语言模型，关闭其他程序，然后点击“继续”。",
    },
    "unreachable": {
        "en": "{sentence}",
        "zh": "无法连接模型库：请将本机联网，或把模型放入 AUDIOLLM_HOME 的 models/ 文件夹，"
        "然后点击“继续”。",
    },
    "job_speed": {
        "en": "{speed} examples a second, {memory} GB of memory",
        "zh": "每秒 {speed} 个样本，内存 {memory} GB",
    },
    "job_speed_gpu": {"en": "{gpu} GB on the GPU", "zh": "显存 {gpu} GB"},
    "curve_rate": {"en": "Learning rate", "zh": "学习率"},
    "result_each": {"en": "Emotion by emotion", "zh": "逐类查看"},
    "result_class": {"en": "Spoken", "zh": "实际情感"},
    "result_recall": {"en": "Recognised", "zh": "识别率"},
    "result_clips": {"en": "Clips", "zh": "段数"},
    "result_heard": {"en": "Mistaken for", "zh": "误判为"},
    "result_probe": {
        "en": "A linear model on the same features has UA {probe}, this one {own}.",
        "zh": "同样特征上的线性模型 UA 为 {probe}，本模型为 {own}。",
    },
    "result_bold": {
        "en": "Its probabilities are off by {ece} on average (ECE); it is {by} points more certain "
        "than right.",
        "zh": "概率平均偏差 {ece}（ECE）；它的把握比实际正确率高 {by} 个百分点。",
    },
    "result_shy": {
        "en": "Its probabilities are off by {ece} on average (ECE); it is {by} points less certain "
        "than right.",
        "zh": "概率平均偏差 {ece}（ECE）；它的把握比实际正确率低 {by} 个百分点。",
    },
    "job_left_whole": {"en": "about {left} left in all", "zh": "总共大约还需 {left}"},
}
