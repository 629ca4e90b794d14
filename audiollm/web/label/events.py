"""What moves the Label page: label.js speaks through the wire, the rest are Gradio's own parts."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr

from audiollm.errors import LabelError
from audiollm.labelling.store import WORKS
from audiollm.labelling.tasks import REASONS
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.events import AT_ONCE, QUIET
from audiollm.web.label import actions, card, report, sources, teach, worth
from audiollm.web.label.actions import Desk
from audiollm.web.label.page import FORMATS, Parts
from audiollm.web.services import Services
from audiollm.web.train import view
from audiollm.web.train.actions import devices as devices_of

BEGIN = "() => { window.labelling.begin(); }"  # label.js asks for the clip that is shown now

# a figure that was drawn while its fold was shut does not know how wide it may be
FITS = "() => { setTimeout(() => window.dispatchEvent(new Event('resize')), 100); }"


def connect(parts: Parts | None, services: Services, language: gr.Radio, arrived: Any) -> None:
    """`arrived` is the event that knows the visitor's language."""
    if parts is None:
        return
    _remembers(parts)
    _speaks(parts, services, language, arrived)

    def act(
        person: str,
        work: Any,
        reasons: list[Any],
        blind: bool,
        chosen: Language,
        event: gr.EventData,
    ) -> str:
        desk = Desk(" ".join((person or "").split()), work, tuple(reasons), blind)
        question = ""
        try:
            asked = _data(event)
            question = str(asked.get("asked", ""))
            seen = replace(actions.act(services, desk, asked), asked=question)
            return card.card(seen, desk, chosen)
        except Exception as error:
            return _failed_card(error, question, chosen)

    def clips(event: gr.EventData) -> str:
        """Sounds and pictures for label.js, in an attribute: no script runs in what is sent."""
        try:
            wanted = [str(id) for id in _data(event).get("ids", [])][:4]
            found = json.dumps(actions.clips(services, wanted))
        except Exception as error:
            view.explained(error, "en")  # what is no sentence goes to the log
            found = "{}"
        return f'<div data-clips="{escape(found)}"></div>'

    # label.js waits for each answer by itself: a question is not lost while Gradio still draws
    said = [*parts.desk, language]
    parts.wire.submit(act, said, parts.card, trigger_mode="multiple", **AT_ONCE)
    parts.wire.input(clips, None, parts.clips, trigger_mode="multiple", **AT_ONCE)
    for event in (parts.work.input, parts.reasons.input, parts.blind.input, parts.person.change):
        event(None, js=BEGIN, **AT_ONCE)
    parts.tab.select(None, js=BEGIN, **AT_ONCE)
    begins = _gathers(parts, services, language)
    begins.then(None, js=BEGIN, **AT_ONCE)
    _files(parts, services, language).then(None, js=BEGIN, **AT_ONCE)

    _teaches(parts, services, language)
    _counts(parts, services, language)


def _teaches(parts: Parts, services: Services, language: gr.Radio) -> None:
    """The model learns from the labels: the commands as they would be now, and the job."""

    def proposed(*values: Any) -> str:
        *given, chosen = values
        try:
            return teach.commands(services, teach.plan(services, *given))
        except Exception as error:
            return f"# {view.explained(error, chosen)}"

    def begin(*values: Any) -> str:
        *given, chosen = values
        try:
            name = teach.start(services, teach.plan(services, *given))
            return render.notice(text("improve_started", chosen, name=name), "wait")
        except Exception as error:
            return view.failed(error, chosen)

    settings = [*parts.teaching, language]
    started = parts.improve.click(begin, settings, parts.improved, **QUIET)
    asked = [*(part.change for part in parts.teaching), language.change, parts.improving.expand]
    gr.on(asked, proposed, settings, parts.commands, trigger_mode="always_last", **AT_ONCE)
    started.then(proposed, settings, parts.commands, **AT_ONCE)


def _counts(parts: Parts, services: Services, language: gr.Radio) -> None:
    """How it goes, and what more labels are worth."""

    def counted(chosen: Language) -> list[Any]:
        try:
            return [report.report(services, chosen), *found(chosen)]
        except Exception as error:
            return [view.failed(error, chosen), "", gr.update(visible=False)]

    def found(chosen: Language) -> list[Any]:
        last = worth.last(services)
        if last is None:
            return ["", gr.update(visible=False)]
        labelled = sum(bool(outcome.emotion) for outcome in actions.book(services).outcomes())
        drawn = worth.figure(last, chosen)
        curve = gr.update(visible=False) if drawn is None else gr.update(value=drawn, visible=True)
        return [worth.html(last, labelled, chosen), curve]

    def measure(data: str | None, chosen: Language) -> Iterator[list[Any]]:
        try:
            for said in worth.measure(services, data or "", chosen):
                yield [said, gr.skip()]
            yield found(chosen)
        except Exception as error:
            yield [view.failed(error, chosen), gr.skip()]

    asked = [parts.progress.expand, parts.refresh.click, parts.tab.select, language.input]
    shown = [parts.told_worth, parts.curve]
    for done in (
        gr.on(asked, counted, language, [parts.report, *shown], **AT_ONCE),
        parts.worth.click(measure, [parts.data, language], shown, **QUIET),
    ):
        done.then(None, js=FITS, **AT_ONCE)


def _data(event: gr.EventData) -> dict[str, Any]:
    """What label.js has sent.

    Raises:
        LabelError: it is no object.
    """
    found = event._data
    if not isinstance(found, dict):
        raise LabelError("The page said nothing that can be read: reload it.")
    return found


def _failed_card(error: Exception, question: str, chosen: Language) -> str:
    said = render.notice(view.explained(error, chosen), "error")
    return f'<section class="clip" data-failed="1" data-asked="{escape(question)}">{said}</section>'


def _remembers(parts: Parts) -> None:
    """The person's name, in this browser."""
    # not in the tab: what stands there is not read before the tab is opened
    remembered = gr.BrowserState("", storage_key="audiollm-person", secret="audiollm")  # noqa: S106
    # what is sent to a part of a tab that was never opened is lost
    parts.tab.select(lambda name: name or gr.skip(), remembered, parts.person, **AT_ONCE)

    def remember(name: str | None) -> Any:
        # the empty box of the start is nobody's name
        return " ".join((name or "").split()) or gr.skip()

    parts.person.change(remember, parts.person, remembered, **AT_ONCE)


def _speaks(parts: Parts, services: Services, language: gr.Radio, arrived: Any) -> None:
    """Choices in the page's language, and what there is to choose from."""

    def speak(
        chosen: Language, data: str | None, model: str | None, device: str | None
    ) -> list[Any]:
        try:
            found = sources.offered(services, chosen)
            learned = teach.data_offered(services)
            models = teach.models_offered(services, chosen)
            devices = devices_of(services)
        except Exception as error:
            view.explained(error, chosen)
            found, learned, models, devices = [], [], [], []
        return [
            gr.update(choices=[(text(f"work_{name}", chosen), name) for name in WORKS]),
            gr.update(choices=[(text(f"reason_{name}", chosen), name) for name in REASONS]),
            gr.update(choices=[(text(f"format_{name}", chosen), name) for name in FORMATS]),
            gr.update(choices=found),
            _kept(data, learned),
            _kept(model, models),
            _kept(device, devices),
        ]

    chosen = [parts.data, parts.model, parts.device]
    spoken = [parts.work, parts.reasons, parts.format, parts.source, *chosen]
    asked = [language, *chosen]
    arrived.then(speak, asked, spoken, **AT_ONCE)
    changed = gr.on([language.input, parts.tab.select], speak, asked, spoken, **AT_ONCE)
    changed.then(None, js=BEGIN, **AT_ONCE)


def _kept(value: str | None, choices: Sequence[Any]) -> Any:
    """What there is to choose from; what is chosen stays, else it is the first."""
    ids = [one[1] if isinstance(one, tuple) else one for one in choices]
    return gr.update(choices=choices, value=value if value in ids else next(iter(ids), None))


def _gathers(parts: Parts, services: Services, language: gr.Radio) -> Any:
    """Clips into the queue; returns what follows it."""

    def wants(source: str | None) -> Any:
        return gr.update(visible=source == sources.FOLDER)

    def gather(source: str | None, folder: str, chosen: Language) -> Iterator[list[Any]]:
        go = [gr.update(visible=True)]
        try:
            for said in sources.gather(services, source, folder, chosen):
                yield [said, *go]
                go = [gr.skip()]
        except Exception as error:
            yield [view.failed(error, chosen), gr.skip()]

    def ended() -> Any:
        return gr.update(visible=False)

    def stopped(chosen: Language) -> list[Any]:
        return [
            render.notice(text("label_stopped", chosen), "wait"),
            ended(),
        ]

    parts.source.input(wants, parts.source, parts.folder, **AT_ONCE)
    inputs, outputs = [parts.source, parts.folder, language], [parts.gathered, parts.stop]
    running = parts.gather.click(gather, inputs, outputs, **QUIET)
    parts.stop.click(stopped, language, outputs, cancels=[running], **AT_ONCE)
    return running.then(ended, None, parts.stop, **AT_ONCE)


def _files(parts: Parts, services: Services, language: gr.Radio) -> Any:
    """Import and export; returns what follows an import."""

    def take(path: str, upload: str | None, person: str, chosen: Language) -> str:
        try:
            found = sources.take(services, path.strip() or upload or "", person.strip())
            return render.notice(text("label_imported", chosen, **found), "wait")
        except Exception as error:
            return view.failed(error, chosen)

    def give(format: str, chosen: Language) -> list[Any]:
        try:
            return [gr.update(value=sources.give(services, format), visible=True), ""]
        except Exception as error:
            return [gr.update(visible=False), view.failed(error, chosen)]

    parts.give.click(give, [parts.format, language], [parts.file, parts.told], **AT_ONCE)
    inputs = [parts.path, parts.upload, parts.person, language]
    return parts.take.click(take, inputs, parts.told, **QUIET)
