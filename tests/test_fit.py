"""Both stages by command, a kill in the middle, and the merged folder."""

import argparse
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from audiollm.errors import ModelError
from audiollm.model import checkpoint
from audiollm.settings import Settings
from tests import prepared, tiny
from tests.prepared import resplit
from tests.refusals import refused
from train.__main__ import main
from train.data.dataset import load_prepared
from train.fit import fit, merge, runs
from train.fit.examples import GroupedBatches
from train.fit.trainer import trained_state

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


def call(place: Path, *words: str) -> str:
    """Runs a command in this process, which has imported torch already; returns its output."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        patch.chdir(place)
        patch.setenv("AUDIOLLM_DEVICE", "cpu")
        assert main([*words]) == 0
    return out.getvalue()


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
    assert all(name.startswith(("projector.", "auxiliary.")) for name in state)
    best = load_file(first / "best" / "projector.safetensors")
    assert not any("auxiliary" in name for name in best)  # thrown away
    lines = [json.loads(line) for line in (first / "progress.jsonl").read_text().splitlines()]
    losses = [line["eval_loss"] for line in lines if "eval_loss" in line]
    assert losses[-1] < losses[0]
    assert [line["event"] for line in lines if "event" in line] == ["start", "end"]
    assert any(line.get("seconds_left") for line in lines)
    told = [line for line in lines if "loss" in line]
    assert all(line["examples_per_second"] > 0 and line["memory"] > 1e8 for line in told)
    (events,) = (first / "tensorboard").iterdir()
    assert b"train/loss" in events.read_bytes() and b"eval/ua" in events.read_bytes()
    assert (first / "log.txt").stat().st_size > 0
    assert json.loads((first / "metrics.json").read_text())["eval_ua"] > 0


def test_a_killed_run_resumes_to_equal_weights(place: Path, first: Path) -> None:
    """kill -9 in the middle, then --resume: the same weights as without interruption."""
    kill(place, "killed", stage1("killed"), 10, 24)
    call(place, "fit", "--resume", "killed")
    assert_equal(first, place / "killed", "checkpoints/checkpoint-24/model.safetensors")


def kill(place: Path, name: str, words: list[str], step: int, steps: int) -> None:
    """Starts a run and kills it when it comes to `step`, before the last of its `steps`."""
    process = subprocess.Popen(
        command(*words),
        cwd=place,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    progress = place / name / "progress.jsonl"
    deadline = time.time() + 120
    while time.time() < deadline:
        lines = progress.read_text().splitlines(keepends=True) if progress.exists() else []
        if any(json.loads(line)["step"] >= step for line in lines if line.endswith("\n")):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run = runs.read(place / name)
    assert not (run.best / "projector.safetensors").exists()
    start = runs.last_checkpoint(run)
    assert start is not None
    assert 0 < int(start.name.split("-")[1]) < steps


def assert_equal(one: Path, other: Path, *names: str) -> None:
    for name in ("best/projector.safetensors", *names):
        expected, found = load_file(one / name), load_file(other / name)
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
    call(place, *stage2("second"))
    return place / "second"


def stage2(out: str) -> list[str]:
    words = f"fit --stage 2 --data data --from first --out {out} --max-steps 16 --evaluations 4"
    more = "--learning-rate 0.01 --lora-rank 4 --lora-dropout 0.1 --accumulate 2"
    return [*words.split(), *more.split()]


def test_a_killed_stage_2_resumes_to_equal_weights(place: Path, second: Path) -> None:
    """With LoRA, its dropout, and gradients added up over two batches."""
    kill(place, "killed2", stage2("killed2"), 6, 16)
    call(place, "fit", "--resume", "killed2")
    assert_equal(
        second,
        place / "killed2",
        "best/adapter/adapter_model.safetensors",
        "checkpoints/checkpoint-16/model.safetensors",
    )


def test_stage_2_trains_projector_and_lora(second: Path) -> None:
    run = runs.read(second, finished=True)
    state = load_file(runs.last_checkpoint(run) / "model.safetensors")  # type: ignore[operator]
    parts = {"lora" if "lora_" in name else name.split(".")[0] for name in state}
    assert parts == {"projector", "lora"}
    assert (run.adapter / "adapter_model.safetensors").is_file()


def test_merge_answers_as_before_and_keeps_its_history(place: Path, second: Path) -> None:
    out = call(place, "merge", "--run", "second", "--out", "model", "--name", "mine")
    assert "0 labels changed" in out
    loaded = checkpoint.load(str(place / "model"), Settings(home=place))
    manifest = loaded.manifest
    assert manifest.name == "mine"
    assert manifest.training["speakers"]["test"] == ["test-5"]
    assert manifest.training["merge"]["drift"] < 1e-3
    assert len(manifest.training["commands"]) == 4  # prepare, both stages, merge
    assert manifest.calibration.fitted_on
    assert not list(place.glob("*.unchecked"))
    assert not any("lora" in name for name in loaded.model.state_dict())
    assert loaded.probe is not None and loaded.probe.classes == manifest.labels
    test = load_prepared(place / "data").split("test")
    features = np.stack([load_prepared(place / "data").store.get(c.id).utterance for c in test])
    answers = loaded.probe.probabilities(features).argmax(1)
    right = [manifest.labels[a] == c.label for a, c in zip(answers, test, strict=True)]
    assert np.mean(right) > 0.8


def test_evaluate_writes_figures_probe_and_every_mistake(place: Path, second: Path) -> None:
    if not (place / "model").exists():
        call(place, "merge", "--run", "second", "--out", "model")
    out = call(place, "evaluate", "--model", "model", "--data", "data", "--out", "ev", "--record")
    result = json.loads((place / "ev" / "result.json").read_text())
    assert result["metrics"]["n"] == 10 == len(result["clips"])
    assert set(result["probes"]) == {"utterance", "functionals", "both"}
    assert result["data"]["speakers"] == ["test-5"]
    assert "linear probe, both" in out
    for clip in result["clips"]:
        assert sum(clip["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    page = (place / "ev" / "report.html").read_text()
    wrong = [c["path"] for c in result["clips"] if c["predicted"] != c["label"]]
    assert all(path in page for path in wrong)
    recorded = checkpoint.read_manifest(place / "model").metrics
    assert recorded["ua"] == result["metrics"]["ua"]
    assert recorded["data"] == "test"
    assert recorded["languages"] == ["en", "zh"]
    assert recorded["independent"] is True


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("fit --stage 2 --data data", "--from"),
        ("fit --stage 1 --data nowhere", "nowhere"),
        ("fit", "--stage 1 or 2"),
        ("fit --stage 1 --data data --llm llm --out first", "--resume"),
        ("fit --stage 1 --data data --llm no/such-model --out x", "no/such-model"),
        ("fit --stage 1 --data data --llm llm --out x --epochs 0", "0 < epochs"),
        ("fit --stage 1 --data data --llm llm --out x --learning-rate 0", "0 < learning_rate"),
        ("fit --stage 1 --data data --llm llm --out x --from first", "leave --from out"),
        ("fit --stage 1 --data data --llm llm --out x --lora-rank 8", "leave --lora-rank out"),
        ("fit --resume first --batch-size 4 --out x", "leave --batch-size, --out"),
        ("fit --config nowhere.json", "nowhere.json"),
        ("fit --stage 2 --data data --from first --out x --hidden-size 8", "leave --hidden-size"),
        (
            "fit --stage 2 --data data --from first --out x --no-functionals",
            "leave --functionals out",
        ),
        ("evaluate --model model --data data --record --split valid", "--record keeps"),
        ("evaluate --model model --data data --record --shared-classes", "--record keeps"),
        ("merge --run data --out x", "not a run folder"),
        ("evaluate --model llm --data data", "without a projector"),
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


@pytest.mark.parametrize(
    ("keep", "code"), [({"angry"}, "fit_one_class"), (set[str](), "fit_no_clips")]
)
def test_data_without_two_classes_to_train_on_are_refused_at_the_start(
    place: Path, keep: set[str], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(place / "data", place / code)
    table = place / code / "clips.jsonl"
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    rows = [row for row in rows if row["split"] != "train" or row["label"] in keep]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(place)
    words = ["--stage", "1", "--data", code, "--llm", "nowhere", "--out", f"run-{code}"]
    parser = argparse.ArgumentParser()
    fit.configure(parser)
    with refused(code):
        fit.run(parser.parse_args(words))
    assert not (place / f"run-{code}").exists()


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    one, two = GroupedBatches(range(40), 4, seed=1), GroupedBatches(range(40), 4, seed=1)
    torch.manual_seed(3)
    first_epoch = list(one)
    torch.manual_seed(4)
    assert list(two) == first_epoch
    one.set_epoch(1)
    assert list(one) != first_epoch
    assert sorted(i for batch in one for i in batch) == list(range(40))


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


def test_where_nobody_validates_the_last_weights_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared.write(tmp_path / "data", frames=False)
    prepared.llm_folder(tmp_path / "llm")
    resplit(folder, {"test-4": "train"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    assert main([*stage1("run", steps=4), "--pretraining-epochs", "2"]) == 0
    run = runs.read(tmp_path / "run", finished=True)
    assert run.metrics() == {"step": 4}
    last = load_file(runs.last_checkpoint(run) / "model.safetensors")  # type: ignore[operator]
    for name, tensor in load_file(run.best / "projector.safetensors").items():
        assert torch.equal(tensor, last[f"projector.{name}"])
    words = [
        "merge",
        "--run",
        "run",
        "--out",
        "model",
        "--temperature",
        "1.5",
        "--fitted-on",
        "folds",
    ]
    assert main(words) == 0
    assert "train clips" in capsys.readouterr().out
    manifest = checkpoint.read_manifest(tmp_path / "model")
    assert (manifest.calibration.temperature, manifest.calibration.fitted_on) == (1.5, "folds")
    assert main(["merge", "--run", "run", "--out", "plain"]) == 0
    plain = checkpoint.read_manifest(tmp_path / "plain")
    assert (plain.calibration.temperature, plain.calibration.fitted_on) == (1.0, "")


def run_clip(folder: Path) -> str:
    return load_prepared(folder / "data").clips[0].id


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module's folder, for commands given inside this process."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    return place


@pytest.mark.parametrize(
    "words",
    [
        "fit --resume first",
        "fit --stage 2 --data data --from first --out never",
        "merge --run second --out never",
    ],
)
def test_a_run_knows_when_its_speakers_changed_sides(
    here: Path, second: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = here / "data" / "clips.jsonl"
    before = table.read_text()
    resplit(here / "data", {"test-5": "train", "test-0": "test"})
    try:
        assert main(words.split()) == 2
    finally:
        table.write_text(before)
    assert "prepared differently" in capsys.readouterr().err
    assert not (here / "never").exists()


def merged(here: Path, first: Path) -> None:
    """The model of the first run in `here`, made by whoever asks first."""
    if not (here / "model").exists():
        main(["merge", "--run", str(first), "--out", "model"])


def test_the_manifest_names_every_speaker_that_was_heard(
    here: Path, first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stage 1, stage 2 on other data, and the LLM that both started from."""
    merged(here, first)
    shutil.copytree(here / "data", here / "other")
    resplit(here / "other", {"test-0": "test", "test-5": "train"})
    base = checkpoint.read_manifest(here / "model").training["speakers"]["train"]
    assert base == ["test-0", "test-1", "test-2", "test-3"]
    path = here / "model" / "audiollm.json"
    path.write_text(path.read_text().replace('"test-1"', '"base-1"'))
    words = "--max-steps 1 --evaluations 1 --batch-size 4"
    fit1 = f"fit --stage 1 --data data --llm model --out based1 --hidden-size 8 {words}"
    fit2 = f"fit --stage 2 --data other --from based1 --out based2 --lora-rank 2 {words}"
    for command in (fit1, fit2, "merge --run based2 --out based"):
        assert main(command.split()) == 0
    training = checkpoint.read_manifest(here / "based").training
    heard = ["base-1", "test-0", "test-1", "test-2", "test-3", "test-5"]
    assert training["speakers"]["train"] == heard
    assert training["base_speakers"] == ["base-1", "test-0", "test-2", "test-3"]
    assert training["speakers_known"] is True
    path.write_text(path.read_text().replace('"base-1"', '"test-1"'))
    words = "evaluate --model based --data other --record --out ev2"
    assert main(words.split()) == 0
    assert "Not speaker-independent: the model was trained on test-0" in capsys.readouterr().out
    assert checkpoint.read_manifest(here / "based").metrics["independent"] is False


def test_runs_and_models_work_from_another_folder(first: Path, second: Path) -> None:
    one, two = runs.read(first).config, runs.read(second).config
    assert one.data == two.data == str(first.parent / "data")
    assert one.llm == two.llm == str(first.parent / "llm")
    assert two.start == str(first)


def test_shared_classes_are_those_that_are_there(
    here: Path, first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Model and probe are judged by the same clips and classes."""
    merged(here, first)
    shutil.copytree(here / "data", here / "fewer")
    table = here / "fewer" / "clips.jsonl"
    text = table.read_text().replace('"angry", "speaker": "test-5"', '"bored", "speaker": "test-5"')
    rows = [line for line in text.splitlines() if '"sad", "speaker": "test-5"' not in line]
    table.write_text("\n".join(rows))
    reasons = ["no speech: silence", "unreadable: text", "identical audio: the same sound as x"]
    lines = [json.dumps({"path": "x", "reason": reason}) + "\n" for reason in reasons]
    (here / "fewer" / "rejected.jsonl").write_text("".join(lines))
    words = "evaluate --model model --data fewer --out ev3"
    assert main(words.split()) == 2
    assert "--shared-classes" in capsys.readouterr().err
    assert main([*words.split(), "--shared-classes"]) == 0
    result = json.loads((here / "ev3" / "result.json").read_text())
    shared = ["fearful", "happy", "neutral"]
    assert result["metrics"]["classes"] == shared
    assert {tuple(p["classes"]) for p in result["probes"].values()} == {tuple(shared)}
    assert {p["n"] for p in result["probes"].values()} == {result["metrics"]["n"]} == {6}
    notes = {note["code"]: note["values"] for note in result["notes"]}
    assert notes["note_without_clips"] == {"n": 2, "label": "bored"}
    assert notes["note_without_answer"] == {"label": "sad"}
    assert notes["note_not_usable"] == {"n": 2}


def test_classes_are_chosen_before_probabilities_vanish(
    here: Path, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Log-likelihoods of -2000 are probabilities of 0: their shares are not 0 / 0."""
    merged(here, first)
    shutil.copytree(here / "data", here / "two")
    rows = (here / "data" / "clips.jsonl").read_text().splitlines()
    rows = [row for row in rows if json.loads(row)["label"] in ("happy", "sad")]
    (here / "two" / "clips.jsonl").write_text("\n".join(rows))
    scores = torch.full((4, 5), -2000.0)
    scores[:, 0] = 0  # angry, which nobody is
    monkeypatch.setattr("train.fit.trainer.score_clips", lambda *_, **__: scores)
    words = "evaluate --model model --data two --shared-classes --out ev4"
    assert main(words.split()) == 0
    result = json.loads((here / "ev4" / "result.json").read_text())
    assert result["clips"][0]["probabilities"] == {"happy": 0.5, "sad": 0.5}


def test_standardising_uses_a_bounded_random_sample(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_prepared(place / "data")
    monkeypatch.setattr(fit, "MEASURED_CLIPS", 12)
    monkeypatch.setattr(fit, "MEASURED_FRAMES", 30)
    taken = fit._measured(data, 0)
    assert len(taken) == 12
    assert all(f.frames is not None and len(f.frames) == 30 for f in taken)
    early = np.stack([data.store.get(c.id).utterance for c in data.split("train")[:12]])
    assert not np.array_equal(np.stack([f.utterance for f in taken]), early)
    for one, again in zip(taken, fit._measured(data, 0), strict=True):
        np.testing.assert_array_equal(one.frames, again.frames)  # type: ignore[arg-type]
    monkeypatch.setattr(fit, "MEASURED_IN_ALL", 60)
    assert sum(np.shape(f.frames)[0] for f in fit._measured(data, 0)) == 60  # type: ignore[arg-type]


def test_merge_refuses_another_answer() -> None:
    before = np.array([[-1.0, -1.02], [-1.0, -3.0]])
    near = np.array([[-1.03, -1.02], [-1.0, -3.0]])
    assert merge.compare(before, near, "float32") == (pytest.approx(0.03), 1)
    turned = np.array([[-1.0, -1.02], [-3.0, -1.0]])
    with pytest.raises(ModelError) as refused:
        merge.compare(before, turned, "float32")
    assert (refused.value.code, refused.value.values) == ("merge_differs", {"clips": 1})
    with pytest.raises(ModelError) as refused:
        merge.compare(before, turned, "bfloat16")
    assert (refused.value.code, refused.value.values["drift"]) == ("merge_drift", "2")


def test_help_of_fit_says_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "(default: 512)",
        "(default: 0.05)",
        "qwen2.5-0.5b",
        "--resume runs/emodb-stage2",
    ):
        assert words in text


def test_the_original_projects_data_comes_to_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """train.json, valid.json and .npy files: one vector a clip, nobody knows who speaks."""
    random = np.random.default_rng(0)
    centres = 2 * random.standard_normal((len(tiny.CLASSES), tiny.WIDTH))
    (tmp_path / "theirs" / "features").mkdir(parents=True)
    for side, each in {"train": 12, "valid": 4}.items():
        entries = []
        for label, centre in zip(tiny.CLASSES, centres, strict=True):
            for i in range(each):
                name = f"{side}_{label}_{i}.npy"
                vector = centre + 0.3 * random.standard_normal(tiny.WIDTH)
                np.save(tmp_path / "theirs" / "features" / name, vector.astype(np.float32))
                path = f"/srv/elsewhere/features/{name}"
                entries.append({"audio_feature_path": path, "text": "...", "label": label})
        (tmp_path / "theirs" / f"{side}.json").write_text(json.dumps(entries))
    prepared.llm_folder(tmp_path / "llm")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    few = "--evaluations 2 --learning-rate 0.01"
    for words in (
        "prepare --corpus original --root theirs --out data",
        f"fit --stage 1 --data data --llm llm --out one --max-steps 10 --hidden-size 24 {few}",
        f"fit --stage 2 --data data --from one --out two --max-steps 100 --lora-rank 16 {few}",
        "merge --run two --out model",
        "evaluate --model model --data data --out ev --record",
    ):
        assert main(words.split()) == 0, capsys.readouterr().err
    found = checkpoint.load(str(tmp_path / "model"), Settings(home=tmp_path))
    assert found.probe is not None and set(found.probe.classes) == set(tiny.CLASSES)
    manifest = found.manifest
    assert manifest.projector.pooling == "utterance"
    assert manifest.projector.functionals == 0
    assert manifest.training["speakers_known"] is False
    assert manifest.metrics["n"] == 20
    assert manifest.metrics["independent"] is False  # nobody knows
    assert manifest.metrics["ua"]["value"] > 0.2  # chance
