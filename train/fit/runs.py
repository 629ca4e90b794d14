"""A run folder: configuration, log, progress, checkpoints, the best weights.

run.json          what was asked for: `FitConfig`, plus command, versions, data, classes
log.txt           everything that was logged
tensorboard/      the same for TensorBoard
progress.jsonl    one line each time something was measured
checkpoints/      trainer state, resumable
best/             projector.safetensors (+ adapter/ in stage 2) of the best evaluation
metrics.json      the best evaluation
"""

import hashlib
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from audiollm.contracts import manifest
from audiollm.contracts.manifest import PROJECTOR_NAME, EncoderRef, ProjectorConfig
from audiollm.errors import ConfigError, DataError
from audiollm.labels import LANGUAGES, Language

if TYPE_CHECKING:
    from train.data.dataset import Prepared

RUN_NAME = "run.json"
Target = Literal["corpus", "class"]  # of the auxiliary head: classes of each corpus, or of all


@dataclass(frozen=True)
class FitConfig:
    """Everything that decides the outcome of a stage, with units where they are not obvious."""

    stage: Literal[1, 2]
    data: str  # prepared folder
    llm: str  # preset, hub id or folder
    start: str = ""  # stage 2: run folder of stage 1
    epochs: float = 10.0
    max_steps: int = -1  # optimiser steps; -1: decided by epochs
    batch_size: int = 16  # examples a step on the device
    accumulate: int = 1  # steps whose gradients are added up
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.05  # share of all steps
    per_clip: int = 2  # instructions drawn for each clip
    balance: bool = True  # rarer classes get more instructions, up to four times as many
    languages: tuple[Language, ...] = LANGUAGES
    lead: float = 10.0  # weight of the class word among the tokens of an answer
    smoothing: float = 0.1  # share of the class word's target that all class words get alike
    auxiliary: float = 0.0  # weight of the loss of a linear head on the audio tokens
    baseline: float = 0.0  # share of examples that come with a speaker baseline
    auxiliary_by: Target = "corpus"  # what that head tells apart
    distillation: float = 0.0  # share of the class word's target that this head gives
    warm_up: int = 60  # epochs of the auxiliary head, in stage 1 with the projector, before the LLM
    evaluations: int = 10  # how often validation is measured and a checkpoint is kept
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    seed: int = 0
    report_to: tuple[str, ...] = ()  # trackers besides TensorBoard
    projector: dict[str, Any] = field(default_factory=dict)  # options of ProjectorConfig

    def __post_init__(self) -> None:
        if self.stage not in (1, 2):
            raise ConfigError(f"stage must be 1 or 2, not {self.stage}.")
        if self.stage == 2 and not self.start:
            raise ConfigError("Stage 2 starts from a stage 1 run: give it with --from RUN.")
        for name in ("batch_size", "accumulate", "per_clip", "evaluations", "lora_rank"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in ("epochs", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}.")
        for name in ("auxiliary", "lead", "warm_up"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}.")
        if self.distillation and not self.auxiliary:
            raise ConfigError(
                f"distillation {self.distillation} needs the auxiliary head: give auxiliary a "
                f"weight, not {self.auxiliary}."
            )
        for name in ("warmup", "lora_dropout", "smoothing", "baseline", "distillation"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), not {getattr(self, name)}.")
        if not self.languages:
            raise ConfigError(f"languages must be some of {LANGUAGES}, not {self.languages}.")


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it."""

    folder: Path
    config: FitConfig
    encoder: EncoderRef
    projector: ProjectorConfig
    classes: tuple[str, ...]
    info: dict[str, Any]  # command, versions, data

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def best(self) -> Path:
        return self.folder / "best"

    @property
    def adapter(self) -> Path:
        return self.best / "adapter"

    def metrics(self) -> dict[str, Any]:
        path = self.folder / "metrics.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write(run: Run) -> None:
    """Creates the folder with `run.json`."""
    run.folder.mkdir(parents=True, exist_ok=True)
    content = {
        "config": asdict(run.config),
        "encoder": asdict(run.encoder),
        "projector": asdict(run.projector),
        "classes": run.classes,
        "info": run.info,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    part = run.folder / (RUN_NAME + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(run.folder / RUN_NAME)


def read(folder: Path, *, finished: bool = False) -> Run:
    """The run in a folder.

    Raises:
        DataError: not a run folder, or (`finished`) training did not come to its end.
        ConfigError: `run.json` holds a value that is refused.
    """
    path = folder / RUN_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        parts = {k: data[k] for k in ("config", "encoder", "projector", "classes", "info")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} is not a run folder: {RUN_NAME} is missing or damaged; "
            "`python -m train fit` makes one."
        ) from error
    run = Run(
        folder=folder,
        config=manifest.from_dict(FitConfig, parts["config"]),
        encoder=manifest.from_dict(EncoderRef, parts["encoder"]),
        projector=manifest.from_dict(ProjectorConfig, parts["projector"]),
        classes=tuple(parts["classes"]),
        info=parts["info"],
    )
    if finished and not (run.best / PROJECTOR_NAME).is_file():
        raise DataError(
            f"The run {folder} has not finished: continue it with "
            f"`python -m train fit --resume {folder}`."
        )
    return run


def pin(prepared: "Prepared") -> dict[str, Any]:
    """What identifies a prepared folder's content in `info`: who is on which side, and as what."""
    rows = sorted(
        (clip.id, clip.split, clip.label, *sorted((clip.votes or {}).items()))
        for clip in prepared.clips
    )
    heard = {clip.speaker for clip in prepared.split("train")}
    return {
        "data_hash": hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
        "train_speakers": sorted(heard - {""}),
        "speakers_known": "" not in heard,
    }


def check_data(run: Run, prepared: "Prepared") -> None:
    """The folder must hold the clips, classes and sides that the run was made with.

    Raises:
        DataError: it was prepared differently since, so that a test speaker may have been heard.
    """
    known = run.info.get("data_hash")  # runs of earlier versions have none
    if known and known != pin(prepared)["data_hash"]:
        raise DataError(
            f"{prepared.folder} was prepared differently after the run {run.folder} was made, "
            "speakers may have changed sides: prepare it as it was, or start a new run."
        )


def last_checkpoint(run: Run) -> Path | None:
    """The newest whole checkpoint; one that a kill left half written is passed over."""
    found: list[tuple[int, Path]] = []
    for path in run.checkpoints.glob("checkpoint-*"):
        try:
            # the trainer writes this file last
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
            found.append((int(path.name.rpartition("-")[2]), path))
        except (OSError, ValueError):
            continue
    return max(found)[1] if found else None


def provenance(argv: Sequence[str], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Which command made this, with which versions."""
    from importlib.metadata import version

    packages = ("torch", "transformers", "peft", "funasr")
    return {
        "command": f"python -m train {' '.join(argv)}",
        "python": platform.python_version(),
        "platform": sys.platform,
        "versions": {name: version(name) for name in packages},
        **extra,
    }
