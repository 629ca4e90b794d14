"""The Label page: its parts and their handlers.

label.js sends requests through the hidden component `wire`; queue.py answers them and card.py shows
the answer. Adding clips, training and progress have a class each.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr

from audiollm.errors import LabelError
from audiollm.labelling.store import WORKS
from audiollm.labelling.tasks import REASONS
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web.events import AT_ONCE, Update, repeats
from audiollm.web.label import queue, training, transfer
from audiollm.web.label.card import card, failed
from audiollm.web.label.progress import Progress
from audiollm.web.label.queue import Session
from audiollm.web.label.stored import StoredClips
from audiollm.web.label.training import Training
from audiollm.web.label.transfer import FORMATS, Transfer
from audiollm.web.services import Services
from audiollm.web.static import Static, choices
from audiollm.web.train import view
from audiollm.web.train.actions import devices

# Gradio draws a tab when it is opened first; from then on label.js can send requests.
CONNECT = """
const send = (kind, data) => kind === "submit" ? trigger("submit", data) : trigger("input", data);
window.labelling?.connect(send);
"""
BEGIN = "() => { window.labelling.begin(); }"  # label.js requests the current clip
# The stored name, where none has been typed
REMEMBERED = """(stored) => {
  const typed = document.querySelector("#label-person :is(input, textarea)")?.value;
  return stored && !typed ? stored : { __type__: "update" };
}"""
# The work that a link such as /?tab=label&work=second names, once
INVITED = """() => {
  const address = new URL(location.href), work = address.searchParams.get("work");
  address.searchParams.delete("work");
  if (work) history.replaceState(history.state, "", address);
  return %s.includes(work) ? work : { __type__: "update" };
}"""
CLIPS_PER_REQUEST = 4


class LabelPage:
    """The parts that the owner of the machine sees."""

    def __init__(self, services: Services, static: Static, tab: gr.Tab) -> None:
        self.services, self.tab = services, tab
        static.html("label_intro", elem_id="label-intro")
        with gr.Row(elem_id="label-desk", equal_height=False):
            self.person = static.labelled(
                gr.Textbox, "label_person", info=True, max_lines=1, scale=2, min_width=160
            )
            self.work = static.labelled(
                gr.Radio,
                "label_work",
                choices=choices("work", WORKS),
                value=WORKS[0],
                scale=3,
                min_width=260,
            )
            self.blind = static.labelled(
                gr.Checkbox, "label_blind", info=True, value=True, scale=3, min_width=240
            )
        self.wire = gr.HTML("", js_on_load=CONNECT, elem_id="label-wire")
        self.card = gr.HTML("", elem_id="label-card")
        self.clips = gr.HTML("", elem_id="label-clips", visible="hidden")
        with static.fold("label_choices"):
            self.reasons = static.labelled(
                gr.CheckboxGroup,
                "label_reasons",
                choices=choices("reason", REASONS),
                value=list(REASONS),
            )
        self.transfer = Transfer(services, static)
        self.stored = StoredClips(services, static)
        self.training = Training(services, static)
        self.progress = Progress(services, static)

    def connect(self, language: gr.Radio, arrived: Any) -> None:
        """`arrived`: the event after which the visitor's language is known."""
        services = self.services

        def act(form: Update, event: gr.EventData) -> str:
            chosen: Language = form[language]
            request = ""
            try:
                message = _message(event)
                request = str(message.get("asked", ""))
                person = " ".join((form[self.person] or "").split())
                reasons = tuple(form[self.reasons])
                session = Session(person, form[self.work], reasons, form[self.blind])
                state = replace(queue.act(services, session, message), request=request)
                return card(state, session, chosen)
            except Exception as error:
                return failed(view.explained(error, chosen), request)

        def load(chosen: Language, event: gr.EventData) -> str:
            """Sounds and pictures for label.js, in an attribute, so no script in them can run."""
            try:
                ids = [str(id) for id in _message(event).get("ids", [])][:CLIPS_PER_REQUEST]
                content = json.dumps(queue.clips(services, ids, chosen))
            except Exception as error:
                view.explained(error, chosen)  # logs a bug
                content = "{}"
            return f'<div data-clips="{escape(content)}"></div>'

        # "multiple": a request is not dropped while Gradio still draws the answer before it
        inputs: set[Any] = {self.person, self.work, self.reasons, self.blind, language}
        repeats(act, "itself")
        self.wire.submit(act, inputs, self.card, trigger_mode="multiple", **AT_ONCE)
        self.wire.input(load, language, self.clips, trigger_mode="multiple", **AT_ONCE)
        self._remember_person()
        spoken = self._choices(language, arrived)
        changed = self.transfer.connect(language, self.person)
        deleted = self.stored.connect(language, self.tab, changed)
        for event in (*changed, spoken, deleted):
            event.then(None, js=BEGIN, **AT_ONCE)
        parts = (self.work.input, self.reasons.input, self.blind.input, self.person.change)
        for trigger in (*parts, self.tab.select):
            trigger(None, js=BEGIN, **AT_ONCE)
        self.training.connect(language)
        self.progress.connect(language, self.tab, self.training.data)

    def _remember_person(self) -> None:
        """The person's name, in this browser, and the work that they were invited to."""
        # not inside the tab: there it is not read before the tab is opened
        stored = gr.BrowserState("", storage_key="audiollm-person", secret="audiollm")  # noqa: S106
        # an update of a part of a tab that was never opened is lost: the server is asked first;
        # what has been typed meanwhile stays
        opened = self.tab.select(lambda: None, **AT_ONCE)
        opened.then(None, stored, self.person, js=REMEMBERED, **AT_ONCE)
        invited = opened.then(None, None, self.work, js=INVITED % json.dumps(WORKS), **AT_ONCE)
        invited.then(None, js=BEGIN, **AT_ONCE)

        def remember(name: str | None) -> Any:
            return " ".join((name or "").split()) or gr.skip()  # not the empty box of the start

        self.person.change(remember, self.person, stored, **AT_ONCE)

    def _choices(self, language: gr.Radio, arrived: Any) -> Any:
        """All choices in the language of the page; the event after a change of the language."""
        services, fine_tuning = self.services, self.training
        selected = (
            self.transfer.source,
            *(fine_tuning.data, fine_tuning.model, fine_tuning.device),
        )
        worded: list[tuple[Any, str, Sequence[str]]] = [
            (self.work, "work", WORKS),
            (self.reasons, "reason", REASONS),
            (self.transfer.format, "format", FORMATS),
        ]

        def fill(form: Update) -> Update:
            chosen: Language = form[language]
            offered: list[Any] = [[]] * 4
            try:
                offered = [
                    transfer.source_choices(services, chosen),
                    training.data_offered(services, chosen),
                    training.models_offered(services, chosen),
                    devices(services),
                ]
            except Exception as error:
                view.explained(error, chosen)  # logs a bug
            updates: Update = {
                part: _update(form[part], values)
                for part, values in zip(selected, offered, strict=True)
            }
            for part, kind, names in worded:
                words = [(text(f"{kind}_{name}", chosen), name) for name in names]
                updates[part] = gr.update(choices=words)
            return updates

        inputs: set[Any] = {language, *selected}
        outputs = [*selected, *(part for part, *_ in worded)]
        arrived.then(fill, inputs, outputs, **AT_ONCE)
        return gr.on([language.input, self.tab.select], fill, inputs, outputs, **AT_ONCE)


def _message(event: gr.EventData) -> dict[str, Any]:
    """The message of label.js.

    Raises:
        LabelError: it is no object.
    """
    message = event._data
    if not isinstance(message, dict):
        raise LabelError("label_bad_message", reason=type(message).__name__)
    return message


def _update(value: str | None, offered: Sequence[Any]) -> Any:
    """New choices; the value stays where it is still offered, else it is the first."""
    ids = [one[1] if isinstance(one, tuple) else one for one in offered]
    return gr.update(choices=offered, value=value if value in ids else next(iter(ids), None))
