"""Folders with their sounds: one folder a class, and a data set that `datasets` opens.

Both carry every person's label in a table beside the sounds, so that they come back as they were.
"""

import json
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from audiollm.audio import SUFFIXES
from audiollm.errors import LabelError
from audiollm.labelling.formats.rows import Found, Reader
from audiollm.labelling.formats.tables import read_csv, read_jsonl, write_jsonl
from audiollm.labelling.tasks import Outcome
from audiollm.settings import Settings

TABLE = "labels.jsonl"  # every label, beside the folders of the classes
METADATA = ("metadata.jsonl", "metadata.csv")  # what `datasets` looks for
UNDECIDED = "undecided"  # the folder of clips without a final label


def write_audio_folder(outcomes: Sequence[Outcome], folder: Path) -> None:
    """CLASS/ID.flac by the final label, and TABLE.

    Raises:
        LabelError: the folder is there already, or a sound cannot be copied.
    """
    places = _copied(outcomes, folder, lambda outcome: outcome.final or UNDECIDED)
    write_jsonl(outcomes, folder / TABLE, places)


def read_audio_folder(
    folder: Path, person: str, settings: Settings, known: Collection[str] = ()
) -> Found:
    """One that was written here, or anybody's folder with a folder of sounds for each class.

    Raises:
        LabelError: a folder is no class, or a sound cannot be read.
    """
    if (folder / TABLE).is_file():
        return read_jsonl(folder / TABLE, person, settings, known)
    reader = Reader(folder, person, settings, known, base=folder)
    sounds = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not sounds:
        raise LabelError(f"{folder} holds no sound files.")
    for number, path in enumerate(sounds, start=1):  # of the file in the sorted list
        place = path.relative_to(folder)
        if len(place.parts) < 2:
            raise LabelError(f"{place} lies in no folder that names its class.")
        label = "" if place.parts[-2] == UNDECIDED else place.parts[-2]
        reader.add(number, {"file": str(place), "label": label})
    return reader.found()


def write_dataset(outcomes: Sequence[Outcome], folder: Path) -> None:
    """data/ID.flac, metadata.jsonl with `file_name`, `label` and every label, and a card.

    Raises:
        LabelError: the folder is there already, or a sound cannot be copied.
    """
    places = _copied(outcomes, folder, lambda _: "data")
    lines = []
    for outcome in outcomes:
        votes = [*outcome.labels, *([outcome.decision] if outcome.decision else [])]
        lines.append(
            {
                "file_name": places[outcome.task.id],
                "label": outcome.final,
                "counts": json.dumps(outcome.counts),  # its keys differ from clip to clip
                "original": outcome.task.original,
                "speaker": outcome.task.speaker,
                "source": outcome.task.source,
                "reason": outcome.task.reason,
                "labels": [
                    {
                        "label": vote.name,
                        "person": vote.person,
                        "kind": vote.kind,
                        "secondary": vote.secondary,
                        "intensity": vote.intensity,
                        "note": vote.note,
                        "blind": vote.blind,
                        "took": vote.took,
                        "at": vote.at,
                    }
                    for vote in votes
                ],
            }
        )
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / METADATA[0]).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(CARD.format(clips=len(outcomes)), encoding="utf-8")


def read_dataset(
    folder: Path, person: str, settings: Settings, known: Collection[str] = ()
) -> Found:
    """A folder with metadata.jsonl or metadata.csv beside its sounds.

    Raises:
        LabelError: it has neither, or a line of it cannot be used.
    """
    path = next((folder / name for name in METADATA if (folder / name).is_file()), None)
    if path is None:
        raise LabelError(f"{folder} has no {' and no '.join(METADATA)}.")
    if path.suffix == ".csv":
        return read_csv(path, person, settings, known)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path.name} cannot be read as UTF-8 ({error}).") from error
    reader = Reader(path, person, settings, known)
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            about = {**row, "file": row["file_name"]}
            votes = about.pop("labels", None)
        except (ValueError, KeyError, TypeError) as error:
            message = f"{path.name}, line {number}: no JSON object with file_name."
            raise LabelError(message) from error
        if votes is None:  # somebody else's data set
            reader.add(number, about)
            continue
        if not votes:
            reader.add(number, {**about, "label": ""})
        for vote in votes:
            reader.add(number, {**about, **vote})
    return reader.found()


CARD = """---
task_categories:
- audio-classification
---
# Voices with the emotions that people heard in them

{clips} clips. `label` is the decision or what most people said ("" where they were level),
`counts` is how many said what, `labels` is what each person said, `original` is the class that the
clip came with. Made by the Label page of AudioLLM.
"""


def _copied(
    outcomes: Sequence[Outcome], folder: Path, part: Callable[[Outcome], str]
) -> dict[str, str]:
    """Makes the folder and copies every sound into the part of it that is named; task -> file."""
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise LabelError(f"{folder} cannot be made ({error}): choose a new name.") from error
    places = {}
    for outcome in outcomes:
        source = Path(outcome.task.path)
        place = f"{part(outcome)}/{outcome.task.id}{source.suffix.lower()}"
        try:
            (folder / place).parent.mkdir(exist_ok=True)
            shutil.copyfile(source, folder / place)
        except OSError as error:
            raise LabelError(f"{source} cannot be copied to {folder / place} ({error}).") from error
        places[outcome.task.id] = place
    return places
