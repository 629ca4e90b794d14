"""EmoBox's metadata: its folds exactly, sound wherever it lies, nothing dropped unsaid."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiollm.errors import DataError
from tests import emobox as made
from tests.test_corpora import touch
from train import corpora
from train.corpora import Corpus, Options, emobox, lookup
from train.data.splits import split

STEMS = [Path(row["wav"]).stem for row in made.rows()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return made.write(tmp_path / "EmoBox" / "data" / "emovo")


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """Another format than EmoBox has, and no folders."""
    return touch(tmp_path / "audio", *(f"{stem}.flac" for stem in STEMS))


def read(root: Path, audio: Path | None, fold: int | None = 1) -> Corpus:
    return corpora.read("emobox", root, Options(audio=audio, emobox_fold=fold))


def stems(corpus: Corpus, name: str) -> set[str]:
    return {Path(c.path).stem for c in split(corpus.clips, valid=0).clips if c.split == name}


@pytest.mark.parametrize("fold", range(1, 7))
def test_a_fold_is_exactly_that_of_its_files(fold: int, root: Path, audio: Path) -> None:
    found = read(root, audio, fold)
    assert (len(found.clips), found.rejected) == (len(STEMS), ())
    for name in ("train", "test"):
        lines = (root / f"fold_{fold}/emovo_{name}_fold_{fold}.jsonl").read_text().splitlines()
        assert stems(found, name) == {Path(json.loads(line)["wav"]).stem for line in lines}
    assert not stems(found, "valid")
    (note,) = found.notes
    assert (note.code, note.values) == ("note_emobox_fold", {"corpus": "emovo", "fold": fold})


def test_clips_are_those_of_the_corpus_itself(root: Path, audio: Path) -> None:
    """Label, speaker, language, name of the corpus: as `--corpus emovo` reads the same files."""
    plain = {c.path: (c.label, c.speaker, c.language) for c in corpora.read("emovo", audio).clips}
    for fold in (None, 1):
        found = read(root, audio, fold)
        assert found.name == "emovo"
        assert {c.path: (c.label, c.speaker, c.language) for c in found.clips} == plain
        assert {(c.corpus, c.seconds) for c in found.clips} == {("emovo", 2.5)}
    assert {c.split for c in read(root, audio, None).clips} == {""}


def test_a_valid_table_is_kept(root: Path, audio: Path) -> None:
    made.table(root / "fold_1/emovo_train_fold_1.jsonl", made.rows(made.SPEAKERS[2:]))
    made.table(root / "fold_1/emovo_valid_fold_1.jsonl", made.rows(["f2"]))
    found = read(root, audio)
    assert stems(found, "valid") == {Path(row["wav"]).stem for row in made.rows(["f2"])}


def test_a_fold_that_shares_speakers_is_kept_only_when_asked(root: Path, audio: Path) -> None:
    every = made.rows()
    made.table(root / "fold_1/emovo_train_fold_1.jsonl", every[::2])
    made.table(root / "fold_1/emovo_test_fold_1.jsonl", every[1::2])
    found = read(root, audio)
    with pytest.raises(DataError, match="--split given"):
        split(found.clips, valid=0)
    done = split(found.clips, valid=0, by="given")
    assert len(done.shared) == 6
    assert "note_shared" in [note.code for note in done.notes]


def test_sound_beside_the_metadata_needs_no_option(root: Path) -> None:
    touch(root.parent.parent, *(row["wav"] for row in made.rows()))
    assert len(read(root, None).clips) == len(STEMS)


def test_missing_sound_is_listed_and_counted(root: Path, audio: Path) -> None:
    for stem in ("gio-f1-b1", "tri-f1-b2", "gio-m3-b1"):
        (audio / f"{stem}.flac").unlink()
    touch(audio, "more/tri-m2-b1.wav")
    found = read(root, audio)
    assert len(found.clips) == len(STEMS) - 4
    reasons = {
        Path(r.path).stem: (r.kind, r.reason.endswith("(test clip)")) for r in found.rejected
    }
    assert reasons == {
        "gio-f1-b1": ("file missing", True),
        "tri-f1-b2": ("file missing", True),
        "gio-m3-b1": ("file missing", False),
        "tri-m2-b1": ("ambiguous file", False),
    }
    text = " ".join(map(str, found.notes))
    assert "2 of 20 train clips of EmoBox are not here" in text
    assert "2 of 4 test clips of EmoBox are not here" in text


def test_labels(root: Path, audio: Path) -> None:
    rows = made.rows()
    rows[0]["emo"] = "xyz"
    made.table(root / "emovo.jsonl", rows)
    (rejected,) = read(root, audio, None).rejected
    assert rejected.kind == "label not understood"
    codes = {"gio": "Angry", "tri": "Surprise", "xyz": "pain, groan"}
    (root / "label_map.json").write_text(json.dumps(codes))
    found = read(root, audio, None)
    assert {c.label for c in found.clips} == {"angry", "surprised"}
    assert [r.kind for r in found.rejected] == ["label not understood"]
    for broken in ("[]", "{", '{"gio": 1}', "[" * 5000):
        (root / "label_map.json").write_text(broken)
        with pytest.raises(DataError, match=r"label_map\.json is not a JSON object of words"):
            read(root, audio, None)


def test_another_data_set(tmp_path: Path) -> None:
    """Codes are words, speakers are known from the convention of that corpus, or not at all."""
    names = {"casia": "casia/liuchanhg/angry/201.wav", "odd": "odd/a/1.wav", "cremad": "x/y.wav"}
    for name, wav in names.items():
        root, audio = tmp_path / name, touch(tmp_path / "audio", wav)
        made.table(root / f"{name}.jsonl", [{"wav": f"downloads/{wav}", "emo": "fear"}])
        (clip,) = read(root, audio, None).clips
        wanted = {
            "casia": ("casia", "casia-liuchanhg", "zh"),
            "odd": ("odd", "", None),
            "cremad": ("crema-d", "", "en"),
        }
        assert (clip.corpus, clip.speaker, clip.language) == wanted[name]
        assert clip.label == "fearful"


GOOD = '{"wav": "a/b.wav", "emo": "gio"}'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        ("[" * 9000, "is not a JSON object"),
        ('{"wav": 1, "emo": "gio"}', "has no text as 'wav'"),
        ('{"wav": "a.wav", "emo": 3}', "has no text as 'emo'"),
        ('{"wav": "/etc/passwd.wav", "emo": "gio"}', "not a path inside a folder"),
        ('{"wav": "a/../../b.wav", "emo": "gio"}', "not a path inside a folder"),
        ('{"wav": "..\\\\b.wav", "emo": "gio"}', "not a path inside a folder"),
        ('{"wav": "C:/b.wav", "emo": "gio"}', "not a path inside a folder"),
        ('{"wav": ".", "emo": "gio"}', "not a path inside a folder"),
        (GOOD, "lists 'a/b.wav' again, after .*line 1"),
        ('{"wav": "' + "a" * 70_000 + '", "emo": "gio"}', "at most 500000 lines of 64 kB"),
    ],
)
def test_hostile_lines(line: str, said: str, root: Path, audio: Path) -> None:
    made.table(root / "emovo.jsonl", [GOOD, "", line])
    with pytest.raises(DataError, match=rf"emovo\.jsonl line 3.*{said}"):
        read(root, audio, None)


@pytest.mark.parametrize("nothing", [None, float("nan"), "", " ", "nan", "NULL"])
def test_a_row_without_an_emotion_is_rejected_and_counted(
    nothing: object, root: Path, audio: Path
) -> None:
    rows = made.rows(made.SPEAKERS[1:])
    made.table(root / "fold_1/emovo_train_fold_1.jsonl", [{**rows[0], "emo": nothing}, *rows[1:]])
    found = read(root, audio)
    assert [(r.message.code, r.path) for r in found.rejected] == [
        ("reject_no_label", rows[0]["wav"])
    ]
    assert len(found.clips) == len(STEMS) - 1
    values = [note.values for note in found.notes if note.code == "note_emobox_missing"]
    assert [(v["n"], v["all"], v["split"]) for v in values] == [(1, len(rows), "train")]


def test_limits(root: Path, audio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emobox, "MOST_LINES", 5)
    with pytest.raises(DataError, match="line 6: a table of EmoBox's has at most 5 lines"):
        read(root, audio, None)
    monkeypatch.setattr(emobox, "LARGEST", 1 << 10)
    with pytest.raises(DataError, match="is larger than"):
        read(root, audio, None)


def test_what_is_not_there(root: Path, audio: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no fold 7: --emobox-fold can be 1, 2, 3, 4, 5, 6"):
        read(root, audio, 7)
    with pytest.raises(DataError, match="say with --audio DIR where the recordings of emovo are"):
        read(root, tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"No EmoBox fold in .*expected emovo"):
        read(audio, audio)
    (root / "fold_2/emovo_test_fold_2.jsonl").unlink()
    with pytest.raises(DataError, match=r"emovo_test_fold_2\.jsonl cannot be read"):
        read(root, audio, 2)
    touch(root, "fold_3/other_train_fold_3.jsonl")
    with pytest.raises(DataError, match=r"has 2 files like NAME_train_fold_3\.jsonl"):
        read(root, audio, 3)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.one_of(
            st.text(max_size=30),
            st.fixed_dictionaries(
                {
                    "wav": st.text(st.sampled_from("ab./\\-_: \0é"), max_size=9) | st.none(),
                    "emo": st.sampled_from(["gio", "", 3]),
                    "length": st.none() | st.floats() | st.integers(),
                }
            ),
        ),
        max_size=4,
    )
)
def test_any_table_is_read_or_refused_in_words(
    rows: list[Any], root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    audio = touch(tmp_path_factory.getbasetemp() / "any", "a/b.wav", "é.wav", "b-a.wav")
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    (root / "emovo.jsonl").write_text(text, encoding="utf-8")
    try:
        found = read(root, audio, None)
    except DataError:
        return
    assert found.clips
    assert all(Path(c.path).is_relative_to(audio) and c.seconds >= 0 for c in found.clips)


def test_files_are_found_in_other_folders_and_flattened(tmp_path: Path) -> None:
    wanted = [f"casia/{who}/angry/{n}.wav" for who in ("liuchanhg", "wangzhe") for n in (201, 202)]
    for number, names in enumerate(
        (
            wanted,
            [name.replace(".wav", ".FLAC") for name in wanted],
            [name.removeprefix("casia/").replace("/", "-") for name in wanted],
            [name.replace("casia/", "CASIA/database/") for name in wanted],
            [name.replace("casia/", "").title().replace(".Wav", ".wav") for name in wanted],
        )
    ):
        root = touch(tmp_path / str(number), *names)
        assert lookup.find(wanted, root) == [root / name for name in names]


def test_no_guess_is_made(tmp_path: Path) -> None:
    wanted = ["casia/liuchanhg/angry/201.wav", "casia/wangzhe/angry/201.wav"]
    root = touch(tmp_path / "one", "wangzhe/angry/201.wav")
    missing, found = lookup.find(wanted, root)
    assert str(missing).startswith("file missing: 201.wav is that of another clip")
    assert found == root / "wangzhe/angry/201.wav"
    both = lookup.find(wanted, touch(tmp_path / "flat", "201.wav"))
    assert all(str(reason).startswith("ambiguous file: 201.wav could be") for reason in both)
    alike = lookup.find(wanted[:1], touch(tmp_path / "two", "a/201.wav", "b/201.wav"))
    assert "2 could be meant, among them a/201.wav, b/201.wav" in str(alike[0])
    assert str(lookup.find(["x/a-b.wav"], touch(tmp_path / "c", "noisy-a-b.wav"))[0]).startswith(
        "file missing: nothing below"
    )
