"""`python -m train robustness` for real: a tiny model, a few voices, every condition."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiollm import metrics
from audiollm.contracts.options import from_dict
from audiollm.errors import DataError
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from audiollm.texts import text
from tests import prepared as without_sound
from tests import tiny
from tests.conftest import RATE, voiced
from tests.test_corpora import write_original
from train import __main__ as command
from train.corpora import Clip, read
from train.corpora.reopen import opener
from train.data.conditions import CONDITIONS
from train.data.dataset import load_prepared
from train.evaluate import robustness

LABELS = ("angry", "happy", "surprised")  # the last is unknown to the tiny model


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model, and four speakers of three classes heard by its encoder; half of them to test."""
    folder = tmp_path_factory.mktemp("robustness")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOLLM_HOME", str(folder / "home"))
        patch.setenv("AUDIOLLM_DEVICE", "cpu")
        tiny.model_folder(folder, Settings(home=folder, device="cpu"))
        rows = ["file,label,speaker,split"]
        for speaker, side in enumerate(("train", "valid", "test", "test")):
            for number, label in enumerate(LABELS):
                name = f"{label}{speaker}.wav"
                samples = voiced(0.8, 100 + 15 * speaker + 4 * number, seed=speaker)
                soundfile.write(folder / name, samples, RATE)
                rows.append(f"{name},{label},{speaker},{side}")
        (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
        words = ["prepare", "--corpus", "manifest", "--root", folder, "--out", folder / "data"]
        words += ["--encoder", folder / "encoder", "--workers", "1"]
        assert command.main([str(w) for w in words]) == 0
        yield folder


def call(place: Path, *words: str) -> int:
    arguments = ["--model", place / "model", "--data", place / "data", *words]
    return command.main(["robustness", *map(str, arguments)])


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


def test_every_condition_is_measured_on_the_same_clips(place: Path, capsys: Any) -> None:
    out = place / "out"
    assert call(place, "--out", str(out)) == 0
    found, shown = result(out), capsys.readouterr().out
    assert list(found["conditions"]) == list(CONDITIONS)
    assert set(found["change"]) == set(CONDITIONS) - {"clean"}
    assert {(c["label"], c["speaker"][-2:]) for c in found["clips"]} == {
        (label, speaker) for label in LABELS[:2] for speaker in ("-2", "-3")
    }
    for name, figures in found["conditions"].items():
        measured = from_dict(metrics.Metrics, figures)
        assert (measured.n, measured.failures, measured.speakers) == (4, 0, 2)
        assert measured.ece is not None
        assert name in shown
        hits = [c["answers"][name]["predicted"] == c["label"] for c in found["clips"]]
        assert measured.wa.value == pytest.approx(sum(hits) / 4)
        if name != "clean":
            moved = measured.ua.value - found["conditions"]["clean"]["ua"]["value"]
            assert found["change"][name]["value"] == pytest.approx(moved)
        recalls = [
            np.mean(
                [
                    c["answers"][name]["probe"] == label
                    for c in found["clips"]
                    if c["label"] == label
                ]
            )
            for label in LABELS[:2]
        ]
        assert found["probe"][name]["ua"]["value"] == pytest.approx(np.mean(recalls))
    assert found["probe"]["clean"]["change"] is None and found["probe"]["telephone"]["change"]
    assert "Left out: 2 clips of surprised" in shown
    assert text("note_voices_may_be_known", "en") in shown
    assert found["model"]["name"] == "test" and len(found["model"]["hash"]) == 64
    assert found["data"]["split"] == "test" and len(found["data"]["speakers"]) == 2
    assert {"command", "date", "versions", "device", "precision"} <= set(found["run"])
    assert found["lost"] == []


@pytest.mark.slow
def test_the_answers_are_those_of_the_predictor_and_the_same_again(place: Path) -> None:
    for name in ("once", "again"):
        assert call(place, "--out", str(place / name)) == 0
    once, again = result(place / "once"), result(place / "again")
    assert once["clips"] == again["clips"]
    assert once["conditions"] == again["conditions"]
    engine = Predictor.load(str(place / "model"), Settings(home=place, device="cpu"))
    for clip in once["clips"]:
        ((_, answer),) = engine.predict_files([Path(clip["path"])])
        assert not isinstance(answer, Exception)
        told = clip["answers"]["clean"]["probabilities"]
        assert told == pytest.approx(answer.probabilities, abs=1e-6)
        heard = {tuple(a["probabilities"].values()) for a in clip["answers"].values()}
        assert len(heard) > 3  # the conditions do reach the model


def test_sounds_that_are_gone_or_changed_are_named(place: Path, capsys: Any) -> None:
    gone, changed = place / "angry2.wav", place / "happy3.wav"
    before = {path: path.read_bytes() for path in (gone, changed)}
    try:
        gone.unlink()
        soundfile.write(changed, voiced(0.8, 300), RATE)
        assert call(place, "--out", str(place / "fewer")) == 0
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    found, shown = result(place / "fewer"), capsys.readouterr().out
    assert {Path(lost["path"]).name: lost["reason"] for lost in found["lost"]} == {
        "angry2.wav": "angry2.wav does not exist: check the path.",
        "happy3.wav": "happy3.wav was changed: prepare it again.",
    }
    assert all(m["n"] == 2 for m in found["conditions"].values())
    assert found["notes"][0]["code"] == "note_no_audio"
    assert found["notes"][0]["values"] == {"n": 2, "all": 4}
    assert f"Lost: {gone}: angry2.wav does not exist" in shown


def test_a_sound_without_an_answer_counts_as_wrong(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(CONDITIONS, "quiet, -20 dB", lambda samples, _: 0 * samples)
    assert call(place, "--out", str(place / "silent"), "--max-clips", "2") == 0
    found = result(place / "silent")
    silent = found["conditions"]["quiet, -20 dB"]
    assert (silent["n"], silent["failures"], silent["ua"]["value"]) == (2, 2, 0.0)
    assert silent["ece"] is None
    for clip in found["clips"]:
        answer = clip["answers"]["quiet, -20 dB"]
        assert answer["predicted"] is None and "silent" in answer["error"]
    assert "A trial: 2 of 4 clips were scored." in capsys.readouterr().out


def test_refusals(place: Path, tmp_path: Path, capsys: Any) -> None:
    def refused(*words: str) -> str:
        assert call(place, *words, "--out", str(tmp_path / "x")) == 2
        error: str = capsys.readouterr().err.split("sound/s]")[-1].strip()
        assert "\n" not in error
        assert not (tmp_path / "x").exists()
        return error

    features = write_original(tmp_path / "o", {s: ["happy", "sad"] * 4 for s in ("train", "valid")})
    words = ["prepare", "--corpus", "original", "--root", features, "--out", tmp_path / "features"]
    assert command.main([str(w) for w in words]) == 0
    capsys.readouterr()
    assert "ready-made features and no sound" in refused("--data", str(tmp_path / "features"))
    without_sound.write(tmp_path / "soundless")
    gone = refused("--data", str(tmp_path / "soundless"))
    assert gone.startswith("None of 10 sounds can be opened, the first: angry5.wav does not exist")
    assert "--max-clips must be 1 or more" in refused("--max-clips", "0")


def test_rows_of_a_data_set_are_opened_through_their_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    table = datasets.Dataset.from_dict(
        {"audio": [{"bytes": b"one", "path": "a.wav"}], "label": ["angry"]}
    )
    table.save_to_disk(tmp_path / "saved")
    info = {
        "corpus": "saved",
        "sources": [{"corpus": "datasets", "root": str(tmp_path / "saved")}],
    }
    (clip,) = read("datasets", tmp_path / "saved").clips
    assert opener(info)(clip) == b"one"
    info["sources"] = [{"corpus": "datasets", "root": str(tmp_path / "moved")}]
    monkeypatch.setattr(datasets, "load_dataset", lambda _: 1 / 0)  # never ask a hub in a test
    with pytest.raises(DataError, match="could not be loaded"):
        opener(info)(clip)


def test_files_need_no_record_of_their_corpus(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"sound")
    assert opener({"corpus": "old"})(Clip(str(path), "sad")) == path
    gone = tmp_path / "gone.wav"
    assert opener({"corpus": "old"})(Clip(str(gone), "sad")) == gone


def rows(before: list[int], after: list[int], truth: list[str], speakers: list[str]) -> list[Any]:
    """Clips that were answered right (1) or not at all (0) when clean and when degraded."""

    def answers(hit: int, label: str) -> dict[str, Any]:
        return {"predicted": label if hit else None}

    return [
        {"id": str(i), "label": t, "speaker": s}
        | {"answers": {"clean": answers(b, t), "room": answers(a, t)}}
        for i, (b, a, t, s) in enumerate(zip(before, after, truth, speakers, strict=True))
    ]


def test_the_change_is_paired() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(["angry", "sad"], 400, p=[0.8, 0.2]).tolist()
    speakers = [str(i % 8) for i in range(400)]
    before = (rng.random(400) < 0.6).astype(int)
    same = robustness.changes(rows(list(before), list(before), truth, [""] * 400))["room"]
    assert (same.value, same.low, same.high) == (0, 0, 0)
    after = np.where(rng.random(400) < 0.1, 0, before)
    for unit in ("speakers", "clips"):
        named = speakers if unit == "speakers" else [""] * 400
        found = robustness.changes(rows(list(before), list(after), truth, named))["room"]
        lost = before - after
        classes = [lost[np.array(truth) == name].mean() for name in ("angry", "sad")]
        assert found.value == pytest.approx(-np.mean(classes))
        assert found.low < found.value < found.high < 0
        assert found.unit == unit
        if unit == "clips":  # far narrower than the interval of UA itself
            answered = [t if hit else None for t, hit in zip(truth, before, strict=True)]
            whole = metrics.report(truth, answered, None, ("angry", "sad")).ua
            assert found.high - found.low < 0.9 * (whole.high - whole.low)


def test_voices_that_were_trained_on_are_named(place: Path) -> None:
    engine = Predictor.load(str(place / "model"), Settings(home=place, device="cpu"))
    engine.manifest.training.update({"speakers": {"train": ["a", "b"]}, "speakers_known": True})
    (note,) = robustness._voice_notes(engine, {"b", "c"})
    assert (note.code, note.values["speakers"]) == ("note_seen_model", ["b"])
    assert robustness._voice_notes(engine, {"c"}) == []
    assert robustness._voice_notes(engine, {"c", ""})[0].code == "note_voices_may_be_known"


def test_another_split_and_what_its_table_says(place: Path) -> None:
    engine = Predictor.load(str(place / "model"), Settings(home=place, device="cpu"))
    found = robustness.measure(engine, load_prepared(place / "data"), "train")
    shown = robustness.table(found)
    for note in found["notes"]:
        assert f"Note: {note['text']}" in shown
    head = shown.splitlines()[0]
    assert head.startswith("test on") and "train: 2 clips, 1 speakers" in head
