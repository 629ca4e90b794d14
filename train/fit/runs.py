"""A run folder: configuration, log, progress, checkpoints, the best weights.

run.json          `FitConfig`, plus command, versions, data, classes
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
import shlex
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiollm.contracts.fit import METRICS_NAME, RUN_NAME, FitConfig
from audiollm.contracts.manifest import PROJECTOR_NAME, EncoderRef, ProjectorConfig
from audiollm.contracts.options import from_dict
from audiollm.contracts.plain_json import parse_json
from audiollm.contracts.prepared import write_json
from audiollm.errors import DataError

if TYPE_CHECKING:
    from audiollm.model.prompt import Prompt
    from train.data.dataset import Prepared


@dataclass(frozen=True)
class Run:
    """The content of a run folder."""

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
        path = self.folder / METRICS_NAME
        return parse_json(path.read_text(encoding="utf-8")) if path.is_file() else {}


def prompt(run: Run, tokenizer: Any) -> "Prompt":
    """That of the model which a run trains. One trained with a softmax over the class words alone
    is scored by what that softmax goes over: their first tokens."""
    from audiollm.model.prompt import Prompt

    firsts = run.config.class_loss == "classes"
    languages = run.config.languages
    return Prompt(tokenizer, run.classes, languages=languages, first_tokens=firsts)


def write(run: Run) -> None:
    """Creates the folder with `run.json`."""
    content = {
        "config": run.config.to_dict(),
        "encoder": asdict(run.encoder),
        "projector": asdict(run.projector),
        "classes": run.classes,
        "info": run.info,
    }
    write_json(run.folder / RUN_NAME, content)


def read(folder: Path, *, finished: bool = False) -> Run:
    """The run in a folder.

    Raises:
        DataError: not a run folder, or (`finished`) training did not come to its end.
        ConfigError: `run.json` holds a value that is refused.
    """
    path = folder / RUN_NAME
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
        parts = {k: data[k] for k in ("config", "encoder", "projector", "classes", "info")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("fit_no_run", run=folder) from error
    run = Run(
        folder=folder,
        config=FitConfig.of_run(parts["config"]),
        encoder=from_dict(EncoderRef, parts["encoder"]),
        projector=from_dict(ProjectorConfig, parts["projector"]),
        classes=tuple(parts["classes"]),
        info=parts["info"],
    )
    if finished and not (run.best / PROJECTOR_NAME).is_file():
        raise DataError("fit_unfinished", run=shlex.quote(str(folder)))
    return run


def pin(prepared: "Prepared") -> dict[str, Any]:
    """Identifies the content of a prepared folder in `info`: clips, splits, labels, votes."""
    rows = sorted(
        (clip.id, clip.split, clip.label, *sorted((clip.votes or {}).items()))
        for clip in prepared.clips
    )
    speakers = {clip.speaker for clip in prepared.split("train")}
    return {
        "data_hash": hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
        "train_speakers": sorted(speakers - {""}),
        "speakers_known": "" not in speakers,
    }


def check_data(run: Run, prepared: "Prepared") -> None:
    """The folder must hold the clips, classes and splits that the run was made with.

    Raises:
        DataError: it was prepared differently since, so a test speaker may be in the training.
    """
    recorded = run.info.get("data_hash")  # runs of earlier versions have none
    if recorded and recorded != pin(prepared)["data_hash"]:
        raise DataError("fit_data_changed", data=prepared.folder, run=run.folder)


def last_checkpoint(run: Run) -> Path | None:
    """The newest whole checkpoint; one that a kill left half written is passed over."""
    checkpoints: list[tuple[int, Path]] = []
    for path in run.checkpoints.glob("checkpoint-*"):
        try:
            # the trainer writes this file last
            parse_json((path / "trainer_state.json").read_text(encoding="utf-8"))
            checkpoints.append((int(path.name.rpartition("-")[2]), path))
        except (OSError, ValueError):
            continue
    return max(checkpoints)[1] if checkpoints else None


def provenance(module: str = "train", **extra: Any) -> dict[str, Any]:
    """The command that made this, `python -m MODULE ...`, with date and versions."""
    from importlib.metadata import version

    packages = ("torch", "transformers", "peft", "funasr")
    return {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": sys.platform,
        "versions": {name: version(name) for name in packages},
        **extra,
    }
