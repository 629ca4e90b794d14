"""A file or folder of labels in whichever format it is."""

from collections.abc import Collection
from pathlib import Path

from audiollm.errors import LabelError
from audiollm.labelling.formats.folders import METADATA, read_audio_folder, read_dataset
from audiollm.labelling.formats.rows import Found
from audiollm.labelling.formats.studio import read_studio
from audiollm.labelling.formats.tables import read_csv, read_jsonl
from audiollm.settings import Settings

_BY_ENDING = {".csv": read_csv, ".jsonl": read_jsonl, ".json": read_studio}


def read(path: Path, person: str, settings: Settings, known: Collection[str] = ()) -> Found:
    """What the file or folder holds. Labels that name nobody are `person`'s.

    Raises:
        LabelError: it is none of the formats, or something in it cannot be used.
    """
    if path.is_dir():
        dataset = any((path / name).is_file() for name in METADATA)
        return (read_dataset if dataset else read_audio_folder)(path, person, settings, known)
    ending = path.suffix.lower()
    if ending not in _BY_ENDING or not path.is_file():
        raise LabelError(
            f"{path} is no file of labels: give a .csv, a .jsonl, Label Studio's .json or a folder."
        )
    return _BY_ENDING[ending](path, person, settings, known)
