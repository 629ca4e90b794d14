"""How fast it goes, what was found, and how much more is worth it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import ceil, sqrt
from statistics import median

from audiollm.labelling.tasks import REASONS, Label, Outcome, Reason

PAUSE = 120.0  # s without a label: the person was away
Z = 1.96  # of a 95 % interval
CLOSE = 0.05  # half the width of an interval that is narrow enough
FEWEST = 20  # labelled clips: fewer say nothing of what the next ones are worth


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
    """What labelling the clips of one reason has changed so far, and may still change."""

    reason: Reason
    left: int  # clips without a final label
    changed: Share | None  # final label other than what the clip came with; None: none labelled


@dataclass(frozen=True)
class Statistics:
    """The state of the labelling."""

    tasks: int
    labelled: int  # tasks with a final label
    disputed: int
    pace: Mapping[str, float]  # person -> labels a minute while at work
    classes: Mapping[str, int]  # final labels
    right: Share | None  # of the random clips, where the model said the final label
    model: str  # whose that is
    wanted: int  # random clips still to label until `right` is known within CLOSE
    yields: tuple[Yield, ...]


def statistics(outcomes: Sequence[Outcome], history: Sequence[Label]) -> Statistics:
    """`history` is everything that was said, in the order of writing."""
    classes = Counter(o.final for o in outcomes if o.final)
    chance = [o for o in outcomes if o.task.reason == "random" and o.emotion and o.task.answer]
    model = Counter(o.task.model for o in chance).most_common(1)[0][0] if chance else ""
    judged = [o for o in chance if o.task.model == model]
    right = share(sum(o.task.predicted == o.emotion for o in judged), len(judged))
    return Statistics(
        tasks=len(outcomes),
        labelled=classes.total(),
        disputed=sum(o.disputed for o in outcomes),
        pace=pace(history),
        classes=dict(classes),
        right=right,
        model=model,
        wanted=wanted(right),
        yields=tuple(_yield(name, outcomes) for name in REASONS),
    )


def pace(history: Sequence[Label]) -> dict[str, float]:
    """Labels a minute of each person, pauses left out; of imported labels nothing is known."""
    times: dict[str, list[datetime]] = {}
    for label in history:
        if not label.origin and label.kind != "skip":
            times.setdefault(label.person, []).append(datetime.fromisoformat(label.at))
    found = {}
    for person, said in times.items():
        gaps = [(b - a).total_seconds() for a, b in pairwise(said)]
        work = [gap for gap in gaps if 0 <= gap < PAUSE]
        if work:
            found[person] = 60 / max(sum(work) / len(work), median(work) / 10, 1e-3)
    return found


def share(count: int, of: int) -> Share | None:
    """None where there is nothing to count."""
    if not of:
        return None
    p, zz = count / of, Z * Z / of
    middle = (p + zz / 2) / (1 + zz)
    half = Z * sqrt(p * (1 - p) / of + zz / of / 4) / (1 + zz)
    return Share(count, of, p, min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half)))


def wanted(right: Share | None) -> int:
    """Random clips still to label until the share is known within CLOSE, either way."""
    p = min(max(0.5, right.low), right.high) if right else 0.5  # the least certain that it may be
    return max(0, ceil(p * (1 - p) * (Z / CLOSE) ** 2) - (right.of if right else 0))


def _yield(reason: Reason, outcomes: Sequence[Outcome]) -> Yield:
    of_it = [o for o in outcomes if o.task.reason == reason]
    done = [o for o in of_it if o.final and o.task.original]
    changed = sum(o.final != o.task.original for o in done)
    return Yield(reason, sum(not o.final for o in of_it), share(changed, len(done)))
