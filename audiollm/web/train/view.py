"""What the Train page shows: words, HTML and curves of jobs and results. No gradio here."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from audiollm.analysis.wording import percent
from audiollm.errors import AudioLLMError
from audiollm.jobs import progress
from audiollm.jobs.job import ACTIVE, IDLE, Job
from audiollm.labels import Language
from audiollm.texts import from_stored, text
from audiollm.web import render
from audiollm.web.auth.access import ShutError
from audiollm.web.label import improve
from audiollm.web.services import Services
from audiollm.web.train import actions, activation, versus
from audiollm.web.train.estimate import gigabytes
from audiollm.web.train.plan import RESULT
from audiollm.web.train.result import detail

LOG = logging.getLogger(__name__)
STEPS = {  # name of a plan's step -> its text
    "prepare": "step_prepare",
    "stage 1": "step_fit1",
    "stage 2": "step_fit2",
    "merge": "step_merge",
    "evaluate": "step_evaluate",
    "relabel": "step_relabel",
    "compare": "step_compare",
    "versus": "step_versus",
}


def explained(error: Exception, language: Language) -> str:
    """One sentence about a failure, in the page's language."""
    if isinstance(error, ShutError):
        return text("refused", language)
    if isinstance(error, AudioLLMError):
        if language == "zh" and not error.zh:
            return text("train_refused", language, sentence=str(error))
        return error.in_language(language)
    LOG.error("the Train page failed", exc_info=error)
    return text("train_bug", language)


def failed(error: Exception, language: Language) -> str:
    """The same as a box."""
    return render.notice(explained(error, language), "error")


# --- jobs


@dataclass(frozen=True)
class View:
    """What is shown of a job, and what may be done with it."""

    detail: str  # HTML: state, bar, failure
    log: str
    stops: bool = False
    ends: bool = False  # now
    resumes: bool = False
    goes: bool = False  # from the list
    result: str = ""  # HTML: the figures of the model it has made
    model: str = ""  # its folder, where it may answer


NOTHING = View("", "")


def line(job: Job, language: Language) -> str:
    """A job in the list."""
    state = text(f"job_{job.state}", language)
    return text("job_line", language, name=job.name, state=state, share=percent(job.share))


def step(job: Job, language: Language) -> str:
    """Which of its steps a job is at."""
    name = job.steps[job.step - 1].name
    said = text(STEPS[name], language) if name in STEPS else name
    return text("job_step", language, n=job.step, all=len(job.steps), step=said)


def failure(job: Job, language: Language) -> str:
    """What went wrong with a job, as a sentence; "" where nothing did."""
    sentence = from_stored(job.failure, language)
    by_command = sentence and sentence == job.failure  # in English only
    return text("train_refused", language, sentence=sentence) if by_command else sentence


def pace(job: Job, language: Language) -> list[str]:
    """How fast the fit that runs is and how much memory it takes; nothing while none runs."""
    run = job.steps[job.step - 1].run
    if job.state not in ACTIVE or run is None:
        return []
    lines = [line for line in progress.lines(run) if line.get("examples_per_second")]
    if not lines:
        return []
    last = lines[-1]
    told = {"speed": f"{last['examples_per_second']:.3g}"}
    told["memory"] = gigabytes(last.get("memory") or 0)
    said = [text("job_speed", language, **told)]
    if last.get("gpu"):
        said.append(text("job_speed_gpu", language, gpu=gigabytes(last["gpu"])))
    return said


def view(services: Services, job: Job, language: Language) -> View:
    """A job as the page shows it.

    Raises:
        ShutError: see `access.opened`.
    """
    name, using = activation.in_use(services)
    said = [text(f"job_{job.state}", language)]
    if job.state != "done":
        said.append(step(job, language))
    if job.seconds_left is not None:
        left = render.duration(job.seconds_left, language)
        said.append(text("job_left", language, left=left))
    said += pace(job, language)
    whole = actions.time_left(services, job)
    if whole is not None and job.step < len(job.steps):  # in the last step it is the same
        said.append(text("job_left_whole", language, left=render.duration(whole, language)))
    words = (" · ").join(escape(part) for part in said)
    bar = f'<progress max="1" value="{job.share:.3f}"></progress>'
    body = f"<p><b>{escape(job.name)}</b> · {words}</p>{bar}"
    wrong = failure(job, language)
    box = render.notice(wrong, "error") if wrong else ""
    made = activation.model_of(job)
    against = versus.of_job(job) if made else None
    answers = made is not None and str(made) == services.using
    # where both were asked about the same recordings, figures on other ones would only mislead
    others = {} if answers or against or not using else {name: using}
    found = "" if made is None else result(job, made, answers, others, language)
    found += versus.html(against, language) if against else ""
    changed = improve.compared(job)
    found += improve.html(changed, language) if changed else ""
    return View(
        f'<div class="job">{body}</div>{box}',
        "\n".join(job.log),
        stops=job.state in ("waiting", "running"),
        ends=job.state in ACTIVE,
        resumes=job.state in IDLE,
        goes=job.state not in ACTIVE,
        result=found,
        model="" if made is None or answers else str(made),
    )


def model(services: Services, id: str | None) -> str:
    """The model folder that a job has made; "" where there is none.

    Raises:
        ShutError: see `access.opened`.
    """
    made = [activation.model_of(job) for job in actions.jobs(services) if job.id == id]
    return str(made[0]) if made and made[0] else ""


def result(
    job: Job,
    made: Path,
    answers: bool,
    others: Mapping[str, Mapping[str, Any]],
    language: Language,
) -> str:
    """The figures of a new model, which `answers` already or does not, and of the one that does."""
    rows = [(made.name, activation.metrics_of(made), answers)]
    rows += [(name, dict(metrics), True) for name, metrics in others.items()]
    heads = (text("result_model", language), "UA", "WA", text("result_data", language))
    head = "".join(f'<th scope="col">{h}</th>' for h in heads)
    body = "".join(_row(*row, language) for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    said = f"<p>{text('result_means', language)}</p>"
    title = render.heading("result_title", language)
    judged = [detail(s.result, language) for s in job.steps if s.result.name == RESULT]
    return f'<div class="cues">{title}{table}{said}{"".join(judged)}</div>'


def _row(name: str, metrics: Mapping[str, Any], answers: bool, language: Language) -> str:
    shown = escape(text("result_in_use", language, name=name) if answers else name)
    data = escape(render.corpora(str(metrics.get("data", "–")), language))
    cells = (_share(metrics, "ua"), _share(metrics, "wa"), data)
    return f'<tr><th scope="row">{shown}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>'


def _share(metrics: Mapping[str, Any], key: str) -> str:
    """`0.62 [0.51, 0.70]`; a dash where it was not measured."""
    try:
        value, low, high = (float(metrics[key][part]) for part in ("value", "low", "high"))
    except (KeyError, TypeError, ValueError):
        return "–"
    return f"{value:.2f} <small>[{low:.2f}, {high:.2f}]</small>"
