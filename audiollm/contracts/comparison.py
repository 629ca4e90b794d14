"""What `compare` writes: two models on the same clips, with paired intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from audiollm.contracts.plain_json import parse_json

VERSUS = "versus.json"  # a new model beside the active one
COMPARED = "compare.json"  # a model before and after it learned from labels
MODELS = ("before", "after")
FORMER_SEEN = "heard"  # name of the second part in older files
PARTS = ("held_out", "seen")  # the clips that tell most come first


class Flip(TypedDict):
    """A clip on which the two answers differ."""

    clip: NotRequired[str]
    path: str
    speaker: NotRequired[str]
    label: str
    before: str  # "": no answer
    after: str


class Paired(TypedDict):
    """Both models on some clips. An interval is {value, low, high, unit}."""

    clips: int
    speakers: list[str]  # names of the known ones
    ua: dict[str, dict[str, Any]]  # before, after, change -> interval
    wa: dict[str, dict[str, Any]]
    per_class: list[dict[str, Any]]  # name, support, before, after, change
    flipped: list[Flip]


class Comparison(TypedDict):
    models: dict[str, dict[str, Any]]  # before, after -> name, folder, hash, classes
    labels: dict[str, int]  # of a model that learned from labels: new, confirmed, corrected
    left: dict[str, int]  # labels that were not used, by the reason
    corrected: NotRequired[Paired | None]  # clips whose label was corrected
    held_out: Paired | None  # speakers that neither model was trained on
    seen: NotRequired[Paired | None]  # speakers that the active model was trained on
    notes: list[Any]  # `Message.to_dict()`, or sentences of old
    run: NotRequired[dict[str, Any]]


@dataclass(frozen=True)
class Change:
    """UA of both models on the same clips, and the difference."""

    before: float
    after: float
    value: float  # after - before
    low: float
    high: float
    clips: int
    fair: bool  # neither model was trained on these speakers

    @property
    def chance(self) -> bool:
        """The interval of the difference holds 0."""
        return self.low <= 0 <= self.high


def read_comparison(path: Path) -> Comparison | None:
    """None where it is missing or damaged."""
    try:
        comparison: Comparison = parse_json(path.read_text(encoding="utf-8"))
        if FORMER_SEEN in comparison:
            comparison["seen"] = comparison.pop(FORMER_SEEN)  # type: ignore[typeddict-item,misc]
        change(comparison)
        _ = [comparison["models"][m]["name"] for m in MODELS], comparison["notes"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return comparison


def change(comparison: Mapping[str, Any]) -> Change | None:
    """The headline of a comparison; None where it could not be made."""
    for part in PARTS:
        if of := comparison.get(part):
            ua, fair = of["ua"], part == "held_out"
            value, low, high = (float(ua["change"][key]) for key in ("value", "low", "high"))
            before, after = float(ua["before"]["value"]), float(ua["after"]["value"])
            return Change(before, after, value, low, high, int(of["clips"]), fair)
    return None


def between(home: Path, model: Path, other: Path) -> Change | None:
    """How a model of the home folder does beside another; None where nobody has compared them.

    Speakers that neither was trained on decide; where there are none, those of the other.
    """
    runs, name = home / "runs", model.name
    for path in (runs / f"{name}-evaluate" / VERSUS, runs / f"{name}-improve" / COMPARED):
        comparison = read_comparison(path)
        if comparison is None:
            continue
        folders = [Path(comparison["models"][m].get("folder", "")).resolve() for m in MODELS]
        if folders == [other.resolve(), model.resolve()]:
            return change(comparison)
    return None
