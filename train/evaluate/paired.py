"""Differences between sets of answers to the same clips, with paired bootstrap intervals.

Whole speakers are drawn again where there are enough, and every set is scored on the same draw, so
what is hard about a speaker cancels out.

Shapes: N answers (a clip may have several), U units, R replicates, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np

from audiollm.contracts.comparison import MODELS, Paired
from audiollm.contracts.prepared import Clip
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
    grouped = all(speakers) and len(set(speakers)) >= MIN_SPEAKERS
    units = np.unique(np.array(speakers if grouped else clips, dtype=str), return_inverse=True)[1]
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

    support = totals(np.ones(len(truth)))
    ua, wa = {}, {}
    for name, of in answers.items():
        hits = totals(np.equal(np.array(of, dtype=str), np.array(truth, dtype=str)))
        with np.errstate(invalid="ignore", divide="ignore"):
            ua[name] = np.nanmean(np.where(support > 0, hits / support, np.nan), axis=1)
        wa[name] = hits.sum(1) / support.sum(1)
    return Draws("speakers" if grouped else "clips", ua, wa)


def paired(
    clips: Sequence[Clip], tables: Mapping[str, np.ndarray], classes: Sequence[str]
) -> Paired | None:
    """Both models on the same clips, by `Clip.label`; None where there are none.

    tables: model -> probabilities [N, C]; a row of NaN is no answer, and wrong.
    """
    if not clips:
        return None
    truth = [clip.label for clip in clips]
    answers = {m: [_best(row, classes) for row in tables[m]] for m in MODELS}
    of = draws(truth, answers, [c.speaker for c in clips], [c.id for c in clips])
    measured = {}
    for kind, values in (("ua", of.ua), ("wa", of.wa)):
        measured[kind] = {m: asdict(of.interval(values[m])) for m in MODELS}
        measured[kind]["change"] = asdict(of.interval(values["after"] - values["before"]))
    figures = {
        "clips": len(clips),
        "speakers": sorted({clip.speaker for clip in clips} - {""}),
        "ua": measured["ua"],
        "wa": measured["wa"],
        "per_class": [_of_class(name, clips, answers) for name in classes if name in truth],
        "flipped": [
            {
                "clip": clip.id,
                "path": clip.path,
                "speaker": clip.speaker,
                "label": clip.label,
                **{m: answers[m][i] for m in MODELS},
                **{f"p_{m}": round(float(np.nan_to_num(tables[m][i]).max()), 4) for m in MODELS},
            }
            for i, clip in enumerate(clips)
            if answers["before"][i] != answers["after"][i]
        ],
    }
    return cast(Paired, figures)


def _best(row: np.ndarray, classes: Sequence[str]) -> str:
    """The most probable class; "" where there was no answer."""
    return "" if np.isnan(row).any() else classes[int(row.argmax())]


def _of_class(
    name: str, clips: Sequence[Clip], answers: Mapping[str, Sequence[str]]
) -> dict[str, object]:
    """Recall of one class before and after, and its paired change."""
    own = [i for i, clip in enumerate(clips) if clip.label == name]
    of_class = {m: [answers[m][i] for i in own] for m in MODELS}
    speakers, ids = [clips[i].speaker for i in own], [clips[i].id for i in own]
    of = draws([name] * len(own), of_class, speakers, ids)
    change = of.interval(of.wa["after"] - of.wa["before"])
    shares = {m: float(of.wa[m][0]) for m in MODELS}
    return {"name": name, "support": len(own), **shares, "change": asdict(change)}
