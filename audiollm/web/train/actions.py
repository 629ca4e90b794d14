"""What the Train page does, as plain functions: a plan and its jobs. No gradio here.

All of it is the owner's: every function that takes `services` refuses everybody else. Nothing is
trained here; `audiollm.jobs` runs the commands. The new model is activated in activation.py.
"""

import re
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
from audiollm.web.auth.access import owner_settings
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


def with_comparison(services: Services, plan: Plan) -> Plan:
    """The plan with a comparison with the model in use at its end.

    Raises:
        ShutError: see `owner_settings`.
    """
    owner_settings(services)
    return replace(plan, compared_with=plan.compared_with or services.active)


def commands(services: Services, plan: Plan) -> str:
    """What a person would type for the same, as text to copy.

    Raises:
        ShutError: see `owner_settings`.
    """
    home, plan = owner_settings(services).home.resolve(), with_comparison(services, plan)
    return shell_lines(home, plan.device, plan.steps_in(home))


def shell_lines(home: Path, device: str, steps: Sequence[Step]) -> str:
    """The steps of a job as lines for a terminal."""
    lines = [
        shlex.join(["cd", str(ROOT)]),
        f"export {shlex.join([f'AUDIOLLM_HOME={home}', f'AUDIOLLM_DEVICE={device}'])}",
        *(shlex.join([sys.executable, "-m", *step.words]) for step in steps),
    ]
    return "\n".join(lines)


def propose(
    services: Services, values: Mapping[str, Any], factor: float, language: Language
) -> tuple[dict[str, Any], str]:
    """Settings that fit what the fields say, with `factor` times the usual epochs, a name that is
    free and the best device; and a sentence about their basis.

    Raises:
        ShutError: see `owner_settings`.
    """
    owner_settings(services)
    try:
        splits = estimate.splits_of(services, Plan.of(values))
    except AudioLLMError:  # not yet what a plan can be made of
        splits = None
    clips = splits.train if splits else None
    available = devices(services)
    device = values["device"] if values["device"] in available else available[0]
    fields = proposal.propose(clips, values["llm"], device, factor)
    fields |= {"name": free_name(services), "device": available[0]}
    code = f"fits_{proposal.size(clips)}" if clips else "fits_unknown"
    return fields, f"<p>{text(code, language, n=round(clips or 0))}</p>"


def save(services: Services, values: Mapping[str, Any]) -> str:
    """The settings as they stand on the page, as the text of a file.

    Raises:
        ShutError: see `owner_settings`.
        ConfigError: they make no plan.
    """
    owner_settings(services)
    return saved.serialise(Plan.of(values))


def load(services: Services, file: str | Path | None, values: Mapping[str, Any]) -> Plan:
    """The settings of a file, under a name that is free; what it does not name stays as it is.

    Raises:
        ShutError: see `owner_settings`.
        ConfigError: it is no file of settings, or a key or a value in it is refused.
    """
    owner_settings(services)
    try:
        with Path(file or "").open("rb") as opened_file:
            raw = opened_file.read(saved.LARGEST + 1)
    except OSError:
        raise ConfigError("settings_broken") from None
    plan = saved.read(raw, values)
    here = (EMODB, FOLDER, HUB, *map(str, prepared_folders(services)))
    if plan.source not in here:
        raise ConfigError("settings_source", value=plan.source)
    return replace(plan, name=free_name(services, plan.name))


def free_name(services: Services, stem: str = "my-model") -> str:
    """A name that no model, run or waiting job has.

    Raises:
        ShutError: see `owner_settings`.
    """
    owner_settings(services)
    name = stem
    while _holder(services, name):
        found = re.fullmatch(r"(.+)-(\d{1,9})", name)
        name = f"{found[1]}-{int(found[2]) + 1}" if found else f"{name}-2"
    return name


def _holder(services: Services, name: str) -> str:
    """What has the name already; "" where it is free."""
    home = services.settings.home.resolve()
    runs = [home / "runs" / f"{name}-{part}" for part in ("stage1", "stage2", "evaluate")]
    for path in (home / "models" / name, *runs):
        if path.exists():
            return str(path)
    model = home / "models" / name / MANIFEST_NAME
    results = (step.result for job in jobs(services) for step in job.steps)
    return str(model.parent) if model in results else ""


def devices(services: Services) -> list[str]:
    """The devices that this machine has; the first is the best to train on.

    Raises:
        ShutError: see `owner_settings`.
    """
    owner_settings(services)
    # the loading thread imports it, which takes seconds; until then it is incomplete
    torch = sys.modules.get("torch") if services.ready else None
    names = ["cpu"]
    if torch is not None and torch.backends.mps.is_available():
        names.insert(0, "mps")
    if torch is not None and torch.cuda.is_available():
        names = [*(f"cuda:{i}" for i in range(torch.cuda.device_count())), *names]
    return names


def require_startable(services: Services, plan: Plan) -> None:
    """Whether `start` would take the plan, and `prepare` could read its recordings.

    Raises:
        ShutError: see `owner_settings`.
        NamelessError: the split needs speakers, and they are unknown.
        AudioLLMError: the name is taken, or the recordings cannot be used.
    """
    home = owner_settings(services).home.resolve()
    owner, (data, steps) = _holder(services, plan.name), plan.data_in(home)
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
        ShutError: see `owner_settings`.
        AudioLLMError: see `require_startable`.
        JobError: the job cannot be saved.
    """
    home, plan = owner_settings(services).home.resolve(), with_comparison(services, plan)
    queue, id = Jobs(home), new_id()
    steps = plan.steps_in(home, queue.folder(id))
    require_startable(services, plan)
    cost = estimate.of(services, plan)
    need = cost.gpu if cost else 0
    queue.add(plan.name, plan.device, steps, need=need, id=id, files=plan.files(home))
    estimate.keep(queue.folder(id), cost)
    return id


def prepare(services: Services, plan: Plan) -> str:
    """Puts the first step of the plan alone into the queue; returns the job's id.

    Raises:
        ShutError: see `owner_settings`.
        ConfigError: the recordings are prepared already, or a job will.
        JobError: the job cannot be saved.
    """
    home = owner_settings(services).home.resolve()
    data, steps = plan.data_in(home)
    going = (job for job in jobs(services) if job.state in ("waiting", *ACTIVE))
    results = [step.result for job in going for step in job.steps]
    if not steps or steps[0].result.exists() or steps[0].result in results:
        raise ConfigError("prepare_twice", name=data.name)
    return Jobs(home).add(plan.name, plan.device, steps)


def prepared_by(services: Services, values: Mapping[str, Any]) -> str:
    """The folder that a plan of these settings prepares; "" where they make no plan.

    Raises:
        ShutError: see `owner_settings`.
    """
    home = owner_settings(services).home.resolve()
    try:
        plan = Plan.of(values)
        return str(plan.data_in(home)[0]) if plan.unprepared else ""
    except AudioLLMError:
        return ""


def jobs(services: Services) -> list[Job]:
    """All jobs, the newest first; who is next is started on the way.

    Raises:
        ShutError: see `owner_settings`.
        JobError: the list cannot be read.
    """
    home = owner_settings(services).home
    if not (home / "audiollm.db").is_file():  # no training yet: looking makes no files
        return []
    queue = Jobs(home)
    queue.tick()
    latest = queue.all()[::-1]  # of those made in one second, the last in the queue first
    return sorted(latest, key=lambda job: job.made_at, reverse=True)


def time_left(services: Services, job: Job) -> float | None:
    """Seconds until the whole plan of a running job is done; None: not known.

    Raises:
        ShutError: see `owner_settings`.
    """
    return estimate.left(owner_settings(services).home / "jobs" / job.id, job)


def act(services: Services, id: str, what: Act) -> None:
    """What the buttons of a job do; see the methods of `Jobs`.

    Raises:
        ShutError: see `owner_settings`.
        JobError: the job's state does not allow it.
    """
    getattr(Jobs(owner_settings(services).home), what)(id)
