"""Label Studio's JSON: a list of tasks, each with its sound and its annotations.

It is written into a folder with the sounds, which Label Studio serves as local files.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

from audiollm.errors import LabelError
from audiollm.labelling.formats.folders import copy_sounds
from audiollm.labelling.formats.rows import Imported, Reader, at_line, read_text, task_fields
from audiollm.labelling.tasks import Label, Outcome, Task
from audiollm.settings import Settings

# The labelling interface that these names belong to; docs/labelling.md shows it.
EMOTION, SECONDARY, INTENSITY, NOTE, SOUND = "emotion", "secondary", "intensity", "note", "audio"
TASKS = "tasks.json"
SERVED = "/data/local-files/?d="  # by Label Studio, from its LOCAL_FILES_DOCUMENT_ROOT


_LOCAL = re.compile(r"/data/local-files/\?(?:[^#]*?&)?d=(.*)", re.DOTALL)
_REMOTE = re.compile("(https?|s3|gs)://", re.IGNORECASE)


def write_studio(outcomes: Sequence[Outcome], folder: Path) -> None:
    """TASKS with annotations and the model's answers as predictions, and audio/ID.flac.

    Raises:
        LabelError: the folder exists, or a sound cannot be copied.
    """
    files = copy_sounds(outcomes, folder, lambda _: SOUND)
    tasks = [
        {
            "id": number,
            "data": {SOUND: SERVED + quote(files[outcome.task.id])},
            "meta": task_fields(outcome.task),
            "annotations": [_annotation(label) for label in outcome.all_labels],
            "predictions": _predictions(outcome.task),
        }
        for number, outcome in enumerate(outcomes, start=1)
    ]
    text = json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"
    (folder / TASKS).write_text(text, "utf-8", "backslashreplace")


def _annotation(label: Label) -> dict[str, Any]:
    result = [_choice(EMOTION, label.name)]
    if label.secondary:
        result.append(_choice(SECONDARY, label.secondary))
    if label.intensity:
        result.append(_part(INTENSITY, "rating", {"rating": label.intensity}))
    if label.note:
        result.append(_part(NOTE, "textarea", {"text": [label.note]}))
    return {
        "completed_by": {"email": label.person},
        "created_at": label.at,
        "lead_time": label.took,
        "was_cancelled": False,
        "ground_truth": label.kind == "decision",
        "meta": {"blind": label.blind},
        "result": result,
    }


def _predictions(task: Task) -> list[dict[str, Any]]:
    if not task.answer:
        return []
    best = task.predicted
    score, result = task.answer[best], [_choice(EMOTION, best)]
    return [{"model_version": task.model, "score": score, "result": result}]


def _choice(name: str, value: str) -> dict[str, Any]:
    return _part(name, "choices", {"choices": [value]})


def _part(name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"from_name": name, "to_name": SOUND, "type": kind, "value": value}


def read_studio(
    path: Path, person: str, settings: Settings, known: Collection[str] = ()
) -> Imported:
    """Tasks that Label Studio exports, or that were written here.

    The sound is `data["audio"]`, else the only text of `data`. The first choice of an annotation is
    the emotion, a second one the second emotion.

    Raises:
        LabelError: it is not such a file, or one of its tasks cannot be used.
    """
    reader = Reader(path, person, settings, known)
    for line, task in _tasks(path):
        try:
            rows = list(_rows(task))
        except LabelError as error:
            raise at_line(path, line, error) from error
        for row in rows:
            reader.add(line, row)
    return reader.imported()


def _rows(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One row per annotation, or one without a label."""
    data = task.get("data")
    if not isinstance(data, dict):
        raise LabelError("label_studio_data")
    meta = task.get("meta")
    about = {**(meta if isinstance(meta, dict) else {}), "file": _sound(data)}
    annotations = task.get("annotations", task.get("completions", []))
    if not isinstance(annotations, list):
        raise LabelError("label_studio_annotations")
    valid = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
    for fields in map(_fields, valid) if valid else [{"label": ""}]:
        yield about | fields


def _tasks(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(first line, task) of a JSON list, or of a single task."""
    text, decoder = read_text(path), json.JSONDecoder()
    at = _next(text, 0)
    many = text.startswith("[", at)
    at = _next(text, at + many)
    while at < len(text) and not (many and text[at] == "]"):
        line = text.count("\n", 0, at) + 1
        try:
            task, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise at_line(path, line, LabelError("label_no_json", reason=error)) from error
        if not isinstance(task, dict):
            raise at_line(path, line, LabelError("label_no_object"))
        yield line, task
        at = _next(text, at)
        if many and text.startswith(",", at):
            at = _next(text, at + 1)
        elif many and not text.startswith("]", at):
            raise LabelError("label_cut_off", file=path.name)


def _next(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _sound(data: dict[str, Any]) -> tuple[str, ...]:
    """The names that the address of a sound may mean, the likeliest first: people write it with
    escapes and without."""
    texts = [value for value in data.values() if isinstance(value, str)]
    raw = data.get(SOUND, texts[0] if len(texts) == 1 else None)
    if not isinstance(raw, str):
        raise LabelError("label_studio_sound", name=SOUND)
    if local := _LOCAL.search(raw):
        name = local[1]
        return unquote(name), name, unquote_plus(name), unquote(name.split("&")[0])
    if _REMOTE.match(raw):
        raise LabelError("label_sound_remote", name=raw)
    if raw.startswith("/data/upload/"):  # exported with its sounds beside it
        return PurePosixPath(unquote(raw)).name, PurePosixPath(raw).name
    return (raw,)


def _fields(annotation: dict[str, Any]) -> dict[str, Any]:
    """An annotation under the names of `rows.FIELDS`."""
    row: dict[str, Any] = {
        "person": _person(annotation.get("completed_by")),
        "kind": "decision" if annotation.get("ground_truth") else "label",
        "took": annotation.get("lead_time"),
        "at": annotation.get("created_at"),
    }
    meta = annotation.get("meta")
    row["blind"] = meta.get("blind") if isinstance(meta, dict) else False
    emotions: list[str] = []
    for part in annotation.get("result", []):
        try:
            value = part["value"]
            if "choices" in value:
                names = [str(name) for name in value["choices"]]
                if part.get("from_name") == SECONDARY:
                    row["secondary"] = names[0]
                else:
                    emotions += names
            elif "rating" in value:
                row["intensity"] = value["rating"]
            elif "text" in value:
                texts = value["text"]
                row["note"] = texts if isinstance(texts, str) else "\n".join(texts)
        except (KeyError, TypeError, IndexError) as error:
            raise LabelError("label_studio_value") from error
    if not emotions:
        raise LabelError("label_studio_no_emotion")
    if len(emotions) > 2 or (len(emotions) == 2 and row.get("secondary")):
        raise LabelError("label_studio_many", n=len(emotions))
    row["label"] = emotions[0]
    if len(emotions) == 2:
        row["secondary"] = emotions[1]
    return row


def _person(raw: Any) -> str:
    """Label Studio identifies people by number, by e-mail address, or by an object with both."""
    if isinstance(raw, dict):
        raw = raw.get("email") or raw.get("username") or raw.get("id")
    if isinstance(raw, int):
        return f"user {raw}"
    return str(raw or "")[:40]
