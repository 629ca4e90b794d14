"""Free memory of this machine and its GPUs; freed memory given back. No torch is imported here."""

import ctypes
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")  # what a container may use
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # options of mallopt(3)
RETURNED = 2**20  # bytes


def free(device: str = "cpu") -> int | None:
    """Bytes that a program may still take on `cpu`, `mps`, `cuda` or `cuda:N`; None: not known.

    A GPU is asked through torch where it has been imported already.
    """
    if device.startswith("cuda"):
        torch = sys.modules.get("torch")
        if torch is None or not torch.cuda.is_available():
            return None
        with suppress(RuntimeError, ValueError):  # there is no such GPU
            return int(torch.cuda.mem_get_info(device)[0])
        return None
    machine = int(psutil.virtual_memory().available)
    container = _free_in_container()
    return machine if container is None else min(machine, container)


def free_by_subprocess(device: str) -> int | None:
    """The same of a GPU, asked in a process of its own, so that no torch stays in this one.

    What that process takes for itself meanwhile, some hundred megabytes, does not count as free.
    """
    if not device.startswith("cuda"):
        return free(device)
    code = "import sys, torch; print(torch.cuda.mem_get_info(sys.argv[1])[0])"
    command = [sys.executable, "-c", code, device]
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, timeout=120, check=True, stdin=subprocess.DEVNULL
        )
        return int(done.stdout)
    return None


def _free_in_container() -> int | None:
    """What the control group leaves; page cache can be reclaimed and counts as free."""
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        lines = (CGROUP / "memory.stat").read_text().splitlines()
        cached = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    except (OSError, ValueError, IndexError):  # no group, or `max`: no limit
        return None
    return max(0, limit - used + cached)


def return_freed() -> bool:
    """Keeps glibc from raising the size from which on freed memory goes back to the system.

    It raises it with every larger array that is freed, and a page that has answered many visitors
    then holds twice the memory that it uses. Whether there was a glibc to tell.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library, or another system
        return False
    return all(mallopt(option, RETURNED) for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD))
