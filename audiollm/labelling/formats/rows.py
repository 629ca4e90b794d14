"""What every format says of a clip: one row a label, checked with its line."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from audiollm import audio, labels
from audiollm.errors import AudioLLMError, LabelError
from audiollm.labelling.tasks import FORMER_REASONS, REASONS, UNUSUAL, Label, Outcome, Task
from audiollm.settings import Settings

FIELDS = (
    *("file", "label", "person", "kind", "secondary", "intensity", "note", "blind", "took", "at"),
    *("original", "speaker", "source", "reason", "final"),
)
KNOWN = frozenset(emotion.name for emotion in labels.EMOTIONS)


@dataclass(frozen=True)
class Found:
    """What a file holds, ready for `Labels.add` and `Labels.say_all`."""

    tasks: tuple[Task, ...]
    labels: tuple[Label, ...]


@dataclass
class Reader:
    """Turns rows into tasks and labels; the first that cannot be used ends it."""

    file: Path  # where the rows come from; relative sound files begin beside it
    person: str  # whose labels are those that name nobody
    settings: Settings
    known: Collection[str] = ()  # classes besides those of labels.py
    base: Path | None = None  # where relative sound files begin instead
    heard: dict[Path, tuple[str, float]] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)

    def add(self, line: int, row: Mapping[str, Any]) -> None:
        """One row: a clip, with a label unless it names none.

        Raises:
            LabelError: it names no sound, an unknown class, or a value that makes no sense.
        """
        try:
            task = self._task(row)
            self.tasks.setdefault(task.id, task)
            if row.get("label") or row.get("kind") == "skip":
                self.labels.append(self._label(task, row))
        except (AudioLLMError, ValueError, TypeError, OSError) as error:
            raise LabelError(
                f"{self.file.name}, line {line}: {_sentence(error)} Nothing of it was taken."
            ) from error

    def found(self) -> Found:
        return Found(tuple(self.tasks.values()), tuple(self.labels))

    def _task(self, row: Mapping[str, Any]) -> Task:
        name = _text(row, "file")
        if not name:
            raise LabelError("no sound file is named.")
        path = ((self.base or self.file.parent) / name).resolve()
        if not path.is_file():
            raise LabelError(f"the sound {name} is not there.")
        if path not in self.heard:
            sound = audio.load(path, self.settings)
            self.heard[path] = audio.content_hash(sound), sound.seconds
        id, seconds = self.heard[path]
        reason = _text(row, "reason") or "plain"
        reason = FORMER_REASONS.get(reason, reason)
        if reason not in REASONS:
            raise LabelError(f"{reason!r} is no reason: use one of {', '.join(REASONS)}.")
        return Task(
            id=id,
            path=str(path),
            seconds=seconds,
            source=_text(row, "source") or self.file.name,
            reason=reason,
            original=self._class(_text(row, "original")),
            speaker=_text(row, "speaker"),
        )

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
        # the same label imported again is the same label
        words = (label.task, label.person, label.kind, label.name, label.secondary)
        whole = "\0".join((*words, str(label.intensity), label.note, at))
        token = "file-" + hashlib.sha256(whole.encode()).hexdigest()
        return Label(**{**vars(label), "token": token})

    def _class(self, raw: str) -> str:
        """
        Raises:
            LabelError: the class is not known.
        """
        if not raw:
            return ""
        name = labels.canonical(raw)
        if name not in KNOWN and name not in self.known:
            raise LabelError(f"the class {raw!r} is not known.")
        return name


def rows(
    outcomes: Iterable[Outcome], file: "Mapping[str, str] | None" = None
) -> Iterator[dict[str, Any]]:
    """One row a standing label or decision, under FIELDS; one for a clip that has none.

    `file`: task id -> what stands under "file", where that is not the path of the sound.
    """
    for outcome in outcomes:
        task = outcome.task
        about = {
            "file": (file or {}).get(task.id, task.path),
            "original": task.original,
            "speaker": task.speaker,
            "source": task.source,
            "reason": task.reason,
            "final": outcome.final,
        }
        said = [*outcome.labels, *([outcome.decision] if outcome.decision else [])]
        if not said:
            yield dict.fromkeys(FIELDS, "") | about
        for label in said:
            yield about | {
                "label": label.name,
                "person": label.person,
                "kind": label.kind,
                "secondary": label.secondary,
                "intensity": label.intensity,
                "note": label.note,
                "blind": label.blind,
                "took": label.took,
                "at": label.at,
            }


def _text(row: Mapping[str, Any], key: str) -> str:
    return " ".join(str(row.get(key) or "").split())


def _sentence(error: Exception) -> str:
    said = str(error)
    return said if said.endswith(".") else f"{said}."
