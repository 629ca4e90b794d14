"""The recording on one time axis: how the expression changes, waveform, spectrogram, pitch.

page.js moves the playback to where the figure is clicked and lets a cursor follow it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from audiollm.analysis.wording import percent
from audiollm.audio.timeline import Overview, Timeline
from audiollm.labels import Language, emotion, title
from audiollm.texts import text

GAP = 34  # px between two rows, for the title of the lower one
HEIGHTS = {"emotions": 120, "wave": 70, "spectrum": 120}  # px
SHOWN = 0.03  # a class that is never as likely has no entry in the legend
TOP, BOTTOM, SIDE = 24, 34, 46  # px
LEGEND = 30  # px below the time axis
ACCENT = "#0f766e"
SHADES = [[0.0, "rgba(15,118,110,0)"], [0.5, "rgba(15,118,110,0.35)"], [1.0, "#0f766e"]]
IN_MINUTES = 120.0  # s: a longer recording has minutes on its axis
STEPS, MOST_STEPS = (30, 60, 120, 300, 600, 1200), 7  # s between two; a phone has room for so many
SHADE = {"y1": 1, "fillcolor": "#f2a93b", "opacity": 0.35, "layer": "below"}
LOWEST, HIGHEST = 60.0, 8000.0  # Hz of the spectrogram's axis


def course(
    signal: Overview | None,
    line: Timeline | None,
    language: Language,
    decisive: Sequence[tuple[float, float]] = (),
) -> go.Figure:
    """The figure; without `line` it has no emotions, without `signal` nothing else. `decisive`:
    spans in seconds, shaded."""
    rows = [*(["emotions"] if line else []), *(["wave", "spectrum"] if signal else [])]
    first = line.spans[0][0] if line else 0.0
    last = signal.seconds if signal else line.spans[-1][1] if line else 0.0
    height = sum(HEIGHTS[r] for r in rows) + GAP * (len(rows) - 1)
    traces: list[Any] = []
    layout: dict[str, Any] = {"shapes": [], "annotations": []}
    top = 1.0
    for number, row in enumerate(rows, start=1):
        end = "" if number == 1 else str(number)
        bottom = top - HEIGHTS[row] / height
        axes = {"xaxis": f"x{end}", "yaxis": f"y{end}"}
        layout[f"yaxis{end}"] = {**_still(), "domain": [max(bottom, 0), top]}
        layout[f"xaxis{end}"] = {
            **_still(),
            "range": [first, last],
            "anchor": f"y{end}",
            "showticklabels": row == rows[-1],
            **_times(last, language),
        }
        key = "row_wave_marked" if row == "wave" and decisive else f"row_{row}"
        layout["annotations"].append(_title(text(key, language), top))
        if row == "emotions" and line:
            traces += [{**trace, **axes} for trace in _emotions(line, language)]
            layout[f"yaxis{end}"] |= {"range": [0, 1], "tickvals": [0, 1], "tickformat": ".0%"}
        elif row == "wave" and signal:
            traces += [{**trace, **axes} for trace in _wave(signal)]
            reach = max(float(signal.high.max()), -float(signal.low.min()), 1e-3)
            layout[f"yaxis{end}"] |= {"range": [-reach, reach], "showticklabels": False}
            layout["shapes"] = [_spoken(span, axes) for span in signal.speech]
            layout["shapes"] += [{**_spoken(span, axes), **SHADE} for span in decisive]
        elif signal:
            traces += [{**trace, **axes} for trace in _spectrum(signal)]
            layout[f"yaxis{end}"] |= {
                "type": "log",
                "range": [float(np.log10(LOWEST)), float(np.log10(HIGHEST))],
                "tickvals": [100, 500, 2000, 8000],
                "ticktext": ["100", "500", "2k", "8k"],
            }
        top = bottom - GAP / height
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "template": {},
                "height": height + TOP + BOTTOM + (LEGEND if line else 0),
                "margin": {"l": SIDE, "r": 20, "t": TOP, "b": BOTTOM + (LEGEND if line else 0)},
                "paper_bgcolor": "rgba(0,0,0,0)",
                "plot_bgcolor": "rgba(0,0,0,0)",
                "font": {"size": 12, "family": "system-ui, sans-serif"},
                "dragmode": False,
                "hovermode": False,
                "meta": _likeliest(line, language) if line else {},
                "showlegend": bool(line),
                "legend": {"orientation": "h", "x": 0, "y": -BOTTOM / height, "yanchor": "top"}
                | {"itemclick": False, "itemdoubleclick": False, "traceorder": "normal"},
                **layout,
            },
        }
    )


def _times(seconds: float, language: Language) -> dict[str, Any]:
    """The ticks of the time axis: seconds, or minutes as 2:30."""
    if seconds <= IN_MINUTES:
        return {"ticksuffix": text("seconds", language, n="")}
    step = next((s for s in STEPS if seconds / s <= MOST_STEPS), STEPS[-1])
    at = list(range(0, int(seconds) + 1, step))
    return {"tickvals": at, "ticktext": [f"{t // 60}:{t % 60:02d}" for t in at]}


def _still() -> dict[str, Any]:
    return {"fixedrange": True, "showgrid": False, "zeroline": False, "ticks": ""}


def _title(words: str, top: float) -> dict[str, Any]:
    corner = {"x": 0, "xref": "paper", "xanchor": "left", "y": top, "yref": "paper"}
    return {**corner, "yanchor": "bottom", "text": words, "showarrow": False, "font": {"size": 13}}


def _emotions(line: Timeline, language: Language) -> list[dict[str, Any]]:
    """Stacked areas, one a class; nothing without speech. Steps: a window is one answer."""
    shares = np.nan_to_num(line.probabilities)  # [W, C]
    edges = _edges(line)
    x = np.repeat(edges, 2)[1:-1].tolist()
    return [
        {
            "type": "scatter",
            "x": x,
            "y": np.repeat(shares[:, i], 2).round(4).tolist(),
            "stackgroup": "classes",
            "mode": "none",
            "name": title(name, language),
            "fillcolor": emotion(name).colour,
            "showlegend": bool(shares[:, i].max(initial=0) >= SHOWN),
            "hoverinfo": "skip",
        }
        for i, name in enumerate(line.labels)
    ]


def _edges(line: Timeline) -> np.ndarray:
    """Where the steps of W windows begin and end, [W + 1] seconds: in the middle between two."""
    between = (line.centres[1:] + line.centres[:-1]) / 2
    return np.concatenate([[line.spans[0][0]], between, [line.spans[-1][1]]]).round(3)


def _likeliest(line: Timeline, language: Language) -> dict[str, list[Any]]:
    """What page.js writes beside the cursor: the likeliest class of each step, "" in silence."""
    words = []
    for row in line.probabilities:
        best = -1 if np.isnan(row).any() else int(row.argmax())
        name = title(line.labels[best], language)
        words.append("" if best < 0 else f"{name} {percent(float(row[best]))}")
    return {"edges": _edges(line).tolist(), "labels": words}


def _wave(signal: Overview) -> list[dict[str, Any]]:
    x = signal.times.round(4).tolist()
    line = {"type": "scatter", "x": x, "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    line["line"] = {"width": 0.6, "color": ACCENT}
    high, low = (values.astype(float).round(4).tolist() for values in (signal.high, signal.low))
    return [{**line, "y": low}, {**line, "y": high, "fill": "tonexty", "fillcolor": ACCENT}]


def _spectrum(signal: Overview) -> list[dict[str, Any]]:
    x = signal.times.round(4).tolist()
    shades = {
        "type": "heatmap",
        "x": x,
        "y": signal.hertz.round(1).tolist(),
        "z": signal.spectrogram.round().astype(int).tolist(),
        "colorscale": SHADES,
        "showscale": False,
        "hoverinfo": "skip",
    }
    pitch = {
        "type": "scatter",
        "x": x,
        "y": [None if np.isnan(f) else round(float(f), 1) for f in signal.pitch],
        "mode": "lines",
        "line": {"width": 2.5, "color": "#e4572e"},
        "connectgaps": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [shades, pitch]


def _spoken(span: tuple[float, float], axes: dict[str, str]) -> dict[str, Any]:
    """A line under the waveform where there is speech."""
    return {
        "type": "rect",
        "xref": axes["xaxis"],
        "yref": f"{axes['yaxis']} domain",
        "x0": round(span[0], 3),
        "x1": round(span[1], 3),
        "y0": 0,
        "y1": 0.05,
        "fillcolor": "#64748b",
        "line": {"width": 0},
    }
