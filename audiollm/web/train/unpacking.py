"""A zip of sounds and tables, unpacked. No gradio.

It may come from anybody: what it says of itself is believed only where that makes it smaller, and
nothing in it can name a path outside its folder.
"""

import contextlib
import errno
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
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal

from audiollm.audio import SUFFIXES
from audiollm.errors import DataError
from audiollm.settings import Settings
from audiollm.web.train.sources import TABLES

ARCHIVES = frozenset((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"))
MOST_FILES = 50_000
TIMES = 8  # as large as the largest file that is accepted: all of a zip, unpacked
LARGEST_TABLE = 64 * 1024 * 1024  # bytes
LONGEST_LIST = 16 * 1024 * 1024  # bytes of the zip's list of its files
DEEPEST = 12  # folders
CHUNK = 1024 * 1024  # bytes
BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, NotImplementedError, RuntimeError),
)
Why = Literal["hidden", "unsafe", "link", "archive", "kind", "twice", "large"]
Paths = list[tuple[str, ...]]  # inside a zip
Members = list[tuple[zipfile.ZipInfo, tuple[str, ...]]]  # what is unpacked, and where to


class _BoundedFile(io.FileIO):
    """A zip's bytes. zipfile reads its list of files in one piece, however long it says it is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LONGEST_LIST:
            raise DataError("upload_many", most=MOST_FILES)
        return super().read(-1 if size is None else size) or b""


def unzip(
    source: Path,
    part: Path,
    settings: Settings,
    check: Callable[[Paths], object] = lambda _: None,
    kinds: Collection[str] = TABLES,
) -> tuple[Paths, dict[Why, int]]:
    """Unpacks into `part`; the paths of its sounds and tables, and how much was left out.

    Args:
        check: raises where a zip of these paths is refused, before anything is written.
        kinds: suffixes of what is taken besides sounds.

    Raises:
        DataError: it is broken, too large, or locked.
        OSError: the disk refuses.
    """
    try:
        with _BoundedFile(source) as raw, zipfile.ZipFile(raw) as zipped:
            members, left_out = select(zipped.infolist(), settings.max_bytes, kinds)
            most = TIMES * settings.max_bytes
            if sum(info.file_size for info, _ in members) > most:
                raise DataError("upload_unpacked", mb=f"{most / 1e6:.0f}")
            free = shutil.disk_usage(part).free
            if sum(info.file_size for info, _ in members) > free:
                raise OSError(errno.ENOSPC, "No space left on device")
            check([parts for _, parts in members])
            for info, parts in members:
                if info.flag_bits & 1:
                    raise DataError("upload_locked", name=source.name)
                _write(zipped, info, part.joinpath(*parts))
    except BROKEN as error:
        raise DataError("upload_broken", name=source.name) from error
    return [parts for _, parts in members], left_out


def select(
    infos: Sequence[zipfile.ZipInfo], largest: int, kinds: Collection[str] = TABLES
) -> tuple[Members, dict[Why, int]]:
    """The recordings and tables of a zip with their paths, and how much else it holds.

    Args:
        largest: bytes of one file.
        kinds: suffixes of tables.

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
        why = _refusal(info, parts, largest, kinds)  # first: a path may have thousands of parts
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


def _refusal(
    info: zipfile.ZipInfo, parts: tuple[str, ...], largest: int, kinds: Collection[str]
) -> Why | None:
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
    if suffix not in SUFFIXES and suffix not in kinds:
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
    return any(len(p) > 2 or (len(p) == 2 and not is_sound(p)) for p in paths)


def is_sound(parts: tuple[str, ...]) -> bool:
    return Path(parts[-1]).suffix.lower() in SUFFIXES


def _write(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    """One member; never more than it said that it holds, as all of it was added up before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remaining = info.file_size
    with zipped.open(info) as source, path.open("xb") as target:
        while block := source.read(CHUNK):
            remaining -= len(block)
            if remaining < 0:
                raise zipfile.BadZipFile("larger than it says")
            target.write(block)
