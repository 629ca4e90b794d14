"""Who else is told how a training goes: TensorBoard always, trackio and wandb where asked."""

import logging
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback

FOLDER = "tensorboard"  # of a run's folder
LITTLE = 16 * 1024**2  # bytes of free disk below which no event is written

log = logging.getLogger("train.fit.trackers")


class EventFile(TensorBoardCallback):
    """Events for `tensorboard --logdir runs`; never the reason why a training ends.

    Its writer is a thread that dies of a full disk, and whoever then waits for it waits for ever.
    """

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.logging_dir = str(run / FOLDER)
        self.run = run

    def _has_room(self) -> bool:
        try:
            return shutil.disk_usage(self.run).free > LITTLE
        except OSError:
            return False

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if self._has_room():
            super().on_train_begin(args, state, control, **more)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
        if self._has_room():
            super().on_log(args, state, control, logs=logs, **more)


def always(run: Path) -> list[TrainerCallback]:
    """The callbacks of every run."""
    try:
        return [EventFile(run)]
    except RuntimeError:  # neither tensorboard nor tensorboardX is installed
        log.warning("no TensorBoard events are written: pip install tensorboardX")
        return []


def peaks() -> dict[str, int]:
    """Bytes that this process has had at most: `memory`, and `gpu` where one is used."""
    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    found = {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found["gpu"] = int(torch.cuda.max_memory_reserved())
    return found
