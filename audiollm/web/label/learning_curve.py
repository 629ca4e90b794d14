"""The learning curve of the labels: measured in a process of its own, stored, shown.

`python -m train learning-curve` measures it. Its result stays in the home folder.
"""

import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from audiollm.contracts.learning_curve import (
    CURVE,
    Extrapolation,
    LearningCurve,
    read_curve,
    read_progress,
)
from audiollm.contracts.messages import Message
from audiollm.errors import DataError
from audiollm.jobs.queue import ROOT
from audiollm.labelling.formats import write_jsonl
from audiollm.labelling.statistics import FEWEST
from audiollm.labels import Language
from audiollm.metrics.figures import still
from audiollm.settings import reporting_to
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.auth.access import owner_settings
from audiollm.web.label.queue import label_store
from audiollm.web.services import Services

LITTLE = 0.01  # of UA: an expected gain whose upper bound is below this is negligible
# visible on light and on dark
COLOUR, BAND, FAINT = "#0d9488", "rgba(13,148,136,.25)", "rgba(13,148,136,.14)"


def measure(services: Services, data: str, language: Language) -> Generator[str]:
    """HTML of the progress; at the end `last` returns the result. The process ends with this
    generator.

    data: a prepared folder.

    Raises:
        ShutError: see `owner_settings`.
        DataError: there are too few labels, no such data, or the command failed.
        LabelError: the labels cannot be read.
    """
    home = owner_settings(services).home
    outcomes = [outcome for outcome in label_store(services).outcomes() if outcome.emotion]
    if len(outcomes) < FEWEST:
        raise DataError("learning_curve_few", n=len(outcomes), fewest=FEWEST)
    if not data:
        raise DataError("fine_tuning_no_data")
    yield render.notice(text("learning_curve_begins", language), "wait", share=0.0)
    with tempfile.TemporaryDirectory(prefix="audiollm-curve-") as folder:
        names = ("labels.jsonl", "stderr.txt", "refusal.json")
        labels, stderr, refusal = (Path(folder) / name for name in names)
        try:
            write_jsonl(outcomes, labels)
        except OSError as error:
            raise DataError("label_export_failed", reason=error) from error
        command = [sys.executable, "-m", "train", "learning-curve", "--labels", str(labels)]
        command += ["--data", data, "--out", str((home / CURVE).resolve())]
        streams: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True}
        streams["env"] = reporting_to(refusal)
        with (
            stderr.open("w") as errors,
            subprocess.Popen(command, cwd=ROOT, stderr=errors, **streams) as process,  # noqa: S603
        ):
            try:
                for line in process.stdout or ():
                    if (share := read_progress(line)) is not None:
                        message = text("learning_curve_goes_on", language)
                        yield render.notice(message, "wait", share=share)
                code = process.wait()
            finally:
                process.kill()
        if code:
            said = stderr.read_text(encoding="utf-8", errors="replace").strip()
            reason: object = said.split("\n")[-1] or f"exit code {code}"
            if refusal.is_file():
                reason = Message.refusal(refusal.read_text(encoding="utf-8")) or reason
            raise DataError("learning_curve_failed", reason=reason)


def last(services: Services) -> LearningCurve | None:
    """The last result; None where there is none.

    Raises:
        ShutError: see `owner_settings`.
    """
    return read_curve(owner_settings(services).home)


def html(curve: LearningCurve, labelled: int, language: Language) -> str:
    """One sentence about further labels, and below it how it was measured.

    labelled: clips with a class now.
    """
    left_out = sum(curve["left"].values())
    lines = []
    if curve["points"]:
        about = {key: curve[key] for key in ("labels", "clips", "speakers")}
        data = Path(curve["data"]).name
        lines.append(text("learning_curve_how", language, data=data, **about))
        if not curve["speakers"]:
            lines.append(text("learning_curve_no_speakers", language))
    if left_out:
        lines.append(text("learning_curve_left", language, n=left_out))
    if labelled != curve["labels"] + left_out:
        counts = {"n": curve["labels"] + left_out, "now": labelled}
        lines.append(text("learning_curve_stale", language, **counts))
    small = "".join(f"<p><small>{escape(line)}</small></p>" for line in lines)
    return f"<p><b>{escape(sentence(curve, language))}</b></p>{small}"


def sentence(curve: LearningCurve, language: Language) -> str:
    """Whether more labels are expected to help, with 95 % intervals."""
    ahead, labels = curve["ahead"], curve["labels"]
    if ahead is None or curve["gain"] is None:
        return text("learning_curve_few", language, n=labels, fewest=curve["fewest"])
    more, gain = _points(ahead["gain"]), _points(curve["gain"])
    key = f"learning_curve_{helps(ahead)}"
    return text(key, language, n=ahead["labels"], more=more, labels=labels, gain=gain)


def helps(ahead: Extrapolation) -> str:
    """Whether more labels are expected to help: yes, no, unknown."""
    gain = ahead["gain"]
    if gain["high"] < LITTLE:
        return "no"
    return "yes" if gain["low"] > 0 else "unknown"


def _points(of: Mapping[str, float]) -> str:
    value, low, high = (100 * of[key] for key in ("value", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def figure(curve: LearningCurve, language: Language) -> go.Figure | None:
    """UA over the number of labels, measured and extrapolated; None without points."""
    measured = curve["points"]
    if not measured or curve["ahead"] is None:
        return None
    extrapolated = [measured[-1], *curve["ahead"]["points"]]
    parts = (("measured", measured, BAND, "solid"), ("ahead", extrapolated, FAINT, "dash"))
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
                "name": text(f"learning_curve_{key}", language),
                "line": {"color": COLOUR, "width": 2, "dash": dash},
                "marker": {"size": 6},
            }
        )
    fixed = {"fixedrange": True, "zeroline": False, "gridcolor": "rgba(128,128,128,.25)"}
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemclick": False}
    titles = {
        axis: {"text": text(key, language), "standoff": 6}
        for axis, key in (("x", "learning_curve_labels"), ("y", "fine_tuning_ua"))
    }
    layout = still(
        320,
        margin={"l": 54, "r": 12, "t": 34, "b": 44},
        hovermode=False,
        showlegend=True,
        legend={**legend, "itemdoubleclick": False},
        xaxis={**fixed, "rangemode": "tozero", "title": titles["x"]},
        yaxis={**fixed, "title": titles["y"]},
    )
    return go.Figure({"data": traces, "layout": layout})
