"""A model learns from labels: what may be chosen, the commands, the job."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audiollm.contracts.manifest import MANIFEST_NAME, Manifest
from audiollm.contracts.options import read_json, to_json
from audiollm.errors import ConfigError
from audiollm.jobs.queue import Jobs
from audiollm.labelling.tasks import Label, Task
from audiollm.labels import LANGUAGES
from audiollm.model import checkpoint
from audiollm.settings import ASSETS
from audiollm.web.auth.access import ShutError
from audiollm.web.label import training
from audiollm.web.label.queue import label_store
from audiollm.web.label.training import ACTIVE, LabelTraining
from audiollm.web.services import Services
from audiollm.web.train import view
from tests.refusals import refused
from tests.test_training import STRANGER, prepare, serve
from train.__main__ import _parse


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Jobs, "tick", lambda _: None)
    monkeypatch.chdir(tmp_path)


def labelled(services: Services, name: str = "angry") -> None:
    known = label_store(services)
    known.add_tasks([Task("id", "/somewhere/a.wav", 1.0, "test", "plain", original="sad")])
    known.add_label(Label("id", "Ann", name))


def plan(services: Services, data: object, **changes: Any) -> LabelTraining:
    """As the page stands when it is opened."""
    chosen: dict[str, Any] = {
        "model": ACTIVE,
        "weight": 2.0,
        "epochs": 2.0,
        "device": "cpu",
    } | changes
    return training.plan(services, str(data), **chosen)


def start(services: Services, data: object, **changes: Any) -> str:
    return training.start(services, plan(services, data, **changes))


def folders_offered(services: Services) -> list[str]:
    return [folder for _, folder in training.data_offered(services, "en")]


def test_a_job_with_commands_that_exist(tmp_path: Path) -> None:
    services = serve(tmp_path)
    data = prepare(tmp_path / "data" / "mine")
    with refused("fine_tuning_no_labels"):
        start(services, data)
    labelled(services)
    with refused("fine_tuning_no_data"):
        start(services, tmp_path)
    home = services.settings.home.resolve()
    assert folders_offered(services) == [str(data)]
    names = [start(services, data) for _ in range(2)]
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
    start(services, data)
    (job,) = Jobs(services.settings.home).all()
    words = job.steps[2].words
    assert float(words[words.index("--temperature") + 1]) > 0


def test_strangers_teach_nothing(tmp_path: Path) -> None:
    for act in (lambda s: start(s, "data"), folders_offered):
        with pytest.raises(ShutError):
            act(serve(tmp_path, STRANGER))


def test_the_commands_are_those_of_the_job(tmp_path: Path) -> None:
    services = serve(tmp_path)
    labelled(services)
    made = plan(services, prepare(tmp_path / "data" / "mine"), weight=3.5, epochs=0.5)
    lines = training.commands(services, made).splitlines()
    training.start(services, made)
    (job,) = Jobs(services.settings.home).all()
    place = made.folder(services.settings.home.resolve())
    assert str(place / "labels.jsonl") in lines[0] and lines[0].startswith("#")
    assert (place / "labels.jsonl").is_file()
    for line, step in zip(lines[3:], job.steps, strict=True):
        assert line.split()[2:] == [*map(str, step.words)]
    args = [_parse(list(step.words[1:]), step.words[1])[1] for step in job.steps]
    assert (args[0].weight, args[1].epochs) == (3.5, 0.5)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("weight", 0), ("weight", 4.5), ("epochs", None), ("epochs", float("nan")), ("device", "x")],
)
def test_settings_that_make_no_sense_are_named(tmp_path: Path, setting: str, value: Any) -> None:
    services = serve(tmp_path)
    labelled(services)
    with pytest.raises(ConfigError, match=f"not '?{value}"):
        plan(services, prepare(tmp_path / "data" / "mine"), **{setting: value})


def test_another_model_can_be_taught_and_names_do_not_grow(tmp_path: Path) -> None:
    services = serve(tmp_path)
    labelled(services)
    data = prepare(tmp_path / "data" / "mine")
    manifest = read_json(Manifest, ASSETS / "tiny" / MANIFEST_NAME)
    other = services.settings.home / "models" / "other"
    other.mkdir(parents=True)
    for file in ("config.json", "model.safetensors", "tokenizer.json"):
        (other / file).touch()
    (other / MANIFEST_NAME).write_text(to_json(replace(manifest, name="mine-labelled-2")))
    for language in LANGUAGES:
        words, ids = zip(*training.models_offered(services, language), strict=True)
        assert ids == (ACTIVE, str(other.resolve()))
        assert "tiny" in words[0] and words[1] == "mine-labelled-2"
    made = plan(services, data, model=str(other.resolve()))
    assert (made.model, made.name) == (str(other.resolve()), "mine-labelled")
    with refused("fine_tuning_gone"):
        plan(services, data, model=str(tmp_path))


def test_what_cannot_be_taught_is_said_before_the_job(tmp_path: Path) -> None:
    services = serve(tmp_path)
    labelled(services)
    data = prepare(tmp_path / "data" / "mine")
    info = json.loads((data / "prepare.json").read_text())
    encoder = {"id": "x", "fingerprint": "another", "width": 3}
    (data / "prepare.json").write_text(json.dumps(info | {"encoder": encoder}))
    with refused("fine_tuning_other_encoder"):
        plan(services, data)
    known = checkpoint.read_manifest(ASSETS / "tiny").encoder
    encoder |= {"fingerprint": known.fingerprint, "width": known.width}
    (data / "prepare.json").write_text(json.dumps(info | {"encoder": encoder}))
    assert plan(services, data).data == str(data)


def test_the_data_with_the_labelled_clips_come_first(tmp_path: Path) -> None:
    services = serve(tmp_path)
    assert folders_offered(services) == []
    id = "1" * 64
    label_store(services).add_tasks([Task(id, "/somewhere/b.wav", 1.0, "test", "plain")])
    label_store(services).add_label(Label(id, "Ann", "angry"))
    one, two = (prepare(tmp_path / "data" / name) for name in ("one", "two"))
    assert folders_offered(services) == [str(one), str(two)]
    row = {"id": id, "path": "x", "label": "sad", "split": "train"}
    (two / "clips.jsonl").write_text(json.dumps(row) + "\n")
    assert folders_offered(services) == [str(two), str(one)]
