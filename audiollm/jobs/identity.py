"""The identity of a process: a process id alone is reused when its process has ended.

An identity is the process id, the scope in which it counts (this boot of this machine, this
container) and when the process started. Where a process cannot be inspected, its heartbeat decides
whether it is alive.
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

import psutil

HEARTBEAT_INTERVAL = 0.5  # s
HEARTBEAT_LIMIT = 6.0  # s after which a heartbeat no longer counts
KILL_TIMEOUT = 10.0  # s that a killed process may take to end
TICKS = 100  # a second: the resolution of a start time


@dataclass(frozen=True)
class Identity:
    """A process as the database stores it: `str(identity)` and back."""

    pid: int
    scope: str  # boot and process id namespace, or the machine's name
    start: str  # ticks from boot to the process's start; '' where that cannot be read

    def __str__(self) -> str:
        return f"{self.pid}|{self.scope}|{self.start}"

    @classmethod
    def parse(cls, text: str) -> "Identity | None":
        """None for ''."""
        pid, _, rest = text.partition("|")
        scope, _, start = rest.rpartition("|")
        return cls(int(pid), scope, start) if text else None


def identify(pid: int) -> Identity:
    """The identity of the process that has this id now."""
    try:
        start = _starts(psutil.Process(pid))[0]
    except psutil.Error:
        start = ""
    return Identity(pid, this_scope(), start)


def is_alive(process: Identity | None, heartbeat: float = 0.0) -> bool:
    """Whether the process still runs; `heartbeat`: Unix time of its last one."""
    if process is None:
        return False
    if process.scope == this_scope() and process.start:
        try:
            running = psutil.Process(process.pid)
            dead = running.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
            return not dead and process.start in _starts(running)
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:
            pass
    # another container, or a process that may not be inspected
    return abs(time.time() - heartbeat) < HEARTBEAT_LIMIT


def _starts(process: psutil.Process) -> tuple[str, str]:
    """When a process started: ticks since boot, which no change of the clock moves, and Unix time,
    as older versions stored it on systems without /proc."""
    created = process.create_time()
    return str(round((created - psutil.boot_time()) * TICKS)), f"{created:.2f}"


@cache
def this_scope() -> str:
    """Where the process ids of this process count."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


def spawn(argv: Sequence[str], log: Path, folder: Path) -> Identity:
    """Starts a process that outlives this one: own session, no input, output appended to `log`.

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
    identity = identify(process.pid)
    # without somebody who takes its exit code it would stay as a zombie
    Thread(target=process.wait, daemon=True).start()
    return identity


def reachable(process: Identity | None) -> bool:
    """Whether a signal can be sent to it: it is alive, and its id means the same here."""
    return (
        process is not None
        and bool(process.start)
        and process.scope == this_scope()
        and is_alive(process)
    )


def terminate(process: Identity) -> None:
    """SIGTERM for the process, if its id was not reused."""
    if reachable(process):
        os.kill(process.pid, signal.SIGTERM)


def kill_group(leader: Identity | None, member: Identity | None) -> None:
    """SIGKILL for a session that `leader` began; waits until both have ended.

    A group keeps its number while anybody is in it: a living member vouches for it.
    """
    if leader is None:
        return
    members = [each for each in (leader, member) if each is not None and reachable(each)]
    for process in members:
        try:
            if os.getpgid(process.pid) == leader.pid:
                os.killpg(leader.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + KILL_TIMEOUT
    while any(map(is_alive, members)) and time.monotonic() < deadline:
        time.sleep(0.01)
