"""Repeated folds: the steps of a fold, what is passed over, and intervals over clips."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiollm.errors import DataError
from bench import repeated_folds as bench
from tests import prepared, tiny
from train.__main__ import COMMANDS, _parse, main

CLASSES = ("angry", "happy", "sad")


def record(repeat: int, seed: int, clips: int = 60) -> dict[str, Any]:
    """A fold whose stage 2 knows every clip, whose probe guesses."""
    random = np.random.default_rng(seed)
    truth = [i % 3 for i in range(clips)]
    sure = np.full((clips, 3), 0.1) + 0.7 * np.eye(3)[truth]
    guess = random.dirichlet(np.ones(3), clips)
    return {
        "repeat": repeat,
        "fold": 0,
        "classes": CLASSES,
        "clips": {"train": 1, "valid": 1, "test": clips},
        "seconds": {"stage1": 1.0, "stage2": 2.0},
        "validation": {},
        "temperature": 1.0,
        "id": [f"clip{i}" for i in range(clips)],
        "label": [CLASSES[i] for i in truth],
        "stage1": [CLASSES[i] for i in truth],
        "stage2": sure.tolist(),
        "probe": guess.tolist(),
        "probe_with_temperature": guess.tolist(),
    }


def test_every_step_is_a_command_that_exists() -> None:
    steps = bench.commands(bench.Plan("features", "llm"), Path("out"), 1, 2)
    assert [argv[0] for _, argv in steps] == ["prepare", "fit", "fit", "merge", "evaluate"]
    for _, argv in steps:
        assert argv[0] in COMMANDS
        _parse(argv, argv[0])
    _, args = _parse(steps[0][1], "prepare")
    assert (args.split, args.seed, args.folds, args.fold) == ("random", 1, 5, 2)


def test_intervals_resample_clips_and_differences_are_paired() -> None:
    once, twice = (bench.summarise([record(r, 0) for r in range(n)]) for n in (1, 2))
    assert once["figures"]["stage2"]["wa"]["value"] == 1
    assert once["figures"]["probe"]["wa"]["unit"] == "clips"
    assert twice["answers"] == 2 * twice["clips"] == 120
    for name in ("wa: stage 2 - probe", "nll: stage 2 - probe"):
        # the same answers again are no new evidence
        assert once["differences"][name] == pytest.approx(twice["differences"][name])
    gain = once["differences"]["wa: stage 2 - probe"]
    assert 0 < gain["low"] < gain["value"] < gain["high"]
    assert once["differences"]["wa: stage 2 - stage 1"]["value"] == 0
    assert "stage2" in once["figures"]
    json.dumps(once, allow_nan=False)


def original(folder: Path) -> Path:
    """train.json and valid.json of separable vectors, twelve clips a class."""
    random = np.random.default_rng(0)
    (folder / "features").mkdir(parents=True)
    for side, each in {"train": 9, "valid": 3}.items():
        entries = []
        for c, label in enumerate(tiny.CLASSES):
            for i in range(each):
                name = f"{side}_{label}_{i}.npy"
                vector = 2 * np.eye(tiny.WIDTH)[c] + 0.3 * random.standard_normal(tiny.WIDTH)
                np.save(folder / "features" / name, vector.astype(np.float32))
                entries.append({"audio_feature_path": f"/srv/{name}", "label": label})
        (folder / f"{side}.json").write_text(json.dumps(entries))
    return folder


@pytest.mark.slow
def test_a_fold_goes_through_the_projects_commands_and_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    few = "--evaluations 1 --learning-rate 0.01 --languages en"
    plan = bench.Plan(
        features=str(original(tmp_path / "theirs")),
        llm=str(prepared.llm_folder(tmp_path / "llm")),
        folds=4,
        stage_1=f"--max-steps 4 --hidden-size 24 {few}",
        stage_2=f"--max-steps 4 --lora-rank 2 {few}",
    )
    ran: list[str] = []

    def run(argv: list[str]) -> None:
        ran.append(argv[0])
        assert main(argv) == 0

    ticks: list[str] = []
    found = bench.one_fold(plan, tmp_path / "out", 0, 1, run, ticks.append)
    assert ran == ["prepare", "fit", "fit", "merge", "evaluate"]
    assert found["clips"] == {"train": 30, "valid": 15, "test": 15}
    assert len(set(found["id"])) == 15
    assert np.sum(found["probe"], 1) == pytest.approx(1)
    measured = json.loads((tmp_path / "out/repeat0-fold1/test/result.json").read_text())
    own = np.mean(
        [
            found["classes"][i] == y
            for i, y in zip(np.argmax(found["probe"], 1), found["label"], strict=True)
        ]
    )
    assert own == pytest.approx(measured["probes"]["utterance"]["wa"]["value"])
    again = bench.one_fold(plan, tmp_path / "out", 0, 1, run, ticks.append)
    assert again == found
    assert len(ran) == 5
    assert len(ticks) == 12


def test_other_settings_need_another_folder(tmp_path: Path) -> None:
    bench._check(bench.Plan("a", "b"), tmp_path)
    bench._check(bench.Plan("a", "b"), tmp_path)
    with pytest.raises(DataError, match="other settings"):
        bench._check(bench.Plan("a", "c"), tmp_path)
