"""A real fit as a job: its curves, its stop, and the weights that it ends with."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from audiollm.contracts.fit import STOP_NAME
from audiollm.jobs import progress
from audiollm.jobs.job import Step
from audiollm.jobs.queue import Jobs
from tests import prepared
from tests.test_jobs import ended, until
from train.fit import runs


def test_curves_forgive_a_half_line_and_a_resume(tmp_path: Path) -> None:
    empty = progress.curves(tmp_path)
    assert empty == {name: [] for name in ("step", *progress.COLUMNS)}
    lines: list[dict[str, object]] = [
        {"step": 0, "event": "start"},
        {"step": 2, "loss": 3.0, "learning_rate": 0.1},
        {"step": 2, "eval_loss": 2.0},
        {"step": 2, "eval_ua": 0.5, "eval_wa": 0.6},
        {"step": 4, "loss": 9.0},
        {"step": 5, "loss": 9.0},
        {"step": 2, "event": "start"},
        {"step": 4, "loss": 1.0},
        {"step": 4, "train_runtime": 3.0},
    ]
    text = "\n".join(map(json.dumps, lines))
    (tmp_path / "progress.jsonl").write_text(f'{{"step": 1, "lo\n[1]\nnull\n{text}\n{{"step": 6, "')
    found = progress.curves(tmp_path)
    assert {name: row for name, row in found.items() if row != [None, None]} == {
        "step": [2, 4],
        "loss": [3.0, 1.0],
        "learning_rate": [0.1, None],
        "eval_loss": [2.0, None],
        "eval_ua": [0.5, None],
        "eval_wa": [0.6, None],
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jobs")
    prepared.write(folder / "data")
    prepared.llm_folder(folder / "llm")
    return folder


def stages(data: Path, one: Path, two: Path) -> list[Step]:
    """Both stages, on a few steps each."""
    few = "--evaluations 4 --learning-rate 0.01"
    first = f"train fit --stage 1 --data {data}/data --llm {data}/llm --out {one} --max-steps 8 "
    first += f"--hidden-size 24 --pretraining-epochs 2 {few}"
    second = f"train fit --stage 2 --data {data}/data --from {one} --out {two} --max-steps 16 "
    second += f"--lora-rank 4 --lora-dropout 0.1 --accumulate 2 {few}"
    return [
        Step("stage 1", tuple(first.split()), one / "metrics.json"),
        Step("stage 2", tuple(second.split()), two / "metrics.json"),
    ]


@pytest.mark.long
def test_a_fit_that_was_stopped_ends_with_equal_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between two checkpoints and resumed: as if nothing had happened."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    jobs = Jobs(tmp_path / "home")
    one, whole, run = tmp_path / "one", tmp_path / "whole", tmp_path / "run"
    id = jobs.add("whole", "cpu", stages(data, one, whole))
    until(lambda: jobs.look(id).state == "done", 900)
    id = jobs.add("stopped", "cpu", stages(data, one, run))
    until(lambda: any(s and s >= 5 for s in progress.curves(run)["step"]), 900)
    jobs.stop(id)
    job = ended(jobs, id, 900)
    assert (job.state, job.step, job.failure) == ("stopped", 2, "")
    assert 0.5 < job.share < 1
    assert not (run / "best").exists()
    assert not (run / "metrics.json").exists()
    last = runs.last_checkpoint(runs.read(run))
    assert last is not None
    assert last.name == f"checkpoint-{progress.curves(run)['step'][-1]}"
    jobs.resume(id)
    until(lambda: jobs.look(id).state == "done", 900)
    assert not (run / STOP_NAME).exists()
    assert (jobs.look(id).share, jobs.look(id).seconds_left) == (1.0, None)
    for name in ("projector.safetensors", "adapter/adapter_model.safetensors"):
        expected, found = load_file(whole / "best" / name), load_file(run / "best" / name)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert (run / "metrics.json").read_text() == (whole / "metrics.json").read_text()
