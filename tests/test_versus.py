"""A new model against the one in use: asked about the same clips, shown, and heeded by Promote."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audiollm.contracts.comparison import COMPARED, PARTS, VERSUS, Change, change
from audiollm.contracts.manifest import MANIFEST_NAME, Manifest
from audiollm.contracts.messages import Message
from audiollm.contracts.options import read_json, to_json
from audiollm.errors import DataError
from audiollm.labels import LANGUAGES
from audiollm.model import registry
from audiollm.settings import Settings
from audiollm.texts import TEXTS, text
from audiollm.web.services import Services
from audiollm.web.train import actions, activation, results_view, view
from audiollm.web.train.activation import WorseError
from audiollm.web.train.plan import Plan
from tests import tiny
from tests.browser.fake import Card, FakePredictor
from tests.codes import coded
from tests.test_prepare import LABELS, voice
from tests.test_training import job
from train.__main__ import main
from train.data.dataset import load_prepared
from train.evaluate.compare import with_active


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two speakers to be tested on, and a model that has learned from the second."""
    folder = tmp_path_factory.mktemp("versus")
    rows = ["file,label,speaker,split"]
    for speaker in range(4):
        for number, label in enumerate(LABELS):
            path = folder / "voices" / f"{label}{speaker}.wav"
            voice(path, 110 + 30 * speaker + 9 * number, seed=10 * speaker + number)
            rows.append(f"{path.name},{label},{speaker},{'test' if speaker > 1 else 'train'}")
    table = folder / "voices" / "manifest.csv"
    table.write_text("\n".join(rows) + "\n")
    model = tiny.model_folder(folder, Settings(home=folder / "home", device="cpu"))
    words = f"prepare --corpus manifest --root {table} --encoder {folder}/encoder --workers 1"
    assert main([*words.split(), "--out", str(folder / "data")]) == 0
    taught(model, training_speaker(folder))
    return folder


def training_speaker(folder: Path) -> str:
    """The last of those who are tested."""
    return sorted({c.speaker for c in load_prepared(folder / "data").split("test")})[-1]


def taught(model: Path, *speakers: str, **more: Any) -> None:
    """The model's manifest says that it has learned from them."""
    manifest = read_json(Manifest, model / MANIFEST_NAME)
    manifest = replace(manifest, training={"speakers": {"train": list(speakers)}}, **more)
    (model / MANIFEST_NAME).write_text(to_json(manifest))


def evaluation(folder: Path, path: Path, right: bool = True) -> Path:
    """What `evaluate` would write of a model that is always right, or always wrong."""
    prepared = load_prepared(folder / "data")
    rows = []
    for clip in prepared.split("test"):
        other = next(name for name in tiny.CLASSES if name != clip.label)
        said = clip.label if right else other
        shares = {name: 0.8 if name == said else 0.05 for name in tiny.CLASSES}
        about = {"id": clip.id, "path": clip.path, "label": clip.label, "predicted": said}
        rows.append({**about, "probabilities": shares, "speaker": clip.speaker, "seconds": 1.0})
    path.parent.mkdir(parents=True, exist_ok=True)
    model = {"name": "new", "folder": str(folder / "models" / "new"), "hash": "x"}
    path.write_text(json.dumps({"model": model, "data": {}, "metrics": {}, "clips": rows}))
    return path


def test_both_are_judged_on_the_same_clips_and_known_voices_apart(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    told = evaluation(place, tmp_path / "result.json")
    words = f"compare --before {place}/model --answers {told} --data {place}/data"
    assert main(words.split()) == 0
    assert "training speakers of the active model" in capsys.readouterr().out
    found = json.loads((tmp_path / VERSUS).read_text())
    half = len(LABELS)
    assert (found["held_out"]["clips"], found["seen"]["clips"]) == (half, half)
    assert found["seen"]["speakers"] == [training_speaker(place)]
    assert found["models"]["before"]["folder"] == str(place / "model")
    for part in ("held_out", "seen"):
        ua = found[part]["ua"]
        assert ua["after"]["value"] == 1 and 0 <= ua["before"]["value"] < 1
        assert ua["change"]["value"] == pytest.approx(1 - ua["before"]["value"])
        assert ua["change"]["low"] <= ua["change"]["value"] <= ua["change"]["high"]
    headline = change(found)
    assert headline is not None and headline.fair and headline.clips == half
    assert found["notes"] == []  # who was heard is judged apart, and nothing else is to be said


def test_another_encoder_hears_the_sounds_itself(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data are made to be of another encoder, and the answers are the same."""
    told = evaluation(place, tmp_path / "result.json")
    settings = Settings(home=place / "home", device="cpu")
    prepared = load_prepared(place / "data")
    same = with_active(str(place / "model"), told, prepared, settings)
    monkeypatch.setattr("train.evaluate.evaluate.check_encoder", _strange)
    heard = with_active(str(place / "model"), told, prepared, settings)
    assert heard["held_out"] is not None and same["held_out"] is not None
    assert heard["held_out"]["ua"] == same["held_out"]["ua"]
    assert heard["notes"] == same["notes"]


def _strange(*_: Any) -> None:
    raise DataError("another encoder")


def test_a_comparison_that_cannot_be_made_says_why(place: Path, tmp_path: Path) -> None:
    told = evaluation(place, tmp_path / "result.json")
    settings = Settings(home=place / "home", device="cpu")
    prepared = load_prepared(place / "data")
    gone = with_active(str(tmp_path / "gone"), told, prepared, settings)
    assert gone["held_out"] is None and gone["seen"] is None
    assert gone["notes"][0]["code"] == "note_not_compared"
    assert change(gone) is None
    for language in LANGUAGES:
        assert text("comparison_nothing", language) in results_view.with_active(gone, language)
    other = json.loads(told.read_text())
    other["clips"][0]["id"] = "x"
    told.write_text(json.dumps(other))
    with pytest.raises(DataError, check=coded("evaluate_other_clips")):
        with_active("tiny", told, prepared, settings)
    told.write_text("{")
    with pytest.raises(DataError, check=coded("data_no_result")):
        with_active("tiny", told, prepared, settings)


def test_only_classes_that_both_know_are_judged(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = evaluation(place, tmp_path / "result.json")
    found = json.loads(told.read_text())
    for row in found["clips"]:
        shares = {k: v for k, v in row["probabilities"].items() if k != "fearful"}
        row["probabilities"] = {**shares, "bored": 0.05}
    told.write_text(json.dumps(found))
    settings = Settings(home=place / "home", device="cpu")
    result = with_active(str(place / "model"), told, load_prepared(place / "data"), settings)
    assert result["held_out"] is not None
    assert {one["name"] for one in result["held_out"]["per_class"]} <= set(tiny.CLASSES)
    codes = {note["code"]: note["values"] for note in result["notes"]}
    assert codes["note_both_know"] == {"n": 4}


# --- on the page


def comparison(new: str, old: str, by: float, part: str = "held_out") -> dict[str, Any]:
    """A comparison in which the new model is better by so much."""

    def interval(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.04, "high": value + 0.04}

    figures = {"before": interval(0.6), "after": interval(0.6 + by), "change": interval(by)}
    one = {"name": "sad", "support": 3, "before": 0.5, "after": 0.5, "change": interval(0)}
    flip = {"path": "/a/<x>.wav", "label": "sad", "before": "", "after": "sad"}
    judged = {"clips": 80, "speakers": ["a", "b"], "ua": figures, "wa": figures}
    judged |= {"per_class": [one], "flipped": [flip]}
    models = {"before": {"name": "<old>", "folder": old}, "after": {"name": "n", "folder": new}}
    notes = ["It is <so>.", Message.of("note_seen_encoder", speakers=["a<b"]).to_dict()]
    empty = {"held_out": None, "seen": None, "notes": notes}
    return {"models": models, **empty, part: judged}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("by", "key"), [(0.2, "better"), (-0.2, "worse"), (-0.01, "level")])
def test_a_comparison_is_told(part: str, by: float, key: str) -> None:
    found = comparison("n", "o", by, part)
    headline = change(found)
    assert headline is not None and headline.fair == (part == "held_out")
    for language in LANGUAGES:
        shown = results_view.with_active(found, language)
        assert results_view.verdict(headline, language) in shown
        assert TEXTS[f"comparison_{key}"][language].split("{")[0] in shown
        assert text("note_seen_encoder", language, speakers="a&lt;b") in shown
        assert "&lt;old&gt;" in shown and "<x>" not in shown and "<so>" not in shown
        told = {"clips": 80, "speakers": 2, "name": "&lt;old&gt;"}
        assert text(f"comparison_{part}", language, **told) in shown
    assert results_view.with_active({"models": {}}, "en") == ""


def test_a_job_that_is_done_shows_its_comparison(tmp_path: Path) -> None:
    steps = tuple(Plan("mine", compared_with="tiny").steps_in(tmp_path))
    done = job("done", name="mine", steps=steps, step=6, share=1.0)
    assert view.comparison_of(done, VERSUS) is None
    steps[-1].result.parent.mkdir(parents=True)
    steps[-1].result.write_text(json.dumps(comparison("n", "o", 0.1)))
    found = view.comparison_of(done, VERSUS)
    assert found is not None and change(found) is not None
    steps[-1].result.write_text("[")
    assert view.comparison_of(done, VERSUS) is None
    assert view.step(job(steps=steps, step=6), "en").endswith(text("step_versus", "en"))


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """`new` could answer; by its own figures it is worse than the one that does."""
    place = tmp_path / "home" / "models" / "new"
    low = {"ua": {"value": 0.3, "low": 0.2, "high": 0.4}}
    entry = registry.Entry(str(place), "new", 1, low)
    monkeypatch.setattr(registry, "entries", lambda _: [entry])
    card = Card(folder=str(tmp_path / "in use"))
    settings = Settings(home=tmp_path / "home")
    made = FakePredictor(card=card)
    found = Services.start(settings, load=lambda: made, examples=tmp_path)  # type: ignore
    found.predictor()
    monkeypatch.setattr(found, "switch", lambda id: setattr(found, "using", id))
    monkeypatch.setattr(registry, "id_of", str)
    return found


@pytest.mark.parametrize("where", [("new-evaluate", VERSUS), ("new-improve", COMPARED)])
def test_promote_heeds_the_same_clips_before_two_test_sets(
    gate: Services, tmp_path: Path, where: tuple[str, str]
) -> None:
    new, old = str(tmp_path / "home" / "models" / "new"), str(tmp_path / "in use")
    path = tmp_path / "home" / "runs" / where[0] / where[1]
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(comparison(new, str(tmp_path / "another"), 0.1)))
    with pytest.raises(WorseError) as refused:  # that was another model: their own figures count
        activation.activate(gate, new)
    assert refused.value.codes == ("promote_worse",)
    path.write_text(json.dumps(comparison(new, old, -0.02, "seen")))
    with pytest.raises(WorseError) as refused:
        activation.activate(gate, new)
    assert refused.value.codes == ("promote_worse_same", "promote_chance", "promote_unfair")
    for language in LANGUAGES:
        said = view.explained(refused.value, language)
        assert "80" in said
        for key in ("promote_chance", "promote_unfair", "promote_again"):
            assert text(key, language) in said
        assert "0.58" in said and "-0.06" in said
    path.write_text(json.dumps(comparison(new, old, 0.1)))
    assert activation.activate(gate, new) == "new"  # though its own figures are lower


def test_a_change_knows_whether_it_may_be_chance() -> None:
    assert Change(0.5, 0.6, 0.1, -0.01, 0.2, 9, fair=True).chance
    assert not Change(0.5, 0.6, 0.1, 0.01, 0.2, 9, fair=True).chance


def test_the_model_in_use_is_the_rival(gate: Services) -> None:
    gate.active = "tiny"
    assert actions.with_comparison(gate, Plan("x")).compared_with == "tiny"
    assert actions.with_comparison(gate, Plan("x", compared_with="other")).compared_with == "other"
    gate.active = ""
    assert actions.with_comparison(gate, Plan("x")).compared_with == ""
