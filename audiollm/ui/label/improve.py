"""A model before and after it learned from people's labels, as HTML. No gradio here."""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from audiollm.labels import Language, word
from audiollm.plan import Job
from audiollm.ui.texts import text

COMPARED = "compare.json"
LISTED = 20  # changed answers that are named


def compared(job: Job) -> dict[str, Any] | None:
    """What the job's comparison has found; None where there is none, or not yet."""
    made = [step.result for step in job.steps if step.result.name == COMPARED]
    try:
        found: dict[str, Any] = json.loads(made[0].read_text(encoding="utf-8"))
    except (OSError, ValueError, IndexError):
        return None
    return found


def html(result: Mapping[str, Any], language: Language) -> str:
    """Before and after, for the page."""
    counts = {kind: result["labels"].get(kind, 0) for kind in ("corrected", "confirmed", "new")}
    lines = [text("improve_taught", language, **counts)]
    if left := sum(result["left"].values()):
        lines.append(text("improve_left", language, n=left))
    body = "".join(f"<p>{escape(line)}</p>" for line in lines)
    body += _part("held_out", result["held_out"], language)
    body += _part("corrected", result["corrected"], language)
    notes = (text("improve_note", language, note=note) for note in result["notes"])
    return f'<div class="cues data">{body}{"".join(f"<p>{escape(n)}</p>" for n in notes)}</div>'


def _part(name: str, found: Mapping[str, Any] | None, language: Language) -> str:
    head = f"<h3>{text(f'improve_{name}', language)}</h3>"
    if found is None:
        return f"{head}<p>{text('improve_nobody', language)}</p>"
    said = {"clips": found["clips"], "speakers": len(found["speakers"])}
    lines = [text("improve_clips", language, **said)]
    if name == "corrected":
        lines.append(text("improve_corrected_why", language))
    heads = ("", *(text(f"improve_{key}", language) for key in ("before", "after", "change")))
    rows = [_row(text(f"improve_{key}", language), found[key]) for key in ("ua", "wa")]
    rows += [
        _row(f"{word(one['name'], language)} ({one['support']})", one) for one in found["per_class"]
    ]
    table = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heads)
    shown = "".join(f"<p>{escape(line)}</p>" for line in lines)
    rows_html = "".join(rows)
    table = f"<table><thead><tr>{table}</tr></thead><tbody>{rows_html}</tbody></table>"
    return f"{head}{shown}{table}{_flips(found['flipped'], language)}"


def _row(name: str, found: Mapping[str, Any]) -> str:
    """UA or WA with their intervals, or the recall of a class."""

    def value(of: Any) -> str:
        return f"{of if isinstance(of, int | float) else of['value']:.2f}"

    change = found["change"]
    moved = f"{change['value']:+.2f} <small>[{change['low']:+.2f}, {change['high']:+.2f}]</small>"
    cells = (value(found["before"]), value(found["after"]), moved)
    return f'<tr><th scope="row">{escape(name)}</th>' + (
        "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    )


def _flips(flipped: list[Mapping[str, Any]], language: Language) -> str:
    """How many answers changed, and the first of them."""
    right = sum(one["after"] == one["label"] for one in flipped)
    wrong = sum(one["before"] == one["label"] for one in flipped)
    counts = {"right": right, "wrong": wrong, "other": len(flipped) - right - wrong}
    items = "".join(
        "<li>"
        + escape(
            text(
                "improve_flip",
                language,
                file=Path(one["path"]).name,
                **{key: word(one[key], language) for key in ("label", "before", "after")},
            )
        )
        + "</li>"
        for one in flipped[:LISTED]
    )
    return f"<p>{text('improve_flips', language, **counts)}</p>" + (
        f"<ul>{items}</ul>" * bool(items)
    )
