"""Evaluations and comparisons as HTML: figures of a new model, of each class, and beside another
model on the same clips. No gradio here."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any, ParamSpec

from audiollm.analysis.wording import paragraph
from audiollm.contracts.comparison import PARTS, Change, change
from audiollm.contracts.messages import read_messages
from audiollm.contracts.result import EvaluationResult
from audiollm.labels import Language, title, word
from audiollm.texts import text
from audiollm.web import model_info, render

P = ParamSpec("P")
CONFUSIONS = 3  # of a class that are named
FLIPS = 20  # changed answers that are listed


def _unless_damaged(html: Callable[P, str]) -> Callable[P, str]:
    """ "" where the figures of a file lack something."""

    @wraps(html)
    def tolerant(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return html(*args, **kwargs)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError):
            return ""

    return tolerant


def headline(
    rows: Sequence[tuple[str, Mapping[str, Any], bool]],
    result: EvaluationResult | None,
    language: Language,
) -> str:
    """Figures of models, and of each class of the new one.

    rows: (name, figures that `evaluate --record` wrote, whether it is the active model).
    """
    heads = (text("result_model", language), "UA", "WA", text("result_data", language))
    table = render.table(heads, [_model_row(*row, language) for row in rows])
    means = f"<p>{text('result_means', language)}</p>"
    title = render.heading("result_title", language)
    each = per_class(result, language) if result else ""
    return f'<div class="cues">{title}{table}{means}{each}</div>'


def _model_row(name: str, metrics: Mapping[str, Any], active: bool, language: Language) -> str:
    head = escape(text("result_in_use", language, name=name) if active else name)
    data = escape(model_info.corpora(str(metrics.get("data", "–")), language))
    return render.row(head, _share(metrics, "ua"), _share(metrics, "wa"), data)


def _share(metrics: Mapping[str, Any], key: str) -> str:
    """`0.62 [0.51, 0.70]`; a dash where it was not measured."""
    try:
        value, low, high = (float(metrics[key][part]) for part in ("value", "low", "high"))
    except (KeyError, TypeError, ValueError):
        return "–"
    return f"{value:.2f} <small>[{low:.2f}, {high:.2f}]</small>"


# --- an evaluation


@_unless_damaged
def per_class(result: EvaluationResult, language: Language) -> str:
    """Recalls and confusions, calibration, the linear probe; "" where the figures are damaged."""
    metrics = result["metrics"]
    names = [str(one["name"]) for one in metrics["per_class"]]
    heads = ("result_class", "result_recall", "result_clips", "result_mistaken")
    rows = [
        _class_row(one, row, names, language)
        for one, row in zip(metrics["per_class"], metrics["confusion"], strict=True)
        if one["support"]
    ]
    body = render.table([text(key, language) for key in heads], rows)
    if metrics.get("ece"):
        lines = (_calibration(metrics, language), text("judged_means", language))
        body += f"<p>{paragraph(lines, language)}</p>"
    if result["probes"]:
        best = max(float(probe["ua"]["value"]) for probe in result["probes"].values())
        shares = {"probe": f"{best:.2f}", "own": f"{float(metrics['ua']['value']):.2f}"}
        body += f"<p>{text('result_probe', language, **shares)}</p>"
    return f"<details open><summary>{text('result_each', language)}</summary>{body}</details>"


def _class_row(
    one: Mapping[str, Any], answers: list[int], names: list[str], language: Language
) -> str:
    """A class: its recall, its clips, and what they were confused with."""
    own = names.index(one["name"])
    wrong = [(count, names[i]) for i, count in enumerate(answers) if count and i != own]
    confused = ("、" if language == "zh" else ", ").join(
        f"{escape(word(name, language))} {count}"
        for count, name in sorted(wrong)[::-1][:CONFUSIONS]
    )
    bar = f'<progress max="1" value="{float(one["recall"]):.3f}"></progress>'
    within = one.get("range")  # results of an older program do not have it
    bounds = f" <small>[{within['low']:.2f}, {within['high']:.2f}]</small>" if within else ""
    cells = (f"{one['recall']:.2f}{bounds} {bar}", str(int(one["support"])), confused or "–")
    return render.row(escape(title(one["name"], language)), *cells)


def _calibration(metrics: Mapping[str, Any], language: Language) -> str:
    """ECE, and whether confidence is above or below accuracy."""
    bins = metrics["reliability"]
    count = sum(int(one["count"]) for one in bins)
    gap = sum(one["count"] * (one["confidence"] - one["accuracy"]) for one in bins)
    key = "result_bold" if gap > 0 else "result_shy"
    by = f"{100 * abs(gap) / count:.0f}"
    return text(key, language, ece=f"{metrics['ece']['value']:.2f}", by=by)


# --- a comparison


@_unless_damaged
def with_active(comparison: Mapping[str, Any], language: Language) -> str:
    """A new model beside the active one; "" where it is damaged."""
    names = [str(comparison["models"][m]["name"]) for m in ("before", "after")]
    body = f"<h3>{text('comparison_title', language, name=escape(names[0]))}</h3>"
    of = change(comparison)
    body += f"<p>{text('comparison_nothing', language)}</p>" if of is None else ""
    body += f"<p><b>{verdict(of, language)}</b></p>" if of else ""
    for number, (name, part) in enumerate((n, comparison[n]) for n in PARTS if comparison.get(n)):
        counts = {"clips": part["clips"], "speakers": len(part["speakers"])}
        about = text(f"comparison_{name}", language, name=escape(names[0]), **counts)
        details = paired_table(part, names, language) + flips(part["flipped"], language)
        body += _folded(about, details) if number else f"<p>{about}</p>{details}"
    return _box(body, comparison, language)


@_unless_damaged
def improvement(comparison: Mapping[str, Any], language: Language) -> str:
    """A model before and after it learned from people's labels; "" where it is damaged."""
    counts = {kind: comparison["labels"].get(kind, 0) for kind in ("corrected", "confirmed", "new")}
    lines = [text("fine_tuning_used", language, **counts)]
    if left := sum(comparison["left"].values()):
        lines.append(text("fine_tuning_left", language, n=left))
    body = "".join(f"<p>{escape(line)}</p>" for line in lines)
    names = [text(f"fine_tuning_{key}", language) for key in ("before", "after")]
    for name in ("held_out", "corrected"):
        body += f"<h3>{text(f'fine_tuning_{name}', language)}</h3>"
        part = comparison[name]
        if part is None:
            body += f"<p>{text('fine_tuning_nobody', language)}</p>"
            continue
        about = {"clips": part["clips"], "speakers": len(part["speakers"])}
        body += f"<p>{text('fine_tuning_clips', language, **about)}</p>"
        if name == "corrected":
            body += f"<p>{text('fine_tuning_corrected_why', language)}</p>"
        body += paired_table(part, names, language) + flips(part["flipped"], language)
    return _box(body, comparison, language)


def _box(body: str, comparison: Mapping[str, Any], language: Language) -> str:
    for note in read_messages(comparison["notes"]):
        sentence = note.in_language(language)
        body += f"<p>{escape(text('comparison_note', language, note=sentence))}</p>"
    return f'<div class="cues data">{body}</div>'


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>{body}</details>"


def verdict(diff: Change, language: Language) -> str:
    """Better, worse or level, in one sentence."""
    key = "level" if diff.chance else "better" if diff.value > 0 else "worse"
    shares = {"low": f"{diff.low:+.2f}", "high": f"{diff.high:+.2f}", "by": f"{diff.value:+.2f}"}
    return text(f"comparison_{key}", language, **shares)


def paired_table(paired: Mapping[str, Any], names: Sequence[str], language: Language) -> str:
    """UA, WA and the recall of each class of both models, and the difference."""
    rows = [_paired_row(text(f"fine_tuning_{key}", language), paired[key]) for key in ("ua", "wa")]
    rows += [
        _paired_row(f"{title(one['name'], language)} ({one['support']})", one)
        for one in paired["per_class"]
    ]
    return render.table(("", *names, text("fine_tuning_change", language)), rows)


def _paired_row(name: str, figures: Mapping[str, Any]) -> str:
    """UA or WA with their intervals, or the recall of a class."""

    def value(of: Any) -> str:
        return f"{of if isinstance(of, int | float) else of['value']:.2f}"

    moved = figures["change"]
    cell = f"{moved['value']:+.2f}"
    if moved["low"] < moved["high"]:  # too few clips for any: nobody knows how sure it is
        cell += f" <small>[{moved['low']:+.2f}, {moved['high']:+.2f}]</small>"
    return render.row(escape(name), value(figures["before"]), value(figures["after"]), cell)


def flips(flipped: Sequence[Mapping[str, Any]], language: Language) -> str:
    """How many answers changed, and the first of them."""
    right = sum(one["after"] == one["label"] for one in flipped)
    wrong = sum(one["before"] == one["label"] for one in flipped)
    counts = {"right": right, "wrong": wrong, "other": len(flipped) - right - wrong}
    summary = text("fine_tuning_flips", language, **counts)
    if not flipped:
        return f"<p>{summary}</p>"
    items = ""
    for one in flipped[:FLIPS]:
        keys = ("label", "before", "after")
        words = {key: word(one[key], language) if one[key] else "–" for key in keys}
        line = text("fine_tuning_flip", language, file=Path(one["path"]).name, **words)
        items += f"<li>{escape(line)}</li>"
    return _folded(summary, f"<ul>{items}</ul>")
