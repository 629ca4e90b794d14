"""Linear probes as the teacher of distillation (Hinton et al. 2015, arXiv 1503.02531).

Two multinomial logistic regressions on the utterance features, one of the classes and one of
(corpus, class): the teacher is the weighted mean of their class probabilities. The first
generalises better to corpora that were not trained on, the second to new speakers of known corpora.
A second pair is fitted on differences from a speaker baseline.

Shapes: B examples, U numbers of an utterance's features, C classes, G groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from audiollm.model.probe import LinearProbe
from train.data.dataset import Clip, Prepared
from train.data.speakers import with_baselines
from train.fit.probe import fit_probe

if TYPE_CHECKING:
    from audiollm.model.projector import Features

# Weights of the probes of the classes and of (corpus, class). Differences from a baseline hold less
# of the corpus, so there both count alike
PLAIN, RELATIVE = (0.6, 0.4), (0.5, 0.5)
SPREAD = 0.5  # largest share of the way to another example by which features are mixed


@dataclass(frozen=True, eq=False)
class Readout:
    """Features [B, U] -> class probabilities [B, C]: a probe of groups, summed by class."""

    probe: LinearProbe
    classes: NDArray[np.float64]  # [G, C] which class a group is of

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return self.probe.probabilities(rows) @ self.classes


@dataclass(frozen=True, eq=False)
class LinearTeacher:
    """Class probabilities of examples; those with a speaker baseline by the second pair."""

    plain: tuple[Readout, ...]
    relative: tuple[Readout, ...]

    def __call__(self, clips: "Sequence[Features]") -> torch.Tensor:
        """Features of B clips -> [B, C]"""
        compared = np.array([clip.baseline is not None for clip in clips])
        table = np.zeros((len(clips), self.plain[0].classes.shape[1]))
        for rows, readouts, weights in (
            (~compared, self.plain, PLAIN),
            (compared, self.relative, RELATIVE),
        ):
            if rows.any():
                features = np.stack([_input(clips[i]) for i in np.flatnonzero(rows).tolist()])
                tables = [readout(features) for readout in readouts]
                table[rows] = np.average(tables, axis=0, weights=weights)
        return torch.from_numpy(table.astype(np.float32))


def fit_teacher(
    prepared: Prepared, classes: Sequence[str], baseline: bool, strength: float
) -> LinearTeacher:
    """Fits the probes on the training clips; every (corpus, class) has the same weight.

    Args:
        strength: inverse L2 penalty.
        baseline: examples may come with a speaker baseline.
    """
    clips = prepared.split("train")
    plain = [(clip, prepared.store.get(clip.id)) for clip in clips]
    compared = with_baselines(prepared.store, clips, "all") if baseline else []
    relative = [(clip, features) for clip, features in compared if features.baseline is not None]
    return LinearTeacher(*(_readouts(pairs, classes, strength) for pairs in (plain, relative)))


def mixed(clips: "Sequence[Features]") -> "list[Features]":
    """Each clip moved by up to `SPREAD` of the way to or from another one; clips with and without a
    speaker baseline are not mixed with each other.

    The student learns the teacher's probabilities around the training clips, too (mixup, Zhang et
    al. 2018, arXiv 1710.09412). Draws come from torch, whose state a checkpoint holds.
    """
    result = list(clips)
    for compared in (False, True):
        own = [i for i, clip in enumerate(clips) if (clip.baseline is not None) == compared]
        order = torch.randperm(len(own)).tolist()
        shares = (SPREAD * (2 * torch.rand(len(own)) - 1)).numpy()
        for i, at, share in zip(own, order, shares, strict=True):
            one, other = clips[i], clips[own[at]]
            utterance = one.utterance + share * (other.utterance - one.utterance)
            baseline = one.baseline
            if baseline is not None and other.baseline is not None:
                baseline = baseline + share * (other.baseline - baseline)
            result[i] = replace(one, utterance=utterance, baseline=baseline)
    return result


def _input(clip: "Features") -> NDArray[np.float32]:
    return clip.utterance if clip.baseline is None else clip.utterance - clip.baseline


def _readouts(
    pairs: "Sequence[tuple[Clip, Features]]", classes: Sequence[str], strength: float
) -> tuple[Readout, ...]:
    """A probe of the classes and one of (corpus, class); none without clips."""
    if not pairs:
        return ()
    rows = np.stack([_input(features) for _, features in pairs])
    groups = np.array([f"{clip.corpus}/{clip.label}" for clip, _ in pairs])
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights = len(pairs) / len(counts) / counts[group]
    readouts = []
    for labels in ([clip.label for clip, _ in pairs], groups.tolist()):
        names = sorted(set(labels))
        probe = fit_probe(
            rows, labels, None, None, names, strength=strength, weights=weights
        ).folded()
        of = [list(classes).index(name.rpartition("/")[2]) for name in probe.classes]
        readouts.append(Readout(probe, np.eye(len(classes))[of]))
    return tuple(readouts)
