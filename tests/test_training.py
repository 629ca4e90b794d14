"""The Train page's plain functions: data, plan, jobs, a new model; strangers can do none."""

import argparse
import inspect
import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audiollm.contracts.fit import FitConfig
from audiollm.contracts.insight import Insight
from audiollm.contracts.prepared import Clip
from audiollm.errors import ConfigError
from audiollm.hub import ENCODERS, LLMS
from audiollm.jobs.job import ACTIVE, IDLE, Job, State, Step
from audiollm.jobs.queue import JobError, Jobs
from audiollm.labels import LANGUAGES, Language
from audiollm.settings import Settings
from audiollm.texts import TEXTS, stored, text
from audiollm.web.auth.access import ShutError
from audiollm.web.services import Services
from audiollm.web.train import (
    actions,
    activation,
    curves,
    estimate,
    proposal,
    recordings_view,
    sources,
    upload,
    view,
)
from audiollm.web.train.plan import Plan
from audiollm.web.train.sources import EMODB, FOLDER, HUB, DataSource
from tests.browser.fake import FakePredictor
from train.__main__ import _parse
from train.fit import options

DEFAULT = Plan()
STRANGER = "0.0.0.0"  # noqa: S104


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Jobs wait for ever, and ./data is empty."""
    monkeypatch.setattr(Jobs, "tick", lambda _: None)
    monkeypatch.chdir(tmp_path)


def serve(tmp_path: Path, host: str = "127.0.0.1", **options: Any) -> Services:
    settings = Settings(home=tmp_path / "home", host=host)
    made = FakePredictor(**options)
    found = Services.start(settings, load=lambda: made, examples=tmp_path)  # type: ignore
    found.predictor()
    return found


# --- data


def prepare(folder: Path, **split: Any) -> Path:
    """A prepared folder without its features."""
    part = {"clips": 6, "hours": 0.1, "speakers": 2, "classes": {"angry": 5, "sad": 1}}
    summary = {
        "splits": dict.fromkeys(("train", "valid", "test"), part),
        "all": {**part, "clips": 18, "classes": {"angry": 15, "sad": 3}},
        "rejected": {"too short": 2},
    }
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary))
    info = {"format": 1, "corpus": "x", "classes": ["angry", "sad"], "encoder": {}}
    info |= {"split": {"notes": ["a trial"], "shared_speakers": [], **split}}
    (folder / "prepare.json").write_text(json.dumps(info))
    return folder


def test_prepared_folders_are_found_and_broken_ones_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here = serve(tmp_path)
    assert sources.prepared(here) == {}
    one = prepare(tmp_path / "data" / "one")
    two = prepare(tmp_path / "home" / "data" / "two", shared_speakers=["a"])
    broken = prepare(tmp_path / "data" / "broken")
    (broken / "summary.json").write_text("{")
    found = sources.prepared(here)
    assert list(found) == [one, two]
    assert str(broken) in caplog.text
    assert (found[one].all.clips, found[one].rejected) == (18, {"too short": 2})
    for language in LANGUAGES:
        ids = [id for _, id in recordings_view.sources(found, language)]
        assert ids == [EMODB, str(one), str(two), FOLDER, HUB]


# --- a plan


def plans(tmp_path: Path) -> dict[str, Plan]:
    clips = tmp_path / "my clips"
    clips.mkdir()
    table = tmp_path / "clips.csv"
    table.touch()
    data = prepare(tmp_path / "data" / "one")
    return {
        "as it stands": DEFAULT,
        "trial": Plan.of(
            {
                "name": "t",
                "clips": 64,
                "max_steps_1": 8,
                "max_steps_2": 4,
                "batch_size": 4,
                "seed": 3,
            }
        ),
        "folder": Plan("f", FOLDER, str(clips), encoder="emotion2vec/emotion2vec_plus_base"),
        "speakers": Plan("s", FOLDER, str(clips), pattern=r"(-s\d+)"),
        "table": replace(
            Plan.of({"epochs_1": 0.5, "epochs_2": 1.0}),
            source=FOLDER,
            folder=str(table),
            alone=True,
        ),
        "hub": Plan("h", HUB, data_set="user/name"),
        "prepared": replace(
            Plan.of({"llm": str(clips)}), name="p", source=str(data), device="cuda:1"
        ),
        "proposed": replace(proposal.first(), name="few"),
    }


def config_of(step: Step) -> FitConfig:
    """The configuration that a `fit` of these words runs."""
    parser = argparse.ArgumentParser()
    options.configure(parser)
    return FitConfig.of(options.explicit_options(parser.parse_args(list(step.words[2:]))))


def test_every_plan_is_understood_by_the_commands(tmp_path: Path) -> None:
    here, home = serve(tmp_path), tmp_path / "home"
    for plan_ in plans(tmp_path).values():
        steps = plan_.steps_in(home)
        assert len({step.result for step in steps}) == len(steps)
        parsed = [_parse(list(step.words[1:]), step.words[1])[1] for step in steps]
        *made, one, two, merged, judged = parsed
        assert all(a.split == ("random" if plan_.alone else "auto") for a in made)
        assert all(a.train_on_valid == plan_.all_learn for a in made)
        assert all(a.speaker_pattern == plan_.pattern for a in made)
        first, second = (config_of(step) for step in steps[-4:-2])
        assert [first, second] == list(plan_.configs(home).values())
        assert (first.stage, second.stage) == (1, 2)
        assert Path(first.data).is_absolute() and first.data == second.data == str(judged.data)
        assert (second.start, merged.run, judged.model) == (one.out, two.out, merged.out)
        assert Path(merged.out) == home / "models" / plan_.name
        assert judged.record
        assert [step.run for step in steps[-4:-2]] == [Path(one.out), Path(two.out)]
        assert (first.llm, second.llm) == (plan_.stages[0].llm,) * 2
        assert second.lora_alpha == 2 * second.lora_rank
        if made:
            assert str(made[0].out) == first.data and str(made[0].out).startswith(str(home))
        lines = actions.commands(here, plan_).splitlines()
        told = [*steps, *replace(plan_, compared_with="tiny").steps_in(home)[len(steps) :]]
        assert [tuple(shlex.split(line)[2:]) for line in lines[2:]] == [s.words for s in told]
        args = _parse(list(told[-1].words[1:]), told[-1].words[1])[1]
        assert (args.before, str(args.data)) == ("tiny", first.data)
        assert (args.answers, args.out) == (steps[-1].result, told[-1].result)
        assert f"AUDIOLLM_DEVICE={plan_.device}" in lines[1]


def test_a_job_runs_the_configurations_in_its_folder(tmp_path: Path) -> None:
    here = serve(tmp_path)
    wanted = Plan.of({"epochs_1": 3, "learning_rate_2": 3e-5, "lora_rank": 8})
    id = actions.start(here, wanted)
    (found,) = actions.jobs(here)
    home = tmp_path / "home"
    fits = [step for step in found.steps if step.run]
    assert [config_of(step) for step in fits] == list(wanted.configs(home).values())
    assert all(str(home / "jobs" / id) in step.words[3] for step in fits)


def test_the_pages_settings_are_those_of_a_plan() -> None:
    assert Plan.of({}) == DEFAULT and Plan.of(DEFAULT.values()) == DEFAULT
    wanted = Plan.of({"name": "x", "epochs_2": 9, "batch_size": 8, "noise": 0.1, "lora_rank": 4})
    assert wanted.name == "x" and [s.epochs for s in wanted.stages] == [12.0, 9.0]
    assert [s.batch_size for s in wanted.stages] == [8, 8]
    assert (wanted.stages[0].noise, wanted.stages[1].lora_rank) == (0.1, 4)
    assert Plan.of(wanted.values()) == wanted


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"name": ""}, "plan_name"),
        ({"name": "../up"}, "plan_name"),
        ({"name": "a b"}, "plan_name"),
        ({"name": "-x"}, "plan_name"),
        ({"name": "x" * 61}, "plan_name"),
        ({"name": "dot."}, "plan_name"),
        ({"name": None}, "option_kind"),
        ({"name": next(iter(LLMS))}, "plan_name_preset"),
        ({"name": next(iter(ENCODERS))}, "plan_name_preset"),
        ({"source": "/nowhere/at/all"}, "plan_not_prepared"),
        ({"source": "a\0b"}, "plan_not_prepared"),
        ({"source": FOLDER, "folder": "/nowhere/at/all"}, ""),
        ({"source": FOLDER, "folder": "~nobody-here/x"}, ""),
        ({"source": HUB, "data_set": "no-id"}, ""),
        ({"source": HUB, "data_set": "--resume/x"}, ""),
        ({"source": FOLDER, "folder": "/", "pattern": "("}, ""),
        ({"alone": "given"}, "option_kind"),
        ({"llm": ""}, "plan_model"),
        ({"llm": "--resume"}, "plan_model"),
        ({"encoder": "a\nb"}, "plan_model"),
        ({"device": "auto"}, "job_device"),
        ({"device": "cuda:x"}, "job_device"),
        ({"epochs_1": 0}, "option_range"),
        ({"epochs_2": None}, "option_kind"),
        ({"epochs_1": float("nan")}, "option_range"),
        ({"max_steps_2": -3}, "option_range"),
        ({"max_steps_1": 1.5}, "option_kind"),
        ({"batch_size": 0}, "option_range"),
        ({"batch_size": True}, "option_kind"),
        ({"seed": -1}, "option_range"),
        ({"clips": "many"}, "option_kind"),
        ({"pooling": "mean"}, "option_choice"),
        ({"learning_rate_2": 0}, "option_range"),
        ({"utterance_tokens": 0}, "option_range"),
        ({"hidden_size": 1.5}, "option_kind"),
        ({"dropout": 1.0}, "option_range"),
        ({"noise": float("inf")}, "option_range"),
        ({"lora_rank": None}, "option_kind"),
    ],
)
def test_a_bad_value_is_refused_and_named(bad: dict[str, Any], code: str) -> None:
    value = list(bad.values())[-1]
    with pytest.raises(ConfigError) as refused:
        Plan.of({"name": "x", **bad})
    assert refused.value.code == code or not code
    for language in LANGUAGES:
        assert repr(value)[:40] in view.explained(refused.value, language)


# --- access


def reachable(module: Any) -> list[Callable[..., Any]]:
    """The public functions of a module that take services."""
    return [
        f
        for name, f in inspect.getmembers(module, inspect.isfunction)
        if f.__module__ == module.__name__
        and not name.startswith("_")
        and "services" in inspect.signature(f).parameters
    ]


EVERY = [*reachable(actions), *reachable(activation), *reachable(sources), *reachable(view)]
EVERY += [f for m in (estimate, recordings_view, upload) for f in reachable(m)]


@pytest.mark.parametrize("function", EVERY, ids=lambda f: f.__name__)
def test_a_stranger_can_do_nothing(function: Callable[..., Any], tmp_path: Path) -> None:
    there = serve(tmp_path, STRANGER)
    fits: dict[str, Any] = {
        "id": "x",
        "what": "kill",
        "plan": DEFAULT,
        "folder": "tiny",
        "job": job(),
        "language": "en",
        "source": EMODB,
        "path": "",
        "file": "x.zip",
        "data": DataSource(EMODB, ""),
        "recordings": Insight(tmp_path, ()),
        "clip": Clip("/etc/passwd", "sad"),
        "settings": (),
        "stem": "x",
        "values": DEFAULT.values(),
        "name": "x",
        "llm": "tiny",
        "device": "cpu",
        "factor": 1.0,
    }
    names = [n for n in inspect.signature(function).parameters if n != "services"]
    given = {name: fits[name] for name in names if name in fits}
    with pytest.raises(ShutError) as shut:
        function(there, **given)
    for language in LANGUAGES:
        assert view.explained(shut.value, language) == text("refused", language)
    assert not (tmp_path / "home").exists()
    assert there.active == "tiny"


def test_every_function_of_the_page_was_tried() -> None:
    tried = {f.__name__ for f in EVERY}
    assert {"start", "act", "activate", "restore"} <= tried
    assert {"jobs", "commands", "prepared", "view", "model", "prepare"} <= tried
    assert {"take", "insight", "sound", "on_hub", "of_recordings", "prepared_by"} <= tried


# --- jobs


def job(state: State = "running", **more: Any) -> Job:
    home = Path("/nowhere")
    given: dict[str, Any] = {
        "id": "20261123-024851-abcdef",
        "name": "<b>my",
        "device": "cpu",
        "state": state,
        "made_at": "2026-11-23T02:48:51+00:00",
        "step": 2,
        "steps": tuple(Plan("x").steps_in(home)),
        "share": 0.3,
        "seconds_left": None,
        "log": ("<i>a", "b"),
        "failure": "",
    }
    return Job(**{**given, **more})


def test_a_plan_becomes_a_job_and_its_name_is_taken(tmp_path: Path) -> None:
    here = serve(tmp_path)
    assert actions.jobs(here) == []
    assert not (tmp_path / "home").exists()  # looking makes nothing
    assert actions.free_name(here) == "my-model"
    id = actions.start(here, DEFAULT)
    (found,) = actions.jobs(here)
    assert (found.id, found.state, len(found.steps)) == (id, "waiting", 6)
    assert {step.name for step in found.steps} <= set(view.STEPS)
    assert actions.free_name(here) == "my-model-2"
    with pytest.raises(ConfigError) as refused:
        actions.start(here, DEFAULT)
    assert refused.value.code == "plan_name_taken"
    second = actions.start(here, Plan("other-9"))
    assert actions.free_name(here, "other-9") == "other-10"
    assert [each.id for each in actions.jobs(here)][::-1] == [id, second]
    actions.act(here, id, "stop")
    with pytest.raises(JobError):
        actions.act(here, id, "kill")
    assert [each.state for each in actions.jobs(here)] == ["waiting", "stopped"]
    actions.act(here, id, "resume")
    actions.act(here, id, "remove")
    assert [each.id for each in actions.jobs(here)] == [second]
    (tmp_path / "home" / "models" / "my-model").mkdir(parents=True)
    assert actions.free_name(here) == "my-model-2"


def test_recordings_of_another_folder_are_not_taken_for_these(tmp_path: Path) -> None:
    here = serve(tmp_path)
    (tmp_path / "clips").mkdir()
    prepare(tmp_path / "home" / "data" / "mine")
    with pytest.raises(ConfigError) as refused:
        actions.start(here, Plan("mine", FOLDER, str(tmp_path / "clips")))
    assert refused.value.code == "plan_name_taken"
    with pytest.raises(ConfigError) as refused:
        actions.prepare(here, Plan("mine", FOLDER, str(tmp_path / "clips")))
    assert (refused.value.code, refused.value.values) == ("prepare_twice", {"name": "mine"})


def test_recordings_are_prepared_alone_and_once(tmp_path: Path) -> None:
    here = serve(tmp_path)
    id = actions.prepare(here, DEFAULT)
    (found,) = actions.jobs(here)
    assert (found.id, [step.name for step in found.steps]) == (id, ["prepare"])
    made = found.steps[0].result.parent
    assert actions.prepared_by(here, {"name": "x"}) == str(made)
    with pytest.raises(ConfigError) as refused:
        actions.prepare(here, Plan("again"))
    assert refused.value.code == "prepare_twice"
    prepare(made)
    assert sources.prepared_folders(here) == [made]
    with pytest.raises(ConfigError):
        actions.prepare(here, Plan("again", str(made)))
    assert actions.prepared_by(here, {"name": "x", "source": str(made)}) == ""
    assert actions.prepared_by(here, {"name": ""}) == ""
    actions.start(here, DEFAULT)  # the name of a model is not taken by its recordings


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", [*ACTIVE, *IDLE, "waiting", "done"])
def test_a_job_is_told_in_words(tmp_path: Path, state: State, language: Language) -> None:
    found = job(state, seconds_left=200.0 if state == "running" else None)
    shown = view.view(serve(tmp_path), found, language)
    word = text(f"job_{state}", language)
    assert word in view.line(found, language) and word in shown.detail
    assert "<b>my" not in shown.detail
    assert shown.log == "<i>a\nb"  # a text box takes no HTML
    allowed = (shown.stops, shown.ends, shown.resumes, shown.goes)
    assert allowed == {
        "waiting": (True, False, False, True),
        "running": (True, True, False, False),
        "stopping": (False, True, False, False),
        "done": (False, False, False, True),
    }.get(state, (False, False, True, True))
    if state != "done":
        assert text("step_fit1", language) in shown.detail
    if state == "running":
        assert text("minutes", language, n=3) in shown.detail


def test_failures_are_sentences_in_both_languages(tmp_path: Path) -> None:
    here = serve(tmp_path)
    refused = "It is <b>so."  # by a command, in English
    for code in ("job_gone", "job_disk_full", ""):
        found = job("failed", failure=stored(code) if code else refused)
        for language in LANGUAGES:
            default = text("train_refused", language, sentence=refused)
            assert view.failure(found, language) == (text(code, language) if code else default)
        assert "<b>so" not in view.view(here, found, "en").detail
    assert view.failure(job(), "zh") == ""
    assert view.explained(ZeroDivisionError("secret"), "en") == TEXTS["train_bug"]["en"]


def test_curves_of_several_runs_are_plain_lists(tmp_path: Path) -> None:
    drawn = []
    for name in ("one", "two"):
        steps = tuple(Plan(name).steps_in(tmp_path))
        drawn.append(job(name=name, steps=steps))
        run = steps[1].run
        assert run is not None
        run.mkdir(parents=True)
        lines: list[dict[str, Any]] = [{"step": 0, "event": "start"}]
        lines += [{"step": 2, "loss": 3.0}, {"step": 4, "loss": 2.0, "eval_ua": 0.5}]
        (run / "progress.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert [curves.points(each) for each in drawn] == [[2, 0], [2, 0]]
    for language in LANGUAGES:
        figure = curves.curves(drawn, language)
        assert "bdata" not in str(figure.to_json())
        names = [t.name for t in figure.data if t.showlegend]
        assert names == [text("curve_name", language, name=n, stage=1) for n in ("one", "two")]
        assert [list(t.y) for t in figure.data if t.name == names[0]] == [[3.0, 2.0], [0.5]]
    assert curves.curves([], "en").to_dict()["data"] == []


def test_where_nobody_validates_no_place_is_left_empty(tmp_path: Path) -> None:
    steps = tuple(Plan("one").steps_in(tmp_path))
    run = steps[1].run
    assert run is not None
    run.mkdir(parents=True)
    lines = [{"step": 2, "loss": 3.0, "learning_rate": 0.1}, {"step": 4, "eval_ua": 0.5}]
    for known, titles in ((1, ["curve_loss_alone", "curve_rate"]), (2, ["curve_loss", "curve_ua"])):
        (run / "progress.jsonl").write_text("\n".join(map(json.dumps, lines[:known])))
        layout = curves.curves([job(name="one", steps=steps)], "zh").layout
        told = [note.text for note in layout.annotations]
        assert told[:2] == [text(key, "zh") for key in titles]
        assert (layout.yaxis.domain is None) == (known == 1)
