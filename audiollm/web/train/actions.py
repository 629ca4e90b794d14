"""What the Train page does, as plain functions: a plan, jobs, a new model. No gradio here.

All of it belongs to whoever sits at the machine: every function that takes `services` refuses
everybody else. Nothing is trained here; `audiollm.jobs` runs the commands.
"""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiollm.analysis.wording import paragraph
from audiollm.contracts.manifest import MANIFEST_NAME, Manifest, read_json
from audiollm.errors import AudioLLMError, ConfigError, ModelError
from audiollm.jobs.job import ACTIVE, Job
from audiollm.jobs.queue import ROOT, Jobs
from audiollm.labels import Language
from audiollm.model import registry
from audiollm.texts import text
from audiollm.web.auth.access import opened
from audiollm.web.said import SaidError
from audiollm.web.services import Services
from audiollm.web.train import estimate, form, prepared, proposal, versus
from audiollm.web.train.form import Form
from audiollm.web.train.plan import Plan
from audiollm.web.train.sources import EMODB, FOLDER, HUB
from audiollm.web.train.versus import Change


class WorseError(AudioLLMError):
    """A model that shall answer is worse than the one that does, or was not tested."""

    def __init__(
        self, name: str, new: float | None, old: float, change: Change | None = None
    ) -> None:
        """`change`: where both were asked about the same clips."""
        self.change = change

        def said(language: Language) -> str:
            if change is not None:
                return worse(name, change, language)
            if new is None:
                return _asking([text("promote_unmeasured", language, name=name)], language)
            told = {"new": f"{new:.2f}", "old": f"{old:.2f}"}
            return _asking([text("promote_worse", language, name=name, **told)], language)

        super().__init__(said("en"), said("zh"))


def worse(name: str, change: Change, language: Language) -> str:
    """That a model is worse on the very clips that the other was asked about."""
    told = {"new": f"{change.after:.2f}", "old": f"{change.before:.2f}", "clips": change.clips}
    told |= {"low": f"{change.low:+.2f}", "high": f"{change.high:+.2f}"}
    said = [text("promote_worse_same", language, name=name, **told)]
    if change.chance:
        said.append(text("promote_chance", language))
    if not change.fair:
        said.append(text("promote_unfair", language))
    return _asking(said, language)


def _asking(said: Sequence[str], language: Language) -> str:
    """These sentences, and what to press for a second yes."""
    return paragraph((*said, text("promote_again", language)), language)


# --- a plan


def compared(services: Services, plan: Plan) -> Plan:
    """The plan with a comparison with the model in use at its end.

    Raises:
        ShutError: see `opened`.
    """
    opened(services)
    return plan if plan.rival or not services.using else replace(plan, rival=services.using)


def commands(services: Services, plan: Plan) -> str:
    """What a person would type for the same, as text to copy.

    Raises:
        ShutError: see `opened`.
    """
    home, plan = opened(services).home.resolve(), compared(services, plan)
    lines = [
        shlex.join(["cd", str(ROOT)]),
        f"export {shlex.join([f'AUDIOLLM_HOME={home}', f'AUDIOLLM_DEVICE={plan.device}'])}",
        *(shlex.join([sys.executable, "-m", *step.words]) for step in plan.steps_in(home)),
    ]
    return "\n".join(lines)


def proposed(
    services: Services, form: Form, factor: float, language: Language
) -> tuple[dict[str, Any], str]:
    """Settings that fit what the fields say, with `factor` times the usual passes, a name that is
    free and the best device; and a sentence that says what they rest on.

    Raises:
        ShutError: see `opened`.
    """
    opened(services)
    try:
        sides = estimate.sides_of(services, form.plan())
    except AudioLLMError:  # not yet what a plan can be made of
        sides = None
    clips = sides.train if sides else None
    known = devices(services)
    device = form.device if form.device in known else known[0]
    found = proposal.proposed(clips, form.llm, device, factor)
    found |= {"name": free_name(services), "device": known[0]}
    key = f"fits_{proposal.size(clips)}" if clips else "fits_unknown"
    return found, f"<p>{text(key, language, n=round(clips or 0))}</p>"


def save(services: Services, values: Sequence[Any]) -> str:
    """The settings as they stand on the page, as the text of a file.

    Raises:
        ShutError: see `opened`.
        ConfigError: they make no plan.
    """
    opened(services)
    return form.written(values)


def load(services: Services, file: str | Path | None, values: Sequence[Any]) -> Form:
    """The settings of a file, under a name that is free; what it does not name stays as it is.

    Raises:
        ShutError: see `opened`.
        SaidError: it is no file of settings, or something in it is not known here.
        ConfigError: a value cannot be used; the message holds it.
    """
    opened(services)
    try:
        with Path(file or "").open("rb") as opened_file:
            raw = opened_file.read(form.LARGEST + 1)
    except OSError:
        raise SaidError("settings_broken") from None
    found = form.read(raw, values)
    here = (EMODB, FOLDER, HUB, *map(str, prepared.prepared_folders(services)))
    if found.source not in here:
        raise SaidError("settings_source", value=found.source)
    return replace(found, name=free_name(services, found.name))


def free_name(services: Services, wanted: str = "my-model") -> str:
    """A name that no model, run or waiting job has.

    Raises:
        ShutError: see `opened`.
    """
    opened(services)
    name, number = wanted, 1
    while _taken(services, name):
        number += 1
        name = f"{wanted}-{number}"
    return name


def _taken(services: Services, name: str) -> str:
    """What has the name already; "" where it is free."""
    home = services.settings.home.resolve()
    runs = [home / "runs" / f"{name}-{part}" for part in ("stage1", "stage2", "evaluate")]
    for path in (home / "models" / name, *runs):
        if path.exists():
            return str(path)
    model = home / "models" / name / MANIFEST_NAME
    made = (step.result for job in jobs(services) for step in job.steps)
    return "a training in the list" if model in made else ""


def devices(services: Services) -> list[str]:
    """The devices that this machine has; the first is the best to train on.

    Raises:
        ShutError: see `opened`.
    """
    opened(services)
    # importing it takes seconds: the loading thread does, and until then it is only half there
    torch = sys.modules.get("torch") if services.ready else None
    found = ["cpu"]
    if torch is not None and torch.backends.mps.is_available():
        found.insert(0, "mps")
    if torch is not None and torch.cuda.is_available():
        found = [*(f"cuda:{i}" for i in range(torch.cuda.device_count())), *found]
    return found


# --- jobs


def start(services: Services, plan: Plan) -> str:
    """Puts the plan into the queue of its device; returns the job's id.

    Raises:
        ShutError: see `opened`.
        ConfigError: the name is taken.
        JobError: the job cannot be kept.
    """
    home, plan = opened(services).home.resolve(), compared(services, plan)
    steps = plan.steps_in(home)
    owner = _taken(services, plan.name)
    if plan.theirs and steps[0].result.exists():  # of other recordings, perhaps
        owner = owner or str(steps[0].result.parent)
    if owner:
        raise ConfigError(f"The name {plan.name!r} is taken by {owner}: choose another.")
    found = estimate.of(services, plan)
    id = Jobs(home).add(plan.name, plan.device, steps, need=found.gpu if found else 0)
    estimate.keep(Jobs(home).folder(id), found)
    return id


def prepare(services: Services, plan: Plan) -> str:
    """Puts the first step of the plan alone into the queue; returns the job's id.

    Raises:
        ShutError: see `opened`.
        SaidError: the recordings are prepared already, or are waiting for it.
        JobError: the job cannot be kept.
    """
    home = opened(services).home.resolve()
    data, steps = plan.data_in(home)
    going = (job for job in jobs(services) if job.state in ("waiting", *ACTIVE))
    made = [step.result for job in going for step in job.steps]
    if not steps or steps[0].result.exists() or steps[0].result in made:
        raise SaidError("prepare_twice", name=data.name)
    return Jobs(home).add(plan.name, plan.device, steps)


def prepared_by(services: Services, plan: Callable[..., Plan], settings: Sequence[Any]) -> str:
    """The folder that a plan of these settings prepares; "" where they make no plan.

    Raises:
        ShutError: see `opened`.
    """
    home = opened(services).home.resolve()
    try:
        made = plan(*settings)
        return str(made.data_in(home)[0]) if made.unprepared else ""
    except (AudioLLMError, TypeError):
        return ""


def jobs(services: Services) -> list[Job]:
    """All jobs, the newest first; who is next is started on the way.

    Raises:
        ShutError: see `opened`.
        JobError: the list cannot be read.
    """
    home = opened(services).home
    if not (home / "audiollm.db").is_file():  # nobody has trained: looking makes no files
        return []
    known = Jobs(home)
    known.tick()
    latest = known.all()[::-1]  # of those made in one second, the last in the queue first
    return sorted(latest, key=lambda job: job.made_at, reverse=True)


def time_left(services: Services, job: Job) -> float | None:
    """Seconds until the whole plan of a running job is done; None where nobody knows.

    Raises:
        ShutError: see `opened`.
    """
    return estimate.left(opened(services).home / "jobs" / job.id, job)


def stop(services: Services, id: str) -> None:
    """Saves and stops.

    Raises:
        ShutError: see `opened`.
        JobError: it does not run.
    """
    Jobs(opened(services).home).stop(id)


def kill(services: Services, id: str) -> None:
    """Ends the job now.

    Raises:
        ShutError: see `opened`.
        JobError: it does not run.
    """
    Jobs(opened(services).home).kill(id)


def resume(services: Services, id: str) -> None:
    """Goes on where the job was.

    Raises:
        ShutError: see `opened`.
        JobError: it runs, waits or is done.
    """
    Jobs(opened(services).home).resume(id)


def remove(services: Services, id: str) -> None:
    """Takes the job from the list; what it has made stays.

    Raises:
        ShutError: see `opened`.
        JobError: it runs.
    """
    Jobs(opened(services).home).remove(id)


# --- the new model


def model_of(job: Job) -> Path | None:
    """The model folder that the job has made; None where it is not there, or not yet."""
    made = [step.result for step in job.steps if step.result.name == MANIFEST_NAME]
    return made[0].parent if job.state == "done" and made and made[0].is_file() else None


def metrics_of(folder: Path) -> dict[str, Any]:
    """The figures that `evaluate --record` wrote into a model; {} where there are none."""
    try:
        return read_json(Manifest, folder / MANIFEST_NAME).metrics
    except AudioLLMError:
        return {}


def in_use(services: Services) -> tuple[str, dict[str, Any]]:
    """Name and figures of the model that answers; ("", {}) while there is none.

    Raises:
        ShutError: see `opened`.
    """
    opened(services)
    if not services.ready or services.model.exception():
        return "", {}
    card = services.predictor().card
    return card.name, card.metrics


def ua(metrics: Mapping[str, Any]) -> float | None:
    """The mean recall among recorded figures; None where it is missing or no share."""
    try:
        value = float(metrics["ua"]["value"])
    except (KeyError, TypeError, ValueError):
        return None
    return value if 0 <= value <= 1 else None


def promote(services: Services, folder: str, *, anyway: bool = False) -> str:
    """Lets a model answer on the Analyse page; returns its name. The one before is remembered.

    Raises:
        ShutError: see `opened`.
        WorseError: it is worse or was not tested; with `anyway` it answers all the same.
        ModelError: there is no such model, it answers already, or one is being loaded.
    """
    settings, id = opened(services), registry.id_of(folder)
    entry = next((e for e in registry.entries(settings) if e.id == id), None)
    if entry is None:
        raise ModelError(f"There is no model in {folder!r}: train it first.")
    if id == services.using and services.ready and not services.model.exception():
        raise ModelError(f"{entry.name} answers already.")
    if not anyway:
        _gate(services, entry)
    before = services.using
    services.switch(id)
    services.before = before
    return entry.name


def _gate(services: Services, entry: registry.Entry) -> None:
    """
    Raises:
        WorseError: on the same clips where both were asked about them, else by their own figures.
    """
    if not services.ready or services.model.exception():
        return  # nothing to be worse than
    card = services.predictor().card
    change = versus.between(services.settings.home, Path(entry.id), Path(card.folder))
    if change is not None:
        if change.value < 0:
            raise WorseError(entry.name, change.after, change.before, change)
        return
    new, old = ua(entry.metrics), ua(card.metrics)
    if old is not None and (new is None or new < old):
        raise WorseError(entry.name, new, old)


def can_roll_back(services: Services) -> bool:
    """Whether a model was promoted, and answers or is being loaded.

    Raises:
        ShutError: see `opened`.
    """
    opened(services)
    return bool(services.before) and services.before != services.using


def roll_back(services: Services) -> str:
    """Lets the model answer that was there before the promoted one; returns its id.

    Raises:
        ShutError: see `opened`.
        ModelError: none was promoted, or one is being loaded.
    """
    if not can_roll_back(services):
        raise ModelError("There is no model to go back to.")
    before = services.before
    services.switch(before)
    services.before = ""
    return before
