"""Two or more sets of answers to the same clips: how far apart they are, and how sure that is.

Whole speakers are drawn again where there are enough, and every set is judged on the same draw, so
what is hard about a speaker cancels out.

Shapes: N answers (a clip may have several), U units, R replicates, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audiollm.metrics import LEVEL, MIN_SPEAKERS, Interval, Unit

REPLICATES = 2000


@dataclass(frozen=True, eq=False)
class Draws:
    """UA and WA of every set of answers: first the measured figure, then R replicates."""

    unit: Unit
    ua: Mapping[str, np.ndarray]  # name -> [1 + R]
    wa: Mapping[str, np.ndarray]

    def interval(self, values: np.ndarray) -> Interval:
        """The first of [1 + R] values with the middle 95 % of the others."""
        tail = 50 * (1 - LEVEL)
        others = values[1:][np.isfinite(values[1:])]
        low, high = np.percentile(others, [tail, 100 - tail]) if len(others) else values[[0, 0]]
        return Interval(float(values[0]), float(low), float(high), self.unit)


def draws(
    truth: Sequence[str],
    answers: Mapping[str, Sequence[str]],
    speakers: Sequence[str],
    clips: Sequence[str],
    seed: int = 0,
) -> Draws:
    """Figures of all sets of answers [N] on the same replicates.

    Args:
        speakers: [N], drawn whole if there are five or more.
        clips: [N] ids, drawn whole otherwise.

    Raises:
        ValueError: no answers, or lists of different lengths.
    """
    lengths = {len(truth), len(speakers), len(clips), *map(len, answers.values())}
    if len(lengths) != 1 or not truth:
        raise ValueError(f"{lengths} answers, labels, speakers and clips do not go together")
    known = all(speakers) and len(set(speakers)) >= MIN_SPEAKERS
    units = np.unique(np.array(speakers if known else clips, dtype=str), return_inverse=True)[1]
    codes = np.unique(np.array(truth, dtype=str), return_inverse=True)[1]
    count = int(units.max()) + 1
    drawn = np.random.default_rng(seed).integers(0, count, (REPLICATES, count))
    times = np.stack([np.bincount(row, minlength=count) for row in drawn])
    times = np.vstack([np.ones(count, dtype=int), times])  # [1 + R, U]

    def totals(weight: np.ndarray) -> np.ndarray:
        """Sums of [N] over each class in every replicate: [1 + R, C]."""
        table = np.zeros((count, int(codes.max()) + 1))
        np.add.at(table, (units, codes), weight)
        return times @ table

    shown = totals(np.ones(len(truth)))
    ua, wa = {}, {}
    for name, given in answers.items():
        hits = totals(np.equal(np.array(given, dtype=str), np.array(truth, dtype=str)))
        with np.errstate(invalid="ignore", divide="ignore"):
            ua[name] = np.nanmean(np.where(shown > 0, hits / shown, np.nan), axis=1)
        wa[name] = hits.sum(1) / shown.sum(1)
    return Draws("speakers" if known else "clips", ua, wa)
