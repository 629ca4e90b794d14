"""Label Studio's JSON: a list of tasks, each with its sound and everybody's annotations."""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from audiollm.errors import LabelError
from audiollm.labelling.formats.rows import Found, Reader
from audiollm.labelling.tasks import Label, Outcome, Task
from audiollm.settings import Settings

# The labelling interface that these names belong to; docs/labelling.md shows it.
EMOTION, SECONDARY, INTENSITY, NOTE, SOUND = "emotion", "secondary", "intensity", "note", "audio"


def write_studio(outcomes: Sequence[Outcome], path: Path) -> None:
    """Tasks with annotations, the model's answers as predictions."""
    tasks = []
    for number, outcome in enumerate(outcomes, start=1):
        task = outcome.task
        votes = [*outcome.labels, *([outcome.decision] if outcome.decision else [])]
        tasks.append(
            {
                "id": number,
                "data": {SOUND: task.path},
                "meta": {
                    "original": task.original,
                    "speaker": task.speaker,
                    "source": task.source,
                    "reason": task.reason,
                },
                "annotations": [_annotation(vote) for vote in votes],
                "predictions": _predictions(task),
            }
        )
    text = json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"
    path.write_text(text, encoding="utf-8")


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
    score = task.answer[best]
    found = {"model_version": task.model, "score": score, "result": [_choice(EMOTION, best)]}
    return [found]


def _choice(name: str, value: str) -> dict[str, Any]:
    return _part(name, "choices", {"choices": [value]})


def _part(name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"from_name": name, "to_name": SOUND, "type": kind, "value": value}


def read_studio(path: Path, person: str, settings: Settings, known: Collection[str] = ()) -> Found:
    """Tasks that Label Studio exports, or that were written here.

    The sound is what `data` calls "audio", else its only text. Of the annotations every `choices`
    counts: the first names the emotion, a second one the second emotion.

    Raises:
        LabelError: it is not such a file, or one of its tasks cannot be used.
    """
    reader = Reader(path, person, settings, known)
    for line, task in _tasks(path):
        where = f"{path.name}, line {line}"
        data = task.get("data")
        if not isinstance(data, dict):
            raise LabelError(f"{where}: this task has no data.")
        meta = task.get("meta") if isinstance(task.get("meta"), dict) else {}
        about = {**(meta or {}), "file": _sound(data, where)}
        annotations = task.get("annotations", task.get("completions", []))
        if not isinstance(annotations, list):
            raise LabelError(f"{where}: annotations must be a list.")
        said = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
        if not said:
            reader.add(line, {**about, "label": ""})
        for annotation in said:
            reader.add(line, {**about, **_row(annotation, where)})
    return reader.found()


def _tasks(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line where it begins, task) of a JSON list, or of one task alone."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path.name} cannot be read as UTF-8 ({error}).") from error
    decoder, place = json.JSONDecoder(), _next(text, 0)
    many = text.startswith("[", place)
    place = _next(text, place + many)
    while place < len(text) and not (many and text[place] == "]"):
        line = text.count("\n", 0, place) + 1
        try:
            task, place = decoder.raw_decode(text, place)
        except ValueError as error:
            raise LabelError(f"{path.name}, line {line}: this is no JSON ({error}).") from error
        if not isinstance(task, dict):
            raise LabelError(f"{path.name}, line {line}: a task must stand here.")
        yield line, task
        place = _next(text, place)
        if many and text.startswith(",", place):
            place = _next(text, place + 1)
        elif many and not text.startswith("]", place):
            raise LabelError(f"{path.name}: the list has no end; the file is cut off.")


def _next(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _sound(data: dict[str, Any], where: str) -> str:
    texts = [value for value in data.values() if isinstance(value, str)]
    raw = data.get(SOUND, texts[0] if len(texts) == 1 else None)
    if not isinstance(raw, str):
        raise LabelError(f"{where}: data names no sound under {SOUND!r}.")
    address = urlsplit(raw)
    if address.scheme in ("http", "https", "s3", "gs"):
        raise LabelError(f"{where}: the sound {raw} lies elsewhere; put the file beside this one.")
    if address.path.endswith("/data/local-files/"):
        return unquote(parse_qs(address.query).get("d", [""])[0])
    if address.path.startswith("/data/upload/"):  # exported with its sounds beside it
        return PurePosixPath(unquote(address.path)).name
    return raw


def _row(annotation: dict[str, Any], where: str) -> dict[str, Any]:
    """An annotation as a row of `rows`."""
    row: dict[str, Any] = {
        "person": _person(annotation.get("completed_by")),
        "kind": "decision" if annotation.get("ground_truth") else "label",
        "took": annotation.get("lead_time"),
        "at": annotation.get("created_at"),
    }
    meta = annotation.get("meta")
    row["blind"] = meta.get("blind") if isinstance(meta, dict) else False
    chosen: list[str] = []
    for part in annotation.get("result", []):
        try:
            value = part["value"]
            if "choices" in value:
                names = [str(name) for name in value["choices"]]
                if part.get("from_name") == SECONDARY:
                    row["secondary"] = names[0]
                else:
                    chosen += names
            elif "rating" in value:
                row["intensity"] = value["rating"]
            elif "text" in value:
                texts = value["text"]
                row["note"] = texts if isinstance(texts, str) else "\n".join(texts)
        except (KeyError, TypeError, IndexError) as error:
            raise LabelError(f"{where}: a result has no value that can be read.") from error
    if not chosen:
        raise LabelError(f"{where}: an annotation chooses no emotion.")
    if len(chosen) > 2 or (len(chosen) == 2 and row.get("secondary")):
        raise LabelError(f"{where}: an annotation chooses {len(chosen)} emotions; two may be.")
    row["label"] = chosen[0]
    if len(chosen) == 2:
        row["secondary"] = chosen[1]
    return row


def _person(raw: Any) -> str:
    """Label Studio knows people by number, by address, or as an object with both."""
    if isinstance(raw, dict):
        raw = raw.get("email") or raw.get("username") or raw.get("id")
    if isinstance(raw, int):
        return f"user {raw}"
    return str(raw or "")[:40]
