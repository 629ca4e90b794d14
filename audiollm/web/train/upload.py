"""Uploaded recordings, as a zip or a table: checked before they stay, listed, deleted. No gradio.

A zip is unpacked beside its final folder and moved there whole, so half a set of recordings never
looks like one.
"""

import contextlib
import errno
import fcntl
import io
import re
import shutil
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from audiollm import audio
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import AudioError, DataError
from audiollm.jobs.job import ACTIVE
from audiollm.settings import Settings
from audiollm.web.auth.access import owner_settings
from audiollm.web.services import Services
from audiollm.web.train import actions
from audiollm.web.train.sources import NAMED, TABLES
from audiollm.web.train.unpacking import LARGEST_TABLE, Why, is_sound, unzip

UPLOADS = "uploads"  # in the home folder
TRIED = 20  # files of a zip
LOCK, PART = ".lock", ".part-"
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Upload:
    """Recordings that have arrived."""

    path: Path  # the folder with a folder for each class, or the table that lists them
    files: int  # recordings that were unpacked; 0: the table names files of this machine
    left_out: Mapping[Why, int] = field(default_factory=dict)


def take(services: Services, file: str | Path) -> Upload:
    """Puts an uploaded zip or table into the home folder, under a name of its own.

    Raises:
        ShutError: see `owner_settings`.
        DataError: it is broken, too large, or holds no recordings.
    """
    settings, source = owner_settings(services), Path(file)
    kind = source.suffix.lower()
    if kind != ".zip" and kind not in TABLES:
        raise DataError("upload_kind", name=source.name)
    most = settings.max_bytes if kind == ".zip" else min(settings.max_bytes, LARGEST_TABLE)
    with arriving(settings.home.resolve() / UPLOADS, source.stem) as (part, folder):
        if source.stat().st_size > most:
            raise DataError("upload_large", name=source.name, mb=f"{most / 1e6:.0f}")
        if kind == ".zip":
            members, left_out = unzip(source, part, settings, _table_of)
            table = _table_of(members)
            if table:
                _in_utf8(part / table, table)
                _stays_inside(part / table)
            _require_sound([part.joinpath(*m) for m in members if is_sound(m)], settings)
        else:
            members, table, left_out = [], _store(source, part), {}
    return Upload(folder / table, sum(map(is_sound, members)), left_out)


@contextlib.contextmanager
def arriving(place: Path, stem: str) -> Iterator[tuple[Path, Path]]:
    """A folder to fill, and its place afterwards: below `place`, under a free name like `stem`.

    Raises:
        DataError: the disk refuses.
    """
    try:
        with locked(place):
            part, folder = place / f"{PART}{uuid4().hex}", _free(place, stem)
            part.mkdir()
            try:
                yield part, folder
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        key = "upload_full" if error.errno in FULL else "upload_disk"
        raise DataError(key, reason=error.strerror or type(error).__name__) from error


@contextlib.contextmanager
def locked(uploads: Path) -> Iterator[None]:
    """One upload at a time: what a killed one has left is deleted."""
    uploads.mkdir(parents=True, exist_ok=True)
    with (uploads / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for part in uploads.glob(f"{PART}*"):
            shutil.rmtree(part, ignore_errors=True)
        yield


def _free(uploads: Path, stem: str) -> Path:
    """A folder's name that is free, near that of the file."""
    base = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", stem)).strip("-._")
    base = base.encode()[:60].decode(errors="ignore").rstrip("-._") or "upload"
    name, number = base, 1
    while (uploads / name).exists():
        number += 1
        name = f"{base}-{number}"
    return uploads / name


# --- uploads of before


def uploads(services: Services, place: str = UPLOADS) -> list[Path]:
    """The folders of all uploads in a folder of the home folder, by name.

    Raises:
        ShutError: see `owner_settings`.
    """
    folder = owner_settings(services).home.resolve() / place
    try:
        folders = [p for p in folder.iterdir() if not p.name.startswith(".") and not p.is_symlink()]
    except OSError:  # nobody has uploaded
        return []
    return sorted(path for path in folders if path.is_dir())


def recordings_of(folder: Path) -> Path:
    """What is named to train on an upload: its table where it has one, else the folder."""
    tables = [path for path in folder.iterdir() if path.suffix.lower() in TABLES]
    return tables[0] if len(tables) == 1 else folder


def find(services: Services, name: str | None) -> Path:
    """The upload of that name.

    Raises:
        ShutError: see `owner_settings`.
        DataError: there is none.
    """
    for folder in uploads(services):
        if folder.name == name:
            return folder
    raise DataError("upload_gone", name=name or "")


def delete(services: Services, name: str | None) -> None:
    """Deletes an upload with all of its sounds. What was prepared from it holds none, and stays.

    Raises:
        ShutError: see `owner_settings`.
        DataError: there is none, a job is to read it, or the disk refuses.
    """
    folder = find(services, name)
    for job in actions.jobs(services):
        words = [word for step in job.steps for word in step.words]
        used = any(word == str(folder) or word.startswith(f"{folder}/") for word in words)
        if used and job.state in ("waiting", *ACTIVE):
            raise DataError("upload_used", name=folder.name, job=job.name)
    try:
        with locked(folder.parent):  # what cannot be deleted now goes with the next upload
            part = folder.with_name(f"{PART}{uuid4().hex}")
            folder.rename(part)
            shutil.rmtree(part)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError("upload_stays", name=folder.name, reason=reason) from error


# --- a table


def _require_sound(paths: Sequence[Path], settings: Settings) -> None:
    """
    Raises:
        DataError: TRIED files across the zip, or all where they are fewer, hold no sound.
    """
    sample = paths[:: max(1, len(paths) // TRIED)][:TRIED]
    for path in sample:
        with contextlib.suppress(AudioError):
            audio.load(path, settings)
            return
    raise DataError("upload_undecodable", n=len(sample), all=len(paths))


def _table_of(paths: Sequence[tuple[str, ...]]) -> str:
    """The name of the table that lists the recordings; "" where their folders are the classes."""
    if not any(map(is_sound, paths)):
        raise DataError("upload_nothing")
    tables = [parts[0] for parts in paths if len(parts) == 1 and not is_sound(parts)]
    known = [name for name in tables if Path(name).stem.lower() in NAMED]
    if len(known or tables) > 1:
        raise DataError("upload_tables", names=", ".join(sorted(known or tables)[:4]))
    if not tables and all(len(parts) == 1 for parts in paths):
        raise DataError("upload_classes")
    return (known or tables or [""])[0]


def _store(source: Path, part: Path) -> str:
    """An uploaded table in its folder; returns its name there."""
    name = f"{NAMED[0]}{source.suffix.lower()}"
    shutil.copyfile(source, part / name)
    _in_utf8(part / name, source.name)
    return name


def _in_utf8(table: Path, name: str) -> None:
    """Writes a table again as UTF-8; spreadsheets in China save GBK.

    Raises:
        DataError: it is no text.
    """
    raw = table.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError):
            decoded = raw.decode(encoding)
            if "\0" not in decoded and decoded.strip():
                table.write_bytes(decoded.encode())
                return
    raise DataError("upload_text", name=name)


def _stays_inside(table: Path) -> None:
    """Refuses a table of a zip that names files outside the zip.

    Raises:
        DataError: it does; with the line.
    """
    rows = table.read_text(encoding="utf-8")
    if table.suffix.lower() == ".csv":  # whichever character parts the cells
        bad = (any(map(_is_outside, re.split(r'[,;\t"]', line))) for line in io.StringIO(rows))
    else:
        bad = (_json_outside(line) for line in rows.split("\n"))
    number = next((number for number, outside in enumerate(bad, 1) if outside), 0)
    if number:
        raise DataError("upload_outside", name=table.name, line=number)


def _json_outside(line: str) -> bool:
    try:
        row = parse_json(line) if line.strip() else {}
    except ValueError:
        return False  # no row: the reader refuses it
    values = row.values() if isinstance(row, dict) else ()
    return any(_is_outside(value) for value in values if isinstance(value, str))


def _is_outside(value: str) -> bool:
    """Whether a cell, were it a path, would lead out of the table's folder."""
    parts = value.strip().replace("\\", "/").split("/")
    return len(parts) > 1 and (parts[0] == "" or ".." in parts)
