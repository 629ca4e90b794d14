"""The curves of trainings: several runs over each other. No gradio here."""

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from audiollm import progress
from audiollm.labels import Language
from audiollm.plan import Job
from audiollm.ui.texts import text

COLOURS = ("#0f766e", "#c2570c", "#6d28d9", "#be185d", "#1d4ed8", "#4d7c0f", "#475569", "#b7791f")


def points(job: Job) -> list[int]:
    """How much there is to draw of each run: the curves are new when this has changed."""
    return [len(progress.curves(step.run)["step"]) for step in job.steps if step.run]


def curves(shown: Sequence[Job], language: Language) -> go.Figure:
    """Loss, validation UA and learning rate of the runs of jobs, one colour a run; plain lists.

    A dotted line is the loss on the validation speakers.
    """
    traces: list[dict[str, Any]] = []
    runs = [(job.name, step) for job in shown for step in job.steps if step.run]
    for number, (name, step) in enumerate(runs):
        columns = progress.curves(step.run) if step.run else {}
        said = text("curve_name", language, name=name, stage=step.name.removeprefix("stage "))
        colour = COLOURS[number % len(COLOURS)]
        for key, axis, dash in (
            ("loss", "y2", "solid"),
            ("eval_loss", "y2", "dot"),
            ("eval_ua", "y", "solid"),
            ("learning_rate", "y3", "solid"),
        ):
            rows = zip(columns["step"], columns[key], strict=True)
            points = [(x, y) for x, y in rows if y is not None]
            if not points:
                continue
            traces.append(
                {
                    "type": "scatter",
                    "x": [x for x, _ in points],
                    "y": [y for _, y in points],
                    "mode": "lines+markers" if len(points) < 30 else "lines",
                    "name": escape(said),
                    "legendgroup": str(number),
                    "showlegend": not any(t["legendgroup"] == str(number) for t in traces),
                    "line": {"color": colour, "width": 2, "dash": dash},
                    "marker": {"size": 5},
                    "yaxis": axis,
                    "hoverinfo": "skip",
                }
            )
    return go.Figure({"data": traces, "layout": _layout(language)})


def _layout(language: Language) -> dict[str, Any]:
    still = {"fixedrange": True, "zeroline": False, "gridcolor": "rgba(128,128,128,.25)"}
    place = {"x": 0, "xref": "paper", "xanchor": "left", "yref": "paper", "yanchor": "bottom"}
    titles = ((1.0, "curve_loss"), (0.57, "curve_ua"), (0.2, "curve_rate"))
    return {
        "template": {},
        "height": 520,
        "margin": {"l": 44, "r": 12, "t": 28, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12, "family": "system-ui, sans-serif"},
        "dragmode": False,
        "hovermode": False,
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": -0.11, "yanchor": "top", "itemclick": False}
        | {"itemdoubleclick": False},
        "xaxis": {**still, "anchor": "y3", "rangemode": "tozero"}
        | {"title": {"text": text("curve_step", language), "standoff": 4}},
        "yaxis2": {**still, "domain": [0.68, 1.0], "rangemode": "tozero"},
        "yaxis": {**still, "domain": [0.3, 0.55], "range": [0, 1]},
        "yaxis3": {**still, "domain": [0.0, 0.18], "rangemode": "tozero", "exponentformat": "e"}
        | {"nticks": 3},
        "annotations": [
            {**place, "y": y, "text": text(key, language), "showarrow": False, "font": {"size": 13}}
            for y, key in titles
        ],
    }
