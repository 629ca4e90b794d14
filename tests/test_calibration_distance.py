"""Calibration that knows how far a clip is from the training data, and how much it counts."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from audiollm.contracts.manifest import (
    Calibration,
    Calibrations,
    EncoderRef,
    Manifest,
    ProjectorConfig,
)
from audiollm.errors import ConfigError
from audiollm.model.calibration import FAR, NEAR, apply, calibrated, fit, nll

CLASSES = ("angry", "happy", "neutral", "sad")
LN2 = float(np.log(2))


def synthetic(
    clips: int, temperature: float, slope: float, seed: int = 0
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """(log-likelihoods, labels, distances): far clips are claimed too surely, by exp(slope)."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, (clips, len(CLASSES)))
    truth = [CLASSES[rng.choice(len(CLASSES), p=row)] for row in apply(z, CLASSES, Calibration())]
    distances = rng.uniform(0.5, 2.5, clips)
    far = np.clip((distances - NEAR) / (FAR - NEAR), 0, 1)
    return z * temperature * np.exp(slope * far)[:, None], truth, distances


def test_by_hand() -> None:
    z = np.log([[0.8, 0.2]])
    found = Calibration(temperature=1.0, slope=LN2)
    for distance, temperature in (
        (0.0, 1),
        (NEAR, 1),
        ((NEAR + FAR) / 2, 2**0.5),
        (FAR, 2),
        (100.0, 2),
    ):
        a, b = 0.8 ** (1 / temperature), 0.2 ** (1 / temperature)
        got = apply(z, ["a", "b"], found, np.array([distance]))
        assert got == pytest.approx(np.array([[a / (a + b), b / (a + b)]]))
    # the shift is the same near and far
    moved = Calibration(2.0, {"a": LN2}, slope=LN2)
    a, b = 2 * 0.8 ** (1 / 4), 0.2 ** (1 / 4)
    assert apply(z, ["a", "b"], moved, np.array([3.0]))[0, 0] == pytest.approx(a / (a + b))


@limits(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.1, 10))
def test_without_slope_distances_change_nothing(seed: int, temperature: float) -> None:
    z, _, distances = synthetic(8, 1, 0, seed)
    plain = Calibration(temperature)
    assert np.array_equal(apply(z, CLASSES, plain, distances), apply(z, CLASSES, plain))


@limits(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.05, 5), st.floats(0.2, 5))
def test_a_far_clip_is_answered_less_surely_and_alike(
    seed: int, slope: float, temperature: float
) -> None:
    z, _, _ = synthetic(8, 1, 0, seed)
    found = Calibration(temperature, slope=slope)
    tables = [apply(z, CLASSES, found, np.full(len(z), d)) for d in (0.9, 1.3, 1.7, 2.4)]
    sure = np.stack([table.max(1) for table in tables])
    assert (np.diff(sure, axis=0) <= 1e-12).all() and (sure[0] > sure[-1]).all()
    assert len({tuple(table.argmax(1)) for table in tables}) == 1
    assert np.allclose([table.sum(1) for table in tables], 1)


def test_temperature_and_slope_are_found() -> None:
    z, truth, distances = synthetic(4000, 2.0, 0.8)
    found = fit(z, truth, CLASSES, distances=distances)
    assert found.temperature == pytest.approx(2, rel=0.1)
    assert found.slope == pytest.approx(0.8, abs=0.12)
    other, labels, apart = synthetic(2000, 2.0, 0.8, seed=1)
    numbers = np.array([CLASSES.index(label) for label in labels])
    flat = fit(z, truth, CLASSES)
    assert nll(other, numbers, CLASSES, found, apart) < nll(other, numbers, CLASSES, flat)


def test_a_slope_that_would_make_far_clips_surer_stays_at_0() -> None:
    z, truth, distances = synthetic(2000, 2.0, -0.8)
    assert fit(z, truth, CLASSES, distances=distances).slope == 0
    z, truth, distances = synthetic(2000, 2.0, 0.8)
    assert fit(z, truth, CLASSES, distances=np.zeros(len(z))).slope == 0  # nothing is known of it


def penalised(z: np.ndarray, truth: list[str], far: np.ndarray, found: Calibration) -> float:
    """What `fit` makes least, by its description: the NLL of all clips and a prior of one."""
    numbers = np.array([CLASSES.index(label) for label in truth])
    prior = np.log(found.temperature) ** 2 + found.slope**2
    prior += sum(value**2 for value in found.shift.values())
    return len(z) * nll(z, numbers, CLASSES, found, far) + prior / 2


@pytest.mark.parametrize("kind", ["temperature", "affine"])
@pytest.mark.parametrize("seed", range(3))
def test_no_step_in_any_direction_is_better(kind: str, seed: int) -> None:
    """Finite differences around what was found: a wrong gradient would stop elsewhere."""
    z, truth, distances = synthetic(300, 2.0, 0.8, seed)
    z = z + np.array([0.0, 1.5, 0.0, 0.0])
    found = fit(z, truth, CLASSES, kind, distances=distances)  # type: ignore[arg-type]
    best = penalised(z, truth, distances, found)
    step = 1e-2
    changes = [
        Calibration(found.temperature * np.exp(sign * step), found.shift, slope=found.slope)
        for sign in (-1, 1)
    ]
    changes += [
        Calibration(found.temperature, found.shift, slope=found.slope + sign * step)
        for sign in (-1, 1)
    ]
    changes += [
        Calibration(found.temperature, found.shift | {name: value + sign * step}, slope=found.slope)
        for name, value in found.shift.items()
        for sign in (-1, 1)
    ]
    assert len(changes) == (12 if kind == "affine" else 4)
    assert all(penalised(z, truth, distances, change) >= best - 1e-6 for change in changes)


@limits(max_examples=15, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from(["temperature", "affine"]))
def test_weights_are_repetition(seed: int, kind: str) -> None:
    z, truth, distances = synthetic(60, 2.0, 0.8, seed)
    times = np.random.default_rng(seed).integers(1, 4, len(z))
    rows = np.repeat(np.arange(len(z)), times)
    weighted = fit(z, truth, CLASSES, kind, distances=distances, weights=times)  # type: ignore[arg-type]
    repeated = fit(z[rows], [truth[i] for i in rows], CLASSES, kind, distances=distances[rows])  # type: ignore[arg-type]
    # by the loss, not by the parameters: its minimum may be flat
    losses = [
        nll(z, np.array([CLASSES.index(t) for t in truth]), CLASSES, found, distances, times)
        for found in (weighted, repeated)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_a_clip_of_weight_0_says_nothing() -> None:
    z, truth, distances = synthetic(400, 2.0, 0.8)
    other, labels, apart = synthetic(400, 0.3, 0.0, seed=1)
    both = fit(
        np.concatenate([z, other]),
        truth + labels,
        CLASSES,
        distances=np.concatenate([distances, apart]),
        weights=np.r_[np.ones(400), np.zeros(400)],
    )
    alone = fit(z, truth, CLASSES, distances=distances)
    assert both.temperature == pytest.approx(alone.temperature, rel=1e-2)
    assert both.slope == pytest.approx(alone.slope, abs=1e-2)


def manifest(**given_: Any) -> Manifest:
    return Manifest(
        "m", EncoderRef("tiny", 4), ProjectorConfig(4, 8, pooling="utterance"), CLASSES, **given_
    )


def test_each_answer_gets_the_calibration_of_its_mode() -> None:
    z, _, distances = synthetic(5, 1, 0)
    plain, compared = Calibration(2.0, slope=1.0), Calibration(0.5, slope=0.3)
    on_baseline = [True, False, True, False, False]
    known = manifest(calibration=plain, baseline_calibration=compared)
    got = calibrated(z, known, on_baseline, distances)
    for row, own in enumerate(on_baseline):
        one = slice(row, row + 1)
        expected = apply(z[one], CLASSES, compared if own else plain, distances[one])
        np.testing.assert_allclose(got[one], expected)
    # a model that knows one calibration uses it for both
    alone = calibrated(z, manifest(calibration=plain), on_baseline, distances)
    np.testing.assert_allclose(alone, apply(z, CLASSES, plain, distances))


def test_without_a_measure_the_temperature_stands_alone() -> None:
    z, _, _ = synthetic(3, 1, 0)
    known = manifest(calibration=Calibration(2.0, slope=1.0))
    expected = apply(z, CLASSES, Calibration(2.0))
    for missing in (None, np.full(3, np.nan)):
        np.testing.assert_array_equal(calibrated(z, known, [False] * 3, missing), expected)


@pytest.mark.parametrize("slope", [-0.1, 10.5, float("nan")])
def test_a_slope_out_of_range_is_refused(slope: float) -> None:
    with pytest.raises(ConfigError) as caught:
        Calibration(slope=slope)
    assert caught.value.code == "option_range"
    assert Calibrations() == Calibrations(Calibration(), None)
