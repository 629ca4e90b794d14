"""The recordings of the Train page: where they come from, what is in them, how they sound.

`lay_out` and `upload` place the parts, `connect` moves them; what is said of recordings is made in
recordings_view.py.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.events import AT_ONCE
from audiollm.web.services import Services
from audiollm.web.static import Static, of_browser
from audiollm.web.train import clips, kept, recordings_view
from audiollm.web.train.kept import Kept
from audiollm.web.train.look import Insight
from audiollm.web.train.sources import FOLDER, HUB
from audiollm.web.train.upload import TABLES
from audiollm.web.train.upload import take as keep
from audiollm.web.train.view import failed


@dataclass(frozen=True, eq=False)
class Chosen:
    """Where the recordings come from: settings of the plan, and the way in for new ones."""

    source: gr.Dropdown
    folder: gr.Textbox
    data_set: gr.Textbox
    pattern: gr.Textbox
    alone: gr.Checkbox
    all_learn: gr.Checkbox
    upload: gr.File
    kept: Kept

    @property
    def named(self) -> list[Any]:
        """In the order of `Choice`."""
        return [
            self.source,
            self.folder,
            self.data_set,
            self.pattern,
            self.alone,
            self.all_learn,
        ]

    @property
    def fields(self) -> list[Any]:
        """What only some sources ask for."""
        return [self.folder, self.upload, self.pattern, self.data_set, self.alone]


@dataclass(frozen=True, eq=False)
class Shown:
    """What is in them, and a player."""

    told: gr.HTML
    data: gr.HTML
    classes: gr.Plot
    label: gr.Dropdown
    another: gr.Button
    sound: gr.Audio
    heard: gr.HTML
    last: gr.State  # path of the clip that plays

    @property
    def seen(self) -> list[Any]:
        return [self.data, self.classes, *self.player]

    @property
    def player(self) -> list[Any]:
        return [self.label, self.another, self.sound, self.heard]


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
        """See `recordings_view.insight`."""
        place = self.data_set if self.source == HUB else self.folder
        split = "random" if self.alone else "auto"
        return recordings_view.insight(
            services, self.source, place, self.pattern, split, self.all_learn
        )


def upload(static: Static) -> gr.File:
    """The way in for recordings from another computer."""
    kinds = [".zip", *TABLES]
    label = of_browser("train_upload")
    made = gr.File(
        label=label, file_types=kinds, height=170, visible="hidden", elem_id="train-upload"
    )
    return static.place(made, "train_upload", "label")


def lay_out(static: Static) -> Shown:
    """The summary and the player."""
    told = gr.HTML(elem_id="data-told")
    data = gr.HTML(elem_id="train-data")
    classes = gr.Plot(show_label=False, container=False, visible="hidden", elem_id="train-classes")
    with gr.Row(elem_id="hear", equal_height=True):
        label = static.labelled(
            gr.Dropdown, "hear_label", choices=[], visible="hidden", elem_id="hear-label", scale=3
        )
        another = static.button(
            "hear_next", visible="hidden", elem_id="hear-next", scale=2, min_width=110
        )
    heard = gr.HTML(elem_id="hear-told", visible="hidden")
    sound = static.labelled(
        gr.Audio,
        "hear_sound",
        interactive=False,
        autoplay=True,
        visible="hidden",
        buttons=[],
        elem_id="hear-sound",
    )
    return Shown(told, data, classes, label, another, sound, heard, gr.State(""))


def connect(
    chosen: Chosen, shown: Shown, services: Services, language: gr.Radio, tab: gr.Tab
) -> None:
    """What is in the recordings is looked at when somebody opens the tab, not before: a part that
    was never on the screen would not hear that it shall be seen."""
    at, outcome = [*chosen.named, language], shown.seen

    def look(*values: Any) -> list[Any]:
        *given, spoken = values
        return seen(services, Choice(*given), spoken)

    # also when a page has just learned its visitor's language: nothing that somebody waits for
    language.change(look, at, outcome, trigger_mode="always_last", **AT_ONCE)
    gr.on(
        [
            tab.select,
            chosen.source.change,
            chosen.alone.input,
            chosen.all_learn.input,
            *(part.submit for part in (chosen.folder, chosen.data_set, chosen.pattern)),
            *(part.blur for part in (chosen.folder, chosen.data_set, chosen.pattern)),
        ],
        look,
        at,
        outcome,
        trigger_mode="always_last",
        **{**AT_ONCE, "show_progress": "minimal", "show_progress_on": [shown.data]},
    )
    chosen.source.change(fields, chosen.source, chosen.fields, **AT_ONCE)
    gr.on([chosen.source.input, language.input], lambda: "", None, shown.told, **AT_ONCE)

    def take(file: str | None, spoken: Language) -> list[Any]:
        return taken(services, file, spoken)

    moved = [chosen.folder, chosen.upload, shown.told]
    came_in = chosen.upload.upload(take, [chosen.upload, language], moved, **AT_ONCE)
    came_in.then(look, at, outcome, **AT_ONCE)

    kept.connect(chosen.kept, chosen.source, chosen.folder, shown.told, services, language, tab)

    def another(label: str, last: str, *values: Any) -> list[Any]:
        *given, spoken = values
        return played(services, Choice(*given), label, last, spoken)

    gr.on(
        [shown.another.click, shown.label.input],
        another,
        [shown.label, shown.last, *at],
        [shown.sound, shown.heard, shown.last],
        **AT_ONCE,
    )


def fields(source: str) -> list[Any]:
    """Shows what a source asks for, in the order of `Chosen.fields`."""
    folder, hub = source == FOLDER, source == HUB
    on = (folder, folder, folder, hub, folder or hub)
    return [gr.update(visible=_seen(one)) for one in on]


def seen(services: Services, choice: Choice, language: Language) -> list[Any]:
    """What is in the chosen recordings, in the order of `Shown.seen`."""
    nothing = [gr.update(visible="hidden")] * 3
    try:
        found = choice.insight(services)
        said = recordings_view.summary(found, language)
    except Exception as error:
        return [failed(error, language), *nothing, *_silent()]
    if not isinstance(found, Insight):
        return [said, *nothing, *_silent()]
    picture = gr.update(value=recordings_view.classes(found, language), visible=True)
    said += recordings_view.aloud(found, language)
    choices = [(text("data_all", language), "")]
    choices += [(word(name, language), name) for name in found.classes]
    can_hear = _seen(bool(found.heard))
    label = gr.update(choices=choices, value="", visible=can_hear)
    return [said, picture, label, gr.update(visible=can_hear), *_silent()]


def _silent() -> list[Any]:
    return [gr.update(value=None, visible="hidden"), gr.update(value="", visible="hidden")]


def taken(services: Services, file: str | None, language: Language) -> list[Any]:
    """An upload is kept: its place, an empty upload field, and what became of it."""
    if not file:
        return [gr.skip(), gr.skip(), ""]
    try:
        made = keep(services, file)
    except Exception as error:
        return [gr.skip(), None, failed(error, language)]
    finally:
        Path(file).unlink(missing_ok=True)  # the page's own copy
    said = recordings_view.uploaded(made, language)
    return [str(made.place), None, render.notice(said, "wait")]


def played(
    services: Services, choice: Choice, label: str, last: str, language: Language
) -> list[Any]:
    """A clip to hear, what it is, and its path."""
    try:
        found = choice.insight(services)
        if not isinstance(found, Insight):
            return [gr.skip(), gr.skip(), ""]
        clip = clips.draw(found, label or "", last)
        sound = clips.sound(services, found, clip)
    except Exception as error:
        told = gr.update(value=failed(error, language), visible=True)
        return [gr.update(value=None, visible="hidden"), told, ""]
    words = {
        "label": f"<b>{escape(word(clip.label, language))}</b>",
        "speaker": escape(clip.speaker) or text("hear_nobody", language),
        "file": escape(Path(clip.path).name),
    }
    said = text("hear_told", language, **words)
    if clip.side:
        side = text(f"side_{clip.side}", language)
        said += f" ({text('hear_used', language, side=side)})"
    told = gr.update(value=f"<p>{said}</p>", visible=True)
    return [gr.update(value=sound, visible=True), told, clip.path]


def _seen(on: bool) -> Literal[True, "hidden"]:
    return True if on else "hidden"
