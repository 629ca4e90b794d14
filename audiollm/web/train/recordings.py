"""The recordings of the Train page: where they come from, what is in them, a player.

`lay_out`, `lay_out_upload` and `lay_out_uploads` place the parts, `connect` connects them; HTML and
figures are made in recordings_view.py.
"""

import random
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from audiollm.contracts.insight import Insight
from audiollm.contracts.prepared import Clip
from audiollm.errors import AudioLLMError, DataError
from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.events import AT_ONCE
from audiollm.web.services import Services
from audiollm.web.static import Static, of_browser
from audiollm.web.train import recordings_view, sources, upload
from audiollm.web.train.sources import FOLDER, HUB
from audiollm.web.train.view import failed

HIDDEN: dict[str, Any] = {"visible": "hidden"}


@dataclass(frozen=True, eq=False)
class Uploads:
    """What was uploaded before, and how it is deleted."""

    choice: gr.Dropdown
    delete: gr.Button
    question: gr.HTML
    yes: gr.Button
    no: gr.Button

    @property
    def asked(self) -> list[Any]:
        """In the order of `asks`."""
        return [self.delete, self.question, self.yes, self.no]


@dataclass(frozen=True, eq=False)
class Chosen:
    """Where the recordings come from: settings of the plan, and the upload."""

    source: gr.Dropdown
    folder: gr.Textbox
    data_set: gr.Textbox
    pattern: gr.Textbox
    alone: gr.Checkbox
    all_learn: gr.Checkbox
    upload: gr.File
    uploads: Uploads

    @property
    def named(self) -> list[Any]:
        """In the order of `Choice`."""
        texts = [self.source, self.folder, self.data_set, self.pattern]
        return [*texts, self.alone, self.all_learn]

    @property
    def fields(self) -> list[Any]:
        """What only some sources ask for."""
        return [self.folder, self.upload, self.pattern, self.data_set, self.alone]


@dataclass(frozen=True, eq=False)
class Shown:
    """What is in them, and a player."""

    message: gr.HTML
    data: gr.HTML
    classes: gr.Plot
    label: gr.Dropdown
    another: gr.Button
    sound: gr.Audio
    about: gr.HTML  # the clip that plays
    last: gr.State  # its path

    @property
    def seen(self) -> list[Any]:
        return [self.data, self.classes, self.label, self.another, self.sound, self.about]


@dataclass(frozen=True)
class Choice:
    """What a person has named, as it stands on the page."""

    source: str
    folder: str
    data_set: str
    pattern: str
    alone: bool
    all_learn: bool = False

    def insight(self, services: Services) -> Any:
        """See `sources.insight`."""
        path = self.data_set if self.source == HUB else self.folder
        split = "random" if self.alone else "auto"
        return sources.insight(services, self.source, path, self.pattern, split, self.all_learn)


def lay_out_upload(static: Static) -> gr.File:
    """The upload of recordings from another computer."""
    kinds = [".zip", *sources.TABLES]
    label = of_browser("train_upload")
    part = gr.File(label=label, file_types=kinds, height=170, elem_id="train-upload", **HIDDEN)
    return static.place(part, "train_upload", "label")


def lay_out_uploads(static: Static) -> Uploads:
    """The uploads of before, below the upload."""
    label = of_browser("upload_kept")
    choice = gr.Dropdown([], label=label, elem_id="upload-kept", **HIDDEN)
    static.place(choice, "upload_kept", "label")
    small: dict[str, Any] = {"size": "sm", "min_width": 80, **HIDDEN}
    delete = static.button("upload_delete", elem_id="upload-delete", **small)
    question = gr.HTML(elem_id="upload-question", **HIDDEN)
    with gr.Row(elem_id="upload-answer"):
        yes = static.button("upload_yes", variant="stop", elem_id="upload-yes", **small)
        no = static.button("upload_no", elem_id="upload-no", **small)
    return Uploads(choice, delete, question, yes, no)


def lay_out(static: Static) -> Shown:
    """The summary and the player."""
    message = gr.HTML(elem_id="data-told")
    data = gr.HTML(elem_id="train-data")
    classes = gr.Plot(show_label=False, container=False, elem_id="train-classes", **HIDDEN)
    with gr.Row(elem_id="hear", equal_height=True):
        options: dict[str, Any] = {"choices": [], "elem_id": "hear-label", "scale": 3, **HIDDEN}
        label = static.labelled(gr.Dropdown, "hear_label", **options)
        another = static.button("hear_next", elem_id="hear-next", scale=2, min_width=110, **HIDDEN)
    about = gr.HTML(elem_id="hear-told", **HIDDEN)
    options = {"interactive": False, "autoplay": True, "buttons": [], **HIDDEN}
    sound = static.labelled(gr.Audio, "hear_sound", elem_id="hear-sound", **options)
    return Shown(message, data, classes, label, another, sound, about, gr.State(""))


def connect(
    chosen: Chosen, shown: Shown, services: Services, language: gr.Radio, tab: gr.Tab
) -> None:
    """The recordings are looked at when somebody opens the tab, not before: updates of a part that
    was never on the screen are lost."""
    inputs, outputs = [*chosen.named, language], shown.seen

    def look(*values: Any) -> list[Any]:
        *named, chosen_language = values
        return seen(services, Choice(*named), chosen_language)

    # also when a page has just learned its visitor's language: nothing that somebody waits for
    language.change(look, inputs, outputs, trigger_mode="always_last", **AT_ONCE)
    texts = (chosen.folder, chosen.data_set, chosen.pattern)
    events = [tab.select, chosen.source.change, chosen.alone.input, chosen.all_learn.input]
    events += [event for part in texts for event in (part.submit, part.blur)]
    waits = {**AT_ONCE, "show_progress": "minimal", "show_progress_on": [shown.data]}
    gr.on(events, look, inputs, outputs, trigger_mode="always_last", **waits)
    chosen.source.change(fields, chosen.source, chosen.fields, **AT_ONCE)
    gr.on([chosen.source.input, language.input], lambda: "", None, shown.message, **AT_ONCE)

    def take(file: str | None, chosen_language: Language) -> list[Any]:
        return taken(services, file, chosen_language)

    moved = [chosen.folder, chosen.upload, shown.message]
    came_in = chosen.upload.upload(take, [chosen.upload, language], moved, **AT_ONCE)
    came_in.then(look, inputs, outputs, **AT_ONCE)
    _connect_uploads(chosen, shown.message, services, language, tab)

    def another(label: str, last: str, *values: Any) -> list[Any]:
        *named, chosen_language = values
        return played(services, Choice(*named), label, last, chosen_language)

    played_inputs = [shown.label, shown.last, *inputs]
    player = [shown.sound, shown.about, shown.last]
    gr.on([shown.another.click, shown.label.input], another, played_inputs, player, **AT_ONCE)


def _connect_uploads(
    chosen: Chosen, message: gr.HTML, services: Services, language: gr.Radio, tab: gr.Tab
) -> None:
    """An upload of before is chosen, or deleted after a question."""
    parts, folder = chosen.uploads, chosen.folder

    def offer(source: str, path: str) -> list[Any]:
        found = upload.uploads(services) if source == FOLDER else []
        inside = [p.name for p in found if path == str(p) or path.startswith(f"{p}/")]
        value = inside[0] if inside else None
        names = [p.name for p in found]
        update = gr.update(choices=names, value=value, visible=_visible(bool(names)))
        return [update, *asks(value)]

    def choose(name: str | None) -> list[Any]:
        try:
            return [str(upload.recordings_of(upload.named(services, name))), *asks(name)]
        except (AudioLLMError, OSError):
            return [gr.skip(), *asks(None)]

    def ask(name: str | None, chosen_language: Language) -> list[Any]:
        try:
            count = upload.count_sounds(upload.named(services, name))
            question = text("upload_sure", chosen_language, name=escape(name or ""), n=count)
            return [*asks(name, f'<p class="caution">{question}</p>'), ""]
        except Exception as error:
            return [*asks(None), failed(error, chosen_language)]

    def delete(name: str | None, chosen_language: Language) -> list[Any]:
        try:
            upload.delete(services, name)
        except Exception as error:
            return [gr.skip(), *asks(name), failed(error, chosen_language)]
        line = text("upload_deleted", chosen_language, name=escape(name or ""))
        return ["", *asks(None), render.notice(line, "wait")]

    changes = [tab.select, chosen.source.change, folder.change]
    gr.on(changes, offer, [chosen.source, folder], [parts.choice, *parts.asked], **AT_ONCE)
    parts.choice.input(choose, parts.choice, [folder, *parts.asked], **AT_ONCE)
    inputs = [parts.choice, language]
    parts.delete.click(ask, inputs, [*parts.asked, message], **AT_ONCE)
    parts.yes.click(delete, inputs, [folder, *parts.asked, message], **AT_ONCE)
    parts.no.click(asks, parts.choice, parts.asked, **AT_ONCE)


def asks(name: str | None, question: str = "") -> list[Any]:
    """The button that deletes an upload, or the question before it."""
    sure = gr.update(visible=_visible(bool(question)))
    delete = gr.update(visible=_visible(bool(name) and not question))
    return [delete, gr.update(value=question, visible=_visible(bool(question))), sure, sure]


def fields(source: str) -> list[Any]:
    """Shows what a source asks for, in the order of `Chosen.fields`."""
    folder, hub = source == FOLDER, source == HUB
    return [gr.update(visible=_visible(on)) for on in (folder, folder, folder, hub, folder or hub)]


def seen(services: Services, choice: Choice, language: Language) -> list[Any]:
    """What is in the chosen recordings, in the order of `Shown.seen`."""
    hidden, silent = (
        [gr.update(visible="hidden")] * 3,
        [gr.update(value=None, visible="hidden")] * 2,
    )
    try:
        found = choice.insight(services)
        body = recordings_view.summary(found, language)
    except Exception as error:
        return [failed(error, language), *hidden, *silent]
    if not isinstance(found, Insight):
        return [body, *hidden, *silent]
    figure = gr.update(value=recordings_view.classes(found, language), visible=True)
    body += recordings_view.aloud(found, language)
    choices = [(text("data_all", language), "")]
    choices += [(word(name, language), name) for name in found.classes]
    plays = _visible(bool(found.samples))
    label = gr.update(choices=choices, value="", visible=plays)
    return [body, figure, label, gr.update(visible=plays), *silent]


def taken(services: Services, file: str | None, language: Language) -> list[Any]:
    """An upload is stored: its path, an empty upload field, and what became of it."""
    if not file:
        return [gr.skip(), gr.skip(), ""]
    try:
        found = upload.take(services, file)
    except Exception as error:
        return [gr.skip(), None, failed(error, language)]
    finally:
        Path(file).unlink(missing_ok=True)  # the page's own copy
    line = recordings_view.uploaded(found, language)
    return [str(found.path), None, render.notice(line, "wait")]


def played(
    services: Services, choice: Choice, label: str, last: str, language: Language
) -> list[Any]:
    """A clip to play, what it is, and its path."""
    try:
        found = choice.insight(services)
        if not isinstance(found, Insight):
            return [gr.skip(), gr.skip(), ""]
        clip = draw(found, label or "", last)
        sound = sources.sound(services, found, clip)
    except Exception as error:
        about = gr.update(value=failed(error, language), visible=True)
        return [gr.update(value=None, visible="hidden"), about, ""]
    words = {
        "label": f"<b>{escape(word(clip.label, language))}</b>",
        "speaker": escape(clip.speaker) or text("hear_nobody", language),
        "file": escape(Path(clip.path).name),
    }
    line = text("hear_told", language, **words)
    if clip.split:
        split = text(f"side_{clip.split}", language)
        line += f" ({text('hear_used', language, side=split)})"
    about = gr.update(value=f"<p>{line}</p>", visible=True)
    return [gr.update(value=sound, visible=True), about, clip.path]


def draw(found: Insight, label: str = "", last: str = "") -> Clip:
    """A clip of a class, or of any where it is "", and another one than the last where it can be.

    Args:
        last: path of the clip before.

    Raises:
        DataError: there is none.
    """
    members = [clip for clip in found.samples if label in ("", clip.label)]
    others = [clip for clip in members if clip.path != last]
    if not members:
        raise DataError("hear_none")
    return random.choice(others or members)  # noqa: S311


def _visible(on: bool) -> Literal[True, "hidden"]:
    return True if on else "hidden"
