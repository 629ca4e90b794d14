"""A prepared data folder on disk: what `prepare` writes and everything after it reads."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from audiollm.contracts.manifest import EncoderRef, from_dict
from audiollm.errors import ConfigError, DataError
from train.corpora import SPLITS, Clip, Rejected
from train.data.features import FeatureStore
from train.data.splits import SplitResult, check_leaks, split, without_copies

__all__ = [
    "Clip",
    "Prepared",
    "SplitResult",
    "check_leaks",
    "load_prepared",
    "split",
    "without_copies",
    "write_prepared",
]
FORMAT = 1
RECORD = "labels.json"  # what became of labels; only where `relabel` made the folder


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared data folder: what `fit`, `evaluate` and the linear probe read."""

    folder: Path
    info: dict[str, Any]  # prepare.json
    clips: tuple[Clip, ...]
    store: FeatureStore

    @property
    def classes(self) -> tuple[str, ...]:
        """Ordered class names."""
        return tuple(self.info["classes"])

    @property
    def copies(self) -> int:
        """Spoiled copies of every training clip whose features are stored, too."""
        return int(self.info.get("copies", 0))

    @property
    def encoder(self) -> EncoderRef:
        """The encoder that made the features."""
        return from_dict(EncoderRef, self.info["encoder"], "prepare.json: encoder")

    def split(self, name: str) -> tuple[Clip, ...]:
        """The clips of one side.

        Raises:
            DataError: there is no side of that name.
        """
        if name not in SPLITS:
            raise DataError(f"There is no split {name!r}: use one of {', '.join(SPLITS)}.")
        return tuple(clip for clip in self.clips if clip.split == name)


def write_prepared(
    folder: Path,
    info: dict[str, Any],
    clips: Sequence[Clip],
    rejected: Sequence[Rejected],
    summary: dict[str, Any],
) -> None:
    """Writes everything but the features, each file atomically, prepare.json last."""
    names = ("id", "path", "label", "speaker", "seconds", "language", "corpus", "split", "cues")
    rows = [
        {name: getattr(clip, name) for name in (*names, *(["votes"] if clip.votes else []))}
        for clip in clips
    ]
    write_text(folder / "clips.jsonl", "".join(map(_line, rows)))
    write_text(folder / "rejected.jsonl", "".join(_line(asdict(r)) for r in rejected))
    write_text(folder / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    info = {"format": FORMAT, **info}
    write_text(folder / "prepare.json", json.dumps(info, indent=2, ensure_ascii=False) + "\n")


def load_prepared(folder: Path) -> Prepared:
    """Reads a prepared data folder.

    Raises:
        DataError: it is not one, is damaged, or lacks the features of a clip.
    """
    if not (folder / "prepare.json").is_file():
        raise DataError(
            f"{folder} is no prepared data folder: make it with "
            f"python -m train prepare --corpus NAME --root DIR --out {folder}."
        )
    info = _parse(folder / "prepare.json", _read(folder / "prepare.json"))
    if info.get("format") != FORMAT or not {"classes", "encoder", "corpus"} <= set(info):
        raise DataError(
            f"{folder}/prepare.json has format {info.get('format')!r}, this program reads "
            f"{FORMAT}: run prepare again."
        )
    table = folder / "clips.jsonl"
    clips = tuple(
        _clip(table, number, _parse(table, line, number))
        for number, line in enumerate(_read(table).split("\n"), 1)
        if line.strip()
    )
    store = FeatureStore(folder / "features")
    missing = [clip for clip in clips if clip.id not in store]
    if missing or not clips:
        raise DataError(
            f"{folder} lacks the features of {len(missing)} of {len(clips)} clips: run the same "
            "prepare command again, which computes what is missing."
        )
    prepared = Prepared(folder, info, clips, store)
    try:
        _ = prepared.encoder
    except ConfigError as error:
        raise DataError(f"{folder} is damaged ({error}): run prepare again.") from error
    return prepared


def _clip(table: Path, number: int, row: dict[str, Any]) -> Clip:
    known = {f.name for f in fields(Clip)}
    if not isinstance(row.get("id"), str) or not isinstance(row.get("label"), str):
        raise DataError(f"{table} line {number} is no clip: run prepare again.")
    if row.get("split") not in SPLITS or not math.isfinite(float(row.get("seconds") or 0)):
        raise DataError(f"{table} line {number} is no clip: run prepare again.")
    return Clip(**{key: value for key, value in row.items() if key in known})


def _parse(path: Path, text: str, line: int = 0) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        where = f" line {line}" if line else ""
        raise DataError(f"{path}{where} is not a JSON object: run prepare again.")
    return value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}): run prepare again.") from error


def write_text(path: Path, text: str) -> None:
    """The file is moved into place when it is complete.

    Raises:
        DataError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}): make room.") from error


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
