"""The answers of all folds of the protocols: figures by hand, and calibrations of other corpora."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiollm.contracts.manifest import (
    MANIFEST_NAME,
    PROBE_NAME,
    Calibration,
    Calibrations,
    EncoderRef,
    Manifest,
    ProjectorConfig,
)
from audiollm.contracts.options import read_json, to_json
from audiollm.errors import DataError
from audiollm.model import probe
from bench import quality
from tests import prepared, tiny
from train import real
from train.__main__ import _parse
from train.data.dataset import Prepared, load_prepared
from train.data.speakers import COUNTS
from train.fit import merge
from train.tiny import answers, protocols, recipe
from train.tiny.answers import Fold

CLASSES = ("angry", "happy", "sad", "bored")
MODES = ("0", "3", "8", "all", "probe")


def answer(name: str, sure: float = 0.9) -> list[float]:
    """Probabilities of CLASSES, the named one `sure`."""
    rest = (1 - sure) / (len(CLASSES) - 1)
    return [sure if c == name else rest for c in CLASSES]


def fold(
    name: str,
    corpus: str,
    given: Iterable[tuple[str, list[float]]],
    trained: tuple[str, ...] = CLASSES,
) -> Fold:
    """A fold of clips of one corpus: (true class, the answer of every mode)."""
    pairs = list(given)
    table = np.array([probabilities for _, probabilities in pairs])
    return Fold(
        name=name,
        classes=CLASSES,
        trained=trained,
        corpus=np.array([corpus] * len(pairs)),
        truth=np.array([label for label, _ in pairs]),
        speakers=np.array([f"{corpus}-{i % 3}" for i in range(len(pairs))]),
        ids=np.array([f"{name}-{corpus}-{i}" for i in range(len(pairs))]),
        tables={mode: table.copy() for mode in MODES},
        distances=np.full(len(pairs), 1.5),
    )


def right(label: str, times: int) -> list[tuple[str, list[float]]]:
    return [(label, answer(label))] * times


def wrong(label: str, said: str, times: int) -> list[tuple[str, list[float]]]:
    return [(label, answer(said))] * times


def test_ua_is_over_classes_that_both_sides_know() -> None:
    """`bored` was taught and is not tested; clips of `sad` were never taught and are not judged."""
    taught = ("angry", "happy", "bored")
    clips = [*right("angry", 3), *wrong("angry", "happy", 1), *right("happy", 1)]
    clips += [*wrong("happy", "angry", 1), *wrong("sad", "angry", 7)]
    # bored would win, but the corpus does not hold it: of the shared classes it is angry
    clips += [("angry", [0.2, 0.1, 0.05, 0.65])]
    other = fold("corpus-b", "b", [*right("angry", 2), *right("happy", 2)])
    result, _ = answers.measure([fold("corpus-a", "a", clips, taught), other])
    found = result["protocols"]["new corpora"]
    a = found["corpora"]["a"]
    assert (a["classes"], a["folds"]) == (("angry", "happy"), 1)
    for mode in MODES:
        assert a["systems"][mode]["n"] == 7
        assert a["systems"][mode]["ua"]["value"] == pytest.approx((4 / 5 + 1 / 2) / 2)
        assert a["systems"][mode]["wa"]["value"] == pytest.approx(5 / 7)
        assert found["mean"][mode] == pytest.approx((0.65 + 1) / 2)


def test_a_corpus_is_judged_over_all_its_folds() -> None:
    folds = [
        fold("speakers-0", "a", [*right("angry", 2), *right("sad", 2)]),
        fold("speakers-1", "a", [*wrong("angry", "sad", 2), *right("sad", 4)]),
        fold("speakers-1", "b", [*right("angry", 3), *wrong("sad", "happy", 3)]),
    ]
    result, _ = answers.measure(folds)
    found = result["protocols"]["new speakers"]["corpora"]
    assert (found["a"]["folds"], found["b"]["folds"]) == (2, 1)
    assert found["a"]["systems"]["8"]["ua"]["value"] == pytest.approx((0.5 + 1) / 2)
    assert found["b"]["systems"]["8"]["ua"]["value"] == pytest.approx(0.5)


@pytest.mark.parametrize("protocol", ["speakers-0", "corpus-{}"])
def test_calibration_is_never_fitted_on_the_corpus_that_it_is_judged_on(protocol: str) -> None:
    """Answers about `a` are right and about `b` wrong: by the other's calibration those about `a`
    are never sure, those about `b` always. Fitted on themselves it would be the other way."""
    clips = {
        "a": [*right("angry", 20), *right("sad", 20)],
        "b": [*wrong("angry", "sad", 5), *wrong("sad", "angry", 5)],
    }
    folds = [fold(protocol.format(name), name, given) for name, given in clips.items()]
    # the other protocol's answers about a corpus are about it all the same
    folds += [fold(f"speakers-{i}", name, clips[name]) for i, name in enumerate(clips)]
    result, _ = answers.measure(folds)
    for found in result["protocols"].values():
        for mode in map(str, COUNTS):
            figures = found["calibration"][mode]
            assert figures["sure"] == 0
            assert figures["share"] == pytest.approx(0.2)


def test_with_one_corpus_each_fold_is_judged_by_the_others() -> None:
    folds = [
        fold("speakers-0", "a", [*right("angry", 15), *right("sad", 15)]),
        fold("speakers-1", "a", [*wrong("angry", "sad", 5), *wrong("sad", "angry", 5)]),
    ]
    result, calibrations = answers.measure(folds)
    figures = result["protocols"]["new speakers"]["calibration"]["0"]
    assert (figures["sure"], figures["n"]) == (0, 40)
    assert figures["share"] == pytest.approx(1 / 4)
    assert calibrations.calibration.temperature > 1


def test_a_class_without_training_clips_gets_no_probability() -> None:
    """The model likes `bored` best, which nobody taught it: what is left is right and sure."""
    rows = [(label, [0.0, 0.0, 0.0, 0.9]) for label in ("angry", "sad") * 10]
    for label, table in rows:
        table[CLASSES.index(label)] = 0.1
    taught = ("angry", "happy", "sad")
    folds = [fold(f"corpus-{name}", name, rows, taught) for name in "ab"]
    figures = answers.measure(folds)[0]["protocols"]["new corpora"]["calibration"]["0"]
    assert (figures["sure"], figures["share"], figures["n"]) == (1, 1, 40)
    # clips of a class that nobody taught take no part
    folds = [fold(f"corpus-{name}", name, [*rows, ("bored", rows[0][1])], taught) for name in "ab"]
    found = answers.measure(folds)[0]["protocols"]["new corpora"]["calibration"]["0"]
    assert found["n"] == 40


def test_the_calibrations_are_those_that_all_answers_ask_for() -> None:
    """Every corpus counts alike, whatever its size; with a baseline the answers are others."""
    sure, modest = (
        [*right("angry", 4), *right("sad", 4)],
        [*wrong("angry", "sad", 4), *wrong("sad", "angry", 4)],
    )
    folds = [fold("corpus-a", "a", sure), fold("corpus-b", "b", modest)]
    larger = [fold("corpus-a", "a", sure * 5), fold("corpus-b", "b", modest)]
    one, two = (answers.measure(f)[1].calibration for f in (folds, larger))
    assert one.temperature == pytest.approx(two.temperature, rel=0.05)
    better = [
        replace(f, tables=f.tables | {"8": np.array([answer(str(t)) for t in f.truth])})
        for f in folds
    ]
    found = answers.measure(better)[1]
    assert found.calibration == one
    assert found.baseline_calibration is not None
    assert found.baseline_calibration.temperature < found.calibration.temperature
    assert found.calibration.fitted_on


def test_every_fold_leaves_other_speakers_or_a_corpus_out() -> None:
    folds = dict(protocols.plan(["emodb", "casia", "mine"]))
    assert list(folds) == [
        *(f"speakers-{i}" for i in range(8)),
        *("corpus-emodb", "corpus-casia", "corpus-mine"),
    ]
    for name, options in folds.items():
        args = _parse(["prepare", *options], "prepare")[1]
        kind, _, which = name.partition("-")
        if kind == "speakers":
            assert args.folds == {"emodb": 8, "casia": 3, "mine": 5}
            assert args.fold == int(which)
        else:
            assert args.test_corpus == [which]
    assert not any(name.startswith("corpus") for name in dict(protocols.plan(["emodb"])))


# --- folds on disk


def write_data(folder: Path, per_class: int = 12) -> Path:
    prepared.write(folder, frames=False, per_class=per_class)
    prepared.resplit(folder, {"test-4": "train"})
    return folder


def write_fold(
    place: Path, right: int = 100, temperature: float = 1.0, per_class: int = 12
) -> None:
    """A judged fold whose model gives 0.8 to the true class of the first `right` clips."""
    if not (place / "data").exists():
        write_data(place / "data", per_class)
    classes, rows = tiny.CLASSES, []
    for i, clip in enumerate(reversed(load_prepared(place / "data").split("test"))):
        said = clip.label if i < right else classes[(classes.index(clip.label) + 1) % 5]
        given = {c: 0.8 if c == said else 0.05 for c in classes}
        surer = {c: 0.96 if c == said else 0.01 for c in classes}
        rows.append(
            {
                **{"id": clip.id, "label": clip.label, "speaker": clip.speaker},
                **{"probabilities": given, "distance": 1 + i % 7 / 10},
                "baselines": {"3": given, "8": surer, "all": surer},
            }
        )
    manifest = Manifest(
        name="m",
        encoder=EncoderRef("tiny", tiny.WIDTH),
        projector=ProjectorConfig(tiny.WIDTH, 32, pooling="utterance", baseline=True),
        labels=classes,
        calibration=Calibration(temperature=temperature),
    )
    (place / "model").mkdir(parents=True)
    (place / "model" / MANIFEST_NAME).write_text(to_json(manifest))
    probe.write(tiny.probe(), place / "model" / PROBE_NAME)
    (place / "evaluate").mkdir()
    (place / "evaluate" / "result.json").write_text(json.dumps({"clips": rows}))


def test_a_fold_is_read_in_the_order_of_its_answers(tmp_path: Path) -> None:
    write_fold(tmp_path, right=3)
    data = load_prepared(tmp_path / "data")
    found = Fold.read(tmp_path, "speakers-0")
    order = list(reversed(data.split("test")))
    assert found.truth.tolist() == [clip.label for clip in order]
    assert found.speakers.tolist() == ["test-5"] * len(order)
    assert set(found.corpus) == {"test"} and found.trained == tiny.CLASSES
    np.testing.assert_allclose(found.distances, 1 + np.arange(len(order)) % 7 / 10)
    assert list(found.tables) == list(MODES)
    assert found.tables["0"].max(1).tolist() == [0.8] * len(order)
    assert found.tables["8"].max(1).tolist() == [0.96] * len(order)
    features = np.stack([data.store.get(clip.id).utterance for clip in order])
    np.testing.assert_allclose(found.tables["probe"], tiny.probe().probabilities(features))


def test_a_left_out_corpus_has_probes_on_differences_too(tmp_path: Path) -> None:
    write_fold(tmp_path, per_class=36)
    table = tmp_path / "data" / "clips.jsonl"
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    lone = next(row for row in rows if row["split"] == "test")
    lone["speaker"] = "test-alone"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = Fold.read(tmp_path, "corpus-test")
    assert found.protocol == "new corpora"
    place = [r["id"] for r in reversed([r for r in rows if r["split"] == "test"])].index(lone["id"])
    for name in ("probe, 8", "probe, all"):
        compared = found.tables[name]
        np.testing.assert_allclose(compared.sum(1), 1)
        answered = np.array(found.classes)[compared.argmax(1)]
        assert np.mean(answered == found.truth) > 0.6  # the data can be told apart
        # nobody to compare with: the plain probe's answer
        np.testing.assert_array_equal(compared[place], found.tables["probe"][place])


@pytest.mark.parametrize("mistake", ["calibrated", "validated"])
def test_a_fold_that_was_validated_or_calibrated_is_refused(tmp_path: Path, mistake: str) -> None:
    write_fold(tmp_path, temperature=1.5 if mistake == "calibrated" else 1.0)
    if mistake == "validated":
        prepared.resplit(tmp_path / "data", {"test-4": "valid"})
    with pytest.raises(DataError, match="give another --out"):
        Fold.read(tmp_path, "speakers-0")


def walked(steps: Iterable[recipe.Step], *_: bool) -> None:
    """In place of hours: folders and answers as the commands would leave them."""
    for step in steps:
        if step.words[1] == "prepare" and not step.result.exists():
            write_data(step.result.parent)
        elif step.words[1] == "evaluate" and not step.result.exists():
            write_fold(step.result.parent.parent, right=6)


def test_the_command_writes_figures_and_calibrations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recipe, "run_steps", walked)
    monkeypatch.setattr(protocols, "FOLDS", {"emodb": 3})
    words = ["--corpora", "emodb", "--out", str(tmp_path), "--result", str(tmp_path / "r.json")]

    def call(*more: str) -> int:
        return protocols.command("x", "", protocols.configure, protocols.run, [*words, *more])

    assert call("--only", "speakers-1") == 0
    assert not (tmp_path / "r.json").exists()
    assert not (tmp_path / "speakers-0").exists()
    assert call() == 0
    said = capsys.readouterr().out
    result: dict[str, Any] = json.loads((tmp_path / "r.json").read_text())
    corpus = result["protocols"]["new speakers"]["corpora"]["test"]
    assert corpus["folds"] == 3 and corpus["systems"]["0"]["n"] == 30
    assert corpus["systems"]["0"]["wa"]["value"] == pytest.approx(0.6)
    assert f"{corpus['systems']['0']['ua']['value']:.2f}" in said
    assert result["run"]["recipe"]["STAGE_1"] == recipe.STAGE_1
    assert result["run"]["command"] and result["run"]["versions"]["torch"]
    found = read_json(Calibrations, tmp_path / "calibration.json")
    assert found.calibration.fitted_on and found.baseline_calibration is not None
    assert found.baseline_calibration.temperature > found.calibration.temperature  # surer, as right
    # the page of figures can show it
    for name in quality.tables("protocols"):
        table = quality.markdown(quality.TABLES[name](result))
        assert ("tiny, baseline of 8 clips" in table) == (
            name not in ("protocols-corpora", "protocols-emobox", "protocols-summary-zh")
        )


def test_folds_of_a_large_llm_have_both_stages_and_the_probe_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def scored(run: Path, data: Prepared, split: str) -> np.ndarray:
        """Stage 1 is right about every clip."""
        truth = [data.classes.index(c.label) for c in data.split(split)]
        return np.log(np.eye(len(data.classes))[truth] + 0.01)

    def once(steps: Iterable[recipe.Step], *_: bool) -> None:
        walked(steps)
        for place in tmp_path.glob("*/evaluate/result.json"):
            (place.parents[1] / "stage1").mkdir(exist_ok=True)
            content = json.loads(place.read_text())
            for row in content["clips"]:
                row.pop("baselines", None)
            place.write_text(json.dumps(content))
            manifest = place.parents[1] / "model" / MANIFEST_NAME
            manifest.write_text(
                manifest.read_text().replace('"baseline": true', '"baseline": false')
            )

    monkeypatch.setattr(recipe, "run_steps", once)
    monkeypatch.setattr(merge, "score_run", scored)
    words = ["--corpora", "emodb", "--work", str(tmp_path), "--folds", "speakers-0", "speakers-2"]
    assert protocols.command("real", "", real.configure, real.run, words) == 0
    result = json.loads((tmp_path / "folds.json").read_text())
    found = result["protocols"]["new speakers"]
    assert result["folds"] == ["speakers-0", "speakers-2"]
    assert set(found["mean"]) == {"0", "stage 1", "probe"} and found["mean"]["stage 1"] == 1.0
    assert found["calibration"]["probe"]["nll"] > 0
    assert "Qwen2.5 after stage 1" in capsys.readouterr().out
    assert protocols.command("real", "", real.configure, real.run, [*words[:-1], "speakers-9"]) == 1
    assert "speakers-9" in capsys.readouterr().err
