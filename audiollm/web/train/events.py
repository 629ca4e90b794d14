"""The events of the Train page's jobs, and a clock that looks at them.

Nothing trains inside an event: jobs run in processes of their own, and what is shown is read from
their files, so a page that is opened again shows the same.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from audiollm.jobs.job import ACTIVE
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.events import AT_ONCE, Update, ask_first
from audiollm.web.services import Services
from audiollm.web.static import HIDDEN, visible
from audiollm.web.train import actions, activation, curves, planning, results, view
from audiollm.web.train.actions import Act
from audiollm.web.train.activation import WorseError
from audiollm.web.train.page import Page
from audiollm.web.train.results import Part
from audiollm.web.train.view import NOTHING

SAME = "value => value"
# The log shows its end, unless somebody has scrolled up
FOLLOW = """() => setTimeout(() => {
  const log = document.querySelector("#job-log textarea");
  if (!log) return;
  const end = Math.min(log.dataset.end ?? 0, log.scrollHeight);
  if (log.scrollTop + log.clientHeight > end - 40) log.scrollTop = log.scrollHeight;  // px
  log.dataset.end = log.scrollHeight;
}, 50)"""
NO_PART: Part = (lambda: HIDDEN, None)  # of an evaluation that is not there


def connect(
    parts: Page | None,
    services: Services,
    language: gr.Radio,
    arrived: Any,
    loading: gr.Timer,
) -> None:
    """`arrived` is the event that knows the visitor's language; `loading` is the clock that looks
    whether the model is loaded."""
    if parts is None:
        return
    look = partial(updates, parts, services, language)
    watched: set[Any] = {parts.jobs, parts.overlay, parts.seen, language}
    shown = [parts.jobs, parts.overlay, parts.detail, parts.result, parts.curves, parts.log]
    buttons = [parts.stop, parts.kill, parts.resume, parts.remove, parts.activate, parts.restore]
    outcome = [*shown, parts.running, *buttons, *parts.results.parts.values(), parts.seen]

    def looks(event: Any) -> None:
        event.then(look, watched, outcome, **AT_ONCE)

    looks(arrived)
    # what was sent before the tab was opened may be lost: all of it again
    looks(parts.tab.select(lambda: {}, None, parts.seen, **AT_ONCE))
    for event in planning.connect(parts, services, language):
        looks(event)
    parts.clock.tick(look, watched, outcome, **AT_ONCE)
    parts.overlay.input(look, watched, outcome, **AT_ONCE)
    parts.log.change(None, js=FOLLOW, **AT_ONCE)
    parts.results.connect(services, parts.jobs, language)
    nothing = [parts.job_message, parts.anyway]  # the message belonged to the job before
    looks(parts.jobs.input(lambda: ["", gr.update(**HIDDEN)], None, nothing, **AT_ONCE))
    # the message was in the other language
    looks(language.change(lambda: "", None, parts.job_message, **AT_ONCE))
    # in this browser; not in the tab: what stands there is not read before the tab is opened
    remembered = gr.BrowserState(False, storage_key="audiollm-sound", secret="audiollm")  # noqa: S106
    # without the program: its answer could undo a tick made meanwhile
    parts.tab.select(None, remembered, parts.sound, js=SAME, **AT_ONCE)
    parts.sound.input(None, parts.sound, remembered, js=SAME, **AT_ONCE)

    def acts(what: Act) -> Callable[..., str]:
        def act(id: str | None, chosen: Language) -> str:
            try:
                if id:
                    actions.act(services, id, what)
            except Exception as error:
                return view.failed(error, chosen)
            return ""

        return act

    def switches(to: Callable[[str | None], str]) -> Callable[..., Update]:
        def switch(id: str | None, chosen: Language) -> Update:
            try:
                name = Path(to(id)).name
            except Exception as error:
                worse = gr.update(visible=visible(isinstance(error, WorseError)))
                return {parts.job_message: view.failed(error, chosen), parts.anyway: worse}
            message = render.notice(text("promoted", chosen, name=name), "wait")
            loads = {parts.anyway: gr.update(**HIDDEN), loading: gr.Timer(active=True)}
            return {parts.job_message: message, **loads}

        return switch

    def activate(id: str | None, anyway: bool = False) -> str:
        return activation.activate(services, view.model(services, id), anyway=anyway)

    steers: dict[Any, Act] = {
        parts.stop: "stop",
        parts.kill: "kill",
        parts.resume: "resume",
        parts.remove: "remove",
    }
    for button, what in steers.items():
        js = ask_first(f"job_{what}_sure") if what != "resume" else None
        looks(button.click(acts(what), [parts.jobs, language], parts.job_message, js=js, **AT_ONCE))
    models: dict[Any, Callable[[str | None], str]] = {
        parts.activate: activate,
        parts.anyway: partial(activate, anyway=True),
        parts.restore: lambda _: activation.restore(services),
    }
    for button, to in models.items():
        moved = [parts.job_message, parts.anyway, loading]
        looks(button.click(switches(to), [parts.jobs, language], moved, **AT_ONCE))


def updates(parts: Page, services: Services, language: gr.Radio, form: Update) -> Update:
    """A look at the jobs: what is new since the last one."""
    seen, chosen = form[parts.seen], form[language]
    try:
        now = _now(parts, services, form[parts.jobs], form[parts.overlay] or [], chosen)
    except Exception as error:
        now = {parts.detail: _part(value=view.failed(error, chosen))}
    marks = {str(part.elem_id): repr(mark) for part, (_, mark) in now.items()}
    fresh = {
        part: gr.update(**values())
        for part, (values, _) in now.items()
        if seen.get(str(part.elem_id)) != marks[str(part.elem_id)]
    }
    return {**fresh, parts.seen: marks}


def _now(
    parts: Page, services: Services, id: str | None, overlay: list[str], chosen: Language
) -> dict[Any, Part]:
    jobs = actions.jobs(services)
    job = next((job for job in jobs if job.id == id), jobs[0] if jobs else None)
    shown = NOTHING if job is None else view.view(services, job, chosen)
    listed: dict[str, Any] = {
        "choices": [(view.line(each, chosen), each.id) for each in jobs],
        "visible": visible(bool(jobs)),
    }
    if job is None or job.id != id:  # else a choice that is made meanwhile stays
        listed["value"] = job.id if job else None
    others = [(each.name, each.id) for each in jobs if each is not job]
    laid = [id for id in overlay if any(id == other for _, other in others)]
    plotted = [each for each in jobs if each is job or each.id in laid]
    points = [(each.id, curves.points(each)) for each in plotted]
    running = " ".join(each.id for each in jobs if each.state in ACTIVE)

    def figure() -> dict[str, Any]:
        drawable = any(sum(counts) for _, counts in points)
        return {"value": curves.curves(plotted, chosen), "visible": visible(drawable)}

    evaluation = results.now(services, job, chosen)
    buttons = {
        parts.stop: shown.stops,
        parts.kill: shown.ends,
        parts.resume: shown.resumes,
        parts.remove: shown.goes,
        parts.activate: bool(shown.model),
        parts.restore: activation.can_restore(services),
    }
    return {
        parts.jobs: _part(**listed),
        parts.overlay: _part(choices=others, value=laid, visible=visible(bool(others))),
        parts.detail: _part(value=shown.detail or f"<p>{text('jobs_none', chosen)}</p>"),
        parts.result: _part(value=shown.result),
        parts.curves: (figure, (points, chosen)),
        parts.log: _part(value=shown.log, visible=visible(job is not None)),
        parts.running: _part(value=f'<i data-running="{running}"></i>'),
        **{button: _part(visible=visible(on)) for button, on in buttons.items()},
        **{part: evaluation.get(name, NO_PART) for name, part in parts.results.parts.items()},
    }


def _part(**values: Any) -> Part:
    return lambda: values, values
