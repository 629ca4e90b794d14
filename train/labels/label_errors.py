"""`python -m train label-errors`: labels of prepared data that are probably wrong, worst first.

Confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068): a linear probe predicts
every clip after training on other speakers; a low probability of the label indicates an error. On
EmoDB with 15 % of its labels flipped, this order found more of them than the margin to the best
other class, and than either relative to the class thresholds (`python -m bench.loop`).

Shapes: N clips, F features, C classes.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from audiollm.contracts.prepared import write_text
from audiollm.errors import DataError
from train.corpora import SPLITS, Clip
from train.data.dataset import Prepared, load_prepared
from train.fit.probe import features_of, fit_probe

FOLDS = 10  # at most; fewer speakers make leave-one-speaker-out folds
STRENGTH = 1.0  # inverse L2 penalty, divided by F: strong, so that label errors are not fitted
Kind = Literal["auto", "functionals", "utterance", "both"]


@dataclass(frozen=True)
class RankedLabel:
    """A clip with the probability of its label."""

    clip: str  # content hash, as in clips.jsonl
    path: str
    speaker: str
    label: str
    suggested: str  # the most likely class
    confidence: float  # probability of the label, predicted without the clip's speaker
    likely: bool  # an error by the count of confident learning: see `ranked`


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", required=True, metavar="DIR", help="folder made by `prepare`")
    add("--split", choices=(*SPLITS, "all"), default="train", help="default: train")
    words = "features of the probe (default auto: measured functionals, where there are any)"
    add("--features", choices=get_args(Kind), default="auto", help=words)
    add("--out", type=Path, metavar="FILE", help="every clip as a line of JSON")


def run(args: argparse.Namespace) -> int:
    prepared = load_prepared(Path(args.data))
    clips = prepared.clips if args.split == "all" else prepared.split(args.split)
    errors = label_errors(prepared, clips, args.features)
    if args.out:
        lines = (json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in errors)
        write_text(args.out, "".join(lines))
    print(summary(errors))
    return 0


def label_errors(
    prepared: Prepared, clips: Sequence[Clip], kind: Kind = "auto"
) -> list[RankedLabel]:
    """The clips by the probability of their label, the lowest first.

    kind: of features; `auto` takes the measured functionals where every clip has them, as an
        encoder that was trained on these labels would reproduce their errors.

    Raises:
        DataError: fewer than two speakers (clips, where speakers are unknown), or two classes.
    """
    if not clips:
        raise DataError("label_errors_no_clips", folder=prepared.folder)
    features = features_of(prepared, clips)
    if kind == "auto":
        kind = "functionals" if "functionals" in features else "utterance"
    if kind not in features:
        raise DataError("label_errors_no_features", folder=prepared.folder, kind=kind)
    speakers = [clip.speaker for clip in clips]
    labels = [clip.label for clip in clips]
    groups = speakers if all(speakers) else [clip.id for clip in clips]
    table = out_of_fold(features[kind], labels, groups, prepared.classes)
    return ranked(clips, table, prepared.classes)


def out_of_fold(
    x: np.ndarray, labels: Sequence[str], groups: Sequence[str], classes: Sequence[str]
) -> np.ndarray:
    """Class probabilities [N, C] of every clip, by a probe fitted on the other groups.

    Args:
        x: features [N, F].
        groups: [N], the speakers.

    Raises:
        DataError: there is one group, or one class outside of a group.
    """
    from sklearn.model_selection import GroupKFold

    count = len(set(groups))
    if count < 2:
        raise DataError("labels_one_speaker")
    table = np.zeros((len(x), len(classes)))
    folds = GroupKFold(min(FOLDS, count)).split(x, groups=np.array(groups, dtype=str))
    for train, test in folds:
        names = [labels[i] for i in train]
        probe = fit_probe(x[train], names, None, None, classes, strength=STRENGTH / x.shape[1])
        table[test] = probe.predict_proba(x[test])
    return table


def ranked(clips: Sequence[Clip], table: np.ndarray, classes: Sequence[str]) -> list[RankedLabel]:
    """Clips by the probability [N, C] of their label, the lowest first.

    The threshold of a class is its mean probability over the clips with this label. A label is a
    likely error where the most likely of the classes above their thresholds is another one.
    """
    names = tuple(classes)
    own = np.array([names.index(clip.label) for clip in clips])
    confidence = table[np.arange(len(own)), own]
    thresholds = np.array(
        [confidence[own == c].mean() if (own == c).any() else np.inf for c in range(len(names))]
    )
    above = np.where(table >= thresholds, table, -1.0)  # [N, C]
    likely = (above.max(1) >= 0) & (above.argmax(1) != own)
    return [
        RankedLabel(
            clip=clips[i].id,
            path=clips[i].path,
            speaker=clips[i].speaker,
            label=clips[i].label,
            suggested=names[int(table[i].argmax())],
            confidence=round(float(confidence[i]), 6),
            likely=bool(likely[i]),
        )
        for i in np.argsort(confidence, kind="stable")
    ]


def summary(errors: Sequence[RankedLabel], most: int = 20) -> str:
    """The least probable labels, for a terminal."""
    likely = sum(one.likely for one in errors)
    lines = [f"{len(errors)} labels, {likely} of them likely wrong; the least probable:"]
    for one in errors[:most]:
        lines.append(f"  {one.confidence:.3f}  {one.label} -> {one.suggested}?  {one.path}")
    return "\n".join(lines)
