"""Estimates of the time and memory of a training, before it starts. No torch.

They rest on earlier runs on this machine (`paces`), else on the size of the language model and
assumed speeds; `Basis` says which.
"""

import math
import os
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from audiollm import hub
from audiollm.contracts.fit import PROGRESS_NAME, RUN_NAME
from audiollm.contracts.plain_json import parse_json
from audiollm.jobs import progress
from audiollm.settings import Settings

Basis = Literal["measured", "scaled", "guessed"]  # same work, other work, no run on this machine

TOKENS = 100  # of an example, without the shared prefix of the prompt
ANSWER = 60  # of these, tokens whose logits are made
PROGRAM = 0.7e9  # bytes of Python, torch and the data of a small corpus
CONTEXT = 0.6e9  # bytes of a CUDA context
TRAINED = 16  # bytes of a trained weight: itself, its gradient, two moments of AdamW
SPEEDS = {"cpu": 6e10, "mps": 1e12, "cuda": 3e13}  # floating-point operations/s; a core, a chip
FIXED = 1.5e6  # parameters that stand for the constant cost of an example
ENCODE = {"cpu": 0.11, "mps": 0.03, "cuda": 0.01}  # s of a clip, for the encoder that ships
STARTUP = 12.0  # s of a command's imports and loading
_PEAKS = ("memory", "gpu")  # columns of progress.jsonl
_RUNS = 20  # newest runs that are read
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(b|m)(?![a-z0-9])", re.I)  # 0.5b in a model's name


@dataclass(frozen=True)
class Shape:
    """The size of a causal language model, as in its config.json."""

    hidden: int
    layers: int
    inner: int  # width of the feed-forward layers
    vocabulary: int
    heads_width: int  # of all query heads together
    keys_width: int  # of all key heads together
    tied: bool  # the embeddings are the output layer, too

    @property
    def parameters(self) -> int:
        attention = 2 * self.hidden * (self.heads_width + self.keys_width)
        layer = attention + 3 * self.hidden * self.inner
        tables = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.layers * layer + tables

    def lora(self, rank: int) -> int:
        """Parameters of LoRA on every linear layer."""
        ends = 2 * (self.hidden + self.heads_width) + 2 * (self.hidden + self.keys_width)
        return self.layers * rank * (ends + 3 * (self.hidden + self.inner))

    def activations(self, width: int) -> float:
        """Bytes of one example that wait for the gradient, with numbers of `width` bytes."""
        layer = 14 * self.hidden + 4 * self.inner + 2 * self.heads_width
        return TOKENS * self.layers * layer * width + 3 * ANSWER * self.vocabulary * 4


@dataclass(frozen=True)
class Work:
    """One stage of a training."""

    stage: int
    device: str
    llm: Shape
    batch: int  # examples at once
    steps: int
    rank: int = 16  # of LoRA, in stage 2

    @property
    def kind(self) -> str:
        """cpu, mps or cuda."""
        return self.device.partition(":")[0]


@dataclass(frozen=True)
class Pace:
    """Time and memory of an earlier run."""

    stage: int
    kind: str
    parameters: int
    batch: int
    seconds: float  # an example
    memory: int = 0  # bytes of the process at its peak, 0: not measured
    gpu: int = 0


@dataclass(frozen=True)
class Estimate:
    """Of a whole plan."""

    seconds: Mapping[str, float]  # step -> s
    memory: float  # bytes on the machine at the peak
    gpu: float  # on the GPU, 0 where none is used
    basis: Basis

    @property
    def whole(self) -> float:
        return sum(self.seconds.values())

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "seconds": dict(self.seconds)}


# --- the language model


def shape(id: str, settings: Settings) -> Shape | None:
    """The size of a language model, from its config.json or its name; None: not known."""
    try:
        path = hub.here(id, settings)
        if path is not None:
            return _read(parse_json((path / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    match = _SIZE.search(id.rpartition("/")[2])
    return _typical(float(match[1]) * (1e9 if match[2] in "bB" else 1e6)) if match else None


def _read(config: Mapping[str, Any]) -> Shape:
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    each = int(config.get("head_dim") or hidden // heads)
    return Shape(
        hidden=hidden,
        layers=int(config["num_hidden_layers"]),
        inner=int(config["intermediate_size"]),
        vocabulary=int(config["vocab_size"]),
        heads_width=heads * each,
        keys_width=int(config.get("num_key_value_heads") or heads) * each,
        tied=bool(config.get("tie_word_embeddings")),
    )


def _typical(parameters: float) -> Shape:
    """A Qwen-like model of about so many parameters: 0.5 to 7 billion have 24 to 36 layers."""
    layers, vocabulary = 28, 151_936
    per = 2.5 + 3 * 4  # weights of a layer by the square of its width
    width = (math.sqrt(vocabulary**2 + 4 * layers * per * parameters) - vocabulary) / (
        2 * layers * per
    )
    hidden = max(64, round(width / 64) * 64)
    return Shape(hidden, layers, 4 * hidden, vocabulary, hidden, hidden // 4, tied=True)


# --- what earlier runs took


def paces(folders: Iterable[Path], settings: Settings) -> list[Pace]:
    """Of the newest runs in folders of runs; unreadable ones are left out."""
    runs: list[tuple[float, Path]] = []
    for folder in folders:
        for path in folder.glob(f"*/{PROGRESS_NAME}") if folder.is_dir() else ():
            try:
                runs.append((path.stat().st_mtime, path.parent))
            except OSError:
                continue
    newest = [run for _, run in sorted(runs)[::-1][:_RUNS]]
    return [pace for run in newest if (pace := _pace(run, settings)) is not None]


def _pace(run: Path, settings: Settings) -> Pace | None:
    try:
        content = parse_json((run / RUN_NAME).read_text(encoding="utf-8"))
        config, device = content["config"], str(content["info"]["device"])
        batch = int(config["batch_size"])
        llm, stage = shape(str(config["llm"]), settings), int(config["stage"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    lines = progress.lines(run)
    steps = progress.step_seconds(lines)
    # auto: the device is not known
    if llm is None or not steps or device == "auto":
        return None
    peaks = {key: max((int(line.get(key) or 0) for line in lines), default=0) for key in _PEAKS}
    return Pace(
        stage=stage,
        kind=device.partition(":")[0],
        parameters=llm.parameters,
        batch=batch,
        seconds=statistics.median(steps) / (batch * int(config.get("accumulate") or 1)),
        memory=peaks["memory"],
        gpu=peaks["gpu"],
    )


# --- estimates


def fit(work: Work, measured: Sequence[Pace]) -> tuple[float, Basis]:
    """(seconds, basis) of the steps of a stage, without startup and validation."""
    examples, size = work.batch * work.steps, work.llm.parameters
    same = [p for p in measured if p.kind == work.kind]
    alike = [p for p in same if p.stage == work.stage and p.parameters == size]
    if alike:
        # the closest batch: larger ones take less time an example
        nearest = min(abs(math.log(p.batch / work.batch)) for p in alike)
        closest = [p for p in alike if abs(math.log(p.batch / work.batch)) <= nearest + 1e-9]
        return examples * statistics.median(p.seconds for p in closest), "measured"
    if same:
        scaled = [p.seconds * (size + FIXED) / (p.parameters + FIXED) for p in same]
        return examples * statistics.median(scaled), "scaled"
    cores = os.cpu_count() or 1
    speed = SPEEDS[work.kind] * (cores if work.kind == "cpu" else 1)
    return examples * 4 * (size + FIXED) * TOKENS / speed, "guessed"


def memory(work: Work, measured: Sequence[Pace] = ()) -> tuple[float, float]:
    """(bytes on the machine, bytes on the GPU) at the peak of a stage."""
    on_gpu = work.kind == "cuda"
    width = 2 if on_gpu else 4
    trained = 2e6 + (work.llm.lora(work.rank) if work.stage == 2 else 0)
    used = work.llm.parameters * width + TRAINED * trained
    used += work.batch * work.llm.activations(width)
    alike = [
        p
        for p in measured
        if (p.stage, p.kind, p.parameters) == (work.stage, work.kind, work.llm.parameters)
        and p.batch == work.batch
        and p.memory
    ]
    if alike:
        return max(p.memory for p in alike), max(p.gpu for p in alike)
    if on_gpu:
        return PROGRAM + CONTEXT + work.llm.parameters * width, CONTEXT + used
    return PROGRAM + used, 0.0


def remaining(
    planned: Mapping[str, float], took: Mapping[str, float], now: str, fit_left: float | None
) -> float | None:
    """Seconds until a plan is done, from planned and measured durations of its steps.

    Args:
        planned: step -> s, in the order of the steps.
        took: step -> s so far; steps that are done, and `now`.
        now: the step that runs.
        fit_left: seconds left by the progress of the running fit.

    Returns:
        None where nothing was planned for the step that runs.
    """
    if now not in planned:
        return None
    order = list(planned)
    index = order.index(now)
    spent = took.get(now, 0.0)
    done = [name for name in order[:index] if took.get(name)]
    real = sum(took[name] for name in done)
    expected = sum(planned[name] for name in done)
    if fit_left is not None:
        real, expected = real + spent + fit_left, expected + planned[now]
    factor = min(20.0, max(0.05, real / expected)) if expected and real else 1.0
    here = fit_left
    if here is None:
        here = max(planned[now] * factor - spent, 0.1 * planned[now])
    return here + factor * sum(planned[name] for name in order[index + 1 :])
