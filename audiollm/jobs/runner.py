"""`python -m audiollm.jobs.runner HOME ID`: takes the steps of a job, in a process of its own.

`audiollm.jobs` starts it, in its own session and with its output in the job's log; a runner that
was started by somebody else finds another name in the database and ends.
"""

import os
import shlex
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from audiollm.errors import AudioLLMError
from audiollm.jobs import failures, gpu_memory, progress
from audiollm.jobs.identity import BEAT, Identity, identify
from audiollm.jobs.job import State, Step
from audiollm.jobs.queue import Jobs

STOPPED = 75  # exit code of a fit that was asked to stop; a test holds it against train.fit
REFUSED = 2  # of a command that has said in a sentence what is wrong
STOP_NAME = "stop"  # the file in a run folder that asks


class Runner:
    """Walks the steps; SIGTERM or Ctrl-C asks it to stop."""

    def __init__(self, jobs: Jobs, id: str) -> None:
        self.jobs, self.id, self.folder = jobs, id, jobs.folder(id)
        self.me = identify(os.getpid())
        self.asked = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)
        found = self.jobs.claim(self.id, self.me)
        if found is None:
            _say(f"The job {self.id} is not this process's to run.")
            return REFUSED
        device, steps = found
        os.environ["AUDIOLLM_DEVICE"] = device
        os.environ["AUDIOLLM_HOME"] = str(self.jobs.home)
        os.environ["PYTHONUNBUFFERED"] = "1"  # the log keeps the order in which things were said
        os.environ["TQDM_MININTERVAL"] = "5"  # s; a day of ten bars a second is a large log
        if not all(step.result.exists() for step in steps):
            gpu_memory.make(self.folder, device, _say, self._lives)
        try:
            state, failure = self._walk(steps)
        except Exception as error:
            traceback.print_exc()
            state, failure = "failed", f"The job's own process failed ({error}): press Resume."
        try:
            self.jobs.finish(self.id, self.me, state, failure)
            self.jobs.tick()
        except AudioLLMError as error:  # whoever looks finds that this process is gone
            _say(str(error))
            return 1
        return 0

    def _ask(self, *_: object) -> None:
        self.asked = True

    def _lives(self) -> bool:
        """Says so, and whether it may go on."""
        with suppress(OSError):
            progress.beat(self.folder)
        return not self.asked

    def _walk(self, steps: Sequence[Step]) -> tuple[State, str]:
        for number, step in enumerate(steps):
            if step.result.exists():
                _say(f"done before: {step.result}")
                continue
            if self.asked:
                return "stopped", ""
            code = self._take(number, step)
            if self._has_stopped(code, step):
                return "stopped", ""
            if code or not step.result.exists():
                return "failed", verdict(step, code, self.folder)
        return "done", ""

    def _has_stopped(self, code: int, step: Step) -> bool:
        """Whether the step ended because it was asked to; a fit that fails meanwhile has failed."""
        if step.run:
            asked = (STOPPED, 130, -signal.SIGINT, -signal.SIGTERM)
            return code == STOPPED or (self.asked and code in asked)
        return self.asked and code != 0

    def _take(self, number: int, step: Step) -> int:
        """Runs a step to its end; returns its exit code."""
        words = step.command
        _say(f"{progress.PROMPT}python -m {shlex.join(words)}")
        if step.run:
            (step.run / STOP_NAME).unlink(missing_ok=True)
        children: list[subprocess.Popen[bytes]] = []

        def start() -> Identity:
            argv = [sys.executable, "-m", *words]
            children.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))  # noqa: S603
            return identify(children[0].pid)

        progress.began(self.folder, step.name)
        try:
            self.jobs.begin(self.id, number, start)
            return self._wait(children[0], step)
        finally:
            progress.ended(self.folder, step.name)
            for child in children:  # never one that nobody watches
                if child.poll() is None:
                    child.kill()
                    child.wait()

    def _wait(self, child: subprocess.Popen[bytes], step: Step) -> int:
        told = False
        while True:
            with suppress(OSError):  # a full disk; the process itself shows that it lives
                progress.beat(self.folder)
            if self.asked and step.run:
                with suppress(OSError):  # again and again: a fit that starts takes it away
                    (step.run / STOP_NAME).touch()
            elif self.asked and not told:
                os.killpg(os.getpgrp(), signal.SIGINT)  # as Ctrl-C does, with all its helpers
                told = True
            with suppress(subprocess.TimeoutExpired):
                return child.wait(timeout=BEAT)


def verdict(step: Step, code: int, folder: Path) -> str:
    """One sentence about a step that failed."""
    lines = progress.said(folder)
    if progress.full(folder):
        return progress.FULL
    last = lines[-1].strip() if lines else "nothing was said"
    if code == REFUSED:
        return last
    if code > 0 and (known := failures.meaning(lines)):
        return known
    if code == 0:
        return f"{step.name} ended, but {step.result} is not there: look into the log."
    if code < 0:
        name = signal.Signals(-code).name
        return (
            f"{step.name} was ended by {name}: somebody killed it, or memory ran out; make room "
            "and press Resume."
        )
    return f"{step.name} failed by a mistake of this program ({last}): the log has the rest."


def _say(words: str) -> None:
    with suppress(OSError):  # a full disk ends nobody who only wants to say so
        sys.stdout.write(f"{words}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(Runner(Jobs(Path(sys.argv[1])), sys.argv[2]).run())
