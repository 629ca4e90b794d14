"""SQLite: what the owner of a machine keeps. One file, one connection a call, numbered migrations.

Every write is on the disk before its call returns (`synchronous=FULL`); a rollback journal and no
WAL, because the file may lie on a mounted bucket.
"""

import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import soundfile

from audiollm.audio.loading import SAMPLE_RATE
from audiollm.errors import DataError

Reason = Literal["kept", "disagreement"]
PATIENCE = 30.0  # s to wait for another process that writes
MAX_KEPT = 2 * 1024**3  # bytes of sound

# What a database of version i needs to become one of version i + 1; never edited, only added to.
MIGRATIONS = (
    """
    CREATE TABLE kept (
        id TEXT PRIMARY KEY,        -- sha256 of the samples as they were heard
        file TEXT NOT NULL,         -- FLAC in the folder kept/
        seconds REAL NOT NULL,
        reason TEXT NOT NULL,       -- kept | disagreement
        model TEXT NOT NULL,
        answer TEXT NOT NULL,       -- JSON: class -> probability
        other_model TEXT NOT NULL,  -- who disagreed, or ''
        other_answer TEXT NOT NULL, -- JSON: class -> probability
        kept_at TEXT NOT NULL       -- UTC, ISO 8601
    );
    """,
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,        -- also its folder in jobs/
        name TEXT NOT NULL,
        device TEXT NOT NULL,       -- cpu | cuda:N | mps
        state TEXT NOT NULL,        -- audiollm.jobs.State
        turn INTEGER NOT NULL,      -- who waits is taken in this order
        step INTEGER NOT NULL,      -- the step that runs or ran last, from 0
        runner TEXT NOT NULL,       -- audiollm.jobs.identity.Identity, or ''
        child TEXT NOT NULL,        -- the same of the step's process
        failure TEXT NOT NULL,      -- a sentence, or ''
        made_at TEXT NOT NULL       -- UTC, ISO 8601
    );
    CREATE TABLE steps (
        job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,    -- from 0
        name TEXT NOT NULL,
        words TEXT NOT NULL,        -- JSON: the command after python -m
        result TEXT NOT NULL,       -- the file that shows that it is done
        PRIMARY KEY (job, number)
    );
    """,
    """
    CREATE TABLE tasks (
        id TEXT PRIMARY KEY,        -- audio.content_hash of the sound
        path TEXT NOT NULL,
        seconds REAL NOT NULL,
        source TEXT NOT NULL,
        reason TEXT NOT NULL,       -- audiollm.labelling.tasks.Reason
        score REAL NOT NULL,
        original TEXT NOT NULL,     -- class, or ''
        model TEXT NOT NULL,
        answer TEXT NOT NULL,       -- JSON: class -> probability
        other_model TEXT NOT NULL,
        other_answer TEXT NOT NULL, -- JSON: class -> probability
        speaker TEXT NOT NULL,
        turn INTEGER NOT NULL,      -- tasks are shown in this order
        added_at TEXT NOT NULL      -- UTC, ISO 8601
    );
    CREATE INDEX tasks_turn ON tasks (turn);
    CREATE TABLE labels (           -- only ever added to
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        task TEXT NOT NULL REFERENCES tasks (id),
        person TEXT NOT NULL,
        kind TEXT NOT NULL,         -- label | decision | skip
        name TEXT NOT NULL,         -- class, unclear, not_speech, several, '' of a skip
        secondary TEXT NOT NULL,
        intensity INTEGER NOT NULL, -- 0 not said, 1 to 3
        note TEXT NOT NULL,
        blind INTEGER NOT NULL,
        took REAL NOT NULL,         -- seconds
        origin TEXT NOT NULL,       -- a file that was imported, or '' for the page
        at TEXT NOT NULL,           -- UTC, ISO 8601
        token TEXT NOT NULL UNIQUE  -- the same is written once
    );
    CREATE INDEX labels_task ON labels (task);
    CREATE TABLE undone (           -- labels that were taken back
        label INTEGER PRIMARY KEY REFERENCES labels (number),
        at TEXT NOT NULL
    );
    CREATE VIEW standing AS         -- the last of each person and kind on each task
        SELECT * FROM labels WHERE number IN (
            SELECT MAX(number) FROM labels WHERE number NOT IN (SELECT label FROM undone)
            GROUP BY task, person, kind
        );
    CREATE TABLE leases (           -- who has which task on the screen
        task TEXT PRIMARY KEY REFERENCES tasks (id),
        tab TEXT NOT NULL,          -- one page in one browser
        place INTEGER NOT NULL,     -- the lowest is the one that is seen
        until REAL NOT NULL         -- seconds since 1970
    );
    """,
    """
    UPDATE tasks SET reason='disagreement' WHERE reason='ear';
    """,
)


@dataclass(frozen=True)
class Kept:
    """A clip that somebody asked to keep for labelling, with the answer that it got."""

    id: str
    path: Path
    seconds: float
    reason: Reason
    model: str
    answer: dict[str, float]
    other_model: str
    other_answer: dict[str, float]
    kept_at: str


class Store:
    """The database `audiollm.db` of a folder, and the clips in `kept/` beside it."""

    def __init__(self, home: Path) -> None:
        """Opens or makes it, and brings it to the newest version.

        Raises:
            DataError: the folder cannot be written, or a newer program made the database.
        """
        self.folder = home / "kept"
        self.path = home / "audiollm.db"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.connect() as db:
                self._migrate(db)
        except (OSError, sqlite3.Error) as error:
            raise DataError(
                f"{self.path} cannot be opened ({error}): check the folder AUDIOLLM_HOME."
            ) from error

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed at the end, rolled back by an exception."""
        db = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        db.row_factory = sqlite3.Row
        try:
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA foreign_keys=ON")
            db.execute("BEGIN IMMEDIATE")
            yield db
            if db.in_transaction:  # a full disk has ended it; who went on knows
                db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        finally:
            db.close()

    @staticmethod
    def _migrate(db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise sqlite3.DatabaseError(
                f"it has version {version}, this program knows {len(MIGRATIONS)}: update it"
            )
        for script in MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                db.execute(statement)
        if version < len(MIGRATIONS):  # else opening it would write to the disk
            db.execute(f"PRAGMA user_version={len(MIGRATIONS)}")

    def keep(
        self,
        samples: np.ndarray,
        reason: Reason,
        model: str,
        answer: Mapping[str, float],
        other_model: str = "",
        other_answer: Mapping[str, float] | None = None,
    ) -> str:
        """Keeps a sound, float32 [N] at 16 kHz, as FLAC; returns its id. A sound is kept once.

        Raises:
            DataError: there is no room, or MAX_KEPT is reached.
        """
        if reason not in get_args(Reason):
            raise ValueError(f"reason must be one of {get_args(Reason)}, not {reason!r}")
        id = hashlib.sha256(np.ascontiguousarray(samples, "<f4").tobytes()).hexdigest()
        name = f"{id}.flac"
        try:
            if _size(self.folder) > MAX_KEPT:
                raise DataError(
                    f"{self.folder} holds {MAX_KEPT / 1e9:.1f} GB: label what is there, or move it "
                    "away, before more is kept."
                )
            _write(self.folder / name, samples)
            with self.connect() as db:
                db.execute(
                    "INSERT INTO kept VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET "
                    "reason=excluded.reason, model=excluded.model, answer=excluded.answer, "
                    "other_model=excluded.other_model, other_answer=excluded.other_answer",
                    (
                        id,
                        name,
                        len(samples) / SAMPLE_RATE,
                        reason,
                        model,
                        json.dumps(dict(answer)),
                        other_model,
                        json.dumps(dict(other_answer or {})),
                        datetime.now(UTC).isoformat(timespec="seconds"),
                    ),
                )
        except (OSError, soundfile.SoundFileError, sqlite3.Error) as error:
            raise DataError(
                f"The clip could not be kept ({error}): make room in {self.folder}."
            ) from error
        return id

    def forget(self, id: str) -> None:
        """Deletes a kept clip and what is known of it; an unknown id is no error.

        Raises:
            DataError: it cannot be deleted.
        """
        try:
            with self.connect() as db:
                row = db.execute("SELECT file FROM kept WHERE id=?", (id,)).fetchone()
                if row:  # the sound first: a row without one can be deleted again
                    (self.folder / row["file"]).unlink(missing_ok=True)
                db.execute("DELETE FROM kept WHERE id=?", (id,))
        except (OSError, sqlite3.Error) as error:
            raise DataError(
                f"The clip could not be removed ({error}): delete it in {self.folder}."
            ) from error

    def kept(self) -> list[Kept]:
        """All kept clips, the oldest first."""
        with self.connect() as db:
            rows = db.execute("SELECT * FROM kept ORDER BY kept_at, id").fetchall()
        return [
            Kept(
                id=row["id"],
                path=self.folder / row["file"],
                seconds=row["seconds"],
                reason=row["reason"],
                model=row["model"],
                answer=json.loads(row["answer"]),
                other_model=row["other_model"],
                other_answer=json.loads(row["other_answer"]),
                kept_at=row["kept_at"],
            )
            for row in rows
        ]


def _size(folder: Path) -> int:
    """Bytes of the files in it; one that another visitor moves or deletes meanwhile is none."""
    size = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def _write(path: Path, samples: np.ndarray) -> None:
    """FLAC, moved into place when it is whole and on the disk."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")  # nobody else's
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            soundfile.write(file, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
