"""What the Train page shows: words, HTML and curves of jobs and results. No gradio here."""

from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

from audiollm.analysis.wording import percent
from audiollm.contracts.comparison import COMPARED, VERSUS, Comparison, read_comparison
from audiollm.contracts.messages import Message
from audiollm.contracts.result import RESULT, EvaluationResult, read_result
from audiollm.errors import DataError
from audiollm.jobs import progress
from audiollm.jobs.job import ACTIVE, IDLE, Job
from audiollm.labels import Language
from audiollm.texts import from_stored, text
from audiollm.web import render
from audiollm.web.services import Services
from audiollm.web.train import actions, activation, results_view
from audiollm.web.train.estimate import gigabytes

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
    return render.explained(error, language, "train_bug")


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
    name_shown = text(STEPS[name], language) if name in STEPS else name
    return text("job_step", language, n=job.step, all=len(job.steps), step=name_shown)


def failure(job: Job, language: Language) -> str:
    """What went wrong with a job, as a sentence; "" where nothing did."""
    if refusal := Message.refusal(job.failure):
        sentence, by_command = refusal.in_language(language), not refusal.code
    else:
        sentence = from_stored(job.failure, language)
        by_command = bool(sentence) and sentence == job.failure  # in English only
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
    speed = f"{last['examples_per_second']:.3g}"
    parts = [text("job_speed", language, speed=speed, memory=gigabytes(last.get("memory") or 0))]
    if last.get("gpu"):
        parts.append(text("job_speed_gpu", language, gpu=gigabytes(last["gpu"])))
    return parts


def view(services: Services, job: Job, language: Language) -> View:
    """A job as the page shows it.

    Raises:
        ShutError: see `access.owner_settings`.
    """
    name, using = activation.in_use(services)
    parts = [text(f"job_{job.state}", language)]
    if job.state != "done":
        parts.append(step(job, language))
    if job.seconds_left is not None:
        left = render.duration(job.seconds_left, language)
        parts.append(text("job_left", language, left=left))
    parts += pace(job, language)
    whole = actions.time_left(services, job)
    if whole is not None and job.step < len(job.steps):  # in the last step it is the same
        parts.append(text("job_left_whole", language, left=render.duration(whole, language)))
    words = (" · ").join(escape(part) for part in parts)
    bar = f'<progress max="1" value="{job.share:.3f}"></progress>'
    body = f"<p><b>{escape(job.name)}</b> · {words}</p>{bar}"
    wrong = failure(job, language)
    box = render.notice(wrong, "error") if wrong else ""
    model = activation.model_of(job)
    is_active = model is not None and str(model) == services.active
    results = ""
    if model is not None:
        versus = comparison_of(job, VERSUS)
        rows = [(model.name, activation.metrics_of(model), is_active)]
        # figures on other recordings would only mislead where both models have scored the same
        if using and not is_active and not versus:
            rows.append((name, using, True))
        results = results_view.headline(rows, evaluation_of(job), language)
        results += results_view.with_active(versus, language) if versus else ""
    learned = comparison_of(job, COMPARED)
    results += results_view.improvement(learned, language) if learned else ""
    return View(
        f'<div class="job">{body}</div>{box}',
        "\n".join(job.log),
        stops=job.state in ("waiting", "running"),
        ends=job.state in ACTIVE,
        resumes=job.state in IDLE,
        goes=job.state not in ACTIVE,
        result=results,
        model="" if model is None or is_active else str(model),
    )


def result_path(job: Job) -> Path | None:
    """The evaluation of a job that is done."""
    paths = [step.result for step in job.steps if step.result.name == RESULT]
    return paths[0] if job.state == "done" and paths else None


def evaluation_of(job: Job) -> EvaluationResult | None:
    """The evaluation of a job that is done; None where there is none, or it is damaged."""
    path = result_path(job)
    try:
        return _evaluation(path, path.stat().st_mtime_ns) if path else None
    except (DataError, OSError):
        return None


@lru_cache(maxsize=8)
def _evaluation(path: Path, _: int) -> EvaluationResult:
    return read_result(path)


def comparison_of(job: Job, name: str) -> Comparison | None:
    """The comparison of a job in the file VERSUS or COMPARED; None where there is none, or not
    yet."""
    paths = [step.result for step in job.steps if step.result.name == name]
    return read_comparison(paths[0]) if paths else None


def model(services: Services, id: str | None) -> str:
    """The model folder that a job has made; "" where there is none.

    Raises:
        ShutError: see `access.owner_settings`.
    """
    folders = [activation.model_of(job) for job in actions.jobs(services) if job.id == id]
    return str(folders[0]) if folders and folders[0] else ""
