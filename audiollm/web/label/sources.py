"""Clips into the queue, labels in and out of files: plain functions, no gradio here."""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from audiollm.audio import Sound, prosody
from audiollm.errors import LabelError
from audiollm.jobs.queue import ROOT
from audiollm.labelling import formats, sources
from audiollm.labelling.formats.folders import sounds_below
from audiollm.labelling.saved import SavedClips
from audiollm.labelling.sources import Answers, Gathered
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
        path = Path(folder.strip()).expanduser()
        if not folder.strip() or not path.is_dir():
            raise LabelError("label_no_folder", folder=folder)
        yield render.notice(text("analysing", language), "wait")
        model, name = services.predictor(), services.using
        paths, tasks = sounds_below(path), []
        for done, file in enumerate(paths, start=1):
            task = sources.from_file(
                file, path.name, lambda sound: _answers(model, name, sound), settings
            )
            tasks += [task] if task else []
            told = text("label_gathering", language, done=done, total=len(paths))
            yield render.notice(told, "wait", share=done / len(paths))
        found = Gathered(tuple(tasks), 0, len(paths) - len(tasks))
    elif source == KEPT:
        found = sources.from_saved(SavedClips(settings.home).all(), settings)
    elif source in {id for _, id in offered(services, language)}:
        path = Path(source)
        suspects = path.name == SUSPECTS
        found = (
            sources.from_label_errors(path, settings) if suspects else sources.from_evaluation(path)
        )
    else:
        raise LabelError("label_no_source")
    new = book(services).add_tasks(found.tasks)
    said = {"new": new, "known": len(found.tasks) - new}
    said |= {"passed": found.skipped, "unusable": found.unusable}
    yield render.notice(text("label_added", language, **said), "wait")


def _answers(predictor: "Predictor", name: str, sound: Sound) -> Answers:
    """The model's probabilities without its text, and those of the linear probe."""
    cues = prosody.track(sound.samples)
    answer = predictor.classify([sound], predictor.card.languages[0])[0].probabilities
    if not predictor.card.probe:
        return Answers(name, dict(answer))
    return Answers(name, dict(answer), f"{name}: probe", predictor.probe(sound, cues))


def take(services: Services, path: str, person: str) -> dict[str, int]:
    """LabelStore of a file or folder into the book; all of it or nothing. What came, in figures.

    Raises:
        ShutError: see `opened`.
        LabelError: something in it cannot be used.
    """
    settings = opened(services)
    if not path.strip():
        raise LabelError("label_no_path")
    checked_person(person)
    known = book(services)
    place = Path(path.strip()).expanduser()
    found = formats.read(place, person, settings, known.classes())
    new, labels = known.import_labels(found.tasks, found.labels)
    return {"tasks": len(found.tasks), "new": new, "labels": labels}


def give(services: Services, format: str) -> str:
    """The path of a new file with every label, in a temporary folder.

    Raises:
        ShutError: see `opened`.
        LabelError: it cannot be written.
    """
    outcomes = book(services).outcomes()
    if not outcomes:
        raise LabelError("label_nothing_to_export")
    folder = Path(tempfile.mkdtemp(prefix="audiollm-labels-"))
    name = f"labels-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    try:
        suffix, write = formats.WRITERS[format]
        write(outcomes, folder / f"{name}{suffix}")
        if not suffix:
            shutil.make_archive(str(folder / name), "zip", folder, name)
            shutil.rmtree(folder / name)
    except OSError as error:
        raise LabelError("label_export_failed", reason=error) from error
    return str(next(folder.iterdir()))
