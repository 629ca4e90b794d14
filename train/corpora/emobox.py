"""EmoBox's metadata: which clips of a public data set train, validate and test in each fold.

Ma et al., Interspeech 2024 (arXiv 2406.07162). `data/NAME` of its repository holds NAME.jsonl and
fold_K/NAME_train_fold_K.jsonl, the same for test and sometimes for valid: a JSON object a line,
with key, wav (a path of the authors' machine), emo (the data set's own code) and length. Sound is
not part of it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from audiollm import labels
from audiollm.contracts.messages import Message
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import DataError
from train.corpora import lookup, named
from train.corpora.base import SPLITS, Clip, Corpus, UnusableError, class_name, gather, slug

EXAMPLE = (
    "emovo/emovo.jsonl and emovo/fold_1/emovo_train_fold_1.jsonl, data/NAME of EmoBox's "
    "repository, with --audio DIR where the recordings are"
)
LARGEST = 256 * 1024 * 1024  # bytes of a table; EmoBox's largest data set has 73 thousand clips
MOST_LINES = 500_000
LONGEST_LINE = 64 * 1024  # bytes
_OURS = {"cremad": "crema-d"}  # data sets that have another name here
# Codes where EmoBox has no label_map.json that explains them
_CODES = {"emovo": named.CONVENTIONS["emovo"].codes}


@dataclass(frozen=True)
class _Row:
    wav: str
    emo: str
    seconds: float
    split: str


def read_emobox(root: Path, audio: Path | None = None, fold: int | None = None) -> Corpus:
    """The clips of one fold with its split, or those of all folds without one.

    root: `data/NAME` of EmoBox. audio: the recordings, in whatever folders and format; unasked
    `downloads/NAME` beside `data`, as EmoBox has it. The corpus is called as the data set, and
    speakers as in the data set's own reader, where a file name tells them.

    Raises:
        DataError: there is no such metadata, fold or folder of recordings, or a table is damaged.
    """
    name, tables = _tables(root, fold)
    audio = audio or root.parent.parent / "downloads" / root.name
    rows = _without_repeats([row for split, table in tables for row in _rows(table, split)])
    if not audio.is_dir():
        raise DataError("data_emobox_audio", audio=audio, name=name)
    codes = _codes(root, name)
    files = lookup.find([row.wav for row in rows], audio)
    items: list[tuple[str, Callable[[], Clip]]] = [
        (row.wav, partial(_clip, name, row, file, codes))
        for row, file in zip(rows, files, strict=True)
    ]
    clips, rejected = gather(items)
    notes = [] if fold is None else [Message.of("note_emobox_fold", corpus=name, fold=fold)]
    have = Counter(clip.split for clip in clips)
    notes += [
        Message.of(
            "note_emobox_missing",
            **{"corpus": name, "n": total - have[split], "all": total, "split": split or "listed"},
        )
        for split, total in Counter(row.split for row in rows).items()
        if total > have[split]
    ]
    return Corpus(name, clips, rejected, notes=tuple(notes))


def _tables(root: Path, fold: int | None) -> tuple[str, list[tuple[str, Path]]]:
    """The data set's name, and its tables with the split that each is."""
    whole = [path for path in sorted(root.glob("*.jsonl")) if path.is_file()]
    folds = sorted(int(path.name[5:]) for path in root.glob("fold_*") if path.name[5:].isdecimal())
    if fold is None:
        if len(whole) != 1:
            raise DataError("data_emobox_none", root=root, expected=EXAMPLE)
        return _name(whole[0].stem), [("", whole[0])]
    if not folds:
        raise DataError("data_emobox_no_folds", root=root, expected=EXAMPLE)
    if fold not in folds:
        raise DataError("data_emobox_fold", root=root, fold=fold, known=folds)
    folder, ending = root / f"fold_{fold}", f"_train_fold_{fold}.jsonl"
    trains = sorted(folder.glob(f"*{ending}"))
    if len(trains) != 1:
        raise DataError("data_emobox_tables", folder=folder, n=len(trains), ending=ending)
    prefix = trains[0].name.removesuffix(ending)
    tables = [(split, folder / f"{prefix}_{split}_fold_{fold}.jsonl") for split in SPLITS]
    # most data sets have no valid table
    return _name(prefix), [t for t in tables if t[0] != "valid" or t[1].is_file()]


def _name(raw: str) -> str:
    name = slug(raw)
    return _OURS.get(name, name) or "emobox"


def _rows(table: Path, split: str) -> Iterator[tuple[str, _Row]]:
    """(file and line, row)."""
    try:
        if table.stat().st_size > LARGEST:
            raise DataError("data_emobox_large", table=table, mb=LARGEST >> 20)
        with table.open("rb") as file:
            for number in count(1):
                line = file.readline(LONGEST_LINE + 1)
                if not line:
                    return
                where = f"{table} line {number}"
                if len(line) > LONGEST_LINE or number > MOST_LINES:
                    raise DataError(
                        "data_emobox_lines", where=where, lines=MOST_LINES, kb=LONGEST_LINE >> 10
                    )
                if line.strip():
                    yield where, _row(where, line, split)
    except OSError as error:
        raise DataError("data_unreadable", path=table, error=error.strerror) from error


def _row(where: str, line: bytes, split: str) -> _Row:
    try:
        row = parse_json(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise DataError("data_emobox_object", where=where)
    raw, code = row.get("wav"), row.get("emo")
    for key, usable in (
        ("wav", isinstance(raw, str) and raw.strip()),
        ("emo", isinstance(code, str) or labels.is_missing(code)),
    ):
        if not usable:
            raise DataError("data_emobox_field", where=where, key=repr(key))
    wav = str(raw).strip().replace("\\", "/")
    parts = PurePosixPath(wav).parts
    if not parts or wav.startswith("/") or ".." in parts or ":" in parts[0]:
        raise DataError("data_emobox_path", where=where, path=repr(str(raw)[:200]))
    return _Row(wav, labels.cell(code), _seconds(row.get("length")), split)


def _seconds(raw: Any) -> float:
    """A hint only: decoding measures the length."""
    return float(raw) if isinstance(raw, int | float) and 0 < raw < 1e6 else 0.0


def _without_repeats(rows: list[tuple[str, _Row]]) -> list[_Row]:
    """A fold has each clip once: in two splits it would be trained on and tested."""
    first: dict[str, str] = {}
    for where, row in rows:
        if row.wav in first:
            path = repr(row.wav[:200])
            raise DataError("data_emobox_twice", where=where, path=path, first=first[row.wav])
        first[row.wav] = where
    return [row for _, row in rows]


def _codes(root: Path, name: str) -> dict[str, str]:
    """EmoBox's code -> a word for the emotion; empty where the codes are words."""
    table = root / "label_map.json"
    if not table.is_file():
        return _CODES.get(name, {})
    try:
        with table.open("rb") as file:
            codes = parse_json(file.read(LONGEST_LINE))
    except (OSError, ValueError, RecursionError):
        codes = None
    if not isinstance(codes, dict) or not all(isinstance(word, str) for word in codes.values()):
        raise DataError("data_emobox_codes", table=table)
    return codes


def _clip(name: str, row: _Row, file: Path | Message, codes: dict[str, str]) -> Clip:
    if isinstance(file, Message):
        if row.split:
            raise UnusableError("reject_emobox", reason=file, split=row.split)
        raise UnusableError(file.code, **file.values)
    if codes and row.emo and row.emo not in codes:
        raise UnusableError("reject_code", value=repr(row.emo), corpus=f"{name} in EmoBox")
    inside = PurePosixPath(row.wav).with_suffix("").as_posix()
    speaker, language = named.who(name, inside)
    return Clip(
        path=str(file),
        label=class_name(codes.get(row.emo, row.emo)),
        speaker=speaker,
        seconds=row.seconds,
        language=language,
        corpus=name,
        split=row.split,
    )
