"""How long a plan of the Train page will take, and whether the memory is enough. No gradio here."""

import itertools
import json
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

from audiollm import hub
from audiollm.analysis.wording import paragraph
from audiollm.audio import SUFFIXES, files_below
from audiollm.contracts.fit import FitConfig
from audiollm.contracts.plain_json import parse_json
from audiollm.jobs import estimates, memory, progress
from audiollm.jobs.estimates import Basis, Estimate, Pace, Shape, Work
from audiollm.jobs.job import ACTIVE, Job
from audiollm.labels import Language
from audiollm.settings import ASSETS, Settings
from audiollm.texts import text
from audiollm.web import model_host, render
from audiollm.web.auth.access import owner_settings
from audiollm.web.services import Services
from audiollm.web.train.plan import Plan
from audiollm.web.train.sources import EMODB, FOLDER, prepared

KEPT = "estimate.json"  # in a job's folder
SHARES = (0.6, 0.15, 0.25)  # of the clips in train, valid and test, usually
PROBE = 5.0  # s of the linear probes of `evaluate`, and of its report
BUNDLED = 1.04e7  # parameters of the encoder that ships
BASE, LARGE = 9.4e7, 3.1e8  # of emotion2vec
MOST = 100_000  # files that are counted in a folder
KNOWN: tuple[Basis, ...] = ("measured", "scaled", "guessed")


@dataclass(frozen=True)
class Splits:
    """Clips of each split."""

    train: float
    valid: float
    test: float

    @property
    def whole(self) -> float:
        return self.train + self.valid + self.test


def of(services: Services, plan: Plan) -> Estimate | None:
    """Time and memory of a plan; None where its data or language model is not known yet.

    Raises:
        ShutError: see `access.owner_settings`.
    """
    settings = owner_settings(services)
    llm, splits = estimates.shape(plan.stages[0].llm, settings), splits_of(services, plan)
    if llm is None or splits is None:
        return None
    home = settings.home.resolve()
    paces = estimates.paces((home / "runs", Path("runs")), settings)
    seconds, peaks, basis = _fits(plan, llm, splits, paces)
    each = seconds.pop("clip")
    seconds["merge"] = 2 * estimates.STARTUP + 2 * splits.valid * each
    seconds["evaluate"] = estimates.STARTUP + splits.test * each + 2 * PROBE
    seconds["versus"] = estimates.STARTUP + splits.test * each
    peaks.append((estimates.PROGRAM + 5 * llm.parameters, 0.0))  # merging: float32, on the CPU
    size = _encoder(plan.encoder, settings)
    steps = plan.steps_in(home)
    if not (Path(plan.source).is_dir() or steps[0].result.is_file()):
        each = estimates.ENCODE[plan.device.partition(":")[0]] * max(1.0, (size / BUNDLED) ** 0.75)
        seconds["prepare"] = estimates.STARTUP + splits.whole * each
        peaks.append((estimates.PROGRAM + 8 * size, 0.0))
    return Estimate(
        {step.name: seconds.get(step.name, 0.0) for step in steps},
        max(ram for ram, _ in peaks),
        max(gpu for _, gpu in peaks),
        basis,
    )


def _fits(
    plan: Plan, llm: Shape, splits: Splits, paces: list[Pace]
) -> tuple[dict[str, float], list[tuple[float, float]], Basis]:
    """(seconds of both stages and of scoring a `clip`, peaks of memory, basis)."""
    seconds: dict[str, float] = {}
    peaks: list[tuple[float, float]] = []
    worst = 0
    for config in plan.stages:
        number, batch = config.stage, config.batch_size
        steps = config.max_steps if config.max_steps > 0 else 0.0
        steps = steps or splits.train * config.per_clip * config.epochs / batch
        work = Work(number, plan.device, llm, batch, max(1, round(steps)), config.lora_rank)
        took, how = estimates.fit(work, paces)
        each = took / (work.batch * work.steps)
        seconds["clip"] = each  # forward alone takes less
        seconds[f"stage {number}"] = (
            estimates.STARTUP + took + config.evaluations * splits.valid * each
        )
        peaks.append(estimates.memory(work, paces))
        worst = max(worst, KNOWN.index(how))
    return seconds, peaks, KNOWN[worst]


def splits_of(services: Services, plan: Plan) -> Splits | None:
    """How many clips there are, or will be; None where that is not known yet.

    Raises:
        ShutError: see `access.owner_settings`.
    """
    owner_settings(services)
    if not plan.unprepared:
        summary = prepared(services).get(Path(plan.source))
        return Splits(*(part.clips for part in summary.splits.values())) if summary else None
    paths = {EMODB: ASSETS / "emodb" / "manifest.csv", FOLDER: Path(plan.folder or "").expanduser()}
    # the size of a data set on the hub is not known
    clips = _count(paths[plan.source]) if plan.source in paths else 0
    clips = min(clips, plan.clips or clips)
    train, valid, test = SHARES
    shares = (train + valid, 0.0, test) if plan.all_learn else SHARES
    return Splits(*(share * clips for share in shares)) if clips else None


def on_gpu(services: Services, llm: str, device: str) -> float:
    """Bytes of a GPU that stage 2 takes with a language model; 0: none, or not known.

    Raises:
        ShutError: see `access.owner_settings`.
    """
    size = estimates.shape(llm, owner_settings(services))
    return estimates.memory(Work(2, device, size, FitConfig.batch_size, 1))[1] if size else 0.0


def _count(path: Path) -> int:
    with suppress(OSError, ValueError):
        return _counted(path, path.stat().st_mtime_ns)
    return 0


@lru_cache(maxsize=32)
def _counted(path: Path, _: int) -> int:
    """Sound files in a folder, or lines of a table."""
    if path.is_dir():
        sounds = (p for p in files_below(path) if p.suffix.lower() in SUFFIXES)
        return sum(1 for _ in itertools.islice(sounds, MOST))
    with path.open("rb") as file:
        return max(0, sum(1 for _ in file) - 1)


def _encoder(id: str, settings: Settings) -> float:
    """Parameters of an encoder, from its file size in float32; of Whisper those of the layers in
    use."""
    path = hub.here(id, settings, kind="encoder")
    with suppress(OSError, ValueError, TypeError, KeyError):
        if path and hub.encoder_kind(path) == "whisper":
            conf = parse_json((path / "config.json").read_text(encoding="utf-8"))
            depth = max(hub.preset(id).layers, default=conf["encoder_layers"])
            width, inner = conf["d_model"], conf["encoder_ffn_dim"]
            return float(depth * (4 * width**2 + 2 * width * inner) + 3 * width**2)
        sizes = [p.stat().st_size for p in path.glob("*.*t*")] if path else []
        if sizes:
            return max(sizes) / 4
    return LARGE if "large" in id else BASE


def html(services: Services, plan: Plan, language: Language) -> str:
    """HTML of an estimate, its basis, and a warning where memory is short.

    Raises:
        ShutError: see `access.owner_settings`.
    """
    cost = of(services, plan)
    if cost is None:
        return f'<p class="estimate">{text("estimate_unknown", language)}</p>'
    need, left = gigabytes(cost.memory + cost.gpu), render.duration(cost.whole, language)
    device = escape(plan.device)
    lines = [text("estimate", language, left=left, need=need, device=device)]
    if cost.gpu:
        lines.append(text("estimate_gpu", language, need=gigabytes(cost.gpu)))
    lines.append(text(f"estimate_{cost.basis}", language))
    body = f'<p class="estimate">{paragraph(lines, language)}</p>'
    memories = {"cpu": cost.memory}
    if plan.device.startswith("cuda"):
        memories[plan.device] = cost.gpu
    for name, bytes in memories.items():
        free = memory.free(name)
        if free is None or bytes <= free:
            continue
        shown = {"need": gigabytes(bytes), "free": gigabytes(free), "device": name}
        body += render.notice(text("estimate_tight", language, **shown), "error")
        gpu = model_host.named(name)
        if gpu and gpu == services.gpu:
            body += f'<p class="estimate">{text("estimate_gpu_memory", language)}</p>'
    return body


def gigabytes(bytes: float) -> str:
    """Of bytes, in two digits: 0.8, 12."""
    value = bytes / 1e9
    return f"{value:.0f}" if value >= 9.5 else f"{max(0.1, value):.1f}"


# --- while it runs


def keep(folder: Path, estimate: Estimate | None) -> None:
    """Writes what was estimated into a job's folder."""
    with suppress(OSError):  # a full disk: the job then has no estimate
        if estimate is not None:
            (folder / KEPT).write_text(json.dumps(estimate.to_dict()), encoding="utf-8")


def left(folder: Path, job: Job) -> float | None:
    """Seconds until a running job's whole plan is done; None: not known."""
    if job.state not in ACTIVE:
        return None
    try:
        stored = parse_json((folder / KEPT).read_text(encoding="utf-8"))["seconds"]
        planned = {str(name): float(seconds) for name, seconds in stored.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        planned = {}
    took, now = progress.step_times(folder), job.steps[job.step - 1].name
    return estimates.remaining(planned, took, now, job.seconds_left)
