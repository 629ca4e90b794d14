"""Two processes train as one does: the same curves, files of one, resumed and stopped together."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from audiollm.errors import ConfigError
from audiollm.settings import Settings
from tests import prepared
from tests.launching import call, launch
from tests.test_fit import call as alone
from train import parallel
from train.data.dataset import load_prepared
from train.fit import fit, runs
from train.fit.examples import GroupedBatches
from train.fit.options import plan

STILL = "--dropout 0 --noise 0 --input-dropout 0 --functionals-dropout 0"  # drawn by each process
STAGE1 = f"--stage 1 --llm llm --hidden-size 24 --pretraining-epochs 2 --learning-rate 0.01 {STILL}"
STAGE2 = "--stage 2 --lora-rank 4 --lora-dropout 0 --learning-rate 0.01 --accumulate 2"


@pytest.mark.parametrize("count", [2, 3])
def test_processes_together_see_the_batches_of_one(count: int) -> None:
    lengths = [int(i) for i in torch.randint(5, 50, (37,))]
    alone = list(GroupedBatches(lengths, 6, seed=1, accumulate=2))
    shares = [
        list(GroupedBatches(lengths, 6, 1, accumulate=2, rank=rank, count=count))
        for rank in range(count)
    ]
    for whole, *parts in zip(alone, *shares, strict=True):
        assert all(parts)  # who had nothing would let the others wait for ever
        assert {i for part in parts for i in part} == set(whole)
        if len(whole) >= count:
            assert sorted(i for part in parts for i in part) == sorted(whole)
    assert len(alone[-1]) == 1


def test_a_process_alone_is_left_as_it_is() -> None:
    tokens = torch.rand(2, 3, 4)
    assert (parallel.count(), parallel.rank(), parallel.share(3.0, tokens.device)) == (1, 0, 1.0)
    assert parallel.total(tokens) is tokens
    assert parallel.mean_square(tokens) == tokens.square().mean()
    assert parallel.agreed(True, tokens.device)
    assert not parallel.agreed(False, tokens.device)


def test_a_process_alone_takes_the_gpu_that_it_was_given(place: Path) -> None:
    """Not the first, and not all of them."""
    run = runs.read(place / "alone1")
    made = fit._arguments(run, 10, "cuda:1", False, validates=False)
    assert made.device == torch.device("cuda:1")
    assert made.n_gpu <= 1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stage 1 by one process and by two, with the same global batch."""
    folder = tmp_path_factory.mktemp("parallel")
    prepared.write(folder / "data")
    prepared.llm_folder(folder / "llm")
    few = "--data data --max-steps 10 --evaluations 5"
    alone(folder, *f"fit {STAGE1} {few} --batch-size 8 --out alone1".split())
    launch(folder, f"fit {STAGE1} {few} --batch-size 4 --out both1")
    return folder


def lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "progress.jsonl").read_text().splitlines()]


def assert_alike(alone: Path, both: Path) -> None:
    for key in ("loss", "eval_loss", "eval_ua", "learning_rate"):
        one = [(line["step"], line[key]) for line in lines(alone) if key in line]
        two = [(line["step"], line[key]) for line in lines(both) if key in line]
        assert len(one) >= 5
        assert [step for step, _ in one] == [step for step, _ in two], key  # each once
        assert [v for _, v in two] == pytest.approx([v for _, v in one], rel=1e-3), key
    weights, others = (load_file(run / "best" / "projector.safetensors") for run in (alone, both))
    assert weights.keys() == others.keys()
    assert all(torch.allclose(weights[k], others[k], rtol=1e-2, atol=1e-4) for k in weights)


def test_two_processes_have_the_curves_of_one(place: Path) -> None:
    """Stage 1, with the head beside the LLM; the batches of the two have other lengths."""
    assert_alike(place / "alone1", place / "both1")
    assert [line["event"] for line in lines(place / "both1") if "event" in line] == ["start", "end"]
    last = runs.last_checkpoint(runs.read(place / "both1"))
    assert last is not None
    assert len(list(last.glob("rng_state_*.pth"))) == 2


@pytest.mark.long
def test_two_processes_resume_as_if_never_stopped(place: Path) -> None:
    """Stage 2 with gradients added up; a stop on the way, then to the end."""
    few = "--data data --from alone1 --max-steps 6 --evaluations 6"
    call(place, f"-m train fit {STAGE2} {few} --batch-size 8 --out alone2")
    launch(place, f"fit {STAGE2} {few} --batch-size 4 --out both2")
    assert_alike(place / "alone2", place / "both2")
    run = runs.read(place / "both2")
    last = run.checkpoints / "checkpoint-6"
    whole = load_file(last / "model.safetensors")
    (last / "trainer_state.json").unlink()  # as a kill while it was written leaves it
    launch(place, "fit --resume both2")
    again = load_file(last / "model.safetensors")
    assert all(torch.allclose(whole[k], again[k], rtol=1e-4, atol=1e-6) for k in whole)


def test_a_run_of_two_is_not_continued_by_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    parser = argparse.ArgumentParser()
    fit.configure(parser)
    with pytest.raises(ConfigError) as refused:
        fit.run(parser.parse_args(["--resume", "both1"]))
    assert refused.value.code == "fit_processes"
    assert (refused.value.values["known"], refused.value.values["now"]) == (2, 1)
    args = parser.parse_args(["--stage", "1", "--data", "data", "--llm", "llm", "--out", "x"])
    made = plan(args, load_prepared(place / "data"), Settings(home=place, device="cpu"))
    assert made.info["processes"] == 1
