"""A model learns from people's labels: the job, and before and after as HTML. No gradio here.

The new model answers only when somebody lets it: `training.promote`, as for any other.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from audiollm import hub
from audiollm.config import MANIFEST_NAME, Manifest, read_json
from audiollm.errors import DataError
from audiollm.jobs import Jobs
from audiollm.labelling.formats import write_jsonl
from audiollm.labels import Language, word
from audiollm.plan import Job, Step
from audiollm.ui.label.actions import book
from audiollm.ui.owner.access import opened
from audiollm.ui.said import SaidError
from audiollm.ui.services import Services
from audiollm.ui.texts import text
from audiollm.ui.train import actions, prepared
from audiollm.ui.train.prepared import PREPARED, SUMMARY

COMPARED = "compare.json"
CLIPS = "clips.jsonl"  # of a prepared folder
LISTED = 20  # changed answers that are named

_ID = re.compile(r'"id": "([0-9a-f]{64})"')


@dataclass(frozen=True)
class Improvement:
    """One model, once more through stage 2, with people's labels."""

    name: str  # of the new model
    model: str  # folder of the one that is improved
    data: str  # prepared folder
    epochs: float = 2.0
    device: str = "cpu"
    temperature: float | None = None  # of the probabilities; None: the validation speakers say

    def place(self, home: Path) -> Path:
        """Everything but the new model goes there."""
        return home / "runs" / f"{self.name}-improve"

    def steps_in(self, home: Path) -> list[Step]:
        """The commands, all paths absolute; the labels lie in `place` already."""
        place, model = self.place(home), home / "models" / self.name
        data, start, run = place / "data", place / "start", home / "runs" / f"{self.name}-stage2"
        judged = home / "runs" / f"{self.name}-evaluate"
        calibrated: tuple[str, ...] = ()
        if self.temperature is not None:
            said = ("--fitted-on", "the model before the labels")
            calibrated = ("--temperature", f"{self.temperature:g}", *said)
        taught = ("--model", self.model, "--data", self.data, "--out", str(place))
        fit = ("--data", str(data), "--from", str(start), "--epochs", f"{self.epochs:g}")
        evaluate = ("--model", str(model), "--data", str(data), "--record", "--out", str(judged))
        compare = ("--before", self.model, "--after", str(model), "--data", str(data))
        return [
            Step(
                "relabel",
                ("train", "relabel", "--labels", str(place / "labels.jsonl"), *taught),
                start / "run.json",
            ),
            Step(
                "stage 2",
                ("train", "fit", "--stage", "2", *fit, "--out", str(run)),
                run / "metrics.json",
            ),
            Step(
                "merge",
                ("train", "merge", "--run", str(run), "--out", str(model), *calibrated),
                model / MANIFEST_NAME,
            ),
            Step("evaluate", ("train", "evaluate", *evaluate), judged / "result.json"),
            Step(
                "compare",
                ("train", "compare", *compare, "--out", str(place / COMPARED)),
                place / COMPARED,
            ),
        ]


def offered(services: Services) -> list[str]:
    """The prepared folders that the model may have learned from; first the one with most of the
    clips that people have labelled.

    Raises:
        ShutError: see `access.opened`.
    """
    folders = [one.folder for one in prepared.prepared(services)]
    if not folders:
        return []
    labelled = {outcome.task.id for outcome in book(services).outcomes() if outcome.emotion}
    return [str(f) for f in sorted(folders, key=lambda f: -len(labelled & _clips(f)))]


def _clips(folder: Path) -> set[str]:
    """The ids of prepared clips; none where nobody can read them."""
    try:
        return set(_ID.findall((folder / CLIPS).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return set()


def start(services: Services, data: str, device: str = "cpu", epochs: float = 2.0) -> str:
    """Teaches the model that answers what people have labelled; returns the new one's name.

    data: the prepared folder that it learned from, or another that its encoder has heard.

    Raises:
        ShutError: see `access.opened`.
        SaidError: there are no labels, no such data, or no model.
        LabelError, DataError, JobError: something cannot be read or written.
    """
    settings = opened(services)
    home = settings.home.resolve()
    outcomes = [outcome for outcome in book(services).outcomes() if outcome.emotion]
    if not outcomes:
        raise SaidError("improve_no_labels")
    folder = Path(data or "-").expanduser().resolve()
    if not (folder / PREPARED).is_file():
        raise SaidError("improve_no_data", folder=data)
    if not services.ready or services.model.exception():
        raise SaidError("improve_no_model")
    model = hub.locate(services.using, settings)
    manifest = read_json(Manifest, model / MANIFEST_NAME)
    name = actions.free_name(services, f"{manifest.name}-labelled")
    calibrated = None if _validates(folder) else manifest.calibration.temperature
    plan = Improvement(name, str(model), str(folder), epochs, device, calibrated)
    place = plan.place(home)
    try:
        place.mkdir(parents=True, exist_ok=True)
        write_jsonl(outcomes, place / "labels.jsonl")
    except OSError as error:
        raise DataError(f"{place} cannot be written ({error.strerror}): make room.") from error
    Jobs(home).add(name, device, plan.steps_in(home))
    return name


def _validates(folder: Path) -> bool:
    """Whether prepared data have clips by which a temperature can be chosen."""
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        return int(summary["splits"]["valid"]["clips"]) > 0
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is damaged ({error!r}): prepare it again.") from error


def compared(job: Job) -> dict[str, Any] | None:
    """What the job's comparison has found; None where there is none, or not yet."""
    made = [step.result for step in job.steps if step.result.name == COMPARED]
    try:
        found: dict[str, Any] = json.loads(made[0].read_text(encoding="utf-8"))
    except (OSError, ValueError, IndexError):
        return None
    return found


def html(result: Mapping[str, Any], language: Language) -> str:
    """Before and after, for the page."""
    counts = {kind: result["labels"].get(kind, 0) for kind in ("corrected", "confirmed", "new")}
    lines = [text("improve_taught", language, **counts)]
    if left := sum(result["left"].values()):
        lines.append(text("improve_left", language, n=left))
    body = "".join(f"<p>{escape(line)}</p>" for line in lines)
    body += _part("held_out", result["held_out"], language)
    body += _part("corrected", result["corrected"], language)
    notes = (text("improve_note", language, note=note) for note in result["notes"])
    return f'<div class="cues data">{body}{"".join(f"<p>{escape(n)}</p>" for n in notes)}</div>'


def _part(name: str, found: Mapping[str, Any] | None, language: Language) -> str:
    head = f"<h3>{text(f'improve_{name}', language)}</h3>"
    if found is None:
        return f"{head}<p>{text('improve_nobody', language)}</p>"
    said = {"clips": found["clips"], "speakers": len(found["speakers"])}
    lines = [text("improve_clips", language, **said)]
    if name == "corrected":
        lines.append(text("improve_corrected_why", language))
    heads = ("", *(text(f"improve_{key}", language) for key in ("before", "after", "change")))
    rows = [_row(text(f"improve_{key}", language), found[key]) for key in ("ua", "wa")]
    rows += [
        _row(f"{word(one['name'], language)} ({one['support']})", one) for one in found["per_class"]
    ]
    table = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heads)
    shown = "".join(f"<p>{escape(line)}</p>" for line in lines)
    rows_html = "".join(rows)
    table = f"<table><thead><tr>{table}</tr></thead><tbody>{rows_html}</tbody></table>"
    return f"{head}{shown}{table}{_flips(found['flipped'], language)}"


def _row(name: str, found: Mapping[str, Any]) -> str:
    """UA or WA with their intervals, or the recall of a class."""

    def value(of: Any) -> str:
        return f"{of if isinstance(of, int | float) else of['value']:.2f}"

    change = found["change"]
    moved = f"{change['value']:+.2f} <small>[{change['low']:+.2f}, {change['high']:+.2f}]</small>"
    cells = (value(found["before"]), value(found["after"]), moved)
    return f'<tr><th scope="row">{escape(name)}</th>' + (
        "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    )


def _flips(flipped: list[Mapping[str, Any]], language: Language) -> str:
    """How many answers changed, and the first of them."""
    right = sum(one["after"] == one["label"] for one in flipped)
    wrong = sum(one["before"] == one["label"] for one in flipped)
    counts = {"right": right, "wrong": wrong, "other": len(flipped) - right - wrong}
    items = "".join(
        "<li>"
        + escape(
            text(
                "improve_flip",
                language,
                file=Path(one["path"]).name,
                **{key: word(one[key], language) for key in ("label", "before", "after")},
            )
        )
        + "</li>"
        for one in flipped[:LISTED]
    )
    return f"<p>{text('improve_flips', language, **counts)}</p>" + (
        f"<ul>{items}</ul>" * bool(items)
    )
