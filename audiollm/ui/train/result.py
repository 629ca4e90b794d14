"""What an evaluation found, in the page: recalls, mistakes, the linear probe. No gradio here."""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from audiollm.labels import Language, word
from audiollm.ui.texts import text

MOST = 3  # mistakes of a class that are named


def detail(path: Path, language: Language) -> str:
    """HTML of a `result.json`; "" where it cannot be read."""
    try:
        metrics, probes = _read(path)
        return _whole(metrics, probes, language)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return ""


def _read(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8"))
    return found["metrics"], found.get("probes", {})


def _whole(metrics: Mapping[str, Any], probes: Mapping[str, Any], language: Language) -> str:
    names = [str(one["name"]) for one in metrics["per_class"]]
    heads = ("result_class", "result_recall", "result_clips", "result_heard")
    head = "".join(f'<th scope="col">{text(key, language)}</th>' for key in heads)
    rows = "".join(
        _row(one, row, names, language)
        for one, row in zip(metrics["per_class"], metrics["confusion"], strict=True)
        if one["support"]
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    said = [f"<p>{_calibration(metrics, language)}</p>"] if metrics.get("ece") else []
    if probes:
        best = max(float(probe["ua"]["value"]) for probe in probes.values())
        own = float(metrics["ua"]["value"])
        told = {"probe": f"{best:.2f}", "own": f"{own:.2f}"}
        said.append(f"<p>{text('result_probe', language, **told)}</p>")
    title = text("result_each", language)
    return f"<details><summary>{title}</summary>{table}{''.join(said)}</details>"


def _row(one: Mapping[str, Any], answers: list[int], names: list[str], language: Language) -> str:
    """A class: its recall, its clips, and what they were taken for."""
    own = names.index(one["name"])
    wrong = [(count, names[i]) for i, count in enumerate(answers) if count and i != own]
    taken = ("、" if language == "zh" else ", ").join(
        f"{escape(word(name, language))} {count}" for count, name in sorted(wrong)[::-1][:MOST]
    )
    bar = f'<progress max="1" value="{float(one["recall"]):.3f}"></progress>'
    cells = (
        f"<td>{one['recall']:.2f} {bar}</td><td>{int(one['support'])}</td><td>{taken or '–'}</td>"
    )
    return f'<tr><th scope="row">{escape(word(one["name"], language))}</th>{cells}</tr>'


def _calibration(metrics: Mapping[str, Any], language: Language) -> str:
    """How far what it claims is from what is true; over all bins, and which way."""
    bins = metrics["reliability"]
    count = sum(int(one["count"]) for one in bins)
    gap = sum(one["count"] * (one["confidence"] - one["accuracy"]) for one in bins)
    key = "result_bold" if gap > 0 else "result_shy"
    by = f"{100 * abs(gap) / count:.0f}"
    return text(key, language, ece=f"{metrics['ece']['value']:.2f}", by=by)
