"""Callbacks of the trainer: progress bar, progress file, TensorBoard events, stop file."""

import json
import logging
import math
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from transformers import ProgressCallback, TrainerCallback
from transformers.integrations import TensorBoardCallback

from audiollm.errors import DataError
from train import parallel

TENSORBOARD = "tensorboard"  # folder of events in a run folder
LITTLE = 16 * 1024**2  # bytes of free disk below which no event is written

log = logging.getLogger("train.fit.callbacks")


class ProgressBar(ProgressCallback):
    """tqdm with the last metrics behind it, instead of a line for each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[str, str] = {}

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        names = {"loss": "loss", "eval_loss": "valid loss", "eval_ua": "valid UA"}
        for key, name in names.items():
            if logs and key in logs:
                self.shown[name] = f"{logs[key]:.3f}"
        if state.is_world_process_zero and self.training_bar is not None:
            self.training_bar.set_postfix(self.shown)


class ProgressFile(TrainerCallback):
    """One JSON line in `progress.jsonl` each time something was measured."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.began, self.first = time.time(), 0
        self.last = (self.began, 0)  # time and step of the last line

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.began, self.first = time.time(), state.global_step
        self.last = (self.began, self.first)
        self._write(state, {"event": "start"})

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        measured = {**(logs or {})}
        if not math.isfinite(measured.get("grad_norm", 0.0)):
            raise DataError("fit_diverged", step=state.global_step)
        if "loss" in measured:
            measured |= {"examples_per_second": self._speed(args, state), **peaks()}
        self.last = (time.time(), state.global_step)
        self._write(state, measured)
        log.info("step %d: %s", state.global_step, logs)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._write(state, {"event": "end"})

    def _speed(self, args: Any, state: Any) -> float:
        """Examples a second since the last line, so without the validation before it."""
        at, step = self.last
        each = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        return each * (state.global_step - step) / max(1e-6, time.time() - at)

    def _write(self, state: Any, values: dict[str, Any]) -> None:
        if not state.is_world_process_zero:
            return
        done = state.global_step - self.first
        left = state.max_steps - state.global_step
        line = {
            "time": round(time.time(), 1),
            "step": state.global_step,
            "max_steps": state.max_steps,
            "seconds_left": round((time.time() - self.began) / done * left, 1) if done else None,
            **{k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()},
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class StopFile(TrainerCallback):
    """Saves and stops at the end of the step in which the file appears.

    A signal could come in the middle of a step, or of writing a checkpoint. Of several processes
    the first looks for the file, and all stop at the same step.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.obeyed = path, False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step < state.max_steps and parallel.agreed(self.path.exists(), args.device):
            self.obeyed = control.should_save = control.should_training_stop = True
            log.info("stop file found at step %d", state.global_step)


class EventFile(TensorBoardCallback):
    """Events for `tensorboard --logdir runs`, written only while the disk has space.

    The writer is a thread; on a full disk it ends, and waiting for it would block the training.
    """

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.logging_dir = str(run / TENSORBOARD)
        self.run = run

    def _has_space(self) -> bool:
        try:
            return shutil.disk_usage(self.run).free > LITTLE
        except OSError:
            return False

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if self._has_space():
            super().on_train_begin(args, state, control, **more)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
        if self._has_space():
            super().on_log(args, state, control, logs=logs, **more)


def tensorboard(run: Path) -> list[TrainerCallback]:
    """The callback that writes events; none where no writer is installed."""
    try:
        return [EventFile(run)]
    except RuntimeError:  # neither tensorboard nor tensorboardX is installed
        log.warning("no TensorBoard events are written: pip install tensorboardX")
        return []


def peaks() -> dict[str, int]:
    """Peak bytes of this process: `memory`, and `gpu` where one is used."""
    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    usage = {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        usage["gpu"] = int(torch.cuda.max_memory_reserved())
    return usage
