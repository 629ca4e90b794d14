"""Progress of the labelling: pace, classes, accuracy of the model, expected label changes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import ceil
from statistics import median

from audiollm.labelling.tasks import REASONS, Label, Outcome, Reason

PAUSE = 120.0  # s without a label count as a break
Z = 1.96  # of a 95 % interval
CLOSE = 0.05  # half the width of an interval that is narrow enough
FEWEST = 20  # labelled clips: fewer make no learning curve


@dataclass(frozen=True)
class Share:
    """A share of clips with its 95 % interval (Wilson)."""

    count: int
    of: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Yield:
    """How labels changed the clips of one reason so far."""

    reason: Reason
    left: int  # clips without a final label
    changed: Share | None  # final label differs from the original; None: none labelled


@dataclass(frozen=True)
class Statistics:
    """The state of the labelling."""

    tasks: int
    labelled: int  # tasks with a final label
    disputed: int
    pace: Mapping[str, float]  # person -> labels per minute, breaks left out
    classes: Mapping[str, int]  # final labels
    right: Share | None  # of the random clips: the model's answer equals the final label
    model: str  # the model of `right`
    needed: int  # random clips still to label until `right` is known within CLOSE
    yields: tuple[Yield, ...]


def statistics(outcomes: Sequence[Outcome], history: Sequence[Label]) -> Statistics:
    """`history`: every label that was written, in order."""
    classes = Counter(o.final for o in outcomes if o.final)
    random = [o for o in outcomes if o.task.reason == "random" and o.emotion and o.task.answer]
    model = Counter(o.task.model for o in random).most_common(1)[0][0] if random else ""
    evaluated = [o for o in random if o.task.model == model]
    right = share(sum(o.task.predicted == o.emotion for o in evaluated), len(evaluated))
    return Statistics(
        tasks=len(outcomes),
        labelled=classes.total(),
        disputed=sum(o.disputed for o in outcomes),
        pace=pace(history),
        classes=dict(classes),
        right=right,
        model=model,
        needed=clips_needed(right),
        yields=tuple(_yield(name, outcomes) for name in REASONS),
    )


def pace(history: Sequence[Label]) -> dict[str, float]:
    """Labels per minute of each person, breaks left out; imported labels do not count."""
    times: dict[str, list[datetime]] = {}
    for label in history:
        if not label.origin and label.kind != "skip":
            times.setdefault(label.person, []).append(datetime.fromisoformat(label.at))
    rates = {}
    for person, moments in times.items():
        gaps = [(b - a).total_seconds() for a, b in pairwise(moments)]
        work = [gap for gap in gaps if 0 <= gap < PAUSE]
        if work:
            rates[person] = 60 / max(sum(work) / len(work), median(work) / 10, 1e-3)
    return rates


def share(count: int, of: int) -> Share | None:
    """None where `of` is 0."""
    from scipy.stats import binomtest

    if not of:
        return None
    interval = binomtest(count, of).proportion_ci(method="wilson")
    return Share(count, of, count / of, float(interval.low), float(interval.high))


def clips_needed(right: Share | None) -> int:
    """Random clips still to label until the share is known within CLOSE."""
    p = min(max(0.5, right.low), right.high) if right else 0.5  # the value of largest variance
    return max(0, ceil(p * (1 - p) * (Z / CLOSE) ** 2) - (right.of if right else 0))


def _yield(reason: Reason, outcomes: Sequence[Outcome]) -> Yield:
    of_it = [o for o in outcomes if o.task.reason == reason]
    done = [o for o in of_it if o.final and o.task.original]
    changed = sum(o.final != o.task.original for o in done)
    return Yield(reason, sum(not o.final for o in of_it), share(changed, len(done)))
