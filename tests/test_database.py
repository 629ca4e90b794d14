"""The database of the home folder: migrations, and who waits for whom."""

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from audiollm import audio, database
from audiollm.database import MIGRATIONS, Database
from audiollm.errors import DataError
from audiollm.jobs.job import Step
from audiollm.jobs.queue import Jobs
from audiollm.labelling.saved import SavedClips
from audiollm.labelling.store import LabelStore
from audiollm.labelling.tasks import Label, Task


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


BAD = {  # column of a list's table -> values that no version has written
    ("kept", "answer"): ("", "[]", "nonsense", '{"sad": "x"}', '{"sad": NaN}', "[" * 10_000, None),
    ("kept", "seconds"): ("x",),
    ("tasks", "answer"): ("", "[]", '{"sad": null}', '{"sad": 1e999}', "[" * 10_000),
    ("tasks", "reason"): ("x", ""),
    ("tasks", "score"): ("x", 7.0),
    ("tasks", "path"): ("relative", b"\xff"),
    ("labels", "intensity"): (99, "x"),
    ("labels", "name"): ("!!",),
    ("jobs", "step"): (7, -1, "x"),
    ("jobs", "state"): ("x",),
    ("jobs", "runner"): ("x|y|z",),
    ("steps", "words"): ("", "{", "7"),
}


def fill(home: Path) -> tuple[SavedClips, LabelStore, Jobs]:
    """Two of everything."""
    saved, labels, jobs = SavedClips(home), LabelStore(home), Jobs(home)
    jobs.tick = lambda: None  # type: ignore[method-assign]
    for i in range(2):
        sound = audio.from_array(np.full(8000, 0.1 * (i + 1), np.float32), 16000)
        saved.add(sound, "kept", "tiny", {"sad": 1.0})
        labels.add_tasks([Task(f"t{i}", f"/x/{i}.wav", 1.0, "x", "plain", answer={"sad": 1.0})])
        labels.add_label(Label(f"t{i}", "Ann", "sad"))
        jobs.add(f"j{i}", "cpu", [Step("s", ("train", "x"), home / "result")])
    return saved, labels, jobs


@pytest.mark.parametrize(
    ("table", "column", "value"), [(*key, value) for key, values in BAD.items() for value in values]
)
def test_one_bad_row_does_not_hide_the_others(
    tmp_path: Path,
    table: str,
    column: str,
    value: object,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "_logged", set())
    saved, labels, jobs = fill(tmp_path)
    with sqlite3.connect(tmp_path / "audiollm.db") as db:
        if table == "kept" and value is None:
            value = b"\xff"
        db.execute(
            f"UPDATE {table} SET {column}=? WHERE rowid=(SELECT MIN(rowid) FROM {table})",  # noqa: S608
            (value,),
        )
    lists: dict[str, Callable[[], Sequence[object]]] = {
        "kept": saved.all,
        "tasks": labels.tasks,
        "labels": labels.history,
        "jobs": jobs.all,
        "steps": jobs.all,
    }
    for name, found in lists.items():
        hidden = name == table or {name, table} == {"jobs", "steps"}
        assert len(found()) == 2 - hidden, name
    assert len(labels.outcomes()) == 2 - (table == "tasks")
    assert labels.classes() == ("sad",)
    assert len(labels.next_tasks("Bo", "tab", "second")) == 2 - (table == "tasks")
    assert labels.add_tasks([Task("t9", "/x/9.wav", 1.0, "x", "plain")]) == 1
    Jobs(tmp_path).tick()
    assert len(caplog.records) == 1


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    saved, labels, jobs = fill(tmp_path)
    path = tmp_path / "audiollm.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    for found in (saved.all, labels.tasks, jobs.all, labels.outcomes):
        with pytest.raises(DataError) as refused:
            found()
        assert refused.value.code == "database_damaged"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(DataError) as refused:
        Jobs(tmp_path)
    assert refused.value.code == "database_damaged"
