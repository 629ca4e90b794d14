"""Settings that fit how many recordings there are, the language model and the device. No gradio.

Few recordings: what makes the shipped model from two hours of speech (`train/tiny/recipe.py`) and
keeps a model from learning a few voices by heart. More of them need less of that and fewer passes;
docs/training.md says which of it was measured.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from audiollm.web.train.form import Form

Size = Literal["few", "some", "many"]
FEW, SOME = 5_000, 50_000  # recordings that learn: fewer than these are few, are some
BUNDLED = 306  # of the bundled EmoDB
# instructions that are seen in all in stage 1 and 2, and the passes that this may come to
SEEN = {"tiny": (9600, 3400), "other": (2400, 1500)}
LEAST, MOST = (3.0, 1.0), (30.0, 12.0)
BATCH: dict[tuple[bool, bool], tuple[int, int, int]] = {  # (tiny, on a GPU) -> few, some, many
    (True, False): (32, 32, 32),
    (True, True): (32, 64, 128),
    (False, False): (8, 8, 8),
    (False, True): (16, 32, 32),
}
SIZES: tuple[Size, ...] = ("few", "some", "many")
KEPT_BACK: dict[Size, dict[str, Any]] = {
    "few": {
        **{"pooling": "utterance", "tokens": 1, "hidden": 256, "weight_decay": 0.05},
        **{"dropout": 0.5, "input_dropout": 0.4, "functionals_dropout": 0.2, "noise": 0.3},
        **{"smoothing": 0.1, "lora_rank": 16, "lora_dropout": 0.05},
    },
    "some": {
        **{"pooling": "auto", "tokens": 4, "hidden": 512, "weight_decay": 0.01},
        **{"dropout": 0.3, "input_dropout": 0.2, "functionals_dropout": 0.2, "noise": 0.3},
        **{"smoothing": 0.1, "lora_rank": 16, "lora_dropout": 0.05},
    },
    "many": {
        **{"pooling": "auto", "tokens": 4, "hidden": 1024, "weight_decay": 0.01},
        **{"dropout": 0.1, "input_dropout": 0.1, "functionals_dropout": 0.1, "noise": 0.1},
        **{"smoothing": 0.05, "lora_rank": 32, "lora_dropout": 0.05},
    },
}


def size(clips: float) -> Size:
    """How much there is to learn from."""
    return "few" if clips < FEW else "some" if clips < SOME else "many"


def proposed(clips: float | None, llm: str, device: str, factor: float = 1.0) -> dict[str, Any]:
    """Field of the page -> value.

    Args:
        clips: that learn; None: nobody knows, as few as are known to work.
        factor: times as many passes.
    """
    clips = clips or BUNDLED
    tiny, which = llm == "tiny", size(clips)
    per_clip = 2 if tiny else 1
    seen = SEEN["tiny" if tiny else "other"]
    passes = [
        _round(factor * min(max(all_ / (per_clip * clips), low), high))
        for all_, low, high in zip(seen, LEAST, MOST, strict=True)
    ]
    rates = (2e-3, 4e-4) if tiny and which == "few" else (1e-3, 2e-4)
    return {
        "epochs_1": passes[0],
        "epochs_2": passes[1],
        # a few speakers who only validate are missed in training, and choose badly
        "all_learn": tiny and which == "few",
        "batch": BATCH[tiny, device.startswith("cuda")][SIZES.index(which)],
        "per_clip": per_clip,
        "rate_1": rates[0],
        "rate_2": rates[1],
        **KEPT_BACK[which],
    }


def _round(passes: float) -> float:
    return float(round(passes)) if passes >= 3 else round(passes, 1)


def first() -> Form:
    """What the page shows before anything was chosen."""
    form = Form()
    return replace(form, **proposed(None, form.llm, form.device))


def follow(
    values: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, Any]:
    """What of a new proposal is taken: that which differs from the one before, where the person has
    left that one as it was."""
    return {
        key: value
        for key, value in now.items()
        if key in before and value != before[key] and values[key] == before[key]
    }
