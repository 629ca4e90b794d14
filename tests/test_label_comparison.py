"""Before and after a model learned from labels, as the page shows it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audiollm.contracts.comparison import COMPARED
from audiollm.jobs.job import Job, Step
from audiollm.labels import LANGUAGES, Language
from audiollm.web.train import results_view, view


def result() -> dict[str, Any]:
    def interval(value: float) -> dict[str, Any]:
        return {"value": value, "low": value - 0.1, "high": value + 0.1, "unit": "clips"}

    figures = {"before": interval(0.5), "after": interval(0.75), "change": interval(0.25)}
    flip = {"clip": "a", "path": "/x/<b>.wav", "speaker": "", "label": "angry"}
    part = {
        "clips": 4,
        "speakers": ["a", "b"],
        "ua": figures,
        "wa": figures,
        "per_class": [
            {"name": "angry", "support": 4, "before": 0.5, "after": 0.75, "change": interval(0.25)}
        ],
        "flipped": [
            {**flip, "before": "sad", "after": "angry"},
            {**flip, "before": "angry", "after": "sad"},
            {**flip, "before": "sad", "after": "happy"},
        ],
    }
    labels = {"corrected": 3, "new": 1}
    left = {"no class": 2, "people are level": 1}
    models = {name: {"name": name} for name in ("before", "after")}
    return {
        "models": models,
        "labels": labels,
        "left": left,
        "held_out": part,
        "corrected": None,
        "notes": ["<i>"],
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_before_and_after_as_the_page_shows_it(language: Language) -> None:
    said = results_view.improvement(result(), language)
    assert "+0.25 <small>[+0.15, +0.35]</small>" in said and "0.50</td><td>0.75" in said
    assert "<b>" not in said and "<i>" not in said and "&lt;b&gt;.wav" in said
    if language == "en":
        assert "3 corrected, 0 confirmed, 1 new" in said and "3 labelled clips" in said
        assert "1 answers became right, 1 became wrong, 1 changed otherwise" in said
        assert "There are none." in said
    else:
        assert "生气" in said and "更正 3 段" in said


def test_what_a_job_found_is_read_from_its_file(tmp_path: Path) -> None:
    found = tmp_path / COMPARED
    steps = (Step("compare", ("train", "compare"), found),)
    job = Job("id", "x", "cpu", "done", "", 1, steps, 1.0, None, (), "")
    assert view.comparison_of(job, COMPARED) is None
    found.write_text(json.dumps(result()))
    assert view.comparison_of(job, COMPARED) == result()
    assert view.comparison_of(replace(job, steps=()), COMPARED) is None
