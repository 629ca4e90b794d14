"""A sound file on its way in: progress, and large files one after the other."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiollm.audio import prosody
from audiollm.audio.steps import drained, told
from audiollm.errors import AudioError
from audiollm.settings import Settings
from audiollm.web.analyse import hearing
from audiollm.web.analyse.hearing import hear
from audiollm.web.services import Services
from tests.conftest import RATE, voiced


@pytest.fixture
def services() -> Services:
    return Services(Settings(), Future())


@pytest.fixture
def long(tmp_path: Path) -> str:
    path = tmp_path / "long.flac"
    soundfile.write(path, np.tile(voiced(2.0), 20), RATE)
    return str(path)


def test_a_file_is_read_then_measured(
    services: Services, long: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "PAUSE", 0.0)
    monkeypatch.setattr(prosody, "BLOCK", 1000)
    steps: list[float | None] = []
    heard = drained(told(hear(services, long), steps.append))
    assert heard.sound.seconds == 40
    assert heard.cues().seconds == pytest.approx(40)
    reading = steps.count(None)
    assert reading > 1
    assert steps[:reading] == [None] * reading
    assert steps[reading:] == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.01)


def test_what_comes_quickly_is_not_told(services: Services, long: str) -> None:
    steps: list[Any] = []
    drained(told(hear(services, long), steps.append))
    assert len(steps) <= 2


def test_a_large_file_waits_for_another(
    services: Services, long: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "LARGE", 1000.0)
    monkeypatch.setattr(hearing, "PAUSE", 0.01)
    with services.large:
        waiting = hear(services, long)
        assert next(waiting) is None
        waiting.close()  # whoever leaves meanwhile takes nothing
        waiting = hear(services, long)
        assert next(waiting) is None
    assert drained(waiting).sound.seconds == 40
    assert not services.large.locked()
    monkeypatch.setattr(hearing, "PAUSE", 0.0)
    left = hear(services, long)
    next(left)
    assert services.large.locked()
    left.close()
    assert not services.large.locked()


def test_an_unusable_file_frees_the_way(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "LARGE", 10.0)
    path = tmp_path / "notes.wav"
    path.write_text("These are words, not sound.")
    with pytest.raises(AudioError):
        drained(hear(services, str(path)))
    assert not services.large.locked()
    with pytest.raises(AudioError, match="does not exist"):
        drained(hear(services, str(tmp_path / "none.wav")))
