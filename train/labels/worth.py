"""`python -m train worth`: what people's labels have given so far, and what more of them may give.

A linear probe, which learns in milliseconds, takes the place of the model. It learns the data with
growing numbers of people's labels in place of the old ones, drawn in several random orders, and
answers speakers whom it has not heard (folds of speakers; those who test the model take no part).
What it gains is continued by a power of the number of labels, as far as there are labels again.

The interval draws whole speakers again, and the orders; of each draw it fits the power anew. The
truth that all are judged by is the best that is known, people's labels before the old ones.

Shapes: N clips, F features, R replicates.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import audio
from audiollm.audio import functionals
from audiollm.errors import AudioError, DataError
from audiollm.labelling.statistics import FEWEST
from audiollm.settings import Settings
from train.data.dataset import Clip, Prepared, load_prepared
from train.evaluate.paired import Draws, draws
from train.fit.probe import DEFAULT_STRENGTH, features_of, fit_probe
from train.labels.verdicts import Verdict, outcomes, verdicts

SHARES = (0.25, 0.5, 0.75)  # of the labels; none and all of them besides
ORDERS = 6  # in which labels come
FOLDS = 5  # of speakers, at most
MOST = 2000  # clips that are learned from; more would not be quick
WEIGHT = 2.0  # of a clip on which people agree, as `relabel` has it
POWERS = (0.25, 0.5, 0.75, 1.0)  # what is gained is a times labels ** power
SILENT = 1.0  # s between two lines that say how far it is
TESTED = "their speakers judge the model"
UNHEARD = "their sound could not be measured"

Tell = Callable[[int, int], None]  # probes that are fitted, and all of them


@dataclass(frozen=True, eq=False)
class Material:
    """Clips with what the data and what people say of them; the labelled ones come first."""

    x: np.ndarray  # [N, F]
    old: tuple[str, ...]  # [N] class in the data; "" of a clip that is not among them
    said: tuple[str, ...]  # people's labels of the first clips
    weights: tuple[float, ...]  # of the same clips, once they are labelled
    groups: tuple[str, ...]  # [N] the speaker, or the clip itself where nobody knows who speaks
    speakers: tuple[str, ...]  # [N] "" where not known
    ids: tuple[str, ...]  # [N]
    kind: str  # of the features
    left: Mapping[str, int]  # labelled clips that take no part, by reason

    @property
    def truth(self) -> tuple[str, ...]:
        """[N] the best that is known."""
        return self.said + self.old[len(self.said) :]


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--labels", type=Path, required=True, metavar="FILE", help="as the Label page exports them")
    add("--data", type=Path, required=True, metavar="DIR", help="folder made by `prepare`")
    add("--out", type=Path, metavar="FILE", help="gets the curve as JSON")


def run(args: argparse.Namespace) -> int:
    settings = Settings.from_env()
    prepared = load_prepared(args.data)
    given, left = verdicts(outcomes(args.labels, settings, prepared.classes), prepared.classes)
    found = worth(material(prepared, given, left, settings), prepared.classes, _teller())
    found |= {"data": str(args.data.resolve())}
    found |= {"run": {"command": shlex.join(["python", "-m", "train", *sys.argv[1:]])}}
    if args.out:
        write(found, args.out)
    print(summary(found))
    return 0


def _teller() -> Tell:
    """Says how far it is, not too often."""
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > SILENT:
            last = time.monotonic()
            print(f"{done} of {total} probes", flush=True)

    return tell


def material(
    prepared: Prepared, given: Sequence[Verdict], left: Mapping[str, int], settings: Settings
) -> Material:
    """What is learned from: the clips that train or validate, and labelled ones that are new.

    The measured functionals, where every clip has them: an encoder that was trained on these very
    labels would defend the wrong ones. New clips are measured here, and left out where the data
    have no functionals.

    Raises:
        DataError: there are no clips to learn from.
    """
    tested = {clip.speaker for clip in prepared.split("test")} - {""}
    mine = [clip for clip in prepared.clips if clip.split != "test" and clip.speaker not in tested]
    if not mine:
        raise DataError(f"{prepared.folder} has no clips to learn from: prepare it again.")
    matrices = features_of(prepared, mine)
    kind = "functionals" if "functionals" in matrices else "utterance"
    rows = {clip.id: (clip, matrices[kind][i]) for i, clip in enumerate(mine)}
    width = matrices[kind].shape[1]

    def measure(path: str) -> np.ndarray | None:
        return _measure(path, settings, width) if kind == "functionals" else None

    known, gone = {clip.id for clip in prepared.clips}, dict(left)
    taught: list[tuple[Clip, np.ndarray, Verdict]] = []
    for verdict in given:
        id, reason = verdict.task.id, ""
        if id in rows:
            taught.append((*rows.pop(id), verdict))
        elif id in known or verdict.task.speaker in tested:
            reason = TESTED
        elif (measured := measure(verdict.task.path)) is None:
            reason = UNHEARD
        else:
            task = verdict.task
            clip = Clip(path=task.path, label="", speaker=task.speaker, id=id)
            taught.append((clip, measured, verdict))
        if reason:
            gone[reason] = gone.get(reason, 0) + 1
    rest = list(rows.values())
    chosen = np.random.default_rng(0).permutation(len(rest))[: max(0, MOST - len(taught))]
    clips = [clip for clip, *_ in taught] + [rest[i][0] for i in sorted(chosen)]
    return Material(
        x=np.stack([row for _, row, _ in taught] + [rest[i][1] for i in sorted(chosen)]),
        old=tuple(clip.label for clip in clips),
        said=tuple(verdict.label for *_, verdict in taught),
        weights=tuple(WEIGHT * verdict.votes.get(verdict.label, 0.0) for *_, verdict in taught),
        groups=tuple(clip.speaker or clip.id for clip in clips),
        speakers=tuple(clip.speaker for clip in clips),
        ids=tuple(clip.id for clip in clips),
        kind=kind,
        left=gone,
    )


def _measure(path: str, settings: Settings, size: int) -> np.ndarray | None:
    """None where there is no such sound, or the data were measured in another way."""
    try:
        found = functionals.measure(audio.load(path, settings).samples)
    except AudioError:
        return None
    return found.astype(float) if len(found) == size else None


def worth(given: Material, classes: Sequence[str], tell: Tell = lambda *_: None) -> dict[str, Any]:
    """The curve, and how it goes on; without points where there are fewer than FEWEST labels.

    Raises:
        DataError: there is one speaker only, or one class.
    """
    count = len(given.said)
    counted = [a for a, b in zip(given.old, given.said, strict=False) if a and a != b]
    about = {
        "labels": count,
        "corrected": len(counted),
        "left": dict(given.left),
        "clips": len(given.ids),
        "speakers": len(set(given.speakers) - {""}),
        "features": given.kind,
        "fewest": FEWEST,
    }
    if count < FEWEST:
        return about | {"points": [], "gain": None, "ahead": None}
    known = [i for i, name in enumerate(given.old) if name or i < count]
    truth = [given.truth[i] for i in known]
    answers = {
        f"{size}/{order}": [told[i] for i in known]
        for size, order, told in _answers(given, classes, tell)
    }
    judged = draws(
        truth, answers, [given.speakers[i] for i in known], [given.ids[i] for i in known]
    )
    sizes = sorted({int(name.split("/")[0]) for name in answers})
    ua = {size: _over_orders(judged, size) for size in sizes}
    fit = continued(sizes, ua)
    further = [count + round(count * step / 4) for step in range(1, 5)]

    def point(labels: int, values: np.ndarray) -> dict[str, Any]:
        return {"labels": labels, "ua": asdict(judged.interval(values))}

    more = fit(further[-1]) - fit(count)
    return about | {
        "points": [point(size, ua[size]) for size in sizes],
        "gain": asdict(judged.interval(ua[count] - ua[0])),
        "ahead": {
            "labels": further[-1] - count,
            "gain": asdict(judged.interval(more)),
            "points": [point(size, ua[count] + fit(size) - fit(count)) for size in further],
        },
    }


def _answers(
    given: Material, classes: Sequence[str], tell: Tell
) -> Iterator[tuple[int, int, list[str]]]:
    """(number of labels, order, what a probe says of all N clips), nobody heard by whom it judges.

    Of the labels of each number a fold learns those that are not of its own speakers.
    """
    from sklearn.model_selection import GroupKFold

    groups, count = np.array(given.groups), len(given.said)
    if len(set(given.groups)) < 2:
        raise DataError("Labels can be judged only by other speakers, and there is but one.")
    folds = list(GroupKFold(min(FOLDS, len(set(given.groups)))).split(given.x, groups=groups))
    random = np.random.default_rng(0)
    orders = [random.permutation(count) for _ in range(ORDERS)]
    inner = sorted({round(share * count) for share in SHARES} - {0, count})
    plan = [(0, 0), *((size, order) for size in inner for order in range(ORDERS)), (count, 0)]
    for step, (size, order) in enumerate(plan):
        labels, weights = list(given.old), np.ones(len(given.old))
        for i in orders[order][:size]:
            labels[i], weights[i] = given.said[i], given.weights[i]
        told = [""] * len(labels)
        for number, (others, own) in enumerate(folds):
            heard = [i for i in others if labels[i] in classes]  # a new clip has no label at first
            probe = fit_probe(
                given.x[heard],
                [labels[i] for i in heard],
                None,
                None,
                classes,
                strength=DEFAULT_STRENGTH,
                weights=weights[heard],
            )
            for i, name in zip(own, probe.predict(given.x[own]), strict=True):
                told[i] = name
            tell(step * len(folds) + number + 1, len(plan) * len(folds))
        yield size, order, told


def _over_orders(judged: Draws, size: int) -> np.ndarray:
    """UA of one number of labels [1 + R]: the mean over the orders, which are drawn again, too."""
    own = np.stack([ua for name, ua in judged.ua.items() if name.split("/")[0] == str(size)])
    random = np.random.default_rng(size)
    drawn = random.integers(0, len(own), (own.shape[1] - 1, len(own)))  # [R, orders]
    others = np.take_along_axis(own[:, 1:].T, drawn, axis=1).mean(1)
    return np.concatenate([own[:, :1].mean(0), others])


def continued(sizes: Sequence[int], ua: Mapping[int, np.ndarray]) -> Callable[[float], np.ndarray]:
    """What is gained with a number of labels [1 + R], by the power that fits each draw best."""
    x = np.array([size for size in sizes if size], dtype=float)
    y = np.stack([ua[int(size)] - ua[0] for size in x])  # [sizes, 1 + R]
    factors, misses = [], []
    for power in POWERS:
        base = (x**power)[:, None]
        factor = (base * y).sum(0) / (base**2).sum()
        factors.append(factor)
        misses.append(((y - base * factor) ** 2).sum(0))
    best = np.stack(misses).argmin(0)
    factor = np.stack(factors)[best, np.arange(len(best))]
    power = np.array(POWERS)[best]
    return lambda labels: factor * labels**power


def write(found: Mapping[str, Any], path: Path) -> None:
    """The file is moved into place whole.

    Raises:
        DataError: the disk refuses.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}): make room.") from error


def summary(found: Mapping[str, Any]) -> str:
    """The curve for a terminal."""
    lines = [f"{n} are left out: {why}." for why, n in sorted(found["left"].items())]
    if not found["points"]:
        said = f"{found['labels']} labels are too few to tell: give {found['fewest']} or more."
        return "\n".join([*lines, said])

    def cell(i: Mapping[str, Any], sign: str = "") -> str:
        return f"{i['value']:{sign}.3f} [{i['low']:{sign}.3f}, {i['high']:{sign}.3f}]"

    lines += [f"{p['labels']:6d} labels  UA {cell(p['ua'])}" for p in found["points"]]
    ahead = found["ahead"]
    lines.append(f"{found['labels']} labels have given a linear probe {cell(found['gain'], '+')},")
    lines.append(f"as many again ({ahead['labels']}) may give {cell(ahead['gain'], '+')}.")
    return "\n".join(lines)
