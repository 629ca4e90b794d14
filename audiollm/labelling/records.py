"""Tasks and labels as rows of the database."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

from audiollm.labelling.saved import shares
from audiollm.labelling.tasks import Label, Outcome, Task

ADD = """
    INSERT INTO tasks VALUES (:id, :path, :seconds, :source, :reason, :score, :original, :model,
        :answer, :other_model, :other_answer, :speaker, 0, :added_at,
        :suggestion)
    ON CONFLICT (id) DO UPDATE SET path=excluded.path,
        model=CASE WHEN {kept} THEN model ELSE excluded.model END,
        answer=CASE WHEN {kept} THEN answer ELSE excluded.answer END,
        other_model=CASE WHEN {other_kept} THEN other_model ELSE excluded.other_model END,
        other_answer=CASE WHEN {other_kept} THEN other_answer ELSE excluded.other_answer END,
        original=CASE WHEN original='' THEN excluded.original ELSE original END,
        speaker=CASE WHEN speaker='' THEN excluded.speaker ELSE speaker END,
        suggestion=CASE WHEN excluded.suggestion='' OR :imported AND suggestion<>''
            THEN suggestion ELSE excluded.suggestion END,
        reason=CASE WHEN {settled} THEN reason ELSE excluded.reason END,
        score=CASE WHEN {settled} THEN score ELSE excluded.score END
""".format(  # noqa: S608
    kept="excluded.answer='{}' OR :imported AND answer<>'{}'",
    other_kept="excluded.other_answer='{}' OR :imported AND other_answer<>'{}'",
    settled=":imported OR reason='random' OR EXISTS (SELECT 1 FROM labels WHERE task=tasks.id)",
)


def task_row(task: Task, now: str) -> dict[str, object]:
    plain = {**vars(task), "added_at": now}
    return plain | {key: json.dumps(dict(plain[key])) for key in ("answer", "other_answer")}


def as_task(row: sqlite3.Row) -> Task:
    plain = {key: row[key] for key in row.keys() if key not in ("turn", "added_at")}  # noqa: SIM118
    return Task(**plain | {key: shares(row[key]) for key in ("answer", "other_answer")})


def as_label(row: sqlite3.Row) -> Label:
    plain = {key: row[key] for key in row.keys() if key != "gone"}  # noqa: SIM118
    return Label(**plain | {"blind": bool(row["blind"])})


def outcome_of(task: Task, valid: Sequence[Label]) -> Outcome:
    decisions = [label for label in valid if label.kind == "decision"]
    votes = tuple(label for label in valid if label.kind == "label")
    return Outcome(task, votes, max(decisions, key=lambda one: time_of(one.at), default=None))


def is_outdated(db: sqlite3.Connection, label: Label) -> bool:
    """Whether the same label was there, perhaps undone since, or the person's label is later."""
    rows = db.execute(
        "SELECT *, number IN (SELECT label FROM undone) AS gone FROM labels"
        " WHERE task=? AND person=? AND kind=?",
        (label.task, label.person, label.kind),
    ).fetchall()
    fields, then = ("name", "secondary", "intensity", "note"), time_of(label.at)
    return any(
        not row["gone"]
        if time_of(row["at"]) > then
        else time_of(row["at"]) == then and all(row[f] == getattr(label, f) for f in fields)
        for row in rows
    )


def time_of(at: str) -> datetime:
    """A time without a time zone is UTC."""
    time = datetime.fromisoformat(at)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
