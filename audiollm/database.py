"""SQLite database of the home folder: transactions and numbered migrations.

One connection per transaction. A commit is on the disk before it returns (`synchronous=FULL`). New
databases have a rollback journal and no WAL, because the file may lie on a mounted bucket; one that
somebody has switched to WAL works as well.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from audiollm.errors import AudioLLMError, DataError

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
TIMEOUT = 30.0  # s to wait for a lock that another process holds

T = TypeVar("T")
LOG = logging.getLogger(__name__)
_logged: set[str] = set()  # first columns of rows that the log names

# What a database of version i needs to become one of version i + 1; never edited, only added to.
MIGRATIONS = (
    """
    CREATE TABLE kept (
        id TEXT PRIMARY KEY,        -- hash of the samples
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
    """
    UPDATE tasks SET reason='label_error' WHERE reason='suspect';
    """,
    """
    ALTER TABLE kept ADD COLUMN suggestion TEXT NOT NULL DEFAULT '';   -- class of a listener, or ''
    ALTER TABLE tasks ADD COLUMN suggestion TEXT NOT NULL DEFAULT '';
    CREATE TABLE corrections (      -- how often a listener named another class than the model
        said TEXT NOT NULL,
        answered TEXT NOT NULL,
        language TEXT NOT NULL,     -- of the answer
        times INTEGER NOT NULL,
        PRIMARY KEY (said, answered, language)
    );
    """,
)


class Database:
    """The file `audiollm.db` of a home folder."""

    def __init__(
        self, home: Path, failure: Callable[[sqlite3.Error], Exception] | None = None
    ) -> None:
        """Creates the file where there is none, and migrates it to the newest version.

        `failure` makes the error that a failed transaction raises; SQLite's own by default.

        Raises:
            DataError: the folder cannot be written, or a newer program wrote the database. So do
                `read` and `write` where the file is damaged.
        """
        self.path = home / "audiollm.db"
        self._failure = None  # until it is known to open
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.read() as db:
                version = _version(db)
            if version > len(MIGRATIONS):
                versions = {"version": version, "known": len(MIGRATIONS)}
                raise DataError("database_newer", path=self.path, **versions)
            if version < len(MIGRATIONS):
                with self.write() as db:
                    _migrate(db)
        except (OSError, sqlite3.Error) as error:
            raise DataError("database_unusable", path=self.path, reason=error) from error
        self._failure = failure

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent snapshot. It does not wait for a transaction that writes, nor does the
        latter wait for it, except while a rollback journal commits."""
        with self._connected() as db:
            db.execute("PRAGMA query_only=ON")
            db.execute("BEGIN")
            yield db

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Committed at the end, rolled back by an exception. One at a time, in all processes."""
        with self._connected() as db:
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA foreign_keys=ON")
            db.execute("BEGIN IMMEDIATE")
            yield db
            if db.in_transaction:  # SQLite ends it by itself when the disk is full
                db.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=TIMEOUT, isolation_level=None)) as db:
                db.row_factory = sqlite3.Row
                yield db  # what is open at the end is rolled back
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
                raise DataError("database_damaged", path=self.path, reason=error) from error
            if self._failure is None:
                raise
            raise self._failure(error) from error


def readable(rows: Iterable[sqlite3.Row], read: Callable[[sqlite3.Row], T]) -> list[T]:
    """What rows hold. A row that cannot be read, as a damaged disk or another program leaves it, is
    logged and left out, so that it does not hide the others."""
    values = []
    for row in rows:
        try:
            values.append(read(row))
        except (ValueError, TypeError, LookupError, AttributeError, AudioLLMError) as error:
            name = repr(row[0])[:80]
            if name not in _logged:
                LOG.warning("a row of the database cannot be read: %s: %r", name, error)
                _logged.add(name)
    return values


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _migrate(db: sqlite3.Connection) -> None:
    """Inside a write transaction; another process may have migrated meanwhile."""
    for script in MIGRATIONS[_version(db) :]:
        for statement in filter(str.strip, script.split(";")):
            db.execute(statement)
    db.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
