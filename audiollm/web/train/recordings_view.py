"""What the Train page shows of recordings: HTML and a figure. No gradio here."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from audiollm.analysis.wording import paragraph
from audiollm.contracts.insight import Insight
from audiollm.contracts.prepared import REJECTED, Summary
from audiollm.labels import Language, capital, title, word
from audiollm.metrics.figures import still
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.train.sources import EMODB, FOLDER, HUB, OnHub
from audiollm.web.train.upload import Upload

UNEVEN = 4  # times as many clips: from there on the rare class is spoken of
ROOM = 3.2  # times the longest bar: on a phone the text beside it fits
ROW, EDGE, LEGEND = 30, 8, 30  # px
SHADES = {"train": "#0f766e", "valid": "#b7791f", "test": "#6d28d9", "": "#0f766e"}
PATTERNS = {"train": "", "valid": "/", "test": ".", "": ""}  # not by colour alone


def sources(summaries: Mapping[Path, Summary], language: Language) -> list[tuple[str, str]]:
    """(label, id) of what one can train on."""
    offered = [(text("source_emodb", language), EMODB)]
    for folder, summary in summaries.items():
        offered.append((prepared(folder, summary, language), str(folder)))
    return [
        *offered,
        (text("source_folder", language), FOLDER),
        (text("source_hub", language), HUB),
    ]


def prepared(folder: Path, summary: Summary, language: Language) -> str:
    """A prepared folder in a list."""
    return text("source_prepared", language, name=folder.name, clips=summary.all.clips)


def summary(insight: Insight | OnHub | None, language: Language) -> str:
    """HTML: splits and lengths, warnings, what is not used."""
    if insight is None:
        body = [f"<p>{text('data_folder', language)}</p>"]
    elif isinstance(insight, OnHub):
        body = _hub(insight, language)
    else:
        body = _whole(insight, language)
    return f'<div class="cues data">{"".join(body)}</div>'


def _hub(data_set: OnHub, language: Language) -> list[str]:
    size = f"{data_set.size / 1e6:.0f}" if data_set.size else "?"
    line = text("data_hub", language, id=data_set.id, files=data_set.files, mb=size)
    rows = (text("data_hub_rows", language, split=s, n=n) for s, n in data_set.clips.items())
    return [f"<p>{escape(line)}</p>", *(f"<p>{escape(row)}</p>" for row in rows)]


def _whole(insight: Insight, language: Language) -> list[str]:
    body = [_splits(insight, language)]
    if insight.seconds:
        body.append(f"<p>{_lengths(insight, language)}</p>")
    if not insight.prepared and insight.splits:
        body.append(f"<p>{text('data_planned', language)}</p>")
    body += [f'<p class="caution">{escape(line)}</p>' for line in warnings(insight, language)]
    if insight.rejected:
        body.append(_rejected(insight, language))
    # classes that a split lacks stand among the warnings
    notes = [n.in_language(language) for n in insight.notes if n.code != "note_absent"]
    return [*body, *(f"<p><small>{escape(note)}</small></p>" for note in notes)]


def _splits(insight: Insight, language: Language) -> str:
    keys = ("data_split", "data_clips", "data_speakers", "data_minutes")
    splits = [(capital(text(f"split_{split}", language)), split) for split in insight.splits]
    if len(splits) != 1:
        splits.append((text("data_all", language), ""))
    rows = []
    for name, split in splits:
        clips = insight.splits[split] if split else insight.clips
        speakers = insight.speakers(split=split) or "?"
        rows.append(render.row(name, clips, speakers, _minutes(insight, language, split=split)))
    return render.table([text(key, language) for key in keys], rows)


def _minutes(insight: Insight, language: Language, label: str = "", split: str = "") -> str:
    minutes = insight.minutes(label, split)
    if not minutes:
        return "?"
    line = f"{max(minutes, 0.1):.1f}" if minutes < 10 else f"{minutes:.0f}"
    return text("data_about", language, n=line) if insight.estimated else line


def _lengths(insight: Insight, language: Language) -> str:
    low, median, high = (f"{x:.1f}" for x in np.percentile(insight.seconds, [5, 50, 95]))
    key = "data_length" if low == high else "data_lengths"
    line = text(key, language, low=low, median=median, high=high)
    if not insight.estimated:
        return line
    estimated = text("data_estimated", language, n=len(insight.seconds))
    return paragraph([line, estimated], language)


def warnings(insight: Insight, language: Language) -> list[str]:
    """What a person should know before training, the worst first; not escaped."""
    lines = []
    if insight.shared:
        lines.append(text("data_shared", language, n=insight.shared))
    elif insight.splits and not insight.speakers():
        lines.append(text("data_unknown", language))
    for key, n in (("data_twins", insight.twins), ("data_copies", insight.copies)):
        if n:
            lines.append(text(key, language, n=n))
    if insight.speakers(split="test") == 1 and insight.splits.get("test"):
        lines.append(text("data_few", language))
    for split in insight.splits:
        present = {group.label for group in insight.groups if group.split == split}
        lacking = [word(name, language) for name in insight.classes if name not in present]
        if lacking:
            name = text(f"split_{split}", language)
            lines.append(text("data_absent", language, classes=lacking, split=name))
    ranked = sorted(insight.classes, key=lambda name: insight.classes[name])
    if ranked and insight.classes[ranked[-1]] > UNEVEN * insight.classes[ranked[0]]:
        few, many = ranked[0], ranked[-1]
        words = {"few": word(few, language), "many": word(many, language)}
        counts = {"n": insight.classes[few], "m": insight.classes[many]}
        lines.append(text("data_uneven", language, **words, **counts))
    return lines


def _rejected(insight: Insight, language: Language) -> str:
    counts = [(reason.kind(language), n) for reason, n in insight.rejected]
    stop = "：" if language == "zh" else ": "
    kinds = ("、" if language == "zh" else ", ").join(f"{escape(kind)} {n}" for kind, n in counts)
    items = ""
    for one in insight.first:
        reason = one.message.in_language(language)
        items += f"<li>{escape(Path(one.path).name)}{stop}{escape(reason)}</li>"
    if insight.prepared:
        file = escape(str(insight.path / REJECTED))
        items += f"<li>{text('data_rejected_all', language, file=file)}</li>"
    more = f"<summary>{text('data_rejected_first', language)}</summary><ul>{items}</ul>"
    line = text("data_rejected", language, n=sum(n for _, n in counts))
    return f"<p>{line} {kinds}</p><details>{more}</details>"


def classes(insight: Insight, language: Language) -> go.Figure:
    """Clips of each class as bars by split; plain lists only."""
    names = [*insight.classes][::-1]  # plotly draws upwards
    words = [escape(title(name, language)) for name in names]
    splits = list(insight.splits) or [""]
    bars: list[Any] = []
    for split in splits:
        counts = {g.label: g.clips for g in insight.groups if g.split == split}
        bars.append(
            go.Bar(
                name=capital(text(f"split_{split}", language)) if split else "",
                x=[counts.get(name, 0) for name in names],
                y=words,
                orientation="h",
                hoverinfo="skip",
                marker={
                    "color": SHADES[split],
                    "pattern": {"shape": PATTERNS[split], "fillmode": "overlay", "size": 6},
                    "line": {"width": 0},
                },
            )
        )
    lines = [class_line(insight, name, language) for name in names]
    totals = [insight.classes[name] for name in names]
    bars.append(
        go.Scatter(
            x=totals,
            y=words,
            text=[f" {line}" for line in lines],
            mode="text",
            textposition="middle right",
            cliponaxis=False,
            hoverinfo="skip",
            showlegend=False,
        )
    )
    return go.Figure(data=bars, layout=_layout(len(names), max(totals, default=1), len(splits) > 1))


def class_line(insight: Insight, name: str, language: Language) -> str:
    """Recordings, speakers and minutes of a class in one line."""
    return text(
        "data_class",
        language,
        clips=insight.classes[name],
        speakers=insight.speakers(name) or "?",
        minutes=_minutes(insight, language, name),
    )


def aloud(insight: Insight, language: Language) -> str:
    """The picture for those who do not see it: HTML."""
    rows = (
        f"<li>{escape(title(name, language))}: {class_line(insight, name, language)}</li>"
        for name in insight.classes
    )
    return f'<ul class="aloud">{"".join(rows)}</ul>'


def _layout(rows: int, most: int, has_legend: bool) -> dict[str, Any]:
    fixed = {"fixedrange": True, "showgrid": False, "zeroline": False}
    top = EDGE + (LEGEND if has_legend else 0)
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"}
    return still(
        ROW * rows + top + EDGE,
        size=13,
        margin={"l": 8, "r": 8, "t": top, "b": EDGE, "pad": 8},
        barmode="stack",
        bargap=0.34,
        hovermode=False,
        showlegend=has_legend,
        legend={**legend, "itemclick": False, "itemdoubleclick": False},
        xaxis={**fixed, "range": [0, most * ROOM], "visible": False},
        yaxis={**fixed, "automargin": True, "ticks": "", "type": "category"},
    )


def upload_message(upload: Upload, language: Language) -> str:
    """What became of an upload; not escaped."""
    if upload.files:
        line = text("upload_done", language, files=upload.files, path=upload.path)
    else:
        line = text("upload_table", language, path=upload.path)
    if upload.left_out:
        what = [text(f"left_{why}", language, n=n) for why, n in upload.left_out.items()]
        line = f"{line} {text('upload_left', language, what=what)}"
    return line
