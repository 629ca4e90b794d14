"""The recipe of the small model: its commands, what it shares between splits, its card."""

import csv
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from audiollm.contracts.manifest import EncoderRef, Manifest, ProjectorConfig
from audiollm.errors import DataError
from audiollm.settings import ASSETS
from bench.ablations import VARIANTS
from tests import prepared
from train import real
from train.__main__ import _parse
from train.__main__ import main as train
from train.data.dataset import load_prepared
from train.tiny import recipe
from train.tiny.card import write_card

FIVE = ("emodb", "ased", "casia", "emovo", "nemo")


def steps(tmp_path: Path, **options: Any) -> list[recipe.Step]:
    given: dict[str, Any] = {"fold": ("--folds", "emodb=8", "--fold", "3")}
    return list(
        recipe.chain(
            recipe.small(), tmp_path, [("ased", "x y")], tmp_path / "llm", 5, **(given | options)
        )
    )


def test_a_fold_reaches_the_data(tmp_path: Path) -> None:
    data, *rest = steps(tmp_path)
    args = _parse(list(data.words[1:]), "prepare")[1]
    assert " ".join(data.words).endswith("--corpus ased --root x y --folds emodb=8 --fold 3")
    assert (args.folds, args.fold, args.valid) == ({"emodb": 8}, 3, 0)
    assert (args.copies, args.seed, args.encoder) == (recipe.COPIES, 5, recipe.ENCODER)
    assert not args.frames and not args.functionals
    assert [step.words[1] for step in rest] == ["fit", "fit", "merge", "evaluate"]


def test_every_command_of_the_recipe_is_understood(tmp_path: Path) -> None:
    given = {"merged": ("--calibration", "c.json"), "evaluated": ("--record",)}
    one, two, merged, judged = (
        _parse(list(step.words[1:]), step.words[1])[1] for step in steps(tmp_path, **given)[1:]
    )
    assert (one.stage, two.stage, one.baseline) == (1, 2, 0.5)
    assert (two.start, merged.run, judged.model) == (one.out, two.out, merged.out)
    assert merged.calibration == Path("c.json") and judged.record
    assert merged.probe_strength == judged.probe_strength == 0.001


@pytest.mark.parametrize(
    ("options", "judged"),
    [
        ({}, True),
        ({"fold": ("--test-corpus", "ased")}, True),
        ({"fold": ("--test", "0")}, False),
        ({"fold": ()}, True),
    ],
)
def test_where_nobody_tests_nothing_is_evaluated(
    tmp_path: Path, options: dict[str, Any], judged: bool
) -> None:
    last = steps(tmp_path, **options)[-1].words[1]
    assert last == ("evaluate" if judged else "merge")


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_every_variant_of_the_ablations_is_understood(variant: Any) -> None:
    args = _parse(["fit", "--stage", str(variant.stage), *variant.words()], "fit")[1]
    if variant.name == "the recipe":
        assert args.functionals is False and args.baseline == 0.5


def test_corpora_are_named_with_their_folders() -> None:
    found = recipe.parse(["emodb", "ased=a/b", "nemo=c=d"])
    assert found[1:] == [("ased", "a/b"), ("nemo", "c=d")]
    assert found[0][0] == "emodb" and Path(found[0][1]).resolve() == ASSETS / "emodb"
    assert recipe.parse(["emodb=mine"]) == [("emodb", "mine")]
    for text in ("ased", "ased=", "EMODB"):
        with pytest.raises(DataError, match="is not bundled"):
            recipe.parse([text])


def test_steps_that_are_done_are_passed_over_and_a_failure_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe.run_steps([recipe.Step(tmp_path, ("no.such.module",))])
    assert "done before" in capsys.readouterr().out
    with pytest.raises(DataError, match="stopped with code"):
        recipe.run_steps([recipe.Step(tmp_path / "missing", ("train", "merge", "--run", "no"))])


def test_every_step_computes_with_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        seen.append(os.environ["OMP_NUM_THREADS"])
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr(subprocess, "run", run)
    recipe.run_steps(steps(tmp_path), one_thread=False)
    recipe.run_steps(steps(tmp_path))
    assert seen == ["7"] * 5 + ["1"] * 5


def test_a_fit_that_was_interrupted_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        seen.append(command[3:])
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setattr(subprocess, "run", run)
    (tmp_path / "stage1").mkdir()
    (tmp_path / "stage1" / "run.json").touch()
    recipe.run_steps(steps(tmp_path))
    assert seen[1] == ["fit", "--resume", str(tmp_path / "stage1")]
    assert seen[2][:3] == ["fit", "--stage", "2"]


def test_the_recipe_of_a_large_llm_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options are those of the commands, and its model is scored as it is trained."""
    given: list[recipe.Step] = []
    monkeypatch.setattr(recipe, "run_steps", lambda steps, **_: given.extend(steps))
    words = ["real", "--llm", "here", "--corpora", "emodb", "ased=x", "--work", str(tmp_path)]
    assert real.run(_parse(words, "real")[1]) == 0
    _, one, two, merged, judged = (_parse(list(s.words[1:]), s.words[1])[1] for s in given)
    assert (one.llm, one.class_loss, two.class_loss) == ("here", "classes", "classes")
    assert one.gain == two.gain == "fixed" and one.auxiliary_head == "embeddings"
    assert merged.questions and merged.store == "bfloat16" and judged.record


def test_a_split_shares_the_features_of_another(tmp_path: Path) -> None:
    first = prepared.write(tmp_path / "one" / "data", frames=False)
    (first / "journal.jsonl").write_text("{}\n")
    recipe.share_features(first, first)
    second = tmp_path / "two" / "data"
    recipe.share_features(first, second)
    recipe.share_features(tmp_path / "no such folder", tmp_path / "three")
    assert not (tmp_path / "three").exists()
    assert not (second / "prepare.json").exists()  # it is prepared again
    paths = {p.relative_to(first) for p in first.rglob("*") if p.is_file()}
    left = {Path("prepare.json"), Path("features/.lock")}
    assert {p.relative_to(second) for p in second.rglob("*") if p.is_file()} == paths - left
    for path in paths - left:
        linked = (first / path).samefile(second / path)
        assert linked == (path.suffix == ".safetensors"), path
    with (second / "journal.jsonl").open("a") as journal:
        journal.write("more\n")
    assert (first / "journal.jsonl").read_text() == "{}\n"
    (second / "kept.txt").touch()
    recipe.share_features(first, second)  # a folder that is there stays
    assert (second / "kept.txt").exists()


def test_a_card_names_places_as_seen_from_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert recipe.near(tmp_path / "runs" / "tiny") == "runs/tiny"
    assert recipe.near(Path("/elsewhere")) == "/elsewhere"


def interval(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "unit": "speakers"}


def card(folder: Path, corpora: tuple[str, ...], results: dict[str, Any], **more: Any) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "distance.safetensors").write_bytes(b"apart")
    manifest = Manifest(
        name="tiny",
        encoder=EncoderRef("front", 8, "f00d", kind="whisper", layers=(1, 2)),
        projector=ProjectorConfig(8, 4, pooling="utterance"),
        labels=("angry", "sad"),
        training={
            "corpus": "+".join(corpora),
            "clips": {"train": 10},
            "speakers": {"test": ["emodb-10"]},
        },
        **more,
    )
    write_card(folder, manifest, results, ["python -m train prepare", "python -m train fit"])
    return (folder / "README.md").read_text(encoding="utf-8")


def test_a_card_has_figures_hashes_and_commands(tmp_path: Path) -> None:
    corpora = {
        name: {"systems": {"0": {"ua": interval(0.6 + i / 10)}, "probe": {"ua": interval(0.4)}}}
        for i, name in enumerate(("emodb", "nemo"))
    }
    sure = {"ece": 0.0456, "sure": 0.81, "share": 0.37, "nll": 1.0, "n": 5}
    found = {"corpora": corpora, "mean": {"0": 0.65, "probe": 0.4}, "calibration": {"0": sure}}
    m = {"n": 80, "speakers": 2, "ua": interval(0.7), "wa": interval(0.75)}
    text = card(tmp_path, FIVE, {"protocols": {"new speakers": found}}, metrics=m)
    assert "| tiny | 0.60 [0.50, 0.70] | 0.70 [0.60, 0.80] | 0.65 |" in text
    assert "| linear probe | 0.40 [0.30, 0.50] | 0.40 [0.30, 0.50] | 0.40 |" in text
    assert "0.046" in text and "37.0% of all, 0.81 of them right" in text
    assert "80 clips of the 2 speakers" in text and "0.75 [0.65, 0.85]" in text
    for path in tmp_path.glob("*.safetensors"):
        assert f"| {path.name} | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |" in text
    assert "python -m train prepare\npython -m train fit\n" in text
    assert "`f00d`" in text and "emodb-10" in text


@pytest.mark.parametrize(
    ("corpora", "free"), [(("emodb",), True), (FIVE, False), (("emodb", "ased"), False)]
)
def test_terms_follow_the_data(tmp_path: Path, corpora: tuple[str, ...], free: bool) -> None:
    text = card(tmp_path, corpora, {})
    assert ("CC BY-NC-SA 4.0: for research" in text) != free
    assert ("CC0 speech alone" in text) == free
    known = {"emodb": "German", "ased": "Amharic", "casia": "Mandarin"}
    for name, language in known.items():
        assert (language in text) == (name in corpora)
    assert "Accuracy on" not in text


@pytest.mark.long
def test_the_recipe_makes_the_same_weights_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole recipe on a handful of bundled clips, twice."""
    root = tmp_path / "emodb"
    (root / "audio").mkdir(parents=True)
    rows = list(csv.DictReader((ASSETS / "emodb" / "manifest.csv").open()))
    taken: list[dict[str, str]] = []
    for speaker in ("emodb-03", "emodb-08", "emodb-10", "emodb-13"):
        for label in ("angry", "happy", "neutral", "sad"):
            taken += [r for r in rows if (r["speaker"], r["label"]) == (speaker, label)][:2]
    with (root / "manifest.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(taken)
    for row in taken:
        shutil.copy(ASSETS / "emodb" / row["file"], root / row["file"])
    few = {"--max-steps": "6", "--pretraining-epochs": "1", "--batch-size": "8"}
    for name in ("STAGE_1", "STAGE_2"):
        words = getattr(recipe, name)
        for key, value in few.items():
            words = re.sub(rf"{key} \S+", f"{key} {value}", words)
        monkeypatch.setattr(recipe, name, words)
    monkeypatch.setattr(recipe, "LANGUAGE", "--steps 20")
    monkeypatch.setattr(recipe, "COPIES", 1)
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    made = []
    for turn in ("one", "two"):
        out = tmp_path / turn
        words = ["tiny", "--corpora", f"emodb={root}", "--work", str(out / "work")]
        assert train([*words, "--out", str(out)]) == 0
        made.append({p.name: p.read_bytes() for p in (out / "tiny").glob("*.safetensors")})
    assert len(made[0]) == 4  # LLM, projector, probe, distance
    assert made[0] == made[1]
    data = load_prepared(tmp_path / "one" / "work" / "data")
    assert {c.speaker for c in data.split("test")} == set(recipe.TESTED)
    assert not data.split("valid")
    text = (tmp_path / "one" / "tiny" / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(made[0]["model.safetensors"]).hexdigest() in text
    assert "CC0 speech alone" in text
