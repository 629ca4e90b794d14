"""Recordings to train on: looks, summaries, clips to listen to."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import plotly.graph_objects as go
import pytest

from audiollm.contracts.insight import Group, Insight, of_prepared
from audiollm.contracts.prepared import write_prepared
from audiollm.errors import AudioError, AudioLLMError, ConfigError, DataError
from audiollm.labels import LANGUAGES
from audiollm.texts import TEXTS, text
from audiollm.web.train import recordings, recordings_view, sources, unpacking
from audiollm.web.train.sources import EMODB, FOLDER, HUB, of_bundled, reader_of, source_of
from tests.codes import coded
from tests.conftest import RATE
from tests.test_unpacking import CLASSES, STRANGER, packed, serve, wav
from train import corpora
from train.corpora import Clip, Corpus, Rejected
from train.data.features import FeatureWriter
from train.data.look import look, sound_file
from train.data.summary import summarise


def chosen(source: str, folder: str = "", pattern: str = "", **more: Any) -> dict[str, Any]:
    """The values of the page's fields."""
    named = {"source": source, "folder": folder, "pattern": pattern}
    return {**named, "data_set": "", "alone": False, "all_learn": False, **more}


# --- which reader


def test_the_reader_is_known_by_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "plain" / "angry").mkdir(parents=True)
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "metadata.jsonl").touch()
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").touch()
    (tmp_path / "hub" / "data").mkdir(parents=True)
    (tmp_path / "hub" / "data" / "train.parquet").touch()
    (tmp_path / "list.CSV").touch()
    (tmp_path / "notes.txt").touch()
    kinds = {
        **{"plain": "folder", "table": "manifest", "saved": "datasets", "hub": "datasets"},
        **{"list.CSV": "manifest", "hub/data/train.parquet": "datasets", "notes.txt": ""},
        "nowhere": "",
    }
    assert {name: reader_of(tmp_path / name) for name in kinds} == kinds
    for name, kind in kinds.items():
        if kind:
            made = source_of(chosen(FOLDER, f" {tmp_path / name} ", "(x)", alone=True))
            assert made.words[:4] == ("--corpus", kind, "--root", str(tmp_path / name))
            assert ("--speaker-pattern=(x)" in made.words) == (kind == "folder")
    for bad in ("a\0b", str(tmp_path / "notes.txt")):
        with pytest.raises(ConfigError, check=coded("source_path")):
            source_of(chosen(FOLDER, bad))
    for nothing in (chosen(FOLDER, "  "), chosen(HUB, data_set=" ")):
        with pytest.raises(sources.UnnamedError):  # nothing is wrong yet
            source_of(nothing)
    for bad in ("name", "a/b/c", "-x/y", "../x", "a/.."):
        with pytest.raises(ConfigError, check=coded("hub_id")):
            source_of(chosen(HUB, data_set=bad))


def test_a_stray_file_of_parquet_hides_no_recordings(tmp_path: Path) -> None:
    for number in range(12):
        sound = tmp_path / ("angry", "sad")[number % 2] / f"{number}.wav"
        sound.parent.mkdir(exist_ok=True)
        sound.touch()
    (tmp_path / "features.parquet").touch()
    assert reader_of(tmp_path) == "folder"
    for number in range(3):
        (tmp_path / f"{number}.parquet").touch()
    assert reader_of(tmp_path) == "datasets"


# --- a look at what is not prepared


def corpus(tmp_path: Path, *, named: bool = True) -> Corpus:
    clips = []
    for i in range(12):
        path = tmp_path / f"{i}.wav"
        path.write_bytes(wav(0.5 + i / 10, seed=0 if i == 11 else i))
        speaker = f"x-{i % 6}" if named else ""
        clips.append(Clip(str(path), ("angry", "sad")[i % 2], speaker, corpus="x"))
    (tmp_path / "12.wav").write_bytes((tmp_path / "3.wav").read_bytes())
    clips.append(Clip(str(tmp_path / "12.wav"), "sad", "x-0" if named else "", corpus="x"))
    refused = tuple(Rejected.of(f"{i}.txt", "reject_no_class") for i in range(7))
    return Corpus("x", tuple(clips), refused)


def test_a_look_counts_and_tries_the_split(tmp_path: Path) -> None:
    found = look(corpus(tmp_path), tmp_path)
    assert Insight.from_json(found.to_json()) == found
    assert (found.clips, found.speakers(), found.nameless) == (13, 6, 0)
    assert found.classes == {"angry": 6, "sad": 7}
    assert set(found.splits) == {"train", "valid", "test"} and not found.trouble
    assert [(r.kind("en"), n) for r, n in found.rejected] == [("no class", 7)] and len(
        found.first
    ) == 5
    assert found.copies == 1 and found.shared == 0
    assert not found.estimated and len(found.seconds) == 13
    mean = sum(found.seconds) / 13
    assert found.minutes() == pytest.approx(13 * mean / 60)
    assert {clip.label for clip in found.samples} == {"angry", "sad"}
    assert all(clip.split for clip in found.samples)
    for language in LANGUAGES:
        shown = recordings_view.summary(found, language)
        assert text("data_planned", language) in shown
        assert text("data_copies", language, n=1) in shown
        kind = {"en": "no class", "zh": "没有类别"}[language]
        assert f"{kind} 7" in shown and "0.txt" in shown


def test_advice_is_not_what_was_chosen_already(tmp_path: Path) -> None:
    some = corpus(tmp_path, named=False)
    angry = replace(some, clips=tuple(c for c in some.clips if c.label == "angry"))
    found = look(angry, tmp_path, "random")
    assert found.trouble is not None and found.trouble.code == "data_one_class"
    with pytest.raises(DataError) as caught:
        sources.require_usable(found)
    assert caught.value.code == "data_trouble" and str(found.trouble) in str(caught.value)


def test_a_look_says_what_prepare_would_refuse(tmp_path: Path) -> None:
    found = look(corpus(tmp_path, named=False), tmp_path)
    assert found.splits == {} and found.nameless == 13
    assert found.trouble is not None and found.trouble.code == "data_unknown_speakers"
    with pytest.raises(sources.NamelessError) as refused:
        sources.require_usable(found)
    assert refused.value.values == {"n": 13, "all": 13}
    found = look(corpus(tmp_path, named=False), tmp_path, "random")
    assert found.splits and not found.trouble
    sources.require_usable(found)
    assert text("data_unknown", "en") in recordings_view.warnings(found, "en")


def test_a_folder_is_looked_at_in_a_process_of_its_own(tmp_path: Path) -> None:
    root = tmp_path / "clips"
    for name in ("angry/s1-a", "angry/s2-b", "sad/s1-c", "sad/s3-d"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.wav").write_bytes(wav(seed=len(name) + ord(name[-1])))
    here = serve(tmp_path)
    found = sources.of_recordings(here, source_of(chosen(FOLDER, str(root), r"(s\d)-")))
    assert (found.clips, found.speakers(), found.classes) == (4, 3, {"angry": 2, "sad": 2})
    choice = chosen(FOLDER, str(root), r"(s\d)-")
    shown = recordings.contents(here, choice, "en")
    assert isinstance(shown["classes"]["value"], go.Figure) and "<table>" in shown["data"]
    playing = recordings.playback(here, choice, "sad", "", "en")
    last, (rate, samples) = playing["last"], playing["sound"]["value"]
    assert rate == RATE and samples.dtype == np.int16 and len(samples) == RATE
    assert Path(last).parent == root / "sad" and Path(last).name in playing["about"]["value"]
    assert recordings.playback(here, choice, "sad", last, "en")["last"] != last
    with pytest.raises(DataError, check=coded("data_no_usable")):
        (tmp_path / "none").mkdir()
        sources.of_recordings(here, source_of(chosen(FOLDER, str(tmp_path / "none"))))


def test_a_look_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, calls = serve(tmp_path), []

    def run(*command: Any, **_: Any) -> Any:
        calls.append(command)
        if len(calls) == 1:
            raise subprocess.TimeoutExpired("look", 1)
        return subprocess.CompletedProcess("look", 1, b"", b"Traceback")

    monkeypatch.setattr(sources.subprocess, "run", run)
    for key in ("look_slow", "look_failed"):
        with pytest.raises(AudioLLMError) as failed:
            sources.of_recordings(here, sources.DataSource("folder", str(tmp_path)))
        assert failed.value.code == key


# --- the hub


def test_the_hub_is_asked_and_its_silence_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    here = serve(tmp_path)
    for bad in ("", "name", "https://huggingface.co/x/y"):
        with pytest.raises(AudioLLMError) as refused:
            sources.on_hub(here, bad)
        assert refused.value.code == "hub_id"

    def silent(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", silent)
    shown = recordings.contents(here, chosen(HUB, data_set="user/name"), "en")["data"]
    assert "hf download --repo-type dataset user/name" in shown
    card = huggingface_hub.DatasetCardData(
        dataset_info={"splits": [{"name": "train", "num_examples": 7}]}
    )
    siblings = [huggingface_hub.hf_api.RepoSibling(rfilename="a", size=3_000_000)]
    info = type("Info", (), {"siblings": siblings, "card_data": card})()
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: info)
    found = recordings.contents(here, chosen(HUB, data_set="user/name"), "en")
    assert "1 files, 3 MB" in found["data"] and "train: 7 recordings" in found["data"]
    assert found["classes"]["visible"] == "hidden"


# --- what is prepared


def prepared(folder: Path, rows: list[dict[str, Any]], refused: int = 0) -> Path:
    folder.mkdir(parents=True)
    (folder / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = {"path": "x/y.wav", "reason": "too short: <b>0.1 s"}
    (folder / "rejected.jsonl").write_text((json.dumps(said) + "\n") * refused)
    (folder / "prepare.json").write_text(json.dumps({"split": {"notes": ["<i>a trial"]}}))
    return folder


def row(i: int, label: str, side: str, **more: Any) -> dict[str, Any]:
    made = {"path": f"/x/{i}.wav", "label": label, "speaker": f"s{i % 3}", "split": side}
    return {**made, "id": f"{i:04d}", "seconds": 1.0 + i, **more}


def test_leaks_and_imbalance_are_seen_before_training(tmp_path: Path) -> None:
    rows = [row(i, "angry", "train") for i in range(9)]
    rows += [row(9, "sad", "train"), row(10, "angry", "test", id="0001", speaker="s1")]
    found = of_prepared(prepared(tmp_path / "data" / "one", rows, refused=8))
    assert (found.shared, found.twins, found.clips, len(found.first)) == (1, 1, 11, 5)
    assert found.minutes() == pytest.approx(sum(r["seconds"] for r in rows) / 60)
    assert found.minutes("sad") == pytest.approx(10 / 60) and found.speakers("sad") == 1
    for language in LANGUAGES:
        told = recordings_view.warnings(found, language)
        assert text("data_shared", language, n=1) in told
        assert text("data_twins", language, n=1) in told
        assert text("data_few", language) in told
        assert any("10" in line and "1" in line for line in told)  # 10 angry, 1 sad
        shown = recordings_view.summary(found, language)
        assert "<b>0.1" not in shown and "<i>a" not in shown and "rejected.jsonl" in shown
        assert text("data_rejected", language, n=8) in shown
        (bars, tests, words) = recordings_view.classes(found, language).data
        assert list(bars.x) == [1, 9] and list(tests.x) == [0, 1]
        assert [line.strip().split(" ")[0] for line in words.text] == ["1", "10"]


def test_clean_recordings_are_not_warned_of(tmp_path: Path) -> None:
    sides = {0: "train", 1: "valid", 2: "test"}
    rows = [row(i, ("angry", "sad")[i % 2], sides[i % 3]) for i in range(12)]
    rows += [row(i, ("angry", "sad")[i % 2], "test", speaker="s9") for i in (20, 21)]
    found = of_prepared(prepared(tmp_path / "one", rows))
    assert recordings_view.warnings(found, "en") == []
    assert "are not used" not in recordings_view.summary(found, "en")
    (tmp_path / "one" / "clips.jsonl").write_text("{")
    with pytest.raises(DataError, check=coded("data_no_object")):
        of_prepared(tmp_path / "one")


def test_the_bundled_corpus_is_counted() -> None:
    found = of_bundled()
    assert found.clips == sum(found.classes.values()) > 100
    assert found.splits == {} and not found.estimated
    assert text("data_about", "en", n="") not in recordings_view.summary(found, "en")
    assert recordings_view.classes(found, "zh").data[0].y


# --- listening


def test_only_what_is_listed_is_heard(tmp_path: Path) -> None:
    here = serve(tmp_path)
    sound, secret = tmp_path / "a.wav", tmp_path / "secret.txt"
    sound.write_bytes(wav(1.5))
    secret.write_text("secret")
    listed = (Clip(str(sound), "sad"), Clip(str(secret), "happy"))
    found = Insight(tmp_path, (Group("sad", "", 1, frozenset()),), samples=listed)
    rate, samples = sources.sound(here, found, recordings.draw(found, "sad"))
    assert (rate, samples.shape) == (RATE, (RATE * 3 // 2,)) and np.abs(samples).max() > 1000
    with pytest.raises(DataError, check=coded("source_not_listed")):
        sources.sound(here, found, Clip(str(sound), "angry"))
    with pytest.raises(AudioError):  # what is no sound never leaves
        sources.sound(here, found, recordings.draw(found, "happy"))
    with pytest.raises(DataError, check=coded("player_empty")):
        recordings.draw(found, "angry")


def test_no_other_folder_is_taken_for_prepared_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = serve(tmp_path)
    known = prepared(tmp_path / "home" / "data" / "one", [row(1, "sad", "train")])
    other = prepared(tmp_path / "elsewhere", [row(1, "sad", "train")])
    assert isinstance(sources.insight(here, chosen(str(known))), Insight)
    assert sources.insight(here, chosen(str(other))) is None
    assert recordings.playback(here, chosen(str(other)), "", "", "en") == {"last": ""}


def test_a_row_of_a_data_set_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "audio": datasets.Audio(),
            "label": datasets.ClassLabel(names=["angry", "sad"]),
            "speaker": datasets.Value("string"),
        }
    )
    rows = {
        "audio": [{"bytes": wav(1 + i / 4, seed=i), "path": f"{i}.wav"} for i in range(3)],
        "label": [0, 1, 1],
        "speaker": ["1", "2", "3"],
    }
    saved = tmp_path / "saved"
    datasets.Dataset.from_dict(rows).cast(features).save_to_disk(saved)
    found = look(corpora.read("datasets", saved), saved)
    assert found.clips == 3 and len(found.seconds) == 3 and found.samples == ()
    out = tmp_path / "data" / "set"
    clip = Clip(f"{saved}#train/2", "sad", "3", split="train", id="ab" * 32)
    with FeatureWriter(out / "features", "of-test") as writer:
        writer.add(clip.id, utterance=np.zeros(4, np.float32))
    encoder = {"id": "tiny", "width": 4, "fingerprint": "of-test"}
    read_from = [{"corpus": "datasets", "root": str(saved)}]
    info = {"corpus": "datasets", "sources": read_from, "classes": ["sad"], "encoder": encoder}
    write_prepared(out, info, [clip], [], summarise([clip], []))
    seen = of_prepared(out)
    asked_for: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        asked_for.append(command)
        return subprocess.CompletedProcess(command, 0, sound_file(out, command[-1]))

    monkeypatch.setattr(sources.subprocess, "run", run)
    _, samples = sources.sound(serve(tmp_path), seen, seen.samples[0])
    assert len(samples) == RATE * 3 // 2
    assert asked_for[0][2:] == ["train", "look", "--data", str(out), "--clip", clip.id]
    with pytest.raises(DataError, check=coded("data_no_clip_id")):
        sound_file(out, "nobody")


# --- strangers, words


def test_strangers_see_take_and_hear_nothing(tmp_path: Path) -> None:
    there = serve(tmp_path, host=STRANGER)
    shut, path = text("refused", "zh"), packed(tmp_path / "a.zip", CLASSES)
    choice = chosen(EMODB)
    shown = recordings.contents(there, choice, "zh")
    assert shut in shown["data"] and "value" not in shown["classes"]
    assert shut in recordings.store_upload(there, str(path), "zh")["message"]
    assert not (tmp_path / "home").exists()
    playing = recordings.playback(there, choice, "", "", "zh")
    assert playing["sound"]["value"] is None and shut in playing["about"]["value"]


def test_every_reason_has_its_words() -> None:
    from typing import get_args

    for why in get_args(unpacking.Why):
        assert TEXTS[f"left_{why}"]


# --- the column of the label


def table(folder: Path, name: str, head: str, *rows: str) -> Path:
    """A table beside the sounds that it names."""
    for label in ("angry", "sad"):
        (folder / f"{label}.wav").write_bytes(wav())
    path = folder / name
    path.write_text("\n".join((head, *rows)), encoding="utf-8-sig")
    return path


def test_a_table_with_several_columns_for_the_label_asks_which(tmp_path: Path) -> None:
    rows = ("angry.wav;neutral;angry;a", "sad.wav;neutral;sad;b")
    path = table(tmp_path, "list.csv", "file;label;emotion;speaker", *rows)
    assert sources.label_columns(str(path)) == ["label", "emotion"]
    offer = recordings.column_choices(chosen(FOLDER, str(path), label_column="emotion"), "en")
    assert offer["visible"] is True and offer["value"] == "emotion"
    assert [name for _, name in offer["choices"]] == ["", "label", "emotion"]
    for column, wanted in (("emotion", {"angry", "sad"}), ("label", {"neutral"})):
        ask = source_of(chosen(FOLDER, str(path), label_column=column))
        assert f"--label-column={column}" in ask.words
        found = sources.of_recordings(serve(tmp_path), ask)
        assert set(found.classes) == wanted


def test_a_data_set_with_several_columns_for_the_label_asks_which(tmp_path: Path) -> None:
    rows = {name: [name] * 2 for name in ("label", "emotion", "speaker")}
    stored = tmp_path / "set" / "data" / "train.parquet"
    stored.parent.mkdir(parents=True)
    datasets.Dataset.from_dict(rows).to_parquet(stored)
    for path in (stored, tmp_path / "set"):
        assert sources.label_columns(str(path)) == ["label", "emotion"]
        ask = source_of(chosen(FOLDER, str(path), label_column="emotion"))
        assert "--label-column=emotion" in ask.words
    stored.write_bytes(b"PAR1, and then something else")
    assert sources.label_columns(str(stored)) == []


@pytest.mark.parametrize("source", [FOLDER, EMODB])
def test_other_recordings_ask_for_no_column(source: str, tmp_path: Path) -> None:
    one = table(tmp_path, "list.csv", "file,emotion", "angry.wav,angry")
    (tmp_path / "rows.jsonl").write_text('{"file": "a.wav", "Label": 1, "emotion": 2}\n')
    assert sources.label_columns(str(tmp_path / "rows.jsonl")) == ["Label", "emotion"]
    for path in (one, tmp_path, tmp_path / "nowhere.csv", Path("a\0b.csv")):
        offer = recordings.column_choices(chosen(source, str(path), label_column="emotion"), "en")
        assert offer["visible"] == "hidden" and offer["value"] == ""
    ask = source_of(chosen(FOLDER, str(tmp_path), label_column="label"))
    assert not any("label-column" in word for word in ask.words)  # folders are the classes
