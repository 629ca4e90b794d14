"""Two pictures of an evaluation: what is taken for what, and whether its probabilities are true.

Plain lists for plotly; no gradio here. Colours let light and dark pages shine through.
"""

from typing import Any

import plotly.graph_objects as go

from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web.train.tested import Tested

TEAL = "15,118,110"
CELL = 38  # px, of a row
BINS = 10  # of the histogram
STILL = {"fixedrange": True, "zeroline": False, "gridcolor": "rgba(128,128,128,.25)"}
QUARTERS = {"tickmode": "array", "tickvals": [0, 0.25, 0.5, 0.75, 1]}


def confusion(found: Tested, language: Language) -> go.Figure:
    """Answers by what was meant: how many, and darker the larger their share of the row.

    Classes that neither occur nor are answered are left out.
    """
    names, rows = list(found.metrics["classes"]), found.metrics["confusion"]
    meant = [i for i, row in enumerate(rows) if sum(row)]
    said = [j for j in range(len(names)) if j in meant or any(row[j] for row in rows)]
    counts = [[int(rows[i][j]) for j in said] for i in meant]
    shares = [[count / sum(rows[i]) for count in row] for i, row in zip(meant, counts, strict=True)]
    heat = {
        "type": "heatmap",
        "z": shares,
        "x": [word(names[j], language) for j in said],
        "y": [word(names[i], language) for i in meant],
        "text": [[str(count) if count else "" for count in row] for row in counts],
        "texttemplate": "%{text}",
        "colorscale": [[0, "rgba(128,128,128,.12)"], [1, f"rgba({TEAL},.75)"]],
        "zmin": 0,
        "zmax": 1,
        "xgap": 2,
        "ygap": 2,
        "showscale": False,
        "hoverinfo": "skip",
    }
    axis = {"fixedrange": True, "showgrid": False, "automargin": True, "type": "category"}
    layout = {
        **_layout("judged_confusion", language, 124 + CELL * len(meant), top=112),
        "xaxis": {**axis, "side": "top", "tickangle": -40},
        "yaxis": {**axis, "autorange": "reversed"},
    }
    return go.Figure({"data": [heat], "layout": layout})


def reliability(found: Tested, language: Language) -> go.Figure:
    """What the answers claim against how many are right, above how often each is claimed."""
    bins = found.metrics["reliability"]
    counts = [0] * BINS
    for claim in found.claims:
        counts[min(BINS - 1, int(claim * BINS))] += 1
    line = {
        "type": "scatter",
        "x": [0, 1],
        "y": [0, 1],
        "mode": "lines",
        "name": text("judged_perfect", language),
        "line": {"color": "rgba(128,128,128,.9)", "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }
    true = {
        "type": "scatter",
        "x": [one["confidence"] for one in bins],
        "y": [one["accuracy"] for one in bins],
        "mode": "lines+markers",
        "name": text("judged_model", language),
        "line": {"color": f"rgb({TEAL})", "width": 2},
        "marker": {"size": 8},
        "hoverinfo": "skip",
    }
    often = {
        "type": "bar",
        "x": [(i + 0.5) / BINS for i in range(BINS)],
        "y": counts,
        "yaxis": "y2",
        "marker": {"color": f"rgba({TEAL},.55)"},
        "showlegend": False,
        "hoverinfo": "skip",
    }
    across = {**STILL, **QUARTERS, "range": [0, 1.02], "tickformat": ".0%"}

    def title(key: str) -> dict[str, Any]:
        return {"title": {"text": text(key, language), "standoff": 6}, "automargin": True}

    layout = {
        **_layout("judged_reliability", language, 400),
        "bargap": 0.1,
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemclick": False}
        | {"itemdoubleclick": False},
        "xaxis": {**across, **title("judged_claim"), "anchor": "y2"},
        "yaxis": {**across, **title("judged_right"), "domain": [0.32, 1.0]},
        "yaxis2": {**STILL, **title("judged_clips"), "domain": [0.0, 0.22], "nticks": 3},
    }
    return go.Figure({"data": [line, true, often], "layout": layout})


def _layout(key: str, language: Language, height: int, top: int = 56) -> dict[str, Any]:
    """`height` and `top`, for the title and what stands below it, in px."""
    heading = {"text": text(key, language), "x": 0, "xref": "paper", "y": 1, "yref": "container"}
    return {
        "template": {},
        "height": height,
        "margin": {"l": 12, "r": 12, "t": top, "b": 12},
        "title": {**heading, "yanchor": "top", "pad": {"t": 6}, "font": {"size": 14}},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12, "family": "system-ui, sans-serif"},
        "dragmode": False,
        "hovermode": False,
        "showlegend": False,
    }
