"""People's labels go into the data, are taught, and what came of it is measured."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.contracts.messages import Message, write_refusal
from audiollm.contracts.options import to_json
from audiollm.errors import DataError
from audiollm.labelling.tasks import Label, Outcome, Task
from audiollm.model import checkpoint
from audiollm.settings import Settings
from audiollm.texts import text
from tests import tiny
from tests.refusals import refused
from tests.test_prepare import LABELS, voice
from train.__main__ import main
from train.data.dataset import Prepared, load_prepared
from train.evaluate import compare
from train.labels import relabel
from train.labels.resolve import TEST_SPEAKER, resolve

CLASSES = ("angry", "happy", "neutral", "sad")


def _outcome(*names: str, decision: str = "") -> Outcome:
    task = Task("id", "/a.wav", 1.0, "test", "plain", original="sad")
    said = tuple(Label("id", f"p{i}", name) for i, name in enumerate(names))
    return Outcome(
        task, said, Label("id", "chief", decision, kind="decision") if decision else None
    )


@pytest.mark.parametrize(
    ("outcome", "label", "votes"),
    [
        (_outcome("happy"), "happy", {"happy": 1.0}),
        (_outcome("happy", "happy", "sad", "unclear"), "happy", {"happy": 0.5, "sad": 0.25}),
        (_outcome("happy", "sad", decision="sad"), "sad", {"sad": 1.0}),
        (_outcome("happy", "happy", "surprised"), "happy", {"happy": 2 / 3}),
    ],
)
def test_votes_follow_what_people_said(
    outcome: Outcome, label: str, votes: dict[str, float]
) -> None:
    (found,), left = resolve([outcome], CLASSES)
    assert (found.label, found.votes, left) == (label, pytest.approx(votes), {})


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (_outcome(), "unlabelled"),
        (_outcome("unclear"), "no_class"),
        (_outcome("happy", decision="not_speech"), "no_class"),
        (_outcome("surprised"), "unknown_class"),
        (_outcome("surprised", "surprised", "sad"), "unknown_class"),
        (_outcome("happy", "sad"), "tie"),
    ],
)
def test_what_cannot_be_taught_is_counted(outcome: Outcome, why: str) -> None:
    assert resolve([outcome], CLASSES) == ([], {why: 1})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four speakers, of whom the last is tested, and a model that has heard the others."""
    folder = tmp_path_factory.mktemp("relabel")
    rows = ["file,label,speaker,split"]
    for speaker in range(4):
        for number, label in enumerate(LABELS):
            path = folder / "voices" / f"{label}{speaker}.wav"
            voice(path, 110 + 30 * speaker + 9 * number, seed=10 * speaker + number)
            rows.append(f"{path.name},{label},{speaker},{'test' if speaker == 3 else 'train'}")
    voice(folder / "voices" / "new.wav", 200, seed=99)
    table = folder / "voices" / "manifest.csv"
    table.write_text("\n".join(rows) + "\n")
    model = tiny.model_folder(folder, Settings(home=folder / "home", device="cpu"))
    words = f"prepare --corpus manifest --root {table} --encoder {folder}/encoder --workers 1"
    assert main([*words.split(), "--no-frames", "--out", str(folder / "data")]) == 0
    prepared = load_prepared(folder / "data")
    speakers = {s: sorted({c.speaker for c in prepared.split(s)}) for s in ("train", "test")}
    manifest = checkpoint.read_manifest(model)
    projector = replace(manifest.projector, pooling="utterance")
    loaded = checkpoint.load(str(model), Settings(home=folder / "home", device="cpu"))
    changed = tiny.audio_llm(seed=3, functionals=projector.functionals, pooling="utterance")
    changed.llm = loaded.model.llm
    manifest = replace(
        manifest, projector=changed.projector.config, training={"speakers": speakers}
    )
    checkpoint.save(model, changed, loaded.tokenizer, manifest, "float32")
    return folder


def _write(place: Path, *rows: tuple[str, str, str]) -> Path:
    """(file, person, label) as an export has them."""
    path = place / "labels.jsonl"
    path.write_text(
        "".join(
            json.dumps({"file": f"voices/{file}", "person": person, "label": label}) + "\n"
            for file, person, label in rows
        )
    )
    return path


def _relabel(place: Path, out: Path, labels: Path) -> Prepared:
    words = f"relabel --labels {labels} --model {place}/model --data {place}/data --out {out}"
    assert main(words.split()) == 0
    return load_prepared(out / "data")


def test_from_labels_to_a_comparison(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    labels = _write(
        place,
        ("sad0.wav", "a", "angry"),
        ("sad0.wav", "b", "angry"),
        ("sad0.wav", "c", "sad"),
        ("happy1.wav", "a", "happy"),
        ("angry3.wav", "a", "happy"),  # of the speaker who is tested
        ("sad2.wav", "a", "unclear"),
        ("new.wav", "a", "neutral"),
    )
    data = _relabel(place, tmp_path, labels)
    clips = {Path(clip.path).name: clip for clip in data.clips}
    assert len(clips) == 13 and data.classes == tiny.CLASSES
    assert clips["sad0.wav"].label == "angry"
    assert clips["sad0.wav"].votes == pytest.approx({"angry": 4 / 3, "sad": 2 / 3}, abs=1e-5)
    assert clips["happy1.wav"].votes == {"happy": 2.0} and clips["sad2.wav"].votes is None
    assert (clips["angry3.wav"].label, clips["angry3.wav"].split) == ("angry", "test")
    assert (clips["new.wav"].label, clips["new.wav"].corpus) == ("neutral", relabel.CORPUS)
    assert data.store.get(clips["new.wav"].id).functionals is not None
    said = capsys.readouterr().out
    assert "3 labelled clips are used for training: 1 corrected, 1 confirmed, 1 new." in said
    assert text("left_test_speaker", "en", n=1) in said and text("left_no_class", "en", n=1) in said
    old = {Path(c.path).name: c.label for c in load_prepared(place / "data").clips}
    assert old["sad0.wav"] == "sad"  # the old folder is as it was

    fit = f"fit --stage 2 --data {tmp_path}/data --from {tmp_path}/start --out {tmp_path}/run"
    fit += " --max-steps 3 --learning-rate 0.01 --per-clip 1"
    assert main(fit.split()) == 0
    assert main(f"merge --run {tmp_path}/run --out {tmp_path}/model".split()) == 0
    words = f"compare --before {place}/model --after {tmp_path}/model --data {tmp_path}/data"
    assert main(words.split()) == 0
    result = json.loads((tmp_path / "compare.json").read_text())
    assert result["labels"] == {"corrected": 1, "confirmed": 1, "new": 1}
    assert result["corrected"]["clips"] == 2 and result["held_out"]["clips"] == 3
    assert result["held_out"]["speakers"] == [clips["angry3.wav"].speaker]
    assert "held-out speakers: 3" in capsys.readouterr().out
    trained = checkpoint.read_manifest(tmp_path / "model").training["speakers"]
    assert set(trained["train"]) >= {c.speaker for c in data.split("train")} - {""}


def test_a_model_s_own_test_speakers_are_not_taught(place: Path, tmp_path: Path) -> None:
    data = load_prepared(place / "data")
    manifest = checkpoint.read_manifest(place / "model")
    first = data.clips[0].speaker  # trains in these data
    manifest = replace(manifest, training={"speakers": {"test": [first]}})
    path = tmp_path / "model"
    path.mkdir()
    (path / MANIFEST_NAME).write_text(to_json(manifest))
    assert relabel.test_speakers(data, manifest) == {first, data.split("test")[0].speaker}
    task = Task(data.clips[0].id, data.clips[0].path, 1.0, "test", "plain")
    other = next(c for c in data.split("train") if c.speaker != first)
    taught = [
        *resolve([Outcome(task, (Label(task.id, "a", "happy"),))], tiny.CLASSES)[0],
        *resolve(
            [Outcome(replace(task, id=other.id), (Label(other.id, "a", "neutral"),))], tiny.CLASSES
        )[0],
    ]
    settings = Settings(home=tmp_path)
    record = relabel.relabel(data, manifest, taught, {}, tmp_path, 2.0, settings)
    assert [row["clip"] for row in record["labels"]] == [other.id]
    assert record["left"] == {TEST_SPEAKER: 1}
    made = load_prepared(tmp_path / "data")
    assert first in {c.speaker for c in made.split("test")}
    assert first not in {c.speaker for c in made.split("train")}
    file = tmp_path / "refusal.json"
    with pytest.raises(DataError) as nothing:
        relabel.relabel(data, manifest, taught[:1], {}, tmp_path / "b", 2.0, settings)
    write_refusal(nothing.value, file)  # as a job does, for a page in another language
    told = Message.refusal(file.read_text(encoding="utf-8"))
    assert told and told.code == "relabel_nothing"
    assert text("left_test_speaker", "zh", n=1) in told.in_language("zh")


def test_data_of_another_encoder_are_refused(place: Path, tmp_path: Path) -> None:
    data = load_prepared(place / "data")
    manifest = checkpoint.read_manifest(place / "model")
    strange = replace(manifest, encoder=replace(manifest.encoder, fingerprint="another"))
    with refused("relabel_other_encoder"):
        relabel.relabel(data, strange, [], {}, tmp_path, 2.0, Settings(home=tmp_path))


def test_only_data_of_relabel_can_be_compared_on(place: Path) -> None:
    with pytest.raises(DataError, match="train relabel"):
        compare.corrections(load_prepared(place / "data"))
