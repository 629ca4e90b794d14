"""Plotly figures of an evaluation, from `Metrics.to_dict()`.

Colours are those of `LIGHT`; a page in dark mode swaps each for the one of the same name in
`DARK`. No figure zooms or pans: on a phone the finger scrolls the page.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from audiollm import labels
from audiollm.labels import Language

LIGHT = {
    "ink": "#1E2530",
    "muted": "#667082",
    "grid": "#E4E7EC",
    "cell": "#F1F4F8",
    "heat": "#86ADF2",  # the fullest cell: ink stays readable on it
    "model": "#2462C4",
    "probe 1": "#C2571A",
    "probe 2": "#1F8A70",
    "probe 3": "#8250A8",
}
DARK = {
    "ink": "#E8EBF0",
    "muted": "#99A3B3",
    "grid": "#333B48",
    "cell": "#232A35",
    "heat": "#2C5CB0",
    "model": "#6CA0F5",
    "probe 1": "#F0955A",
    "probe 2": "#4FC3A1",
    "probe 3": "#BC93DE",
}
NO_ANSWER, NO_ANSWER_ZH = "no answer", "无回答"
SPLITS = {"train": "训练集", "valid": "验证集", "test": "测试集"}  # in Chinese
WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "model": "this model",
        "probe": "probe: {}",
        "answer": "answer",
        "recall": "recall",
        "calibrated": "perfectly calibrated",
        "bins": "equal-count bins",
        "bin": "claims %{x:.0%}, right %{y:.0%} of %{customdata} clips<extra></extra>",
        "probability": "probability of the answer",
        "right": "share right",
        "clips": "clips",
        "count": "%{x}: %{y} clips<extra></extra>",
    },
    "zh": {
        "model": "本模型",
        "probe": "探针：{}",
        "answer": "回答",
        "recall": "召回率",
        "calibrated": "完全校准",
        "bins": "等量分箱",
        "bin": "自称 %{x:.0%}，%{customdata} 段中答对 %{y:.0%}<extra></extra>",
        "probability": "回答的概率",
        "right": "答对的比例",
        "clips": "录音数",
        "count": "%{x}：%{y} 段<extra></extra>",
        "utterance": "编码器均值",
        "functionals": "声学统计量",
        "both": "两者",
    },
}
_QUARTERS = (0, 0.25, 0.5, 0.75, 1)
_SYMBOLS = ("diamond", "circle", "square")


def system(name: str, language: Language = "en") -> str:
    """What a system is called; the model itself has no name."""
    words = WORDS[language]
    return words["probe"].format(words.get(name, name)) if name else words["model"]


def class_text(name: str, between: str = " ") -> str:
    """`angry 生气`, safe in HTML and in a figure; a corpus's own class stands alone."""
    words = dict.fromkeys(html.escape(labels.word(name, language)) for language in ("en", "zh"))
    return between.join(words)


def confusion(metrics: Mapping[str, Any], language: Language = "en") -> go.Figure:
    """Heat map of answers by true class: share of the row, with the count beneath.

    Classes that neither occur nor are answered are left out; clips without an answer have a
    column of their own. A cell's `customdata` is its true and its answered class name.
    """
    names, rows = metrics["classes"], metrics["confusion"]
    truths = [i for i in range(len(names)) if sum(rows[i]) or metrics["per_class"][i]["support"]]
    answers = [j for j in range(len(names)) if j in truths or any(row[j] for row in rows)]
    table = [[rows[i][j] for j in answers] for i in truths]
    columns = [names[j] for j in answers]
    if metrics["failures"]:
        columns.append(NO_ANSWER)
        for row, i in zip(table, truths, strict=True):
            row.append(metrics["per_class"][i]["failures"])
    shares = [[count / max(1, sum(row)) for count in row] for row in table]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=[
                NO_ANSWER_ZH if name == NO_ANSWER and language == "zh" else class_text(name, "<br>")
                for name in columns
            ],
            y=[class_text(names[i]) for i in truths],
            text=[
                [
                    f"{share:.0%}<br>{count}" if count else ""
                    for share, count in zip(s, c, strict=True)
                ]
                for s, c in zip(shares, table, strict=True)
            ],
            customdata=[[[names[i], name] for name in columns] for i in truths],
            texttemplate="%{text}",
            hovertemplate="%{customdata[0]} → %{customdata[1]}: %{z:.1%}<extra></extra>",
            colorscale=[[0, LIGHT["cell"]], [1, LIGHT["heat"]]],
            textfont={"color": LIGHT["ink"]},
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    figure.update_xaxes(title=WORDS[language]["answer"], side="top", tickangle=0, showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return _styled(figure, height=110 + 46 * len(truths))


def recall(systems: Mapping[str, Mapping[str, Any]], language: Language = "en") -> go.Figure:
    """Recall of each class that occurs: bars for the first system, a mark for every other."""
    (first, metrics), *others = systems.items()
    names = [c["name"] for c in metrics["per_class"] if c["support"]]

    def values(of: Mapping[str, Any]) -> list[float | None]:
        known = {c["name"]: c["recall"] for c in of["per_class"]}
        return [known.get(name) for name in names]

    rows = [class_text(name) for name in names]
    figure = go.Figure(
        go.Bar(
            x=values(metrics),
            y=rows,
            name=html.escape(system(first, language)),
            orientation="h",
            marker={"color": LIGHT["model"]},
            hovertemplate="%{y}: %{x:.1%}",
        )
    )
    for i, (name, other) in enumerate(others):
        figure.add_scatter(
            x=values(other),
            y=rows,
            name=html.escape(system(name, language)),
            mode="markers",
            marker={
                "color": LIGHT[f"probe {i % 3 + 1}"],
                "symbol": _SYMBOLS[i % 3],
                "size": 11,
                "line": {"width": 1.5, "color": LIGHT["cell"]},
            },
            hovertemplate="%{y}: %{x:.1%}",
        )
    figure.update_xaxes(
        title=WORDS[language]["recall"], range=[0, 1.02], tickvals=_QUARTERS, tickformat=".0%"
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(bargap=0.35)
    return _styled(figure, height=130 + 38 * len(names))


def reliability(
    metrics: Mapping[str, Any], confidences: Sequence[float], language: Language = "en"
) -> go.Figure:
    """What the model claims against what is true, above a histogram of what it claims.

    Args:
        confidences: probability of the answer of every clip that has one.
    """
    bins, words = metrics["reliability"], WORDS[language]
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.75, 0.25], vertical_spacing=0.06)
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name=words["calibrated"],
        line={"color": LIGHT["muted"], "dash": "dot", "width": 1.5},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[b["confidence"] for b in bins],
        y=[b["accuracy"] for b in bins],
        customdata=[b["count"] for b in bins],
        mode="lines+markers",
        name=words["bins"],
        line={"color": LIGHT["model"], "width": 2},
        marker={"size": 9},
        hovertemplate=words["bin"],
    )
    figure.add_histogram(
        x=list(confidences),
        xbins={"start": 0, "end": 1.0001, "size": 0.05},
        marker={"color": LIGHT["model"]},
        showlegend=False,
        hovertemplate=words["count"],
        row=2,
        col=1,
    )
    figure.update_xaxes(range=[0, 1.02], tickvals=_QUARTERS, tickformat=".0%")
    figure.update_xaxes(title=words["probability"], row=2, col=1)
    figure.update_yaxes(
        title=words["right"], range=[0, 1.02], tickvals=_QUARTERS, tickformat=".0%", row=1, col=1
    )
    figure.update_yaxes(title=words["clips"], nticks=4, row=2, col=1)
    figure.update_layout(bargap=0.08)
    return _styled(figure, height=440)


def _styled(figure: go.Figure, height: int) -> go.Figure:
    axis = {
        "fixedrange": True,
        "automargin": True,
        "gridcolor": LIGHT["grid"],
        "zeroline": False,
        "linecolor": LIGHT["grid"],
        "title": {"font": {"color": LIGHT["muted"], "size": 12}, "standoff": 12},
    }
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 8, "r": 22, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": LIGHT["ink"], "size": 13, "family": "system-ui, sans-serif"},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        dragmode=False,
    )
    return figure
