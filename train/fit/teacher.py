"""The teacher of distillation (Hinton et al. 2015, arXiv 1503.02531): classifiers of the utterance
features, whose class probabilities are averaged.

Classifiers of the classes generalise better to corpora that were not trained on, those of
(corpus, class) to new speakers of known corpora. `probe`: two multinomial logistic regressions, one
of each. `ensemble`: such regressions and multilayer perceptrons, in equal parts. Others are fitted
on differences from a speaker baseline.

Shapes: B examples, U numbers of an utterance's features, C classes, G groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from train.data.dataset import Clip, Prepared
from train.data.features import copy_id, draw_copy
from train.data.speakers import SpeakerClips, with_baselines
from train.fit.perceptron import Draw, fit_perceptron
from train.fit.probe import fit_probe

if TYPE_CHECKING:
    from audiollm.model.projector import Features

# Weights of the probes of the classes and of (corpus, class). Differences from a baseline hold less
# of the corpus, so there both count alike
PLAIN, RELATIVE = (0.6, 0.4), (0.5, 0.5)
# Members of the ensemble, each with the same weight: what the probes and the perceptrons are of,
# 0 the classes, 1 (corpus, class). Chosen by folds; docs/quality.md says what was tried
PLAIN_MEMBERS = (0,), (0, 0, 1)
RELATIVE_MEMBERS = (0, 1), (0, 0)
SPREAD = 0.5  # largest share of the way to another example by which features are mixed


class Classifier(Protocol):
    """Features [B, U] -> probabilities of groups [B, G]."""

    def probabilities(self, rows: NDArray[np.float32], /) -> NDArray[np.float64]: ...


@dataclass(frozen=True, eq=False)
class Readout:
    """Features [B, U] -> class probabilities [B, C]: a classifier of groups, summed by class."""

    classifier: Classifier
    classes: NDArray[np.float64]  # [G, C] which class a group is of
    weight: float  # in the teacher's mean

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return self.classifier.probabilities(rows) @ self.classes


@dataclass(frozen=True, eq=False)
class Teacher:
    """Class probabilities of examples; those with a speaker baseline by the second readouts."""

    plain: tuple[Readout, ...]
    relative: tuple[Readout, ...]

    def __call__(self, clips: "Sequence[Features]") -> torch.Tensor:
        """Features of B clips -> [B, C]"""
        compared = np.array([clip.baseline is not None for clip in clips])
        table = np.zeros((len(clips), self.plain[0].classes.shape[1]))
        for rows, readouts in ((~compared, self.plain), (compared, self.relative)):
            if rows.any():
                features = np.stack([_input(clips[i]) for i in np.flatnonzero(rows).tolist()])
                tables = [readout(features) for readout in readouts]
                table[rows] = np.average(tables, axis=0, weights=[r.weight for r in readouts])
        return torch.from_numpy(table.astype(np.float32))


def fit_teacher(
    prepared: Prepared,
    classes: Sequence[str],
    baseline: bool,
    strength: float,
    ensemble: bool = False,
    seed: int = 0,
) -> Teacher:
    """Fits the classifiers on the training clips.

    Args:
        baseline: examples may come with a speaker baseline.
        strength: inverse L2 penalty of the logistic regressions.
        ensemble: perceptrons take part; they are trained on augmented copies, too.
    """
    clips = prepared.split("train")
    plain = [(clip, prepared.store.get(clip.id)) for clip in clips]
    compared = with_baselines(prepared.store, clips, "all") if baseline else []
    relative = [(clip, features) for clip, features in compared if features.baseline is not None]
    if not ensemble:
        return Teacher(
            _readouts(plain, classes, strength, PLAIN),
            _readouts(relative, classes, strength, RELATIVE),
        )
    return Teacher(
        _ensemble(prepared, plain, classes, strength, seed, PLAIN_MEMBERS),
        _ensemble(prepared, relative, classes, strength, seed, RELATIVE_MEMBERS, baseline=True),
    )


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
    pairs: "Sequence[tuple[Clip, Features]]",
    classes: Sequence[str],
    strength: float,
    weights: Sequence[float],
) -> tuple[Readout, ...]:
    """Logistic regression of the classes and, with a second weight, of (corpus, class); none
    without clips. Every (corpus, class) has the same weight in the loss."""
    if not pairs:
        return ()
    rows = np.stack([_input(features) for _, features in pairs])
    counted = _rarity(pairs)
    readouts = []
    for labels, weight in zip(_targets(pairs), weights, strict=False):
        names = sorted(set(labels))
        probe = fit_probe(rows, labels, None, None, names, strength=strength, weights=counted)
        folded = probe.folded()
        readouts.append(Readout(folded, _by_class(folded.classes, classes), weight))
    return tuple(readouts)


def _ensemble(
    prepared: Prepared,
    pairs: "Sequence[tuple[Clip, Features]]",
    classes: Sequence[str],
    strength: float,
    seed: int,
    members: tuple[tuple[int, ...], tuple[int, ...]],
    baseline: bool = False,
) -> tuple[Readout, ...]:
    """Probes and perceptrons; none without clips."""
    if not pairs:
        return ()
    probes, perceptrons = members
    readouts = list(_readouts(pairs, classes, strength, [1.0] * len(probes)))
    draw = _drawn(prepared, [clip for clip, _ in pairs], baseline)
    weights, targets = _rarity(pairs) ** 0.5, _targets(pairs)
    for number, target in enumerate(perceptrons):
        names, group = np.unique(targets[target], return_inverse=True)
        fitted = fit_perceptron(draw, group.tolist(), weights, seed + number)
        readouts.append(Readout(fitted, _by_class(names.tolist(), classes), 1.0))
    return tuple(readouts)


def _drawn(prepared: Prepared, clips: Sequence[Clip], baseline: bool) -> Draw:
    """Features of a training clip or of one of its augmented copies; with `baseline` less a
    speaker baseline that is drawn, too."""
    store, speakers = prepared.store, SpeakerClips(prepared.store, clips)

    def draw(number: int, rng: np.random.Generator) -> NDArray[np.float32]:
        clip = clips[number]
        features = store.get(copy_id(clip.id, draw_copy(prepared.copies, rng)))
        if not baseline:
            return features.utterance
        mean = speakers.draw(clip, rng)
        if mean is None:
            mean = speakers.fixed(clip, "all")
        assert mean is not None, "these clips have a baseline"  # noqa: S101
        return features.utterance - mean

    return draw


def _targets(pairs: "Sequence[tuple[Clip, Features]]") -> tuple[list[str], list[str]]:
    """Class, and corpus/class, of every clip."""
    clips = [clip for clip, _ in pairs]
    return [clip.label for clip in clips], [f"{clip.corpus}/{clip.label}" for clip in clips]


def _rarity(pairs: "Sequence[tuple[Clip, Features]]") -> NDArray[np.float64]:
    """Weights [N] that let every (corpus, class) count alike."""
    _, group, counts = np.unique(_targets(pairs)[1], return_inverse=True, return_counts=True)
    return np.asarray(len(pairs) / len(counts) / counts[group])


def _by_class(groups: Sequence[str], classes: Sequence[str]) -> NDArray[np.float64]:
    """[G, C] which class each of the groups is of."""
    of = [list(classes).index(name.rpartition("/")[2]) for name in groups]
    return np.asarray(np.eye(len(classes))[of])
