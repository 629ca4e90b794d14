"""Who a process is: a pid alone goes to somebody else when its process has ended.

An identity is the pid, where it counts (this boot of this machine, this container) and when the
process began. Where that cannot be read, a heartbeat decides who lives.
"""

import os
import platform
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Thread

PROC = Path("/proc")
FRESH = 6.0  # s that a heartbeat counts; it is written every BEAT
BEAT = 0.5  # s
DYING = 10.0  # s that a killed process may take to be gone


@dataclass(frozen=True)
class Identity:
    """A process as it is written down: `str(identity)` and back."""

    pid: int
    place: str  # boot and pid namespace, or the machine's name
    start: str  # when it began, in the system's own units; '' where that cannot be read

    def __str__(self) -> str:
        return f"{self.pid}|{self.place}|{self.start}"

    @classmethod
    def parse(cls, text: str) -> "Identity | None":
        """None for ''."""
        pid, _, rest = text.partition("|")
        place, _, start = rest.rpartition("|")
        return cls(int(pid), place, start) if text else None


def identify(pid: int) -> Identity:
    """Who has this pid now."""
    return Identity(pid, here(), _status(pid)[1])


def lives(who: Identity | None, heartbeat: float = 0.0) -> bool:
    """Whether the process still runs; `heartbeat`: when it was last heard of, Unix time."""
    if who is None:
        return False
    if who.place == here() and who.start:
        alive, start = _status(who.pid)
        if not alive or start:
            return alive and start == who.start
    # another container or an unknown system: only the process itself can tell
    return abs(time.time() - heartbeat) < FRESH


@cache
def here() -> str:
    """Where the pids of this process count."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


def _status(pid: int) -> tuple[bool, str]:
    """(runs, when it began); a zombie does not run, '' is an unknown time."""
    if (PROC / "self" / "stat").exists():
        try:
            text = (PROC / str(pid) / "stat").read_text(errors="replace")
        except OSError:
            return False, ""
        fields = text.rpartition(")")[2].split()  # the name before it may hold anything
        return fields[0] not in "ZX", fields[19]
    try:
        import psutil  # comes with accelerate
    except ImportError:
        return _answers(pid), ""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE, f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return False, ""
    except psutil.Error:
        return True, ""


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def spawn(argv: Sequence[str], log: Path, folder: Path) -> Identity:
    """Starts a process that outlives this one: own session, no input, output added to `log`.

    Raises:
        OSError: it cannot be started.
    """
    with log.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603
            list(argv),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    who = identify(process.pid)
    # nobody else would take its exit code, and it would stay as a zombie
    Thread(target=process.wait, daemon=True).start()
    return who


def reachable(who: Identity | None) -> bool:
    """Whether a signal can be sent to it: it lives, and its pid means the same here."""
    return who is not None and bool(who.start) and who.place == here() and lives(who)


def ask(who: Identity) -> None:
    """SIGTERM for the process, if it still is who it was."""
    if reachable(who):
        os.kill(who.pid, signal.SIGTERM)


def kill_group(leader: Identity | None, member: Identity | None) -> None:
    """SIGKILL for a session that `leader` began, and waits until both are gone.

    A group keeps its number while anybody is in it: a living member vouches for it.
    """
    if leader is None:
        return
    known = [who for who in (leader, member) if who is not None and reachable(who)]
    for who in known:
        try:
            if os.getpgid(who.pid) == leader.pid:
                os.killpg(leader.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + DYING
    while any(map(lives, known)) and time.monotonic() < deadline:
        time.sleep(0.01)
