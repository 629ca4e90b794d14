"""Folders with their sounds: one folder per class, and a data set that `datasets` opens.

Both contain every label in a table beside the sounds, so nothing is lost on the way back.
"""

import json
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from audiollm.audio import sound_files
from audiollm.errors import LabelError
from audiollm.labelling.formats.rows import (
    Imported,
    Reader,
    at_line,
    json_lines,
    label_fields,
    task_fields,
)
from audiollm.labelling.formats.tables import read_csv, read_jsonl, write_jsonl
from audiollm.labelling.tasks import Outcome
from audiollm.settings import Settings

TABLE = "labels.jsonl"  # every label, beside the folders of the classes
METADATA = ("metadata.jsonl", "metadata.csv")  # file names that `datasets` expects
UNDECIDED = "undecided"  # the folder of clips without a final label
CARD = """---
task_categories:
- audio-classification
---
# Speech clips with emotion labels

{clips} clips. `label` is the decision or the majority ("" for a tie), `counts` the number of people
per label, `labels` the label of each person, `original` the class of the data that the clip comes
from. Exported from the Label page of AudioLLM.
"""


def write_audio_folder(outcomes: Sequence[Outcome], folder: Path) -> None:
    """CLASS/ID.flac by the final label, and TABLE.

    Raises:
        LabelError: the folder exists, or a sound cannot be copied.
    """
    files = copy_sounds(outcomes, folder, lambda outcome: outcome.final or UNDECIDED)
    write_jsonl(outcomes, folder / TABLE, files)


def read_audio_folder(
    folder: Path, person: str, settings: Settings, known: Collection[str] = ()
) -> Imported:
    """A folder that was written here, or any with one folder of sounds per class.

    Raises:
        LabelError: a folder is no class, or a sound cannot be read.
    """
    if (folder / TABLE).is_file():
        return read_jsonl(folder / TABLE, person, settings, known)
    reader = Reader(folder, person, settings, known, base=folder)
    for number, path in enumerate(sounds_below(folder), start=1):  # in the sorted list
        file = path.relative_to(folder)
        if len(file.parts) < 2:
            raise LabelError("label_no_class_folder", path=file)
        label = "" if file.parts[-2] == UNDECIDED else file.parts[-2]
        reader.add(number, {"file": str(file), "label": label})
    return reader.imported()


def sounds_below(folder: Path) -> list[Path]:
    """Every sound file below a folder, sorted.

    Raises:
        LabelError: there is none.
    """
    paths = sound_files(folder)
    if not paths:
        raise LabelError("label_no_sounds", folder=folder)
    return paths


def write_dataset(outcomes: Sequence[Outcome], folder: Path) -> None:
    """data/ID.flac, metadata.jsonl with `file_name`, `label` and every label, and a card.

    Raises:
        LabelError: the folder exists, or a sound cannot be copied.
    """
    files = copy_sounds(outcomes, folder, lambda _: "data")
    lines = []
    for outcome in outcomes:
        row = {
            "file_name": files[outcome.task.id],
            "label": outcome.final,
            "counts": json.dumps(outcome.counts),  # text, as its keys differ between clips
            **task_fields(outcome.task),
            "labels": [label_fields(label) for label in outcome.all_labels],
        }
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    (folder / METADATA[0]).write_text("".join(lines), "utf-8", "backslashreplace")
    (folder / "README.md").write_text(CARD.format(clips=len(outcomes)), encoding="utf-8")


def read_dataset(
    folder: Path, person: str, settings: Settings, known: Collection[str] = ()
) -> Imported:
    """A folder with metadata.jsonl or metadata.csv beside its sounds.

    Raises:
        LabelError: it has neither, or a line of it cannot be used.
    """
    path = next((folder / name for name in METADATA if (folder / name).is_file()), None)
    if path is None:
        raise LabelError("label_no_metadata", folder=folder)
    if path.suffix == ".csv":
        return read_csv(path, person, settings, known)
    reader = Reader(path, person, settings, known)
    for number, row in json_lines(path):
        if "file_name" not in row:
            raise at_line(path, number, LabelError("label_no_file_name"))
        about = {**row, "file": row["file_name"]}
        labels = about.pop("labels", None)
        if labels is None:  # a data set of another program
            labels = [{}]
        for label in labels or [{"label": ""}]:
            reader.add(number, {**about, **label})
    return reader.imported()


def pack(folder: Path) -> None:
    """Puts a folder into a zip of its name beside it, and deletes it. Times of files that a zip
    cannot hold, those before 1980 and after 2107 as of a wrong clock, become the nearest it can.

    Raises:
        OSError: it cannot be written.
    """
    with ZipFile(f"{folder}.zip", "w", ZIP_DEFLATED, strict_timestamps=False) as packed:
        for path in sorted(folder.rglob("*")):
            packed.write(path, path.relative_to(folder.parent))
    shutil.rmtree(folder)


def copy_sounds(
    outcomes: Sequence[Outcome], folder: Path, subfolder: Callable[[Outcome], str]
) -> dict[str, str]:
    """Creates the folder and copies every sound into its subfolder; task id -> relative path."""
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise LabelError("label_folder_failed", folder=folder, reason=error) from error
    files = {}
    for outcome in outcomes:
        source = Path(outcome.task.path)
        file = f"{subfolder(outcome)}/{outcome.task.id}{source.suffix.lower()}"
        try:
            (folder / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(source, folder / file)
        except OSError as error:
            raise LabelError("label_copy_failed", file=source, reason=error) from error
        files[outcome.task.id] = file
    return files
