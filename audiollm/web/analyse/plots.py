"""Figures of the page. Plain lists only: the browser's plotly.js is older than this plotly."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from audiollm.analysis import certainty
from audiollm.analysis.wording import percent
from audiollm.labels import Language, emotion, ordered, title

ROW, EDGE = 34, 12  # px: height of a bar's row; margin above and below
PAIR_ROW, LEGEND = 52, 28  # px: two bars of a class; names above the first of them
PAIR = ("#0f766e", "#94a3b8")


def is_sure(probabilities: Mapping[str, float]) -> bool:
    """Whether the best class is clearly ahead, as in the text."""
    return certainty.level(probabilities) > 0


def bars(probabilities: Mapping[str, float], language: Language, fixed: bool = False) -> go.Figure:
    """Class probabilities as horizontal bars, hatched when unsure: the likeliest on top, or
    `fixed` in the order of the classes, which is that of every clip.

    Text has no colour of its own: the page's style sheet gives it the theme's.
    """
    ranked = list(probabilities.items())[::-1]  # plotly draws upwards
    if not fixed:
        ranked.sort(key=lambda item: item[1])
    shares = [float(share) for _, share in ranked]
    sure = is_sure(probabilities)
    bar = _bars(
        dict(ranked),
        language,
        shape="" if sure else "/",
        color=[emotion(name).colour for name, _ in ranked],
        opacity=[1.0 if sure and share == max(shares) else 0.55 for share in shares],
    )
    layout = _layout(ROW * len(ranked) + 2 * EDGE)
    return go.Figure(data=[bar], layout={**layout, "showlegend": False})


def _bars(
    probabilities: Mapping[str, float], language: Language, *, shape: str, **marker: Any
) -> go.Bar:
    """A bar for each class, from below upwards, with its share in words behind it."""
    shares = [float(share) for share in probabilities.values()]
    return go.Bar(
        x=shares,
        y=[title(name, language) for name in probabilities],
        text=[percent(share) for share in shares],
        textposition="outside",
        cliponaxis=False,
        orientation="h",
        hoverinfo="skip",
        marker={
            **marker,
            "pattern": {"shape": shape, "fillmode": "overlay", "size": 6},
            "line": {"width": 0},
        },
    )


def pair(answers: Sequence[tuple[str, Mapping[str, float]]], language: Language) -> go.Figure:
    """Two answers, (name, class probabilities) each, as bars beside each other.

    A class that only one of them knows has one bar.
    """
    names = ordered(name for _, probabilities in answers for name in probabilities)
    rank = {n: sum(probabilities.get(n, 0.0) for _, probabilities in answers) for n in names}
    ranked = sorted(names, key=lambda n: rank[n])
    bars = []
    for (name, probabilities), colour, shape in zip(answers, PAIR, ("", "/"), strict=True):
        shares = {n: probabilities[n] for n in ranked if n in probabilities}
        bars.append(_bars(shares, language, shape=shape, color=colour).update(name=name))
    layout = _layout(PAIR_ROW * len(ranked) + 2 * EDGE + LEGEND)
    layout["margin"] |= {"t": EDGE + LEGEND}
    layout["yaxis"] |= {"categoryorder": "array"}
    layout["yaxis"] |= {"categoryarray": [title(n, language) for n in ranked]}
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"}
    # plotly draws the last bar of a group on top
    return go.Figure(
        data=bars[::-1],
        layout={
            **layout,
            "bargap": 0.28,
            "barmode": "group",
            "showlegend": True,
            "legend": {**legend, "traceorder": "reversed", "itemclick": False},
        },
    )


def _layout(height: int) -> dict[str, Any]:
    still = {"fixedrange": True, "showgrid": False, "zeroline": False}
    return {
        "template": {},
        "height": height,
        "margin": {"l": 8, "r": 8, "t": EDGE, "b": EDGE, "pad": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 15, "family": "system-ui, sans-serif"},
        "bargap": 0.36,
        "dragmode": False,
        "hovermode": False,
        "xaxis": {**still, "range": [0, 1.14], "visible": False},
        "yaxis": {**still, "automargin": True, "ticks": "", "type": "category"},
    }
