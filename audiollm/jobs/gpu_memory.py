"""Room on a GPU for a training, where a model that answers people sits on it, too.

Before its first step a job's runner measures what is free there. Where that is less than the job
needs, it leaves a note in the job's folder and waits a while. A program whose model sits on that
GPU sees the note (`wanted`), moves the model away, and brings it back when nobody trains there any
more (`busy`). Nobody has to be there to see it: after `PATIENCE` the job begins all the same.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from audiollm.jobs import memory
from audiollm.jobs.job import ACTIVE, Job
from audiollm.jobs.queue import NEED, Jobs

NOTE = "room.json"  # in the job's folder
PATIENCE = 90.0  # s; loading a model of some gigabytes on the CPU takes less
PAUSE = 2.0  # s between two looks
GIGA = 1e9


def make(
    folder: Path,
    device: str,
    say: Callable[[str], None],
    goes_on: Callable[[], bool],
    free: Callable[[str], int | None] = memory.ask,
    patience: float = PATIENCE,
    pause: float = PAUSE,
) -> bool:
    """Waits until a job's device has room for it, or nobody can make any.

    Args:
        folder: the job's.
        say: for the log.
        goes_on: called often; False where the job has been asked to stop.
        free: bytes that are free on a device, None where nobody knows.

    Returns:
        Whether there is room, as far as it is known.
    """
    with suppress(OSError):
        (folder / NOTE).unlink(missing_ok=True)  # of an earlier start
    need = _need(folder)
    if not device.startswith("cuda") or not need:
        return True
    found = free(device)
    if found is None or found >= need:
        return True
    say(f"{_giga(found)} GB are free on {device}, {_giga(need)} GB are needed: asking for room.")
    _ask(folder, {"device": device, "need": need, "free": found})
    end = time.monotonic() + patience
    while time.monotonic() < end and goes_on():
        time.sleep(pause)
        found = free(device) or 0
        if found >= need:
            say(f"{_giga(found)} GB are free now.")
            return True
    say("There is no more room; it is tried all the same.")
    return False


def wanted(home: Path, device: str) -> Job | None:
    """The job that runs on a device and has asked for room there; None: there is none."""
    for job in _jobs(home):
        there = home / "jobs" / job.id / NOTE
        if job.device == device and job.state in ACTIVE and there.is_file():
            return job
    return None


def busy(home: Path, device: str) -> bool:
    """Whether a job runs on a device, or is next."""
    return any(job.device == device and job.state in ("waiting", *ACTIVE) for job in _jobs(home))


def _jobs(home: Path) -> list[Job]:
    """Looking makes no files."""
    return Jobs(home).all() if (home / "audiollm.db").is_file() else []


def _need(folder: Path) -> int:
    """Bytes of its device's memory that a job takes; 0: nobody knows."""
    try:
        return int((folder / NEED).read_text())
    except (OSError, ValueError):
        return 0


def _ask(folder: Path, note: dict[str, object]) -> None:
    with suppress(OSError):  # a full disk: then nobody makes room
        (folder / NOTE).write_text(json.dumps(note))


def _giga(bytes: float) -> str:
    return f"{bytes / GIGA:.1f}"
