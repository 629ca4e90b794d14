"""Labels as files that other programs read, both ways.

A file is read whole or not at all: the first thing in it that cannot be used is named with its
line.
"""

from audiollm.labelling.formats.folders import (
    read_audio_folder,
    read_dataset,
    write_audio_folder,
    write_dataset,
)
from audiollm.labelling.formats.read import Found, read
from audiollm.labelling.formats.studio import read_studio, write_studio
from audiollm.labelling.formats.tables import read_csv, read_jsonl, write_csv, write_jsonl

__all__ = [
    "Found",
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
