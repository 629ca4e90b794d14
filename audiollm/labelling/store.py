"""Tasks, labels and leases in the database of the home folder.

A label is on the disk before `add_label` returns, and is never changed or deleted afterwards. The
last label of each person that was not undone is valid (the view `standing`).
"""

import json
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
from audiollm.labelling.saved import shares
from audiollm.labelling.tasks import (
    REASONS,
    Label,
    Outcome,
    Reason,
    Task,
    checked_class,
    checked_person,
)
from audiollm.labels import ordered

Work = Literal[
    "first",  # clips without a label
    "second",  # clips that others have labelled and this person has not
    "decide",  # clips whose labels differ
]
WORKS: tuple[Work, ...] = get_args(Work)
LEASE = 600.0  # s for which a clip that one page shows is reserved for it

_OPEN: dict[Work, str] = {
    "first": "NOT EXISTS (SELECT 1 FROM standing s WHERE s.task=t.id AND s.kind<>'skip')",
    "second": """EXISTS (SELECT 1 FROM standing s WHERE s.task=t.id AND s.kind='label')
        AND NOT EXISTS (SELECT 1 FROM standing s
            WHERE s.task=t.id AND (s.kind='decision' OR s.kind='label' AND s.person=:person))""",
    "decide": """(SELECT COUNT(DISTINCT s.name) FROM standing s
            WHERE s.task=t.id AND s.kind='label') > 1
        AND NOT EXISTS (SELECT 1 FROM standing s WHERE s.task=t.id AND s.kind='decision')""",
}
_SKIPPED = """COALESCE((SELECT MAX(s.number) FROM standing s
    WHERE s.task=t.id AND s.kind='skip' AND s.person=:person), 0)"""
_VOTES = "(SELECT COUNT(*) FROM standing s WHERE s.task=t.id AND s.kind='label')"


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

        A sound that is there already keeps its labels and its original class. Its reason changes
        only while it has no label, and never if it is random.

        Raises:
            LabelError: the database cannot be written.
        """
        return self.import_labels(tasks, ())[0]

    def tasks(self) -> list[Task]:
        """All tasks that can be read, in the order of showing."""
        with self._database.read() as db:
            return readable(db.execute("SELECT * FROM tasks ORDER BY turn"), _task)

    def task(self, id: str) -> Task:
        """
        Raises:
            LabelError: there is no such task.
        """
        with self._database.read() as db:
            return _found(db, id)

    def classes(self) -> tuple[str, ...]:
        """Every class of the tasks, in the order of labels.py."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT key FROM tasks, json_each(iif(json_valid(answer), answer, '{}')) UNION"
                " SELECT key FROM tasks,"
                " json_each(iif(json_valid(other_answer), other_answer, '{}')) UNION"
                " SELECT original FROM tasks WHERE original<>''"
            ).fetchall()
        return ordered(readable(rows, lambda row: checked_class(row[0])))

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
        votes = f"{_VOTES}," if work == "second" else ""
        wanted = f"FROM tasks t WHERE {_OPEN[work]} AND t.reason IN ({names})"
        with self._database.write() as db:
            db.execute("DELETE FROM leases WHERE until<?", (self.clock(),))
            mine = "SELECT task FROM leases WHERE tab=:tab"
            who = {"person": person, "tab": tab, "count": count}
            db.execute(
                f"DELETE FROM leases WHERE tab=:tab AND task NOT IN (SELECT t.id {wanted})",  # noqa: S608
                who,
            )
            rows = db.execute(
                f"SELECT t.id {wanted} AND t.id NOT IN (SELECT task FROM leases)"  # noqa: S608
                f" ORDER BY {_SKIPPED}, {votes} t.turn"
                f" LIMIT MAX(0, :count - (SELECT COUNT(*) FROM ({mine})))",
                who,
            ).fetchall()
            for row in rows:
                self._lease(db, row["id"], tab, last=True)
            db.execute("UPDATE leases SET until=? WHERE tab=?", (self.clock() + LEASE, tab))
            held = "SELECT t.* FROM tasks t JOIN leases l ON l.task=t.id WHERE l.tab=?"
            rows = db.execute(f"{held} ORDER BY l.place LIMIT {count}", (tab,)).fetchall()
            found = readable(rows, _task)
            if len(found) == len(rows):
                return found
            known = {task.id for task in found}
            bad = [(row["id"],) for row in rows if row["id"] not in known]
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
            left = db.execute(
                f"SELECT COUNT(*) FROM tasks t WHERE {_OPEN[work]} AND t.reason IN ({names})",  # noqa: S608
                {"person": person},
            ).fetchone()[0]
        return int(done), int(left)

    def lease(self, task: str, tab: str) -> Task:
        """Makes a clip the first of this page, as after "back".

        Raises:
            LabelError: another page shows it, or there is no such task.
        """
        with self._database.write() as db:
            db.execute("DELETE FROM leases WHERE until<?", (self.clock(),))
            found = _found(db, task)
            row = db.execute("SELECT tab FROM leases WHERE task=?", (task,)).fetchone()
            if row and row["tab"] != tab:
                raise LabelError("label_leased")
            db.execute("DELETE FROM leases WHERE task=?", (task,))
            self._lease(db, task, tab, last=False)
            return found

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

    def add_labels(self, given: Iterable[Label]) -> list[Label]:
        """The same for many: all of them are written, or none; returns those that were written.

        An imported label that is older than the person's valid label is left out.
        """
        with self._database.write() as db:
            return self._add_labels(db, given)

    def import_labels(self, tasks: Iterable[Task], given: Iterable[Label]) -> tuple[int, int]:
        """Tasks and labels of a file, all of it or nothing; (new tasks, labels written).

        Raises:
            LabelError: the database cannot be written.
        """
        with self._database.write() as db:
            before = db.execute("SELECT COUNT(*) FROM tasks").fetchone()[0]
            now = self._now()
            for task in tasks:
                db.execute(_ADD, _row(task, now))
            rows = db.execute("SELECT id, reason, score FROM tasks").fetchall()
            turns = queue.ordered(
                [(r["id"], r["reason"], r["score"]) for r in rows if r["reason"] in REASONS]
            )
            db.executemany("UPDATE tasks SET turn=? WHERE id=?", enumerate(turns))
            return len(rows) - int(before), len(self._add_labels(db, given))

    def _add_labels(self, db: sqlite3.Connection, given: Iterable[Label]) -> list[Label]:
        written = []
        for label in given:
            _found(db, label.task)
            if label.origin and label.at and _outdated(db, label):
                continue
            token = label.token or uuid.uuid4().hex
            row = (
                *(label.task, label.person, label.kind, label.name, label.secondary),
                *(label.intensity, label.note, label.blind, label.took, label.origin),
                *(label.at or self._now(), token),
            )
            marks = ",".join("?" * len(row))
            db.execute(f"INSERT OR IGNORE INTO labels VALUES (NULL,{marks})", row)  # noqa: S608
            db.execute("DELETE FROM leases WHERE task=?", (label.task,))
            stored = db.execute("SELECT * FROM labels WHERE token=?", (token,)).fetchone()
            written.append(_label(stored))
        return written

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
            return replace(_label(row), undone=True)

    def history(self, task: str = "", person: str = "") -> list[Label]:
        """Every label, of one task or one person if given, undone ones included."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT l.*, u.label IS NOT NULL AS gone FROM labels l LEFT JOIN undone u"
                " ON u.label=l.number WHERE (?1='' OR l.task=?1) AND (?2='' OR l.person=?2)"
                " ORDER BY l.number",
                (task, person),
            ).fetchall()
        return readable(rows, lambda row: replace(_label(row), undone=bool(row["gone"])))

    def outcomes(self) -> list[Outcome]:
        """Every task that can be read with its valid labels, in the order of showing."""
        with self._database.read() as db:
            rows = db.execute("SELECT * FROM tasks ORDER BY turn").fetchall()
            valid = db.execute(
                "SELECT * FROM standing WHERE kind<>'skip' ORDER BY number"
            ).fetchall()
        by_task: dict[str, list[Label]] = defaultdict(list)
        for label in readable(valid, _label):
            by_task[label.task].append(label)
        return [_outcome(task, by_task[task.id]) for task in readable(rows, _task)]

    def outcome(self, task: str) -> Outcome:
        """One task with its valid labels.

        Raises:
            LabelError: there is no such task.
        """
        query = "SELECT * FROM standing WHERE kind<>'skip' AND task=? ORDER BY number"
        with self._database.read() as db:
            found = _found(db, task)
            return _outcome(found, readable(db.execute(query, (task,)), _label))

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="milliseconds")


_ADD = """
    INSERT INTO tasks VALUES (:id, :path, :seconds, :source, :reason, :score, :original, :model,
        :answer, :other_model, :other_answer, :speaker, 0, :added_at)
    ON CONFLICT (id) DO UPDATE SET path=excluded.path, model=excluded.model,
        answer=excluded.answer, other_model=excluded.other_model,
        other_answer=excluded.other_answer,
        original=CASE WHEN original='' THEN excluded.original ELSE original END,
        speaker=CASE WHEN speaker='' THEN excluded.speaker ELSE speaker END,
        reason=CASE WHEN reason='random' OR EXISTS (SELECT 1 FROM labels WHERE task=tasks.id)
            THEN reason ELSE excluded.reason END,
        score=CASE WHEN reason='random' OR EXISTS (SELECT 1 FROM labels WHERE task=tasks.id)
            THEN score ELSE excluded.score END
"""


def _row(task: Task, now: str) -> dict[str, object]:
    plain = {**vars(task), "added_at": now}
    return plain | {key: json.dumps(dict(plain[key])) for key in ("answer", "other_answer")}


def _task(row: sqlite3.Row) -> Task:
    plain = {key: row[key] for key in row.keys() if key not in ("turn", "added_at")}  # noqa: SIM118
    return Task(**plain | {key: shares(row[key]) for key in ("answer", "other_answer")})


def _label(row: sqlite3.Row) -> Label:
    plain = {key: row[key] for key in row.keys() if key != "gone"}  # noqa: SIM118
    return Label(**plain | {"blind": bool(row["blind"])})


def _outcome(task: Task, valid: Sequence[Label]) -> Outcome:
    decisions = [label for label in valid if label.kind == "decision"]
    votes = tuple(label for label in valid if label.kind == "label")
    return Outcome(task, votes, decisions[-1] if decisions else None)


def _outdated(db: sqlite3.Connection, label: Label) -> bool:
    """Whether the person's valid label is the same, or a later one."""
    row = db.execute(
        "SELECT * FROM standing WHERE task=? AND person=? AND kind=?",
        (label.task, label.person, label.kind),
    ).fetchone()
    if row is None:
        return False
    now, then = _time(row["at"]), _time(label.at)
    fields = ("name", "secondary", "intensity", "note")
    return now > then or (now == then and all(row[f] == getattr(label, f) for f in fields))


def _time(at: str) -> datetime:
    """A time without a time zone is UTC."""
    found = datetime.fromisoformat(at)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _found(db: sqlite3.Connection, id: str) -> Task:
    row = db.execute("SELECT * FROM tasks WHERE id=?", (id,)).fetchone()
    if row is None:
        raise UnknownTaskError
    try:
        return _task(row)
    except (ValueError, TypeError, AttributeError) as error:
        raise LabelError("label_task_unreadable", id=id, reason=error) from error
