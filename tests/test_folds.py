"""The recipe of the small model: its commands, and the figures over all folds."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from audiollm.config import Calibration, EncoderRef, Manifest, ProjectorConfig, to_json
from audiollm.errors import DataError
from tests import prepared, tiny
from tests.prepared import resplit
from train.__main__ import _parse
from train.dataset import load_prepared
from train.tiny import across, folds, recipe


def steps(tmp_path: Path) -> list[recipe.Step]:
    fold = ("--folds", "8", "--fold", "3")
    places = (tmp_path / "language", tmp_path / "encoder")
    return list(recipe.chain(tmp_path, [("ased", "x")], *places, 5, fold))


def test_a_fold_reaches_the_data(tmp_path: Path) -> None:
    data, *rest = steps(tmp_path)
    assert " ".join(data.words).endswith("--corpus ased --root x --folds 8 --fold 3")
    assert "--seed 5" in " ".join(data.words)
    assert [step.words[1] for step in rest] == ["fit", "fit", "merge", "evaluate"]


def across_steps(tmp_path: Path) -> list[recipe.Step]:
    places = (tmp_path / "language", tmp_path / "encoder")
    sides, shared = ("--test-corpus", "ased"), ("--shared-classes",)
    sources = [("emodb", "x"), ("ased", "y")]
    return list(recipe.chain(tmp_path, sources, *places, 5, sides, judged=shared))


def test_a_corpus_that_judges_reaches_data_and_evaluation(tmp_path: Path) -> None:
    data, *_, judge = across_steps(tmp_path)
    assert " ".join(data.words).endswith("--root y --test-corpus ased")
    assert judge.words[-1] == "--shared-classes"
    assert "--record" not in judge.words


def test_only_classes_of_both_sides_judge(tmp_path: Path) -> None:
    """`sad` is tested and never taught, `fearful` taught and never tested."""
    prepared.write(tmp_path / "data", frames=False)
    data = load_prepared(tmp_path / "data")
    table = tmp_path / "data" / "clips.jsonl"
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    rows = [r for r in rows if (r["split"], r["label"]) != ("train", "sad")]
    rows = [r for r in rows if (r["split"], r["label"]) != ("test", "fearful")]
    table.write_text("".join(json.dumps(r) + "\n" for r in rows))
    share = 1 / len(data.classes)
    clips = [
        {**r, "probabilities": dict.fromkeys(data.classes, share) | {"happy": 0.9}}
        for r in rows
        if r["split"] == "test"
    ]
    (tmp_path / "evaluate").mkdir()
    (tmp_path / "evaluate" / "result.json").write_text(json.dumps({"clips": clips}))
    found = across.measured(tmp_path)
    assert set(found["classes"]) == {"angry", "happy", "neutral"}
    assert found["model"]["n"] == sum(r["label"] in found["classes"] for r in clips)
    assert found["model"]["ua"]["value"] == pytest.approx(1 / 3)
    assert {"model", "probe, utterance", "probe, functionals"} < set(found)


def test_both_directions_need_an_encoder() -> None:
    assert across._encoders(["ased=a/b", "emodb=c"]) == {"ased": Path("a/b"), "emodb": Path("c")}
    for given in (["ased=a"], ["ased=a", "emo=c"], ["ased"]):
        with pytest.raises(DataError, match="for ased and emodb"):
            across._encoders(given)


def test_every_command_of_the_recipe_is_understood(tmp_path: Path) -> None:
    for step in [*steps(tmp_path), *across_steps(tmp_path)]:
        words = list(step.words[1:])
        assert _parse(words, words[0])[1] is not None


def test_steps_that_are_done_are_passed_over_and_a_failure_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = recipe.Step(tmp_path, ("no.such.module",))
    recipe.walk([done])
    assert "done before" in capsys.readouterr().out
    with pytest.raises(DataError, match="stopped with code"):
        recipe.walk([recipe.Step(tmp_path / "missing", ("train", "merge", "--run", "no"))])


def test_an_encoder_that_has_heard_the_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not say"):
        folds.check_encoder(tmp_path, "emodb")
    record = {"speakers": {"train": ["ased-01", "emodb-03"]}}
    (tmp_path / "encoder.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="emodb-03"):
        folds.check_encoder(tmp_path, "emodb")
    folds.check_encoder(tmp_path, "emo")  # the name of a corpus counts whole


def test_folds_share_what_was_heard_and_not_the_split(tmp_path: Path) -> None:
    first = prepared.write(tmp_path / "fold0" / "data", frames=False)
    recipe.share_features(first, first)
    recipe.share_features(first, tmp_path / "fold1" / "data")
    assert not (tmp_path / "fold1" / "data" / "prepare.json").exists()
    assert list((tmp_path / "fold1" / "data" / "features").iterdir())


def write_fold(place: Path, right: int, temperature: float = 1.0) -> None:
    """A judged fold whose model gives 0.8 to the right class of the first `right` clips."""
    prepared.write(place / "data", frames=False)
    clips = load_prepared(place / "data").split("test")
    classes = tiny.CLASSES
    rows = []
    for i, clip in enumerate(clips):
        answer = clip.label if i < right else classes[(classes.index(clip.label) + 1) % 5]
        given = {c: 0.8 if c == answer else 0.05 for c in classes}
        rows.append(
            {"id": clip.id, "label": clip.label, "speaker": clip.speaker, "probabilities": given}
        )
    share = {"value": right / len(clips), "low": 0.0, "high": 1.0, "unit": "clips"}
    judged = {
        "clips": rows,
        "data": {"speakers": ["test-5"]},
        "metrics": {"n": len(clips), "ua": share, "wa": share},
        "model": {"hash": "h"},
    }
    resplit(place / "data", {"test-4": "train"})
    manifest = Manifest(
        name="m",
        encoder=EncoderRef("tiny", tiny.WIDTH),
        projector=ProjectorConfig(tiny.WIDTH, 32),
        labels=classes,
        calibration=Calibration(temperature=temperature),
    )
    (place / "model").mkdir()
    (place / "model" / "audiollm.json").write_text(to_json(manifest))
    (place / "evaluate").mkdir(parents=True)
    (place / "evaluate" / "result.json").write_text(json.dumps(judged))


def test_a_fold_that_was_validated_or_calibrated_is_refused(tmp_path: Path) -> None:
    write_fold(tmp_path / "fold0", right=10, temperature=1.5)
    with pytest.raises(DataError, match="give another --out"):
        folds.gather(tmp_path, 1)


def test_figures_are_over_the_clips_of_all_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fold(tmp_path / "fold0", right=10)
    write_fold(tmp_path / "fold1", right=4)
    result = folds.gather(tmp_path, 2)
    assert result["model"]["n"] == 20
    assert result["model"]["wa"]["value"] == pytest.approx(14 / 20)
    assert result["probe, both"]["n"] == 20
    wanted = (14 * np.log(0.8) + 6 * np.log(0.05)) / -20
    assert result["uncalibrated"]["nll"] == pytest.approx(wanted, rel=1e-6)
    # the other fold's answers ask for another temperature; the answers stay
    assert result["model"]["wa"] == result["uncalibrated"]["wa"]
    tables = [np.array([[0.8, 0.05], [0.9, 0.1]]) for _ in range(3)]
    heated = folds.recalibrated(tables, [2, 2, 2], list("abaaaa"), ("a", "b"))
    assert np.allclose(heated[1], heated[2])  # the others of both were wrong once
    assert heated[0][0].max() > heated[1][0].max()  # the others of the first never
    assert result["temperature"] != 1
    monkeypatch.setattr(recipe, "TESTED", frozenset({"test-5"}))
    assert folds.gather(tmp_path, 2)["temperature"] == 1  # nobody else is there to ask
    text = folds.table(result)
    assert "20 clips" in text
    assert "probe, both" in text


def test_every_step_of_the_recipe_computes_with_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def run(*_: list[str], **__: bool) -> subprocess.CompletedProcess[str]:
        seen.append(os.environ["OMP_NUM_THREADS"])
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr(subprocess, "run", run)
    recipe.walk(recipe.chain(tmp_path, [("emodb", "x")], tmp_path, tmp_path, 0))
    assert set(seen) == {"1"}


def test_a_card_names_places_as_seen_from_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert recipe.near(tmp_path / "runs" / "tiny") == "runs/tiny"
    assert recipe.near(Path("/elsewhere")) == "/elsewhere"
