"""A model before and after it learned from people's labels, as HTML. No gradio here."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from audiollm.jobs.job import Job
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web.train import versus
from audiollm.web.train.versus import COMPARED


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
    names = [text(f"improve_{key}", language) for key in ("before", "after")]
    shown = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return (
        f"{head}{shown}{versus.table(found, names, language)}"
        f"{versus.flips(found['flipped'], language)}"
    )
