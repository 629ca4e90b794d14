"""Tasks, labels and leases in the database of the home folder.

A label is on the disk before `add_label` returns, and is never changed or deleted afterwards. The
last label of each person that was not undone is valid (the view `standing`).
"""

import sqlite3
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from audiollm.database import Database, readable
from audiollm.errors import LabelError
from audiollm.labelling import queue
from audiollm.labelling.records import ADD, as_label, as_task, is_outdated, outcome_of, task_row
from audiollm.labelling.tasks import (
    REASONS,
    UNUSUAL,
    Label,
    Outcome,
    Reason,
    Task,
    checked_person,
    is_class,
)
from audiollm.labels import ordered

Work = Literal[
    "first",  # clips without a label
    "second",  # clips that others have labelled and this person has not
    "decide",  # clips whose labels differ
]
WORKS: tuple[Work, ...] = get_args(Work)
# The classes where no task has an answer
USUAL = ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
LATEST = 253_402_300_799.0  # s since 1970: the end of the year 9999, the last that a date can be of
LEASE = 600.0  # s for which a clip that one page shows is reserved for it

# Sets of the valid labels, computed once a query and not for every task
_OPEN: dict[Work, str] = {
    "first": "t.id NOT IN (SELECT task FROM standing WHERE kind<>'skip')",
    "second": """t.id IN (SELECT task FROM standing WHERE kind='label')
        AND t.id NOT IN (SELECT task FROM standing
            WHERE kind='decision' OR kind='label' AND person=:person)""",
    "decide": """t.id IN (SELECT task FROM standing WHERE kind='label'
            GROUP BY task HAVING COUNT(DISTINCT name) > 1)
        AND t.id NOT IN (SELECT task FROM standing WHERE kind='decision')""",
}
_ORDER = """
    LEFT JOIN (SELECT task, MAX(number) AS last FROM standing
        WHERE kind='skip' AND person=:person GROUP BY task) skipped ON skipped.task=t.id
    LEFT JOIN (SELECT task, COUNT(*) AS votes FROM standing
        WHERE kind='label' GROUP BY task) labelled ON labelled.task=t.id
"""


class UnknownTaskError(LabelError):
    """There is no such task in this home folder."""

    def __init__(self) -> None:
        super().__init__("label_unknown_task")


class LabelStore:
    """Tasks and labels of a home folder."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since 1970.

        Raises:
            DataError: the folder cannot be written, or a newer program made the database.
        """
        self.home, self.clock = home, clock
        self._database = Database(
            home, lambda error: LabelError("label_database", home=home, reason=error)
        )

    # --- tasks

    def add_tasks(self, tasks: Iterable[Task]) -> int:
        """Adds tasks and orders the queue again; returns how many are new.

        A sound that is there already keeps its labels, its original class and its file while that
        exists; answers replace earlier ones. Its reason changes only while it has no label, and
        never if it is random.

        Raises:
            LabelError: the database cannot be written.
        """
        with self._database.write() as db:
            return self._add_tasks(db, tasks, imported=False)

    def tasks(self) -> list[Task]:
        """All tasks that can be read, in the order of showing."""
        with self._database.read() as db:
            return readable(db.execute("SELECT * FROM tasks ORDER BY turn"), as_task)

    def task(self, id: str) -> Task:
        """
        Raises:
            LabelError: there is no such task.
        """
        with self._database.read() as db:
            return _task(db, id)

    def classes(self) -> tuple[str, ...]:
        """Every class of answers (without any: USUAL), data and labels, in labels.py's order."""
        with self._database.read() as db:
            each = "json_each(iif(json_valid({0}), {0}, '{{}}'))"
            answers = db.execute(
                f"SELECT DISTINCT key FROM tasks, {each.format('answer')}"  # noqa: S608
            ).fetchall()
            others = db.execute(
                f"SELECT key FROM tasks, {each.format('other_answer')} UNION"  # noqa: S608
                " SELECT original FROM tasks UNION SELECT name FROM labels UNION"
                " SELECT secondary FROM labels"
            ).fetchall()
        names = {row[0] for row in answers} or {*USUAL}
        names |= {row[0] for row in others} - {"", *UNUSUAL}
        return ordered(name for name in names if is_class(name))

    def remove_tasks(self, ids: Iterable[str]) -> int:
        """Removes tasks that never had a label; returns how many.

        Raises:
            LabelError: the database cannot be written.
        """
        gone = 0
        with self._database.write() as db:
            for id in ids:
                if not db.execute("SELECT 1 FROM labels WHERE task=?", (id,)).fetchone():
                    db.execute("DELETE FROM leases WHERE task=?", (id,))
                    gone += db.execute("DELETE FROM tasks WHERE id=?", (id,)).rowcount
        return gone

    def suggest(self, id: str, name: str) -> None:
        """Replaces what a listener suggested; "" for nothing, and an unknown id is no error.

        Raises:
            LabelError: the database cannot be written.
        """
        with self._database.write() as db:
            db.execute("UPDATE tasks SET suggestion=? WHERE id=?", (name, id))

    # --- leases

    def next_tasks(
        self,
        person: str,
        tab: str,
        work: Work = "first",
        reasons: Sequence[Reason] = REASONS,
        count: int = 2,
    ) -> list[Task]:
        """The clip to show to a person now, and those after it; no other page gets them.

        `tab` is the id of one page in one browser. It gets the same clips again, and a new lease.
        Skipped clips come last.

        Raises:
            LabelError: the person's name is refused, or the database cannot be written.
        """
        checked_person(person)
        if work not in WORKS or not set(reasons) <= set(REASONS):
            raise ValueError(f"unknown kind of work {work!r} or reason in {reasons}")
        names = ",".join(f"'{name}'" for name in reasons)
        votes = "labelled.votes," if work == "second" else ""
        condition = f"{_OPEN[work]} AND t.reason IN ({names})"
        with self._database.write() as db:
            self._end_leases(db)
            mine = "SELECT task FROM leases WHERE tab=:tab"
            who = {"person": person, "tab": tab, "count": count}
            db.execute(
                "DELETE FROM leases WHERE tab=:tab AND task NOT IN"  # noqa: S608
                f" (SELECT t.id FROM tasks t WHERE t.id IN ({mine}) AND {condition})",
                who,
            )
            rows = db.execute(
                f"SELECT t.id FROM tasks t {_ORDER} WHERE {condition}"  # noqa: S608
                " AND t.id NOT IN (SELECT task FROM leases)"
                f" ORDER BY COALESCE(skipped.last, 0), {votes} t.turn"
                f" LIMIT MAX(0, :count - (SELECT COUNT(*) FROM ({mine})))",
                who,
            ).fetchall()
            for row in rows:
                self._lease(db, row["id"], tab, last=True)
            db.execute("UPDATE leases SET until=? WHERE tab=?", (self.clock() + LEASE, tab))
            query = "SELECT t.* FROM tasks t JOIN leases l ON l.task=t.id WHERE l.tab=?"
            rows = db.execute(f"{query} ORDER BY l.place LIMIT {count}", (tab,)).fetchall()
            tasks = readable(rows, as_task)
            if len(tasks) == len(rows):
                return tasks
            ids = {task.id for task in tasks}
            bad = [(row["id"],) for row in rows if row["id"] not in ids]
            db.executemany("DELETE FROM leases WHERE task=?", bad)
            db.executemany("UPDATE tasks SET reason='unreadable' WHERE id=?", bad)
        return self.next_tasks(person, tab, work, reasons, count)

    def count(
        self, person: str, work: Work = "first", reasons: Sequence[Reason] = REASONS
    ) -> tuple[int, int]:
        """(clips that the person has labelled or decided, clips left in this kind of work)."""
        names = ",".join(f"'{name}'" for name in reasons if name in REASONS)
        kind = "decision" if work == "decide" else "label"
        with self._database.read() as db:
            done = db.execute(
                "SELECT COUNT(*) FROM standing WHERE person=? AND kind=?", (person, kind)
            ).fetchone()[0]
            remaining = db.execute(
                f"SELECT COUNT(*) FROM tasks t WHERE {_OPEN[work]} AND t.reason IN ({names})",  # noqa: S608
                {"person": person},
            ).fetchone()[0]
        return int(done), int(remaining)

    def lease(self, task: str, tab: str) -> Task:
        """Makes a clip the first of this page, as after "back".

        Raises:
            LabelError: another page shows it, or there is no such task.
        """
        with self._database.write() as db:
            self._end_leases(db)
            leased = _task(db, task)
            row = db.execute("SELECT tab FROM leases WHERE task=?", (task,)).fetchone()
            if row and row["tab"] != tab:
                raise LabelError("label_leased")
            db.execute("DELETE FROM leases WHERE task=?", (task,))
            self._lease(db, task, tab, last=False)
            return leased

    def _end_leases(self, db: sqlite3.Connection) -> None:
        """Those whose time is over, or that were made before the clock was set back."""
        now = self.clock()
        db.execute("DELETE FROM leases WHERE until NOT BETWEEN ? AND ?", (now, now + LEASE))

    def _lease(self, db: sqlite3.Connection, task: str, tab: str, *, last: bool) -> None:
        edge = "MAX(place) + 1" if last else "MIN(place) - 1"
        db.execute(
            f"INSERT INTO leases SELECT ?, ?, COALESCE({edge}, 0), ? FROM leases",  # noqa: S608
            (task, tab, self.clock() + LEASE),
        )

    # --- labels

    def add_label(self, label: Label) -> Label:
        """Writes a label, a skip or a decision; returns it as it was written.

        A label with the token of an earlier one is not written again.

        Raises:
            LabelError: there is no such task, or the disk is full.
        """
        return self.add_labels([label])[0]

    def add_labels(self, labels: Iterable[Label]) -> list[Label]:
        """The same for many: all of them are written, or none; returns those that were written.

        An imported label that is older than the person's valid label is left out.
        """
        with self._database.write() as db:
            return self._add_labels(db, labels)

    def import_labels(self, tasks: Iterable[Task], labels: Iterable[Label]) -> tuple[int, int]:
        """Tasks and labels of a file, all of it or nothing; (new tasks, new labels).

        Of a sound that is there already only what is missing changes.

        Raises:
            LabelError: the database cannot be written.
        """
        with self._database.write() as db:
            new = self._add_tasks(db, tasks, imported=True)
            before = db.execute("SELECT COUNT(*) FROM labels").fetchone()[0]
            self._add_labels(db, labels)
            return new, db.execute("SELECT COUNT(*) FROM labels").fetchone()[0] - before

    def _add_tasks(self, db: sqlite3.Connection, tasks: Iterable[Task], *, imported: bool) -> int:
        before = {row["id"]: row["path"] for row in db.execute("SELECT id, path FROM tasks")}
        for task in tasks:
            row = {**task_row(task, self._now()), "imported": imported}
            if Path(before.get(task.id, "-")).is_file():
                row["path"] = before[task.id]
            db.execute(ADD, row)
        rows = db.execute("SELECT id, reason, score FROM tasks").fetchall()
        turns = queue.ordered(
            [(r["id"], r["reason"], r["score"]) for r in rows if r["reason"] in REASONS]
        )
        db.executemany("UPDATE tasks SET turn=? WHERE id=?", enumerate(turns))
        return len(rows) - len(before)

    def _add_labels(self, db: sqlite3.Connection, labels: Iterable[Label]) -> list[Label]:
        added = []
        for label in labels:
            _task(db, label.task)
            if label.origin and label.at and is_outdated(db, label):
                continue
            token = label.token or uuid.uuid4().hex
            row = (
                *(label.task, label.person, label.kind, label.name, label.secondary),
                *(label.intensity, label.note, label.blind, label.took, label.origin),
                *(label.at or self._now(), token),
            )
            marks = ",".join("?" * len(row))
            insert = f"INSERT OR IGNORE INTO labels VALUES (NULL,{marks})"  # noqa: S608
            if db.execute(insert, row).rowcount:
                db.execute("DELETE FROM leases WHERE task=?", (label.task,))
            stored = db.execute("SELECT * FROM labels WHERE token=?", (token,)).fetchone()
            added.append(as_label(stored))
        return added

    def undo(self, person: str) -> Label | None:
        """Undoes the person's last label of the page; returns it, None if there is none.

        Raises:
            LabelError: the database cannot be written.
        """
        with self._database.write() as db:
            row = db.execute(
                "SELECT * FROM labels WHERE person=? AND origin='' AND number NOT IN"
                " (SELECT label FROM undone) ORDER BY number DESC LIMIT 1",
                (person,),
            ).fetchone()
            if row is None:
                return None
            db.execute("INSERT INTO undone VALUES (?,?)", (row["number"], self._now()))
            return replace(as_label(row), undone=True)

    def history(self, task: str = "", person: str = "") -> list[Label]:
        """Every label, of one task or one person if given, undone ones included."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT l.*, u.label IS NOT NULL AS gone FROM labels l LEFT JOIN undone u"
                " ON u.label=l.number WHERE (?1='' OR l.task=?1) AND (?2='' OR l.person=?2)"
                " ORDER BY l.number",
                (task, person),
            ).fetchall()
        return readable(rows, lambda row: replace(as_label(row), undone=bool(row["gone"])))

    def outcomes(self) -> list[Outcome]:
        """Every task that can be read with its valid labels, in the order of showing."""
        with self._database.read() as db:
            rows = db.execute("SELECT * FROM tasks ORDER BY turn").fetchall()
            valid = db.execute(
                "SELECT * FROM standing WHERE kind<>'skip' ORDER BY number"
            ).fetchall()
        by_task: dict[str, list[Label]] = defaultdict(list)
        for label in readable(valid, as_label):
            by_task[label.task].append(label)
        return [outcome_of(task, by_task[task.id]) for task in readable(rows, as_task)]

    def outcome(self, task: str) -> Outcome:
        """One task with its valid labels.

        Raises:
            LabelError: there is no such task.
        """
        query = "SELECT * FROM standing WHERE kind<>'skip' AND task=? ORDER BY number"
        with self._database.read() as db:
            return outcome_of(_task(db, task), readable(db.execute(query, (task,)), as_label))

    def _now(self) -> str:
        now = min(max(self.clock(), 0.0), LATEST)
        return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")


def _task(db: sqlite3.Connection, id: str) -> Task:
    row = db.execute("SELECT * FROM tasks WHERE id=?", (id,)).fetchone()
    if row is None:
        raise UnknownTaskError
    try:
        return as_task(row)
    except (ValueError, TypeError, AttributeError) as error:
        raise LabelError("label_task_unreadable", id=id, reason=error) from error
