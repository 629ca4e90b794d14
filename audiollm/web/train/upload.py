"""Uploaded recordings, as a zip or a table: checked before they stay, listed, deleted. No gradio.

A zip may come from anybody: what it says of itself is believed only where that makes it smaller,
and nothing in it can name a path outside its folder. It is unpacked beside its final folder and
moved there whole, so half a set of recordings never looks like one.
"""

import contextlib
import errno
import fcntl
import io
import lzma
import re
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from uuid import uuid4

from audiollm.audio import SUFFIXES
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import DataError
from audiollm.jobs.job import ACTIVE
from audiollm.settings import Settings
from audiollm.web.auth.access import opened
from audiollm.web.services import Services
from audiollm.web.train import actions
from audiollm.web.train.sources import NAMED, TABLES

UPLOADS = "uploads"  # in the home folder
ARCHIVES = frozenset((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"))
MOST_FILES = 50_000
TIMES = 8  # as large as the largest file that is accepted: all of a zip, unpacked
LARGEST_TABLE = 64 * 1024 * 1024  # bytes
LONGEST_LIST = 16 * 1024 * 1024  # bytes of the zip's list of its files
DEEPEST = 12  # folders
CHUNK = 1024 * 1024  # bytes
LOCK, PART = ".lock", ".part-"
FULL = (errno.ENOSPC, errno.EDQUOT)
BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, NotImplementedError, RuntimeError),
)
Why = Literal["hidden", "unsafe", "link", "archive", "kind", "twice", "large"]
Members = list[tuple[zipfile.ZipInfo, tuple[str, ...]]]  # what is unpacked, and where to


@dataclass(frozen=True)
class Upload:
    """Recordings that have arrived."""

    path: Path  # the folder with a folder for each class, or the table that lists them
    files: int  # recordings that were unpacked; 0: the table names files of this machine
    left_out: Mapping[Why, int] = field(default_factory=dict)


def take(services: Services, file: str | Path) -> Upload:
    """Puts an uploaded zip or table into the home folder, under a name of its own.

    Raises:
        ShutError: see `opened`.
        DataError: it is broken, too large, or holds no recordings.
    """
    settings, source = opened(services), Path(file)
    kind = source.suffix.lower()
    if kind != ".zip" and kind not in TABLES:
        raise DataError("upload_kind", name=source.name)
    most = settings.max_bytes if kind == ".zip" else min(settings.max_bytes, LARGEST_TABLE)
    uploads = settings.home.resolve() / UPLOADS
    try:
        if source.stat().st_size > most:
            raise DataError("upload_large", name=source.name, mb=f"{most / 1e6:.0f}")
        with locked(uploads):
            part = uploads / f"{PART}{uuid4().hex}"
            part.mkdir()
            try:
                if kind == ".zip":
                    table, files, left_out = _unzip(source, part, settings)
                else:
                    table, files, left_out = _store(source, part), 0, {}
                folder = _free(uploads, source.stem)
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        key = "upload_full" if error.errno in FULL else "upload_disk"
        raise DataError(key, reason=error.strerror or type(error).__name__) from error
    return Upload(folder / table, files, left_out)


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
    wanted = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", stem)).strip("-._")
    wanted = wanted.encode()[:60].decode(errors="ignore").rstrip("-._") or "upload"
    name, number = wanted, 1
    while (uploads / name).exists():
        number += 1
        name = f"{wanted}-{number}"
    return uploads / name


# --- uploads of before


def uploads(services: Services) -> list[Path]:
    """The folders of all uploads, by name.

    Raises:
        ShutError: see `opened`.
    """
    folder = opened(services).home.resolve() / UPLOADS
    try:
        found = [p for p in folder.iterdir() if not p.name.startswith(".") and not p.is_symlink()]
    except OSError:  # nobody has uploaded
        return []
    return sorted(path for path in found if path.is_dir())


def recordings_of(folder: Path) -> Path:
    """What is named to train on an upload: its table where it has one, else the folder."""
    tables = [path for path in folder.iterdir() if path.suffix.lower() in TABLES]
    return tables[0] if len(tables) == 1 else folder


def named(services: Services, name: str | None) -> Path:
    """The upload of that name.

    Raises:
        ShutError: see `opened`.
        DataError: there is none.
    """
    for folder in uploads(services):
        if folder.name == name:
            return folder
    raise DataError("upload_gone", name=name or "")


def count_sounds(folder: Path) -> int:
    return sum(path.suffix.lower() in SUFFIXES for path in folder.rglob("*"))


def delete(services: Services, name: str | None) -> None:
    """Deletes an upload with all of its sounds. What was prepared from it holds none, and stays.

    Raises:
        ShutError: see `opened`.
        DataError: there is none, a job is to read it, or the disk refuses.
    """
    folder = named(services, name)
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


# --- a zip


class _BoundedFile(io.FileIO):
    """A zip's bytes. zipfile reads its list of files in one piece, however long it says it is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LONGEST_LIST:
            raise DataError("upload_many", most=MOST_FILES)
        return super().read(-1 if size is None else size) or b""


def _unzip(source: Path, part: Path, settings: Settings) -> tuple[str, int, dict[Why, int]]:
    """The table's name ("": none), how many recordings, and what was left out."""
    try:
        with _BoundedFile(source) as raw, zipfile.ZipFile(raw) as zipped:
            members, left_out = chosen(zipped.infolist(), settings.max_bytes)
            most = TIMES * settings.max_bytes
            if sum(info.file_size for info, _ in members) > most:
                raise DataError("upload_unpacked", mb=f"{most / 1e6:.0f}")
            free = shutil.disk_usage(part).free
            if sum(info.file_size for info, _ in members) > free:
                raise OSError(errno.ENOSPC, "No space left on device")
            table = _table_of([parts for _, parts in members])
            for info, parts in members:
                if info.flag_bits & 1:
                    raise DataError("upload_locked", name=source.name)
                _write(zipped, info, part.joinpath(*parts))
    except BROKEN as error:
        raise DataError("upload_broken", name=source.name) from error
    if table:
        _in_utf8(part / table, table)
        _stays_inside(part / table)
    return table, sum(_is_sound(parts) for _, parts in members), left_out


def chosen(infos: Sequence[zipfile.ZipInfo], largest: int) -> tuple[Members, dict[Why, int]]:
    """The recordings and tables of a zip with their paths, and how much else it holds.

    Args:
        largest: bytes of one file.

    Raises:
        DataError: there are too many files.
    """
    if len(infos) > MOST_FILES:
        raise DataError("upload_many", most=MOST_FILES)
    members: Members = []
    left_out: Counter[Why] = Counter()
    files: set[tuple[str, ...]] = set()  # as a file system may confuse them
    folders: set[tuple[str, ...]] = set()
    for info in infos:
        if info.is_dir():
            continue
        parts = tuple(name_of(info).replace("\\", "/").split("/"))
        why = _refusal(info, parts, largest)  # first: a path may have thousands of parts
        folded = tuple(part.casefold() for part in parts[:DEEPEST])
        above = {folded[:depth] for depth in range(1, len(folded))}
        if why is None and (folded in files or folded in folders or above & files):
            why = "twice"
        if why is not None:
            left_out[why] += 1
            continue
        files.add(folded)
        folders |= above
        members.append((info, parts))
    if _has_wrapper([parts for _, parts in members]):
        members = [(info, parts[1:]) for info, parts in members]
    return members, dict(left_out)


def _refusal(info: zipfile.ZipInfo, parts: tuple[str, ...], largest: int) -> Why | None:
    """Why a member of a zip is left out; None where it is taken."""
    mode = info.external_attr >> 16
    suffix = Path(parts[-1]).suffix.lower()
    wrong = any(not _is_plain(part) for part in parts) or len(parts) > DEEPEST
    if wrong or re.fullmatch(r"[A-Za-z]:", parts[0]):
        return "unsafe"
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return "hidden"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "link"
    if suffix in ARCHIVES:
        return "archive"
    if suffix not in SUFFIXES and suffix not in TABLES:
        return "kind"
    return "large" if info.file_size > (largest if suffix in SUFFIXES else LARGEST_TABLE) else None


def _is_plain(part: str) -> bool:
    """A name that stays where it is put."""
    if part in ("", ".", "..") or any(unicodedata.category(c) in ("Cc", "Cs") for c in part):
        return False
    return len(part.encode()) <= 200


def name_of(info: zipfile.ZipInfo) -> str:
    """The member's name. Zips made on Chinese Windows do not say that their names are GBK."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with contextlib.suppress(UnicodeEncodeError):
            raw = name.encode("cp437")
            for encoding in ("utf-8", "gb18030"):
                with contextlib.suppress(UnicodeDecodeError):
                    name = raw.decode(encoding)
                    break
    return unicodedata.normalize("NFC", name)


def _has_wrapper(paths: Sequence[tuple[str, ...]]) -> bool:
    """All lies in one folder that is no class: there are folders or a table in it."""
    if len({parts[0] for parts in paths}) != 1:
        return False
    return any(len(p) > 2 or (len(p) == 2 and not _is_sound(p)) for p in paths)


def _table_of(paths: Sequence[tuple[str, ...]]) -> str:
    """The name of the table that lists the recordings; "" where their folders are the classes."""
    if not any(map(_is_sound, paths)):
        raise DataError("upload_nothing")
    tables = [parts[0] for parts in paths if len(parts) == 1 and not _is_sound(parts)]
    known = [name for name in tables if Path(name).stem.lower() in NAMED]
    if len(known or tables) > 1:
        raise DataError("upload_tables", names=", ".join(sorted(known or tables)[:4]))
    if not tables and all(len(parts) == 1 for parts in paths):
        raise DataError("upload_classes")
    return (known or tables or [""])[0]


def _is_sound(parts: tuple[str, ...]) -> bool:
    return Path(parts[-1]).suffix.lower() in SUFFIXES


def _write(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    """One member; never more than it said that it holds, as all of it was added up before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left = info.file_size
    with zipped.open(info) as source, path.open("xb") as target:
        while block := source.read(CHUNK):
            left -= len(block)
            if left < 0:
                raise zipfile.BadZipFile("larger than it says")
            target.write(block)


# --- a table


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
        bad = (any(map(_is_outside, re.split(r'[,;\t"]', line))) for line in rows.splitlines())
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
