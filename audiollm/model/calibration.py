"""Calibration of class probabilities: temperature, its growth with distance, per-class shift.

Fitted on speakers that neither training nor the test has seen. Guo et al. 2017, arXiv 1706.04599.
A clip far from the training data (`distance`) gets a higher temperature, so lower confidence.

Shapes: N clips, C classes.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from audiollm.contracts.manifest import Calibration, Manifest
from audiollm.errors import DataError

Kind = Literal["temperature", "affine"]

TEMPERATURES = (
    0.05,
    50.0,
)  # a handful of clips that are all right or all wrong would give 0 or infinity
_LOG_TEMPERATURE_SPREAD = 1.0  # prior: within a factor of e of 1, most of the time
_SHIFT_SPREAD = 1.0  # prior of a class's shift, nats
_SLOPE_SPREAD = 1.0  # prior of the growth of the log temperature with distance
NEAR, FAR = 0.85, 1.15  # distances from which and up to which the temperature grows


def apply(
    log_likelihoods: np.ndarray,
    classes: Sequence[str],
    calibration: Calibration,
    distances: np.ndarray | None = None,
) -> np.ndarray:
    """softmax(z / T + shift) over the last axis: [..., C] -> [..., C] float64.

    `distances` [...] from the training data, of `FeatureDistance`; without them T is the
    temperature itself. A class with log-likelihood -inf gets 0; a row of nothing else is uniform.

    Raises:
        ValueError: NaN or +inf, or another number of classes.
    """
    z = _checked(log_likelihoods, len(classes))
    shift = np.array([calibration.shift.get(name, 0.0) for name in classes])
    temperature: float | np.ndarray = calibration.temperature
    if distances is not None:
        temperature = temperature * np.exp(calibration.slope * _far(distances))[..., None]
    return np.exp(_log_softmax(z / temperature + shift))


def calibrated(
    log_likelihoods: np.ndarray,
    manifest: Manifest,
    on_baseline: Sequence[bool],
    distances: np.ndarray | None = None,
) -> np.ndarray:
    """Probabilities [N, C] by the calibrations of a model: one for the answers that rest on a
    speaker baseline, one for the others. NaN in `distances` [N] stands for not measured."""
    measured = None
    if distances is not None and np.isfinite(distances).all():
        measured = distances
    table = apply(log_likelihoods, manifest.labels, manifest.calibration, measured)
    rows = np.flatnonzero(on_baseline)
    if len(rows) and (other := manifest.baseline_calibration) is not None:
        apart = None if measured is None else measured[rows]
        table[rows] = apply(log_likelihoods[rows], manifest.labels, other, apart)
    return table


def fit(
    log_likelihoods: np.ndarray,
    y_true: Sequence[str],
    classes: Sequence[str],
    kind: Kind = "temperature",
    fitted_on: str = "",
    distances: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> Calibration:
    """The calibration with the least NLL on these clips, held near identity by a weak prior.

    The prior weighs as much as one clip or so: it decides for a handful of clips and is
    forgotten over hundreds. A class that does not occur keeps a shift of 0, since nothing is
    known of it. NLL on these clips is never worse than without calibration.

    Args:
        log_likelihoods: [N, C], nats; -inf allowed.
        y_true: [N] class names.
        kind: `temperature` keeps every decision; `affine` also shifts classes, which may
            change decisions and takes over the class frequencies of these clips.
        fitted_on: which data and split, for the record.
        distances: [N] from the training data; with them the slope is fitted too.
        weights: [N] how much each clip counts; all alike unless given.

    Raises:
        DataError: a label that is not among `classes`.
        ValueError: NaN or +inf, shapes that do not fit, unknown kind.
    """
    if kind not in ("temperature", "affine"):
        raise ValueError(f"kind must be temperature or affine, not {kind!r}")
    names = tuple(classes)
    z = _checked(log_likelihoods, len(names))
    if z.shape != (len(y_true), len(names)):
        raise ValueError(f"log-likelihoods are {z.shape}, expected {(len(y_true), len(names))}")
    strange = sorted(set(y_true) - set(names))
    if strange:
        raise DataError("metrics_unknown_label", label=strange[0], classes=", ".join(names))
    truth = np.array([names.index(label) for label in y_true], dtype=int)
    # No temperature can repair a true class that was given probability 0.
    usable = np.isfinite(z[np.arange(len(truth)), truth])
    z, truth = _log_softmax(z[usable]), truth[usable]
    counts = np.ones(len(z)) if weights is None else np.asarray(weights, np.float64)[usable]
    far = None if distances is None else _far(np.asarray(distances, np.float64)[usable])
    identity = Calibration(fitted_on=fitted_on)
    if not len(truth):
        return identity
    shifted = np.unique(truth) if kind == "affine" else np.zeros(0, dtype=int)
    t, slope, shift = _minimise(z, truth, shifted, far, counts)
    fitted = Calibration(
        temperature=float(np.exp(t)),
        slope=slope,
        shift={names[i]: float(shift[i]) for i in shifted} if kind == "affine" else {},
        fitted_on=fitted_on,
    )
    apart = None if distances is None else np.asarray(distances)[usable]
    better = nll(z, truth, names, fitted, apart, counts) <= nll(
        z, truth, names, identity, apart, counts
    )
    return fitted if better else identity


def nll(
    log_likelihoods: np.ndarray,
    truth: np.ndarray,
    classes: Sequence[str],
    calibration: Calibration,
    distances: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> float:
    """Mean negative log-likelihood in nats of the class numbers `truth` [N]."""
    probabilities = apply(log_likelihoods, classes, calibration, distances)
    probability = probabilities[np.arange(len(truth)), truth]
    losses = -np.log(np.maximum(probability, np.finfo(np.float64).tiny))
    return float(np.average(losses, weights=weights))


def _minimise(
    z: np.ndarray,
    truth: np.ndarray,
    shifted: np.ndarray,
    far: np.ndarray | None,
    counts: np.ndarray,
) -> tuple[float, float, np.ndarray]:
    """log temperature, slope and shift [C] of the most probable calibration."""
    from scipy.optimize import minimize

    rows = np.arange(len(truth))
    target = np.zeros_like(z)
    target[rows, truth] = 1
    finite = np.where(np.isfinite(z), z, 0.0)  # its probability is 0: it never enters a product
    u = np.zeros(len(z)) if far is None else far  # [N]

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        t, slope, shift = x[0], x[1], np.zeros(z.shape[1])
        shift[shifted] = x[2:]
        inverse = np.exp(-t - slope * u)  # [N] of the temperature
        log_p = _log_softmax(z * inverse[:, None] + shift)
        excess = (np.exp(log_p) - target) * counts[:, None]  # [N, C], gradient of each logit
        prior = (
            t**2 / _LOG_TEMPERATURE_SPREAD**2
            + slope**2 / _SLOPE_SPREAD**2
            + np.square(shift).sum() / _SHIFT_SPREAD**2
        )
        cooled = -(excess * finite).sum(1) * inverse  # [N], gradient of each log temperature
        gradient_t = cooled.sum() + t / _LOG_TEMPERATURE_SPREAD**2
        gradient_slope = (cooled * u).sum() + slope / _SLOPE_SPREAD**2
        gradient_shift = excess.sum(0)[shifted] + x[2:] / _SHIFT_SPREAD**2
        value = -(counts * log_p[rows, truth]).sum() + prior / 2
        gradient = np.concatenate([[gradient_t, gradient_slope], gradient_shift])
        return value / len(truth), gradient / len(truth)

    steep = (0.0, 0.0) if far is None else (0.0, 5.0)
    bounds = [tuple(np.log(TEMPERATURES)), steep, *[(-20.0, 20.0)] * len(shifted)]
    start = np.zeros(2 + len(shifted))
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    shift = np.zeros(z.shape[1])
    shift[shifted] = best[2:]
    return float(best[0]), float(best[1]), shift


def _far(distances: np.ndarray) -> np.ndarray:
    """0 up to NEAR, 1 from FAR on, linear between."""
    return np.clip((np.asarray(distances, np.float64) - NEAR) / (FAR - NEAR), 0.0, 1.0)


def _checked(log_likelihoods: np.ndarray, width: int) -> np.ndarray:
    z = np.asarray(log_likelihoods, dtype=np.float64)
    if z.ndim == 0 or z.shape[-1] != width:
        raise ValueError(f"log-likelihoods are {z.shape}, expected the last axis to be {width}")
    if np.isnan(z).any() or np.isposinf(z).any():
        raise ValueError("log-likelihoods hold NaN or +inf")
    return z


def _log_softmax(z: np.ndarray) -> np.ndarray:
    """[..., C] -> [..., C]; a row of -inf alone becomes uniform."""
    top = z.max(axis=-1, keepdims=True)
    z = np.where(np.isneginf(top), 0.0, z - np.where(np.isneginf(top), 0.0, top))
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
