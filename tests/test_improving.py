"""A job that teaches the model what people said, and what the page shows of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from audiollm.jobs import Jobs
from audiollm.labelling.tasks import Label, Task
from audiollm.labels import LANGUAGES, Language
from audiollm.ui.label import improve
from audiollm.ui.label.actions import book
from audiollm.ui.owner.access import ShutError
from audiollm.ui.said import SaidError
from audiollm.ui.services import Services
from audiollm.ui.train import view
from tests.test_training import STRANGER, prepare, serve
from train.__main__ import _parse


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Jobs, "tick", lambda _: None)
    monkeypatch.chdir(tmp_path)


def labelled(services: Services, name: str = "angry") -> None:
    known = book(services)
    known.add([Task("id", "/somewhere/a.wav", 1.0, "test", "plain", original="sad")])
    known.say(Label("id", "Ann", name))


def test_a_job_with_commands_that_exist(tmp_path: Path) -> None:
    services = serve(tmp_path)
    data = prepare(tmp_path / "data" / "mine")
    with pytest.raises(SaidError, match="Nobody has labelled"):
        improve.start(services, str(data))
    labelled(services)
    with pytest.raises(SaidError, match="no prepared folder"):
        improve.start(services, str(tmp_path))
    home = services.settings.home.resolve()
    assert improve.offered(services) == [str(data)]
    names = [improve.start(services, str(data)) for _ in range(2)]
    first, second = Jobs(home).all()
    assert names == [first.name, second.name]
    assert first.name == "tiny-labelled" and second.name == "tiny-labelled-2"
    names = [step.name for step in first.steps]
    assert names == ["relabel", "stage 2", "merge", "evaluate", "compare"]
    assert set(names) <= set(view.STEPS)
    for step in first.steps:
        _, args = _parse(list(step.words[1:]), step.words[1])
        assert args
        assert str(home) in str(step.result)
    (line,) = (home / "runs/tiny-labelled-improve/labels.jsonl").read_text().splitlines()
    assert (json.loads(line)["file"], json.loads(line)["label"]) == ("/somewhere/a.wav", "angry")
    assert "--temperature" not in first.steps[2].words  # somebody validates


def test_where_nobody_validates_the_temperature_stays(tmp_path: Path) -> None:
    services = serve(tmp_path)
    labelled(services)
    data = prepare(tmp_path / "data" / "mine")
    summary = json.loads((data / "summary.json").read_text())
    summary["splits"]["valid"]["clips"] = 0
    (data / "summary.json").write_text(json.dumps(summary))
    improve.start(services, str(data))
    (job,) = Jobs(services.settings.home).all()
    words = job.steps[2].words
    assert float(words[words.index("--temperature") + 1]) > 0


def test_strangers_teach_nothing(tmp_path: Path) -> None:
    for act in (lambda s: improve.start(s, "data"), improve.offered):
        with pytest.raises(ShutError):
            act(serve(tmp_path, STRANGER))


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
    return {"labels": labels, "left": left, "held_out": part, "corrected": None, "notes": ["<i>"]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_before_and_after_as_the_page_shows_it(language: Language) -> None:
    said = improve.html(result(), language)
    assert "+0.25 <small>[+0.15, +0.35]</small>" in said and "0.50</td><td>0.75" in said
    assert "<b>" not in said and "<i>" not in said and "&lt;b&gt;.wav" in said
    if language == "en":
        assert "3 corrected, 0 confirmed and 1 new" in said and "3 labelled clips" in said
        assert "1 answers became right, 1 became wrong, 1 changed otherwise" in said
        assert "There are none." in said
    else:
        assert "生气" in said and "更正 3 段" in said


def test_what_a_job_found_is_read_from_its_file(tmp_path: Path) -> None:
    services = serve(tmp_path)
    labelled(services)
    data = prepare(tmp_path / "data" / "mine")
    improve.start(services, str(data))
    (job,) = Jobs(services.settings.home).all()
    assert improve.compared(job) is None
    job.steps[-1].result.write_text(json.dumps(result()))
    assert improve.compared(job) == result()
