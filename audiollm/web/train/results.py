"""The evaluation of a new model on the page: figures, the report, and its wrong answers, which can
be played and sent to Label.

`Results` has the parts, `now` says what is new of them. Nobody names a file: a job and a clip are
named, and the evaluation of the job says where its sound is stored.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from time import time
from typing import Any

import gradio as gr
import numpy as np

from audiollm.analysis.wording import paragraph, percent
from audiollm.contracts.result import (
    REPORT,
    ClipResult,
    EvaluationResult,
    confidences,
    mistakes,
    probability,
)
from audiollm.errors import DataError
from audiollm.jobs.job import Job
from audiollm.labelling import sources as label_sources
from audiollm.labels import Language, title
from audiollm.metrics import figures
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.auth.access import owner_settings
from audiollm.web.events import AT_ONCE, Update, named_parts
from audiollm.web.label.queue import label_store
from audiollm.web.services import Services
from audiollm.web.static import HIDDEN, Static, of_browser, visible
from audiollm.web.train import actions, sources
from audiollm.web.train.view import evaluation_of, failed, result_path

RENEWED = 1800  # s: the copy of a report that was handed out is deleted after KEEP
MOST = 50  # wrong answers that are listed
# how the fields of a part's update are had, and what tells whether they are new
Part = tuple[Callable[[], dict[str, Any]], object]


class Results:
    """What a person sees and touches of a model's evaluation; hidden until there is one."""

    def __init__(self, static: Static) -> None:
        bare: dict[str, Any] = {"show_label": False, "container": False, **HIDDEN}
        with gr.Row(elem_id="judged"):
            self.confusion = gr.Plot(elem_id="confusion", **bare)
            self.reliability = gr.Plot(elem_id="reliability", **bare)
        label: Any = of_browser("report_get")
        self.report = gr.DownloadButton(label, size="sm", elem_id="report-get", **HIDDEN)
        static.place(self.report, "report_get", "label")
        self.summary = gr.HTML(elem_id="wrong-summary", **HIDDEN)  # how many are wrong
        self.wrong = static.labelled(gr.Radio, "wrong_list", **HIDDEN)
        self.about = gr.HTML(elem_id="wrong-about", **HIDDEN)  # the wrong answer that plays
        options: dict[str, Any] = {"interactive": False, "autoplay": True, "buttons": [], **HIDDEN}
        self.sound = static.labelled(gr.Audio, "wrong_sound", **options)
        self.send = static.button("wrong_send", size="sm", **HIDDEN)

        names = ("confusion", "reliability", "report", "summary", "wrong", "sound", "about", "send")
        self.parts: dict[str, Any] = {name: getattr(self, name) for name in names}

    def connect(self, services: Services, jobs: gr.Radio, language: gr.Radio) -> None:
        """A wrong answer is played when it is chosen, and sent when somebody wants it."""
        inputs, player = [jobs, self.wrong, language], [self.sound, self.about, self.send]
        send_on = partial(send_message, services)

        def play(job: str | None, clip: str | None, language: Language) -> Update:
            return named_parts(self.parts, playback(services, job, clip, language))

        self.wrong.input(play, inputs, player, trigger_mode="always_last", **AT_ONCE)
        self.send.click(send_on, inputs, self.about, **AT_ONCE)


# --- an evaluation


def sound(
    services: Services, job: str | None, clip: str | None
) -> tuple[ClipResult, tuple[int, np.ndarray]]:
    """A wrongly answered clip, its sample rate in Hz and its int16 samples [N].

    Raises:
        ShutError: see `access.owner_settings`.
        DataError: the job or its evaluation is gone, the clip is not among its wrong answers, or
            its sound is gone.
        AudioError: it cannot be decoded.
    """
    settings = owner_settings(services)
    _, evaluation, one = _mistake(services, job, clip)
    folder = Path(evaluation["data"]["folder"])
    return one, sources.load(settings, folder, one["path"], one["id"])


def send(services: Services, job: str | None, clip: str | None) -> bool:
    """Puts a clip into the queue of the Label page; False where it is there already.

    Raises:
        ShutError: see `access.owner_settings`.
        DataError: the clip is not among the wrong answers of the job, or its sound is no file.
        LabelError: it cannot be stored.
    """
    owner_settings(services)
    path, _, one = _mistake(services, job, clip)
    tasks = [t for t in label_sources.from_evaluation(path, share=0.0).tasks if t.id == one["id"]]
    if not tasks:
        raise DataError("wrong_no_file")
    return label_store(services).add_tasks(tasks) > 0


def report(services: Services, job: str, name: str) -> str:
    """The path of a copy of the job's whole report, which the page may hand out.

    Raises:
        ShutError: see `access.owner_settings`.
        DataError: there is none, or it cannot be copied.
    """
    owner_settings(services)
    path, _ = _evaluation(services, job)
    if not path.with_name(REPORT).is_file():
        raise DataError("wrong_gone")
    safe = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name)
    try:
        copy = Path(tempfile.mkdtemp(prefix="audiollm-report-")) / f"{safe}-{REPORT}"
        shutil.copyfile(path.with_name(REPORT), copy)
        os.utime(copy)
    except OSError as error:
        raise DataError("report_not_copied", error=error) from error
    return str(copy)


def _evaluation(services: Services, job: str | None) -> tuple[Path, EvaluationResult]:
    for each in actions.jobs(services):
        path, evaluation = result_path(each), evaluation_of(each)
        if each.id == job and path and evaluation:
            return path, evaluation
    raise DataError("wrong_gone")


def _mistake(
    services: Services, job: str | None, clip: str | None
) -> tuple[Path, EvaluationResult, ClipResult]:
    path, evaluation = _evaluation(services, job)
    one = next((one for one in mistakes(evaluation["clips"]) if one["id"] == clip), None)
    if one is None:
        raise DataError("wrong_gone")
    return path, evaluation, one


# --- as shown


def now(services: Services, job: Job | None, language: Language) -> dict[str, Part]:
    """What is to be shown of a job's evaluation, by the names of `Results.parts`; {} without
    one."""
    path, evaluation = (result_path(job), evaluation_of(job)) if job else (None, None)
    if job is None or path is None or evaluation is None:
        return {}
    metrics, claims = evaluation["metrics"], confidences(evaluation["clips"])
    wrong, there = mistakes(evaluation["clips"]), path.with_name(REPORT).is_file()
    mark = (job.id, str(path), path.stat().st_mtime_ns, language)
    titles = [text(f"judged_{name}", language) for name in ("confusion", "reliability")]

    def copied() -> dict[str, Any]:
        value = report(services, job.id, job.name) if there else None
        return {"value": value, "visible": visible(there)}

    choices = [(line(one, language), one["id"]) for one in wrong[:MOST]]
    listed = {"choices": choices, "value": None, "visible": visible(bool(wrong))}
    return {
        "confusion": (lambda: _visible(figures.confusion(metrics, language, titles[0])), mark),
        "reliability": (
            lambda: _visible(figures.reliability(metrics, claims, language, titles[1])),
            mark,
        ),
        "report": (copied, (mark, int(time() // RENEWED))),
        "summary": _part(_visible(_summary(len(wrong), int(metrics["n"]), language)), mark),
        "wrong": _part(listed, mark),
        # what played belonged to another job
        "sound": _part({"value": None, **HIDDEN}, mark),
        "about": _part({"value": "", **HIDDEN}, mark),
        "send": _part(HIDDEN, mark),
    }


def _summary(wrong: int, whole: int, language: Language) -> str:
    lines = [text("wrong_many" if wrong else "wrong_none", language, wrong=wrong, all=whole)]
    if wrong > MOST:
        lines.append(text("wrong_first", language, n=MOST))
    body = f"{render.heading('wrong_title', language)}<p>{paragraph(lines, language)}</p>"
    return f'<div class="data">{body}</div>'


def line(one: ClipResult, language: Language) -> str:
    """A wrong answer in the list: label, answer, its probability, speaker."""
    answer = one["predicted"]
    return text(
        "wrong_line",
        language,
        label=title(one["label"], language),
        answer=title(answer, language) if answer else text("wrong_silent", language),
        share=percent(probability(one, answer)),
        speaker=one["speaker"] or "?",
    )


def playback(
    services: Services, job: str | None, clip: str | None, language: Language
) -> dict[str, Any]:
    """A wrong answer to play, what it is, and the button that sends it, by name."""
    try:
        one, samples = sound(services, job, clip)
    except Exception as error:
        about = gr.update(value=failed(error, language), visible=True)
        hidden = gr.update(**HIDDEN)
        return {"sound": gr.update(value=None, **HIDDEN), "about": about, "send": hidden}
    answer = one["predicted"]
    words = {
        "label": f"<b>{escape(title(one['label'], language))}</b>",
        "answer": f"<b>{escape(title(answer, language) if answer else '–')}</b>",
        "own": percent(probability(one, one["label"])),
        "share": percent(probability(one, answer)),
        "file": f"<small>{escape(Path(one['path']).name)}</small>",
    }
    about = gr.update(value=f"<p>{text('wrong_about', language, **words)}</p>", visible=True)
    return {
        "sound": gr.update(value=samples, visible=True),
        "about": about,
        "send": gr.update(visible=visible(bool(answer))),
    }


def send_message(services: Services, job: str | None, clip: str | None, language: Language) -> str:
    """What became of a clip that was sent to Label."""
    try:
        new = send(services, job, clip)
    except Exception as error:
        return failed(error, language)
    return render.notice(text("wrong_sent" if new else "wrong_known", language), "wait")


def _part(update: dict[str, Any], mark: object) -> Part:
    return lambda: update, mark


def _visible(value: Any) -> dict[str, Any]:
    return {"value": value, "visible": True}
