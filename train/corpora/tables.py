"""Anybody's own recordings: a folder per class, or a table (CSV, JSON lines) that lists them."""

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from audiollm import labels
from audiollm.audio import sound_files
from audiollm.contracts.messages import Message
from audiollm.contracts.plain_json import parse_json
from audiollm.contracts.prepared import LABEL_COLUMNS
from audiollm.errors import DataError
from train.corpora.base import (
    Clip,
    Corpus,
    Rejected,
    UnusableError,
    class_name,
    columns,
    gather,
    holds_words,
    is_file,
    label_cells,
    label_columns,
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
_Row = tuple[int, dict[str, Any]]  # line, and cell of each column
_COLUMNS = {
    "path": ("file", "path", "file_name", "filename", "audio", "wav"),
    "label": LABEL_COLUMNS,
    "speaker": ("speaker", "speaker_id", "spk", "actor"),
    "language": ("language", "lang"),
    "split": ("split", "subset", "partition"),
    "seconds": ("seconds", "duration"),
}


def read_folder(
    root: Path, name: str = "", language: str | None = None, speaker_pattern: str = ""
) -> Corpus:
    """ROOT/CLASS/... or ROOT/SPEAKER/CLASS/..., each also below a folder for each split.

    The outer folders are speakers where they are no words for emotions and the inner ones are.
    speaker_pattern: searched in a file's path inside the root; its first group, or all of it,
        is the speaker.
    """
    name = name or slug(root.resolve().name) or "folder"
    files = sound_files(root)
    inside = {file: file.relative_to(root).parts for file in files}
    tops = {parts[0] for parts in inside.values() if len(parts) > 1}
    parts_of_split = sorted(top for top in tops if split_name(top))
    has_split = len({split_name(top) for top in parts_of_split}) > 1  # one part alone is no split
    beside = sorted({parts[0] for parts in inside.values()}.difference(parts_of_split))
    notes: list[Message] = []
    if has_split and beside:
        notes.append(Message.of("note_beside_split", corpus=name, names=beside))
    elif parts_of_split and not has_split:
        notes.append(Message.of("note_one_part", corpus=name, part=parts_of_split[0]))
    pattern = _compiled(speaker_pattern) if speaker_pattern else None
    outer = {file: parts[bool(split_name(parts[0])) : -1] for file, parts in inside.items()}
    outside = {file for file, parts in inside.items() if has_split and parts[0] in beside}
    by_speaker = _speakers_first([outer[file] for file in files if file not in outside])
    if by_speaker and not pattern:
        notes.append(Message.of("note_speaker_folders", corpus=name))

    def clip(file: Path) -> Clip:
        parts, folders = inside[file], outer[file]
        if file in outside:
            raise UnusableError("reject_beside_split", parts=parts_of_split)
        if len(folders) <= by_speaker:
            raise UnusableError("reject_no_class")
        speaker = folders[0] if by_speaker else ""
        if pattern is not None:
            match = pattern.search("/".join(parts))
            if match is None:
                raise UnusableError("reject_no_speaker")
            speaker = match[1] if pattern.groups else match[0]
        return Clip(
            path=str(file),
            label=class_name(folders[by_speaker]),
            speaker=speaker_name(name, speaker),
            language=language,
            corpus=name,
            split=(split_name(parts[0]) or "") if has_split else "",
        )

    gathered = gather((str(file), partial(clip, file)) for file in files)
    return Corpus(name, *gathered, notes=tuple(notes))


def _speakers_first(folders: Sequence[Sequence[str]]) -> bool:
    """Whether the inner of two folders names the class, not the outer one, of most files."""
    deep = [names for names in folders if len(names) > 1]
    outer, inner = ([names[i] for names in deep] for i in (0, 1))
    return len(deep) > len(folders) / 2 and holds_words(inner) and not holds_words(outer)


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


def read_manifest(
    root: Path, name: str = "", language: str | None = None, label_column: str = ""
) -> Corpus:
    """A table of clips; paths are relative to the table.

    label_column: the column of the label, where it is not called as usual or several are.

    Raises:
        DataError: no table, or it lacks the columns for the file and the label.
    """
    table = find_manifest(root)
    if table is None:
        raise DataError("data_no_manifest", root=root, expected=MANIFEST_EXAMPLE)
    name = name or slug(table.resolve().parent.name) or "manifest"
    bad: list[Rejected] = []
    is_json = "json" in table.suffix.lower()
    names, rows = _json_rows(table, bad) if is_json else _csv_rows(table)
    classes = label_columns(names, _COLUMNS["label"], label_column)
    if "path" not in columns(names, _COLUMNS) or not classes:
        expected = MANIFEST_EXAMPLE
        raise DataError("data_table_columns", table=table, columns=names or "-", expected=expected)
    cells = label_cells([row for _, row in rows], classes, table)
    items: list[tuple[str, Callable[[], Clip]]] = []
    for (line, raw), label in zip(rows, cells, strict=True):
        mapping = columns(raw, _COLUMNS)
        row = {key: raw[column] for key, column in mapping.items()} | {"label": label}
        path = labels.cell(row.get("path"))
        origin = f"{path} ({table.name}:{line})" if path else f"{table}:{line}"
        items.append((origin, partial(_row, table.parent, name, language, row)))
    clips, rejected = gather(items)
    if len({clip.split for clip in clips} - {""}) == 1 and all(clip.split for clip in clips):
        clips = tuple(replace(clip, split="") for clip in clips)  # one part alone is no split
    return Corpus(name, clips, (*bad, *rejected))


def _row(folder: Path, name: str, language: str | None, row: dict[str, Any]) -> Clip:
    path, label = labels.cell(row.get("path")), class_name(row["label"])
    if not path:
        raise UnusableError("reject_no_path")
    file = folder / path
    if not is_file(file):
        file = folder / path.replace("\\", "/")  # written on Windows
    if not is_file(file):
        raise UnusableError("reject_missing")
    split = split_name(row["split"]) if labels.cell(row.get("split")) else ""
    if split is None:
        raise UnusableError("reject_split", value=repr(row["split"]))
    return Clip(
        path=str(file),
        label=label,
        speaker=speaker_name(name, row.get("speaker")),
        seconds=_seconds(row.get("seconds")),
        language=labels.cell(row.get("language")).lower() or language,
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


def _csv_rows(table: Path) -> tuple[list[str], list[_Row]]:
    """The names of the columns, and the rows."""
    text = _text(table)
    header = re.split(r"[\r\n]", text, maxsplit=1)[0]
    lines = io.StringIO(text, newline="")  # ended by CR and LF alone
    reader = csv.DictReader(lines, delimiter=max(",;\t", key=header.count))
    try:
        return list(reader.fieldnames or ()), [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise DataError("data_table_csv", table=table, line=reader.line_num, error=error) from None


def _json_rows(table: Path, bad: list[Rejected]) -> tuple[list[str], list[_Row]]:
    rows: list[_Row] = []
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
        rows.append((number, row))
    return list(dict.fromkeys(name for _, row in rows for name in row)), rows


def _text(table: Path) -> str:
    try:
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("data_table_utf8", table=table) from None
    except OSError as error:
        raise DataError("data_unreadable", path=table, error=error.strerror) from error
