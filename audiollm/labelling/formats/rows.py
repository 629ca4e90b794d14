"""The rows that all formats have in common: one row per label, checked with its line number."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from audiollm import audio, labels
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import AudioLLMError, LabelError
from audiollm.labelling.saved import shares
from audiollm.labelling.tasks import FORMER_REASONS, REASONS, UNUSUAL, Label, Outcome, Task
from audiollm.settings import Settings

FIELDS = (
    *("file", "label", "person", "kind", "secondary", "intensity", "note", "blind", "took", "at"),
    *("original", "speaker", "source", "reason", "final", "suggestion"),
    *("score", "model", "answer", "other_model", "other_answer"),
)
KNOWN = frozenset(emotion.name for emotion in labels.EMOTIONS)


@dataclass(frozen=True)
class Imported:
    """The contents of a file, for `LabelStore.import_labels`."""

    tasks: tuple[Task, ...]
    labels: tuple[Label, ...]


@dataclass
class Reader:
    """Turns rows into tasks and labels. The first row that cannot be used raises."""

    file: Path  # relative paths of sounds begin in its folder
    person: str  # of labels without a person
    settings: Settings
    known: Collection[str] = ()  # classes besides those of labels.py
    base: Path | None = None  # where relative paths of sounds begin instead
    loaded: dict[Path, tuple[str, float]] = field(default_factory=dict)  # (id, seconds)
    tasks: dict[str, Task] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)

    def add(self, line: int, row: Mapping[str, Any]) -> None:
        """One row: a clip, and its label if there is one.

        Raises:
            LabelError: a sound is missing, a class is unknown, or a value cannot be read.
        """
        row = {name: value for name, value in row.items() if not labels.is_missing(value)}
        try:
            task = self._task(row)
            self.tasks.setdefault(task.id, task)
            if labels.cell(row.get("label")) or row.get("kind") == "skip":
                self.labels.append(self._label(task, row))
        except (AudioLLMError, ValueError, TypeError, OSError) as error:
            if not isinstance(error, AudioLLMError):
                error = LabelError("label_bad_value", reason=error)
            raise at_line(self.file, line, error) from error

    def imported(self) -> Imported:
        return Imported(tuple(self.tasks.values()), tuple(self.labels))

    def _task(self, row: Mapping[str, Any]) -> Task:
        path = self._sound(row.get("file"))
        if path not in self.loaded:
            sound = audio.load(path, self.settings)
            self.loaded[path] = audio.content_hash(sound), sound.seconds
        id, seconds = self.loaded[path]
        reason = _text(row, "reason") or "plain"
        reason = FORMER_REASONS.get(reason, reason)
        if reason not in REASONS:
            raise LabelError("label_unknown_reason", name=reason, known=", ".join(REASONS))
        answers: dict[str, Any] = {}
        if row.get("reason"):  # a table of another program may have other columns of these names
            answers = {
                "score": float(row.get("score") or 0),
                "model": _text(row, "model"),
                "answer": _answer(row, "answer"),
                "other_model": _text(row, "other_model"),
                "other_answer": _answer(row, "other_answer"),
            }
            self.known = {*self.known, *answers["answer"], *answers["other_answer"]}
            answers["suggestion"] = self._class(_text(row, "suggestion"))
        return Task(
            id=id,
            path=str(path),
            seconds=seconds,
            source=_text(row, "source") or self.file.name,
            reason=reason,
            original=self._class(_text(row, "original")),
            speaker=labels.cell(_text(row, "speaker")),
            **answers,
        )

    def _sound(self, value: Any) -> Path:
        """The file of a name, or of the first of several that is there."""
        names = value if isinstance(value, tuple) else (str(value or "").strip(),)
        if not names[0]:
            raise LabelError("label_no_sound")
        for name in (*names, *(name.replace("\\", "/") for name in names)):  # as on Windows
            path = (self.base or self.file.parent) / name
            if path.is_file():
                return path.resolve()
        raise LabelError("label_sound_missing", name=names[0])

    def _label(self, task: Task, row: Mapping[str, Any]) -> Label:
        name = _text(row, "label")
        at = _text(row, "at")
        if at:
            datetime.fromisoformat(at)
        label = Label(
            task=task.id,
            person=_text(row, "person") or self.person,
            name=name if name in UNUSUAL else self._class(name),
            secondary=self._class(_text(row, "secondary")),
            intensity=int(row.get("intensity") or 0),
            note=str(row.get("note") or ""),
            kind=_text(row, "kind") or "label",  # type: ignore[arg-type]
            blind=str(row.get("blind") or "").lower() in ("1", "true", "yes"),
            took=float(row.get("took") or 0),
            origin=self.file.name,
            at=at,
        )
        # the same label imported again has the same token
        parts = (label.task, label.person, label.kind, label.name, label.secondary)
        whole = "\0".join((*parts, str(label.intensity), label.note, at))
        token = "file-" + hashlib.sha256(whole.encode()).hexdigest()
        return Label(**{**vars(label), "token": token})

    def _class(self, raw: str) -> str:
        name = labels.canonical(raw) if labels.cell(raw) else ""
        if name and name not in KNOWN and name not in self.known:
            if likely := labels.likely(name):
                raise LabelError("label_likely_class", name=raw, likely=likely)
            known = ", ".join(sorted({*KNOWN, *self.known}))
            raise LabelError("label_unknown_class", name=raw, known=known)
        return name


def at_line(file: Path, line: int, reason: AudioLLMError) -> LabelError:
    """The same error with the line that it belongs to."""
    return LabelError("label_line", file=file.name, line=line, reason=reason)


def read_text(path: Path) -> str:
    """
    Raises:
        LabelError: the file cannot be read as UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError("label_unreadable", file=path.name, reason=error) from error


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, object) of a file of JSON lines.

    Raises:
        LabelError: the file cannot be read, or a line is no JSON object.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise at_line(path, number, LabelError("label_no_json", reason=error)) from error
        if not isinstance(row, dict):
            raise at_line(path, number, LabelError("label_no_object"))
        yield number, row


def label_fields(label: Label) -> dict[str, Any]:
    """A label under its names of FIELDS."""
    names = ("person", "kind", "secondary", "intensity", "note", "blind", "took", "at")
    return {"label": label.name} | {name: getattr(label, name) for name in names}


def task_fields(task: Task) -> dict[str, Any]:
    """What files carry of a task besides its sound; answers as JSON: their classes differ."""
    names = (
        *("original", "speaker", "source", "reason", "suggestion", "score"),
        *("model", "other_model"),
    )
    answers = {name: getattr(task, name) for name in ("answer", "other_answer")}
    return {name: getattr(task, name) for name in names} | {
        name: json.dumps(dict(answer), ensure_ascii=False) if answer else ""
        for name, answer in answers.items()
    }


def rows(
    outcomes: Iterable[Outcome], files: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """One row per valid label or decision, under FIELDS; one for a clip without any.

    `files`: task id -> path under "file", where that is not the path of the sound.
    """
    for outcome in outcomes:
        task = outcome.task
        path = (files or {}).get(task.id, task.path)
        about = {"file": path, **task_fields(task), "final": outcome.final}
        if not outcome.all_labels:
            yield dict.fromkeys(FIELDS, "") | about
        for label in outcome.all_labels:
            yield about | label_fields(label)


def _answer(row: Mapping[str, Any], key: str) -> dict[str, float]:
    return shares(str(row.get(key) or "{}"))


def _text(row: Mapping[str, Any], key: str) -> str:
    return " ".join(str(row.get(key) or "").split())
