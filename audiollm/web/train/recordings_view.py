"""What the Train page shows of recordings: words, HTML and a picture. No gradio here."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web.auth.access import opened
from audiollm.web.services import Services
from audiollm.web.train import chinese
from audiollm.web.train.look import (
    REJECTED,
    Insight,
    OnHub,
    of_bundled,
    of_prepared,
    of_recordings,
    on_hub,
)
from audiollm.web.train.prepared import SIDES, Data, prepared_folders
from audiollm.web.train.sources import EMODB, FOLDER, HUB, asked
from audiollm.web.train.upload import Upload

UNEVEN = 4  # times as many clips: from there on the rare class is spoken of
GAP = "no clip of "  # a note of the split that stands among the warnings in the page's language
ROW, EDGE, LEGEND = 30, 8, 30  # px
SHADES = {"train": "#0f766e", "valid": "#b7791f", "test": "#6d28d9", "": "#0f766e"}
PATTERNS = {"train": "", "valid": "/", "test": ".", "": ""}  # not by colour alone


def sources(found: Sequence[Data], language: Language) -> list[tuple[str, str]]:
    """(words, id) of what one can train on."""
    offered = [(text("source_emodb", language), EMODB)]
    for data in found:
        said = text("source_prepared", language, name=data.folder.name, clips=data.whole.clips)
        offered.append((said, str(data.folder)))
    return [
        *offered,
        (text("source_folder", language), FOLDER),
        (text("source_hub", language), HUB),
    ]


def insight(
    services: Services,
    source: str,
    place: str,
    speaker_pattern: str = "",
    split: str = "auto",
    all_learn: bool = False,
) -> Insight | OnHub | None:
    """What there is to know of a source (see `Plan.source`); None where nothing is named yet.

    Raises:
        ShutError: see `opened`.
        AudioLLMError: it cannot be read.
    """
    opened(services)
    if source == EMODB:
        return of_bundled()
    if source in (FOLDER, HUB):
        if not place.strip():
            return None
        if source == HUB:
            return on_hub(services, place.strip())
        return of_recordings(services, asked(source, place, speaker_pattern, split, all_learn))
    known = [folder for folder in prepared_folders(services) if str(folder) == source]
    return of_prepared(known[0]) if known else None  # no other folder is taken for one


def summary(found: Insight | OnHub | None, language: Language) -> str:
    """HTML: who is there, what is wrong, what is not used."""
    if found is None:
        body = [f"<p>{text('data_folder', language)}</p>"]
    elif isinstance(found, OnHub):
        body = _hub(found, language)
    else:
        body = _whole(found, language)
    return f'<div class="cues data">{"".join(body)}</div>'


def _hub(found: OnHub, language: Language) -> list[str]:
    size = f"{found.size / 1e6:.0f}" if found.size else "?"
    said = text("data_hub", language, id=found.id, files=found.files, mb=size)
    rows = (text("data_hub_rows", language, split=s, n=n) for s, n in found.clips.items())
    return [f"<p>{escape(said)}</p>", *(f"<p>{escape(row)}</p>" for row in rows)]


def _whole(found: Insight, language: Language) -> list[str]:
    body = [_sides(found, language)]
    if found.seconds:
        body.append(f"<p>{_lengths(found, language)}</p>")
    if not found.prepared and found.sides:
        body.append(f"<p>{text('data_planned', language)}</p>")
    body += [f'<p class="caution">{escape(said)}</p>' for said in warnings(found, language)]
    if found.rejected:
        body.append(_rejected(found, language))
    said = chinese.note if language == "zh" else str
    notes = (said(note) for note in found.notes if not note.startswith(GAP))
    return [*body, *(f"<p><small>{escape(note)}</small></p>" for note in notes)]


def _sides(found: Insight, language: Language) -> str:
    keys = ("data_side", "data_clips", "data_speakers", "data_minutes")
    head = "".join(f'<th scope="col">{text(key, language)}</th>' for key in keys)
    rows = [(text(f"side_{side}", language), side) for side in found.sides]
    if len(rows) != 1:
        rows.append((text("data_all", language), ""))
    body = "".join(_side(name, found, side, language) for name, side in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _side(name: str, found: Insight, side: str, language: Language) -> str:
    clips = found.sides[side] if side else found.clips
    minutes = _minutes(found, language, side=side)
    cells = (str(clips), str(found.speakers(side=side) or "?"), minutes)
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>'


def _minutes(found: Insight, language: Language, label: str = "", side: str = "") -> str:
    minutes = found.minutes(label, side)
    if not minutes:
        return "?"
    said = f"{max(minutes, 0.1):.1f}" if minutes < 10 else f"{minutes:.0f}"
    return text("data_about", language, n=said) if found.estimated else said


def _lengths(found: Insight, language: Language) -> str:
    low, median, high = (f"{x:.1f}" for x in np.percentile(found.seconds, [5, 50, 95]))
    key = "data_length" if low == high else "data_lengths"
    said = text(key, language, low=low, median=median, high=high)
    if not found.estimated:
        return said
    return f"{said} {text('data_estimated', language, n=len(found.seconds))}"


def warnings(found: Insight, language: Language) -> list[str]:
    """What a person should know before training, the worst first; not escaped."""
    said = []
    if found.trouble and found.nameless:
        counts = {"n": found.nameless, "all": found.clips}
        said.append(text("data_nameless", language, **counts))
    elif found.trouble:
        said.append(text("data_trouble", language, sentence=found.trouble))
    if found.shared:
        said.append(text("data_shared", language, n=found.shared))
    elif found.sides and not found.speakers():
        said.append(text("data_unknown", language))
    for key, n in (("data_twins", found.twins), ("data_copies", found.copies)):
        if n:
            said.append(text(key, language, n=n))
    if found.speakers(side="test") == 1 and found.sides.get("test"):
        said.append(text("data_few", language))
    said += _absent(found, language)
    ranked = sorted(found.classes, key=lambda name: found.classes[name])
    if ranked and found.classes[ranked[-1]] > UNEVEN * found.classes[ranked[0]]:
        few, many = ranked[0], ranked[-1]
        words = {"few": word(few, language), "many": word(many, language)}
        counts = {"n": found.classes[few], "m": found.classes[many]}
        said.append(text("data_uneven", language, **words, **counts))
    return said


def _absent(found: Insight, language: Language) -> list[str]:
    """Classes that a side lacks."""
    said, stop = [], "、" if language == "zh" else ", "
    for side in found.sides:
        there = {group.label for group in found.groups if group.side == side}
        lacking = [word(name, language) for name in found.classes if name not in there]
        if lacking:
            told = {"classes": stop.join(lacking), "side": text(f"side_{side}", language)}
            said.append(text("data_absent", language, **told))
    return said


def _rejected(found: Insight, language: Language) -> str:
    total = sum(found.rejected.values())
    zh, stop = language == "zh", "：" if language == "zh" else ": "
    kind, reason = (chinese.kind, chinese.reason) if zh else (str, str)
    kinds = ("、" if zh else ", ").join(
        f"{escape(kind(what))} {n}" for what, n in found.rejected.items()
    )
    items = "".join(
        f"<li>{escape(Path(path).name)}{stop}{escape(reason(why))}</li>"
        for path, why in found.first
    )
    if found.prepared:
        where = escape(str(found.place / REJECTED))
        items += f"<li>{text('data_rejected_all', language, file=where)}</li>"
    more = f"<summary>{text('data_rejected_first', language)}</summary><ul>{items}</ul>"
    said = text("data_rejected", language, n=total)
    return f"<p>{said} {kinds}</p><details>{more}</details>"


def classes(found: Insight, language: Language) -> go.Figure:
    """Clips of each class as bars parted by side; plain lists only."""
    names = [*found.classes][::-1]  # plotly draws upwards
    words = [escape(word(name, language)) for name in names]
    sides = [side for side in SIDES if side in found.sides] or [""]
    bars: list[Any] = []
    for side in sides:
        counts = {g.label: g.clips for g in found.groups if g.side == side}
        bars.append(
            go.Bar(
                name=text(f"side_{side}", language) if side else "",
                x=[counts.get(name, 0) for name in names],
                y=words,
                orientation="h",
                hoverinfo="skip",
                marker={
                    "color": SHADES[side],
                    "pattern": {"shape": PATTERNS[side], "fillmode": "overlay", "size": 6},
                    "line": {"width": 0},
                },
            )
        )
    told = [class_line(found, name, language) for name in names]
    totals = [found.classes[name] for name in names]
    bars.append(
        go.Scatter(
            x=totals,
            y=words,
            text=[f" {said}" for said in told],
            mode="text",
            textposition="middle right",
            cliponaxis=False,
            hoverinfo="skip",
            showlegend=False,
        )
    )
    return go.Figure(data=bars, layout=_layout(len(names), max(totals, default=1), len(sides) > 1))


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
    still = {"fixedrange": True, "showgrid": False, "zeroline": False}
    top = EDGE + (LEGEND if named else 0)
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"}
    return {
        "template": {},
        "height": ROW * rows + top + EDGE,
        "margin": {"l": 8, "r": 8, "t": top, "b": EDGE, "pad": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 13, "family": "system-ui, sans-serif"},
        "barmode": "stack",
        "bargap": 0.34,
        "dragmode": False,
        "hovermode": False,
        "showlegend": named,
        "legend": {**legend, "itemclick": False, "itemdoubleclick": False},
        "xaxis": {**still, "range": [0, most * 2.3], "visible": False},
        "yaxis": {**still, "automargin": True, "ticks": "", "type": "category"},
    }


def uploaded(made: Upload, language: Language) -> str:
    """What became of an upload; not escaped."""
    if made.files:
        said = text("upload_done", language, files=made.files, place=made.place)
    else:
        said = text("upload_table", language, place=made.place)
    left: Mapping[Any, int] = made.left_out
    if left:
        stop = "、" if language == "zh" else ", "
        what = stop.join(text(f"left_{why}", language, n=n) for why, n in left.items())
        said = f"{said} {text('upload_left', language, what=what)}"
    return said
