"""Plotly figures of an evaluation, from `Metrics.to_dict()`: for the report and for the page.

Colours are translucent or of medium brightness, so that light and dark pages show through. Plain
lists, so that a page needs no decoder. No figure zooms or pans: on a phone a finger scrolls.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from audiollm.labels import Language
from audiollm.labels import title as class_title
from audiollm.texts import TEXTS, text

TEAL = "15,118,110"
MODEL = f"rgb({TEAL})"
MUTED, GRID = "rgba(128,128,128,.9)", "rgba(128,128,128,.25)"
PROBES = ("#c2570c", "#8250a8", "#b7791f")
SYMBOLS = ("diamond", "circle", "square")
HEAT = [[0, "rgba(128,128,128,.12)"], [1, f"rgba({TEAL},.75)"]]
CELL = 42  # px, of a row
BINS = 10  # of the histogram
SHARES = {"tickvals": [0, 0.25, 0.5, 0.75, 1], "tickformat": ".0%", "range": [0, 1.02]}
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemclick": False}
STILL = {"fixedrange": True, "zeroline": False, "automargin": True, "gridcolor": GRID}


def system(name: str, language: Language) -> str:
    """What a system is called: "" is the model, else a linear probe."""
    if not name:
        return text("judged_model", language)
    key = f"probe_{name}"
    features = text(key, language) if key in TEXTS else name
    return text("judged_probe", language, features=features)


def confusion(metrics: Mapping[str, Any], language: Language, title: str = "") -> go.Figure:
    """Heat map of answers by true class: the count, and darker the larger its share of the row.

    Classes that neither occur nor are answered are left out; clips without an answer have a
    column of their own. A cell's `customdata` is its true and its answered class name ("": none).
    """
    names, rows = metrics["classes"], metrics["confusion"]
    truths = [i for i in range(len(names)) if sum(rows[i]) or metrics["per_class"][i]["support"]]
    answers = [j for j in range(len(names)) if j in truths or any(row[j] for row in rows)]
    table = [[int(rows[i][j]) for j in answers] for i in truths]
    columns = [names[j] for j in answers]
    if metrics["failures"]:
        columns.append("")
        for row, i in zip(table, truths, strict=True):
            row.append(metrics["per_class"][i]["failures"])
    nothing = text("judged_no_answer", language)
    heat = {
        "type": "heatmap",
        "z": [[count / max(1, sum(row)) for count in row] for row in table],
        "x": [escape(class_title(name, language)) if name else nothing for name in columns],
        "y": [escape(class_title(names[i], language)) for i in truths],
        "text": [[str(count) if count else "" for count in row] for row in table],
        "customdata": [[[names[i], name] for name in columns] for i in truths],
        "texttemplate": "%{text}",
        "hovertemplate": "%{y} → %{x}: %{z:.1%}<extra></extra>",
        "colorscale": HEAT,
        "zmin": 0,
        "zmax": 1,
        "xgap": 2,
        "ygap": 2,
        "showscale": False,
    }
    axis = {**STILL, "showgrid": False, "type": "category"}
    layout = {
        **_layout(title, 124 + CELL * len(truths), top=112 if title else 84),
        "xaxis": {**axis, "side": "top", "tickangle": -40},
        "yaxis": {**axis, "autorange": "reversed"},
    }
    return go.Figure({"data": [heat], "layout": layout})


def recall(systems: Mapping[str, Mapping[str, Any]], language: Language) -> go.Figure:
    """Recall of each class that occurs: bars for the first system, a mark for every other."""
    (first, metrics), *others = systems.items()
    names = [c["name"] for c in metrics["per_class"] if c["support"]]
    rows = [escape(class_title(name, language)) for name in names]

    def values(of: Mapping[str, Any]) -> list[float | None]:
        recalls = {c["name"]: c["recall"] for c in of["per_class"]}
        return [recalls.get(name) for name in names]

    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "x": values(metrics),
            "y": rows,
            "name": escape(system(first, language)),
            "orientation": "h",
            "marker": {"color": MODEL},
            "hovertemplate": "%{y}: %{x:.1%}",
        }
    ]
    for i, (name, other) in enumerate(others):
        marker = {"color": PROBES[i % 3], "symbol": SYMBOLS[i % 3], "size": 11}
        traces.append(
            {
                "type": "scatter",
                "x": values(other),
                "y": rows,
                "name": escape(system(name, language)),
                "mode": "markers",
                "marker": {**marker, "line": {"width": 1.5, "color": "white"}},
                "hovertemplate": "%{y}: %{x:.1%}",
            }
        )
    layout = {
        **_layout("", 130 + 38 * len(names), top=8),
        "bargap": 0.35,
        "showlegend": True,
        "xaxis": {**STILL, **SHARES, **_title("judged_recall", language)},
        "yaxis": {**STILL, "autorange": "reversed", "showgrid": False},
    }
    return go.Figure({"data": traces, "layout": layout})


def reliability(
    metrics: Mapping[str, Any], confidences: Sequence[float], language: Language, title: str = ""
) -> go.Figure:
    """Reliability diagram above a histogram of the confidences.

    Args:
        confidences: probability of the answer of every clip that has one.
    """
    bins = metrics["reliability"]
    counts = [0] * BINS
    for confidence in confidences:
        counts[min(BINS - 1, int(confidence * BINS))] += 1
    perfect = {
        "type": "scatter",
        "x": [0, 1],
        "y": [0, 1],
        "mode": "lines",
        "name": text("judged_perfect", language),
        "line": {"color": MUTED, "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }
    model = {
        "type": "scatter",
        "x": [one["confidence"] for one in bins],
        "y": [one["accuracy"] for one in bins],
        "customdata": [one["count"] for one in bins],
        "mode": "lines+markers",
        "name": text("judged_model", language),
        "line": {"color": MODEL, "width": 2},
        "marker": {"size": 8},
        "hovertemplate": "%{x:.0%} → %{y:.0%} (%{customdata})<extra></extra>",
    }
    histogram = {
        "type": "bar",
        "x": [(i + 0.5) / BINS for i in range(BINS)],
        "y": counts,
        "yaxis": "y2",
        "marker": {"color": f"rgba({TEAL},.55)"},
        "showlegend": False,
        "hovertemplate": "%{y}<extra></extra>",
    }
    layout = {
        **_layout(title, 420, top=56 if title else 8),
        "bargap": 0.1,
        "showlegend": True,
        "xaxis": {**STILL, **SHARES, **_title("judged_claim", language), "anchor": "y2"},
        "yaxis": {**STILL, **SHARES, **_title("judged_right", language), "domain": [0.32, 1.0]},
        "yaxis2": {**STILL, **_title("judged_clips", language), "domain": [0.0, 0.22], "nticks": 3},
    }
    return go.Figure({"data": [perfect, model, histogram], "layout": layout})


def _title(code: str, language: Language) -> dict[str, Any]:
    return {"title": {"text": text(code, language), "standoff": 8}}


def still(height: int, size: int = 12, **more: Any) -> dict[str, Any]:
    """The layout of a figure that nobody moves, on the ground of the page; `more` as in plotly.

    height, size: px of the figure and of its font.
    """
    return {
        "template": {},
        "height": height,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": size, "family": "system-ui, sans-serif"},
        "dragmode": False,
        **more,
    }


def _layout(title: str, height: int, top: int) -> dict[str, Any]:
    """`height` and `top`, for the title and what stands below it, in px."""
    heading = {"text": title, "x": 0, "xref": "paper", "y": 1, "yref": "container"}
    return still(
        height,
        margin={"l": 12, "r": 16, "t": top, "b": 12},
        title={**heading, "yanchor": "top", "pad": {"t": 6}, "font": {"size": 14}},
        showlegend=False,
        legend={**LEGEND, "itemdoubleclick": False},
    )
