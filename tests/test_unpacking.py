"""Uploads of recordings, which may be hostile: what is taken, what is refused."""

import io
import json
import os
import stat
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import soundfile
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as some

from audiollm.errors import DataError
from audiollm.labels import LANGUAGES
from audiollm.settings import Settings
from audiollm.texts import text
from audiollm.web.services import Services
from audiollm.web.train import recordings_view, unpacking, upload
from audiollm.web.train.upload import take
from tests.browser.fake import FakePredictor
from tests.conftest import RATE, voiced
from train import corpora

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


SOUND = wav(0.03)
CLASSES: dict[str, bytes | str] = {"angry/a.wav": SOUND, "angry/b.flac": b"22", "sad/c.wav": b"3"}
TABLE = "file,label,speaker\nangry/a.wav,angry,1\nsad/c.wav,sad,2\n"


@pytest.mark.parametrize("above", ["", "my recordings/", "数据/"])
@pytest.mark.parametrize("extra", [{}, {"manifest.csv": TABLE}])
def test_a_zip_of_class_folders_is_unpacked(
    tmp_path: Path, above: str, extra: dict[str, bytes | str]
) -> None:
    members = {above + name: content for name, content in {**CLASSES, **extra}.items()}
    made = take(serve(tmp_path), packed(tmp_path / "My clips (2).zip", members))
    folder = tmp_path / "home" / "uploads" / "My-clips-2"
    assert made.path == (folder / "manifest.csv" if extra else folder)
    assert (made.files, made.left_out) == (3, {})
    for name, content in CLASSES.items():
        assert (folder / name).read_bytes() == content
    again = take(serve(tmp_path), packed(tmp_path / "My clips (2).zip", members))
    assert left(tmp_path) == ["My-clips-2", "My-clips-2-2"]
    assert again.path != made.path
    for language in LANGUAGES:
        assert str(made.path) in recordings_view.upload_message(made, language)


def test_one_class_alone_is_no_wrapper(tmp_path: Path) -> None:
    made = take(serve(tmp_path), packed(tmp_path / "a.zip", {"angry/a.wav": SOUND}))
    assert (made.path / "angry" / "a.wav").is_file()


def test_what_is_no_recording_stays_in_the_zip_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name in CLASSES:
            zipped.writestr(name, SOUND)
        for name in (
            *("../up.wav", "/etc/up.wav", "angry/../../up.wav", "C:/up.wav", "..\\up.wav"),
            *("\\up.wav", "angry//a2.wav", "x/" * 20 + "deep.wav", "n" * 250 + ".wav"),
        ):
            zipped.writestr(name, SOUND)
        for name in ("__MACOSX/angry/._a.wav", ".DS_Store", "angry/.hidden.wav"):
            zipped.writestr(name, SOUND)
        for name in ("more.zip", "angry/x.tar.gz", "angry/x.7z"):
            zipped.writestr(name, SOUND)
        for name in ("run.py", "angry/notes.txt", "angry/noending"):
            zipped.writestr(name, SOUND)
        for name in ("ANGRY/A.wav", "angry/a.wav/x.wav", "sad.wav/a.wav", "SAD.wav"):
            zipped.writestr(name, SOUND)
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
        told = recordings_view.upload_message(made, language)
        for why, n in made.left_out.items():
            assert text(f"left_{why}", language, n=n) in told


def test_chinese_names_of_windows_are_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"angry/XXXX.wav": SOUND, "sad/b.wav": b"2"})
    gbk = "声音".encode("gb18030")
    path.write_bytes(path.read_bytes().replace(b"XXXX", gbk))
    made = take(serve(tmp_path), path)
    assert (made.path / "angry" / "声音.wav").read_bytes() == SOUND


def refusals(tmp_path: Path) -> dict[str, Path]:
    """Key of the sentence -> a file that must be refused with it."""
    cut = packed(tmp_path / "cut.zip", CLASSES)
    cut.write_bytes(cut.read_bytes()[:-30])
    wrong = packed(tmp_path / "wrong.zip", {"angry/a.wav": b"abcdefgh" * 99, "sad/b.wav": SOUND})
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
        "upload_nothing": packed(tmp_path / "none.zip", {"readme.txt": SOUND}),
        "upload_nothing ": packed(tmp_path / "table.zip", {"manifest.csv": TABLE}),
        "upload_classes": packed(tmp_path / "flat.zip", {"a.wav": SOUND, "b.wav": b"2"}),
        "upload_undecodable": packed(tmp_path / "text.zip", dict.fromkeys(CLASSES, b"text")),
        "upload_tables": packed(tmp_path / "two.zip", {**CLASSES, "a.csv": "a", "b.csv": "b"}),
    }


def test_what_cannot_be_used_is_refused_in_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    here = serve(tmp_path, max_bytes=4000)
    for key, path in refusals(tmp_path).items():
        with pytest.raises(DataError) as refused:
            take(here, path)
        assert refused.value.code == key.strip(), path
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
    with pytest.raises(DataError, match="line 3, names a file outside") as refused:
        take(serve(tmp_path), path)
    assert refused.value.code == "upload_outside" and left(tmp_path) == []
    row = json.dumps({"file": "/etc/x.wav", "label": "sad"}).replace("/", "\\u002f")
    path = packed(tmp_path / "b.zip", {**CLASSES, "manifest.jsonl": f"\n{row}\n"})
    with pytest.raises(DataError, match="line 2"):
        take(serve(tmp_path), path)


def test_a_zip_may_not_list_more_than_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "a.zip", CLASSES)
    for name, value in (("MOST_FILES", 2), ("LONGEST_LIST", 100)):
        with monkeypatch.context() as patch:
            patch.setattr(unpacking, name, value)
            with pytest.raises(DataError) as refused:
                take(serve(tmp_path), path)
            assert refused.value.code == "upload_many"
    assert left(tmp_path) == []


def test_a_full_disk_and_a_kill_leave_no_half_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, path = serve(tmp_path), packed(tmp_path / "a.zip", CLASSES)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(unpacking, "_write", full)
        with pytest.raises(DataError) as refused:
            take(here, path)
    assert refused.value.code == "upload_full" and left(tmp_path) == []
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
    assert (made.files, made.path.name, made.path.parent.name) == (0, "manifest.csv", "列表")
    found = corpora.read("manifest", made.path)
    assert {clip.path for clip in found.clips} == {str(path) for path in sounds.values()}
    assert str(made.path) in recordings_view.upload_message(made, "zh")


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
    members, left_out = unpacking.select(infos, 99)
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


def test_the_list_of_a_zip_takes_time_by_its_length() -> None:
    """Processor time: twice the entries, about twice as much. A path of many parts is refused
    before it is taken apart."""

    def took(count: int) -> float:
        infos = [zipfile.ZipInfo(f"sad/{i}.wav") for i in range(count)]
        began = time.process_time()
        assert len(unpacking.select(infos, 1)[0]) == count
        return time.process_time() - began

    took(1000)
    # sixteen times as many; in quadratic time 256 times as long
    assert took(48_000) < 64 * max(took(3_000), 0.02)
    deep = zipfile.ZipInfo("a/" * 30_000 + "x.wav")
    assert unpacking.select([deep], 1) == ([], {"unsafe": 1})
