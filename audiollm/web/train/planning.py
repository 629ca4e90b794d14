"""What moves the settings of the Train page: what is offered, the commands, a plan's start, a file.

Nothing trains inside an event: a plan becomes a job in a process of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.quiet import AT_ONCE
from audiollm.web.services import Services
from audiollm.web.train import (
    actions,
    estimate,
    prepared,
    proposal,
    recordings,
    recordings_view,
    view,
)
from audiollm.web.train.form import KEYS, Form, plan
from audiollm.web.train.page import Parts
from audiollm.web.train.plan import PRESETS, Plan

SAVE = """(said) => {
  if (!said) return;
  const name = JSON.parse(said).name + ".settings.json";
  window.audiollm.save(name, new Blob([said], { type: "application/json" }));
}"""


def connect(parts: Parts, services: Services, language: gr.Radio) -> list[Any]:
    """Returns the events after which there may be another job."""
    _plans(parts, services, language)
    _arrives(parts, services, language)
    _files(parts, services, language)
    return _starts(parts, services, language)


def _plans(parts: Parts, services: Services, language: gr.Radio) -> None:
    """What there is to train on, settings that fit it, and the commands."""
    fields, named = parts.fields, parts.fields.named
    settings = [*fields.settings, language]

    def offer(chosen: Language) -> list[Any]:
        found = recordings_view.sources(prepared.prepared(services), chosen)
        return [gr.update(choices=found), gr.update(choices=actions.devices(services))]

    def suggest(before: dict[str, Any], *values: Any, factor: float = 0.0) -> list[Any]:
        """Settings that fit what is chosen, where the person has not set others. `factor`: so many
        times the usual passes, whatever stands there."""
        *given, chosen = values
        form = Form(*given)
        if factor:
            form = replace(form, epochs_1=before["epochs_1"], epochs_2=before["epochs_2"])
        now, said = actions.proposed(services, form, factor or before["factor"], chosen)
        taken = proposal.follow(asdict(form), before, now)
        if factor:
            taken |= {key: now[key] for key in ("epochs_1", "epochs_2")}
            taken |= {"steps_1": 0, "steps_2": 0}
        updates = [gr.update(value=taken[key]) if key in taken else gr.skip() for key in KEYS]
        return [*updates, {**before, **now, "factor": factor or before["factor"]}, said]

    def propose(*values: Any) -> list[Any]:
        """The commands and how long they take, or why there are none."""
        *given, chosen = values
        try:
            wanted = actions.compared(services, plan(*given))
            takes = estimate.told(services, wanted, chosen)
            return [actions.commands(services, wanted), "", takes]
        except Exception as error:
            return ["", view.failed(error, chosen), ""]

    suggested = [*fields.settings, fields.offered, fields.fits]
    proposed = [parts.commands, parts.told, parts.estimate]
    recordings.connect(fields.chosen, parts.shown, services, language, parts.tab)
    asks = [fields.offered, *settings]
    for button, factor in zip(fields.presets, PRESETS.values(), strict=True):
        button.click(partial(suggest, factor=factor), asks, suggested, **AT_ONCE)
    # what is sent to a tab that was never opened is lost; and a page may learn its visitor's
    # language after the tab was opened
    told = [parts.tab.select, language.change]
    gr.on(told, offer, language, [named["source"], named["device"]], **AT_ONCE)
    decides = [named[key].change for key in ("source", "folder", "clips", "llm", "device")]
    last: dict[str, Any] = {"trigger_mode": "always_last", **AT_ONCE}
    gr.on([*told, *decides], suggest, asks, suggested, **last)
    every = [*(part.change for part in fields.settings), *told]
    gr.on(every, propose, settings, proposed, **last)


def _starts(parts: Parts, services: Services, language: gr.Radio) -> list[Any]:
    """The whole plan, or its first step alone; returns the events after which there is a job."""
    settings, outcome = [*parts.fields.settings, language], [parts.told, parts.jobs, parts.seen]

    def starts(what: Callable[[Services, Plan], str], said: str) -> Callable[..., list[Any]]:
        def start(*values: Any) -> list[Any]:
            *given, chosen = values
            try:
                made = plan(*given)
                id = what(services, made)
                # what is not on the list yet cannot be chosen on it
                known = gr.update(choices=[(made.name, id)], value=id, visible=True)
                return [render.notice(text(said, chosen, name=made.name), "wait"), known, {}]
            except Exception as error:
                return [view.failed(error, chosen), gr.skip(), gr.skip()]

        return start

    whole, first = (
        starts(actions.start, "train_started"),
        starts(actions.prepare, "prepare_started"),
    )
    return [
        parts.start.click(whole, settings, outcome, **AT_ONCE),
        parts.prepare.click(first, settings, outcome, **AT_ONCE),
    ]


def _arrives(parts: Parts, services: Services, language: gr.Radio) -> None:
    """Offers what a job has prepared meanwhile, and chooses it where these settings asked so."""
    known = gr.State(None)

    def look(before: list[str] | None, *values: Any) -> list[Any]:
        *given, chosen = values
        found = prepared.prepared_folders(services)
        now = [str(folder) for folder in found]
        if now == before or before is None:
            return [gr.skip(), gr.skip() if now == before else now]
        offered = gr.update(choices=recordings_view.sources(prepared.prepared(services), chosen))
        made = actions.prepared_by(services, plan, given)
        if made in set(now) - set(before):
            offered["value"] = made
        return [offered, now]

    at = [known, *parts.fields.settings, language]
    parts.clock.tick(look, at, [parts.fields.chosen.source, known], **AT_ONCE)


def _files(parts: Parts, services: Services, language: gr.Radio) -> None:
    """The settings go into a file that the browser saves, and come back from one."""
    fields = parts.fields
    settings = [*fields.settings, language]

    def save(*values: Any) -> list[Any]:
        *given, chosen = values
        try:
            return [actions.save(services, given), ""]
        except Exception as error:
            return ["", view.failed(error, chosen)]

    def load(file: str | None, *values: Any) -> list[Any]:
        *given, chosen = values
        try:
            loaded = actions.load(services, file, given)
        except Exception as error:
            return [*(gr.skip() for _ in given), None, view.failed(error, chosen)]
        finally:
            if file:
                Path(file).unlink(missing_ok=True)  # the page's own copy
        said = render.notice(text("settings_loaded", chosen, name=loaded.name), "wait")
        return [*changed(given, loaded), None, said]

    saved = fields.save.click(save, settings, [fields.file, fields.filed], **AT_ONCE)
    saved.then(None, fields.file, None, js=SAVE, **AT_ONCE)
    came = [fields.load, *settings]
    # an empty button takes a file of the same name again
    outcome = [*fields.settings, fields.load, fields.filed]
    fields.load.upload(load, came, outcome, **AT_ONCE)


def changed(values: Sequence[Any], wanted: Form) -> list[Any]:
    """Updates for the fields: what stands there already is left alone."""
    pairs = zip(values, astuple(wanted), strict=True)
    return [gr.skip() if old == new else gr.update(value=new) for old, new in pairs]
