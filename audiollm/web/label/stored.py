"""Recordings that are stored for labelling: what visitors saved, and uploads; a part of the page.

A recording that somebody has labelled stays, or the label would be of nothing.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from audiollm.audio import files_below
from audiollm.errors import DataError
from audiollm.labelling.saved import SavedClips
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import saved_clips
from audiollm.web.auth.access import owner_settings
from audiollm.web.events import AT_ONCE, ask_first
from audiollm.web.label.queue import label_store
from audiollm.web.label.transfer import CLIPS, SAVED
from audiollm.web.services import Services
from audiollm.web.static import HIDDEN, Static, visible
from audiollm.web.train import upload, view


@dataclass(frozen=True)
class Stored:
    """Recordings in one place: SAVED, or the folder of an upload."""

    name: str
    files: int
    size: int  # bytes


def stored_places(services: Services) -> list[Stored]:
    """What is stored, places without a recording left out.

    Raises:
        ShutError: see `owner_settings`.
    """
    folders = {SAVED: owner_settings(services).home / "kept"}
    folders |= {f"{CLIPS}/{path.name}": path for path in upload.uploads(services, CLIPS)}
    there = {name: path for name, path in folders.items() if path.is_dir()}
    places = (Stored(name, *_count(files_below(path))) for name, path in there.items())
    return [one for one in places if one.files]


def _count(paths: Iterable[Path]) -> tuple[int, int]:
    files, size = 0, 0
    for path in paths:
        with contextlib.suppress(OSError):  # deleted meanwhile
            size += path.stat().st_size
            files += 1
    return files, size


def delete(services: Services, name: str) -> int:
    """Deletes the recordings of a place without a label, and their tasks; returns how many stay.

    Raises:
        ShutError: see `owner_settings`.
        DataError: there is no such place, or the disk refuses.
    """
    settings = owner_settings(services)
    if name == SAVED:
        clips = SavedClips(settings.home).all()
        return sum(bool(saved_clips.forget(services, clip.id, "en").id) for clip in clips)
    folders = {f"{CLIPS}/{path.name}": path for path in upload.uploads(services, CLIPS)}
    if name not in folders:
        raise DataError("upload_gone", name=name)
    folder, store = folders[name], label_store(services)
    inside = {task.id: Path(task.path) for task in store.tasks()}
    inside = {id: path for id, path in inside.items() if folder in path.parents}
    store.remove_tasks(inside)
    stay = {inside[task.id] for task in store.tasks() if task.id in inside}
    try:
        with upload.locked(folder.parent):
            for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder, before it
                if path.is_dir() and not path.is_symlink():
                    with contextlib.suppress(OSError):  # something stays in it
                        path.rmdir()
                elif path not in stay:
                    path.unlink(missing_ok=True)
            if not stay:
                folder.rmdir()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError("upload_stays", name=folder.name, reason=reason) from error
    return len(stay)


class StoredClips:
    """The part "Stored recordings"."""

    def __init__(self, services: Services, static: Static) -> None:
        self.services = services
        with static.fold("label_stored") as self.fold:
            static.html("label_stored_says")
            self.places = static.labelled(gr.Radio, "label_places", choices=[], **HIDDEN)
            self.delete = static.button("label_delete", size="sm", min_width=80, **HIDDEN)
            self.message = gr.HTML(elem_id="label-stored-message")

    def connect(self, language: gr.Radio, tab: gr.Tab, changed: list[Any]) -> Any:
        """`changed`: events after which there may be others. Returns the one after a deletion."""
        services = self.services

        def look(chosen: Language) -> Any:
            places = stored_places(services)
            choices = [(describe(one, chosen), one.name) for one in places]
            return gr.update(choices=choices, value=None, visible=visible(bool(places)))

        def removes(name: str | None, chosen: Language) -> str:
            if name is None:  # on second thoughts
                return ""
            try:
                stay = delete(services, name)
            except Exception as error:
                return view.failed(error, chosen)
            key = "label_deleted_but" if stay else "label_deleted"
            return render.notice(text(key, chosen, n=stay), "wait")

        triggers = [self.fold.expand, tab.select, language.input]
        gr.on(triggers, look, language, self.places, **AT_ONCE)
        for event in changed:
            event.then(look, language, self.places, **AT_ONCE)
        self.places.change(
            lambda name: gr.update(visible=visible(bool(name))), self.places, self.delete, **AT_ONCE
        )
        inputs, js = [self.places, language], ask_first("label_delete_sure")
        done = self.delete.click(removes, inputs, self.message, js=js, **AT_ONCE)
        return done.then(look, language, self.places, **AT_ONCE)


def describe(one: Stored, language: Language) -> str:
    """Words for a place: what it is, how many files, how large."""
    place = text("from_saved", language) if one.name == SAVED else one.name.partition("/")[2]
    size = f"{one.size / 1e6:.2f}"
    return text("label_place", language, place=place, files=one.files, mb=size)
