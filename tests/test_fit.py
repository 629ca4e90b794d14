"""Both stages by command, a kill in the middle, and the merged folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from audiollm import checkpoint
from audiollm.settings import Settings
from tests import prepared, tiny
from train import runs
from train.__main__ import main
from train.dataset import load_prepared
from train.trainer import GroupedSampler, trained_state

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    prepared.write(folder / "data")
    prepared.llm_folder(folder / "llm")
    return folder


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "train", *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "AUDIOLLM_DEVICE": "cpu"}


def call(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*words), cwd=place, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def stage1(out: str, steps: int = 24) -> list[str]:
    words = f"fit --stage 1 --data data --llm llm --out {out} --max-steps {steps} --evaluations 6"
    return [*words.split(), "--learning-rate", "0.01", "--hidden-size", "24"]


@pytest.fixture(scope="module")
def first(place: Path) -> Path:
    call(place, *stage1("first"))
    return place / "first"


def test_stage_1_trains_the_projector_alone(place: Path, first: Path) -> None:
    state = load_file(runs.last_checkpoint(runs.read(first)) / "model.safetensors")  # type: ignore[operator]
    assert state
    assert all(name.startswith("projector.") for name in state)
    lines = [json.loads(line) for line in (first / "progress.jsonl").read_text().splitlines()]
    losses = [line["eval_loss"] for line in lines if "eval_loss" in line]
    assert losses[-1] < losses[0]
    assert [line["event"] for line in lines if "event" in line] == ["start", "end"]
    assert any(line.get("seconds_left") for line in lines)
    assert (first / "log.txt").stat().st_size > 0
    assert json.loads((first / "metrics.json").read_text())["eval_ua"] > 0


def test_a_killed_run_resumes_to_equal_weights(place: Path, first: Path) -> None:
    """kill -9 in the middle, then --resume: the same weights as without interruption."""
    process = subprocess.Popen(
        command(*stage1("killed")),
        cwd=place,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    progress = place / "killed" / "progress.jsonl"
    deadline = time.time() + 120
    while time.time() < deadline:
        text = progress.read_text() if progress.exists() else ""
        if any(json.loads(line)["step"] >= 10 for line in text.splitlines()):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run = runs.read(place / "killed")
    assert not (run.best / "projector.safetensors").exists()
    start = runs.last_checkpoint(run)
    assert start is not None
    assert 0 < int(start.name.split("-")[1]) < 24
    call(place, "fit", "--resume", "killed")
    for name in ("best/projector.safetensors", "checkpoints/checkpoint-24/model.safetensors"):
        expected, found = load_file(first / name), load_file(place / "killed" / name)
        assert expected.keys() == found.keys()
        for key in expected:
            assert torch.equal(expected[key], found[key]), key


def test_a_half_written_checkpoint_is_passed_over(place: Path, first: Path) -> None:
    run = runs.read(first)
    whole = runs.last_checkpoint(run)
    broken = run.checkpoints / "checkpoint-9999"
    broken.mkdir()
    (broken / "model.safetensors").write_bytes(b"half")
    (broken / "trainer_state.json").write_text("{")
    assert runs.last_checkpoint(run) == whole
    (broken / "trainer_state.json").unlink()
    (broken / "model.safetensors").unlink()
    broken.rmdir()


@pytest.fixture(scope="module")
def second(place: Path, first: Path) -> Path:
    words = "fit --stage 2 --data data --from first --out second --max-steps 16 --evaluations 4"
    call(place, *words.split(), "--learning-rate", "0.01", "--lora-rank", "4", "--accumulate", "2")
    return place / "second"


def test_stage_2_trains_projector_and_lora(second: Path) -> None:
    run = runs.read(second, finished=True)
    state = load_file(runs.last_checkpoint(run) / "model.safetensors")  # type: ignore[operator]
    parts = {"lora" if "lora_" in name else name.split(".")[0] for name in state}
    assert parts == {"projector", "lora"}
    assert (run.adapter / "adapter_model.safetensors").is_file()


def test_merge_answers_as_before_and_keeps_its_history(place: Path, second: Path) -> None:
    done = call(place, "merge", "--run", "second", "--out", "model", "--name", "mine")
    assert "0 labels changed" in done.stdout
    loaded = checkpoint.load(str(place / "model"), Settings(home=place))
    manifest = loaded.manifest
    assert manifest.name == "mine"
    assert manifest.training["speakers"]["test"] == ["test-5"]
    assert manifest.training["merge"]["drift"] < 1e-3
    assert len(manifest.training["commands"]) == 3
    assert manifest.calibration.fitted_on
    assert not list(place.glob("*.unchecked"))
    assert not any("lora" in name for name in loaded.model.state_dict())


def test_evaluate_writes_figures_probe_and_every_mistake(place: Path, second: Path) -> None:
    if not (place / "model").exists():
        call(place, "merge", "--run", "second", "--out", "model")
    done = call(place, "evaluate", "--model", "model", "--data", "data", "--out", "ev", "--record")
    result = json.loads((place / "ev" / "result.json").read_text())
    assert result["metrics"]["n"] == 10 == len(result["clips"])
    assert set(result["probes"]) == {"utterance", "functionals", "both"}
    assert result["data"]["speakers"] == ["test-5"]
    assert "linear probe, both" in done.stdout
    for clip in result["clips"]:
        assert sum(clip["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    page = (place / "ev" / "report.html").read_text()
    wrong = [c["path"] for c in result["clips"] if c["predicted"] != c["label"]]
    assert all(path in page for path in wrong)
    recorded = checkpoint.read_manifest(place / "model").metrics
    assert recorded["ua"] == result["metrics"]["ua"]
    assert recorded["data"] == "test"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("fit --stage 2 --data data", "--from"),
        ("fit --stage 1 --data nowhere", "nowhere"),
        ("fit", "--stage 1 or 2"),
        ("fit --stage 1 --data data --llm llm --out first", "--resume"),
        ("fit --stage 1 --data data --llm no/such-model --out x", "no/such-model"),
        ("merge --run data --out x", "not a run folder"),
        ("evaluate --model llm --data data", "not learned to hear"),
    ],
)
def test_a_wrong_command_gets_one_sentence(
    place: Path,
    first: Path,
    words: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    one, two = GroupedSampler(range(40), 4, seed=1), GroupedSampler(range(40), 4, seed=1)
    torch.manual_seed(3)
    first_epoch = list(one)
    torch.manual_seed(4)
    assert list(two) == first_epoch
    one.set_epoch(1)
    assert list(one) != first_epoch
    assert sorted(one) == list(range(40))


def test_only_what_is_trained_is_saved() -> None:
    model = tiny.audio_llm()
    model.llm.requires_grad_(False)
    names = set(trained_state(model))
    assert names == {n for n in model.state_dict() if n.startswith("projector.")}


def test_utterance_features_train_too(tmp_path: Path) -> None:
    """The original project's features: no frames, several tokens from one vector."""
    prepared.write(tmp_path / "data", frames=False)
    prepared.llm_folder(tmp_path / "llm")
    call(tmp_path, *stage1("run", steps=4))
    run = runs.read(tmp_path / "run", finished=True)
    assert run.projector.pooling == "utterance"
    assert load_prepared(tmp_path / "data").store.get(run_clip(tmp_path)).frames is None


def run_clip(folder: Path) -> str:
    return load_prepared(folder / "data").clips[0].id
