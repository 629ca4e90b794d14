"""What an evaluation found, as the page reads it: figures, and every clip it got wrong."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from audiollm.jobs.job import Job
from audiollm.web.train.plan import RESULT


@dataclass(frozen=True)
class Mistake:
    """A clip of the test speakers whose answer is not its label."""

    id: str
    path: str  # a file, or DATASET#SPLIT/ROW
    label: str
    answer: str  # "": there was none
    share: float  # probability of the answer
    own: float  # probability of the label
    speaker: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Tested:
    """A `result.json` that `python -m train evaluate` wrote."""

    place: Path
    data: Path  # the prepared folder
    metrics: Mapping[str, Any]  # `Metrics.to_dict()`
    probes: Mapping[str, Mapping[str, Any]]
    claims: tuple[float, ...]  # probability of every answer, right or wrong
    wrong: tuple[Mistake, ...]  # the most confident first

    @property
    def report(self) -> Path | None:
        """The whole report as a page, where it is there."""
        path = self.place.with_name("report.html")
        return path if path.is_file() else None


def of_job(job: Job) -> Tested | None:
    """What the job's evaluation found; None where there is none, or not yet."""
    made = [step.result for step in job.steps if step.result.name == RESULT]
    return read(made[0]) if job.state == "done" and made else None


def read(place: Path) -> Tested | None:
    """An evaluation; None where it is missing or damaged."""
    try:
        return _read(place, place.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


@lru_cache(maxsize=16)
def _read(place: Path, _: int) -> Tested:
    found = json.loads(place.read_text(encoding="utf-8"))
    clips = found.get("clips", [])
    answered = [c for c in clips if c["predicted"] and c["probabilities"]]
    wrong = [_mistake(clip) for clip in clips if clip["predicted"] != clip["label"]]
    return Tested(
        place=place,
        data=Path(found.get("data", {}).get("folder", "")),
        metrics=found["metrics"],
        probes=found.get("probes", {}),
        claims=tuple(float(c["probabilities"][c["predicted"]]) for c in answered),
        wrong=tuple(sorted(wrong, key=lambda m: (-m.share, m.path))),
    )


def _mistake(clip: Mapping[str, Any]) -> Mistake:
    table, answer = clip["probabilities"] or {}, clip["predicted"] or ""
    return Mistake(
        id=str(clip["id"]),
        path=str(clip["path"]),
        label=str(clip["label"]),
        answer=str(answer),
        share=float(table.get(answer, 0)),
        own=float(table.get(clip["label"], 0)),
        speaker=str(clip["speaker"] or ""),
        seconds=float(clip["seconds"] or 0),
    )
