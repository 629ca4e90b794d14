"""A job's files: its log, its heartbeat, its times, and the curves of a run folder."""

import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiollm.contracts.fit import PROGRESS_NAME
from audiollm.contracts.plain_json import parse_json

PROMPT = "$ "  # begins the line of a log that names the command
COLUMNS = (
    "loss",
    "learning_rate",
    "eval_loss",
    "eval_ua",
    "eval_wa",
    "examples_per_second",
    "memory",  # bytes of the process at its peak
    "gpu",
)

_TAIL = 64 * 1024  # bytes of a file that are read for its last lines
_MIN_FREE = 1024**2  # bytes of free disk below which nothing can be written


@dataclass(frozen=True)
class Fit:
    """Progress of a run."""

    share: float
    seconds_left: float | None


def curves(run: Path) -> dict[str, list[float | None]]:
    """`progress.jsonl` of a run folder as columns: `step` and COLUMNS, None: not measured then.

    What a resumed run measures again replaces what it had measured before. An incomplete line, as
    a kill leaves it, is skipped.
    """
    steps: dict[int, dict[str, float]] = {}
    try:
        text = (run / PROGRESS_NAME).read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in _parsed(text.split("\n")):
        step = int(line["step"])
        if line.get("event") == "start":
            steps = {earlier: values for earlier, values in steps.items() if earlier <= step}
        metrics = {k: float(line[k]) for k in COLUMNS if isinstance(line.get(k), int | float)}
        if metrics:
            steps.setdefault(step, {}).update(metrics)
    rows = sorted(steps.items())
    columns: dict[str, list[float | None]] = {"step": [step for step, _ in rows]}
    return columns | {name: [values.get(name) for _, values in rows] for name in COLUMNS}


def lines(run: Path) -> list[dict[str, Any]]:
    """Everything that a run has measured, in the order in which it was written."""
    return list(_parsed(tail(run / PROGRESS_NAME)))


def step_seconds(lines: Iterable[Mapping[str, Any]]) -> list[float]:
    """Seconds a step, between any two measurements that no validation lies between."""
    durations, last = [], None
    for line in lines:
        at = (line.get("time"), line["step"])
        if last and last[0] and at[0] and at[1] > last[1]:
            durations.append((at[0] - last[0]) / (at[1] - last[1]))
        last = None if line.get("event") == "end" else at
    return [seconds for seconds in durations if seconds > 0]


def fit(run: Path) -> Fit:
    """Progress of the run in a folder; zero where it has not begun."""
    lines = list(_parsed(tail(run / PROGRESS_NAME)))
    if not lines:
        return Fit(0.0, None)
    last = lines[-1]
    share = min(1.0, last["step"] / max(1, last.get("max_steps") or 1))
    seconds_left = last.get("seconds_left")
    if seconds_left is None or "event" in last:
        return Fit(share, None)
    # a line of an earlier start says nothing about this one
    seconds_left -= max(0.0, time.time() - last.get("time", 0))  # the clock may be set back
    return Fit(share, seconds_left if seconds_left > 0 else None)


def _parsed(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        with suppress(ValueError):
            values = parse_json(line)
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


def last_output(folder: Path) -> list[str]:
    """The last lines that a job's last command wrote to its log."""
    lines = tail(folder / "log.txt")
    starts = [i for i, line in enumerate(lines) if line.startswith(PROMPT)]
    return lines[starts[-1] + 1 :] if starts else lines


def disk_full(folder: Path) -> bool:
    """Whether a job's last command reported a full disk, or nothing can be written now."""
    if any("No space left" in line or "disk is full" in line for line in last_output(folder)):
        return True
    try:
        return shutil.disk_usage(folder).free < _MIN_FREE
    except OSError:
        return False


def step_began(folder: Path, step: str) -> None:
    """Records in a job's folder that a step begins now."""
    _record(folder, {"step": step, "began": round(time.time(), 1)})


def step_ended(folder: Path, step: str) -> None:
    """Records in a job's folder that the step ends now, in whatever way."""
    _record(folder, {"step": step, "ended": round(time.time(), 1)})


def _record(folder: Path, line: Mapping[str, Any]) -> None:
    with suppress(OSError), (folder / "times.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")  # a full disk: the time is not known then


def step_times(folder: Path) -> dict[str, float]:
    """Step -> seconds that a job has spent on it, over all its starts.

    A running step counts up to now; one that a killed runner never ended does not count.
    """
    seconds: dict[str, float] = {}
    open_: tuple[str, float] | None = None
    for text in tail(folder / "times.jsonl"):
        with suppress(ValueError, KeyError, TypeError):
            line = parse_json(text)
            step = str(line["step"])
            if "began" in line:
                open_ = (step, float(line["began"]))
            elif open_ and open_[0] == step:
                took = max(0.0, float(line["ended"]) - open_[1])
                seconds[step] = seconds.get(step, 0.0) + took
                open_ = None
    if open_:
        seconds[open_[0]] = seconds.get(open_[0], 0.0) + max(0.0, time.time() - open_[1])
    return seconds


def write_heartbeat(folder: Path) -> None:
    """Records that a job's runner is alive: the time of an empty file, which needs no disk."""
    path = folder / "heartbeat"
    path.touch()
    os.utime(path, (time.time(),) * 2)  # the clock of this machine, not of a file server


def last_heartbeat(folder: Path) -> float:
    """Unix time of the runner's last heartbeat; 0 where there was none."""
    try:
        return (folder / "heartbeat").stat().st_mtime
    except OSError:
        return 0.0
