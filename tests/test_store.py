"""What is kept is on the disk, once, and can be taken back."""

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiollm import database
from audiollm.database import Store
from audiollm.errors import DataError

ANSWER = {"angry": 0.25, "sad": 0.75}


def sound(seed: int = 0, size: int = 16000) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(size)).astype(np.float32)


def test_a_kept_clip_is_there_for_the_next_program(tmp_path: Path) -> None:
    id = Store(tmp_path).keep(sound(), "disagreement", "tiny", ANSWER, "encoder", {"sad": 1.0})
    (found,) = Store(tmp_path).kept()
    assert (found.id, found.reason, found.model, found.other_model) == (
        id,
        "disagreement",
        "tiny",
        "encoder",
    )
    assert (found.answer, found.other_answer, found.seconds) == (ANSWER, {"sad": 1.0}, 1.0)
    heard, rate = soundfile.read(found.path)
    assert rate == 16000
    assert np.abs(heard - sound()).max() < 1e-4
    assert not list(tmp_path.rglob("*.part"))


def test_a_sound_is_kept_once_and_forgotten_wholly(tmp_path: Path) -> None:
    kept = Store(tmp_path)
    first = kept.keep(sound(), "kept", "tiny", ANSWER)
    assert kept.keep(sound(), "disagreement", "tiny", ANSWER, "other", ANSWER) == first
    assert kept.keep(sound(1), "kept", "tiny", ANSWER) != first
    assert [k.reason for k in kept.kept() if k.id == first] == ["disagreement"]
    kept.forget(first)
    kept.forget("nothing of that name")
    assert len(kept.kept()) == len(list(kept.folder.iterdir())) == 1


def test_many_may_keep_at_once(tmp_path: Path) -> None:
    Store(tmp_path)
    threads = [
        threading.Thread(target=lambda i=i: Store(tmp_path).keep(sound(i), "kept", "tiny", ANSWER))
        for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Store(tmp_path).kept()) == 12


def test_a_file_that_goes_away_while_it_is_counted_stops_nobody(tmp_path: Path) -> None:
    """As the part of another visitor's clip does; a link to nothing stands for it."""
    kept = Store(tmp_path)
    (kept.folder / "other.part").symlink_to(tmp_path / "gone")
    kept.keep(sound(), "kept", "tiny", ANSWER)
    assert len(kept.kept()) == 1


def test_two_visitors_may_keep_the_same_sound_at_once(tmp_path: Path) -> None:
    kept, together = Store(tmp_path), threading.Barrier(8)
    failures: list[Exception] = []

    def keep() -> None:
        together.wait()
        try:
            kept.keep(sound(), "kept", "tiny", ANSWER)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=keep) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [clip.path for clip in kept.kept()] == list(kept.folder.iterdir())


def test_a_full_disk_is_a_sentence_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Store(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(DataError, match="make room"):
        kept.keep(sound(), "kept", "tiny", ANSWER)
    assert not list(kept.folder.iterdir())
    assert kept.kept() == []


def test_there_is_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Store(tmp_path)
    kept.keep(sound(), "kept", "tiny", ANSWER)
    monkeypatch.setattr(database, "MAX_KEPT", 10)
    with pytest.raises(DataError, match="before more is kept"):
        kept.keep(sound(1), "kept", "tiny", ANSWER)


def test_an_old_database_is_brought_up_and_a_newer_one_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "audiollm.db"):
        pass  # version 0: an empty file
    assert Store(tmp_path).kept() == []
    with sqlite3.connect(tmp_path / "audiollm.db") as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(database.MIGRATIONS)
        db.execute("PRAGMA user_version=99")
    with pytest.raises(DataError, match="99"):
        Store(tmp_path)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(DataError, match="AUDIOLLM_HOME"):
        Store(tmp_path / "home")
