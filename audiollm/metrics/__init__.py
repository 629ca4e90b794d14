"""How good a set of predictions is: accuracy, calibration, and how sure one can be of both.

Shapes: N clips, C classes, U resampled units (speakers or clips), R bootstrap replicates.

A clip without an answer stays in the denominator: it counts as wrong and is never dropped.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from audiollm.errors import DataError

Unit = Literal["speakers", "clips"]

REPLICATES = 1000
LEVEL = 0.95  # of every interval
MIN_SPEAKERS = 5  # fewer cannot be resampled: the clips are
MAX_BINS = 15
CLIPS_PER_BIN = 20


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % bootstrap interval; `unit` is what was resampled."""

    value: float
    low: float
    high: float
    unit: Unit


@dataclass(frozen=True)
class ClassReport:
    """One class. `None` where the figure does not exist (no such clip, never predicted)."""

    name: str
    recall: float | None
    precision: float | None
    f1: float | None
    support: int  # clips of this class
    failures: int  # of these, clips without an answer
    range: Interval | None = None  # the recall once more; older results do not have it


@dataclass(frozen=True)
class ReliabilityBin:
    """Clips of similar confidence: what the model claimed and what was true."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Metrics:
    """Result of `report`. Shares are in [0, 1]; `None` where probabilities are not known."""

    classes: tuple[str, ...]
    n: int
    failures: int  # clips without an answer, counted as wrong
    scored: int  # clips with probabilities: the only ones in ece, nll, brier, aurc
    speakers: int  # different speakers, 0 where not known
    ua: Interval  # mean recall over the classes that occur
    wa: Interval  # share of right answers
    macro_f1: Interval  # mean F1 over the classes that occur
    per_class: tuple[ClassReport, ...]  # in the order of `classes`
    confusion: tuple[tuple[int, ...], ...]  # [C true, C predicted]; failures are in per_class
    ece: Interval | None  # expected calibration error of the answer, equal-count bins
    nll: float | None  # nats a clip
    brier: float | None  # squared distance to the truth, 0 to 2
    aurc: float | None  # mean error when the least confident clips are left out (0 best)
    reliability: tuple[ReliabilityBin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, no NaN; `config.from_dict(Metrics, ...)` reads it back."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), allow_nan=False))
        return plain

    def short(self) -> dict[str, Any]:
        """The headline figures, as a model's manifest carries them."""
        keys = ("n", "failures", "speakers", "ua", "wa", "macro_f1", "ece", "nll", "brier")
        plain = self.to_dict()
        return {key: plain[key] for key in keys}


def of_table(
    y_true: Sequence[str],
    probabilities: np.ndarray,
    classes: Sequence[str],
    speakers: Sequence[str | None] | None = None,
) -> Metrics:
    """`report` of probabilities [N, C] alone: the most probable class is the answer."""
    answers = [classes[i] for i in probabilities.argmax(1)]
    return report(y_true, answers, probabilities, classes, speakers)


def report(
    y_true: Sequence[str],
    y_pred: Sequence[str | None],
    probabilities: np.ndarray | None,
    classes: Sequence[str],
    speakers: Sequence[str | None] | None = None,
    *,
    seed: int = 0,
) -> Metrics:
    """Measure predictions, with intervals that resample speakers where there are enough.

    Args:
        y_true: [N] class of each clip.
        y_pred: [N] answer to each clip; None where there was none, which counts as wrong.
        probabilities: [N, C] in the order of `classes`, NaN rows where not known.
        speakers: [N]; with at least 5 different ones the bootstrap resamples whole speakers,
            since clips of one voice are no independent evidence.
        seed: of the bootstrap.

    Raises:
        DataError: no clips, or a label that is not among `classes`.
        ValueError: lengths, shapes or probabilities that do not fit together.
    """
    names = tuple(classes)
    truth, answer = _codes(y_true, y_pred, names)
    table, valid = _checked(probabilities, answer, len(names))
    units, unit, voices = _units(speakers, len(truth))
    occurs = np.unique(truth)
    point = _points(truth, answer, occurs)
    rows = np.arange(len(truth))
    confidence = np.where(valid, table[rows, np.maximum(answer, 0)], 0.0)
    right = truth == answer
    bins = _bins(confidence[valid])
    gap = np.zeros((len(truth), int(bins.max(initial=0)) + 1))  # [N, B]
    gap[rows[valid], bins] = right[valid] - confidence[valid]

    clips, width = len(truth), len(names)
    is_true, is_hit, is_answer = (np.zeros((clips, width)) for _ in range(3))
    is_true[rows, truth] = 1
    is_hit[rows[right], truth[right]] = 1
    is_answer[rows[answer >= 0], answer[answer >= 0]] = 1
    sums = np.concatenate([is_true, is_hit, is_answer, gap, valid[:, None]], axis=1)
    totals = _resample(sums, units, seed)  # [R, 3 C + B + 1]
    true, hit, predicted = (totals[:, i * width : (i + 1) * width] for i in range(3))
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(true > 0, 2 * hit / (true + predicted), np.nan)
        ua = _interval(point["ua"], np.nanmean(hit / true, axis=1), unit)
        wa = _interval(point["wa"], hit.sum(1) / true.sum(1), unit)
        macro_f1 = _interval(point["macro_f1"], np.nanmean(f1, axis=1), unit)
        errors = np.abs(totals[:, 3 * width : -1]).sum(1) / totals[:, -1]
        ranges = [
            _recall(is_hit[:, i], is_true[:, i], hit[:, i] / true[:, i], unit) for i in occurs
        ]

    scored = int(valid.sum())
    calibration: dict[str, Any] = {"ece": None, "nll": None, "brier": None, "aurc": None}
    if scored:
        value = float(np.abs(gap.sum(0)).sum() / scored)
        calibration = {
            "ece": _reverse_interval(value, errors, unit),
            **_proper_scores(truth[valid], table[valid]),
            "aurc": _aurc(confidence[valid], right[valid]),
        }
    confusion = np.zeros((width, width), dtype=int)
    np.add.at(confusion, (truth[answer >= 0], answer[answer >= 0]), 1)
    return Metrics(
        classes=names,
        n=clips,
        failures=int((answer < 0).sum()),
        scored=scored,
        speakers=voices,
        ua=ua,
        wa=wa,
        macro_f1=macro_f1,
        per_class=_per_class(truth, answer, names, dict(zip(occurs.tolist(), ranges, strict=True))),
        confusion=tuple(tuple(int(v) for v in row) for row in confusion),
        reliability=_reliability(confidence[valid], right[valid], bins),
        **calibration,
    )


def _codes(
    y_true: Sequence[str], y_pred: Sequence[str | None], names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers [N] of truth and answer; -1 for no answer."""
    if not y_true:
        raise DataError("metrics_no_clips")
    if len(y_true) != len(y_pred):
        raise ValueError(f"{len(y_true)} labels but {len(y_pred)} predictions")
    index = {name: i for i, name in enumerate(names)}
    strange = sorted(set(y_true) - set(names))
    if strange:
        raise DataError("metrics_unknown_label", label=strange[0], classes=", ".join(names))
    unknown = {label for label in y_pred if label is not None} - set(names)
    if unknown:
        raise ValueError(f"predictions outside the classes: {sorted(unknown)}")
    truth = np.array([index[label] for label in y_true])
    answer = np.array([-1 if label is None else index[label] for label in y_pred])
    return truth, answer


def _checked(
    probabilities: np.ndarray | None, answer: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [N, C] in float64 and which rows count [N]."""
    if probabilities is None:
        return np.zeros((len(answer), width)), np.zeros(len(answer), dtype=bool)
    table = np.array(probabilities, dtype=np.float64)
    if table.shape != (len(answer), width):
        raise ValueError(f"probabilities are {table.shape}, expected {(len(answer), width)}")
    valid = (answer >= 0) & ~np.isnan(table).any(axis=1)
    total = table[valid].sum(axis=1)
    if (table[valid] < 0).any() or (np.abs(total - 1) > 1e-3).any():
        raise ValueError("a row of probabilities is negative somewhere or does not sum to 1")
    table[valid] /= total[:, None]
    return table, valid


def _units(speakers: Sequence[str | None] | None, clips: int) -> tuple[np.ndarray, Unit, int]:
    """Number of the resampled unit of each clip [N], its kind, and how many speakers."""
    if speakers is None:
        return np.arange(clips), "clips", 0
    if len(speakers) != clips:
        raise ValueError(f"{clips} labels but {len(speakers)} speakers")
    voices = {speaker for speaker in speakers if speaker}
    if len(voices) < MIN_SPEAKERS or not all(speakers):
        return np.arange(clips), "clips", len(voices)
    units = np.unique(np.array(speakers, dtype=str), return_inverse=True)[1]
    return units, "speakers", len(voices)


def _points(truth: np.ndarray, answer: np.ndarray, occurs: np.ndarray) -> dict[str, float]:
    from sklearn import metrics as sk

    common = {"labels": occurs, "average": "macro", "zero_division": 0}
    return {
        "ua": float(sk.recall_score(truth, answer, **common)),
        "wa": float(sk.accuracy_score(truth, answer)),
        "macro_f1": float(sk.f1_score(truth, answer, **common)),
    }


def _per_class(
    truth: np.ndarray,
    answer: np.ndarray,
    names: tuple[str, ...],
    ranges: Mapping[int, Interval],
) -> tuple[ClassReport, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    labels = np.arange(len(names))
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, answer, labels=labels, average=None, zero_division=np.nan
    )
    failures = np.bincount(truth[answer < 0], minlength=len(names))

    def number(value: float) -> float | None:
        return None if np.isnan(value) else float(value)

    return tuple(
        ClassReport(
            name=name,
            recall=number(recall[i]),
            precision=number(precision[i]),
            f1=number(f1[i]) if support[i] else None,
            support=int(support[i]),
            failures=int(failures[i]),
            range=ranges.get(i),
        )
        for i, name in enumerate(names)
    )


def _recall(hit: np.ndarray, true: np.ndarray, replicates: np.ndarray, unit: Unit) -> Interval:
    """Recall of one class from its hits and clips [N] and its replicates [R].

    Never narrower than Wilson's interval of as many clips: of five clips that are all right, the
    bootstrap would claim to be certain.
    """
    from scipy.stats import binomtest

    test = binomtest(int(hit.sum()), int(true.sum()))
    wilson = test.proportion_ci(LEVEL, method="wilson")
    low, high = _quantiles(replicates)
    return Interval(
        float(test.statistic), float(min(low, wilson.low)), float(max(high, wilson.high)), unit
    )


def _proper_scores(truth: np.ndarray, table: np.ndarray) -> dict[str, float]:
    """NLL in nats and the multi-class Brier score."""
    from sklearn import metrics as sk

    labels = np.arange(table.shape[1])
    return {
        "nll": float(sk.log_loss(truth, table, labels=labels)),
        "brier": float(sk.brier_score_loss(truth, table, labels=labels, scale_by_half=False)),
    }


def _bins(confidence: np.ndarray) -> np.ndarray:
    """Equal-count bin of each clip, numbered without holes; equal confidences share a bin."""
    if not len(confidence):
        return np.zeros(0, dtype=int)
    count = min(MAX_BINS, max(1, len(confidence) // CLIPS_PER_BIN))
    inner = np.quantile(confidence, np.linspace(0, 1, count + 1)[1:-1])
    return np.unique(np.searchsorted(inner, confidence, side="right"), return_inverse=True)[1]


def _reliability(
    confidence: np.ndarray, right: np.ndarray, bins: np.ndarray
) -> tuple[ReliabilityBin, ...]:
    return tuple(
        ReliabilityBin(
            confidence=float(confidence[bins == b].mean()),
            accuracy=float(right[bins == b].mean()),
            count=int((bins == b).sum()),
        )
        for b in range(int(bins.max(initial=-1)) + 1)
    )


def _aurc(confidence: np.ndarray, right: np.ndarray) -> float:
    """Area under the risk-coverage curve (Geifman and El-Yaniv 2017, arXiv 1705.08500)."""
    order = np.argsort(-confidence, kind="stable")
    tied = np.unique(confidence, return_inverse=True)[1]
    error = np.bincount(tied, weights=~right) / np.bincount(tied)  # ties in any order are equal
    risk = np.cumsum(error[tied][order]) / np.arange(1, len(order) + 1)
    return float(risk.mean())


def _resample(sums: np.ndarray, units: np.ndarray, seed: int) -> np.ndarray:
    """Totals [R, K] of sums [N, K] over units drawn with replacement.

    Every figure here is a function of sums, so a replicate costs one row of a matrix product.
    """
    count = int(units.max()) + 1
    by_unit = np.zeros((count, sums.shape[1]))
    np.add.at(by_unit, units, sums)
    rng = np.random.default_rng(seed)
    step = max(1, 4_000_000 // count)  # bounds memory at about 100 MB
    parts = []
    for start in range(0, REPLICATES, step):
        rows = min(step, REPLICATES - start)
        drawn = rng.integers(0, count, (rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        parts.append(times.astype(np.float64) @ by_unit)
    return np.concatenate(parts)


def _quantiles(replicates: np.ndarray) -> tuple[float, float]:
    tail = 50 * (1 - LEVEL)
    finite = replicates[np.isfinite(replicates)]
    low, high = np.percentile(finite, [tail, 100 - tail])
    return float(low), float(high)


def _interval(value: float, replicates: np.ndarray, unit: Unit) -> Interval:
    low, high = _quantiles(replicates)
    return Interval(value, min(low, value), max(high, value), unit)


def _reverse_interval(value: float, replicates: np.ndarray, unit: Unit) -> Interval:
    """Replicates of a calibration error lie above it by its own bias, so they are mirrored.

    In simulation (100 clips, perfectly calibrated) the plain percentile interval never holds
    the true error of 0; the mirrored one does in half of the trials, and both agree from an
    error of 0.2 upwards.
    """
    low, high = _quantiles(replicates)
    return Interval(
        value, max(0.0, min(value, 2 * value - high)), max(value, 2 * value - low), unit
    )
