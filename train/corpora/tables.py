"""Anybody's own recordings: a folder per class, or a table (CSV, JSON lines) that lists them."""

import csv
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from audiollm.contracts.plain_json import parse_json
from audiollm.errors import DataError
from train.corpora.base import (
    Clip,
    Corpus,
    Rejected,
    UnusableError,
    audio_files,
    class_name,
    columns,
    gather,
    slug,
    speaker_name,
    split_name,
)

MANIFEST_NAMES = ("manifest.csv", "manifest.jsonl")
METADATA_NAMES = ("metadata.csv", "metadata.jsonl")  # of the hub's audio folders
FOLDER_EXAMPLE = "angry/anything.wav, happy/anything.wav (also below train/, valid/, test/)"
MANIFEST_EXAMPLE = (
    "manifest.csv or manifest.jsonl with file and label, and where known speaker, language, "
    "split, seconds"
)
_COLUMNS = {
    "path": ("file", "path", "file_name", "filename", "audio", "wav"),
    "label": ("label", "emotion", "class"),
    "speaker": ("speaker", "speaker_id", "spk", "actor"),
    "language": ("language", "lang"),
    "split": ("split", "subset", "partition"),
    "seconds": ("seconds", "duration"),
}


def read_folder(
    root: Path, name: str = "", language: str | None = None, speaker_pattern: str = ""
) -> Corpus:
    """ROOT/CLASS/... or ROOT/SPLIT/CLASS/...; the speaker is unknown without a pattern.

    speaker_pattern: searched in a file's path inside the root; its first group, or all of it,
        is the speaker.
    """
    name = name or slug(root.resolve().name) or "folder"
    tops = {f.relative_to(root).parts[0] for f in audio_files(root)}
    given = bool(tops) and all(split_name(top) and (root / top).is_dir() for top in tops)
    given = given and len({split_name(top) for top in tops}) > 1  # one part alone is no split
    pattern = _compiled(speaker_pattern) if speaker_pattern else None

    def clip(file: Path) -> Clip:
        parts = file.relative_to(root).parts
        folders = parts[1:-1] if split_name(parts[0]) and len(parts) > 2 else parts[:-1]
        if not folders:
            raise UnusableError("reject_no_class")
        speaker = ""
        if pattern is not None:
            match = pattern.search("/".join(parts))
            if match is None:
                raise UnusableError("reject_no_speaker")
            speaker = match[1] if pattern.groups else match[0]
        return Clip(
            path=str(file),
            label=class_name(folders[0]),
            speaker=speaker_name(name, speaker),
            language=language,
            corpus=name,
            split=(split_name(parts[0]) or "") if given else "",
        )

    return Corpus(name, *gather((str(f), partial(clip, f)) for f in audio_files(root)))


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise DataError("data_pattern", pattern=repr(pattern), error=error) from None


def find_manifest(root: Path, metadata: bool = True) -> Path | None:
    """The table that `root` is or holds; metadata: the hub's name for it counts too."""
    if root.is_file():
        return root
    names = MANIFEST_NAMES + (METADATA_NAMES if metadata else ())
    return next((root / name for name in names if (root / name).is_file()), None)


def read_manifest(root: Path, name: str = "", language: str | None = None) -> Corpus:
    """A table of clips; paths are relative to the table.

    Raises:
        DataError: no table, or it lacks the columns for the file and the label.
    """
    table = find_manifest(root)
    if table is None:
        raise DataError("data_no_manifest", root=root, expected=MANIFEST_EXAMPLE)
    name = name or slug(table.resolve().parent.name) or "manifest"
    bad: list[Rejected] = []
    rows = _json_rows(table, bad) if "json" in table.suffix.lower() else _csv_rows(table)
    items: list[tuple[str, Callable[[], Clip]]] = []
    for line, row in rows:
        shown = str(row.get("path") or f"{table}:{line}")
        items.append((shown, partial(_row, table.parent, name, language, row)))
    clips, rejected = gather(items)
    if len({clip.split for clip in clips} - {""}) == 1 and all(clip.split for clip in clips):
        clips = tuple(replace(clip, split="") for clip in clips)  # one part alone is no split
    return Corpus(name, clips, (*bad, *rejected))


def _row(folder: Path, name: str, language: str | None, row: dict[str, Any]) -> Clip:
    for column in ("path", "label"):
        if not str(row.get(column) or "").strip():
            raise UnusableError(f"reject_no_{column}")
    file = folder / str(row["path"]).strip()
    if not file.is_file():
        file = folder / str(row["path"]).strip().replace("\\", "/")  # written on Windows
    if not file.is_file():
        raise UnusableError("reject_missing")
    split = split_name(row["split"]) if row.get("split") else ""
    if split is None:
        raise UnusableError("reject_split", value=repr(row["split"]))
    return Clip(
        path=str(file),
        label=class_name(row["label"]),
        speaker=speaker_name(name, row.get("speaker")),
        seconds=_seconds(row.get("seconds")),
        language=str(row["language"]).strip().lower() if row.get("language") else language,
        corpus=name,
        split=split,
    )


def _seconds(raw: object) -> float:
    """A hint only: decoding measures the length."""
    try:
        value = float(str(raw))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def _csv_rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = _text(table).splitlines()
    header = lines[0] if lines else ""
    reader = csv.DictReader(lines, delimiter=max(",;\t", key=header.count))
    known = _columns(reader.fieldnames or (), table)
    try:
        for row in reader:
            yield reader.line_num, {key: row[column] for key, column in known.items()}
    except csv.Error as error:
        raise DataError("data_table_csv", table=table, line=reader.line_num, error=error) from None


def _json_rows(table: Path, bad: list[Rejected]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_text(table).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            bad.append(Rejected.of(f"{table}:{number}", "reject_not_json"))
            continue
        known = _columns(tuple(row), table)
        yield number, {key: row[column] for key, column in known.items()}


def _columns(found: Any, table: Path) -> dict[str, str]:
    """Our column name -> the table's. The file and the label must be among them."""
    known = columns(found, _COLUMNS)
    if "path" not in known or "label" not in known:
        names = list(map(str, found)) or "(none)"
        raise DataError("data_table_columns", table=table, columns=names, expected=MANIFEST_EXAMPLE)
    return known


def _text(table: Path) -> str:
    try:
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("data_table_utf8", table=table) from None
    except OSError as error:
        raise DataError("data_unreadable", path=table, error=error.strerror) from error
