"""The database of the home folder: migrations, and who waits for whom."""

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from audiollm import database
from audiollm.database import MIGRATIONS, Database
from audiollm.errors import DataError
from audiollm.labelling.saved import SavedClips


@pytest.fixture(params=["delete", "wal"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database in either journal mode; the first is that of new ones."""
    made = Database(tmp_path)
    with sqlite3.connect(made.path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
        db.execute(f"PRAGMA journal_mode={request.param}")
    return made


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than this for a lock, so that waiting fails."""
    monkeypatch.setattr(database, "TIMEOUT", 0.0)


def rows(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT COUNT(*) FROM jobs").fetchone()[0])


def insert(db: sqlite3.Connection, id: str) -> None:
    db.execute("INSERT INTO jobs VALUES (?,'','','',0,0,'','','','')", (id,))


def test_a_reader_does_not_wait_for_a_writer(opened: Database) -> None:
    with opened.write() as writer:
        insert(writer, "a")
        Database(opened.path.parent)  # opening it is a read, too
        with opened.read() as reader:
            assert rows(reader) == 0  # what is not committed is not seen
    with opened.read() as reader:
        assert rows(reader) == 1


def test_a_writer_does_not_wait_for_a_reader(opened: Database) -> None:
    with opened.read() as reader:
        assert rows(reader) == 0
        with sqlite3.connect(opened.path) as db:
            wal = db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        if wal:
            with opened.write() as writer:
                insert(writer, "a")
        else:  # it begins and writes; only its commit waits until the reader has ended
            with pytest.raises(sqlite3.OperationalError, match="locked"), opened.write() as writer:
                insert(writer, "a")
        assert rows(reader) == 0  # a snapshot
    with opened.write() as writer:
        insert(writer, "b")
    with opened.read() as reader:
        assert rows(reader) == 1 + wal


def test_a_commit_waits_for_the_end_of_a_read(
    opened: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "TIMEOUT", 30.0)
    written = threading.Event()

    def write() -> None:
        with opened.write() as db:
            insert(db, "a")
            written.set()

    with opened.read() as reader:
        rows(reader)
        thread = threading.Thread(target=write)
        thread.start()
        assert written.wait(10)
        time.sleep(0.1)
    thread.join(10)
    with opened.read() as reader:
        assert rows(reader) == 1


def test_a_read_cannot_write_and_a_failed_write_leaves_nothing(opened: Database) -> None:
    with pytest.raises(sqlite3.OperationalError), opened.read() as db:
        insert(db, "a")
    with pytest.raises(ZeroDivisionError), opened.write() as db:
        insert(db, "a")
        raise ZeroDivisionError
    with opened.read() as db:
        assert rows(db) == 0


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_a_database_of_every_older_version_is_migrated(tmp_path: Path, version: int) -> None:
    values = ("x", "x.flac", 1.0, "kept", "tiny", "{}", "", "{}", "2026-01-01")
    with sqlite3.connect(tmp_path / "audiollm.db") as db:  # version 0: an empty file
        for script in MIGRATIONS[:version]:
            db.executescript(script)
        if version:
            db.execute("INSERT INTO kept VALUES (?,?,?,?,?,?,?,?,?)", values)
        db.execute(f"PRAGMA user_version={version}")
    assert [clip.id for clip in SavedClips(tmp_path).all()] == ["x"] * (version > 0)
    with sqlite3.connect(tmp_path / "audiollm.db") as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    Database(tmp_path)
    with sqlite3.connect(tmp_path / "audiollm.db") as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(DataError) as refused:
        Database(tmp_path)
    assert (refused.value.code, refused.value.values["version"]) == ("database_newer", 99)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(DataError) as refused:
        Database(tmp_path / "home")
    assert refused.value.code == "database_unusable"
