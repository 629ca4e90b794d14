"""Label files that other programs read and write.

A file is read completely or not at all: the error names the first line that cannot be used.
"""

from collections.abc import Collection
from pathlib import Path

from audiollm.errors import LabelError
from audiollm.labelling.formats.folders import (
    METADATA,
    pack,
    read_audio_folder,
    read_dataset,
    write_audio_folder,
    write_dataset,
)
from audiollm.labelling.formats.rows import Imported
from audiollm.labelling.formats.studio import TASKS, read_studio, write_studio
from audiollm.labelling.formats.tables import read_csv, read_jsonl, write_csv, write_jsonl
from audiollm.settings import Settings

__all__ = [
    "WRITERS",
    "Imported",
    "pack",
    "read",
    "read_audio_folder",
    "read_csv",
    "read_dataset",
    "read_jsonl",
    "read_studio",
    "write_audio_folder",
    "write_csv",
    "write_dataset",
    "write_jsonl",
    "write_studio",
]

READERS = {".csv": read_csv, ".jsonl": read_jsonl, ".json": read_studio}
# name of a format -> suffix of its file, "" for a folder; function
WRITERS = {
    "csv": (".csv", write_csv),
    "jsonl": (".jsonl", write_jsonl),
    "folder": ("", write_audio_folder),
    "dataset": ("", write_dataset),
    "studio": ("", write_studio),
}


def read(path: Path, person: str, settings: Settings, known: Collection[str] = ()) -> Imported:
    """A file or folder in any of the formats. Labels without a person are `person`'s; `known` are
    classes besides those of labels.py.

    Raises:
        LabelError: the format is unknown, or something in it cannot be used.
    """
    if (path / TASKS).is_file():
        path /= TASKS
    if path.is_dir():
        dataset = any((path / name).is_file() for name in METADATA)
        return (read_dataset if dataset else read_audio_folder)(path, person, settings, known)
    suffix = path.suffix.lower()
    if suffix not in READERS or not path.is_file():
        raise LabelError("label_file_format", path=path)
    return READERS[suffix](path, person, settings, known)
