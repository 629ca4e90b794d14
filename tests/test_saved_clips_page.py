"""Clips that people keep on the Analyse page and take back, beside the owner's queue."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiollm import audio
from audiollm.errors import LabelError
from audiollm.labelling.saved import SavedClips
from audiollm.labelling.store import LabelStore
from audiollm.labelling.tasks import Label, Task
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import compare, saved_clips
from audiollm.web.analyse.compare import PROBE
from audiollm.web.analyse.saved_clips import Evidence, Outcome
from audiollm.web.services import Services
from tests.browser.fake import SURE
from tests.conftest import RATE, voiced
from tests.test_compare import last, serve


@pytest.fixture
def clip(tmp_path: Path) -> str:
    path = tmp_path / "clip.wav"
    soundfile.write(path, voiced(1.5), RATE)
    return str(path)


def keep_clip(services: Services, clip: str | None, language: str = "en") -> Outcome:
    came = saved_clips.keep_clip(services, clip, language, lambda: True)  # type: ignore[arg-type]
    assert came is not None
    return came


def evaluated(home: Path, clip: str) -> Task:
    """The same sound is in the owner's queue already, from an evaluation."""
    sound = audio.load(clip)
    answer = {"sad": 0.9, "angry": 0.1}
    id = audio.content_hash(audio.load(clip))
    task = Task(
        id, clip, sound.seconds, "evaluation of tiny", "wrong", 1.0, "angry", "tiny", answer
    )
    LabelStore(home).add_tasks([task])
    return task


def test_nothing_is_kept_for_strangers(tmp_path: Path, clip: str) -> None:
    stranger = serve(tmp_path, host="0.0.0.0")  # noqa: S104
    seen = Evidence(clip, "kept", "tiny", SURE)
    assert saved_clips.keep(stranger, seen, "en").id == ""
    assert keep_clip(stranger, clip).id == ""
    assert last(compare.compare(stranger, clip, PROBE, None, "en")).evidence is None
    saved_clips.forget(stranger, "anything", "en")
    assert not (tmp_path / "home").exists()


def test_what_strangers_may_keep_waits_outside_of_the_queue(tmp_path: Path, clip: str) -> None:
    stranger = serve(tmp_path, host="0.0.0.0")  # noqa: S104
    stranger.settings = replace(stranger.settings, keep=True)
    home = stranger.settings.home
    task = evaluated(home, clip)
    came = keep_clip(stranger, clip)
    assert came.id and text("is_kept", "en") in came.message
    assert LabelStore(home).tasks() == [task]
    assert saved_clips.forget(stranger, came.id, "en") == Outcome(
        render.notice(text("is_forgotten", "en"), "wait")
    )
    assert LabelStore(home).tasks() == [task]
    assert SavedClips(home).all() == []


def test_a_clip_is_kept_with_its_answer_and_stands_in_the_queue(tmp_path: Path, clip: str) -> None:
    made = serve(tmp_path)
    came = keep_clip(made, clip, "zh")
    (kept,) = SavedClips(made.settings.home).all()
    assert (kept.id, kept.reason, kept.answer) == (came.id, "kept", pytest.approx(SURE))
    (task,) = LabelStore(made.settings.home).tasks()
    assert (task.source, task.reason, task.path) == ("analyse", "sent", str(kept.path))
    assert text("is_queued", "zh") in came.message
    assert keep_clip(made, None).id == ""
    assert "missing.wav" in keep_clip(made, "missing.wav").message


def test_a_task_from_elsewhere_survives_keeping_and_taking_back(tmp_path: Path, clip: str) -> None:
    made = serve(tmp_path)
    task = evaluated(made.settings.home, clip)
    came = keep_clip(made, clip)
    assert LabelStore(made.settings.home).tasks() == [task]
    assert saved_clips.forget(made, came.id, "en").id == ""
    assert LabelStore(made.settings.home).tasks() == [task]


def test_what_somebody_has_labelled_stays(tmp_path: Path, clip: str) -> None:
    made = serve(tmp_path)
    came = keep_clip(made, clip)
    labels = LabelStore(made.settings.home)
    (task,) = labels.tasks()
    labels.add_label(Label(task.id, "Ann", "sad"))
    left = saved_clips.forget(made, came.id, "en")
    assert left.id == came.id and text("is_labelled", "en") in left.message
    assert Path(task.path).is_file()
    assert len(SavedClips(made.settings.home).all()) == 1


def test_a_clip_that_cannot_be_queued_is_not_kept_either(
    tmp_path: Path, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise LabelError("make room")

    made = serve(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(LabelStore, "add_tasks", full)
        came = keep_clip(made, clip)
        assert "make room" in came.message and not came.id
        assert SavedClips(made.settings.home).all() == []
    before = keep_clip(made, clip)
    monkeypatch.setattr(LabelStore, "add_tasks", full)
    assert not keep_clip(made, clip).id
    assert [kept.id for kept in SavedClips(made.settings.home).all()] == [before.id]


def test_a_long_recording_is_refused_before_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, np.tile(voiced(2.0), 61), RATE)
    made = serve(tmp_path)
    came = saved_clips.keep(made, Evidence(str(path), "kept", "tiny", SURE), "zh")
    assert "120" in came.message and "只能" in came.message and not came.id
    assert not (tmp_path / "home").exists()


def test_a_fault_is_a_sentence(tmp_path: Path, clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SavedClips, "add", lambda *_: 1 / 0)
    assert text("keep_bug", "en") in keep_clip(serve(tmp_path), clip).message


def test_nobody_keeps_what_nobody_looks_at_any_more(tmp_path: Path, clip: str) -> None:
    made = serve(tmp_path)
    assert saved_clips.keep_clip(made, clip, "en", lambda: False) is None
    assert not (tmp_path / "home").exists()
