"""The events of the Train page's settings: what is offered, the commands, a plan's start, a file.

Nothing trains inside an event: a plan becomes a job in a process of its own.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.events import AT_ONCE, Update, repeats
from audiollm.web.services import Services
from audiollm.web.static import visible
from audiollm.web.train import (
    actions,
    estimate,
    proposal,
    recordings_view,
    sources,
    view,
)
from audiollm.web.train.page import Page
from audiollm.web.train.plan import PRESETS, Plan
from audiollm.web.train.sources import NamelessError, UnnamedError

EPOCHS = ("epochs_1", "epochs_2")
SAVE = """(content) => {
  if (!content) return;
  const name = JSON.parse(content).name + ".settings.json";
  window.audiollm.save(name, new Blob([content], { type: "application/json" }));
}"""


def connect(parts: Page, services: Services, language: gr.Radio) -> list[Any]:
    """Returns the events after which there may be another job."""
    _plans(parts, services, language)
    _arrives(parts, services, language)
    _files(parts, services, language)
    return _starts(parts, services, language)


def _plans(parts: Page, services: Services, language: gr.Radio) -> None:
    """What there is to train on, settings that fit it, and the commands."""
    fields, by_name = parts.fields, parts.fields.by_name

    def offer(chosen: Language) -> Update:
        choices = recordings_view.sources(sources.prepared(services), chosen)
        devices = gr.update(choices=actions.devices(services))
        presets = [(text(f"preset_{name}", chosen), name) for name in PRESETS]
        return {
            by_name["source"]: gr.update(choices=choices),
            by_name["device"]: devices,
            fields.preset: gr.update(choices=presets),
        }

    def preset(form: Update) -> Update:
        return suggest(form, PRESETS[form[fields.preset]])

    def suggest(form: Update, factor: float = 0.0) -> Update:
        """Settings that fit what is chosen, where the person has not set others. `factor`: so many
        times the usual epochs, whatever stands there."""
        values, before = fields.values(form), form[fields.offered]
        if factor:
            values |= {key: before[key] for key in EPOCHS}
        used = factor or before["factor"]
        now, basis = actions.propose(services, values, used, form[language])
        changes = proposal.follow(values, before, now)
        if factor:
            changes |= {key: now[key] for key in EPOCHS} | {"max_steps_1": 0, "max_steps_2": 0}
        offered = {**before, **now, "factor": used}
        return {by_name[k]: v for k, v in changes.items()} | {
            fields.offered: offered,
            fields.fits: basis,
        }

    def propose(form: Update) -> Update:
        """The commands, how long they take, and whether they can run: else what is missing."""
        chosen, commands, expected, missing = form[language], "", "", ""
        nameless = runs = prepares = False
        try:
            plan = actions.with_comparison(services, Plan.of(fields.values(form)))
            expected = estimate.html(services, plan, chosen)
            commands = actions.commands(services, plan)
            actions.require_startable(services, plan)
            runs, prepares = True, plan.unprepared
        except UnnamedError as error:
            missing = render.notice(error.in_language(chosen), "wait")
        except Exception as error:
            missing = view.failed(error, chosen)
            nameless = isinstance(error, NamelessError)
        return {
            parts.commands: commands,
            parts.message: missing,
            parts.estimate: expected,
            parts.start: gr.update(interactive=runs),
            parts.prepare: gr.update(interactive=prepares),
            fields.preset: proposal.preset(fields.values(form), form[fields.offered]),
            parts.split: gr.update(visible=visible(nameless)),
        }

    parts.recordings.connect(by_name, fields.uploads, services, language, parts.tab)
    settings = {*fields.parts, language}
    suggested = [*by_name.values(), fields.offered, fields.fits]
    fields.preset.input(preset, {*settings, fields.preset, fields.offered}, suggested, **AT_ONCE)
    # updates of a tab that was never opened are lost; and a page may learn its visitor's
    # language after the tab was opened
    triggers = [parts.tab.select, language.change]
    menus = [by_name["source"], by_name["device"], fields.preset]
    gr.on(triggers, offer, language, menus, **AT_ONCE)
    decides = [by_name[key].change for key in ("source", "folder", "clips", "llm", "device")]
    last: dict[str, Any] = {"trigger_mode": "always_last", **AT_ONCE}
    gr.on([*triggers, *decides], suggest, {*settings, fields.offered}, suggested, **last)
    every = [*(part.change for part in by_name.values()), *triggers]
    outcome = [parts.commands, parts.message, parts.estimate, parts.start, parts.prepare]
    outcome += [parts.split, fields.preset]
    gr.on(every, propose, {*settings, fields.offered}, outcome, **last)
    parts.split.click(lambda: True, None, by_name["alone"], **AT_ONCE)


def _starts(parts: Page, services: Services, language: gr.Radio) -> list[Any]:
    """The whole plan, or its first step alone; returns the events after which there is a job."""
    settings = {*parts.fields.parts, language}
    name = parts.fields.by_name["name"]

    def starts(what: Callable[[Services, Plan], str]) -> Callable[[Update], Update]:
        def start(form: Update) -> Update:
            try:
                plan = Plan.of(parts.fields.values(form))
                id = what(services, plan)
                following = actions.free_name(services, plan.name)
            except Exception as error:
                return {parts.message: view.failed(error, form[language])}
            # what is not on the list yet cannot be chosen on it
            choice = gr.update(choices=[(plan.name, id)], value=id, visible=True)
            return {parts.message: "", parts.jobs: choice, parts.seen: {}, name: following}

        return start

    outcome = [parts.message, parts.jobs, parts.seen, name]
    return [
        parts.start.click(starts(actions.start), settings, outcome, **AT_ONCE),
        parts.prepare.click(starts(actions.prepare), settings, outcome, **AT_ONCE),
    ]


def _arrives(parts: Page, services: Services, language: gr.Radio) -> None:
    """Offers what a job has prepared meanwhile, and selects what these settings prepared."""
    listed, source = gr.State(None), parts.fields.by_name["source"]

    def look(form: Update) -> Update:
        before = form[listed]
        now = [str(folder) for folder in sources.prepared_folders(services)]
        if now == before or before is None:
            return {listed: gr.skip() if now == before else now}
        choices = recordings_view.sources(sources.prepared(services), form[language])
        offered = gr.update(choices=choices)
        result = actions.prepared_by(services, parts.fields.values(form))
        if result in set(now) - set(before):
            offered["value"] = result
        return {source: offered, listed: now}

    settings = {*parts.fields.parts, language, listed}
    parts.clock.tick(look, settings, [source, listed], **AT_ONCE)


def _files(parts: Page, services: Services, language: gr.Radio) -> None:
    """The settings go into a file that the browser saves, and come back from one."""
    fields = parts.fields
    settings = {*fields.parts, language}

    @repeats
    def save(form: Update) -> Update:
        try:
            return {
                fields.file: actions.save(services, fields.values(form)),
                fields.file_message: "",
            }
        except Exception as error:
            return {fields.file: "", fields.file_message: view.failed(error, form[language])}

    def load(form: Update) -> Update:
        before, file, chosen = fields.values(form), form[fields.load], form[language]
        try:
            loaded = actions.load(services, file, before)
        except Exception as error:
            return {fields.load: None, fields.file_message: view.failed(error, chosen)}
        finally:
            if file:
                Path(file).unlink(missing_ok=True)  # the page's own copy
        message = render.notice(text("settings_loaded", chosen, name=loaded.name), "wait")
        updates = {fields.by_name[key]: value for key, value in changed(before, loaded).items()}
        return {**updates, fields.load: None, fields.file_message: message}

    saved = fields.save.click(save, settings, [fields.file, fields.file_message], **AT_ONCE)
    saved.then(None, fields.file, None, js=SAVE, **AT_ONCE)
    # an empty button takes a file of the same name again
    outcome = [*fields.by_name.values(), fields.load, fields.file_message]
    fields.load.upload(load, {*settings, fields.load}, outcome, **AT_ONCE)


def changed(values: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """The fields that a plan changes, with their new values."""
    return {key: new for key, new in plan.values().items() if values[key] != new}
