"""The recordings of the Train page: where they come from, what is in them, a player.

HTML and figures are made in recordings_view.py.
"""

import random
from collections.abc import Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from audiollm.contracts.insight import Insight
from audiollm.contracts.prepared import Clip
from audiollm.errors import AudioLLMError, DataError
from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.events import AT_ONCE, Update
from audiollm.web.services import Services
from audiollm.web.static import HIDDEN, Static, visible
from audiollm.web.train import recordings_view, sources, upload
from audiollm.web.train.sources import FOLDER, HUB
from audiollm.web.train.view import failed

Values = Mapping[str, Any]  # of the page's fields, see `Plan`
# of the source, what `sources.insight` reads
NAMED = ("source", "folder", "data_set", "pattern", "alone", "all_learn")


class Uploads:
    """The upload of recordings from another computer; what was uploaded before, to be chosen, or
    deleted after a question."""

    def __init__(self, static: Static) -> None:
        kinds = [".zip", *sources.TABLES]
        self.file = static.labelled(gr.File, "train_upload", file_types=kinds, height=170, **HIDDEN)
        self.choice = static.labelled(gr.Dropdown, "upload_kept", choices=[], **HIDDEN)
        small: dict[str, Any] = {"size": "sm", "min_width": 80, **HIDDEN}
        self.delete = static.button("upload_delete", **small)
        self.question = gr.HTML(elem_id="upload-question", **HIDDEN)
        with gr.Row(elem_id="upload-answer"):
            self.yes = static.button("upload_yes", variant="stop", **small)
            self.no = static.button("upload_no", **small)
        self.asked = [self.delete, self.question, self.yes, self.no]  # in the order of `asks`

    def connect(
        self,
        named: Mapping[str, Any],
        message: gr.HTML,
        services: Services,
        language: gr.Radio,
        tab: gr.Tab,
    ) -> Any:
        """Returns the event after which an upload is chosen."""
        source, folder = named["source"], named["folder"]

        def offer(source: str, path: str) -> list[Any]:
            found = upload.uploads(services) if source == FOLDER else []
            inside = [p.name for p in found if path == str(p) or path.startswith(f"{p}/")]
            value = inside[0] if inside else None
            names = [p.name for p in found]
            update = gr.update(choices=names, value=value, visible=visible(bool(names)))
            return [update, *asks(value)]

        def choose(name: str | None) -> list[Any]:
            try:
                return [str(upload.recordings_of(upload.named(services, name))), *asks(name)]
            except (AudioLLMError, OSError):
                return [gr.skip(), *asks(None)]

        def ask(name: str | None, chosen: Language) -> list[Any]:
            try:
                count = upload.count_sounds(upload.named(services, name))
                question = text("upload_sure", chosen, name=escape(name or ""), n=count)
                return [*asks(name, f'<p class="caution">{question}</p>'), ""]
            except Exception as error:
                return [*asks(None), failed(error, chosen)]

        def delete(name: str | None, chosen: Language) -> list[Any]:
            try:
                upload.delete(services, name)
            except Exception as error:
                return [gr.skip(), *asks(name), failed(error, chosen)]
            line = text("upload_deleted", chosen, name=escape(name or ""))
            return ["", *asks(None), render.notice(line, "wait")]

        changes = [tab.select, source.change, folder.change]
        gr.on(changes, offer, [source, folder], [self.choice, *self.asked], **AT_ONCE)
        self.choice.input(choose, self.choice, [folder, *self.asked], **AT_ONCE)
        inputs = [self.choice, language]
        self.delete.click(ask, inputs, [*self.asked, message], **AT_ONCE)
        self.yes.click(delete, inputs, [folder, *self.asked, message], **AT_ONCE)
        self.no.click(asks, self.choice, self.asked, **AT_ONCE)
        moved = [folder, self.file, message]
        return self.file.upload(partial(taken, services), [self.file, language], moved, **AT_ONCE)


class Recordings:
    """What is in the recordings, and a player."""

    def __init__(self, static: Static) -> None:
        self.message = gr.HTML(elem_id="data-told")
        self.data = gr.HTML(elem_id="train-data")
        self.classes = gr.Plot(show_label=False, container=False, elem_id="train-classes", **HIDDEN)
        with gr.Row(elem_id="hear", equal_height=True):
            options: dict[str, Any] = {"choices": [], "scale": 3, **HIDDEN}
            self.label = static.labelled(gr.Dropdown, "hear_label", **options)
            self.another = static.button("hear_next", scale=2, min_width=110, **HIDDEN)
        self.about = gr.HTML(elem_id="hear-told", **HIDDEN)  # the clip that plays
        options = {"interactive": False, "autoplay": True, "buttons": [], **HIDDEN}
        self.sound = static.labelled(gr.Audio, "hear_sound", **options)
        self.last = gr.State("")  # its path

    def connect(
        self,
        named: Mapping[str, Any],
        uploads: Uploads,
        services: Services,
        language: gr.Radio,
        tab: gr.Tab,
    ) -> None:
        """`named`: the fields of the page. The recordings are looked at when somebody opens the
        tab, not before: updates of a part that was never on the screen are lost."""
        parts = {key: named[key] for key in NAMED}
        inputs = {*parts.values(), language}
        shown = [self.data, self.classes, self.label, self.another, self.sound, self.about]

        def look(given: Update) -> Update:
            values = {key: given[part] for key, part in parts.items()}
            updates = seen(services, values, given[language])
            return dict(zip(shown, updates, strict=True))

        def another(given: Update) -> Update:
            values = {key: given[part] for key, part in parts.items()}
            last = given[self.last]
            updates = played(services, values, given[self.label], last, given[language])
            return dict(zip((self.sound, self.about, self.last), updates, strict=True))

        source, hub = parts["source"], parts["data_set"]
        # also when a page has just learned its visitor's language: nothing that somebody waits for
        language.change(look, inputs, shown, trigger_mode="always_last", **AT_ONCE)
        events = [tab.select, source.change, parts["alone"].input, parts["all_learn"].input]
        texts = (parts["folder"], hub, parts["pattern"])
        events += [event for part in texts for event in (part.submit, part.blur)]
        waits = {**AT_ONCE, "show_progress": "minimal", "show_progress_on": [self.data]}
        gr.on(events, look, inputs, shown, trigger_mode="always_last", **waits)
        asked_for = [parts["folder"], uploads.file, parts["pattern"], hub, parts["alone"]]
        source.change(fields, source, asked_for, **AT_ONCE)
        gr.on([source.input, language.input], lambda: "", None, self.message, **AT_ONCE)
        uploaded = uploads.connect(named, self.message, services, language, tab)
        uploaded.then(look, inputs, shown, **AT_ONCE)
        player, choice = [self.sound, self.about, self.last], {self.label, self.last, *inputs}
        gr.on([self.another.click, self.label.input], another, choice, player, **AT_ONCE)


def asks(name: str | None, question: str = "") -> list[Any]:
    """The button that deletes an upload, or the question before it."""
    sure = gr.update(visible=visible(bool(question)))
    delete = gr.update(visible=visible(bool(name) and not question))
    return [delete, gr.update(value=question, visible=visible(bool(question))), sure, sure]


def fields(source: str) -> list[Any]:
    """Shows what a source asks for, and the upload after the folder."""
    folder, hub = source == FOLDER, source == HUB
    return [gr.update(visible=visible(on)) for on in (folder, folder, folder, hub, folder or hub)]


def seen(services: Services, values: Values, language: Language) -> list[Any]:
    """What is in the chosen recordings."""
    hidden, silent = [gr.update(**HIDDEN)] * 3, [gr.update(value=None, **HIDDEN)] * 2
    try:
        found = sources.insight(services, values)
        body = recordings_view.summary(found, language)
    except Exception as error:
        return [failed(error, language), *hidden, *silent]
    if not isinstance(found, Insight):
        return [body, *hidden, *silent]
    figure = gr.update(value=recordings_view.classes(found, language), visible=True)
    body += recordings_view.aloud(found, language)
    choices = [(text("data_all", language), "")]
    choices += [(word(name, language), name) for name in found.classes]
    plays = visible(bool(found.samples))
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
    services: Services, values: Values, label: str, last: str, language: Language
) -> list[Any]:
    """A clip to play, what it is, and its path."""
    try:
        found = sources.insight(services, values)
        if not isinstance(found, Insight):
            return [gr.skip(), gr.skip(), ""]
        clip = draw(found, label or "", last)
        sound = sources.sound(services, found, clip)
    except Exception as error:
        about = gr.update(value=failed(error, language), visible=True)
        return [gr.update(value=None, **HIDDEN), about, ""]
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
