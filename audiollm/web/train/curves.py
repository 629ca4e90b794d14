"""The curves of trainings: several runs over each other. No gradio here."""

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from audiollm.jobs import progress
from audiollm.jobs.job import Job
from audiollm.labels import Language
from audiollm.metrics.figures import still
from audiollm.texts import text

COLOURS = ("#0f766e", "#c2570c", "#6d28d9", "#be185d", "#1d4ed8", "#4d7c0f", "#475569", "#b7791f")


def points(job: Job) -> list[int]:
    """How much there is to draw of each run: the curves are new when this has changed."""
    return [len(progress.curves(step.run)["step"]) for step in job.steps if step.run]


def curves(shown: Sequence[Job], language: Language) -> go.Figure:
    """Loss, validation UA and learning rate of the runs of jobs, one colour a run; plain lists.

    A dotted line is the validation loss; without a validation split there is none, and no UA.
    """
    traces: list[dict[str, Any]] = []
    runs = [(job.name, step) for job in shown for step in job.steps if step.run]
    for number, (name, step) in enumerate(runs):
        columns = progress.curves(step.run) if step.run else {}
        curve_name = text("curve_name", language, name=name, stage=step.name.removeprefix("stage "))
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
                    "name": escape(curve_name),
                    "legendgroup": str(number),
                    "showlegend": not any(t["legendgroup"] == str(number) for t in traces),
                    "line": {"color": colour, "width": 2, "dash": dash},
                    "marker": {"size": 5},
                    "yaxis": axis,
                    "hoverinfo": "skip",
                }
            )
    validates = any(trace["yaxis"] == "y" for trace in traces)
    return go.Figure({"data": traces, "layout": _layout(language, validates)})


def _layout(language: Language, validates: bool) -> dict[str, Any]:
    if validates:
        parts = {"yaxis2": (0.68, 1.0), "yaxis": (0.3, 0.55), "yaxis3": (0.0, 0.18)}
        keys = {"yaxis2": "curve_loss", "yaxis": "curve_ua", "yaxis3": "curve_rate"}
    else:
        parts = {"yaxis2": (0.45, 1.0), "yaxis3": (0.0, 0.26)}
        keys = {"yaxis2": "curve_loss_alone", "yaxis3": "curve_rate"}
    fixed = {"fixedrange": True, "zeroline": False, "gridcolor": "rgba(128,128,128,.25)"}
    corner = {"x": 0, "xref": "paper", "xanchor": "left", "yref": "paper", "yanchor": "bottom"}
    ranges: dict[str, dict[str, Any]] = {
        "yaxis2": {"rangemode": "tozero"},
        "yaxis": {"range": [0, 1]},
        "yaxis3": {"rangemode": "tozero", "exponentformat": "e", "nticks": 3},
    }
    legend = {"orientation": "h", "x": 0, "y": -0.11, "yanchor": "top", "itemclick": False}
    axes: dict[str, Any] = {
        axis: {**fixed, "domain": list(parts[axis])} | ranges[axis] for axis in parts
    }
    return still(
        520 if validates else 380,
        margin={"l": 44, "r": 12, "t": 28, "b": 40},
        hovermode=False,
        showlegend=True,
        legend={**legend, "itemdoubleclick": False},
        xaxis={**fixed, "anchor": "y3", "rangemode": "tozero"}
        | {"title": {"text": text("curve_step", language), "standoff": 4}},
        annotations=[
            {**corner, "y": top, "text": text(keys[axis], language), "showarrow": False}
            | {"font": {"size": 13}, "yshift": 4}
            for axis, (_, top) in parts.items()
        ],
        **axes,
    )
