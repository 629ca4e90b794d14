"""What the Train page shows of recordings: HTML and a figure. No gradio here."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from audiollm.contracts.insight import Insight
from audiollm.contracts.prepared import REJECTED, Summary
from audiollm.figures import still
from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.train.sources import EMODB, FOLDER, HUB, OnHub
from audiollm.web.train.upload import Upload

UNEVEN = 4  # times as many clips: from there on the rare class is spoken of
ROW, EDGE, LEGEND = 30, 8, 30  # px
SHADES = {"train": "#0f766e", "valid": "#b7791f", "test": "#6d28d9", "": "#0f766e"}
PATTERNS = {"train": "", "valid": "/", "test": ".", "": ""}  # not by colour alone


def sources(found: Mapping[Path, Summary], language: Language) -> list[tuple[str, str]]:
    """(label, id) of what one can train on."""
    offered = [(text("source_emodb", language), EMODB)]
    for folder, summary in found.items():
        name = text("source_prepared", language, name=folder.name, clips=summary.all.clips)
        offered.append((name, str(folder)))
    return [
        *offered,
        (text("source_folder", language), FOLDER),
        (text("source_hub", language), HUB),
    ]


def summary(found: Insight | OnHub | None, language: Language) -> str:
    """HTML: splits and lengths, warnings, what is not used."""
    if found is None:
        body = [f"<p>{text('data_folder', language)}</p>"]
    elif isinstance(found, OnHub):
        body = _hub(found, language)
    else:
        body = _whole(found, language)
    return f'<div class="cues data">{"".join(body)}</div>'


def _hub(found: OnHub, language: Language) -> list[str]:
    size = f"{found.size / 1e6:.0f}" if found.size else "?"
    line = text("data_hub", language, id=found.id, files=found.files, mb=size)
    rows = (text("data_hub_rows", language, split=s, n=n) for s, n in found.clips.items())
    return [f"<p>{escape(line)}</p>", *(f"<p>{escape(row)}</p>" for row in rows)]


def _whole(found: Insight, language: Language) -> list[str]:
    body = [_splits(found, language)]
    if found.seconds:
        body.append(f"<p>{_lengths(found, language)}</p>")
    if not found.prepared and found.splits:
        body.append(f"<p>{text('data_planned', language)}</p>")
    body += [f'<p class="caution">{escape(line)}</p>' for line in warnings(found, language)]
    if found.rejected:
        body.append(_rejected(found, language))
    # classes that a split lacks stand among the warnings
    notes = [n.in_language(language) for n in found.notes if n.code != "note_absent"]
    return [*body, *(f"<p><small>{escape(note)}</small></p>" for note in notes)]


def _splits(found: Insight, language: Language) -> str:
    keys = ("data_split", "data_clips", "data_speakers", "data_minutes")
    splits = [(text(f"split_{split}", language), split) for split in found.splits]
    if len(splits) != 1:
        splits.append((text("data_all", language), ""))
    rows = []
    for name, split in splits:
        clips = found.splits[split] if split else found.clips
        speakers = found.speakers(split=split) or "?"
        rows.append(render.row(name, clips, speakers, _minutes(found, language, split=split)))
    return render.table([text(key, language) for key in keys], rows)


def _minutes(found: Insight, language: Language, label: str = "", split: str = "") -> str:
    minutes = found.minutes(label, split)
    if not minutes:
        return "?"
    line = f"{max(minutes, 0.1):.1f}" if minutes < 10 else f"{minutes:.0f}"
    return text("data_about", language, n=line) if found.estimated else line


def _lengths(found: Insight, language: Language) -> str:
    low, median, high = (f"{x:.1f}" for x in np.percentile(found.seconds, [5, 50, 95]))
    key = "data_length" if low == high else "data_lengths"
    line = text(key, language, low=low, median=median, high=high)
    if not found.estimated:
        return line
    return f"{line} {text('data_estimated', language, n=len(found.seconds))}"


def warnings(found: Insight, language: Language) -> list[str]:
    """What a person should know before training, the worst first; not escaped."""
    lines = []
    if found.trouble and found.trouble.code == "data_unknown_speakers":
        counts = {"n": found.nameless, "all": found.clips}
        lines.append(text("data_nameless", language, **counts))
    elif found.trouble:
        lines.append(text("data_trouble", language, sentence=found.trouble))
    if found.shared:
        lines.append(text("data_shared", language, n=found.shared))
    elif found.splits and not found.speakers():
        lines.append(text("data_unknown", language))
    for key, n in (("data_twins", found.twins), ("data_copies", found.copies)):
        if n:
            lines.append(text(key, language, n=n))
    if found.speakers(split="test") == 1 and found.splits.get("test"):
        lines.append(text("data_few", language))
    for split in found.splits:
        present = {group.label for group in found.groups if group.split == split}
        lacking = [word(name, language) for name in found.classes if name not in present]
        if lacking:
            name = text(f"split_{split}", language)
            lines.append(text("data_absent", language, classes=lacking, split=name))
    ranked = sorted(found.classes, key=lambda name: found.classes[name])
    if ranked and found.classes[ranked[-1]] > UNEVEN * found.classes[ranked[0]]:
        few, many = ranked[0], ranked[-1]
        words = {"few": word(few, language), "many": word(many, language)}
        counts = {"n": found.classes[few], "m": found.classes[many]}
        lines.append(text("data_uneven", language, **words, **counts))
    return lines


def _rejected(found: Insight, language: Language) -> str:
    counts = [(reason.kind(language), n) for reason, n in found.rejected]
    stop = "：" if language == "zh" else ": "
    kinds = ("、" if language == "zh" else ", ").join(f"{escape(kind)} {n}" for kind, n in counts)
    items = ""
    for one in found.first:
        reason = one.message.in_language(language)
        items += f"<li>{escape(Path(one.path).name)}{stop}{escape(reason)}</li>"
    if found.prepared:
        file = escape(str(found.path / REJECTED))
        items += f"<li>{text('data_rejected_all', language, file=file)}</li>"
    more = f"<summary>{text('data_rejected_first', language)}</summary><ul>{items}</ul>"
    line = text("data_rejected", language, n=sum(n for _, n in counts))
    return f"<p>{line} {kinds}</p><details>{more}</details>"


def classes(found: Insight, language: Language) -> go.Figure:
    """Clips of each class as bars by split; plain lists only."""
    names = [*found.classes][::-1]  # plotly draws upwards
    words = [escape(word(name, language)) for name in names]
    splits = list(found.splits) or [""]
    bars: list[Any] = []
    for split in splits:
        counts = {g.label: g.clips for g in found.groups if g.split == split}
        bars.append(
            go.Bar(
                name=text(f"split_{split}", language) if split else "",
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
    lines = [class_line(found, name, language) for name in names]
    totals = [found.classes[name] for name in names]
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


def class_line(found: Insight, name: str, language: Language) -> str:
    """Recordings, speakers and minutes of a class in one line."""
    return text(
        "data_class",
        language,
        clips=found.classes[name],
        speakers=found.speakers(name) or "?",
        minutes=_minutes(found, language, name),
    )


def aloud(found: Insight, language: Language) -> str:
    """The picture for those who do not see it: HTML."""
    rows = (
        f"<li>{escape(word(name, language))}: {class_line(found, name, language)}</li>"
        for name in found.classes
    )
    return f'<ul class="aloud">{"".join(rows)}</ul>'


def _layout(rows: int, most: int, named: bool) -> dict[str, Any]:
    fixed = {"fixedrange": True, "showgrid": False, "zeroline": False}
    top = EDGE + (LEGEND if named else 0)
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"}
    return still(
        ROW * rows + top + EDGE,
        size=13,
        margin={"l": 8, "r": 8, "t": top, "b": EDGE, "pad": 8},
        barmode="stack",
        bargap=0.34,
        hovermode=False,
        showlegend=named,
        legend={**legend, "itemclick": False, "itemdoubleclick": False},
        xaxis={**fixed, "range": [0, most * 2.3], "visible": False},
        yaxis={**fixed, "automargin": True, "ticks": "", "type": "category"},
    )


def uploaded(found: Upload, language: Language) -> str:
    """What became of an upload; not escaped."""
    if found.files:
        line = text("upload_done", language, files=found.files, path=found.path)
    else:
        line = text("upload_table", language, path=found.path)
    if found.left_out:
        what = [text(f"left_{why}", language, n=n) for why, n in found.left_out.items()]
        line = f"{line} {text('upload_left', language, what=what)}"
    return line
