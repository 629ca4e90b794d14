"""`python -m train learning-curve`: UA over the number of labels, measured and extrapolated.

A linear probe, which trains in milliseconds, stands for the model. It is trained on the prepared
data with growing numbers of people's labels in place of the old ones, in several random orders, and
predicts the speakers of the other folds; test speakers are excluded. The gain is extrapolated to
twice the labels by a power law.

The intervals are bootstraps over speakers and orders; the power law is fitted to each replicate.
The reference is people's label where there is one, else the label of the data.

Shapes: N clips, F features, R replicates.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from audiollm import audio
from audiollm.audio import functionals
from audiollm.contracts.learning_curve import LearningCurve, Point, progress_line
from audiollm.contracts.prepared import write_json
from audiollm.contracts.result import interval
from audiollm.errors import AudioError, DataError
from audiollm.labelling.statistics import FEWEST
from audiollm.settings import Settings
from train.data.dataset import Clip, Prepared, load_prepared
from train.evaluate.paired import Draws, draws
from train.fit import runs
from train.fit.probe import DEFAULT_STRENGTH, features_of, fit_probe
from train.labels.resolve import (
    TEST_SPEAKER,
    UNUSABLE,
    WEIGHT,
    ResolvedLabel,
    left_out_line,
    outcomes,
    resolve,
)

SHARES = (0.25, 0.5, 0.75)  # of the labels, besides none and all
ORDERS = 6  # random orders of the labels
FOLDS = 5  # of speakers, at most
MAX_CLIPS = 2000  # for training, so that it stays fast
POWERS = (0.25, 0.5, 0.75, 1.0)  # gain = a * labels ** power
INTERVAL = 1.0  # s between two lines of progress

Progress = Callable[[int, int], None]  # (probes fitted, all probes)


@dataclass(frozen=True, eq=False)
class Material:
    """Clips with their labels; the clips that people have labelled come first."""

    x: np.ndarray  # [N, F]
    old: tuple[str, ...]  # [N] class in the data; "" of a clip that is not in the data
    new: tuple[str, ...]  # people's labels of the first clips
    weights: tuple[float, ...]  # training weights of those
    groups: tuple[str, ...]  # [N] the speaker, or the clip where the speaker is unknown
    speakers: tuple[str, ...]  # [N] "" where unknown
    ids: tuple[str, ...]  # [N]
    kind: str  # of the features
    left: Mapping[str, int]  # reason -> labelled clips that are left out

    @property
    def reference(self) -> tuple[str, ...]:
        """[N] the best known class."""
        return self.new + self.old[len(self.new) :]


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--labels", type=Path, required=True, metavar="FILE", help="export of the Label page")
    add("--data", type=Path, required=True, metavar="DIR", help="folder made by `prepare`")
    add("--out", type=Path, metavar="FILE", help="the curve as JSON")


def run(args: argparse.Namespace) -> int:
    settings = Settings.from_env()
    prepared = load_prepared(args.data)
    labels, left = resolve(outcomes(args.labels, settings, prepared.classes), prepared.classes)
    curve = learning_curve(
        material(prepared, labels, left, settings), prepared.classes, _print_progress()
    )
    curve["data"], curve["run"] = str(args.data.resolve()), runs.provenance()
    if args.out:
        write_json(args.out, curve)
    print(summary(curve))
    return 0


def _print_progress() -> Progress:
    """The page reads these lines."""
    last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > INTERVAL:
            last = time.monotonic()
            print(progress_line(done, total), flush=True)

    return progress


def material(
    prepared: Prepared, labels: Sequence[ResolvedLabel], left: Mapping[str, int], settings: Settings
) -> Material:
    """The clips of the train and validation splits, and labelled clips that are not in the data.

    The features are the measured functionals, where every clip has them: an encoder that was
    trained on these labels would reproduce their errors. New clips are measured here, and left out
    where the data have no functionals.

    Raises:
        DataError: no clip is left.
    """
    tested = {clip.speaker for clip in prepared.split("test")} - {""}
    own = [clip for clip in prepared.clips if clip.split != "test" and clip.speaker not in tested]
    if not own:
        raise DataError("learning_curve_no_clips", folder=prepared.folder)
    matrices = features_of(prepared, own)
    kind = "functionals" if "functionals" in matrices else "utterance"
    rows = {clip.id: (clip, row) for clip, row in zip(own, matrices[kind], strict=True)}
    width = matrices[kind].shape[1]

    ids, gone = {clip.id for clip in prepared.clips}, dict(left)
    labelled: list[tuple[Clip, np.ndarray, ResolvedLabel]] = []
    for label in labels:
        task, reason = label.task, ""
        if task.id in rows:
            labelled.append((*rows.pop(task.id), label))
        elif task.id in ids or task.speaker in tested:
            reason = TEST_SPEAKER
        elif kind != "functionals" or (row := _measure(task.path, settings, width)) is None:
            reason = UNUSABLE
        else:
            clip = Clip(path=task.path, label="", speaker=task.speaker, id=task.id)
            labelled.append((clip, row, label))
        if reason:
            gone[reason] = gone.get(reason, 0) + 1
    rest = list(rows.values())
    count = max(0, MAX_CLIPS - len(labelled))
    sample = sorted(np.random.default_rng(0).permutation(len(rest))[:count])
    clips = [clip for clip, *_ in labelled] + [rest[i][0] for i in sample]
    return Material(
        x=np.stack([row for _, row, _ in labelled] + [rest[i][1] for i in sample]),
        old=tuple(clip.label for clip in clips),
        new=tuple(label.label for *_, label in labelled),
        weights=tuple(WEIGHT * label.votes.get(label.label, 0.0) for *_, label in labelled),
        groups=tuple(clip.speaker or clip.id for clip in clips),
        speakers=tuple(clip.speaker for clip in clips),
        ids=tuple(clip.id for clip in clips),
        kind=kind,
        left=gone,
    )


def _measure(path: str, settings: Settings, size: int) -> np.ndarray | None:
    """None where the sound is missing, or the data have other functionals."""
    try:
        row = functionals.measure(audio.load(path, settings).samples)
    except AudioError:
        return None
    return row.astype(float) if len(row) == size else None


def learning_curve(
    data: Material, classes: Sequence[str], progress: Progress = lambda *_: None
) -> LearningCurve:
    """The curve and its extrapolation; no points where there are fewer than FEWEST labels.

    Raises:
        DataError: there is only one speaker, or one class.
    """
    count = len(data.new)
    curve: LearningCurve = {
        "labels": count,
        "corrected": sum(bool(a) and a != b for a, b in zip(data.old, data.new, strict=False)),
        "left": dict(data.left),
        "clips": len(data.ids),
        "speakers": len(set(data.speakers) - {""}),
        "features": data.kind,
        "fewest": FEWEST,
        "points": [],
        "gain": None,
        "ahead": None,
    }
    if count < FEWEST:
        return curve
    labelled = [i for i, name in enumerate(data.old) if name or i < count]
    answers = {
        f"{size}/{order}": [predicted[i] for i in labelled]
        for size, order, predicted in _predictions(data, classes, progress)
    }
    replicates = draws(
        [data.reference[i] for i in labelled],
        answers,
        [data.speakers[i] for i in labelled],
        [data.ids[i] for i in labelled],
    )
    sizes = sorted({int(name.split("/")[0]) for name in answers})
    ua = {size: _over_orders(replicates, size) for size in sizes}
    fit = power_law(sizes, ua)
    further = [count + round(count * step / 4) for step in range(1, 5)]

    def point(labels: int, values: np.ndarray) -> Point:
        return {"labels": labels, "ua": asdict(replicates.interval(values))}

    curve["points"] = [point(size, ua[size]) for size in sizes]
    curve["gain"] = asdict(replicates.interval(ua[count] - ua[0]))
    curve["ahead"] = {
        "labels": further[-1] - count,
        "gain": asdict(replicates.interval(fit(further[-1]) - fit(count))),
        "points": [point(size, ua[count] + fit(size) - fit(count)) for size in further],
    }
    return curve


def _predictions(
    data: Material, classes: Sequence[str], progress: Progress
) -> Iterator[tuple[int, int, list[str]]]:
    """(number of labels, order, predictions [N]); each fold is trained on the other speakers."""
    from sklearn.model_selection import GroupKFold

    groups, count = np.array(data.groups), len(data.new)
    if len(set(data.groups)) < 2:
        raise DataError("labels_one_speaker")
    folds = list(GroupKFold(min(FOLDS, len(set(data.groups)))).split(data.x, groups=groups))
    random = np.random.default_rng(0)
    orders = [random.permutation(count) for _ in range(ORDERS)]
    inner = sorted({round(share * count) for share in SHARES} - {0, count})
    plan = [(0, 0), *((size, order) for size in inner for order in range(ORDERS)), (count, 0)]
    for step, (size, order) in enumerate(plan):
        labels, weights = list(data.old), np.ones(len(data.old))
        for i in orders[order][:size]:
            labels[i], weights[i] = data.new[i], data.weights[i]
        predicted = [""] * len(labels)
        for number, (train, test) in enumerate(folds):
            used = [i for i in train if labels[i] in classes]  # a new clip has no label at first
            probe = fit_probe(
                data.x[used],
                [labels[i] for i in used],
                None,
                None,
                classes,
                strength=DEFAULT_STRENGTH,
                weights=weights[used],
            )
            for i, name in zip(test, probe.predict(data.x[test]), strict=True):
                predicted[i] = name
            progress(step * len(folds) + number + 1, len(plan) * len(folds))
        yield size, order, predicted


def _over_orders(replicates: Draws, size: int) -> np.ndarray:
    """UA of one number of labels [1 + R]: the mean over a bootstrap of the orders."""
    own = np.stack([ua for name, ua in replicates.ua.items() if name.split("/")[0] == str(size)])
    random = np.random.default_rng(size)
    picks = random.integers(0, len(own), (own.shape[1] - 1, len(own)))  # [R, orders]
    others = np.take_along_axis(own[:, 1:].T, picks, axis=1).mean(1)
    return np.concatenate([own[:, :1].mean(0), others])


def power_law(sizes: Sequence[int], ua: Mapping[int, np.ndarray]) -> Callable[[float], np.ndarray]:
    """Gain [1 + R] as a function of the number of labels: the best power of each replicate."""
    x = np.array([size for size in sizes if size], dtype=float)
    y = np.stack([ua[int(size)] - ua[0] for size in x])  # [sizes, 1 + R]
    factors, errors = [], []
    for power in POWERS:
        base = (x**power)[:, None]
        factor = (base * y).sum(0) / (base**2).sum()
        factors.append(factor)
        errors.append(((y - base * factor) ** 2).sum(0))
    best = np.stack(errors).argmin(0)
    factor = np.stack(factors)[best, np.arange(len(best))]
    power = np.array(POWERS)[best]
    return lambda labels: factor * labels**power


def summary(curve: LearningCurve) -> str:
    """The curve, for a terminal."""
    lines = left_out_line(curve["left"])
    if curve["ahead"] is None or curve["gain"] is None:
        few = f"{curve['labels']} labels are too few: a curve needs {curve['fewest']} or more."
        return "\n".join([*lines, few])

    lines += [f"{p['labels']:6d} labels  UA {interval(p['ua'])}" for p in curve["points"]]
    ahead = curve["ahead"]
    lines.append(
        f"Gain of a linear probe by {curve['labels']} labels: {interval(curve['gain'], '+')}"
    )
    lines.append(f"Expected gain by {ahead['labels']} more: {interval(ahead['gain'], '+')}")
    return "\n".join(lines)
