"""Figures by hand on tiny cases, and what the intervals promise."""

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiollm.contracts.options import from_dict
from audiollm.errors import DataError
from audiollm.metrics import Metrics, report

CLASSES = ("angry", "happy", "sad")


def test_golden_values_by_hand() -> None:
    truth = ["angry", "angry", "angry", "angry", "happy", "happy"]
    answer = ["angry", "angry", "angry", "happy", "happy", "angry"]
    got = report(truth, answer, None, CLASSES)
    assert got.wa.value == pytest.approx(4 / 6)
    assert got.ua.value == pytest.approx((3 / 4 + 1 / 2) / 2)  # sad does not occur
    assert got.macro_f1.value == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert got.confusion == ((3, 1, 0), (1, 1, 0), (0, 0, 0))
    angry, happy, sad = got.per_class
    assert (angry.recall, angry.precision, angry.support) == (0.75, 0.75, 4)
    assert (happy.recall, happy.precision, happy.support) == (0.5, 0.5, 2)
    assert (sad.recall, sad.precision, sad.f1, sad.support) == (None, None, None, 0)
    assert (got.ece, got.nll, got.brier, got.aurc, got.reliability) == (None, None, None, None, ())


def test_probability_scores_by_hand() -> None:
    table = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    got = report(["a", "b", "b"], ["a", "a", "b"], table, ["a", "b"])
    assert got.nll == pytest.approx(-np.log([0.8, 0.4, 0.7]).mean())
    assert got.brier == pytest.approx((2 * 0.2**2 + 2 * 0.6**2 + 2 * 0.3**2) / 3)
    assert got.ece is not None
    assert got.ece.value == pytest.approx(abs(2 - (0.8 + 0.6 + 0.7)) / 3)  # one bin
    assert got.aurc == pytest.approx((0 + 0 + 1 / 3) / 3)
    assert got.reliability[0].confidence == pytest.approx(0.7)
    assert got.reliability[0].accuracy == pytest.approx(2 / 3)
    assert got.reliability[0].count == 3


def test_failures_count_as_wrong_everywhere_but_in_calibration() -> None:
    nan = [np.nan] * 3
    table = np.array([[1.0, 0, 0], nan, [0, 1.0, 0], nan])
    got = report(
        ["angry", "angry", "happy", "happy"], ["angry", None, "happy", None], table, CLASSES
    )
    assert (got.n, got.failures, got.scored) == (4, 2, 2)
    assert got.wa.value == got.ua.value == 0.5
    assert got.macro_f1.value == pytest.approx(2 / 3)  # precision 1, recall 0.5
    assert [c.failures for c in got.per_class] == [1, 1, 0]
    assert got.nll == pytest.approx(0)
    assert got.ece is not None and got.ece.value == 0


def test_all_failed() -> None:
    got = report(["angry", "sad"], [None, None], np.full((2, 3), np.nan), CLASSES)
    assert (got.failures, got.scored, got.wa.value, got.ua.value, got.ece) == (2, 0, 0, 0, None)


def test_reliability_bins_hold_equal_counts_and_ties_stay_together() -> None:
    rng = np.random.default_rng(0)
    top = rng.uniform(0.5, 1, 200)
    got = report(["a"] * 200, ["a"] * 200, np.stack([top, 1 - top], 1), ["a", "b"])
    assert [b.count for b in got.reliability] == [20] * 10
    flat = np.tile([0.9, 0.1], (200, 1))
    tied = report(["a", "b"] * 100, ["a"] * 200, flat, ["a", "b"])
    assert [b.count for b in tied.reliability] == [200]
    assert tied.ece is not None
    assert tied.ece.value == pytest.approx(0.4)


def _clustered(seed: int = 0) -> tuple[list[str], list[str | None], list[str]]:
    """20 speakers of 20 clips; half of the speakers are understood, half are not."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(CLASSES, 400).tolist()
    voices = [f"speaker {i // 20}" for i in range(400)]
    hit = rng.random(400) < np.where(np.arange(400) // 20 % 2, 0.95, 0.35)
    wrong = {"angry": "happy", "happy": "sad", "sad": "angry"}
    answer = [t if h else wrong[t] for t, h in zip(truth, hit, strict=True)]
    return truth, answer, voices


def test_speakers_are_resampled_and_widen_the_interval() -> None:
    truth, answer, voices = _clustered()
    clips = report(truth, answer, None, CLASSES)
    speakers = report(truth, answer, None, CLASSES, voices)
    assert (clips.ua.unit, speakers.ua.unit, speakers.speakers) == ("clips", "speakers", 20)
    assert clips.ua.value == speakers.ua.value
    for name in ("ua", "wa", "macro_f1"):
        narrow, wide = getattr(clips, name), getattr(speakers, name)
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_clip_interval_agrees_with_the_binomial() -> None:
    truth, answer, _ = _clustered()
    wa = report(truth, answer, None, CLASSES).wa
    spread = 1.96 * np.sqrt(wa.value * (1 - wa.value) / len(truth))
    assert wa.value - wa.low == pytest.approx(spread, rel=0.15)
    assert wa.high - wa.value == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("voices", [["x"] * 6, ["a", "b", "c", "d", "", ""], ["a", "b"] * 3])
def test_few_or_unknown_speakers_fall_back_to_clips(voices: list[str]) -> None:
    truth = ["angry", "happy", "sad"] * 2
    assert report(truth, truth, None, CLASSES, voices).wa.unit == "clips"


def test_seed_decides_the_interval() -> None:
    truth, answer, voices = _clustered()
    same = [report(truth, answer, None, CLASSES, voices, seed=3).ua for _ in range(2)]
    assert same[0] == same[1]
    assert report(truth, answer, None, CLASSES, voices, seed=4).ua != same[0]


def test_json_has_no_nan_and_reads_back() -> None:
    table = np.array([[0.5, 0.25, 0.25], [np.nan] * 3])
    got = report(["angry", "sad"], ["angry", None], table, CLASSES, ["x", "y"])
    text = json.dumps(got.to_dict(), allow_nan=False)
    assert from_dict(Metrics, json.loads(text)) == got
    assert set(got.short()) >= {"ua", "wa", "macro_f1", "n"}


def test_two_thousand_clips_take_under_a_second() -> None:
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.ones(8), 2000)
    names = [f"class {i}" for i in range(8)]
    answer: list[str | None] = [names[i] for i in table.argmax(1)]
    truth = rng.choice(names, 2000).tolist()
    report(truth[:10], answer[:10], table[:10], names)  # scikit-learn's import
    start = time.process_time()
    report(truth, answer, table, names, None)
    assert time.process_time() - start < 1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_every_interval_holds_its_value(clips: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"class {i}" for i in range(width)]
    table = rng.dirichlet(np.full(width, 0.3), clips)
    answer = [None if rng.random() < 0.1 else names[i] for i in table.argmax(1)]
    voices = [f"speaker {i}" for i in rng.integers(0, 8, clips)]
    got = report(rng.choice(names, clips).tolist(), answer, table, names, voices)
    json.dumps(got.to_dict(), allow_nan=False)
    for interval in (got.ua, got.wa, got.macro_f1, *([got.ece] if got.ece else [])):
        assert 0 <= interval.low <= interval.value <= interval.high
    rows = np.array(got.confusion).sum(1) + [c.failures for c in got.per_class]
    assert rows.tolist() == [c.support for c in got.per_class]
    assert sum(b.count for b in got.reliability) == got.scored == clips - got.failures


def test_wrong_input_is_refused() -> None:
    with pytest.raises(DataError, match="no clips"):
        report([], [], None, CLASSES)
    with pytest.raises(DataError, match="bored"):
        report(["bored"], ["angry"], None, CLASSES)
    with pytest.raises(ValueError, match="bored"):
        report(["angry"], ["bored"], None, CLASSES)
    with pytest.raises(ValueError, match="expected"):
        report(["angry"], ["angry"], np.ones((1, 2)) / 2, CLASSES)
    with pytest.raises(ValueError, match="sum to 1"):
        report(["angry"], ["angry"], np.ones((1, 3)), CLASSES)
    with pytest.raises(ValueError, match="predictions"):
        report(["angry"], [], None, CLASSES)
