"""What came of a training, on the page: pictures, the report, and what the model gets wrong.

`lay_out` places the parts, `now` says what is new of them, `connect` moves them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from time import time
from typing import Any, Literal

import gradio as gr

from audiollm.analysis.wording import paragraph, percent
from audiollm.jobs.job import Job
from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.events import AT_ONCE
from audiollm.web.services import Services
from audiollm.web.static import Static, of_browser
from audiollm.web.train import judged, mistakes, tested
from audiollm.web.train.tested import Tested
from audiollm.web.train.view import failed

RENEWED = 1800  # s: the copy of a report that was handed out is deleted after KEEP
# how the fields of a part's update are had, and what tells whether they are new
Part = tuple[Callable[[], dict[str, Any]], object]


@dataclass(frozen=True, eq=False)
class After:
    """What a person sees and touches of a model's test."""

    confusion: gr.Plot
    reliability: gr.Plot
    report: gr.DownloadButton
    said: gr.HTML  # how many are wrong
    wrong: gr.Radio
    sound: gr.Audio
    told: gr.HTML
    send: gr.Button

    @property
    def looked(self) -> list[Any]:
        """In the order of `now`."""
        pictures = [self.confusion, self.reliability, self.report]
        return [*pictures, self.said, self.wrong, self.sound, self.told, self.send]

    @property
    def heard(self) -> list[Any]:
        """In the order of `played`."""
        return [self.sound, self.told, self.send]


def lay_out(static: Static) -> After:
    """All of it, hidden until there is a test."""
    hidden: dict[str, Any] = {"visible": "hidden"}
    bare: dict[str, Any] = {"show_label": False, "container": False, **hidden}
    with gr.Row(elem_id="judged"):
        confusion = gr.Plot(elem_id="confusion", **bare)
        reliability = gr.Plot(elem_id="reliability", **bare)
    label: Any = of_browser("report_get")
    report = gr.DownloadButton(label, size="sm", elem_id="report-get", **hidden)
    static.place(report, "report_get", "label")
    said = gr.HTML(elem_id="wrong-said", **hidden)
    wrong = static.labelled(gr.Radio, "wrong_list", elem_id="wrong-list", **hidden)
    told = gr.HTML(elem_id="wrong-told", **hidden)
    sound = static.labelled(
        gr.Audio,
        "wrong_sound",
        interactive=False,
        autoplay=True,
        buttons=[],
        elem_id="wrong-sound",
        **hidden,
    )
    send = static.button("wrong_send", size="sm", elem_id="wrong-send", **hidden)
    return After(confusion, reliability, report, said, wrong, sound, told, send)


def connect(parts: After, services: Services, jobs: gr.Radio, language: gr.Radio) -> None:
    """A mistake is heard when it is chosen, and sent when somebody wants it."""
    chosen = [jobs, parts.wrong, language]

    def play(job: str | None, clip: str | None, spoken: Language) -> list[Any]:
        return played(services, job or "", clip or "", spoken)

    def send(job: str | None, clip: str | None, spoken: Language) -> Any:
        return sent(services, job or "", clip or "", spoken)

    parts.wrong.input(play, chosen, parts.heard, trigger_mode="always_last", **AT_ONCE)
    parts.send.click(send, chosen, parts.told, **AT_ONCE)


def now(services: Services, job: Job | None, language: Language) -> list[Part]:
    """What is to be shown of a job's test, in the order of `After.looked`."""
    found = tested.of_job(job) if job else None
    mark = (job.id, str(found.place), len(found.claims), language) if job and found else None
    quiet = _part({"value": None, "visible": "hidden"}, mark)  # what was heard belonged to another
    silent = [quiet, _part({"value": "", "visible": "hidden"}, mark)]
    if job is None or found is None:
        hidden = _part({"visible": "hidden"}, mark)
        return [*[hidden] * 3, _part(said(None, language), mark), hidden, *silent, hidden]

    def drawn(picture: Callable[[Tested, Language], Any]) -> Part:
        return lambda: {"value": picture(found, language), "visible": True}, mark

    def copied() -> dict[str, Any]:
        shown = found.report is not None
        value = mistakes.report(services, job.id, job.name) if shown else None
        return {"value": value, "visible": _seen(shown)}

    wrong = mistakes.listed(found, language)
    return [
        drawn(judged.confusion),
        drawn(judged.reliability),
        (copied, (mark, int(time() // RENEWED))),
        _part(said(found, language), mark),
        _part({"choices": wrong, "value": None, "visible": _seen(bool(wrong))}, mark),
        *silent,
        _part({"visible": "hidden"}, mark),
    ]


def said(found: Tested | None, language: Language) -> dict[str, Any]:
    """How many answers are wrong, above their list."""
    if found is None:
        return {"value": "", "visible": "hidden"}
    wrong, whole = len(found.wrong), int(found.metrics["n"])
    lines = [text("wrong_many" if wrong else "wrong_none", language, wrong=wrong, all=whole)]
    if wrong > mistakes.MOST:
        lines.append(text("wrong_first", language, n=mistakes.MOST))
    told = paragraph(lines, language)
    body = f"{render.heading('wrong_title', language)}<p>{told}</p>"
    return {"value": f'<div class="data">{body}</div>', "visible": True}


def played(services: Services, job: str, clip: str, language: Language) -> list[Any]:
    """A mistake to hear, what it is, and the button that sends it; in the order of `heard`."""
    try:
        one, sound = mistakes.sound(services, job, clip)
    except Exception as error:
        told = gr.update(value=failed(error, language), visible=True)
        return [gr.update(value=None, visible="hidden"), told, gr.update(visible="hidden")]
    words = {
        "label": f"<b>{escape(word(one.label, language))}</b>",
        "answer": f"<b>{escape(word(one.answer, language) if one.answer else '–')}</b>",
        "own": percent(one.own),
        "share": percent(one.share),
        "file": f"<small>{escape(Path(one.path).name)}</small>",
    }
    told = gr.update(value=f"<p>{text('wrong_told', language, **words)}</p>", visible=True)
    return [gr.update(value=sound, visible=True), told, gr.update(visible=_seen(bool(one.answer)))]


def sent(services: Services, job: str, clip: str, language: Language) -> str:
    """What became of a clip that was sent to Label."""
    try:
        new = mistakes.send(services, job, clip)
    except Exception as error:
        return failed(error, language)
    return render.notice(text("wrong_sent" if new else "wrong_known", language), "wait")


def _part(fields: dict[str, Any], mark: object) -> Part:
    return lambda: fields, mark


def _seen(on: bool) -> Literal[True, "hidden"]:
    return True if on else "hidden"
