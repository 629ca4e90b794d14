"""`python -m audiollm.jobs.runner HOME ID`: runs the steps of a job, in a process of its own.

The queue starts it in its own session, with its output in the job's log; a runner that was started
otherwise finds another identity in the database and ends.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from audiollm.contracts.fit import REFUSED, STOP_NAME, STOPPED
from audiollm.errors import AudioLLMError
from audiollm.jobs import gpu_memory, progress
from audiollm.jobs.identity import HEARTBEAT_INTERVAL, Identity, identify
from audiollm.jobs.job import State, Step
from audiollm.jobs.queue import Jobs
from audiollm.settings import REFUSAL
from audiollm.texts import console, stored

REFUSAL_NAME = "refusal.json"  # in the job's folder
# line of a failed command's log -> code of its meaning; the last line that one matches decides
_FAILURES = (
    (re.compile(r"^FileNotFoundError: .*?'(?P<path>[^']+)'"), "job_file_missing"),
    (
        re.compile(r"CUDA out of memory|CUDA error: out of memory|OutOfMemoryError"),
        "job_gpu_full",
    ),
    (
        re.compile(r"^MemoryError\b|can't allocate memory|Cannot allocate memory"),
        "job_memory_full",
    ),
    (
        re.compile(
            r"ConnectionError|ConnectTimeout|MaxRetryError|NameResolutionError|LocalEntryNotFound"
            r"|OfflineModeIsEnabled"
        ),
        "job_unreachable",
    ),
)


class Runner:
    """Runs the steps in order; SIGTERM or Ctrl-C requests a stop."""

    def __init__(self, jobs: Jobs, id: str) -> None:
        self.jobs, self.id, self.folder = jobs, id, jobs.folder(id)
        self.me = identify(os.getpid())
        self.stop_requested = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request_stop)
        claim = self.jobs.claim(self.id, self.me)
        if claim is None:
            _log(f"The job {self.id} belongs to another process.")
            return REFUSED
        device, steps = claim
        os.environ["AUDIOLLM_DEVICE"] = device
        os.environ["AUDIOLLM_HOME"] = str(self.jobs.home)
        os.environ[REFUSAL] = str(self.folder / REFUSAL_NAME)
        os.environ["PYTHONUNBUFFERED"] = "1"  # the log keeps the order of its lines
        os.environ["TQDM_MININTERVAL"] = "5"  # s; a day of ten bars a second is a large log
        if not all(step.result.exists() for step in steps):
            gpu_memory.wait_for_memory(self.folder, device, _log, self._heartbeat)
        try:
            state, failure = self._run_steps(steps)
        except Exception as error:
            traceback.print_exc()
            state, failure = "failed", stored("job_runner_failed", reason=str(error))
        try:
            self.jobs.finish(self.id, self.me, state, failure)
            self.jobs.tick()
        except AudioLLMError as error:  # readers of the queue notice that this process has ended
            _log(str(error))
            return 1
        return 0

    def _request_stop(self, *_: object) -> None:
        self.stop_requested = True

    def _heartbeat(self) -> bool:
        """Writes the heartbeat; False where a stop was requested."""
        with suppress(OSError):
            progress.write_heartbeat(self.folder)
        return not self.stop_requested

    def _run_steps(self, steps: Sequence[Step]) -> tuple[State, str]:
        for number, step in enumerate(steps):
            if step.result.exists():
                _log(f"done before: {step.result}")
                continue
            if self.stop_requested:
                return "stopped", ""
            code = self._run_step(number, step)
            if self._has_stopped(code, step):
                return "stopped", ""
            if code or not step.result.exists():
                return "failed", failure_of(step, code, self.folder)
        return "done", ""

    def _has_stopped(self, code: int, step: Step) -> bool:
        """Whether the step ended on request; a fit that fails meanwhile has failed."""
        if step.run:
            on_request = (STOPPED, 130, -signal.SIGINT, -signal.SIGTERM)
            return code == STOPPED or (self.stop_requested and code in on_request)
        return self.stop_requested and code != 0

    def _run_step(self, number: int, step: Step) -> int:
        """Runs a step to its end; returns its exit code."""
        words = step.command
        _log(f"{progress.PROMPT}python -m {shlex.join(words)}")
        if step.run:
            (step.run / STOP_NAME).unlink(missing_ok=True)
        children: list[subprocess.Popen[bytes]] = []

        def start() -> Identity:
            argv = [sys.executable, "-m", *words]
            children.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))  # noqa: S603
            return identify(children[0].pid)

        (self.folder / REFUSAL_NAME).unlink(missing_ok=True)  # of an earlier try
        progress.step_began(self.folder, step.name)
        try:
            self.jobs.begin(self.id, number, start)
            return self._wait(children[0], step)
        finally:
            progress.step_ended(self.folder, step.name)
            for child in children:  # none is left without a runner
                if child.poll() is None:
                    child.kill()
                    child.wait()

    def _wait(self, child: subprocess.Popen[bytes], step: Step) -> int:
        interrupted = False
        while True:
            with suppress(OSError):  # a full disk; the process itself is still seen to be alive
                progress.write_heartbeat(self.folder)
            if self.stop_requested and step.run:
                with suppress(OSError):  # again and again: a fit that starts removes it
                    (step.run / STOP_NAME).touch()
            elif self.stop_requested and not interrupted:
                os.killpg(os.getpgrp(), signal.SIGINT)  # as Ctrl-C does, with all its children
                interrupted = True
            with suppress(subprocess.TimeoutExpired):
                return child.wait(timeout=HEARTBEAT_INTERVAL)


def failure_of(step: Step, code: int, folder: Path) -> str:
    """Why a step with this exit code failed: as `texts.stored`, as what the command wrote by
    `write_refusal`, or as its own sentence."""
    lines = progress.last_output(folder)
    last = lines[-1].strip() if lines else "no output"
    if progress.disk_full(folder):
        return stored("job_disk_full")
    if code == REFUSED:
        return _refusal(folder) or last
    if code == 0:
        return stored("job_no_result", step=step.name, path=str(step.result))
    if code < 0:
        return stored("job_signal", step=step.name, signal=signal.Signals(-code).name)
    for line in reversed(lines):
        for pattern, meaning in _FAILURES:
            if match := pattern.search(line):
                return stored(meaning, **match.groupdict())
    return stored("job_bug", step=step.name, line=last)


def _refusal(folder: Path) -> str:
    try:
        return (folder / REFUSAL_NAME).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _log(line: str) -> None:
    with suppress(OSError):  # a full disk must not end the runner
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    console.accept_any_text()
    sys.exit(Runner(Jobs(Path(sys.argv[1])), sys.argv[2]).run())
