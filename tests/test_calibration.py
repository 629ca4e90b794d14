"""Calibration on synthetic overconfident models, and on data that tries to break it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiollm.contracts.manifest import Calibration
from audiollm.errors import DataError
from audiollm.model.calibration import Kind, apply, fit, nll

CLASSES = ("angry", "happy", "neutral", "sad")


def _overconfident(clips: int, factor: float = 3.0, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Labels drawn from softmax(z); the model claims `factor` times those logits."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, (clips, len(CLASSES)))
    p = apply(z, CLASSES, Calibration())
    truth = [CLASSES[rng.choice(len(CLASSES), p=row)] for row in p]
    return z * factor, truth


def _nll(z: np.ndarray, truth: list[str], calibration: Calibration) -> float:
    return nll(z, np.array([CLASSES.index(t) for t in truth]), CLASSES, calibration)


def test_apply_by_hand() -> None:
    got = apply(np.log([[0.25, 0.75]]), ["a", "b"], Calibration(0.5, {"a": np.log(3)}))
    assert got == pytest.approx(np.array([[3 * 1 / 12, 9 / 12]]))
    assert got.dtype == np.float64


def test_temperature_is_found_and_helps_on_other_clips() -> None:
    z, truth = _overconfident(1000)
    found = fit(z, truth, CLASSES, fitted_on="synthetic/valid")
    assert found.temperature == pytest.approx(3, rel=0.15)
    assert found.shift == {} and found.fitted_on == "synthetic/valid"
    other, labels = _overconfident(1000, seed=1)
    assert _nll(other, labels, found) < _nll(other, labels, Calibration()) - 0.3


def test_affine_removes_a_class_bias() -> None:
    z, truth = _overconfident(1000)
    z = z + np.array([0.0, 6.0, 0.0, 0.0])  # the model loves happy
    plain, affine = fit(z, truth, CLASSES), fit(z, truth, CLASSES, "affine")
    assert affine.temperature == pytest.approx(3, rel=0.15)
    relative = affine.shift["happy"] - np.mean([affine.shift[n] for n in CLASSES if n != "happy"])
    assert relative == pytest.approx(-2, abs=0.3)
    assert _nll(z, truth, affine) < _nll(z, truth, plain) - 0.1


def test_few_clips_move_it_little() -> None:
    z, truth = _overconfident(4)
    found = fit(z, truth, CLASSES, "affine")
    assert 0.3 < found.temperature < 4
    assert all(abs(s) < 1.5 for s in found.shift.values())


def test_perfect_handful_does_not_become_certain() -> None:
    z = np.eye(4)
    found = fit(z, list(CLASSES), CLASSES)
    assert found.temperature > 0.2


def test_absent_class_keeps_no_shift() -> None:
    z, truth = _overconfident(200)
    rows = [i for i, t in enumerate(truth) if t != "sad"]
    found = fit(z[rows], [truth[i] for i in rows], CLASSES, "affine")
    assert set(found.shift) == {"angry", "happy", "neutral"}


@pytest.mark.parametrize("kind", ["temperature", "affine"])
@pytest.mark.parametrize("column", [-np.inf, 0.0, -1e6])
def test_constant_and_impossible_columns(kind: Kind, column: float) -> None:
    z, truth = _overconfident(60)
    z[:, 2] = column
    found = fit(z, truth, CLASSES, kind)
    got = apply(z, CLASSES, found)
    assert np.isfinite(got).all() and np.allclose(got.sum(-1), 1)
    assert _nll(z, truth, found) <= _nll(z, truth, Calibration()) + 1e-9


def test_nothing_to_learn_from() -> None:
    assert fit(np.zeros((0, 4)), [], CLASSES) == Calibration()
    hopeless = np.array([[-np.inf, 0.0, 0.0, 0.0]])
    assert fit(hopeless, ["angry"], CLASSES, "affine") == Calibration()
    assert apply(np.full(4, -np.inf), CLASSES, Calibration()) == pytest.approx([0.25] * 4)


logit = st.one_of(st.floats(-1e4, 1e4), st.just(-np.inf))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(logit, min_size=4, max_size=4), min_size=1, max_size=6),
    st.floats(0.05, 50),
    st.lists(st.floats(-10, 10), min_size=4, max_size=4),
)
def test_probabilities_sum_to_one(
    z: list[list[float]], temperature: float, shift: list[float]
) -> None:
    calibration = Calibration(temperature, dict(zip(CLASSES, shift, strict=True)))
    got = apply(np.array(z), CLASSES, calibration)
    assert (got >= 0).all() and np.abs(got.sum(-1) - 1).max() < 1e-12


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.floats(0.01, 100),
    st.sampled_from(["temperature", "affine"]),
    st.integers(0, 2**32 - 1),
)
def test_never_worse_than_without(clips: int, scale: float, kind: Kind, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(0, scale, (clips, 4))
    z[rng.random(z.shape) < 0.1] = -np.inf
    truth = rng.choice(CLASSES, clips).tolist()
    found = fit(z, truth, CLASSES, kind)
    assert _nll(z, truth, found) <= _nll(z, truth, Calibration()) + 1e-9


def test_shapes_of_any_rank() -> None:
    z = np.random.default_rng(0).normal(size=(2, 3, 4))
    got = apply(z, CLASSES, Calibration(2.0))
    assert got.shape == z.shape
    assert np.array_equal(got[1, 2], apply(z[1, 2], CLASSES, Calibration(2.0)))


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        apply(np.array([np.nan, 0, 0, 0]), CLASSES, Calibration())
    with pytest.raises(ValueError, match="last axis"):
        apply(np.zeros(3), CLASSES, Calibration())
    with pytest.raises(ValueError, match="expected"):
        fit(np.zeros((2, 4)), ["angry"], CLASSES)
    with pytest.raises(ValueError, match="kind"):
        fit(np.zeros((1, 4)), ["angry"], CLASSES, "isotonic")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="bored"):
        fit(np.zeros((1, 4)), ["bored"], CLASSES)
