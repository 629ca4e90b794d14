"""What `python -m train learning-curve` writes and prints, and the Label page reads."""

import re
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from audiollm.contracts.plain_json import parse_json

# In the home folder; the second name was that of earlier versions
CURVE, FORMER_CURVE = "learning-curve.json", "worth.json"


class Point(TypedDict):
    labels: int  # how many of people's labels were trained on
    ua: dict[str, Any]  # an interval: value, low, high, unit


class Extrapolation(TypedDict):
    labels: int  # further ones
    gain: dict[str, Any]  # of UA by these, an interval
    points: list[Point]


class LearningCurve(TypedDict):
    labels: int
    corrected: int  # labels that differ from those of the data
    left: dict[str, int]  # reason -> labelled clips that are left out
    clips: int
    speakers: int
    features: str  # utterance or functionals
    fewest: int  # labels that a curve needs
    points: list[Point]  # [] where there are too few labels
    gain: dict[str, Any] | None  # of UA by all labels, an interval
    ahead: Extrapolation | None
    data: NotRequired[str]  # the prepared folder
    run: NotRequired[dict[str, Any]]


def progress_line(done: int, total: int) -> str:
    """A line of the command's output: probes fitted, of all."""
    return f"{done} of {total} probes"


def read_progress(line: str) -> float | None:
    """Share of the probes that are fitted; None of a line that is no progress."""
    match = re.match(r"(\d+) of ([1-9]\d*) probes", line)
    return int(match[1]) / int(match[2]) if match else None


def read_curve(home: Path) -> LearningCurve | None:
    """The curve in a home folder; None where there is none or it is damaged."""
    path = home / CURVE if (home / CURVE).exists() else home / FORMER_CURVE
    try:
        curve: LearningCurve = parse_json(path.read_text(encoding="utf-8"))
        return curve if {"points", "ahead", "left"} <= set(curve) else None
    except (OSError, ValueError, TypeError):
        return None
