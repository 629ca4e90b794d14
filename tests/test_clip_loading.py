"""A sound file on its way in: progress, and large files one after the other."""

from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import soundfile

from audiollm.audio import prosody
from audiollm.errors import AudioError
from audiollm.settings import Settings
from audiollm.web.analyse import clip_loading
from audiollm.web.analyse.clip_loading import LARGE_FILES, load_clip
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


def test_a_large_file_waits_for_another(long: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_loading, "LARGE", 1000.0)
    monkeypatch.setattr(clip_loading, "PAUSE", 0.01)
    loaded: list[float] = []
    steps: list[float | None] = []
    with LARGE_FILES:
        with pytest.raises(Cancelled):  # whoever leaves meanwhile takes nothing
            load_clip(long, Settings(), cancel)
        assert LARGE_FILES.locked()
        other = Thread(
            target=lambda: loaded.append(load_clip(long, Settings(), steps.append).sound.seconds)
        )
        other.start()
        while not steps:
            other.join(0.01)
        assert steps[0] is None and not loaded
    other.join(60)
    assert loaded == [40]
    assert not LARGE_FILES.locked()
    monkeypatch.setattr(clip_loading, "PAUSE", 0.0)
    with pytest.raises(Cancelled):
        load_clip(long, Settings(), cancel)
    assert not LARGE_FILES.locked()


def test_an_unusable_file_frees_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_loading, "LARGE", 10.0)
    path = tmp_path / "notes.wav"
    path.write_text("These are words, not sound.")
    for name in (path, tmp_path / "none.wav"):
        with pytest.raises(AudioError):
            load_clip(str(name), Settings())
        assert not LARGE_FILES.locked()
