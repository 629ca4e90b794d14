"""Clips into the queue, labels in and out of files: plain functions, no gradio here."""

import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from audiollm.audio import Sound, prosody
from audiollm.errors import LabelError
from audiollm.jobs.queue import ROOT
from audiollm.labelling import formats, sources
from audiollm.labelling.saved import SavedClips
from audiollm.labelling.sources import Gathered
from audiollm.labelling.tasks import checked_person
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.auth.access import opened
from audiollm.web.label.actions import book
from audiollm.web.services import Services

if TYPE_CHECKING:
    from audiollm.predictor import Predictor

KEPT, FOLDER = "kept", "folder"
SUSPECTS = "suspects.jsonl"  # what `train suspects --out` is told to write


def offered(services: Services, language: Language) -> list[tuple[str, str]]:
    """(words, id) of what clips can come from.

    Raises:
        ShutError: see `opened`.
    """
    home = opened(services).home
    places = (ROOT / "runs", home / "runs")
    found = [
        (text("from_evaluation", language, name=path.parent.name), str(path))
        for path in sources.evaluations(places)
    ]
    suspected = [
        path
        for top in (*places, home / "data", ROOT / "data")
        if top.is_dir()
        for path in sorted(top.glob(f"*/{SUSPECTS}"))
    ]
    found += [
        (text("from_suspects", language, name=path.parent.name), str(path.resolve()))
        for path in suspected
    ]
    return [*found, (text("from_kept", language), KEPT), (text("from_folder", language), FOLDER)]


def gather(
    services: Services, source: str | None, folder: str, language: Language
) -> Iterator[str]:
    """HTML of how far it is; at the end the clips are in the queue.

    Raises:
        ShutError: see `opened`.
        LabelError: the source is not there, or holds nothing.
    """
    settings = opened(services)
    if source == FOLDER:
        found = yield from _listen(services, Path(folder.strip()).expanduser(), language)
    elif source == KEPT:
        found = sources.from_saved(SavedClips(settings.home).all(), settings)
    elif source in {id for _, id in offered(services, language)}:
        path = Path(source)
        suspects = path.name == SUSPECTS
        found = sources.from_suspects(path, settings) if suspects else sources.from_evaluation(path)
    else:
        raise LabelError("Choose where the clips come from.")
    new = book(services).add(found.tasks)
    said = {"new": new, "known": len(found.tasks) - new}
    said |= {"passed": found.passed, "unusable": found.unusable}
    yield render.notice(text("label_added", language, **said), "wait")


def _listen(services: Services, folder: Path, language: Language) -> Generator[str, None, Gathered]:
    if not folder.name:
        raise LabelError("Give the folder that holds the sounds.")
    yield render.notice(text("listening", language), "wait")
    predictor, name = services.predictor(), services.using
    found = Gathered(())
    for found in sources.from_folder(
        folder, lambda s: _hear(predictor, name, s), services.settings
    ):
        told = text("label_gathering", language, done=found.done, total=found.total)
        yield render.notice(told, "wait", share=found.done / found.total)
    return found


def _hear(
    predictor: "Predictor", name: str, sound: Sound
) -> tuple[str, dict[str, float], str, dict[str, float]]:
    """The model's probabilities, without its text, and those of the linear probe."""
    followed = prosody.track(sound.samples)
    with closing(predictor.stream(sound, predictor.card.languages[0], followed=followed)) as parts:
        answer = next(part.probabilities for part in parts if not hasattr(part, "windows"))
    if not predictor.card.probe:
        return name, dict(answer), "", {}
    return name, dict(answer), f"{name}: probe", predictor.probe(sound, followed)


def take(services: Services, path: str, person: str) -> dict[str, int]:
    """Labels of a file or folder into the book; all of it or nothing. What came, in figures.

    Raises:
        ShutError: see `opened`.
        LabelError: something in it cannot be used.
    """
    settings = opened(services)
    if not path.strip():
        raise LabelError("Choose a file, or give the path of a file or folder.")
    checked_person(person)
    known = book(services)
    place = Path(path.strip()).expanduser()
    found = formats.read(place, person, settings, known.classes())
    new, labels = known.take_in(found.tasks, found.labels)
    return {"tasks": len(found.tasks), "new": new, "labels": labels}


def give(services: Services, format: str) -> str:
    """The path of a new file with every label, in a temporary folder.

    Raises:
        ShutError: see `opened`.
        LabelError: it cannot be written.
    """
    outcomes = book(services).outcomes()
    if not outcomes:
        raise LabelError("There is nothing to export yet: add clips first.")
    folder = Path(tempfile.mkdtemp(prefix="audiollm-labels-"))
    name = f"labels-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    try:
        if format == "csv":
            formats.write_csv(outcomes, folder / f"{name}.csv")
        elif format == "jsonl":
            formats.write_jsonl(outcomes, folder / f"{name}.jsonl")
        elif format == "studio":
            formats.write_studio(outcomes, folder / f"{name}.json")
        elif format in ("folder", "dataset"):
            write = formats.write_dataset if format == "dataset" else formats.write_audio_folder
            write(outcomes, folder / name)
            shutil.make_archive(str(folder / name), "zip", folder, name)
            shutil.rmtree(folder / name)
        else:
            raise LabelError(f"{format!r} is no format that labels are written in.")
    except OSError as error:
        raise LabelError(f"The labels could not be written ({error}): make room.") from error
    return str(next(folder.iterdir()))
