"""Every reader on a small copy of its corpus's documented layout. The sound files are empty:
readers look at names and tables only."""

import csv
import importlib.util
import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from audiollm import audio
from audiollm.errors import AudioError, DataError
from tests.refusals import refused
from train import corpora
from train.corpora import Corpus, Options


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def facts(corpus: Corpus) -> dict[str, tuple[str, str, str | None]]:
    """File name -> label, speaker, language."""
    return {Path(c.path).name: (c.label, c.speaker, c.language) for c in corpus.clips}


def test_iemocap(tmp_path: Path) -> None:
    wav = "Session1/sentences/wav/Ses01F_impro01"
    touch(tmp_path, *(f"{wav}/Ses01F_impro01_{turn}.wav" for turn in ("F000", "M000", "M001")))
    table = tmp_path / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    table.parent.mkdir(parents=True)
    table.write_text(
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
        "C-E2:\tNeutral;\t()\n"
        "[10.0100 - 11.3925]\tSes01F_impro01_M000\texc\t[2.5000, 2.5000, 2.5000]\n"
        "[14.8872 - 18.0175]\tSes01F_impro01_M001\txxx\t[2.5000, 2.5000, 2.5000]\n"
        "[19.2900 - 20.7875]\tSes01F_impro01_F001\tang\t[2.5000, 2.5000, 2.5000]\n"
    )
    (table.parent / "._Ses01F_impro01.txt").write_bytes(b"\x00\x05\x16\x07")
    found = corpora.read("iemocap", tmp_path)
    assert facts(found) == {
        "Ses01F_impro01_F000.wav": ("neutral", "iemocap-Ses01F", "en"),
        "Ses01F_impro01_M000.wav": ("excited", "iemocap-Ses01M", "en"),
    }
    assert sorted(r.kind for r in found.rejected) == ["file missing", "no agreed label"]
    merged = corpora.read("iemocap", tmp_path, Options(merge_excited=True))
    assert {c.label for c in merged.clips} == {"neutral", "happy"}


def test_meld(tmp_path: Path) -> None:
    head = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n"
    for part in ("train", "dev", "test"):
        rows = '1,"Hey, you",Phoebe,joy,positive,0,0\n2,No,Ross and Joey,anger,negative,0,1\n'
        (tmp_path / f"{part}_sent_emo.csv").write_text(head + rows)
    touch(
        tmp_path,
        *(f"train_splits/dia0_utt{n}.mp4" for n in range(2)),
        "dev_splits_complete/dia0_utt0.mp4",
        "dev_splits_complete/._dia0_utt0.mp4",
        "output_repeated_splits_test/dia0_utt0.mp4",
        "output_repeated_splits_test/dia0_utt0.wav",
        "output_repeated_splits_test/final_videos_testdia0_utt0.mp4",
    )
    found = corpora.read("meld", tmp_path)
    assert [(c.split, c.speaker, c.label, c.language) for c in found.clips] == [
        ("valid", "meld-phoebe", "happy", "en"),
        ("test", "meld-phoebe", "happy", "en"),
        ("train", "meld-phoebe", "happy", "en"),
    ]
    assert Path(found.clips[1].path).name == "dia0_utt0.wav"  # sound before video
    kinds = sorted(r.kind for r in found.rejected)
    assert kinds == ["file missing", "file missing", "several speakers"]
    (tmp_path / "dev_sent_emo.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"dev_sent_emo\.csv is not a MELD table"):
        corpora.read("meld", tmp_path)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("1,No,Joey,,negative,0,1", "reject_no_label"),
        ("1,No,Joey,nan,negative,0,1", "reject_no_label"),
        ("1,No,Joey,joy,negative,,1", "reject_missing"),
        ("1,No,Joey,joy,negative,0,x", "reject_missing"),
        ("1,No,Joey,joy", "reject_missing"),
        ("1", "reject_missing"),
    ],
)
def test_a_bad_row_of_meld_is_rejected_by_its_number(row: str, code: str, tmp_path: Path) -> None:
    head = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID"
    table = f"{head}\n{row}\n1,Yes,,joy,positive,0,0\n"
    (tmp_path / "train_sent_emo.csv").write_text(table)
    touch(tmp_path, *(f"train_splits/dia0_utt{n}.mp4" for n in range(2)))
    found = corpora.read("meld", tmp_path)
    assert [(c.label, c.speaker) for c in found.clips] == [("happy", "")]
    (rejected,) = found.rejected
    assert rejected.message.code == code
    assert rejected.path.startswith("train_sent_emo.csv:2")


def test_folder_of_classes(tmp_path: Path) -> None:
    root = touch(
        tmp_path / "My Voices", "Anger/s1_a.wav", "joy/s2_b.ogg", "loose.wav", "?/s1_c.wav"
    )
    found = corpora.read("folder", root)
    assert facts(found) == {"s1_a.wav": ("angry", "", None), "s2_b.ogg": ("happy", "", None)}
    assert sorted(r.kind for r in found.rejected) == ["label not understood", "no class"]
    named = corpora.read("folder", root, Options(language="it", speaker_pattern=r"/(s\d)_"))
    assert facts(named)["s1_a.wav"] == ("angry", "my-voices-s1", "it")
    with pytest.raises(DataError, match="not a regular expression"):
        corpora.read("folder", root, Options(speaker_pattern="("))


def test_folders_of_speakers_with_a_folder_for_each_class(tmp_path: Path) -> None:
    paths = [f"{s}/{c}/{s}_{c}.wav" for s in ("Ann", "0012", "Happy") for c in ("angry", "sad")]
    root = touch(tmp_path / "voices", *paths, "0012/loose.wav")
    found = corpora.read("folder", root)
    assert facts(found)["Ann_sad.wav"] == ("sad", "voices-Ann", None)
    assert {c.label for c in found.clips} == {"angry", "sad"} and len(found.clips) == 6
    assert [r.kind for r in found.rejected] == ["no class"]
    assert [note.code for note in found.notes] == ["note_speaker_folders"]
    named = corpora.read("folder", root, Options(speaker_pattern=r"^(\w)"))
    assert facts(named)["Ann_sad.wav"] == ("sad", "voices-A", None)
    (tmp_path / "parts").mkdir()
    split = touch(
        tmp_path / "parts", *(f"{part}/{path}" for part in ("train", "test") for path in paths)
    )
    assert {(c.split, c.label) for c in corpora.read("folder", split).clips} == {
        (part, name) for part in ("train", "test") for name in ("angry", "sad")
    }
    classes = touch(tmp_path / "classes", "angry/Ann/a.wav", "sad/Bea/b.wav", "sad/calm/c.wav")
    assert {c.label for c in corpora.read("folder", classes).clips} == {"angry", "sad"}


def test_a_word_that_is_nearly_an_emotion_is_named(tmp_path: Path) -> None:
    root = touch(tmp_path, "hapy/a.wav", "very sad/b.wav", "proud/c.wav", "angry/d.wav")
    found = corpora.read("folder", root)
    assert {c.label for c in found.clips} == {"hapy", "very sad", "proud", "angry"}
    assert [(n.code, n.values["word"], n.values["label"]) for n in found.notes] == [
        ("note_likely_class", "hapy", "happy"),
        ("note_likely_class", "very sad", "sad"),
    ]


def test_folder_with_a_split(tmp_path: Path) -> None:
    touch(tmp_path, "train/angry/a.wav", "Validation/happy/b.wav", "test/angry/c.wav")
    found = corpora.read("folder", tmp_path)
    assert {Path(c.path).name: (c.label, c.split) for c in found.clips} == {
        "a.wav": ("angry", "train"),
        "b.wav": ("happy", "valid"),
        "c.wav": ("angry", "test"),
    }
    alone = corpora.read("folder", touch(tmp_path / "one", "train/angry/a.wav"))
    assert [c.split for c in alone.clips] == [""]  # one side is no split


_SPLIT = ("train/angry/a.wav", "train/sad/b.wav", "test/angry/c.wav", "valid/sad/d.wav")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sets(
        st.sampled_from(
            (
                *("stray.wav", "__MACOSX/train/angry/._a.wav", ".trash/angry/a.wav"),
                *("extra/a.wav", "angry/a.wav", "notes.txt", "train.wav", "test/stray.wav"),
            )
        )
    )
)
def test_what_lies_beside_a_split_changes_nothing_in_it(tmp_path: Path, others: set[str]) -> None:
    root = tmp_path / str(len(list(tmp_path.iterdir())))
    found = corpora.read("folder", touch(root, *_SPLIT, *others))
    assert {(Path(c.path).relative_to(root).as_posix(), c.label, c.split) for c in found.clips} == {
        (name, name.split("/")[1], name.split("/")[0]) for name in _SPLIT
    }
    sounds = {name for name in others if name.endswith(".wav")}
    assert {Path(r.path).relative_to(root).as_posix() for r in found.rejected} == sounds
    beside = {name.split("/")[0] for name in sounds - {"test/stray.wav"}}
    named = [note.values["names"] for note in found.notes if note.code == "note_beside_split"]
    assert named == ([sorted(beside)] if beside else [])


def test_one_part_of_a_split_beside_classes_is_named(tmp_path: Path) -> None:
    found = corpora.read("folder", touch(tmp_path, "angry/a.wav", "sad/b.wav", "test/sad/c.wav"))
    assert [(c.label, c.split) for c in found.clips] == [("angry", ""), ("sad", ""), ("sad", "")]
    assert [(note.code, note.values["part"]) for note in found.notes] == [("note_one_part", "test")]


def test_folders_behind_links_are_read(tmp_path: Path) -> None:
    disk = touch(tmp_path / "disk", "angry/a.wav", "sad/b.wav", "1001_DFA_ANG_XX.wav")
    root = tmp_path / "root"
    root.mkdir()
    for part in ("train", "test"):
        (root / part).symlink_to(disk)
    (disk / "again").symlink_to(root)  # a loop through two links
    (root / "up").symlink_to(tmp_path)
    found = corpora.read("folder", root)
    assert [(c.path, c.label, c.split) for c in found.clips] == [
        (str(root / part / name), name.split("/")[0], part)
        for part in ("test", "train")
        for name in ("angry/a.wav", "sad/b.wav")
    ]
    named = corpora.read("crema-d", root)
    assert [c.path for c in named.clips] == [
        str(root / part / "1001_DFA_ANG_XX.wav") for part in ("test", "train")
    ]


def test_a_link_to_nothing_is_listed(tmp_path: Path) -> None:
    touch(tmp_path, "angry/a.wav")
    (tmp_path / "angry" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    found = corpora.read("folder", tmp_path)
    assert [Path(c.path).name for c in found.clips] == ["a.wav", "gone.wav"]


def test_manifest_forms(tmp_path: Path) -> None:
    touch(tmp_path, "clips/a.wav", "clips/b.wav")
    wanted = {"a.wav": ("angry", "x-1", "de"), "b.wav": ("happy", "x-2", None)}
    rows = [
        {"path": "clips/a.wav", "emotion": "Wut", "speaker_id": 1, "lang": "DE", "split": "train"},
        {"path": "clips\\b.wav", "emotion": "joy", "speaker_id": 2, "lang": None, "split": "dev"},
    ]
    lines = tmp_path / "x.jsonl"
    lines.write_text("".join(json.dumps(r) + "\n" for r in rows) + "\nnot json\n[1]\n")
    table = tmp_path / "x.csv"
    body = "clips/a.wav;Wut;1;DE;train\r\nclips\\b.wav;joy;2;;dev\r\nclips/no.wav;joy;2;;\r\n"
    table.write_bytes(b"\xef\xbb\xbfPath;Emotion;speaker_id;lang;split\r\n" + body.encode())
    for path in (lines, table):
        (tmp_path / "manifest.csv").unlink(missing_ok=True)
        found = corpora.read("manifest", path)
        speakers = {
            n: (label, s.split("-")[-1], lang) for n, (label, s, lang) in facts(found).items()
        }
        assert speakers == {n: (v[0], v[1].split("-")[-1], v[2]) for n, v in wanted.items()}
        assert [c.split for c in found.clips] == ["train", "valid"]
    assert [r.kind for r in corpora.read("manifest", lines).rejected] == ["not JSON"] * 2
    assert [r.kind for r in corpora.read("manifest", table).rejected] == ["file missing"]


def write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A table of these rows, in the form of its ending."""
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("form", ["manifest.csv", "manifest.jsonl"])
@pytest.mark.parametrize(
    ("label", "emotion", "wanted"),
    [
        (["3", "5", "3"], ["happy", "Sad", "joy"], ["happy", "sad", "happy"]),
        (["happy", "sad", "joy"], ["-1", "0", "2"], ["happy", "sad", "happy"]),
        (["positive", "neutral", "negative"], ["joy", "neutral", "anger"], None),
        (["happy", "sad", ""], ["joy", "", "anger"], ["happy", "sad", "angry"]),
    ],
)
def test_the_column_with_words_for_emotions_is_the_label(
    label: list[str], emotion: list[str], wanted: list[str] | None, form: str, tmp_path: Path
) -> None:
    names = ("a.wav", "b.wav", "c.wav")
    touch(tmp_path, *names)
    rows = [
        {"file": file, "label": one, "emotion": other}
        for file, one, other in zip(names, label, emotion, strict=True)
    ]
    found = corpora.read("manifest", write_table(tmp_path / form, rows))
    assert [c.label for c in found.clips] == (wanted or ["happy", "neutral", "angry"])


def test_two_columns_with_words_are_asked_about(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    row = {"file": "a.wav", "label": "sad", "emotion": "angry", "Felt": "joy"}
    table = write_table(tmp_path / "manifest.csv", [row])
    with refused("data_label_columns"):
        corpora.read("manifest", table)
    for column, label in (("label", "sad"), ("emotion", "angry"), ("Felt", "happy")):
        found = corpora.read("manifest", table, Options(label_column=column))
        assert [c.label for c in found.clips] == [label]
    with refused("data_table_columns"):
        corpora.read("manifest", table, Options(label_column="none"))


def test_a_row_of_json_without_a_column_is_rejected_by_its_number(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "b.wav", "c.wav")
    rows = [
        {"file": "a.wav"},
        {"file": "b.wav", "label": "sad"},
        {"label": "sad"},
        {"path": "c.wav", "emotion": "joy"},
        {},
    ]
    found = corpora.read("manifest", write_table(tmp_path / "manifest.jsonl", rows))
    assert [c.label for c in found.clips] == ["sad", "happy"]
    assert [(r.message.code, Path(r.path).name) for r in found.rejected] == [
        ("reject_no_label", "a.wav (manifest.jsonl:1)"),
        ("reject_no_path", "manifest.jsonl:3"),
        ("reject_no_label", "manifest.jsonl:5"),
    ]


NOTHING = (None, float("nan"), "", " ", "nan", "NaN", "NULL", "None", "<NA>", "N/A", "NA")


@pytest.mark.parametrize("nothing", NOTHING)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_missing_cell_of_a_table_is_missing(form: str, nothing: object, tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "b.wav", "c.wav")
    rows: list[dict[str, object]] = [
        {"file": "a.wav", "label": "sad", "speaker": "Nan", "split": "train", "language": "de"},
        {"file": "b.wav", "label": nothing, "speaker": "1", "split": "test", "language": "de"},
        {
            "file": "c.wav",
            "label": "sad",
            "speaker": nothing,
            "split": nothing,
            "language": nothing,
        },
        {"file": nothing, "label": "sad", "speaker": "1", "split": "test", "language": "de"},
    ]
    table = write_table(tmp_path / f"manifest.{form}", rows)
    found = corpora.read("manifest", table)
    name = found.name
    assert [(c.label, c.speaker, c.split, c.language) for c in found.clips] == [
        ("sad", f"{name}-Nan", "train", "de"),
        ("sad", "", "", None),
    ]
    first = 2 if form == "csv" else 1
    assert [(r.message.code, r.path) for r in found.rejected] == [
        ("reject_no_label", f"b.wav ({table.name}:{first + 1})"),
        ("reject_no_path", f"{table}:{first + 3}"),
    ]


@pytest.mark.parametrize("name", ["x" * 300, "y/" * 3000 + "a", "a\0b"], ids=len)
def test_a_name_that_no_file_can_have_rejects_its_row(name: str, tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    rows = [{"file": file, "label": "sad"} for file in (f"{name}.wav", "a.wav")]
    found = corpora.read("manifest", write_table(tmp_path / "manifest.jsonl", rows))
    assert [Path(c.path).name for c in found.clips] == ["a.wav"]
    assert [r.message.code for r in found.rejected] == ["reject_missing"]
    root = write_original(tmp_path / "original", {"train": ["happy", "sad"]})
    entries = json.loads((root / "train.json").read_text())
    entries[0]["audio_feature_path"] = f"{name}.npy"
    (root / "train.json").write_text(json.dumps(entries))
    found = corpora.read("original", root)
    assert [c.label for c in found.clips] == ["sad"]
    assert [r.message.code for r in found.rejected] == ["reject_missing"]
    folder = tmp_path / "Session1/dialog/EmoEvaluation"
    folder.mkdir(parents=True)
    turn = f"Ses01F_{name.replace('/', '_')}_F000"
    (folder / "Ses01F_impro01.txt").write_text(f"[6.2901 - 8.2357]\t{turn}\tneu\t[2.5]\n")
    with refused("data_no_usable_first"):
        corpora.read("iemocap", tmp_path)


@pytest.mark.parametrize("label", [True, 3, 2.5, ["sad"], {"sad": 1}])
def test_what_is_no_text_is_no_label(label: object, tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "b.wav")
    rows = [{"file": "a.wav", "label": "sad"}, {"file": "b.wav", "label": label}]
    table = tmp_path / "manifest.jsonl"
    table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = corpora.read("manifest", table)
    assert [c.label for c in found.clips] == ["sad"]
    assert [r.message.code for r in found.rejected] == ["reject_label"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"name,label\na,b\n", "has the columns name, label; it needs"),
        (b"", "it needs"),
        (b"file,label\n\xff\xfe,happy\n", "is not UTF-8 text"),
        (b"file,label\nmissing.wav,happy\n", "No usable manifest clip"),
        (b"file,label\n,happy\na.wav,\n", "2 files rejected"),
    ],
)
def test_bad_manifests(text: bytes, words: str, tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    (tmp_path / "manifest.csv").write_bytes(text)
    with pytest.raises(DataError, match=words):
        corpora.read("manifest", tmp_path)


_text = st.text(string.ascii_letters + " ,;\"'äß情感/.", max_size=12)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(st.booleans(), _text, _text, _text), min_size=1, max_size=8))
def test_any_manifest_row_is_used_or_rejected(
    rows: list[tuple[bool, str, str, str]], tmp_path: Path
) -> None:
    touch(tmp_path, "a.wav")
    table = tmp_path / "manifest.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "speaker", "split"])
        for exists, label, speaker, part in rows:
            writer.writerow(["a.wav" if exists else "b.wav", label, speaker, part])
    try:
        found = corpora.read("manifest", table)
    except DataError as error:
        assert "rejected" in str(error)
        return
    assert len(found.clips) + len(found.rejected) == len(rows)
    assert all(c.label and c.split in ("", *corpora.SPLITS) for c in found.clips)
    assert all(": " in r.reason for r in found.rejected)


# What str.splitlines and Unicode take for the end of a line, and the csv module does not
_BREAKS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    notes=st.lists(st.text(f"ab,\"'{_BREAKS}\n", max_size=6), min_size=1, max_size=6),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_only_cr_and_lf_end_a_row(notes: list[str], end: str, quoting: Any, tmp_path: Path) -> None:
    assume(end != "\r" or "\n" not in "".join(notes))  # which the csv module would not quote
    touch(tmp_path, "a.wav")
    table = tmp_path / "manifest.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=end, quoting=quoting)
        writer.writerow(["note", "file", "label", "speaker"])
        writer.writerows([note, "a.wav", "sad", f"n{i}"] for i, note in enumerate(notes))
    found = corpora.read("manifest", table)
    assert [c.speaker.rsplit("-", 1)[1] for c in found.clips] == [
        f"n{i}" for i in range(len(notes))
    ]
    assert found.rejected == ()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_only_cr_and_lf_end_a_line_of_json(end: str, tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    rows = [
        {"file": "a.wav", "label": "sad", "speaker": f"n{i}", "note": f"a{mark}b"}
        for i, mark in enumerate(_BREAKS)
    ]
    lines = (json.dumps(row, ensure_ascii=False) + end for row in rows)
    (tmp_path / "manifest.jsonl").write_bytes("".join(lines).encode())
    found = corpora.read("manifest", tmp_path)
    assert [c.speaker.rsplit("-", 1)[1] for c in found.clips] == [row["speaker"] for row in rows]
    assert found.rejected == ()


def write_original(root: Path, labels: dict[str, list[str]], width: int = 6) -> Path:
    """The layout that the original scripts wrote, paths of another machine included."""
    (root / "features").mkdir(parents=True)
    rng = np.random.default_rng(0)
    number = 0
    for split, names in labels.items():
        entries = []
        for name in names:
            np.save(root / f"features/feat_{number}.npy", rng.normal(size=width).astype("float32"))
            path = f"/srv/elsewhere/data/processed/features/feat_{number}.npy"
            entries.append({"audio_feature_path": path, "text": "...", "label": name})
            number += 1
        (root / f"{split}.json").write_text(json.dumps(entries))
    return root


def test_original(tmp_path: Path) -> None:
    root = write_original(tmp_path / "a", {"train": ["happy", "surprise"], "valid": ["sad"]})
    found = corpora.read("original", root)
    assert [(c.label, c.split, c.language, c.speaker) for c in found.clips] == [
        ("happy", "train", "zh", ""),
        ("surprised", "train", "zh", ""),
        ("sad", "test", "zh", ""),
    ]
    assert found.encoder is not None
    assert (found.encoder.width, found.encoder.fingerprint) == (6, "")
    three = {"train": ["happy"], "valid": ["sad"], "test": ["angry"]}
    found = corpora.read("original", write_original(tmp_path / "b", three))
    assert [c.split for c in found.clips] == ["train", "valid", "test"]


def test_a_missing_label_of_the_original_is_missing(tmp_path: Path) -> None:
    root = write_original(tmp_path, {"train": ["happy", "sad"]})
    entries = json.loads((root / "train.json").read_text())
    entries[0]["label"] = float("nan")
    (root / "train.json").write_text(json.dumps(entries))
    found = corpora.read("original", root)
    assert [c.label for c in found.clips] == ["sad"]
    assert [r.message.code for r in found.rejected] == ["reject_no_label"]


def test_original_damaged(tmp_path: Path) -> None:
    root = write_original(tmp_path, {"train": ["happy"] * 6, "valid": ["sad"]})
    features = root / "features"
    np.save(features / "feat_1.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(features / "feat_2.npy", np.zeros((2, 3), np.float32))
    np.save(features / "feat_3.npy", np.full(6, np.nan, np.float32))
    np.save(features / "feat_4.npy", np.zeros(5, np.float32))
    (features / "feat_5.npy").unlink()
    found = corpora.read("original", root)
    assert len(found.clips) == 2
    kinds = ["unreadable", "not a feature", "not a feature", "not a feature", "file missing"]
    assert sorted(r.kind for r in found.rejected) == sorted(kinds)
    (root / "valid.json").write_text("{}")
    with pytest.raises(DataError, match="must hold a list"):
        corpora.read("original", root)
    (root / "train.json").write_text("[")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        corpora.read("original", root)


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of two rows saved by the datasets package, its sound as bytes."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    features = datasets.Features(
        {
            "audio": datasets.Audio(),
            "label": datasets.ClassLabel(names=["angry", "surprise"]),
            "speaker": datasets.Value("string"),
        }
    )
    rows = {
        "audio": [{"bytes": b"one", "path": "a.wav"}, {"bytes": b"two", "path": "b.wav"}],
        "label": [0, 1],
        "speaker": ["1", "2"],
    }
    table = datasets.Dataset.from_dict(rows).cast(features)
    table.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": table, "test": table}).save_to_disk(tmp_path / "both")
    table.to_parquet(tmp_path / "parquet" / "data" / "train-00000-of-00001.parquet")
    plain = datasets.Dataset.from_dict({**rows, "label": [0, 4]})
    plain.to_parquet(tmp_path / "plain" / "train.parquet")
    return tmp_path


def test_datasets_forms(stored: Path) -> None:
    for form in ("saved", "parquet"):
        found = corpora.read("datasets", stored / form)
        assert [c.label for c in found.clips] == ["angry", "surprised"]
        assert [c.speaker for c in found.clips] == [f"{form}-1", f"{form}-2"]
        assert [found.open(c) for c in found.clips] == [b"one", b"two"]
        assert found.stamp(found.clips[0])
        assert {c.split for c in found.clips} == {""}
    both = corpora.read("datasets", stored / "both")
    assert [c.split for c in both.clips] == ["train", "train", "test", "test"]
    assert len({c.path for c in both.clips}) == 4


def test_a_missing_label_of_a_data_set_is_missing(stored: Path) -> None:
    import datasets

    sounds = [{"bytes": b"x", "path": "x.wav"}] * 4
    words = ["sad", None, "nan", ""]
    rows = {"audio": sounds, "emotion": words, "speaker": [None, "1", "1", "1"]}
    datasets.Dataset.from_dict(rows).to_parquet(stored / "words" / "train.parquet")
    found = corpora.read("datasets", stored / "words")
    assert [(c.label, c.speaker) for c in found.clips] == [("sad", "")]
    assert [(r.message.code, r.path[-1]) for r in found.rejected] == [
        ("reject_no_label", row) for row in "123"
    ]
    numbers = {"audio": sounds, "label": [4.0, float("nan"), 0.5, None]}
    datasets.Dataset.from_dict(numbers).to_parquet(stored / "numbers" / "train.parquet")
    found = corpora.read("chiser5", stored / "numbers")
    assert [c.label for c in found.clips] == ["surprised"]
    codes = ["reject_no_label", "reject_label", "reject_no_label"]
    assert [r.message.code for r in found.rejected] == codes


def test_decoded_sound_of_a_data_set_is_read(stored: Path) -> None:
    import datasets

    tone = (0.5 * np.sin(np.arange(800) / 5)).tolist()
    sounds = [
        {"array": tone, "sampling_rate": 8000, "path": "gone.wav"},
        {"array": tone, "sampling_rate": None, "path": None},
        {"array": None, "sampling_rate": 8000, "path": None},
    ]
    rows = {"audio": sounds, "label": [1, 0, 1], "emotion": ["sad", "happy", "sad"]}
    table = datasets.Dataset.from_dict(rows)
    table.to_parquet(stored / "arrays" / "train.parquet")
    found = corpora.read("datasets", stored / "arrays")
    assert [c.label for c in found.clips] == ["sad", "happy", "sad"]
    heard = audio.load(found.open(found.clips[0]))
    assert (heard.source_rate, heard.seconds) == (8000, 0.1)
    for clip in found.clips[1:]:
        with pytest.raises(AudioError):
            audio.load(found.open(clip))
    stereo = [{"array": [tone, tone], "sampling_rate": 8000}]
    table = datasets.Dataset.from_dict({"audio": stereo, "label": ["sad"]})
    table.to_parquet(stored / "stereo" / "train.parquet")
    found = corpora.read("datasets", stored / "stereo")
    heard = audio.load(found.open(found.clips[0]))
    assert (heard.channels, heard.seconds) == (2, 0.1)


def test_chiser5_forms(stored: Path, tmp_path: Path) -> None:
    for form in ("parquet", "plain", "plain/train.parquet"):
        found = corpora.read("chiser5", stored / form)
        assert [c.label for c in found.clips] == ["angry", "surprised"]
        assert {(c.corpus, c.language) for c in found.clips} == {("chiser5", "zh")}
    sounds = touch(tmp_path / "sounds", "angry/1.wav", "surprise/2.wav")
    assert [c.label for c in corpora.read("chiser5", sounds).clips] == ["angry", "surprised"]
    (sounds / "metadata.csv").write_text("file_name,label\nangry/1.wav,angry\n")
    assert [c.label for c in corpora.read("chiser5", sounds).clips] == ["angry"]


def test_datasets_refused(stored: Path) -> None:
    import datasets

    datasets.Dataset.from_dict({"x": [1]}).save_to_disk(stored / "odd")
    with pytest.raises(DataError, match="has the columns x"):
        corpora.read("datasets", stored / "odd")
    loose = touch(stored / "loose", "angry/1.wav")
    with pytest.raises(DataError, match="use --corpus folder"):
        corpora.read("datasets", loose)


def test_a_data_set_of_loose_files_is_fetched_and_read(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    import huggingface_hub

    if importlib.util.find_spec("torchcodec"):
        pytest.skip("with torchcodec, datasets reads loose files itself")
    loose = touch(stored / "loose", "angry/1.wav", "sad/2.wav")
    load, asked = datasets.load_dataset, []

    def snapshot(id: str, **options: Any) -> str:
        asked.append((id, options["repo_type"], "*.wav" in options["allow_patterns"]))
        return str(loose)

    monkeypatch.setattr(datasets, "load_dataset", lambda _: load(str(loose)))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    found = corpora.read("datasets", "user/loose")
    assert [(clip.label, clip.corpus) for clip in found.clips] == [
        ("angry", "loose"),
        ("sad", "loose"),
    ]
    assert asked == [("user/loose", "dataset", True)]


@pytest.mark.parametrize(
    ("kind", "words"), [("silent", "hf download --repo-type dataset user/x"), ("none", "log in")]
)
def test_a_hub_that_gives_nothing_is_explained(
    kind: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    def load(_: str) -> None:
        if kind == "silent":
            raise ConnectionError("Couldn't reach 'user/x' on the Hub")
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'user/x' doesn't exist on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(DataError, match=words):
        corpora.read("datasets", "user/x")


def test_unknown_and_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Unknown corpus 'emodbb': use one of emodb, ased"):
        corpora.read("emodbb", tmp_path)
    with pytest.raises(DataError, match="does not exist: expected"):
        corpora.read("tess", tmp_path / "no")
    for name in corpora.NAMES:
        with pytest.raises(DataError) as caught:
            corpora.read(name, tmp_path)
        if name not in ("datasets",):
            assert corpora.expected(name) in str(caught.value)
    with pytest.raises(DataError, match="Say where tess is with --root"):
        corpora.default_root("tess")
