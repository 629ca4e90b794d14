"""Every sentence about how long a training takes, how it goes and what came of it, zh and en."""

from audiollm.labels import Language

WATCHING: dict[str, dict[Language, str]] = {
    "estimate": {
        "en": "About {left} on {device}, with up to {need} GB of memory.",
        "zh": "在 {device} 上大约需要 {left}，最多占用 {need} GB 内存。",
    },
    "estimate_gpu": {
        "en": "{need} GB of it on the GPU.",
        "zh": "其中 GPU 显存 {need} GB。",
    },
    "estimate_measured": {
        "en": "Reckoned from earlier trainings of this size on this machine.",
        "zh": "根据本机以往同规模的训练推算。",
    },
    "estimate_scaled": {
        "en": "Reckoned from trainings of another size on this machine, so it may be far off.",
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
    "job_left_whole": {"en": "about {left} left in all", "zh": "总共大约还需 {left}"},
}
