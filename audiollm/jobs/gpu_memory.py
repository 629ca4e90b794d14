"""GPU memory requests: a training asks a program whose model occupies the same GPU to move it.

Before its first step a job's runner measures the free memory. Where it is less than the job needs,
the runner writes a request into the job's folder and waits. A program whose model is on that GPU
sees the request (`requesting_job`), moves the model to the CPU, and brings it back when no job runs
or waits there any more (`in_use`). After `TIMEOUT` the job starts in any case.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from audiollm.jobs import memory
from audiollm.jobs.job import ACTIVE, Job
from audiollm.jobs.queue import NEED, Jobs

REQUEST = "room.json"  # in the job's folder
TIMEOUT = 90.0  # s; loading a model of some gigabytes on the CPU takes less
INTERVAL = 2.0  # s between two measurements
GIGA = 1e9


def wait_for_memory(
    folder: Path,
    device: str,
    log: Callable[[str], None],
    keep_waiting: Callable[[], bool],
    free: Callable[[str], int | None] = memory.free_by_subprocess,
    timeout: float = TIMEOUT,
    interval: float = INTERVAL,
) -> bool:
    """Waits until a job's device has the memory that the job needs, or nobody can free any.

    Args:
        folder: the job's.
        keep_waiting: called often; False where the job has been asked to stop.
        free: bytes that are free on a device, None where that is not known.

    Returns:
        Whether there is enough memory, as far as is known.
    """
    with suppress(OSError):
        (folder / REQUEST).unlink(missing_ok=True)  # of an earlier start
    need = _need(folder)
    if not device.startswith("cuda") or not need:
        return True
    spare = free(device)
    if spare is None or spare >= need:
        return True
    log(f"{_giga(spare)} GB are free on {device}, {_giga(need)} GB are needed: requesting memory.")
    with suppress(OSError):  # a full disk: then nobody sees the request
        (folder / REQUEST).write_text(json.dumps({"device": device, "need": need, "free": spare}))
    end = time.monotonic() + timeout
    while time.monotonic() < end and keep_waiting():
        time.sleep(interval)
        spare = free(device) or 0
        if spare >= need:
            log(f"{_giga(spare)} GB are free now.")
            return True
    log("No more memory was freed; the job starts all the same.")
    return False


def requesting_job(home: Path, device: str) -> Job | None:
    """The job that runs on a device and has requested memory there; None: there is none."""
    for job in _jobs(home):
        request = home / "jobs" / job.id / REQUEST
        if job.device == device and job.state in ACTIVE and request.is_file():
            return job
    return None


def in_use(home: Path, device: str) -> bool:
    """Whether a job runs on a device, or is next."""
    return any(job.device == device and job.state in ("waiting", *ACTIVE) for job in _jobs(home))


def _jobs(home: Path) -> list[Job]:
    """No files are created by looking."""
    return Jobs(home).all() if (home / "audiollm.db").is_file() else []


def _need(folder: Path) -> int:
    """Bytes of its device's memory that a job takes; 0: not known."""
    try:
        return int((folder / NEED).read_text())
    except (OSError, ValueError):
        return 0


def _giga(bytes: float) -> str:
    return f"{bytes / GIGA:.1f}"
