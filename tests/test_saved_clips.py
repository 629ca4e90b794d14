"""Saved clips: on the disk, once, and deleted with their row."""

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiollm import audio
from audiollm.audio import Sound
from audiollm.errors import DataError
from audiollm.labelling import saved
from audiollm.labelling.saved import SavedClips

ANSWER = {"angry": 0.25, "sad": 0.75}


def sound(seed: int = 0) -> Sound:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(16000)
    return audio.from_array(samples.astype(np.float32), 16000)


def test_a_kept_clip_is_there_for_the_next_program(tmp_path: Path) -> None:
    id = SavedClips(tmp_path).add(sound(), "disagreement", "tiny", ANSWER, "encoder", {"sad": 1.0})
    (found,) = SavedClips(tmp_path).all()
    assert (found.id, found.reason, found.model, found.other_model) == (
        id,
        "disagreement",
        "tiny",
        "encoder",
    )
    assert (found.answer, found.other_answer, found.seconds) == (ANSWER, {"sad": 1.0}, 1.0)
    assert found.id == audio.content_hash(audio.load(found.path))  # the id of its label task
    assert not list(tmp_path.rglob("*.part"))


def test_a_sound_is_kept_once_and_forgotten_wholly(tmp_path: Path) -> None:
    clips = SavedClips(tmp_path)
    first = clips.add(sound(), "kept", "tiny", ANSWER)
    assert clips.add(sound(), "disagreement", "tiny", ANSWER, "other", ANSWER) == first
    assert clips.add(sound(1), "kept", "tiny", ANSWER) != first
    assert [k.reason for k in clips.all() if k.id == first] == ["disagreement"]
    clips.remove(first)
    clips.remove("nothing of that name")
    assert len(clips.all()) == len(list(clips.folder.iterdir())) == 1


def test_many_may_keep_at_once(tmp_path: Path) -> None:
    SavedClips(tmp_path)
    threads = [
        threading.Thread(
            target=lambda i=i: SavedClips(tmp_path).add(sound(i), "kept", "tiny", ANSWER)
        )
        for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(SavedClips(tmp_path).all()) == 12


def test_a_file_that_goes_away_while_it_is_counted_stops_nobody(tmp_path: Path) -> None:
    """As the part of another visitor's clip does; a link to nothing stands for it."""
    clips = SavedClips(tmp_path)
    (clips.folder / "other.part").symlink_to(tmp_path / "gone")
    clips.add(sound(), "kept", "tiny", ANSWER)
    assert len(clips.all()) == 1


def test_two_visitors_may_keep_the_same_sound_at_once(tmp_path: Path) -> None:
    clips, together = SavedClips(tmp_path), threading.Barrier(8)
    failures: list[Exception] = []

    def keep() -> None:
        together.wait()
        try:
            clips.add(sound(), "kept", "tiny", ANSWER)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=keep) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [clip.path for clip in clips.all()] == list(clips.folder.iterdir())


def test_a_full_disk_is_a_sentence_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = SavedClips(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(DataError) as refused:
        clips.add(sound(), "kept", "tiny", ANSWER)
    assert refused.value.code == "saved_failed"
    assert not list(clips.folder.iterdir())
    assert clips.all() == []


def test_there_is_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = SavedClips(tmp_path)
    clips.add(sound(), "kept", "tiny", ANSWER)
    monkeypatch.setattr(saved, "MAX_BYTES", 10)
    with pytest.raises(DataError) as refused:
        clips.add(sound(1), "kept", "tiny", ANSWER)
    assert refused.value.code == "saved_limit"
