"""Figures of the page. Plain lists only: the browser's plotly.js is older than this plotly."""

from collections.abc import Mapping

import plotly.graph_objects as go

from audiollm.analysis import certainty
from audiollm.labels import Language, emotion
from audiollm.wording import percent

ROW, EDGE = 34, 12  # px: height of a bar's row; margin above and below


def is_sure(probabilities: Mapping[str, float]) -> bool:
    """Whether the best class stands clear of the rest, as the text judges it."""
    return certainty(probabilities) > 0


def bars(probabilities: Mapping[str, float], language: Language) -> go.Figure:
    """Class probabilities as horizontal bars, the likeliest on top, hatched when unsure.

    Text has no colour of its own: the page's style sheet gives it the theme's.
    """
    ranked = sorted(probabilities.items(), key=lambda item: item[1])  # plotly draws upwards
    shares = [float(share) for _, share in ranked]
    sure = is_sure(probabilities)
    bar = go.Bar(
        x=shares,
        y=[emotion(name).word(language) for name, _ in ranked],
        text=[percent(share) for share in shares],
        textposition="outside",
        cliponaxis=False,
        orientation="h",
        hoverinfo="skip",
        marker={
            "color": [emotion(name).colour for name, _ in ranked],
            "opacity": [1.0 if sure and share == shares[-1] else 0.55 for share in shares],
            "pattern": {"shape": "" if sure else "/", "fillmode": "overlay", "size": 6},
            "line": {"width": 0},
        },
    )
    still = {"fixedrange": True, "showgrid": False, "zeroline": False}
    return go.Figure(
        data=[bar],
        layout={
            "template": {},
            "height": ROW * len(ranked) + 2 * EDGE,
            "margin": {"l": 8, "r": 8, "t": EDGE, "b": EDGE, "pad": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 15, "family": "system-ui, sans-serif"},
            "bargap": 0.36,
            "dragmode": False,
            "hovermode": False,
            "showlegend": False,
            "xaxis": {**still, "range": [0, 1.14], "visible": False},
            "yaxis": {**still, "automargin": True, "ticks": "", "type": "category"},
        },
    )
