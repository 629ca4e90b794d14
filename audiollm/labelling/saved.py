"""Saved clips: recordings that somebody agreed to have stored, with the answers of the models.

The sounds are FLAC files in `kept/` of the home folder; the table `kept` of the database lists
them.
"""

import json
import os
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Literal, get_args

import soundfile

from audiollm import audio
from audiollm.audio import SAMPLE_RATE, Sound
from audiollm.contracts.plain_json import parse_json
from audiollm.database import Database, readable
from audiollm.errors import DataError

Reason = Literal["kept", "disagreement"]
MAX_BYTES = 2 * 1024**3  # of all sounds together


@dataclass(frozen=True)
class SavedClip:
    """A saved recording with the answer that it got."""

    id: str  # audio.content_hash
    path: Path
    seconds: float
    reason: Reason
    model: str
    answer: Mapping[str, float]  # class -> probability
    other_model: str  # the model that disagreed, or ""
    other_answer: Mapping[str, float]
    suggestion: str = ""  # class that a listener named


class SavedClips:
    """The saved clips of a home folder."""

    def __init__(self, home: Path) -> None:
        """
        Raises:
            DataError: the folder cannot be written, or a newer program wrote the database.
        """
        self._db = Database(home)
        self.folder = home / "kept"
        try:
            self.folder.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise DataError("database_unusable", path=self.folder, reason=error) from error

    def add(
        self,
        sound: Sound,
        reason: Reason,
        model: str,
        answer: Mapping[str, float],
        other_model: str = "",
        other_answer: Mapping[str, float] | None = None,
        suggestion: str = "",
    ) -> str:
        """Saves a sound as FLAC and returns its id. The same sound is saved once, and keeps its
        suggestion unless there is a new one.

        Raises:
            DataError: the disk is full, or MAX_BYTES is reached.
        """
        if reason not in get_args(Reason):
            raise ValueError(f"reason must be one of {get_args(Reason)}, not {reason!r}")
        id = audio.content_hash(sound)
        name = f"{id}.flac"
        row = {
            "id": id,
            "file": name,
            "seconds": len(sound.samples) / SAMPLE_RATE,
            "reason": reason,
            "model": model,
            "answer": json.dumps(dict(answer)),
            "other_model": other_model,
            "other_answer": json.dumps(dict(other_answer or {})),
            "suggestion": suggestion,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            if _bytes(self.folder) > MAX_BYTES:
                limit = f"{MAX_BYTES / 1e9:.1f}"
                raise DataError("saved_limit", folder=self.folder, gigabytes=limit)
            _write(self.folder / name, sound)
            with self._db.write() as db:
                db.execute(_ADD, row)
        except (OSError, soundfile.SoundFileError, sqlite3.Error) as error:
            raise DataError("saved_failed", folder=self.folder, reason=error) from error
        return id

    def remove(self, id: str) -> None:
        """Deletes a clip and its row; an unknown id is no error.

        Raises:
            DataError: it cannot be deleted.
        """
        try:
            with self._db.write() as db:
                row = db.execute("SELECT file FROM kept WHERE id=?", (id,)).fetchone()
                if row:  # the sound first: a row without one can be deleted again
                    (self.folder / row["file"]).unlink(missing_ok=True)
                db.execute("DELETE FROM kept WHERE id=?", (id,))
        except (OSError, sqlite3.Error) as error:
            raise DataError("saved_undeletable", folder=self.folder, reason=error) from error

    def suggest(self, id: str, name: str) -> None:
        """Replaces what a listener suggested; "" for nothing, and an unknown id is no error."""
        with self._db.write() as db:
            db.execute("UPDATE kept SET suggestion=? WHERE id=?", (name, id))

    def all(self) -> list[SavedClip]:
        """Every saved clip that can be read, the oldest first."""
        with self._db.read() as db:
            rows = db.execute("SELECT * FROM kept ORDER BY kept_at, id").fetchall()
        return readable(rows, self._clip)

    def _clip(self, row: sqlite3.Row) -> SavedClip:
        return SavedClip(
            row["id"],
            self.folder / row["file"],
            float(row["seconds"]),
            row["reason"],
            row["model"],
            shares(row["answer"]),
            row["other_model"],
            shares(row["other_answer"]),
            row["suggestion"],
        )


def shares(text: str) -> dict[str, float]:
    """Class -> probability, of a column of a table.

    Raises:
        ValueError: it holds something else; so does TypeError.
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"no probabilities: {value!r}")
    found = {name: float(share) for name, share in value.items()}
    if not all(map(isfinite, found.values())):
        raise ValueError(f"no probabilities: {found}")
    return found


_ADD = """
    INSERT INTO kept VALUES
        (:id, :file, :seconds, :reason, :model, :answer, :other_model, :other_answer, :at,
        :suggestion)
    ON CONFLICT (id) DO UPDATE SET reason=excluded.reason, model=excluded.model,
        answer=excluded.answer, other_model=excluded.other_model,
        other_answer=excluded.other_answer,
        suggestion=CASE WHEN excluded.suggestion='' THEN suggestion ELSE excluded.suggestion END
"""


def _bytes(folder: Path) -> int:
    """Size of the files in it; one that another visitor moves or deletes meanwhile counts 0."""
    size = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def _write(path: Path, sound: Sound) -> None:
    """FLAC of 16 bits, moved into place when it is complete and on the disk."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            soundfile.write(file, audio.to_int16(sound), SAMPLE_RATE, format="FLAC")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
