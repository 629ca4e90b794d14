"""A job, its steps and its states, as plain values."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiollm.contracts.fit import RUN_NAME
from audiollm.contracts.options import shown
from audiollm.errors import AudioLLMError, ConfigError

State = Literal["waiting", "running", "stopping", "stopped", "interrupted", "failed", "done"]
ACTIVE = ("running", "stopping")
IDLE = ("stopped", "interrupted", "failed")  # can be resumed


class JobError(AudioLLMError):
    """A job cannot be added, or its state does not allow the action."""


def check_device(name: str) -> None:
    """
    Raises:
        ConfigError: it is no device that can be compared with those of other jobs.
    """
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise ConfigError("job_device", value=shown(name))


@dataclass(frozen=True)
class Step:
    """One command of a job; done when `result` exists."""

    name: str
    words: tuple[str, ...]  # after `python -m`, paths absolute or from the project's folder
    result: Path

    @property
    def run(self) -> Path | None:
        """The run folder, if the step is a `fit`: it can be stopped and resumed."""
        return self.result.parent if self.words[:2] == ("train", "fit") else None

    @property
    def command(self) -> tuple[str, ...]:
        """The command to run, after `python -m`: a fit that has begun is resumed."""
        if self.run is None or not (self.run / RUN_NAME).is_file():
            return self.words
        return ("train", "fit", "--resume", str(self.run))


@dataclass(frozen=True)
class Job:
    """A snapshot of a job."""

    id: str
    name: str
    device: str
    state: State
    made_at: str  # UTC, ISO 8601
    step: int  # the one that runs, ran last or comes first; from 1
    steps: tuple[Step, ...]
    share: float  # of the whole job that is done, every step counted alike
    seconds_left: float | None  # of the fit that runs
    log: tuple[str, ...]  # its last lines
    failure: str  # what went wrong, as `texts.stored` or a sentence, or ''
