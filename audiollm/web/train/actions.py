"""What the Train page does, as plain functions: a plan and its jobs. No gradio here.

All of it is the owner's: every function that takes `services` refuses everybody else. Nothing is
trained here; `audiollm.jobs` runs the commands. The new model is activated in activation.py.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.errors import AudioLLMError, ConfigError
from audiollm.jobs.job import ACTIVE, Job, Step
from audiollm.jobs.queue import ROOT, Jobs, new_id
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web.auth.access import opened
from audiollm.web.services import Services
from audiollm.web.train import estimate, proposal, saved
from audiollm.web.train.plan import Plan
from audiollm.web.train.sources import (
    EMODB,
    FOLDER,
    HUB,
    insight,
    prepared_folders,
    require_usable,
)

Act = Literal["stop", "kill", "resume", "remove"]

# --- a plan


def compared(services: Services, plan: Plan) -> Plan:
    """The plan with a comparison with the model in use at its end.

    Raises:
        ShutError: see `opened`.
    """
    opened(services)
    return replace(plan, compared_with=plan.compared_with or services.active)


def commands(services: Services, plan: Plan) -> str:
    """What a person would type for the same, as text to copy.

    Raises:
        ShutError: see `opened`.
    """
    home, plan = opened(services).home.resolve(), compared(services, plan)
    return typed(home, plan.device, plan.steps_in(home))


def typed(home: Path, device: str, steps: Sequence[Step]) -> str:
    """The steps of a job as lines for a terminal."""
    lines = [
        shlex.join(["cd", str(ROOT)]),
        f"export {shlex.join([f'AUDIOLLM_HOME={home}', f'AUDIOLLM_DEVICE={device}'])}",
        *(shlex.join([sys.executable, "-m", *step.words]) for step in steps),
    ]
    return "\n".join(lines)


def proposed(
    services: Services, values: Mapping[str, Any], factor: float, language: Language
) -> tuple[dict[str, Any], str]:
    """Settings that fit what the fields say, with `factor` times the usual epochs, a name that is
    free and the best device; and a sentence about their basis.

    Raises:
        ShutError: see `opened`.
    """
    opened(services)
    try:
        splits = estimate.splits_of(services, Plan.of(values))
    except AudioLLMError:  # not yet what a plan can be made of
        splits = None
    clips = splits.train if splits else None
    known = devices(services)
    device = values["device"] if values["device"] in known else known[0]
    found = proposal.proposed(clips, values["llm"], device, factor)
    found |= {"name": free_name(services), "device": known[0]}
    code = f"fits_{proposal.size(clips)}" if clips else "fits_unknown"
    return found, f"<p>{text(code, language, n=round(clips or 0))}</p>"


def save(services: Services, values: Mapping[str, Any]) -> str:
    """The settings as they stand on the page, as the text of a file.

    Raises:
        ShutError: see `opened`.
        ConfigError: they make no plan.
    """
    opened(services)
    return saved.written(Plan.of(values))


def load(services: Services, file: str | Path | None, values: Mapping[str, Any]) -> Plan:
    """The settings of a file, under a name that is free; what it does not name stays as it is.

    Raises:
        ShutError: see `opened`.
        ConfigError: it is no file of settings, or a key or a value in it is refused.
    """
    opened(services)
    try:
        with Path(file or "").open("rb") as opened_file:
            raw = opened_file.read(saved.LARGEST + 1)
    except OSError:
        raise ConfigError("settings_broken") from None
    found = saved.read(raw, values)
    here = (EMODB, FOLDER, HUB, *map(str, prepared_folders(services)))
    if found.source not in here:
        raise ConfigError("settings_source", value=found.source)
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
    return str(model.parent) if model in made else ""


def devices(services: Services) -> list[str]:
    """The devices that this machine has; the first is the best to train on.

    Raises:
        ShutError: see `opened`.
    """
    opened(services)
    # the loading thread imports it, which takes seconds; until then it is incomplete
    torch = sys.modules.get("torch") if services.ready else None
    found = ["cpu"]
    if torch is not None and torch.backends.mps.is_available():
        found.insert(0, "mps")
    if torch is not None and torch.cuda.is_available():
        found = [*(f"cuda:{i}" for i in range(torch.cuda.device_count())), *found]
    return found


def require_startable(services: Services, plan: Plan) -> None:
    """Whether `start` would take the plan, and `prepare` could read its recordings.

    Raises:
        ShutError: see `opened`.
        NamelessError: the split needs speakers, and they are unknown.
        AudioLLMError: the name is taken, or the recordings cannot be used.
    """
    home = opened(services).home.resolve()
    owner, (data, steps) = _taken(services, plan.name), plan.data_in(home)
    if plan.own_folder and steps[0].result.exists():  # of other recordings, perhaps
        owner = owner or str(data)
    if owner:
        raise ConfigError("plan_name_taken", name=plan.name, owner=owner)
    if plan.source != HUB:  # asking the hub would download nothing, but takes a network
        require_usable(insight(services, vars(plan)))


# --- jobs


def start(services: Services, plan: Plan) -> str:
    """Puts the plan into the queue of its device; returns the job's id.

    The job's folder gets the configurations that its fits read.

    Raises:
        ShutError: see `opened`.
        AudioLLMError: see `require_startable`.
        JobError: the job cannot be saved.
    """
    home, plan = opened(services).home.resolve(), compared(services, plan)
    queue, id = Jobs(home), new_id()
    steps = plan.steps_in(home, queue.folder(id))
    require_startable(services, plan)
    found = estimate.of(services, plan)
    need = found.gpu if found else 0
    queue.add(plan.name, plan.device, steps, need=need, id=id, files=plan.files(home))
    estimate.keep(queue.folder(id), found)
    return id


def prepare(services: Services, plan: Plan) -> str:
    """Puts the first step of the plan alone into the queue; returns the job's id.

    Raises:
        ShutError: see `opened`.
        ConfigError: the recordings are prepared already, or a job will.
        JobError: the job cannot be saved.
    """
    home = opened(services).home.resolve()
    data, steps = plan.data_in(home)
    going = (job for job in jobs(services) if job.state in ("waiting", *ACTIVE))
    made = [step.result for job in going for step in job.steps]
    if not steps or steps[0].result.exists() or steps[0].result in made:
        raise ConfigError("prepare_twice", name=data.name)
    return Jobs(home).add(plan.name, plan.device, steps)


def prepared_by(services: Services, values: Mapping[str, Any]) -> str:
    """The folder that a plan of these settings prepares; "" where they make no plan.

    Raises:
        ShutError: see `opened`.
    """
    home = opened(services).home.resolve()
    try:
        plan = Plan.of(values)
        return str(plan.data_in(home)[0]) if plan.unprepared else ""
    except AudioLLMError:
        return ""


def jobs(services: Services) -> list[Job]:
    """All jobs, the newest first; who is next is started on the way.

    Raises:
        ShutError: see `opened`.
        JobError: the list cannot be read.
    """
    home = opened(services).home
    if not (home / "audiollm.db").is_file():  # no training yet: looking makes no files
        return []
    known = Jobs(home)
    known.tick()
    latest = known.all()[::-1]  # of those made in one second, the last in the queue first
    return sorted(latest, key=lambda job: job.made_at, reverse=True)


def time_left(services: Services, job: Job) -> float | None:
    """Seconds until the whole plan of a running job is done; None: not known.

    Raises:
        ShutError: see `opened`.
    """
    return estimate.left(opened(services).home / "jobs" / job.id, job)


def act(services: Services, id: str, what: Act) -> None:
    """What the buttons of a job do; see the methods of `Jobs`.

    Raises:
        ShutError: see `opened`.
        JobError: the job's state does not allow it.
    """
    getattr(Jobs(opened(services).home), what)(id)
