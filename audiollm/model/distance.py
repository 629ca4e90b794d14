"""How far a clip's features are from those of the training data: an out-of-distribution score.

Mahalanobis distance to the nearest corpus of the training data (Lee et al. 2018, arXiv 1807.03888),
in the first principal components of the standardised utterance features. The covariance of a corpus
is its own, shrunk towards the pooled one (regularised discriminant analysis, Friedman 1989):
corpora differ in their covariance as much as in their means. Another language, room or
microphone is farther away, and calibration then lowers the confidence of the answer. With the
covariance within speakers, the distance between two means of features tells whether one person
speaks in both.

Shapes: N clips, U utterance features, K components, G corpora.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from audiollm.errors import ModelError

DISTANCE_NAME = "distance.safetensors"
COMPONENTS = 96
OTHER_VOICE = 1.5  # a clip of the same person is farther from 8 others in less than 2 of 100 cases
LIMIT = 6.0  # standardised features are clipped to +- this
POOLED = 0.2  # share of the pooled covariance in that of a corpus
RIDGE = 0.02  # of the mean variance, added to the covariance


@dataclass(frozen=True, eq=False)
class FeatureDistance:
    """Root of the squared Mahalanobis distance per component: about 1 for training clips."""

    mean: NDArray[np.float32]  # [U]
    std: NDArray[np.float32]  # [U]
    components: NDArray[np.float32]  # [U, K]
    centres: NDArray[np.float32]  # [G, K]
    precision: NDArray[np.float32]  # [G, K, K] inverse of the covariance within each corpus
    speaker_precision: NDArray[np.float32]  # [K, K] inverse of the covariance within speakers

    def __call__(self, utterances: NDArray[np.float32]) -> NDArray[np.float64]:
        """Utterance features [N, U] -> distances [N]."""
        projected = _standardised(utterances, self.mean, self.std) @ self.components  # [N, K]
        apart = projected[:, None] - self.centres  # [N, G, K]
        squared = np.einsum("ngi,gij,ngj->ng", apart, self.precision, apart, dtype=np.float64)
        nearest: NDArray[np.float64] = np.maximum(squared.min(1), 0)
        return np.sqrt(nearest / self.centres.shape[1])

    def between(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
        """Two means of features [U] apart: about 1 where one person speaks, more for two."""
        pair = _standardised(np.stack([first, second]), self.mean, self.std) @ self.components
        apart = (pair[0] - pair[1]).astype(np.float64)
        squared = float(apart @ self.speaker_precision @ apart)
        return float(np.sqrt(max(squared, 0.0) / len(self.speaker_precision)))

    def save(self, folder: Path) -> None:
        """Writes `distance.safetensors` into a model folder; components in half precision."""
        tensors = {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}
        tensors["components"] = tensors["components"].astype(np.float16)
        save_file(tensors, folder / DISTANCE_NAME)


def fit(
    rows: NDArray[np.float32], corpora: Sequence[str], speakers: Sequence[str]
) -> FeatureDistance:
    """The distance from training clips with features [N, U], of named corpora and speakers [N].

    A clip of an unknown speaker, "", counts as one of its corpus.
    """
    from sklearn.decomposition import PCA

    mean, std = rows.mean(0), np.maximum(rows.std(0), 1e-4)
    z = _standardised(rows, mean, std)
    count = min(COMPONENTS, len(rows) - 1, rows.shape[1])
    pca = PCA(count, svd_solver="randomized", random_state=0).fit(z)
    components = pca.components_.T.astype(np.float16).astype(np.float32)  # as it is stored
    projected = z @ components
    centres, group = _groups(projected, corpora)
    pooled = _covariance(projected - centres[group])
    precision = []
    for i in range(len(centres)):
        members = projected[group == i]
        own = _covariance(members) if len(members) > 1 else pooled
        precision.append(_inverse(POOLED * pooled + (1 - POOLED) * own))
    voices = [speaker or corpus for speaker, corpus in zip(speakers, corpora, strict=True)]
    means, voice = _groups(projected, voices)
    speaker_precision = _inverse(_covariance(projected - means[voice]))
    parts = (mean, std, components, centres, np.stack(precision), speaker_precision)
    return FeatureDistance(*(part.astype(np.float32) for part in parts))


def _groups(
    projected: NDArray[np.float32], names: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Means of the groups [G, K] that rows [N, K] belong to by name, and the group of each row."""
    unique, group = np.unique(np.array(names), return_inverse=True)
    return np.stack([projected[group == i].mean(0) for i in range(len(unique))]), group


def _covariance(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """[N, K] -> [K, K]"""
    return np.atleast_2d(np.cov(rows.T))


def _inverse(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    size = len(covariance)
    ridge = RIDGE * np.trace(covariance) / size + 1e-9
    return np.linalg.inv(covariance + ridge * np.eye(size))


def read(folder: Path, width: int) -> FeatureDistance | None:
    """The distance of a model folder for utterance features `width` wide; None where it has none.

    Raises:
        ModelError: the file is damaged, or its tensors do not fit each other or the features.
    """
    path = folder / DISTANCE_NAME
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            sizes = {f.name: _size(file, f.name) for f in fields(FeatureDistance)}
            groups, count = (sizes["centres"] + [0, 0])[:2]
            shapes = {
                "mean": [width],
                "std": [width],
                "components": [width, count],
                "centres": [groups, count],
                "precision": [groups, count, count],
                "speaker_precision": [count, count],
            }
            for name, shape in shapes.items():  # before any memory is taken
                if sizes[name] != shape or not all(shape):
                    raise ValueError(f"its {name} has the shape {sizes[name]}, not {shape}")
            parts = {name: file.get_tensor(name).astype(np.float32) for name in shapes}
        if not all(np.isfinite(part).all() for part in parts.values()):
            raise ValueError("it holds numbers that are not finite")
        if not (parts["std"] > 0).all():
            raise ValueError("its std must be above 0")
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError("model_distance_damaged", path=path, reason=error) from error
    return FeatureDistance(**parts)


def _size(file: Any, name: str) -> list[int]:
    tensor = file.get_slice(name)
    if tensor.get_dtype() not in ("F32", "F16"):
        raise ValueError(f"its {name} is {tensor.get_dtype()}, not F32 or F16")
    return list(tensor.get_shape())


def _standardised(
    rows: NDArray[np.float32], mean: NDArray[np.float32], std: NDArray[np.float32]
) -> NDArray[np.float32]:
    return np.clip((rows - mean) / std, -LIMIT, LIMIT).astype(np.float32)
