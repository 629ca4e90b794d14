"""The load test notices what is lost, mixed up or refused; its sounds are those that it says."""

from pathlib import Path
from typing import Any

import pytest

from bench import load

GOOD, BAD = load.Asked(Path("a.wav"), 1.5, ""), load.Asked(Path("b.wav"), 0.0, "b.wav is silent.")


def answered(seconds: float) -> dict[str, Any]:
    return {"success": True, "output": {"data": [{"seconds": seconds}]}}


def failed(sentence: str) -> dict[str, Any]:
    return {"success": False, "output": {"error": sentence}}


@pytest.mark.parametrize(
    ("asked", "answer", "outcome"),
    [
        (GOOD, answered(1.5), ""),
        (GOOD, answered(1.499), "mixed up"),
        (GOOD, failed("b.wav is silent."), "refused"),
        (GOOD, {}, "lost"),
        (BAD, failed("b.wav is silent."), ""),
        (BAD, failed("a.wav is silent."), "mixed up"),
        (BAD, answered(1.5), "mixed up"),
        (BAD, {}, "lost"),
    ],
)
def test_an_answer_is_compared(asked: load.Asked, answer: dict[str, Any], outcome: str) -> None:
    assert load.compared(asked, answer).partition(":")[0] == outcome


def test_growth_is_that_after_the_warm_up() -> None:
    assert load.grown([100, 500, 1000, 1200, 1100]) == pytest.approx(
        {"growth": 0.1, "highest": 0.2}
    )


@pytest.mark.slow
def test_every_fourth_sound_cannot_be_used_and_no_two_are_alike(tmp_path: Path) -> None:
    made = load.sounds(tmp_path, 32)  # each way to spoil one
    assert [bool(one.refusal) for one in made] == [number % load.BAD == 0 for number in range(32)]
    assert all(bool(one.seconds) != bool(one.refusal) for one in made)
    said = [one.refusal or round(one.seconds, 3) for one in made]
    assert len(set(said)) == len(said)
