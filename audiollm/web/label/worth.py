"""How many more labels are worth it: a curve with its interval, and one sentence. No gradio here.

`python -m train worth` measures it in a process of its own; what it found is kept in the home
folder, so the page shows it again.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from audiollm.errors import DataError
from audiollm.jobs.queue import ROOT
from audiollm.labelling.formats import write_jsonl
from audiollm.labelling.statistics import FEWEST
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.auth.access import opened
from audiollm.web.label.actions import book
from audiollm.web.said import SaidError
from audiollm.web.services import Services

FOUND = "worth.json"  # in the home folder
LITTLE = 0.01  # of UA: what promises less at best is not worth the time
# seen on light and on dark
COLOUR, BAND, FAINT = "#0d9488", "rgba(13,148,136,.25)", "rgba(13,148,136,.14)"
Found = Mapping[str, Any]


def measure(services: Services, data: str, language: Language) -> Generator[str, None, None]:
    """HTML of how far it is; at the end `last` gives what was found.

    data: a prepared folder.

    Raises:
        ShutError: see `opened`.
        SaidError: there are too few labels, or no such data.
        DataError, LabelError: something cannot be read or written.
    """
    home = opened(services).home
    outcomes = [outcome for outcome in book(services).outcomes() if outcome.emotion]
    if len(outcomes) < FEWEST:
        raise SaidError("worth_few", n=len(outcomes), fewest=FEWEST)
    if not data:
        raise SaidError("improve_no_data", folder="-")
    yield render.notice(text("worth_begins", language), "wait", share=0.0)
    with tempfile.TemporaryDirectory(prefix="audiollm-worth-") as place:
        labels, wrong = Path(place) / "labels.jsonl", Path(place) / "wrong.txt"
        try:
            write_jsonl(outcomes, labels)
        except OSError as error:
            raise DataError(f"{place} cannot be written ({error.strerror}): make room.") from error
        command = [sys.executable, "-m", "train", "learning-curve", "--labels", str(labels)]
        command += ["--data", data, "--out", str((home / FOUND).resolve())]
        yield from _run(command, wrong, language)


def _run(command: list[str], wrong: Path, language: Language) -> Iterator[str]:
    """The process ends with whoever looks at it."""
    with (
        wrong.open("w") as stderr,
        subprocess.Popen(  # noqa: S603
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                if told := re.match(r"(\d+) of (\d+) probes", line):
                    share = int(told[1]) / int(told[2])
                    yield render.notice(text("worth_goes_on", language), "wait", share=share)
            code = process.wait()
        finally:
            process.kill()
    if code:
        said = wrong.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise DataError(said[-1] if said else f"python -m train worth ended with code {code}.")


def last(services: Services) -> dict[str, Any] | None:
    """What was found last; None where nobody has asked yet.

    Raises:
        ShutError: see `opened`.
    """
    path = opened(services).home / FOUND
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found if {"points", "ahead", "left"} <= set(found) else None
    except (OSError, ValueError, TypeError):
        return None


def html(found: Found, labelled: int, language: Language) -> str:
    """One sentence about the next labels, and below it how it was measured.

    labelled: clips with a class now.
    """
    left = sum(found["left"].values())
    lines = []
    if found["points"]:
        about = {key: found[key] for key in ("labels", "clips", "speakers")}
        lines.append(text("worth_how", language, data=Path(found["data"]).name, **about))
        if not found["speakers"]:
            lines.append(text("worth_strangers", language))
    if left:
        lines.append(text("worth_left", language, n=left))
    if labelled != found["labels"] + left:
        lines.append(text("worth_stale", language, n=found["labels"] + left, now=labelled))
    small = "".join(f"<p><small>{escape(line)}</small></p>" for line in lines)
    return f"<p><b>{escape(sentence(found, language))}</b></p>{small}"


def sentence(found: Found, language: Language) -> str:
    """Whether more labels are worth it, in figures with their 95 % intervals."""
    if not found["points"]:
        return text("worth_few", language, n=found["labels"], fewest=found["fewest"])
    ahead = found["ahead"]
    more, so_far = _points(ahead["gain"]), _points(found["gain"])
    verdict = "yes" if ahead["gain"]["low"] > 0 else "unknown"
    if ahead["gain"]["high"] < LITTLE:
        verdict = "no"
    said = {"n": ahead["labels"], "more": more, "labels": found["labels"], "gain": so_far}
    return text(f"worth_{verdict}", language, **said)


def _points(of: Mapping[str, float]) -> str:
    value, low, high = (100 * of[key] for key in ("value", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def figure(found: Found, language: Language) -> go.Figure | None:
    """UA over the number of labels: as measured, and as it may go on; None without points."""
    if not found["points"]:
        return None
    measured = found["points"]
    further = [measured[-1], *found["ahead"]["points"]]
    parts = (("measured", measured, BAND, "solid"), ("ahead", further, FAINT, "dash"))
    traces: list[dict[str, Any]] = []
    for key, points, colour, dash in parts:
        x = [point["labels"] for point in points]
        edges = {edge: [point["ua"][edge] for point in points] for edge in ("low", "high")}
        plain = {"type": "scatter", "hoverinfo": "skip", "legendgroup": key}
        traces.append(
            {
                **plain,
                "x": [*x, *x[::-1]],
                "y": [*edges["high"], *edges["low"][::-1]],
                "mode": "lines",
                "fill": "toself",
                "fillcolor": colour,
                "line": {"width": 0},
                "showlegend": False,
            }
        )
        traces.append(
            {
                **plain,
                "x": x,
                "y": [point["ua"]["value"] for point in points],
                "mode": "lines+markers",
                "name": text(f"worth_{key}", language),
                "line": {"color": COLOUR, "width": 2, "dash": dash},
                "marker": {"size": 6},
            }
        )
    return go.Figure({"data": traces, "layout": _layout(language)})


def _layout(language: Language) -> dict[str, Any]:
    still = {"fixedrange": True, "zeroline": False, "gridcolor": "rgba(128,128,128,.25)"}
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemclick": False}

    def title(key: str) -> dict[str, Any]:
        return {"title": {"text": text(key, language), "standoff": 6}}

    return {
        "template": {},
        "height": 320,
        "margin": {"l": 54, "r": 12, "t": 34, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12, "family": "system-ui, sans-serif"},
        "dragmode": False,
        "hovermode": False,
        "showlegend": True,
        "legend": {**legend, "itemdoubleclick": False},
        "xaxis": {**still, "rangemode": "tozero"} | title("worth_labels"),
        "yaxis": still | title("improve_ua"),
    }
