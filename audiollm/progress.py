"""What a job's files tell: its log, its heartbeat, and the curves of a run folder."""

import json
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROMPT = "$ "  # begins the line of a log that names the command
FULL = "The disk is full: make room and press Resume."
COLUMNS = ("loss", "learning_rate", "eval_loss", "eval_ua", "eval_wa")

_TAIL = 64 * 1024  # bytes of a file that are read for its last lines
_LITTLE = 1024**2  # bytes of free disk with which nothing can be written


@dataclass(frozen=True)
class Fit:
    """How far a run has come."""

    share: float
    seconds_left: float | None


def curves(run: Path) -> dict[str, list[float | None]]:
    """`progress.jsonl` of a run folder as columns: `step` and COLUMNS, None: not measured then.

    What a resumed run measures again takes the place of what it had measured before. A line that
    is only half there, as a kill leaves it, is passed over.
    """
    steps: dict[int, dict[str, float]] = {}
    try:
        text = (run / "progress.jsonl").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in _parsed(text.splitlines()):
        step = int(line["step"])
        if line.get("event") == "start":
            steps = {known: values for known, values in steps.items() if known <= step}
        found = {k: float(line[k]) for k in COLUMNS if isinstance(line.get(k), int | float)}
        if found:
            steps.setdefault(step, {}).update(found)
    rows = sorted(steps.items())
    columns: dict[str, list[float | None]] = {"step": [step for step, _ in rows]}
    return columns | {name: [values.get(name) for _, values in rows] for name in COLUMNS}


def fit(run: Path) -> Fit:
    """How far the run in a folder has come; nothing where it has not begun."""
    lines = list(_parsed(tail(run / "progress.jsonl")))
    if not lines:
        return Fit(0.0, None)
    last = lines[-1]
    share = min(1.0, last["step"] / max(1, last.get("max_steps") or 1))
    left = last.get("seconds_left")
    if left is None or "event" in last:
        return Fit(share, None)
    # a line of an earlier start says nothing about this one
    left -= time.time() - last.get("time", 0)
    return Fit(share, left if left > 0 else None)


def _parsed(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        with suppress(ValueError):
            values = json.loads(line)
            if isinstance(values, dict) and isinstance(values.get("step"), int | float):
                yield values


def tail(path: Path) -> list[str]:
    """The last lines of a file; of a line that overwrites itself, as bars do, the last state."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n") if line.strip()]


def said(folder: Path) -> list[str]:
    """The last lines of a job's log that its last command wrote."""
    lines = tail(folder / "log.txt")
    starts = [i for i, line in enumerate(lines) if line.startswith(PROMPT)]
    return lines[starts[-1] + 1 :] if starts else lines


def full(folder: Path) -> bool:
    """Whether a job's last command has found the disk full, or nothing can be written now."""
    if any("No space left" in line or "disk is full" in line for line in said(folder)):
        return True
    try:
        return shutil.disk_usage(folder).free < _LITTLE
    except OSError:
        return False


def beat(folder: Path) -> None:
    """Says that a job's runner lives: the time of an empty file, which needs no room."""
    path = folder / "heartbeat"
    path.touch()
    os.utime(path, (time.time(),) * 2)  # the clock of this machine, not of a file server


def heard(folder: Path) -> float:
    """When the runner was last heard of, Unix time; 0 where never."""
    try:
        return (folder / "heartbeat").stat().st_mtime
    except OSError:
        return 0.0
