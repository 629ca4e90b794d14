"""The baseline of every model: a linear probe on the same frozen features.

Shapes: N clips, F features, C classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audiollm import metrics
from audiollm.errors import DataError
from audiollm.model.probe import LinearProbe

if TYPE_CHECKING:
    from train.data.dataset import Clip, Prepared

STRENGTHS = tuple(float(c) for c in np.logspace(-5, 1, 7))  # inverse of the L2 penalty
FOLDS = 5
STRENGTH_HELP = "inverse L2 penalty of the linear probe (default: chosen on held-out clips)"
DEFAULT_STRENGTH = 0.01  # where nothing can be held out to choose by


@dataclass(frozen=True, eq=False)
class Probe:
    """Standardised features -> multinomial logistic regression, classes weighted equally."""

    classes: tuple[str, ...]
    strength: float  # the C that was chosen
    pipeline: Any  # scikit-learn's, with the classes of its training clips only

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """[N, F] -> [N, C] float64 in the order of `classes`; 0 for a class without training."""
        table = np.zeros((len(x), len(self.classes)))
        table[:, self.pipeline.classes_] = self.pipeline.predict_proba(x)
        return table

    def predict(self, x: np.ndarray) -> list[str]:
        """[N, F] -> N class names."""
        return [self.classes[i] for i in self.predict_proba(x).argmax(axis=1)]

    def folded(self) -> LinearProbe:
        """The same as plain numbers: standardisation within weight and bias, the classes with
        training clips alone."""
        scaler, model = self.pipeline[0], self.pipeline[-1]
        weight, bias = model.coef_, model.intercept_
        if len(weight) == 1:  # of two classes scikit-learn keeps the second's
            weight, bias = np.concatenate([-weight, weight]) / 2, np.array([-bias[0], bias[0]]) / 2
        weight = weight / scaler.scale_  # [C, F]
        bias = bias - weight @ scaler.mean_
        names = tuple(self.classes[i] for i in self.pipeline.classes_)
        return LinearProbe(names, weight.astype(np.float32), bias.astype(np.float32))


def fit_probe(
    train_x: np.ndarray,
    train_y: Sequence[str],
    valid_x: np.ndarray | None,
    valid_y: Sequence[str] | None,
    classes: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    strength: float | None = None,
    weights: np.ndarray | None = None,
) -> Probe:
    """Fit on the training clips; the penalty is the one with the best UA on held-out clips.

    Those are the validation clips, or, where there are none, folds of the training clips, split
    by `groups` (speakers, [N]) where given. Validation clips are never fitted on, so probe and
    model have the same training data. With a `strength` nothing is chosen, and each training
    clip may have its own weight in `weights` [N].

    Raises:
        DataError: fewer than two classes to learn, or a label that is not among `classes`.
    """
    names = tuple(classes)
    y = _codes(train_y, names)
    if len(np.unique(y)) < 2:
        raise DataError("probe_few_classes", classes=sorted(set(train_y)))
    x = np.asarray(train_x, dtype=np.float64)
    if strength is not None:
        return Probe(names, strength, _fit(x, y, strength, weights))
    if weights is not None:
        raise ValueError("weights go with a strength: no penalty is chosen by them")
    if valid_x is not None and valid_y is not None and len(valid_y):
        held_out = [(x, y, np.asarray(valid_x, dtype=np.float64), _codes(valid_y, names))]
    else:
        held_out = [(x[a], y[a], x[b], y[b]) for a, b in _folds(y, groups)]
    strength = _choose(held_out) if held_out else DEFAULT_STRENGTH
    return Probe(names, strength, _fit(x, y, strength))


def probe_prepared(
    prepared: "Prepared",
    split: str = "test",
    *,
    clips: Sequence["Clip"] | None = None,
    classes: Sequence[str] | None = None,
    strength: float | None = None,
) -> dict[str, metrics.Metrics]:
    """Probes of a prepared folder, measured on one of its splits: `probe_tables`, as figures."""
    scored = list(prepared.split(split) if clips is None else clips)
    classes = tuple(classes or prepared.classes)
    truth, speakers = [clip.label for clip in scored], [clip.speaker for clip in scored]
    tables = probe_tables(prepared, split, clips=scored, classes=classes, strength=strength)
    return {k: metrics.of_table(truth, t, classes, speakers) for k, t in tables.items()}


def probe_tables(
    prepared: "Prepared",
    split: str = "test",
    *,
    clips: Sequence["Clip"] | None = None,
    classes: Sequence[str] | None = None,
    strength: float | None = None,
) -> dict[str, np.ndarray]:
    """Class probabilities [N, C] that probes of a prepared folder give one of its splits.

    Args:
        clips: of the split, those to score; all of them unless given.
        classes: the possible answers, without training clips of another class; those of the
            folder unless given.
        strength: inverse of the L2 penalty; chosen on held-out clips unless given.

    Keys: `utterance` (the encoder's mean over frames); where every clip has them also
    `functionals` (measured acoustic statistics) and `both` (the two side by side).

    Raises:
        DataError: the split or the training split is empty, or has no clip of `classes`.
    """
    classes = tuple(classes or prepared.classes)
    parts = {name: list(prepared.split(name)) for name in ("train", "valid")}
    parts = {name: [c for c in part if c.label in classes] for name, part in parts.items()}
    scored = list(prepared.split(split) if clips is None else clips)
    for name, part in (("train", parts["train"]), (split, scored)):
        if not part:
            raise DataError("probe_empty_split", split=name)
    parts["scored"] = scored
    features = {name: features_of(prepared, part) for name, part in parts.items() if part}
    kinds = [
        k for k in ("utterance", "functionals", "both") if all(k in f for f in features.values())
    ]
    labels = {name: [clip.label for clip in part] for name, part in parts.items()}
    speakers = [clip.speaker for clip in parts["train"]]
    tables = {}
    for kind in kinds:
        valid = features["valid"][kind] if parts["valid"] else None
        probe = fit_probe(
            features["train"][kind],
            labels["train"],
            valid,
            labels["valid"],
            classes,
            groups=speakers,
            strength=strength,
        )
        tables[kind] = probe.predict_proba(features["scored"][kind])
    return tables


def fit_utterance(
    prepared: "Prepared", classes: Sequence[str], strength: float | None = None
) -> Probe:
    """A probe on the utterance features of a prepared folder's training clips of `classes`.

    strength: inverse of the L2 penalty; chosen on held-out clips unless given.

    Raises:
        DataError: fewer than two of the classes have training clips.
    """

    def part(split: str) -> tuple[np.ndarray, list[str], list[str]]:
        clips = [c for c in prepared.split(split) if c.label in classes]
        x = np.array([prepared.store.get(c.id).utterance for c in clips], dtype=np.float64)
        return x, [c.label for c in clips], [c.speaker for c in clips]

    (x, y, speakers), (valid_x, valid_y, _) = part("train"), part("valid")
    return fit_probe(x, y, valid_x, valid_y, classes, groups=speakers, strength=strength)


def features_of(prepared: "Prepared", clips: Sequence[Any]) -> dict[str, np.ndarray]:
    """Feature matrices [N, F] by kind, those that every clip has."""
    utterance, functionals = [], []
    for clip in clips:
        features = prepared.store.get(clip.id)
        utterance.append(features.utterance)
        if features.functionals is not None:
            functionals.append(features.functionals)
    matrices = {"utterance": np.stack(utterance).astype(np.float64)}
    if len(functionals) == len(clips):
        matrices["functionals"] = np.stack(functionals).astype(np.float64)
        matrices["both"] = np.concatenate([matrices["utterance"], matrices["functionals"]], axis=1)
    return matrices


def _codes(labels: Sequence[str], names: tuple[str, ...]) -> np.ndarray:
    index = {name: i for i, name in enumerate(names)}
    strange = sorted(set(labels) - set(names))
    if strange:
        raise DataError("probe_label", label=strange[0], classes=", ".join(names))
    return np.array([index[label] for label in labels], dtype=int)


def _folds(y: np.ndarray, groups: Sequence[str] | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row numbers to fit and to measure on; a fold that leaves one class only is left out."""
    from sklearn.model_selection import GroupKFold, KFold

    speakers = np.array(groups if groups is not None else [], dtype=str)
    if len(set(speakers.tolist())) >= 2:
        cut = GroupKFold(min(FOLDS, len(np.unique(speakers)))).split(y, y, speakers)
    else:
        cut = KFold(min(FOLDS, len(y)), shuffle=True, random_state=0).split(y)
    return ((a, b) for a, b in cut if len(np.unique(y[a])) > 1)


def _choose(held_out: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> float:
    """Strength with the best UA over all held-out clips; of equals the strongest penalty."""
    from sklearn.metrics import recall_score

    truth = np.concatenate([y for *_, y in held_out])

    def ua(strength: float) -> float:
        answer = [_fit(x, y, strength).predict(other) for x, y, other, _ in held_out]
        return float(
            recall_score(
                truth,
                np.concatenate(answer),
                labels=np.unique(truth),
                average="macro",
                zero_division=0,
            )
        )

    return max(STRENGTHS, key=ua)  # the first of equals


def _fit(x: np.ndarray, y: np.ndarray, strength: float, weights: np.ndarray | None = None) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
    weighted = {} if weights is None else {"logisticregression__sample_weight": weights}
    return make_pipeline(StandardScaler(), model).fit(x, y, **weighted)
