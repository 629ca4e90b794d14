"""Uploads of before on the Train page: chosen again, or deleted after a question."""

from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import gradio as gr

from audiollm.errors import AudioLLMError
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.events import AT_ONCE
from audiollm.web.services import Services
from audiollm.web.static import Static, of_browser
from audiollm.web.train import uploads
from audiollm.web.train.sources import FOLDER
from audiollm.web.train.view import failed


@dataclass(frozen=True, eq=False)
class Kept:
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


def lay_out(static: Static) -> Kept:
    """Place them below the way in for new ones."""
    hidden: dict[str, Any] = {"visible": "hidden"}
    label = of_browser("upload_kept")
    choice = gr.Dropdown([], label=label, elem_id="upload-kept", **hidden)
    static.place(choice, "upload_kept", "label")
    small: dict[str, Any] = {"size": "sm", "min_width": 80, **hidden}
    delete = static.button("upload_delete", elem_id="upload-delete", **small)
    question = gr.HTML(elem_id="upload-question", **hidden)
    with gr.Row(elem_id="upload-answer"):
        yes = static.button("upload_yes", variant="stop", elem_id="upload-yes", **small)
        no = static.button("upload_no", elem_id="upload-no", **small)
    return Kept(choice, delete, question, yes, no)


def connect(
    kept: Kept,
    source: gr.Dropdown,
    folder: gr.Textbox,
    told: gr.HTML,
    services: Services,
    language: gr.Radio,
    tab: gr.Tab,
) -> None:
    """An upload of before is chosen, or deleted after a question."""

    def offer(origin: str, place: str) -> list[Any]:
        found = uploads.uploads(services) if origin == FOLDER else []
        inside = [p.name for p in found if place == str(p) or place.startswith(f"{p}/")]
        names = [path.name for path in found]
        value = inside[0] if inside else None
        update = gr.update(choices=names, value=value, visible=_shown(bool(names)))
        return [update, *asks(value)]

    def choose(name: str | None) -> list[Any]:
        try:
            return [str(uploads.place_of(uploads.named(services, name))), *asks(name)]
        except (AudioLLMError, OSError):
            return [gr.skip(), *asks(None)]

    def ask(name: str | None, spoken: Language) -> list[Any]:
        try:
            count = uploads.sounds(uploads.named(services, name))
            said = text("upload_sure", spoken, name=escape(name or ""), n=count)
            return [*asks(name, f'<p class="caution">{said}</p>'), ""]
        except Exception as error:
            return [*asks(None), failed(error, spoken)]

    def delete(name: str | None, spoken: Language) -> list[Any]:
        try:
            uploads.delete(services, name)
        except Exception as error:
            return [gr.skip(), *asks(name), failed(error, spoken)]
        said = text("upload_deleted", spoken, name=escape(name or ""))
        return ["", *asks(None), render.notice(said, "wait")]

    changes = [tab.select, source.change, folder.change]
    gr.on(changes, offer, [source, folder], [kept.choice, *kept.asked], **AT_ONCE)
    kept.choice.input(choose, kept.choice, [folder, *kept.asked], **AT_ONCE)
    at = [kept.choice, language]
    kept.delete.click(ask, at, [*kept.asked, told], **AT_ONCE)
    kept.yes.click(delete, at, [folder, *kept.asked, told], **AT_ONCE)
    kept.no.click(asks, kept.choice, kept.asked, **AT_ONCE)


def asks(name: str | None, question: str = "") -> list[Any]:
    """The button that deletes an upload, or the question before it."""
    sure = gr.update(visible=_shown(bool(question)))
    delete = gr.update(visible=_shown(bool(name) and not question))
    return [delete, gr.update(value=question, visible=_shown(bool(question))), sure, sure]


def _shown(on: bool) -> Literal[True, "hidden"]:
    return True if on else "hidden"
