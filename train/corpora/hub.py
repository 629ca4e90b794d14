"""Corpora kept by the `datasets` package: a hub id, parquet files, a saved folder; and ChiSER5.

The sound stays in the file until it is asked for, and `audio.load` decodes it: decoding by
`datasets` 5 itself would need torchcodec.
"""

import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiollm import labels
from audiollm.audio import SUFFIXES, files_below
from audiollm.errors import DataError
from train.corpora.base import (
    Clip,
    Corpus,
    UnusableError,
    class_name,
    columns,
    gather,
    label_cells,
    label_columns,
    slug,
    speaker_name,
    split_name,
)
from train.corpora.tables import find_manifest, read_folder, read_manifest

DATASETS_EXAMPLE = "a hub id like user/name, a folder or file of parquet, or a save_to_disk folder"
CHISER5_EXAMPLE = (
    "a Hugging Face dataset folder, parquet files, or a folder with the classes "
    "angry, happy, neutral, sad, surprise"
)
_CHISER5 = ("angry", "happy", "neutral", "sad", "surprise")  # its label numbers 0 to 4
_LABELS = ("label", "emotion", "labels", "class", "major_emotion")
_COLUMNS = {
    "speaker": ("speaker", "speaker_id", "spk", "actor", "speaker_name"),
    "language": ("language", "lang"),
}


def read_chiser5(root: Path, label_column: str = "") -> Corpus:
    """ChiSER5 in the form it was downloaded in: parquet or arrow, table, or class folders."""
    if find_manifest(root) is not None and root.suffix != ".parquet":
        return read_manifest(root, "chiser5", "zh", label_column)
    if _is_dataset(root):
        return read_datasets(root, "chiser5", "zh", _CHISER5, label_column)
    return read_folder(root, "chiser5", "zh")


def read_datasets(
    root: str | Path,
    name: str = "",
    language: str | None = None,
    classes: tuple[str, ...] = (),
    label_column: str = "",
) -> Corpus:
    """Every split of a data set; a split is kept where there are several.

    classes: names of numbered labels where the data set itself does not say them.
    label_column: see `read_manifest`.

    Raises:
        DataError: it cannot be loaded, or has no column for the sound or the label.
    """
    name = name or slug(str(root).rstrip("/").rsplit("/", 1)[-1]) or "datasets"
    try:
        loaded = _load(root)
    except _LooseFilesError:
        return _read_loose(str(root), name, language, label_column)
    parts = {part: _Part(table, root, classes, label_column) for part, table in loaded.items()}
    items = [
        (path, partial(_clip, part, row, path, name, language, split))
        for word, part in parts.items()
        for split in [(split_name(word) or "") if len(parts) > 1 else ""]
        for row in range(len(part.table))
        for path in [f"{root}#{word}/{row}"]
    ]

    def find(clip: Clip) -> tuple[_Part, int]:
        word, row = clip.path.rsplit("#", 1)[1].rsplit("/", 1)
        return parts[word], int(row)

    def open_row(clip: Clip) -> Path | bytes:
        part, row = find(clip)
        return part.sound(row)

    def stamp_row(clip: Clip) -> str:
        return str(find(clip)[0].table._fingerprint)

    return Corpus(name, *gather(items), open=open_row, stamp=stamp_row)


class _Part:
    """One split of a data set: its columns found, its sound left as it is stored."""

    def __init__(
        self, table: Any, root: str | Path, classes: tuple[str, ...], label_column: str
    ) -> None:
        import datasets

        self.audio = _audio_column(table.features)
        mapping = columns(table.features, _COLUMNS)
        candidates = label_columns(table.features, _LABELS, label_column)
        if self.audio is None or not candidates:
            raise DataError(
                "data_set_columns",
                root=root,
                columns=list(table.features),
                labels=_LABELS[:2],
            )
        if isinstance(table.features[self.audio], datasets.Audio):
            table = table.cast_column(self.audio, datasets.Audio(decode=False))
        self.table = table
        self.folder = Path(root) if Path(root).is_dir() else Path(root).parent
        values = table.select_columns(list({*mapping.values(), *candidates}))[:]  # never the sound
        self.fields = {key: values[column] for key, column in mapping.items()}
        for column in candidates:
            words = tuple(getattr(table.features[column], "names", None) or classes)
            values[column] = [_word(raw, words) for raw in values[column]]
        rows = [{column: values[column][row] for column in candidates} for row in range(len(table))]
        self.labels = label_cells(rows, candidates, root)

    def field(self, key: str, row: int) -> Any:
        return self.fields[key][row] if key in self.fields else None

    def label(self, row: int) -> str:
        """Class name of a row."""
        raw = self.labels[row]
        if isinstance(raw, int) and not isinstance(raw, bool):
            raise UnusableError("reject_number", number=raw)
        return class_name(raw)

    def sound(self, row: int) -> Path | bytes:
        """The stored file, as bytes or as a path beside the data set."""
        value = self.table[row][self.audio]
        if isinstance(value, dict):
            if value.get("bytes"):
                return bytes(value["bytes"])
            if value.get("array"):
                return _wav(value["array"], value.get("sampling_rate"))
            value = value.get("path")
        return self.folder / str(value or "")


def _word(raw: Any, words: tuple[str, ...]) -> Any:
    """The word of a numbered label, where the data set names that number."""
    if isinstance(raw, float) and raw.is_integer():  # pandas: beside missing ones
        raw = int(raw)
    numbered = isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw < len(words)
    return words[raw] if numbered else raw


def _clip(part: _Part, row: int, path: str, name: str, language: str | None, split: str) -> Clip:
    return Clip(
        path=path,
        label=part.label(row),
        speaker=speaker_name(name, part.field("speaker", row)),
        language=labels.cell(part.field("language", row)).lower() or language,
        corpus=name,
        split=split,
    )


def _wav(array: Any, rate: Any) -> bytes:
    """A file of samples [N] or [channels, N]; b"", which nobody can decode, where they are none."""
    try:
        samples = np.asarray(array, dtype=np.float32)
        file = io.BytesIO()
        soundfile.write(file, samples.T, int(rate), format="WAV", subtype="FLOAT")
        return file.getvalue()
    except (ValueError, TypeError, OverflowError, RuntimeError):
        return b""


def _audio_column(features: Any) -> str | None:
    """An Audio feature, else a {bytes, path} or {array, sampling_rate} column, else a column named
    like a sound file."""
    import datasets

    keys = {"bytes", "array"}
    for column, kind in features.items():
        if isinstance(kind, datasets.Audio) or (isinstance(kind, dict) and keys & set(kind)):
            return str(column)
    names = ("audio", "file", "path", "wav", "file_name")
    return columns(features, {"audio": names}).get("audio")


class _LooseFilesError(Exception):
    """The data set is a folder of sound files, which `datasets` would want to encode again."""


def _wants_decoder(error: BaseException | None) -> bool:
    """Something in the chain of causes is a package that is not here: torchcodec."""
    while error is not None and not isinstance(error, ImportError):
        error = error.__cause__ or error.__context__
    return error is not None


def _read_loose(id: str, name: str, language: str | None, label_column: str) -> Corpus:
    """A data set of the hub that keeps its sound as files: they are fetched and read as such."""
    import huggingface_hub

    patterns = [f"*{suffix}" for suffix in (*SUFFIXES, ".csv", ".jsonl")]
    try:
        path = huggingface_hub.snapshot_download(id, repo_type="dataset", allow_patterns=patterns)
    except Exception as error:  # its client raises whatever its HTTP library does
        raise DataError("data_set_offline", id=id) from error
    folder = Path(path)
    if find_manifest(folder) is not None:
        return read_manifest(folder, name, language, label_column)
    return read_folder(folder, name, language)


def _is_dataset(root: Path) -> bool:
    if root.is_file():
        return root.suffix == ".parquet"
    saved = ("dataset_dict.json", "dataset_info.json", "state.json")
    return any((root / n).is_file() for n in saved) or any(
        path.suffix == ".parquet" for path in files_below(root)
    )


def _load(root: str | Path) -> dict[str, Any]:
    """Split name -> table."""
    import datasets

    where = Path(root)
    try:
        if where.is_file():
            loaded = datasets.load_dataset("parquet", data_files=str(where))
        elif (where / "dataset_dict.json").is_file() or (where / "state.json").is_file():
            loaded = datasets.load_from_disk(str(where))
        elif where.is_dir() and not _is_dataset(where):
            raise DataError("data_set_folder", root=where)
        else:
            loaded = datasets.load_dataset(str(root))
    except DataError:
        raise
    except (ConnectionError, datasets.exceptions.DatasetNotFoundError) as error:
        offline = isinstance(error, ConnectionError)  # also with HF_HUB_OFFLINE
        raise DataError("data_set_offline" if offline else "data_set_missing", id=root) from error
    except Exception as error:  # datasets raises a dozen kinds; all mean that it did not load
        if _wants_decoder(error):
            raise _LooseFilesError from error
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            "data_set_broken", root=root, error=first, expected=DATASETS_EXAMPLE
        ) from error
    if isinstance(loaded, datasets.DatasetDict):
        return {str(part): table for part, table in loaded.items()}
    return {"train": loaded}
