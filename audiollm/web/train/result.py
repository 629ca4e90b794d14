"""What an evaluation found, in words: recalls, mistakes, the linear probe. No gradio here."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from audiollm.analysis.wording import paragraph
from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web.train import tested
from audiollm.web.train.tested import Tested

MOST = 3  # mistakes of a class that are named


def detail(path: Path, language: Language) -> str:
    """HTML of a `result.json`; "" where it cannot be read."""
    found = tested.read(path)
    try:
        return _whole(found, language) if found else ""
    except (KeyError, ValueError, TypeError, IndexError):
        return ""


def _whole(found: Tested, language: Language) -> str:
    metrics = found.metrics
    names = [str(one["name"]) for one in metrics["per_class"]]
    heads = ("result_class", "result_recall", "result_clips", "result_heard")
    head = "".join(f'<th scope="col">{text(key, language)}</th>' for key in heads)
    rows = "".join(
        _row(one, row, names, language)
        for one, row in zip(metrics["per_class"], metrics["confusion"], strict=True)
        if one["support"]
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    said = []
    if metrics.get("ece"):
        judged = (_calibration(metrics, language), text("judged_means", language))
        said.append(paragraph(judged, language))
    if found.probes:
        best = max(float(probe["ua"]["value"]) for probe in found.probes.values())
        told = {"probe": f"{best:.2f}", "own": f"{float(metrics['ua']['value']):.2f}"}
        said.append(text("result_probe", language, **told))
    title = text("result_each", language)
    body = table + "".join(f"<p>{line}</p>" for line in said)
    return f"<details open><summary>{title}</summary>{body}</details>"


def _row(one: Mapping[str, Any], answers: list[int], names: list[str], language: Language) -> str:
    """A class: its recall, its clips, and what they were taken for."""
    own = names.index(one["name"])
    wrong = [(count, names[i]) for i, count in enumerate(answers) if count and i != own]
    taken = ("、" if language == "zh" else ", ").join(
        f"{escape(word(name, language))} {count}" for count, name in sorted(wrong)[::-1][:MOST]
    )
    bar = f'<progress max="1" value="{float(one["recall"]):.3f}"></progress>'
    within = one.get("range")  # results of an older program do not have it
    bounds = f" <small>[{within['low']:.2f}, {within['high']:.2f}]</small>" if within else ""
    cells = (
        f"<td>{one['recall']:.2f}{bounds} {bar}</td>"
        f"<td>{int(one['support'])}</td><td>{taken or '–'}</td>"
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
