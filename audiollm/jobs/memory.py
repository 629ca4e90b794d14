"""How much memory is free, on this machine and on its GPUs. No torch is imported here."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")  # what a container may use stands here


def free(device: str = "cpu") -> int | None:
    """Bytes that a program may still take on `cpu`, `mps`, `cuda` or `cuda:N`; None: not known.

    A GPU is asked through torch where somebody else has imported it already.
    """
    if device.startswith("cuda"):
        torch = sys.modules.get("torch")
        if torch is None or not torch.cuda.is_available():
            return None
        with suppress(RuntimeError, ValueError):  # there is no such GPU
            return int(torch.cuda.mem_get_info(device)[0])
        return None
    found = [bytes for bytes in (_of_machine(), _of_container()) if bytes is not None]
    return min(found, default=None)


def ask(device: str, patience: float = 120.0) -> int | None:
    """The same of a GPU, by a process of its own: here no torch is imported, and none stays.

    What that process takes for itself meanwhile, some hundred megabytes, is not free then.
    """
    if not device.startswith("cuda"):
        return free(device)
    code = "import sys, torch; print(torch.cuda.mem_get_info(sys.argv[1])[0])"
    command = [sys.executable, "-c", code, device]
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, timeout=patience, check=True, stdin=subprocess.DEVNULL
        )
        return int(done.stdout)
    return None


def _of_machine() -> int | None:
    with suppress(ImportError):
        import psutil  # comes with accelerate

        return int(psutil.virtual_memory().available)
    with suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_container() -> int | None:
    """What the control group leaves; what is only cached can be had back and counts as free."""
    try:
        most = int((GROUPS / "memory.max").read_text())
        used = int((GROUPS / "memory.current").read_text())
        lines = (GROUPS / "memory.stat").read_text().splitlines()
        cached = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    except (OSError, ValueError, IndexError):  # no group, or `max`: no limit
        return None
    return max(0, most - used + cached)
