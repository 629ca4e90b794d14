"""A sound file on its way in: progress, and large files one after the other."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiollm.audio import prosody
from audiollm.errors import AudioError
from audiollm.settings import Settings
from audiollm.web import turns
from audiollm.web.analyse import clip_loading
from audiollm.web.analyse.clip_loading import HEAVY_FILES, Report, load_clip, load_sound
from audiollm.web.events import Cancelled
from tests.conftest import RATE, voiced


@pytest.fixture
def long(tmp_path: Path) -> str:
    path = tmp_path / "long.flac"
    soundfile.write(path, np.tile(voiced(2.0), 20), RATE)
    return str(path)


def cancel(_: float | None) -> None:
    raise Cancelled


def test_a_file_is_read_then_measured(long: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_loading, "PAUSE", 0.0)
    monkeypatch.setattr(prosody, "BLOCK", 1000)
    steps: list[float | None] = []
    clip = load_clip(long, Settings(), steps.append)
    assert clip.sound.seconds == 40
    assert clip.cues().seconds == pytest.approx(40)
    reading = steps.count(None)
    assert reading > 1
    assert steps[:reading] == [None] * reading
    assert steps[reading:] == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.01)


def test_reports_do_not_follow_each_other_too_soon(long: str) -> None:
    steps: list[float | None] = []
    load_clip(long, Settings(), steps.append)
    assert len(steps) <= 2


def busy() -> bool:
    return bool(HEAVY_FILES._running)


@pytest.mark.parametrize("limit", ["LARGE", "HEAVY"])
@pytest.mark.parametrize("way", ["page", "api"])
def test_a_large_file_waits_for_another(
    long: str, limit: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its bytes, or by what comes out of them."""
    monkeypatch.setattr(clip_loading, limit, 2)
    monkeypatch.setattr(clip_loading, "PAUSE", 0.0)
    monkeypatch.setattr(turns, "TOLD", 0.01)
    steps: list[float | None] = []
    answers = turns.Turns(1)

    def load(report: Report, lent: turns.Lent = nullcontext) -> float:
        if way == "page":
            return load_clip(long, Settings(), report, lent).sound.seconds
        return load_sound(Path(long), Settings(), report, lent).seconds

    def other() -> float:
        with answers.take() as lent:
            return load(steps.append, lent)

    with ThreadPoolExecutor(1) as threads:
        with HEAVY_FILES.take():
            with pytest.raises(Cancelled):  # whoever leaves meanwhile takes nothing
                load(cancel)
            assert busy()
            future = threads.submit(other)
            while HEAVY_FILES.waiting == 0:
                assert not future.done()
                time.sleep(0.01)
            with answers.take():  # it has lent its turn
                assert not future.done()
        assert future.result(60) == 40
    assert not busy()
    with pytest.raises(Cancelled):
        load(cancel)
    assert not busy()


def test_an_unusable_file_frees_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_loading, "LARGE", 10.0)
    path = tmp_path / "notes.wav"
    path.write_text("These are words, not sound.")
    for name in (path, tmp_path / "none.wav"):
        with pytest.raises(AudioError):
            load_clip(str(name), Settings())
        assert not busy()
