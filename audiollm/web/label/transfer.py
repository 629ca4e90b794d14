"""Clips into the queue, labels in and out of files: functions, and their part of the Label page."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from audiollm.audio import SUFFIXES as SOUNDS
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
from audiollm.web.auth.access import owner_settings
from audiollm.web.events import AT_ONCE, IN_TURN, QUIET, Update, repeats
from audiollm.web.label.queue import label_store
from audiollm.web.services import Services
from audiollm.web.static import Static, choices
from audiollm.web.train import upload, view
from audiollm.web.train.unpacking import unzip

if TYPE_CHECKING:
    from audiollm.predictor import Predictor

SAVED, FOLDER = "saved", "folder"
# What `train label-errors --out` writes; the second name was that of earlier versions
LABEL_ERRORS = ("label-errors.jsonl", "suspects.jsonl")
FORMATS = tuple(formats.WRITERS)
SUFFIXES = [".csv", ".jsonl", ".json", ".zip"]
CLIPS = "clips"  # uploads, in the home folder


def source_choices(services: Services, language: Language) -> list[tuple[str, str]]:
    """(words, id) of the sources of clips.

    Raises:
        ShutError: see `owner_settings`.
    """
    home = owner_settings(services).home
    runs, data = (ROOT / "runs", home / "runs"), (home / "data", ROOT / "data")
    offers = [
        (text("from_evaluation", language, name=path.parent.name), str(path))
        for path in sources.evaluations(runs)
    ]
    offers += [
        (text("from_label_errors", language, name=path.parent.name), str(path.resolve()))
        for folder in (*runs, *data)
        for name in LABEL_ERRORS
        for path in sorted(folder.glob(f"*/{name}"))
    ]
    own = (("from_saved", SAVED), ("source_folder", FOLDER))
    return [*offers, *((text(key, language), id) for key, id in own)]


def gather(
    services: Services,
    source: str | None,
    folder: str,
    language: Language,
    uploads: Sequence[str] = (),
) -> Iterator[str]:
    """HTML of the progress; at the end the clips are in the queue.

    uploads: of FOLDER, sounds and zips in place of a folder.

    Raises:
        ShutError: see `owner_settings`.
        DataError: an upload is refused.
        LabelError: the source is missing, or empty.
    """
    settings = owner_settings(services)
    if source == FOLDER:
        path = Path(folder.strip()).expanduser()
        if uploads:
            path = store_uploads(services, uploads)
        elif not folder.strip() or not path.is_dir():
            raise LabelError("label_no_folder", folder=folder)
        paths, tasks = sounds_below(path), []
        for done, file in enumerate(paths):
            progress = text("label_gathering", language, done=done, total=len(paths))
            yield render.notice(progress, "wait", share=done / len(paths))
            model, name = services.predictor(), services.active
            task = sources.from_file(file, path.name, partial(_answers, model, name), settings)
            tasks += [task] if task else []
        gathered = Gathered(tuple(tasks), 0, len(paths) - len(tasks))
    elif source == SAVED:
        gathered = sources.from_saved(SavedClips(settings.home).all(), settings)
    elif source in {id for _, id in source_choices(services, language)}:
        path = Path(source)
        if path.name in LABEL_ERRORS:
            gathered = sources.from_label_errors(path, settings)
        else:
            gathered = sources.from_evaluation(path)
    else:
        raise LabelError("label_no_source")
    new = label_store(services).add_tasks(gathered.tasks)
    counts = {"new": new, "known": len(gathered.tasks) - new}
    counts |= {"skipped": gathered.skipped, "unusable": gathered.unusable}
    yield render.notice(text("label_added", language, **counts), "wait")


def store_uploads(services: Services, files: Sequence[str]) -> Path:
    """The folder with uploaded files; zips are unpacked into folders of their own.

    Raises:
        ShutError: see `owner_settings`.
        DataError: a zip is refused, or the disk is full.
    """
    settings = owner_settings(services)
    place = settings.home.resolve() / CLIPS
    with upload.arriving(place, Path(files[0]).stem) as (part, folder):
        for file in map(Path, files):
            if file.suffix.lower() != ".zip":
                shutil.copyfile(file, _free(part, file))
            elif len(files) == 1:
                unzip(file, part, settings, kinds=SUFFIXES[:-1])
            else:
                inside = _free(part, file.with_suffix(""))
                inside.mkdir()
                unzip(file, inside, settings, kinds=SUFFIXES[:-1])
    return folder


def _free(folder: Path, file: Path) -> Path:
    """A path in the folder by the name of the file; with a number where that is taken."""
    path, number = folder / file.name, 1
    while path.exists():
        number += 1
        path = folder / f"{file.stem}-{number}{file.suffix}"
    return path


def _answers(predictor: "Predictor", name: str, sound: Sound) -> Answers:
    """The model's probabilities without its text, and those of the linear probe."""
    answer = predictor.classify([sound], predictor.card.languages[0])[0].probabilities
    if not predictor.card.probe:
        return Answers(name, dict(answer))
    cues = prosody.track(sound.samples)
    return Answers(name, dict(answer), f"{name}: probe", predictor.probe(sound, cues))


def import_labels(services: Services, path: str, person: str) -> dict[str, int]:
    """Imports a file, folder or zip completely or not at all; returns the counts.

    Raises:
        ShutError: see `owner_settings`.
        DataError: a zip is refused.
        LabelError: something in it cannot be used.
    """
    settings = owner_settings(services)
    if not path.strip():
        raise LabelError("label_no_path")
    checked_person(person)
    store, source = label_store(services), Path(path.strip()).expanduser()
    folder = store_uploads(services, [str(source)]) if source.suffix.lower() == ".zip" else None
    try:
        imported = formats.read(folder or source, person, settings, store.classes())
        new, labels = store.import_labels(imported.tasks, imported.labels)
    finally:
        if folder and not any(folder in Path(task.path).parents for task in store.tasks()):
            shutil.rmtree(folder)  # every sound was there already, or the file was refused
    return {"tasks": len(imported.tasks), "new": new, "labels": labels}


def export_labels(services: Services, format: str) -> str:
    """The path of a new file with every label, in a temporary folder.

    Raises:
        ShutError: see `owner_settings`.
        LabelError: it cannot be written.
    """
    outcomes = label_store(services).outcomes()
    if not outcomes:
        raise LabelError("label_nothing_to_export")
    folder = Path(tempfile.mkdtemp(prefix="audiollm-labels-"))
    name = f"labels-{format}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    suffix, write = formats.WRITERS[format]
    try:
        write(outcomes, folder / f"{name}{suffix}")
        if not suffix:
            formats.pack(folder / name)
    except OSError as error:
        raise LabelError("label_export_failed", reason=error) from error
    return str(next(folder.iterdir()))


class Transfer:
    """The parts "Add clips" and "Import and export"."""

    def __init__(self, services: Services, static: Static) -> None:
        self.services = services
        with static.fold("label_add"):
            self.source = static.labelled(gr.Dropdown, "label_source", choices=[])
            self.folder = static.labelled(
                gr.Textbox, "label_folder", info=True, visible=False, max_lines=1
            )
            kinds = [".zip", *sorted(SOUNDS)]
            several: dict[str, Any] = {"file_count": "multiple", "file_types": kinds}
            self.clips = static.labelled(
                gr.File, "label_sounds", height=150, visible=False, **several
            )
            with gr.Row():
                self.gather = static.button("label_gather", size="sm", min_width=80)
                self.stop = static.button("label_stop", size="sm", min_width=80, visible=False)
            self.gathered = gr.HTML(elem_id="label-gathered")
        with static.fold("label_files"):
            self.path = static.labelled(gr.Textbox, "label_path", info=True, max_lines=1)
            self.upload = static.labelled(gr.File, "label_upload", file_types=SUFFIXES, height=150)
            self.take = static.button("label_import", size="sm", min_width=80)
            self.message = gr.HTML(elem_id="label-message")
            self.format = static.labelled(
                gr.Radio, "label_format", choices=choices("format", FORMATS), value=FORMATS[0]
            )
            self.give = static.button("label_export", size="sm", min_width=80)
            self.file = static.labelled(gr.File, "label_file", visible=False, interactive=False)

    def connect(self, language: gr.Radio, person: gr.Textbox) -> list[Any]:
        """The events after which the queue may have changed."""
        services = self.services

        def gathers(form: Update) -> Iterator[Update]:
            chosen: Language = form[language]
            try:
                place = (form[self.source], form[self.folder], chosen, form[self.clips] or ())
                for html in gather(services, *place):
                    yield {self.gathered: html, self.stop: gr.update(visible=True)}
                yield {self.clips: None}
            except Exception as error:
                yield {self.gathered: view.failed(error, chosen)}

        def stopped(chosen: Language) -> Update:
            notice = render.notice(text("label_stopped", chosen), "wait")
            return {self.gathered: notice, self.stop: gr.update(visible=False)}

        def imports(form: Update) -> str:
            path = form[self.path].strip() or form[self.upload] or ""
            try:
                counts = import_labels(services, path, form[person].strip())
                return render.notice(text("label_imported", form[language], **counts), "wait")
            except Exception as error:
                return view.failed(error, form[language])

        @repeats
        def exports(format: str, chosen: Language) -> Update:
            try:
                file = export_labels(services, format)
                return {self.file: gr.update(value=file, visible=True), self.message: ""}
            except Exception as error:
                message = view.failed(error, chosen)
                return {self.file: gr.update(visible=False), self.message: message}

        self.source.change(
            lambda source: [gr.update(visible=source == FOLDER)] * 2,
            self.source,
            [self.folder, self.clips],
            **AT_ONCE,
        )
        outputs = [self.gathered, self.stop, self.clips]
        fields: set[Any] = {self.source, self.folder, self.clips, language}
        running = self.gather.click(gathers, fields, outputs, **QUIET)
        self.stop.click(stopped, language, outputs[:2], cancels=[running], **IN_TURN)
        self.give.click(exports, [self.format, language], [self.file, self.message], **AT_ONCE)
        inputs: set[Any] = {self.path, self.upload, person, language}
        return [
            running.then(lambda: gr.update(visible=False), None, self.stop, **AT_ONCE),
            self.take.click(imports, inputs, self.message, **QUIET),
        ]
