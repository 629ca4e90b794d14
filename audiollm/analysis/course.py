"""The course of a recording in two or three parts, where it has them."""

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from audiollm.analysis.facts import UNNAMED

SHORTEST = 3.0  # s of a part: windows of 2 s overlap by half, and one alone is often mistaken
LIKELY = 0.66  # mean probability of a part's class, as for the word "likely"
MOST = 3  # parts: of more the figure of the course tells more than a sentence


def parts(
    spans: Sequence[tuple[float, float]], table: NDArray[np.float64], labels: Sequence[str]
) -> tuple[tuple[float, str], ...]:
    """(start in s, class) of the parts of a recording; () where it has but one, too many, or one
    whose class is not likely.

    Args:
        spans: (start, end) in seconds of W windows.
        table: [W, C] class probabilities; NaN where nobody speaks.
    """
    spoken = np.flatnonzero(~np.isnan(table).any(1))
    if len(spoken) < 2:
        return ()
    centres = np.array(spans).mean(1)
    step = float(np.diff(centres).min())
    best = {int(row): int(table[row].argmax()) for row in spoken}
    runs = _runs(list(best), best)
    while short := [r for r in runs if centres[r[-1]] - centres[r[0]] + step < SHORTEST]:
        dropped = min(short, key=len)
        runs = _runs([row for run in runs if run is not dropped for row in run], best)
    names = [labels[best[run[0]]] for run in runs]
    likely = all(table[run, best[run[0]]].mean() >= LIKELY for run in runs)
    if not 2 <= len(runs) <= MOST or not likely or UNNAMED & set(names):
        return ()
    starts = [0.0, *((centres[a[-1]] + centres[b[0]]) / 2 for a, b in pairwise(runs))]
    return tuple(zip(map(float, starts), names, strict=True))


def _runs(rows: Sequence[int], best: dict[int, int]) -> list[list[int]]:
    """Neighbouring rows with the same class."""
    return [list(run) for _, run in groupby(rows, key=lambda row: best[row])]
