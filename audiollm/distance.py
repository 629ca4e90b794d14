"""How far a clip's features are from those of the training data: an out-of-distribution score.

Mahalanobis distance to the nearest corpus of the training data with one covariance for all (Lee et
al. 2018, arXiv 1807.03888), in the first principal components of the standardised utterance
features. Another language, room or microphone is farther away, and calibration then lowers the
confidence of the answer.

Shapes: N clips, U utterance features, K components, G corpora.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from audiollm.errors import ModelError

DISTANCE_NAME = "distance.safetensors"
COMPONENTS = 32
LIMIT = 6.0  # standardised features are clipped to +- this
RIDGE = 1e-3  # of the mean variance, added to the covariance


@dataclass(frozen=True, eq=False)
class FeatureDistance:
    """Root of the squared Mahalanobis distance per component: about 1 for training clips."""

    mean: NDArray[np.float32]  # [U]
    std: NDArray[np.float32]  # [U]
    components: NDArray[np.float32]  # [U, K]
    centres: NDArray[np.float32]  # [G, K]
    precision: NDArray[np.float32]  # [K, K] inverse of the covariance within corpora

    def __call__(self, utterances: NDArray[np.float32]) -> NDArray[np.float64]:
        """Utterance features [N, U] -> distances [N]."""
        projected = _standardised(utterances, self.mean, self.std) @ self.components  # [N, K]
        apart = projected[:, None] - self.centres  # [N, G, K]
        squared = np.einsum("ngi,ij,ngj->ng", apart, self.precision, apart, dtype=np.float64)
        nearest: NDArray[np.float64] = np.maximum(squared.min(1), 0)
        return np.sqrt(nearest / len(self.precision))

    def save(self, folder: Path) -> None:
        """Writes `distance.safetensors` into a model folder; components in half precision."""
        tensors = {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}
        tensors["components"] = tensors["components"].astype(np.float16)
        save_file(tensors, folder / DISTANCE_NAME)


def fit(rows: NDArray[np.float32], corpora: Sequence[str]) -> FeatureDistance:
    """The distance from training clips, with features [N, U], of the named corpora [N]."""
    from sklearn.decomposition import PCA

    mean, std = rows.mean(0), np.maximum(rows.std(0), 1e-4)
    z = _standardised(rows, mean, std)
    count = min(COMPONENTS, len(rows) - 1, rows.shape[1])
    found = PCA(count, svd_solver="randomized", random_state=0).fit(z)
    components = found.components_.T.astype(np.float16).astype(np.float32)  # as it is stored
    projected = z @ components
    names = np.array(corpora)
    known = sorted(set(corpora))
    centres = np.stack([projected[names == name].mean(0) for name in known])
    within = projected - centres[[known.index(name) for name in corpora]]
    covariance = np.atleast_2d(np.cov(within.T))
    ridge = RIDGE * np.trace(covariance) / count + 1e-9
    precision = np.linalg.inv(covariance + ridge * np.eye(count))
    parts = (mean, std, components, centres, precision)
    return FeatureDistance(*(part.astype(np.float32) for part in parts))


def read(folder: Path, width: int) -> FeatureDistance | None:
    """The distance of a model folder for utterance features `width` wide; None where it has none.

    Raises:
        ModelError: the file is damaged, or its tensors do not fit each other or the features.
    """
    path = folder / DISTANCE_NAME
    if not path.is_file():
        return None
    try:
        tensors = load_file(path)
        parts = {f.name: tensors[f.name].astype(np.float32) for f in fields(FeatureDistance)}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path} is damaged: copy the model again.") from error
    found = FeatureDistance(**parts)
    count = len(found.precision)
    shapes = {
        "mean": (width,),
        "std": (width,),
        "components": (width, count),
        "centres": (len(found.centres), count),
        "precision": (count, count),
    }
    for name, shape in shapes.items():
        tensor = parts[name]
        if tensor.shape != shape or not tensor.size or not np.isfinite(tensor).all():
            raise ModelError(
                f"{path} does not fit this model: {name} must hold finite numbers of shape "
                f"{list(shape)}, not {list(tensor.shape)}."
            )
    return found


def _standardised(
    rows: NDArray[np.float32], mean: NDArray[np.float32], std: NDArray[np.float32]
) -> NDArray[np.float32]:
    return np.clip((rows - mean) / std, -LIMIT, LIMIT).astype(np.float32)
