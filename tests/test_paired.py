"""Differences between sets of answers to the same clips."""

import numpy as np
import pytest

from train.evaluate.paired import REPLICATES, draws

TRUTH = ["angry"] * 60 + ["sad"] * 20
SPEAKERS = [f"s{i % 8}" for i in range(80)]
CLIPS = [str(i) for i in range(80)]


def test_figures_are_those_of_the_answers() -> None:
    before = ["angry"] * 80
    after = TRUTH[:70] + ["angry"] * 10
    found = draws(TRUTH, {"before": before, "after": after}, SPEAKERS, CLIPS)
    assert found.unit == "speakers" and found.ua["before"].shape == (1 + REPLICATES,)
    assert found.interval(found.ua["before"]).value == 0.5
    assert found.interval(found.wa["before"]).value == 0.75
    gain = found.interval(found.ua["after"] - found.ua["before"])
    assert gain.value == 0.25 and 0 < gain.low < 0.25 < gain.high < 0.5


def test_equal_answers_differ_by_nothing_however_they_are_drawn() -> None:
    answers = [TRUTH[i] if i % 3 else "sad" for i in range(80)]
    found = draws(TRUTH, {"a": answers, "b": list(answers)}, SPEAKERS, CLIPS)
    gap = found.interval(found.ua["a"] - found.ua["b"])
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)
    assert found.interval(found.ua["a"]).low < found.interval(found.ua["a"]).high


def test_few_speakers_cannot_be_drawn_and_a_clip_counts_once_however_often_answered() -> None:
    few = [s if s in ("s0", "s1") else "s2" for s in SPEAKERS]
    once = draws(TRUTH, {"a": ["angry"] * 80}, few, CLIPS)
    twice = draws(TRUTH * 2, {"a": ["angry"] * 160}, few * 2, CLIPS * 2)
    assert once.unit == twice.unit == "clips"
    assert np.allclose(once.wa["a"], twice.wa["a"])


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValueError, match="do not go together"):
        draws(TRUTH, {"a": ["sad"]}, SPEAKERS, CLIPS)
