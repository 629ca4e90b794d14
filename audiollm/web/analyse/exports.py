"""Exports of an answer, in attributes of buttons: page.js copies or saves them in the browser."""

import csv
import io
import json
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from audiollm.audio.timeline import Timeline
from audiollm.labels import Language
from audiollm.texts import text

if TYPE_CHECKING:
    from audiollm.predictor import Prediction

WAYS = ("copy", "json", "csv", "png")


def actions(answer: "Prediction", line: Timeline | None, language: Language, name: str) -> str:
    """Buttons to copy the text and to save the answer; `line` is its course, when it is there.

    `name` of the clip: what is saved is called after it.
    """
    holds = {"json": as_json(answer, line), "csv": as_csv(answer, line), "text": answer.text}
    data = "".join(f' data-{key}="{escape(value)}"' for key, value in holds.items())
    buttons = "".join(
        f'<button type="button" data-take="{way}">{text(f"take_{way}", language)}</button>'
        for way in WAYS
    )
    return f'<div class="actions" data-name="{escape(name)}-emotion"{data}>{buttons}</div>'


def as_json(answer: "Prediction", line: Timeline | None) -> str:
    """The answer as `python -m audiollm --json` says it, and the windows of its course."""
    content = answer.to_dict()
    if line is not None:
        content["course"] = [
            {"start": round(start, 3), "end": round(end, 3), "probabilities": shares}
            for (start, end), shares in zip(line.spans, _rows(line), strict=True)
        ]
    return json.dumps(content, ensure_ascii=False)


def as_csv(answer: "Prediction", line: Timeline | None) -> str:
    """start, end and a column for each class: the whole clip first, then the windows."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    names = list(answer.probabilities)
    table.writerow(["start", "end", *names])
    table.writerow([0, answer.seconds, *(round(p, 6) for p in answer.probabilities.values())])
    if line is not None:
        for (start, end), shares in zip(line.spans, _rows(line), strict=True):
            cells = [shares[name] for name in names] if shares else [""] * len(names)
            table.writerow([round(start, 3), round(end, 3), *cells])
    return file.getvalue()


def _rows(line: Timeline) -> list[dict[str, float] | None]:
    """Class -> probability of each window; None without speech."""
    return [
        None
        if np.isnan(row).any()
        else {name: round(float(p), 6) for name, p in zip(line.labels, row, strict=True)}
        for row in line.probabilities
    ]
