"""The recordings of the Train page: where they come from, what is in them, a player.

HTML and figures are made in recordings_view.py.
"""

import random
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from audiollm.contracts.insight import Insight
from audiollm.contracts.prepared import Clip
from audiollm.errors import AudioLLMError, DataError
from audiollm.labels import Language, title
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.events import AT_ONCE, Update, ask_first, named_parts, repeats
from audiollm.web.services import Services
from audiollm.web.static import HIDDEN, Static, visible
from audiollm.web.train import recordings_view, sources, upload
from audiollm.web.train.sources import FOLDER, HUB
from audiollm.web.train.view import failed

Values = Mapping[str, Any]  # of the page's fields, see `Plan`
# of the source, what `sources.insight` reads
NAMED = ("source", "folder", "data_set", "pattern", "label_column", "alone", "all_learn")


class Uploads:
    """The upload of recordings from another computer; what was uploaded before, to be chosen, or
    deleted."""

    def __init__(self, static: Static) -> None:
        kinds = [".zip", *sources.TABLES]
        self.file = static.labelled(gr.File, "train_upload", file_types=kinds, height=170, **HIDDEN)
        self.message = gr.HTML(elem_id="data-message")  # what became of an upload
        self.choice = static.labelled(gr.Dropdown, "upload_kept", choices=[], **HIDDEN)
        self.delete = static.button("upload_delete", size="sm", min_width=80, **HIDDEN)

    def connect(
        self,
        by_name: Mapping[str, Any],
        services: Services,
        language: gr.Radio,
        tab: gr.Tab,
    ) -> Any:
        """Returns the event after which an upload is chosen."""
        source, folder, message = by_name["source"], by_name["folder"], self.message

        def offer(source: str, path: str) -> Update:
            folders = upload.uploads(services) if source == FOLDER else []
            inside = [p.name for p in folders if path == str(p) or path.startswith(f"{p}/")]
            value = inside[0] if inside else None
            names = [p.name for p in folders]
            return {
                self.choice: gr.update(choices=names, value=value, visible=visible(bool(names))),
                self.delete: gr.update(visible=visible(bool(value))),
            }

        def choose(name: str | None) -> Update:
            deletes = {self.delete: gr.update(visible=visible(bool(name)))}
            try:
                return {folder: str(upload.recordings_of(upload.find(services, name)))} | deletes
            except (AudioLLMError, OSError):
                return deletes

        def delete(name: str | None, chosen: Language) -> Update:
            if name is None:  # on second thoughts
                return {message: gr.skip()}
            try:
                upload.delete(services, name)
            except Exception as error:
                return {message: failed(error, chosen)}
            line = text("upload_deleted", chosen, name=escape(name))
            return {folder: "", message: render.notice(line, "wait")}

        def take(file: str | None, chosen: Language) -> Update:
            parts = {"folder": folder, "file": self.file, "message": message}
            parts["alone"] = by_name["alone"]
            return named_parts(parts, store_upload(services, file, chosen))

        moved = [folder, self.file, message, by_name["alone"]]
        changes = [tab.select, source.change, folder.change]
        gr.on(changes, offer, [source, folder], [self.choice, self.delete], **AT_ONCE)
        self.choice.input(choose, self.choice, [folder, self.delete], **AT_ONCE)
        inputs, js = [self.choice, language], ask_first("upload_sure")
        self.delete.click(delete, inputs, [folder, message], js=js, **AT_ONCE)
        return self.file.upload(take, [self.file, language], moved, **AT_ONCE)


class Recordings:
    """What is in the recordings, and a player."""

    def __init__(self, static: Static) -> None:
        self.data = gr.HTML(elem_id="train-data")
        self.classes = gr.Plot(show_label=False, container=False, elem_id="train-classes", **HIDDEN)
        with gr.Row(elem_id="player", equal_height=True):
            options: dict[str, Any] = {"choices": [], "scale": 3, **HIDDEN}
            self.label = static.labelled(gr.Dropdown, "player_class", **options)
            self.another = static.button("player_next", scale=2, min_width=110, **HIDDEN)
        self.about = gr.HTML(elem_id="player-about", **HIDDEN)  # the clip that plays
        options = {"interactive": False, "autoplay": True, "buttons": [], **HIDDEN}
        self.sound = static.labelled(gr.Audio, "player_sound", **options)
        self.last = gr.State("")  # its path
        self.looked = gr.State({})  # the fields that what is shown is of

    def connect(
        self,
        by_name: Mapping[str, Any],
        uploads: Uploads,
        services: Services,
        language: gr.Radio,
        tab: gr.Tab,
    ) -> None:
        """`by_name`: the fields of the page. The recordings are looked at when somebody opens the
        tab, not before: updates of a part that was never on the screen are lost."""
        parts = {key: by_name[key] for key in NAMED}
        inputs = {*parts.values(), language}
        names = ("data", "classes", "label", "another", "sound", "about", "last")
        own: dict[str, Any] = {name: getattr(self, name) for name in names}
        column = parts["label_column"]
        outputs = [column, self.looked, *(part for name, part in own.items() if name != "last")]

        def look(form: Update) -> Update:
            values = {key: form[part] for key, part in parts.items()}
            columns = column_choices(values, form[language])
            shown = named_parts(own, contents(services, values, form[language]))
            return shown | {column: columns, self.looked: values}

        def look_again(form: Update) -> Update:
            """Unless nothing has changed since: by then a clip may be playing."""
            same = form[self.looked] == {key: form[part] for key, part in parts.items()}
            return {self.looked: gr.skip()} if same else look(form)

        @repeats
        def another(form: Update) -> Update:
            values = {key: form[part] for key, part in parts.items()}
            choice, last = form[self.label], form[self.last]
            return named_parts(own, playback(services, values, choice, last, form[language]))

        def asks_for(source: str) -> Update:
            return named_parts({**by_name, "file": uploads.file}, fields(source))

        source, hub, pattern = parts["source"], parts["data_set"], parts["pattern"]
        # also when a page has just learned its visitor's language: nothing that somebody waits for
        language.change(look, inputs, outputs, trigger_mode="always_last", **AT_ONCE)
        events = [source.change, parts["alone"].change, parts["all_learn"].input, column.input]
        texts = (parts["folder"], hub, pattern)
        events += [part.blur for part in texts]
        waits = {**AT_ONCE, "show_progress": "minimal", "show_progress_on": [self.data]}
        waits["trigger_mode"] = "always_last"
        gr.on([tab.select, *(part.submit for part in texts)], look, inputs, outputs, **waits)
        gr.on(events, look_again, {self.looked, *inputs}, outputs, **waits)
        asked_for = [parts["folder"], uploads.file, parts["pattern"], hub, parts["alone"]]
        source.change(asks_for, source, asked_for, **AT_ONCE)
        gr.on([source.input, language.input], lambda: "", None, uploads.message, **AT_ONCE)
        # whoever names the speakers wants them kept apart
        named_by = lambda text: gr.skip() if not text.strip() else False  # noqa: E731
        pattern.input(named_by, pattern, parts["alone"], **AT_ONCE)
        uploaded = uploads.connect(by_name, services, language, tab)
        uploaded.then(look, inputs, outputs, **AT_ONCE)
        player, choice = [self.sound, self.about, self.last], {self.label, self.last, *inputs}
        gr.on([self.another.click, self.label.input], another, choice, player, **AT_ONCE)


def fields(source: str) -> dict[str, Any]:
    """Shows what a source asks for."""
    folder, hub = source == FOLDER, source == HUB
    shows = {
        **dict.fromkeys(("folder", "file", "pattern"), folder),
        **{"data_set": hub, "alone": folder or hub},
    }
    return {name: gr.update(visible=visible(on)) for name, on in shows.items()}


def column_choices(values: Values, language: Language) -> Any:
    """Offers the columns of the label where a table has several; else none is named."""
    columns = sources.label_columns(values["folder"]) if values["source"] == FOLDER else []
    several = len(columns) > 1
    choices = [(text("train_label_column_auto", language), ""), *((name, name) for name in columns)]
    value = values["label_column"] if several and values["label_column"] in columns else ""
    return gr.update(choices=choices, value=value, visible=visible(several))


def contents(services: Services, values: Values, language: Language) -> dict[str, Any]:
    """What is in the chosen recordings."""
    silent = dict.fromkeys(("sound", "about"), gr.update(value=None, **HIDDEN))
    hidden = dict.fromkeys(("classes", "label", "another"), gr.update(**HIDDEN))
    try:
        insight = sources.insight(services, values)
        body = recordings_view.summary(insight, language)
    except Exception as error:
        return {"data": failed(error, language), **hidden, **silent}
    if not isinstance(insight, Insight):
        return {"data": body, **hidden, **silent}
    figure = gr.update(value=recordings_view.classes(insight, language), visible=True)
    body += recordings_view.aloud(insight, language)
    choices = [(text("data_all", language), "")]
    choices += [(title(name, language), name) for name in insight.classes]
    plays = visible(bool(insight.samples))
    return {
        **{"data": body, "classes": figure},
        "label": gr.update(choices=choices, value="", visible=plays),
        "another": gr.update(visible=plays),
        **silent,
    }


def store_upload(services: Services, file: str | None, language: Language) -> dict[str, Any]:
    """An upload is stored: its path, an empty upload field, what became of it, and a random split
    where its speakers are unknown. The one before is not chosen any more, whatever became of it."""
    if not file:
        return {"message": ""}
    try:
        stored = upload.take(services, file)
    except Exception as error:
        return {"folder": "", "file": None, "message": failed(error, language)}
    finally:
        Path(file).unlink(missing_ok=True)  # the page's own copy
    message = render.notice(recordings_view.upload_message(stored, language), "wait")
    update = {"folder": str(stored.path), "file": None, "message": message}
    try:
        by_speaker = {"source": FOLDER, "pattern": "", "alone": False, "all_learn": False}
        sources.require_usable(sources.insight(services, by_speaker | update))
    except AudioLLMError as error:  # any other than this one is shown when the upload is looked at
        return update | {"alone": isinstance(error, sources.NamelessError)}
    return update | {"alone": False}


def playback(
    services: Services, values: Values, label: str, last: str, language: Language
) -> dict[str, Any]:
    """A clip to play, what it is, and its path."""
    try:
        insight = sources.insight(services, values)
        if not isinstance(insight, Insight):
            return {"last": ""}
        clip = draw(insight, label or "", last)
        sound = sources.sound(services, insight, clip)
    except Exception as error:
        about = gr.update(value=failed(error, language), visible=True)
        return {"sound": gr.update(value=None, **HIDDEN), "about": about, "last": ""}
    words = {
        "label": f"<b>{escape(title(clip.label, language))}</b>",
        "speaker": escape(clip.speaker) or text("player_unknown", language),
        "file": escape(Path(clip.path).name),
    }
    line = text("player_about", language, **words)
    if clip.split:
        split = text(f"split_{clip.split}", language)
        line += f" ({text('player_split', language, split=split)})"
    about = gr.update(value=f"<p>{line}</p>", visible=True)
    return {"sound": gr.update(value=sound, visible=True), "about": about, "last": clip.path}


def draw(insight: Insight, label: str = "", last: str = "") -> Clip:
    """A clip of a class, or of any where it is "", and another one than the last where it can be.

    Args:
        last: path of the clip before.

    Raises:
        DataError: there is none.
    """
    members = [clip for clip in insight.samples if label in ("", clip.label)]
    others = [clip for clip in members if clip.path != last]
    if not members:
        raise DataError("player_empty")
    return random.choice(others or members)  # noqa: S311
