"""What moves the jobs of the Train page, and a clock that looks at them.

Nothing trains inside an event: jobs run in processes of their own, and what is shown is read from
their files, so a page that is opened again shows the same.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from audiollm.jobs.job import ACTIVE
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.quiet import AT_ONCE
from audiollm.web.services import Services
from audiollm.web.train import actions, after, curves, planning, view
from audiollm.web.train.actions import WorseError
from audiollm.web.train.after import Part
from audiollm.web.train.page import Parts
from audiollm.web.train.view import NOTHING

SAME = "value => value"


def connect(
    parts: Parts | None,
    services: Services,
    language: gr.Radio,
    arrived: Any,
    loading: gr.Timer,
) -> None:
    """`arrived` is the event that knows the visitor's language; `loading` is the clock that looks
    whether the model is there."""
    if parts is None:
        return
    look, watched = Look(parts, services).updates, [parts.jobs, parts.overlay, parts.seen, language]

    def looks(event: Any) -> None:
        event.then(look, watched, parts.looked, **AT_ONCE)

    looks(arrived)
    # what was sent before the tab was opened may be lost: all of it again
    looks(parts.tab.select(lambda: {}, None, parts.seen, **AT_ONCE))
    for event in planning.connect(parts, services, language):
        looks(event)
    parts.clock.tick(look, watched, parts.looked, **AT_ONCE)
    parts.overlay.input(look, watched, parts.looked, **AT_ONCE)
    after.connect(parts.after, services, parts.jobs, language)
    nothing = [parts.said, parts.anyway]  # what was said belonged to the job before
    looks(parts.jobs.input(lambda: ["", gr.update(visible="hidden")], None, nothing, **AT_ONCE))
    # it was said in the other language
    looks(language.change(lambda: "", None, parts.said, **AT_ONCE))
    for button, what in (
        (parts.stop, actions.stop),
        (parts.kill, actions.kill),
        (parts.resume, actions.resume),
        (parts.remove, actions.remove),
    ):
        acts = _acts(services, what)
        looks(button.click(acts, [parts.jobs, language], parts.said, **AT_ONCE))
    # in this browser; not in the tab, what stands there is not read before the tab is opened
    wanted = gr.BrowserState(False, storage_key="audiollm-sound", secret="audiollm")  # noqa: S106
    # without the program: what came back from there could undo a tick made meanwhile
    parts.tab.select(None, wanted, parts.sound, js=SAME, **AT_ONCE)
    parts.sound.input(None, parts.sound, wanted, js=SAME, **AT_ONCE)
    outcome = [parts.said, parts.anyway, loading]
    for button, anyway in ((parts.promote, False), (parts.anyway, True)):
        promotes = _promotes(services, anyway)
        looks(button.click(promotes, [parts.jobs, language], outcome, **AT_ONCE))
    looks(parts.back.click(_rolls_back(services), language, outcome, **AT_ONCE))


def _acts(services: Services, what: Callable[[Services, str], None]) -> Callable[..., str]:
    def act(id: str | None, chosen: Language) -> str:
        try:
            if id:
                what(services, id)
        except Exception as error:
            return view.failed(error, chosen)
        return ""

    return act


def _promotes(services: Services, anyway: bool) -> Callable[..., list[Any]]:
    def promote(id: str | None, chosen: Language) -> list[Any]:
        try:
            name = actions.promote(services, view.model(services, id), anyway=anyway)
        except Exception as error:
            asks = gr.update(visible=True if isinstance(error, WorseError) else "hidden")
            return [view.failed(error, chosen), asks, gr.skip()]
        return _loads(name, chosen)

    return promote


def _rolls_back(services: Services) -> Callable[..., list[Any]]:
    def back(chosen: Language) -> list[Any]:
        try:
            return _loads(actions.roll_back(services), chosen)
        except Exception as error:
            return [view.failed(error, chosen), gr.skip(), gr.skip()]

    return back


def _loads(name: str, chosen: Language) -> list[Any]:
    said = render.notice(text("promoted", chosen, name=Path(name).name), "wait")
    return [said, gr.update(visible="hidden"), gr.Timer(active=True)]


class Look:
    """A look at the jobs: what is new since the last one, for `Parts.looked`."""

    def __init__(self, parts: Parts, services: Services) -> None:
        self.names = [str(part.elem_id) for part in parts.looked[:-1]]
        self.services = services

    def updates(
        self, id: str | None, overlay: list[str] | None, seen: dict[str, str], chosen: Language
    ) -> list[Any]:
        try:
            now = self._now(id, overlay or [], chosen)
        except Exception as error:
            box = view.failed(error, chosen)
            now = [(dict, None)] * len(self.names)
            now[self.names.index("job-detail")] = (lambda: {"value": box}, box)
        marks = {name: repr(mark) for name, (_, mark) in zip(self.names, now, strict=True)}
        fresh = [
            gr.skip() if seen.get(name) == marks[name] else gr.update(**fields())
            for name, (fields, _) in zip(self.names, now, strict=True)
        ]
        return [*fresh, marks]

    def _now(self, id: str | None, overlay: list[str], chosen: Language) -> list[Part]:
        found = actions.jobs(self.services)
        job = next((job for job in found if job.id == id), found[0] if found else None)
        shown = NOTHING if job is None else view.view(self.services, job, chosen)
        listed: dict[str, Any] = {
            "choices": [(view.line(each, chosen), each.id) for each in found],
            "visible": _seen(bool(found)),
        }
        if job is None or job.id != id:  # else a choice that is made meanwhile stays
            listed["value"] = job.id if job else None
        others = [(each.name, each.id) for each in found if each is not job]
        laid = [id for id in overlay if any(id == known for _, known in others)]
        over = {"choices": others, "value": laid, "visible": _seen(bool(others))}
        drawn = [each for each in found if each is job or each.id in laid]
        points = [(each.id, curves.points(each)) for each in drawn]
        body = shown.detail or f"<p>{text('jobs_none', chosen)}</p>"

        def figure() -> dict[str, Any]:
            drawable = any(sum(counts) for _, counts in points)
            return {"value": curves.curves(drawn, chosen), "visible": _seen(drawable)}

        parts = [{"value": body}, {"value": shown.result}]
        log = {"value": shown.log, "visible": _seen(job is not None)}
        running = " ".join(each.id for each in found if each.state in ACTIVE)
        able = (shown.stops, shown.ends, shown.resumes, shown.goes, bool(shown.model))
        buttons = [*able, actions.can_roll_back(self.services)]
        return [
            _part(listed),
            _part(over),
            *map(_part, parts),
            (figure, (points, chosen)),
            _part(log),
            _part({"value": f'<i data-running="{running}"></i>'}),
            *(_part({"visible": _seen(on)}) for on in buttons),
            *after.now(self.services, job, chosen),
        ]


def _part(fields: dict[str, Any]) -> Part:
    return lambda: fields, fields


def _seen(on: bool) -> bool | str:
    return True if on else "hidden"
