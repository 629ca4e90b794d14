"""A prepared data folder: what `prepare` writes, and everything after it and the page read.

prepare.json    how it was made, with `split.notes`; written last
summary.json    `Summary`
clips.jsonl     one `Clip` a line
rejected.jsonl  one `Rejected` a line
labels.json     what became of corrected labels; only where `relabel` made the folder
features/       numbered safetensors shards, see train/data/features.py
"""

import json
import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from audiollm.contracts.messages import Message, read_messages
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import DataError
from audiollm.texts import printable

FORMAT = 1
PREPARED, SUMMARY = "prepare.json", "summary.json"
CLIPS, REJECTED = "clips.jsonl", "rejected.jsonl"
CORRECTED, FEATURES = "labels.json", "features"
LABEL_COLUMNS = ("label", "emotion", "class")  # of a list of recordings that is prepared

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Clip:
    """One recording of one person. A reader fills what it knows, `prepare` the rest."""

    path: str  # the sound file, or DATASET#SPLIT/ROW
    label: str  # canonical class name
    speaker: str = ""  # starts with the corpus; "" where nobody knows
    seconds: float = 0.0  # 0 where unknown
    language: str | None = None  # two letters
    corpus: str = ""
    split: str = ""  # train | valid | test; "" until a split is made
    id: str = ""  # content hash; "" until decoded
    cues: dict[str, Any] | None = field(default=None, hash=False)  # measured prosody
    # what people said: class -> weight, all together 1 for a clip that counts as any other
    votes: dict[str, float] | None = field(default=None, hash=False)


@dataclass(frozen=True)
class Rejected:
    """A file that is not used. The reason is `kind: detail`; kinds are counted in the summary."""

    path: str  # printable
    message: Message

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", printable(self.path))

    @classmethod
    def of(cls, path: str, code: str, /, **values: Any) -> "Rejected":
        return cls(path, Message.of(code, **values))

    @property
    def reason(self) -> str:
        """In English."""
        return self.message.text

    @property
    def kind(self) -> str:
        """In English."""
        return self.message.kind("en")


@dataclass(frozen=True)
class Counts:
    """Some of the clips in figures."""

    clips: int
    hours: float
    speakers: int  # 0: not known
    classes: dict[str, int]  # canonical name -> clips


@dataclass(frozen=True)
class Summary:
    """summary.json."""

    splits: dict[str, Counts]
    corpora: dict[str, Counts]
    all: Counts
    rejected: dict[str, int]  # kind -> files


def write_prepared(
    folder: Path,
    info: dict[str, Any],
    clips: Sequence[Clip],
    rejected: Sequence[Rejected],
    summary: Summary,
) -> None:
    """Writes everything but the features, each file atomically, prepare.json last."""
    names = [f.name for f in fields(Clip) if f.name != "votes"]
    rows = [
        {name: getattr(clip, name) for name in (*names, *(["votes"] if clip.votes else []))}
        for clip in clips
    ]
    refused = []
    for one in rejected:
        message = one.message.to_dict()
        refused.append({"path": one.path, "reason": message.pop("text"), **message})
    write_text(folder / CLIPS, "".join(map(_line, rows)))
    write_text(folder / REJECTED, "".join(map(_line, refused)))
    write_json(folder / SUMMARY, asdict(summary))
    info = {"format": FORMAT, **info}
    write_json(folder / PREPARED, info)


def read_info(folder: Path) -> dict[str, Any]:
    """prepare.json.

    Raises:
        DataError: this is no prepared folder, or one of another format.
    """
    path = folder / PREPARED
    if not path.is_file():
        raise DataError("data_not_prepared", folder=shlex.quote(str(folder)))
    info = _object(path, _read(path))
    if info.get("format") != FORMAT or not {"classes", "encoder", "corpus"} <= set(info):
        raise DataError("data_format", path=path, found=repr(info.get("format")), known=FORMAT)
    return info


def read_notes(folder: Path) -> list[Message]:
    """What a person should know about the split.

    Raises:
        DataError: prepare.json is damaged.
    """
    path = folder / PREPARED
    try:
        return read_messages(_object(path, _read(path)).get("split", {}).get("notes", []))
    except (ValueError, AttributeError) as error:
        raise DataError("data_damaged", path=path, error=repr(error)) from error


def read_summary(folder: Path) -> Summary:
    """
    Raises:
        DataError: it is missing or damaged.
    """
    path = folder / SUMMARY
    try:
        raw = _object(path, _read(path))
        parts = {name: _counts(part) for name, part in raw["splits"].items()}
        corpora = {name: _counts(part) for name, part in raw.get("corpora", {}).items()}
        rejected = {str(kind): int(n) for kind, n in raw.get("rejected", {}).items()}
        return Summary(
            {name: parts[name] for name in SPLITS}, corpora, _counts(raw["all"]), rejected
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError("data_damaged", path=path, error=repr(error)) from error


def _counts(raw: dict[str, Any]) -> Counts:
    classes = {str(name): int(n) for name, n in raw["classes"].items()}
    return Counts(int(raw["clips"]), float(raw["hours"]), int(raw["speakers"]), classes)


def read_clips(folder: Path) -> tuple[Clip, ...]:
    """
    Raises:
        DataError: the table is missing or damaged, with the line.
    """
    columns = {f.name for f in fields(Clip)}
    clips = []
    for number, row in _rows(folder / CLIPS):
        texts = [row.get(name) for name in ("id", "path", "label")]
        valid = all(isinstance(text, str) for text in texts) and row.get("split") in SPLITS
        if not valid or not math.isfinite(float(row.get("seconds") or 0)):
            raise DataError("data_no_clip", path=folder / CLIPS, line=number)
        clips.append(Clip(**{key: value for key, value in row.items() if key in columns}))
    return tuple(clips)


def read_rejected(folder: Path) -> tuple[Rejected, ...]:
    """None where the folder has no such table.

    Raises:
        DataError: it is damaged.
    """
    path = folder / REJECTED
    try:
        rows = [row for _, row in _rows(path)] if path.is_file() else []
        messages = [Message.read({**row, "text": row["reason"]}) for row in rows]
        return tuple(
            Rejected(str(row["path"]), message) for row, message in zip(rows, messages, strict=True)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("data_damaged", path=path, error=repr(error)) from error


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # not splitlines(): a path may hold what Unicode takes for the end of a line
    for number, line in enumerate(_read(path).split("\n"), 1):
        if line.strip():
            yield number, _object(path, line, number)


def _object(path: Path, text: str, line: int = 1) -> dict[str, Any]:
    try:
        value = parse_json(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise DataError("data_no_object", path=path, line=line)
    return value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("data_unreadable", path=path, error=error) from error


def write_text(path: Path, text: str) -> None:
    """The file is moved into place when it is complete; missing folders are made. Bytes of a file
    name that are no UTF-8 become escapes, which JSON reads as the same name.

    Raises:
        DataError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    except OSError as error:
        raise DataError("data_unwritable", path=path, error=error.strerror) from error


def write_json(path: Path, content: object) -> None:
    """The same of a JSON document."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
