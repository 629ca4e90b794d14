"""Recordings to train on: uploads that may be hostile, looks, summaries, clips to listen to."""

import io
import json
import os
import stat
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import soundfile
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as some

from audiollm.errors import AudioError, ConfigError, DataError
from audiollm.labels import LANGUAGES
from audiollm.settings import Settings
from audiollm.ui.said import SaidError
from audiollm.ui.services import Services
from audiollm.ui.texts import TEXTS, text
from audiollm.ui.train import clips as training_clips
from audiollm.ui.train import look as training_look
from audiollm.ui.train import recordings, recordings_view, upload
from audiollm.ui.train.look import Group, Heard, Insight, of_bundled, of_prepared
from audiollm.ui.train.recordings import Choice
from audiollm.ui.train.sources import EMODB, FOLDER, HUB, Ask, asked, reader_of
from audiollm.ui.train.upload import take
from tests.browser.fake import FakePredictor
from tests.conftest import RATE, voiced
from train import corpora
from train.corpora import Clip, Corpus, Rejected
from train.dataset import write_prepared
from train.features import FeatureWriter
from train.look import look, sound_file

STRANGER = "0.0.0.0"  # noqa: S104
LINK = (stat.S_IFLNK | 0o777) << 16


def serve(tmp_path: Path, **options: Any) -> Services:
    made = FakePredictor()
    kept = Settings(home=tmp_path / "home", **options)
    found = Services.start(kept, load=lambda: made, examples=tmp_path)  # type: ignore
    found.predictor()
    return found


def wav(seconds: float = 1.0, seed: int = 0) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, voiced(seconds, seed=seed), RATE, format="WAV")
    return file.getvalue()


def packed(path: Path, members: Mapping[str, bytes | str], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def left(tmp_path: Path) -> list[str]:
    """What lies in the folder of uploads, hidden parts too."""
    place = tmp_path / "home" / "uploads"
    names = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    return [name for name in names if name != upload.LOCK]


CLASSES: dict[str, bytes | str] = {"angry/a.wav": b"1", "angry/b.flac": b"22", "sad/c.wav": b"3"}
TABLE = "file,label,speaker\nangry/a.wav,angry,1\nsad/c.wav,sad,2\n"


# --- uploads


@pytest.mark.parametrize("above", ["", "my recordings/", "数据/"])
@pytest.mark.parametrize("extra", [{}, {"manifest.csv": TABLE}])
def test_a_zip_of_class_folders_is_unpacked(
    tmp_path: Path, above: str, extra: dict[str, bytes | str]
) -> None:
    members = {above + name: content for name, content in {**CLASSES, **extra}.items()}
    made = take(serve(tmp_path), packed(tmp_path / "My clips (2).zip", members))
    folder = tmp_path / "home" / "uploads" / "My-clips-2"
    assert made.place == (folder / "manifest.csv" if extra else folder)
    assert (made.files, made.left_out) == (3, {})
    for name, content in CLASSES.items():
        assert (folder / name).read_bytes() == content
    again = take(serve(tmp_path), packed(tmp_path / "My clips (2).zip", members))
    assert left(tmp_path) == ["My-clips-2", "My-clips-2-2"]
    assert again.place != made.place
    for language in LANGUAGES:
        assert str(made.place) in recordings_view.uploaded(made, language)


def test_one_class_alone_is_no_wrapper(tmp_path: Path) -> None:
    made = take(serve(tmp_path), packed(tmp_path / "a.zip", {"angry/a.wav": b"1"}))
    assert (made.place / "angry" / "a.wav").is_file()


def test_what_is_no_recording_stays_in_the_zip_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name in CLASSES:
            zipped.writestr(name, b"1")
        for name in (
            *("../up.wav", "/etc/up.wav", "angry/../../up.wav", "C:/up.wav", "..\\up.wav"),
            *("\\up.wav", "angry//a2.wav", "x/" * 20 + "deep.wav", "n" * 250 + ".wav"),
        ):
            zipped.writestr(name, b"1")
        for name in ("__MACOSX/angry/._a.wav", ".DS_Store", "angry/.hidden.wav"):
            zipped.writestr(name, b"1")
        for name in ("more.zip", "angry/x.tar.gz", "angry/x.7z"):
            zipped.writestr(name, b"1")
        for name in ("run.py", "angry/notes.txt", "angry/noending"):
            zipped.writestr(name, b"1")
        for name in ("ANGRY/A.wav", "angry/a.wav/x.wav", "sad.wav/a.wav", "SAD.wav"):
            zipped.writestr(name, b"1")
        link = zipfile.ZipInfo("angry/link.wav")
        link.external_attr = LINK
        zipped.writestr(link, "/etc/passwd")
    made = take(serve(tmp_path), path)
    assert made.left_out == {
        "unsafe": 9,
        "hidden": 3,
        "archive": 3,
        "kind": 3,
        "twice": 3,
        "link": 1,
    }
    assert made.files == 4
    found = [file for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert not any(file.is_symlink() or "up" in file.stem for file in found)
    assert not (tmp_path / "up.wav").exists() and not (tmp_path / "home" / "up.wav").exists()
    for language in LANGUAGES:
        told = recordings_view.uploaded(made, language)
        for why, n in made.left_out.items():
            assert text(f"left_{why}", language, n=n) in told


def test_chinese_names_of_windows_are_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"angry/XXXX.wav": b"1", "sad/b.wav": b"2"})
    gbk = "声音".encode("gb18030")
    path.write_bytes(path.read_bytes().replace(b"XXXX", gbk))
    made = take(serve(tmp_path), path)
    assert (made.place / "angry" / "声音.wav").read_bytes() == b"1"


def refusals(tmp_path: Path) -> dict[str, Path]:
    """Key of the sentence -> a file that must be refused with it."""
    cut = packed(tmp_path / "cut.zip", CLASSES)
    cut.write_bytes(cut.read_bytes()[:-30])
    wrong = packed(tmp_path / "wrong.zip", {"angry/a.wav": b"abcdefgh" * 99, "sad/b.wav": b"1"})
    raw = bytearray(wrong.read_bytes())
    raw[60] ^= 0xFF  # inside the packed sound
    wrong.write_bytes(raw)
    locked = packed(tmp_path / "locked.zip", CLASSES)
    raw = bytearray(locked.read_bytes())
    for at in range(len(raw) - 4):  # say of every file that it is encrypted
        if raw[at : at + 4] in (b"PK\x01\x02", b"PK\x03\x04"):
            raw[at + (8 if raw[at + 2] == 1 else 6)] |= 1
    locked.write_bytes(raw)
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    (tmp_path / "x.csv").write_bytes(b"\0\1\2\3" * 9)
    (tmp_path / "big.csv").write_bytes(b"x" * 5000)
    bomb = {"angry/a.wav": b"\0" * 3999, "angry/b.wav": b"\0" * 3999}
    many = {f"sad/{i}.wav": b"\0" * 3999 for i in range(9)}
    return {
        "upload_broken": cut,
        "upload_broken ": wrong,
        "upload_locked": locked,
        "upload_kind": tmp_path / "x.rar",
        "upload_text": tmp_path / "x.csv",
        "upload_large": tmp_path / "big.csv",
        "upload_unpacked": packed(tmp_path / "bomb.zip", bomb | many),
        "upload_nothing": packed(tmp_path / "none.zip", {"readme.txt": b"1"}),
        "upload_nothing ": packed(tmp_path / "table.zip", {"manifest.csv": TABLE}),
        "upload_classes": packed(tmp_path / "flat.zip", {"a.wav": b"1", "b.wav": b"2"}),
        "upload_tables": packed(tmp_path / "two.zip", {**CLASSES, "a.csv": "a", "b.csv": "b"}),
    }


def test_what_cannot_be_used_is_refused_in_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    here = serve(tmp_path, max_bytes=4000)
    for key, path in refusals(tmp_path).items():
        with pytest.raises(SaidError) as refused:
            take(here, path)
        assert refused.value.key == key.strip(), path
        assert left(tmp_path) == []
        for language in LANGUAGES:
            said = refused.value.in_language(language)
            assert "{" not in said and "\n" not in said


@pytest.mark.parametrize(
    "line",
    [
        "/etc/passwd,angry",
        "angry/../../x.wav,angry",
        '"  /etc/x.wav",angry',
        "..\\x.wav,angry",
        "a;/etc/x.wav",
        "angry\t/etc/x.wav",
    ],
)
def test_a_table_in_a_zip_names_files_of_the_zip_alone(tmp_path: Path, line: str) -> None:
    table = f"file,label\nangry/a.wav,angry\n{line}\n"
    path = packed(tmp_path / "a.zip", {**CLASSES, "manifest.csv": table})
    with pytest.raises(SaidError, match="line 3, names a file outside") as refused:
        take(serve(tmp_path), path)
    assert refused.value.key == "upload_outside" and left(tmp_path) == []
    row = json.dumps({"file": "/etc/x.wav", "label": "sad"}).replace("/", "\\u002f")
    path = packed(tmp_path / "b.zip", {**CLASSES, "manifest.jsonl": f"\n{row}\n"})
    with pytest.raises(SaidError, match="line 2"):
        take(serve(tmp_path), path)


def test_a_zip_may_not_list_more_than_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "a.zip", CLASSES)
    for name, value in (("MOST_FILES", 2), ("LONGEST_LIST", 100)):
        with monkeypatch.context() as patch:
            patch.setattr(upload, name, value)
            with pytest.raises(SaidError) as refused:
                take(serve(tmp_path), path)
            assert refused.value.key == "upload_many"
    assert left(tmp_path) == []


def test_a_full_disk_and_a_kill_leave_no_half_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, path = serve(tmp_path), packed(tmp_path / "a.zip", CLASSES)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(upload, "_write", full)
        with pytest.raises(SaidError) as refused:
            take(here, path)
    assert refused.value.key == "upload_full" and left(tmp_path) == []
    half = tmp_path / "home" / "uploads" / ".part-of-a-killed-one"
    (half / "angry").mkdir(parents=True)
    take(here, path)
    assert left(tmp_path) == ["a"]


def test_a_table_of_files_of_this_machine_is_kept(tmp_path: Path) -> None:
    sounds = {name: tmp_path / name for name in ("生气.wav", "b.wav")}
    for path in sounds.values():
        path.write_bytes(wav())
    rows = "\n".join(f"{path},生气,s{i}" for i, path in enumerate(sounds.values()))
    table = tmp_path / "列表.csv"
    table.write_bytes(f"file,label,speaker\n{rows}\n".encode("gb18030"))  # of a spreadsheet
    made = take(serve(tmp_path), table)
    assert (made.files, made.place.name, made.place.parent.name) == (0, "manifest.csv", "列表")
    found = corpora.read("manifest", made.place)
    assert {clip.path for clip in found.clips} == {str(path) for path in sounds.values()}
    assert str(made.place) in recordings_view.uploaded(made, "zh")


NAMES = some.lists(
    some.text(some.sampled_from("ab/\\.:~ \0\n声é%_-") | some.characters(), max_size=12),
    max_size=6,
)


@limits(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=NAMES)
def test_no_name_leads_out_of_the_folder(tmp_path_factory: Any, names: list[str]) -> None:
    infos = []
    for name in names:
        info = zipfile.ZipInfo("x")
        info.filename, info.flag_bits = f"{name}.wav", 0x800
        infos.append(info)
    members, left_out = upload.chosen(infos, 99)
    assert len(members) + sum(left_out.values()) == sum(not info.is_dir() for info in infos)
    folder = Path("/somewhere/home")
    for _, parts in members:
        place = folder.joinpath(*parts)
        assert os.path.normpath(place) == str(place) and folder in place.parents
        assert not any(part in ("", ".", "..") or "\0" in part for part in parts)
    files = [parts for _, parts in members]
    assert len(set(files)) == len(files)
    above = {parts[:depth] for parts in files for depth in range(1, len(parts))}
    assert not above & set(files)


@limits(max_examples=60, deadline=None)
@given(stem=some.text(max_size=80))
def test_every_upload_finds_a_name(stem: str) -> None:
    place = Path("/nowhere/at/all")
    found = upload._free(place, stem)
    assert found.parent == place and found.name not in ("", ".", "..")
    assert not found.name.startswith((".", "-")) and len(found.name.encode()) < 80


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
            made = asked(FOLDER, f" {tmp_path / name} ", "(x)", "random")
            assert made.words[:4] == ("--corpus", kind, "--root", str(tmp_path / name))
            assert ("--speaker-pattern=(x)" in made.words) == (kind == "folder")
    for bad in ("", "  ", "a\0b", str(tmp_path / "notes.txt")):
        with pytest.raises(ConfigError):
            asked(FOLDER, bad)
    for bad in ("", "name", "a/b/c", "-x/y", "../x", "a/.."):
        with pytest.raises(ConfigError, match="user/name"):
            asked(HUB, bad)


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
    refused = tuple(Rejected(f"{i}.txt", "no class: it lies apart") for i in range(7))
    return Corpus("x", tuple(clips), refused)


def test_a_look_counts_and_tries_the_split(tmp_path: Path) -> None:
    said = look(corpus(tmp_path))
    assert json.loads(json.dumps(said)) == said
    found = training_look._told(tmp_path, said)
    assert (found.clips, found.speakers(), found.nameless) == (13, 6, 0)
    assert found.classes == {"angry": 6, "sad": 7}
    assert set(found.sides) == {"train", "valid", "test"} and not found.trouble
    assert found.rejected == {"no class": 7} and len(found.first) == 5
    assert found.copies == 1 and found.shared == 0
    assert not found.estimated and len(found.seconds) == 13
    mean = sum(found.seconds) / 13
    assert found.minutes() == pytest.approx(13 * mean / 60)
    assert {clip.label for clip in found.heard} == {"angry", "sad"}
    assert all(clip.side for clip in found.heard)
    for language in LANGUAGES:
        shown = recordings_view.summary(found, language)
        assert text("data_planned", language) in shown
        assert text("data_copies", language, n=1) in shown
        kind = {"en": "no class", "zh": "不在类别文件夹中"}[language]
        assert f"{kind} 7" in shown and "0.txt" in shown


def test_a_look_says_what_prepare_would_refuse(tmp_path: Path) -> None:
    found = training_look._told(tmp_path, look(corpus(tmp_path, named=False)))
    assert found.sides == {} and found.nameless == 13 and "who speaks" in found.trouble
    told = text("data_nameless", "zh", n=13, all=13)
    assert told in recordings_view.warnings(found, "zh")
    found = training_look._told(tmp_path, look(corpus(tmp_path, named=False), "random"))
    assert found.sides and not found.trouble
    assert text("data_unknown", "en") in recordings_view.warnings(found, "en")


def test_a_folder_is_looked_at_in_a_process_of_its_own(tmp_path: Path) -> None:
    root = tmp_path / "clips"
    for name in ("angry/s1-a", "angry/s2-b", "sad/s1-c", "sad/s3-d"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.wav").write_bytes(wav(seed=len(name) + ord(name[-1])))
    here = serve(tmp_path)
    found = training_look.of_recordings(here, asked(FOLDER, str(root), r"(s\d)-"))
    assert (found.clips, found.speakers(), found.classes) == (4, 3, {"angry": 2, "sad": 2})
    choice = Choice(FOLDER, str(root), "", r"(s\d)-", False)
    shown, picture, *_ = recordings.seen(here, choice, "en")
    assert isinstance(picture["value"], go.Figure) and "<table>" in shown
    sound, told, last = recordings.played(here, choice, "sad", "", "en")
    rate, samples = sound["value"]
    assert rate == RATE and samples.dtype == np.int16 and len(samples) == RATE
    assert Path(last).parent == root / "sad" and Path(last).name in told["value"]
    _, _, next_one = recordings.played(here, choice, "sad", last, "en")
    assert next_one != last
    with pytest.raises(DataError, match="No usable folder clip"):
        (tmp_path / "none").mkdir()
        training_look.of_recordings(here, asked(FOLDER, str(tmp_path / "none")))


def test_a_look_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, calls = serve(tmp_path), []

    def run(*command: Any, **_: Any) -> Any:
        calls.append(command)
        if len(calls) == 1:
            raise subprocess.TimeoutExpired("look", 1)
        return subprocess.CompletedProcess("look", 1, b"", b"Traceback")

    monkeypatch.setattr(training_look.subprocess, "run", run)
    for key in ("look_slow", "look_failed"):
        with pytest.raises(SaidError) as failed:
            training_look.of_recordings(here, Ask("folder", str(tmp_path)))
        assert failed.value.key == key


# --- the hub


def test_the_hub_is_asked_and_its_silence_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    here = serve(tmp_path)
    for bad in ("", "name", "https://huggingface.co/x/y"):
        with pytest.raises(SaidError) as refused:
            training_look.on_hub(here, bad)
        assert refused.value.key == "hub_id"

    def silent(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", silent)
    shown, *_ = recordings.seen(here, Choice(HUB, "", "user/name", "", False), "en")
    assert "hf download --repo-type dataset user/name" in shown
    card = huggingface_hub.DatasetCardData(
        dataset_info={"splits": [{"name": "train", "num_examples": 7}]}
    )
    siblings = [huggingface_hub.hf_api.RepoSibling(rfilename="a", size=3_000_000)]
    info = type("Info", (), {"siblings": siblings, "card_data": card})()
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: info)
    shown, picture, *_ = recordings.seen(here, Choice(HUB, "", "user/name", "", False), "en")
    assert "1 files, 3 MB" in shown and "train: 7 recordings" in shown
    assert picture["visible"] == "hidden"


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
    with pytest.raises(ConfigError, match="prepare it again"):
        of_prepared(tmp_path / "one")


def test_the_bundled_corpus_is_counted() -> None:
    found = of_bundled()
    assert found.clips == sum(found.classes.values()) > 100
    assert found.sides == {} and not found.estimated
    assert text("data_about", "en", n="") not in recordings_view.summary(found, "en")
    assert recordings_view.classes(found, "zh").data[0].y


# --- listening


def test_only_what_is_listed_is_heard(tmp_path: Path) -> None:
    here = serve(tmp_path)
    sound, secret = tmp_path / "a.wav", tmp_path / "secret.txt"
    sound.write_bytes(wav(1.5))
    secret.write_text("secret")
    listed = (Heard(str(sound), "sad"), Heard(str(secret), "happy"))
    found = Insight(tmp_path, (Group("sad", "", 1, frozenset()),), heard=listed)
    rate, samples = training_clips.sound(here, found, training_clips.draw(found, "sad"))
    assert (rate, samples.shape) == (RATE, (RATE * 3 // 2,)) and np.abs(samples).max() > 1000
    with pytest.raises(DataError, match="not among these"):
        training_clips.sound(here, found, Heard(str(sound), "angry"))
    with pytest.raises(AudioError):  # what is no sound never leaves
        training_clips.sound(here, found, training_clips.draw(found, "happy"))
    with pytest.raises(SaidError, match="none to listen to"):
        training_clips.draw(found, "angry")


def test_no_other_folder_is_taken_for_prepared_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = serve(tmp_path)
    known = prepared(tmp_path / "home" / "data" / "one", [row(1, "sad", "train")])
    other = prepared(tmp_path / "elsewhere", [row(1, "sad", "train")])
    assert isinstance(recordings_view.insight(here, str(known), ""), Insight)
    assert recordings_view.insight(here, str(other), "") is None
    sound, *_ = recordings.played(here, Choice(str(other), "", "", "", False), "", "", "en")
    assert "value" not in sound or sound["value"] is None


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
    found = training_look._told(saved, look(corpora.read("datasets", saved)))
    assert found.clips == 3 and len(found.seconds) == 3 and found.heard == ()
    out = tmp_path / "data" / "set"
    clip = Clip(f"{saved}#train/2", "sad", "3", split="train", id="ab" * 32)
    with FeatureWriter(out / "features", "of-test") as writer:
        writer.add(clip.id, utterance=np.zeros(4, np.float32))
    encoder = {"id": "tiny", "width": 4, "fingerprint": "of-test"}
    sources = [{"corpus": "datasets", "root": str(saved)}]
    info = {"corpus": "datasets", "sources": sources, "classes": ["sad"], "encoder": encoder}
    write_prepared(out, info, [clip], [], {})
    heard = of_prepared(out)
    asked_for: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        asked_for.append(command)
        return subprocess.CompletedProcess(command, 0, sound_file(out, command[-1]))

    monkeypatch.setattr(training_clips.subprocess, "run", run)
    _, samples = training_clips.sound(serve(tmp_path), heard, heard.heard[0])
    assert len(samples) == RATE * 3 // 2
    assert asked_for[0][2:] == ["train", "look", "--data", str(out), "--clip", clip.id]
    with pytest.raises(DataError, match="no clip"):
        sound_file(out, "nobody")


# --- strangers, words


def test_strangers_see_take_and_hear_nothing(tmp_path: Path) -> None:
    there = serve(tmp_path, host=STRANGER)
    shut, path = text("refused", "zh"), packed(tmp_path / "a.zip", CLASSES)
    choice = Choice(EMODB, "", "", "", False)
    shown, picture, *_ = recordings.seen(there, choice, "zh")
    assert shut in shown and "value" not in picture
    *_, said = recordings.taken(there, str(path), "zh")
    assert shut in said and not (tmp_path / "home").exists()
    sound, told, _ = recordings.played(there, choice, "", "", "zh")
    assert sound["value"] is None and shut in told["value"]


def test_every_reason_has_its_words() -> None:
    from typing import get_args

    for why in get_args(upload.Why):
        assert TEXTS[f"left_{why}"]
