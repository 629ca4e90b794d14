"""A new model against the one it was compared with, on the same clips. No gradio here.

Two commands write such a comparison: the last step of a plan of the Train page, and that of a
model that learned from people's labels.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from audiollm.jobs.job import Job
from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web.train import chinese
from audiollm.web.train.plan import VERSUS

COMPARED = "compare.json"  # of a model that learned from labels
LISTED = 20  # changed answers that are named
PARTS = ("held_out", "heard")  # the clips that tell most come first


@dataclass(frozen=True)
class Change:
    """UA of both models on the same clips, and what lies between them."""

    before: float
    after: float
    value: float  # after - before
    low: float
    high: float
    clips: int
    fair: bool  # neither model has learned from these speakers

    @property
    def chance(self) -> bool:
        """The difference may be chance: its interval holds 0."""
        return self.low <= 0 <= self.high


def of_job(job: Job) -> dict[str, Any] | None:
    """What the last step of the job's plan has found; None where there is none, or not yet."""
    made = [step.result for step in job.steps if step.result.name == VERSUS]
    return _read(made[0]) if made else None


def between(home: Path, model: Path, other: Path) -> Change | None:
    """How a model of the home folder does against another; None where nobody has compared them.

    Speakers that neither has heard decide; where there are none, those that the other has.
    """
    runs, name = home / "runs", model.name
    for path in (runs / f"{name}-evaluate" / VERSUS, runs / f"{name}-improve" / COMPARED):
        found = _read(path)
        try:
            models = found["models"] if found else {}
            compared = [Path(models[m]["folder"]).resolve() for m in ("before", "after")]
            if found and compared == [other.resolve(), model.resolve()]:
                return change(found)
        except (KeyError, TypeError, ValueError):
            continue
    return None


def change(found: Mapping[str, Any]) -> Change | None:
    """The headline of a comparison; None where it could not be made."""
    for part in PARTS:
        if of := found.get(part):
            ua, fair = of["ua"], part == "held_out"
            value, low, high = (float(ua["change"][key]) for key in ("value", "low", "high"))
            before, after = float(ua["before"]["value"]), float(ua["after"]["value"])
            return Change(before, after, value, low, high, int(of["clips"]), fair)
    return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


# --- as HTML


def html(found: Mapping[str, Any], language: Language) -> str:
    """The comparison with the model that was in use, for the page; "" where it is damaged."""
    try:
        return _html(found, language)
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""


def _html(found: Mapping[str, Any], language: Language) -> str:
    names = [str(found["models"][m]["name"]) for m in ("before", "after")]
    title = text("versus_title", language, name=escape(names[0]))
    body = f"<h3>{title}</h3>"
    said = change(found)
    if said is None:
        body += f"<p>{text('versus_nothing', language)}</p>"
    else:
        body += f"<p><b>{verdict(said, language)}</b></p>"
    first = True
    for part in PARTS:
        if of := found.get(part):
            told = {"clips": of["clips"], "speakers": len(of["speakers"]), "name": escape(names[0])}
            told_of = text(f"versus_{part}", language, **told)
            shown = table(of, names, language) + flips(of["flipped"], language)
            body += f"<p>{told_of}</p>{shown}" if first else _folded(told_of, shown)
            first = False
    said_of = chinese.note if language == "zh" else str
    notes = [text("versus_note", language, note=said_of(str(note))) for note in found["notes"]]
    return f'<div class="cues data">{body}{"".join(f"<p>{escape(n)}</p>" for n in notes)}</div>'


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>{body}</details>"


def verdict(found: Change, language: Language) -> str:
    """Better, worse or level, in one sentence."""
    key = "level" if found.chance else "better" if found.value > 0 else "worse"
    told = {"low": f"{found.low:+.2f}", "high": f"{found.high:+.2f}", "by": f"{found.value:+.2f}"}
    return text(f"versus_{key}", language, **told)


def table(found: Mapping[str, Any], names: Sequence[str], language: Language) -> str:
    """UA, WA and the recall of each class of both models, and what lies between them."""
    heads = ("", *names, text("improve_change", language))
    rows = [_row(text(f"improve_{key}", language), found[key]) for key in ("ua", "wa")]
    rows += [
        _row(f"{word(one['name'], language)} ({one['support']})", one) for one in found["per_class"]
    ]
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heads)
    body = "".join(rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(name: str, found: Mapping[str, Any]) -> str:
    """UA or WA with their intervals, or the recall of a class."""

    def value(of: Any) -> str:
        return f"{of if isinstance(of, int | float) else of['value']:.2f}"

    moved = found["change"]
    cell = f"{moved['value']:+.2f}"
    if moved["low"] < moved["high"]:  # too few clips for any: nobody knows how sure it is
        cell += f" <small>[{moved['low']:+.2f}, {moved['high']:+.2f}]</small>"
    cells = (value(found["before"]), value(found["after"]), cell)
    return f'<tr><th scope="row">{escape(name)}</th>' + (
        "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    )


def flips(flipped: Sequence[Mapping[str, Any]], language: Language) -> str:
    """How many answers changed, and the first of them."""
    right = sum(one["after"] == one["label"] for one in flipped)
    wrong = sum(one["before"] == one["label"] for one in flipped)
    counts = {"right": right, "wrong": wrong, "other": len(flipped) - right - wrong}
    said = text("improve_flips", language, **counts)
    if not flipped:
        return f"<p>{said}</p>"
    items = "".join(f"<li>{escape(_flip(one, language))}</li>" for one in flipped[:LISTED])
    return _folded(said, f"<ul>{items}</ul>")


def _flip(one: Mapping[str, Any], language: Language) -> str:
    words = {
        key: word(one[key], language) if one[key] else "–" for key in ("label", "before", "after")
    }
    return text("improve_flip", language, file=Path(one["path"]).name, **words)
