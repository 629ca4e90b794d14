"""Trackers: TensorBoard where there is room, others where they are installed."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from audiollm.errors import ConfigError
from train.fit import callbacks, options

NOW: Any = SimpleNamespace(is_world_process_zero=True, is_hyper_param_search=False, global_step=3)
ARGS: Any = SimpleNamespace(to_json_string=lambda: "{}", output_dir="nowhere")


def tell(run: Path) -> None:
    (callback,) = callbacks.tensorboard(run)
    callback.on_train_begin(ARGS, NOW, None)  # type: ignore[arg-type]
    callback.on_log(ARGS, NOW, None, logs={"loss": 1.5})  # type: ignore[arg-type, call-arg]
    callback.on_train_end(ARGS, NOW, None)  # type: ignore[arg-type]


def test_events_lie_in_the_run(tmp_path: Path) -> None:
    tell(tmp_path)
    (events,) = (tmp_path / callbacks.TENSORBOARD).iterdir()
    assert b"train/loss" in events.read_bytes()


def test_a_full_disk_gets_no_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    tell(tmp_path)
    assert not (tmp_path / callbacks.TENSORBOARD).exists()


def test_a_tracker_must_be_known_and_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    options.check_reports([])
    with pytest.raises(ConfigError, match="not mlflow"):
        options.check_reports(["mlflow"])
    monkeypatch.setattr(options, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="pip install wandb"):
        options.check_reports(["wandb"])
    monkeypatch.setattr(options, "find_spec", lambda _: object())
    options.check_reports(["wandb", "trackio"])


def test_memory_at_the_peak_is_measured() -> None:
    held = bytearray(50_000_000)
    assert callbacks.peaks()["memory"] > len(held)
