"""`python -m train suspects`: labels of a prepared folder that are probably wrong, worst first.

Confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068): every clip is judged by a
linear probe that has heard neither it nor its speaker, and a label is suspect where that probe
gives it little probability. On EmoDB with 15 % of its labels flipped that order found more of them
than the margin to the best other class, and than either with the classes' thresholds taken off;
`python -m bench.loop` measures it.

Shapes: N clips, F features, C classes.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from audiollm.errors import DataError
from train.corpora import SPLITS, Clip
from train.data.dataset import Prepared, load_prepared
from train.fit.probe import features_of, fit_probe

FOLDS = 10  # at most; with no more speakers than that, each of them is left out once
STRENGTH = (
    1.0  # inverse of the L2 penalty, divided by F: wrong labels are not to be learned by heart
)
Kind = Literal["auto", "functionals", "utterance", "both"]


@dataclass(frozen=True)
class Suspect:
    """A clip and how far its label is to be doubted."""

    clip: str  # content hash, as in clips.jsonl
    path: str
    speaker: str
    label: str  # as it is
    suggested: str  # the likeliest class
    confidence: float  # probability of the label, by a probe that has not heard the speaker
    likely: bool  # wrong by confident learning's own count: see `ranked`


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", required=True, metavar="DIR", help="folder made by `prepare`")
    add("--split", choices=(*SPLITS, "all"), default="train", help="whose labels (default: train)")
    words = "what is looked at (default auto: measured functionals, where there are any)"
    add(
        "--features",
        choices=("auto", "functionals", "utterance", "both"),
        default="auto",
        help=words,
    )
    add("--out", type=Path, metavar="FILE", help="gets every clip as a line of JSON")


def run(args: argparse.Namespace) -> int:
    prepared = load_prepared(Path(args.data))
    clips = prepared.clips if args.split == "all" else prepared.split(args.split)
    found = suspects(prepared, clips, args.features)
    if args.out:
        write(found, args.out)
    print(summary(found))
    return 0


def suspects(prepared: Prepared, clips: Sequence[Clip], kind: Kind = "auto") -> list[Suspect]:
    """The clips, the most doubtful label first.

    kind: which features; `auto` takes the measured functionals where every clip has them, since
        an encoder that was trained on these very labels would defend the wrong ones too.

    Raises:
        DataError: fewer than two speakers (or, where none is known, clips), or two classes.
    """
    if not clips:
        raise DataError(f"{prepared.folder} has no clips to look at there: choose another --split.")
    features = features_of(prepared, clips)
    if kind == "auto":
        kind = "functionals" if "functionals" in features else "utterance"
    if kind not in features:
        raise DataError(f"{prepared.folder} has no {kind}: prepare it again with --functionals.")
    speakers = [clip.speaker for clip in clips]
    labels = [clip.label for clip in clips]
    # where nobody knows who speaks, clips are left out instead
    groups = speakers if all(speakers) else [clip.id for clip in clips]
    table = out_of_fold(features[kind], labels, groups, prepared.classes)
    return ranked(clips, table, prepared.classes)


def out_of_fold(
    x: np.ndarray, labels: Sequence[str], groups: Sequence[str], classes: Sequence[str]
) -> np.ndarray:
    """Class probabilities [N, C] of every clip, by a probe fitted on the other groups alone.

    Args:
        x: features [N, F].
        groups: [N], the speakers.

    Raises:
        DataError: there is one group only, or only one class beside a group.
    """
    from sklearn.model_selection import GroupKFold

    count = len(set(groups))
    if count < 2:
        raise DataError("Labels can be checked only against other speakers, and there is but one.")
    table = np.zeros((len(x), len(classes)))
    for others, own in GroupKFold(min(FOLDS, count)).split(x, groups=np.array(groups, dtype=str)):
        known = [labels[i] for i in others]
        probe = fit_probe(x[others], known, None, None, classes, strength=STRENGTH / x.shape[1])
        table[own] = probe.predict_proba(x[own])
    return table


def ranked(clips: Sequence[Clip], table: np.ndarray, classes: Sequence[str]) -> list[Suspect]:
    """Clips by the probability [N, C] of their own label, the least first.

    A class's threshold is the mean probability that it has where it is the label. A label counts
    as likely wrong where the likeliest of the classes that reach their thresholds is another.
    """
    names = tuple(classes)
    own = np.array([names.index(clip.label) for clip in clips])
    confidence = table[np.arange(len(own)), own]
    usual = np.array(
        [confidence[own == c].mean() if (own == c).any() else np.inf for c in range(len(names))]
    )
    reached = np.where(table >= usual, table, -1.0)  # [N, C]
    likely = (reached.max(1) >= 0) & (reached.argmax(1) != own)
    order = np.argsort(confidence, kind="stable")
    return [
        Suspect(
            clip=clips[i].id,
            path=clips[i].path,
            speaker=clips[i].speaker,
            label=clips[i].label,
            suggested=names[int(table[i].argmax())],
            confidence=round(float(confidence[i]), 6),
            likely=bool(likely[i]),
        )
        for i in order
    ]


def write(found: Sequence[Suspect], path: Path) -> None:
    """One line of JSON a clip, the worst first; the file is moved into place whole.

    Raises:
        DataError: the disk refuses.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found]
        part.write_text("".join(lines), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}): make room.") from error


def summary(found: Sequence[Suspect], shown: int = 20) -> str:
    """The most doubtful labels for a terminal."""
    likely = sum(one.likely for one in found)
    lines = [f"{len(found)} labels, {likely} of them likely wrong; the most doubtful:"]
    for one in found[:shown]:
        lines.append(f"  {one.confidence:.3f}  {one.label} -> {one.suggested}?  {one.path}")
    return "\n".join(lines)
