"""The job queue: trainings that continue when the page is closed, stored in SQLite.

A job is a list of commands. `python -m audiollm.jobs.runner HOME ID`, a detached process, runs one
after the other; a finished step is known by its result file, so a job can be stopped, killed and
resumed. Every reader of the queue notices a runner that has ended.
"""

import json
import secrets
import shutil
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, get_args

from audiollm.contracts.plain_json import parse_json
from audiollm.database import Database, readable
from audiollm.jobs import identity, progress
from audiollm.jobs.identity import Identity
from audiollm.jobs.job import ACTIVE, IDLE, Job, JobError, State, Step, check_device
from audiollm.texts import stored

LINES = 50  # of the log that are shown
NEED = "need"  # in a job's folder: bytes of its device's memory that it takes
ROOT = Path(__file__).resolve().parents[2]  # where `python -m train` is found


def new_id() -> str:
    """An id that no other job has; ids sort by the second in which they were made."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class Jobs:
    """The jobs of a home folder. Any number of instances in any number of processes may exist."""

    def __init__(self, home: Path) -> None:
        """Raises: DataError: the database cannot be opened."""
        self.home = home.resolve()
        self.database = Database(
            self.home, lambda error: JobError("job_database", reason=error, folder=self.home)
        )

    def add(
        self,
        name: str,
        device: str,
        steps: Sequence[Step],
        need: float = 0,
        id: str = "",
        files: Mapping[str, str] | None = None,
    ) -> str:
        """Appends a job to the queue of its device; returns its id.

        Args:
            need: bytes of its device's memory that it takes at its peak; 0: not known.
            id: of `new_id`, where the steps name files in the job's folder.
            files: name -> text, written into that folder.

        Raises:
            JobError: no steps.
            ConfigError: a device that cannot be compared with those of other jobs.
        """
        if not steps:
            raise JobError("job_no_steps")
        check_device(device)
        device = "cuda:0" if device == "cuda" else device
        now = datetime.now(UTC)
        id = id or new_id()
        try:
            self.folder(id).mkdir(parents=True, mode=0o700)
            for file, content in {NEED: str(int(need)), **(files or {})}.items():
                (self.folder(id) / file).write_text(content, encoding="utf-8")  # before it starts
        except OSError as error:
            raise JobError("job_not_saved", reason=error, folder=self.home) from error
        with self.database.write() as db:
            made_at = now.isoformat("T", "seconds")
            row = (id, name, device, "waiting", _last(db), 0, "", "", "", made_at)
            db.execute("INSERT INTO jobs VALUES (?,?,?,?,?,?,?,?,?,?)", row)
            for i, step in enumerate(steps):
                values = (id, i, step.name, json.dumps(step.words), str(ROOT / step.result))
                db.execute("INSERT INTO steps VALUES (?,?,?,?,?)", values)
        self.tick()
        return id

    def folder(self, id: str) -> Path:
        """Log and heartbeat of a job."""
        return self.home / "jobs" / id

    def all(self) -> list[Job]:
        """Every job that can be read, in the order of the queue."""
        with self.database.read() as db:
            rows = _rows(db)
            steps = {row["id"]: _steps(db, row["id"]) for row in rows}
        if any(self._orphaned(row) for row in rows):
            with self.database.write() as db:
                rows = [self._settle(db, row) for row in _rows(db)]
                steps = {row["id"]: _steps(db, row["id"]) for row in rows}
        return [self._job(row, steps[row["id"]]) for row in rows]

    def look(self, id: str) -> Job:
        """A job as it is now; a runner that has ended is noticed.

        Raises:
            JobError: there is no such job.
        """
        with self.database.write() as db:
            row, steps = self._row(db, id), _steps(db, id)
        return self._job(row, steps)

    def tick(self) -> None:
        """Starts the next job on every free device. May be called at any time."""
        with self.database.read() as db:
            current = _rows(db)
        if not any(row["state"] == "waiting" or self._orphaned(row) for row in current):
            return
        with self.database.write() as db:
            rows = [self._settle(db, row) for row in _rows(db)]
            active = [row for row in rows if row["state"] in ACTIVE]
            devices = {row["device"] for row in active}
            results = {step.result for row in active for step in _steps(db, row["id"])}
            for row in rows:
                own = {step.result for step in _steps(db, row["id"])}
                if row["state"] != "waiting" or row["device"] in devices or own & results:
                    continue  # two jobs never write the same result
                self._start(db, row["id"])
                devices.add(row["device"])
                results |= own

    def _start(self, db: sqlite3.Connection, id: str) -> None:
        """The runner waits for the end of this transaction before it reads its identity."""
        argv = [sys.executable, "-m", "audiollm.jobs.runner", str(self.home), id]
        folder = self.folder(id)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            progress.write_heartbeat(folder)
            runner = identity.spawn(argv, folder / "log.txt", ROOT)
        except OSError as error:
            _set(db, id, state="failed", failure=stored("job_not_started", reason=str(error)))
        else:
            _set(db, id, state="running", runner=str(runner), child="", failure="")

    def stop(self, id: str) -> None:
        """Stops a job: a fit saves at the end of its step, other steps end as by Ctrl-C.

        Raises:
            JobError: the job neither runs nor waits, or runs on another machine.
        """
        with self.database.write() as db:
            row = self._row(db, id)
            if row["state"] == "waiting":
                _set(db, id, state="stopped")
                return
            _require(row, ACTIVE, "job_not_running")
            identity.terminate(_runner(row))
            _set(db, id, state="stopping")

    def kill(self, id: str) -> None:
        """Kills the job; what was done since the last checkpoint is lost.

        Raises:
            JobError: the job does not run, or runs on another machine.
        """
        with self.database.write() as db:
            row = self._row(db, id)
            _require(row, ACTIVE, "job_not_running")
            identity.kill_group(_runner(row), Identity.parse(row["child"]))
            _set(db, id, state="stopped", runner="", child="")
        self.tick()

    def resume(self, id: str) -> None:
        """Appends the job to the queue; it continues where it was.

        Raises:
            JobError: it runs, waits or is done.
        """
        with self.database.write() as db:
            _require(self._row(db, id), IDLE, "job_not_resumable")
            _set(db, id, state="waiting", failure="", turn=_last(db))
        self.tick()

    def remove(self, id: str) -> None:
        """Removes the job and its log; its results stay.

        Raises:
            JobError: it runs.
        """
        with self.database.write() as db:
            row = self._row(db, id)
            _require(row, ("waiting", "done", *IDLE), "job_still_runs")
            db.execute("DELETE FROM jobs WHERE id=?", (id,))
        shutil.rmtree(self.folder(id), ignore_errors=True)

    def claim(self, id: str, me: Identity) -> tuple[str, tuple[Step, ...]] | None:
        """Device and steps, for the runner that was started for the job; else None."""
        with self.database.write() as db:
            row = db.execute(_ONE, (id,)).fetchone()
            if row is None or row["runner"] != str(me) or row["state"] not in ACTIVE:
                return None
            return row["device"], _steps(db, id)

    def begin(self, id: str, number: int, start: Callable[[], Identity]) -> None:
        """Stores the step and the process that `start` begins for it."""
        with self.database.write() as db:
            _set(db, id, step=number, child=str(start()))

    def finish(self, id: str, me: Identity, state: State, failure: str) -> None:
        """Stores how a job ended; a stop that nobody asked for is an interruption."""
        with self.database.write() as db:
            row = db.execute(_ONE, (id,)).fetchone()
            if row is None or row["runner"] != str(me):
                return
            if state == "stopped" and row["state"] != "stopping":
                state, failure = "interrupted", stored("job_gone")
            _set(db, id, state=state, failure=failure, runner="", child="")

    def _row(self, db: sqlite3.Connection, id: str) -> dict[str, Any]:
        row = db.execute(_ONE, (id,)).fetchone()
        if row is None:
            raise JobError("job_unknown", id=id)
        if not readable([row], partial(_checked, db)):
            raise JobError("job_unreadable", id=id)
        return self._settle(db, dict(row))

    def _orphaned(self, row: Mapping[str, Any]) -> bool:
        """Its state is active, but its runner has ended."""
        runner, folder = Identity.parse(row["runner"]), self.folder(row["id"])
        return row["state"] in ACTIVE and not identity.is_alive(
            runner, progress.last_heartbeat(folder)
        )

    def _settle(self, db: sqlite3.Connection, row: dict[str, Any]) -> dict[str, Any]:
        """The row after a check whether its runner is alive; a change is written back."""
        runner, folder = Identity.parse(row["runner"]), self.folder(row["id"])
        if not self._orphaned(row):
            return row
        identity.kill_group(runner, Identity.parse(row["child"]))  # a child without its runner
        full = progress.disk_full(folder)
        changes = {"state": "stopped", "failure": "", "runner": "", "child": ""}
        if full or row["state"] == "running":
            failure = stored("job_disk_full" if full else "job_gone")
            changes |= {"state": "interrupted", "failure": failure}
        with suppress(sqlite3.Error):  # a full disk: every reader notices it again
            _set(db, row["id"], **changes)
        return row | changes

    def _job(self, row: dict[str, Any], steps: tuple[Step, ...]) -> Job:
        step = steps[row["step"]]
        fit = progress.fit(step.run) if step.run else progress.Fit(0.0, None)
        share = (row["step"] + (1.0 if step.result.exists() else fit.share)) / len(steps)
        return Job(
            id=row["id"],
            name=row["name"],
            device=row["device"],
            state=row["state"],
            made_at=row["made_at"],
            step=row["step"] + 1,
            steps=steps,
            share=1.0 if row["state"] == "done" else share,
            seconds_left=fit.seconds_left if row["state"] in ACTIVE else None,
            log=tuple(progress.tail(self.folder(row["id"]) / "log.txt")[-LINES:]),
            failure=row["failure"],
        )


_ALL = "SELECT * FROM jobs ORDER BY turn"
_ONE = "SELECT * FROM jobs WHERE id=?"


def _rows(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """Of all jobs that can be read."""
    return readable(db.execute(_ALL).fetchall(), partial(_checked, db))


def _checked(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """The row of a job.

    Raises:
        ValueError: it, or a step of the job, is damaged.
    """
    for process in (row["runner"], row["child"]):
        Identity.parse(process)
    if row["state"] not in get_args(State) or row["step"] not in range(len(_steps(db, row["id"]))):
        raise ValueError(f"state {row['state']!r}, step {row['step']!r}")
    return dict(row)


def _set(db: sqlite3.Connection, id: str, **values: object) -> None:
    names = ", ".join(f"{name}=?" for name in values)
    db.execute(f"UPDATE jobs SET {names} WHERE id=?", (*values.values(), id))  # noqa: S608


def _last(db: sqlite3.Connection) -> int:
    """The number behind all others in the queue."""
    return int(db.execute("SELECT COALESCE(MAX(turn), 0) + 1 FROM jobs").fetchone()[0])


def _steps(db: sqlite3.Connection, id: str) -> tuple[Step, ...]:
    rows = db.execute("SELECT * FROM steps WHERE job=? ORDER BY number", (id,))
    return tuple(
        Step(row["name"], tuple(parse_json(row["words"])), Path(row["result"])) for row in rows
    )


def _require(row: dict[str, Any], states: Sequence[str], code: str) -> None:
    if row["state"] not in states:
        raise JobError(code, name=row["name"], state=row["state"])


def _runner(row: dict[str, Any]) -> Identity:
    runner = Identity.parse(row["runner"])
    if runner is None or not identity.reachable(runner):
        raise JobError("job_elsewhere", name=row["name"])
    return runner
