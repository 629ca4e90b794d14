"""Settings that fit how many recordings there are, the language model and the device. No gradio.

Few recordings get options close to those of the shipped model, trained on four hours of speech
(`train/tiny/recipe.py`), which are the strongest regularisation. More recordings need less of it
and fewer epochs; docs/training.md lists what of this was measured.
"""

from collections.abc import Mapping
from typing import Any, Literal

from audiollm.web.train.plan import PRESETS, Plan

Size = Literal["few", "some", "many"]
FEW, SOME = 5_000, 50_000  # training clips: fewer than these are few, are some
BUNDLED = 306  # of the bundled EmoDB
# instructions in all epochs of stage 1 and 2, and the least and most epochs
SEEN = {"tiny": (9600, 3400), "other": (2400, 1500)}
LEAST, MOST = (3.0, 1.0), (30.0, 12.0)
BATCH: dict[tuple[bool, bool], tuple[int, int, int]] = {  # (tiny, on a GPU) -> few, some, many
    (True, False): (32, 32, 32),
    (True, True): (32, 64, 128),
    (False, False): (8, 8, 8),
    (False, True): (16, 32, 32),
}
SIZES: tuple[Size, ...] = ("few", "some", "many")
SOME_OPTIONS = {
    **{"pooling": "auto", "utterance_tokens": 4, "tokens_per_second": 4.0, "hidden_size": 512},
    **{"weight_decay": 0.01, "dropout": 0.3, "input_dropout": 0.2, "functionals_dropout": 0.2},
    **{"noise": 0.3, "label_smoothing": 0.1, "lora_rank": 16, "lora_dropout": 0.05},
}
REGULARISATION: dict[Size, dict[str, Any]] = {
    "few": {
        **SOME_OPTIONS,
        **{"pooling": "utterance", "utterance_tokens": 1, "tokens_per_second": 1.0},
        **{"hidden_size": 256, "weight_decay": 0.05, "dropout": 0.5, "input_dropout": 0.4},
    },
    "some": SOME_OPTIONS,
    "many": {
        **SOME_OPTIONS,
        **{"hidden_size": 1024, "dropout": 0.1, "input_dropout": 0.1, "functionals_dropout": 0.1},
        **{"noise": 0.1, "label_smoothing": 0.05, "lora_rank": 32},
    },
}


def size(clips: float) -> Size:
    """Class of the number of recordings that train."""
    return "few" if clips < FEW else "some" if clips < SOME else "many"


def propose(clips: float | None, llm: str, device: str, factor: float = 1.0) -> dict[str, Any]:
    """Field of the page -> value.

    Args:
        clips: that train; None: not known, then as few as ship.
        factor: times as many epochs.
    """
    clips = clips or BUNDLED
    tiny, which = llm == "tiny", size(clips)
    per_clip = 2 if tiny else 1
    seen = SEEN["tiny" if tiny else "other"]
    epochs = [
        _round(factor * min(max(all_ / (per_clip * clips), low), high))
        for all_, low, high in zip(seen, LEAST, MOST, strict=True)
    ]
    rates = (2e-3, 4e-4) if tiny and which == "few" else (1e-3, 2e-4)
    return {
        "epochs_1": epochs[0],
        "epochs_2": epochs[1],
        # few speakers are of more use in training than in validation
        "all_learn": tiny and which == "few",
        "batch_size": BATCH[tiny, device.startswith("cuda")][SIZES.index(which)],
        "per_clip": per_clip,
        "learning_rate_1": rates[0],
        "learning_rate_2": rates[1],
        **REGULARISATION[which],
    }


def _round(epochs: float) -> float:
    return float(round(epochs)) if epochs >= 3 else round(epochs, 1)


def first() -> Plan:
    """The settings of the page before anything was chosen."""
    plan = Plan()
    return Plan.of({**plan.values(), **propose(None, plan.stages[0].llm, plan.device)})


def preset(values: Mapping[str, Any], offered: Mapping[str, Any]) -> str | None:
    """The preset whose epochs stand in the fields; None where somebody has set others."""
    unchanged = all(values[key] == offered[key] for key in ("epochs_1", "epochs_2"))
    set_by_steps = values["max_steps_1"] or values["max_steps_2"]
    names = (name for name, factor in PRESETS.items() if factor == offered["factor"])
    return next(names, None) if unchanged and not set_by_steps else None


def follow(
    values: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, Any]:
    """The part of a new proposal that is applied: values that differ from the proposal before, in
    fields that still hold that one."""
    return {
        key: value
        for key, value in now.items()
        if key in before and value != before[key] and values[key] == before[key]
    }
