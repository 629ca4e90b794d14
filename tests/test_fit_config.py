"""One declaration of the hyperparameters: command line, configuration file, run folder."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audiollm.contracts.fit import OPTIONS, FitConfig, defaults, flag
from audiollm.errors import ConfigError
from tests import prepared
from train.__main__ import main
from train.fit import runs
from train.fit.options import check_resume, configure, explicit_options

STAGE_1: dict[str, Any] = {"epochs": 2.5, "batch_size": 8, "languages": ["en"], "balance": False}
STAGE_1 |= {
    "hidden_size": 24,
    "pooling": "utterance",
    "functionals": False,
    "auxiliary_by": "class",
}
STAGE_2: dict[str, Any] = {"stage": 2, "start": "runs/a", "learning_rate": 3e-5, "lora_rank": 4}
# of version 291dd8a, where a run.json held every option of both stages
OLD: dict[str, Any] = {
    **{"stage": 1, "data": "/data", "llm": "tiny", "start": "", "epochs": 12.0, "max_steps": -1},
    **{"batch_size": 16, "accumulate": 1, "learning_rate": 0.001, "weight_decay": 0.01},
    **{"warmup": 0.1, "per_clip": 2, "balance": True, "languages": ["en", "zh"], "lead": 5.0},
    **{"smoothing": 0.2, "auxiliary": 1.0, "baseline": 0.0, "auxiliary_by": "corpus"},
    **{"distillation": 0.0, "warm_up": 80, "evaluations": 10, "lora_rank": 16, "lora_alpha": 32},
    **{"lora_dropout": 0.05, "seed": 0, "report_to": [], "projector": {"hidden_size": 64}},
}


def parsed(words: str | tuple[str, ...]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    configure(parser)
    return parser.parse_args(words.split() if isinstance(words, str) else list(words))


@pytest.mark.parametrize("values", [{}, STAGE_1, {"stage": 2}, STAGE_2])
def test_every_form_of_a_configuration_is_equal(values: dict[str, Any], tmp_path: Path) -> None:
    config = FitConfig.of(values)
    assert FitConfig.of(json.loads(json.dumps(config.to_dict()))) == config
    assert FitConfig.of_run(config.to_dict()) == config
    assert FitConfig.of(explicit_options(parsed(config.arguments()))) == config
    file = tmp_path / "fit.json"
    file.write_text(json.dumps(config.to_dict()))
    chosen = explicit_options(parsed(f"--config {file}"))
    assert FitConfig.of(chosen) == config
    other = FitConfig.of(explicit_options(parsed(f"--config {file} --seed 7")))
    assert other == replace(config, seed=7)  # the command line comes last


def test_what_is_not_asked_for_is_the_default_of_the_stage() -> None:
    one, two = FitConfig.of({}), FitConfig.of({"stage": 2})
    assert (one.epochs, one.learning_rate, one.auxiliary) == (12.0, 1e-3, 1.0)
    assert (two.epochs, two.learning_rate, two.auxiliary) == (4.0, 2e-4, 0.0)
    assert explicit_options(parsed("")) == {}
    assert one.arguments() == ("--stage", "1")
    assert "lora_rank" not in one.to_dict() and "hidden_size" not in two.to_dict()


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_on_the_command_line_with_its_default(name: str) -> None:
    parser = argparse.ArgumentParser()
    configure(parser)
    said = " ".join(parser.format_help().split())
    value = defaults(OPTIONS[name].stage or 1)[name]
    assert (flag(f"no_{name}") if isinstance(value, bool) else flag(name)) in said
    assert OPTIONS[name].help in said
    assert not any(f"{flag(old)} " in said for old in OPTIONS[name].old)


def test_old_names_are_read() -> None:
    config = FitConfig.of_run(OLD)
    assert (config.class_token_weight, config.label_smoothing) == (5.0, 0.2)
    assert (config.warmup_ratio, config.pretraining_epochs) == (0.1, 80)
    assert (config.hidden_size, config.max_steps) == (64, -1)
    second = {"stage": 2, "start": "/runs/a", "projector": {}}
    assert FitConfig.of_run(OLD | second | {"auxiliary": 0.0}).lora_rank == 16
    earlier = {name: value for name, value in OLD.items() if name != "auxiliary"}
    assert FitConfig.of_run(earlier).auxiliary == 0.0  # there was no such head
    chosen = explicit_options(parsed("--lead 3 --warm-up 4 --smoothing 0.3 --warmup 0.2"))
    assert chosen == {
        "class_token_weight": 3.0,
        "pretraining_epochs": 4,
        "label_smoothing": 0.3,
        "warmup_ratio": 0.2,
    }


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"stage": 3}, "option_choice"),
        ({"stage": True}, "option_choice"),
        ({"colour": "red"}, "option_unknown"),
        ({"x" * 5000: 1}, "option_unknown"),
        ({"lead": 5}, "option_unknown"),  # of the command line and old run folders alone
        ({"batch_size": 0}, "option_range"),
        ({"batch_size": "16"}, "option_kind"),
        ({"batch_size": True}, "option_kind"),
        ({"batch_size": 1.5}, "option_kind"),
        ({"batch_size": None}, "option_kind"),
        ({"epochs": 0}, "option_range"),
        ({"epochs": float("nan")}, "option_range"),
        ({"noise": float("inf")}, "option_range"),
        ({"dropout": 1.0}, "option_range"),
        ({"learning_rate": -1e-3}, "option_range"),
        ({"pooling": "mean"}, "option_choice"),
        ({"languages": []}, "option_choice"),
        ({"languages": ["fr"]}, "option_choice"),
        ({"languages": "en"}, "option_kind"),
        ({"balance": 1}, "option_kind"),
        ({"data": ["x"]}, "option_kind"),
        ({"lora_rank": 4}, "fit_other_stage"),
        ({"start": "runs/a"}, "fit_other_stage"),
        ({"stage": 2, "hidden_size": 8}, "fit_other_stage"),
        ({"stage": 2, "distillation": 0.5}, "fit_distillation"),
    ],
)
def test_a_value_that_is_refused_is_named(values: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        FitConfig.of(values)
    assert refused.value.code == code
    assert len(refused.value.in_language("zh")) < 300 and len(str(refused.value)) < 300
    (name, value) = list(values.items())[-1]
    if code in ("option_range", "option_kind"):
        assert refused.value.values["value"] == repr(value)
        assert name in str(refused.value) and name in refused.value.in_language("zh")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 50_000])
def test_a_file_that_is_no_configuration(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "fit.json"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        explicit_options(parsed(f"--config {file}"))
    assert refused.value.code == "fit_config_file" and refused.value.values["file"] == str(file)


def test_resume_takes_no_options_that_it_would_ignore() -> None:
    check_resume(parsed("--resume runs/a"))
    for words in ("--seed 1", "--no-balance", "--config x.json", "--out b", "--lead 10"):
        with pytest.raises(ConfigError) as refused:
            check_resume(parsed(f"--resume runs/a {words}"))
        assert refused.value.code == "fit_resume_options"
        assert refused.value.values["run"] == "runs/a"


def test_a_configuration_file_trains_and_its_run_folder_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared.write(tmp_path / "data", frames=False)
    prepared.llm_folder(tmp_path / "llm")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    values = {"stage": 1, "data": str(tmp_path / "data"), "llm": str(tmp_path / "llm")}
    few = {"max_steps": 1, "evaluations": 1, "pretraining_epochs": 1, "batch_size": 4}
    config = FitConfig.of(values | few | {"hidden_size": 8})
    Path("fit.json").write_text(json.dumps(config.to_dict()))
    assert main(["fit", "--config", "fit.json", "--out", "run"]) == 0
    run = runs.read(tmp_path / "run", finished=True)
    assert run.config == config
    assert (run.projector.hidden_size, run.projector.pooling) == (8, "utterance")
    before = (tmp_path / "run" / "run.json").read_text()
    assert main(["fit", "--resume", "run", "--batch-size", "8"]) == 2
    assert "--batch-size" in capsys.readouterr().err
    assert (tmp_path / "run" / "run.json").read_text() == before
