"""Splits keep speakers and sounds apart; a prepared folder is read back or refused in words."""

import json
import random
import shlex
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiollm.contracts.prepared import read_rejected, write_prepared
from audiollm.errors import DataError
from audiollm.labels import LANGUAGES
from tests.codes import coded
from train.corpora import SPLITS, Clip, Rejected
from train.data.dataset import load_prepared
from train.data.features import FeatureWriter
from train.data.splits import SplitResult, check_leaks, split, without_copies
from train.data.summary import summarise
from train.fit import runs

CLASSES = ("angry", "happy", "sad")


def clips_of(
    speakers: int, each: int = 6, corpus: str = "c", classes: tuple[str, ...] = CLASSES
) -> list[Clip]:
    return [
        Clip(
            path=f"{corpus}/{s}/{i}.wav",
            label=classes[i % len(classes)],
            speaker=f"{corpus}-{s:02d}",
            corpus=corpus,
            id=f"{corpus}{s}:{i}",
        )
        for s in range(speakers)
        for i in range(each)
    ]


def unknown(clips: list[Clip]) -> list[Clip]:
    return [replace(c, speaker="") for c in clips]


def codes(done: SplitResult) -> list[str]:
    return [note.code for note in done.notes]


def sides(clips: tuple[Clip, ...] | list[Clip]) -> dict[str, set[str]]:
    """Speaker -> the sides where it stands."""
    found: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        found[clip.speaker].add(clip.split)
    return found


def test_split_by_speaker() -> None:
    clips = clips_of(20)
    done = split(clips, seed=3)
    assert all(len(s) == 1 for s in sides(done.clips).values())
    counts = {side: sum(c.split == side for c in done.clips) for side in SPLITS}
    assert counts == {"train": 78, "valid": 18, "test": 24}
    assert {(c.split, c.label) for c in done.clips} == {(s, k) for s in SPLITS for k in CLASSES}
    assert (done.notes, done.shared) == ((), frozenset())
    assert [replace(c, split="") for c in done.clips] == clips  # order and content are kept


def test_split_depends_on_seed_not_on_order() -> None:
    clips = clips_of(20)
    shuffled = random.Random(1).sample(clips, len(clips))
    assert set(split(clips).clips) == set(split(shuffled).clips)
    tests = {
        frozenset(c.speaker for c in split(clips, s).clips if c.split == "test") for s in range(9)
    }
    assert len(tests) > 4


@settings(max_examples=60, deadline=None)
@given(
    voices=st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from(CLASSES)), min_size=1, max_size=60
    ),
    seed=st.integers(0, 99),
    valid=st.sampled_from([0.0, 0.1, 0.15, 0.4]),
    test=st.sampled_from([0.0, 0.2, 0.5]),
)
def test_nobody_stands_on_two_sides(
    voices: list[tuple[int, str]], seed: int, valid: float, test: float
) -> None:
    clips = [
        Clip(f"{i}.wav", label, f"c-{speaker}", corpus="c", id=str(i))
        for i, (speaker, label) in enumerate(voices)
    ]
    speakers = len({speaker for speaker, _ in voices})
    try:
        done = split(clips, seed, valid, test)
    except DataError as error:
        assert speakers < 3 or error.code == "data_one_class", error
        return
    both = {s for s, on in sides(done.clips).items() if len(on) > 1}
    assert both == done.shared
    assert not both or speakers < 3
    tested = {c.speaker for c in done.clips if c.split == "test"}
    assert not tested & {c.speaker for c in done.clips if c.split != "test"}
    wanted = {"train"} | ({"valid"} if valid else set()) | ({"test"} if test else set())
    assert {c.split for c in done.clips} == wanted
    for side in wanted:  # a class that is missing somewhere is said
        for label in {label for _, label in voices} - {
            c.label for c in done.clips if c.split == side
        }:
            assert any(
                label in note.values["labels"] and side == note.values["split"]
                for note in done.notes
                if note.code == "note_absent"
            )


@settings(max_examples=60, deadline=None)
@given(speakers=st.integers(3, 12), folds=st.integers(3, 12), seed=st.integers(0, 9))
def test_folds_test_everybody_once(speakers: int, folds: int, seed: int) -> None:
    clips = clips_of(speakers)
    if folds > speakers:
        with pytest.raises(DataError, match=f"has {speakers} speakers, too few for {folds}"):
            split(clips, seed, folds=folds)
        return
    tested: list[str] = []
    for fold in range(folds):
        done = split(clips, seed, folds=folds, fold=fold)
        assert all(len(s) == 1 for s in sides(done.clips).values())
        assert {c.split for c in done.clips} == set(SPLITS)
        tested += {c.speaker for c in done.clips if c.split == "test"}
        following = split(clips, seed, folds=folds, fold=(fold + 1) % folds)
        assert {c.speaker for c in done.clips if c.split == "valid"} == {
            c.speaker for c in following.clips if c.split == "test"
        }
        alone = split(clips, seed, valid=0, folds=folds, fold=fold)  # nobody validates
        assert [c.split == "test" for c in alone.clips] == [c.split == "test" for c in done.clips]
        assert {c.split for c in alone.clips} == {"test", "train"}
    assert sorted(tested) == sorted({c.speaker for c in clips})


def test_whoever_would_validate_may_train_while_the_same_clips_test() -> None:
    clips = clips_of(8)
    plain, more = split(clips), split(clips, train_on_valid=True)
    turned = {"train": "train", "valid": "train", "test": "test"}
    assert [turned[c.split] for c in plain.clips] == [c.split for c in more.clips]
    assert "note_no_validation" in codes(more)


def test_a_whole_corpus_may_test() -> None:
    both = [*clips_of(8), *clips_of(5, corpus="d")]
    done = split(both, test_corpus=["d"], train_on_valid=True).clips
    assert {c.split for c in done if c.corpus == "d"} == {"test"}
    assert {c.split for c in done if c.corpus == "c"} == {"train"}
    some = split(both, test_corpus=["d"]).clips
    assert {c.split for c in some if c.corpus == "c"} == {"train", "valid"}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"test_corpus": ["e"]}, "e is none of"),
        ({"test_corpus": ["c", "d"]}, "nobody to train on"),
        ({"test_corpus": ["d"], "folds": 4}, "leave --folds out"),
    ],
)
def test_a_corpus_that_cannot_test(how: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        split([*clips_of(8), *clips_of(5, corpus="d")], **how)


def test_a_class_that_few_speakers_have_reaches_every_side() -> None:
    clips = clips_of(10)
    rare = [replace(c, label="bored", id=f"r{c.id}") for c in clips_of(3, each=2)]
    for seed in range(5):
        done = split(clips + rare, seed)
        assert {c.split for c in done.clips if c.label == "bored"} == set(SPLITS)


def test_few_speakers() -> None:
    done = split(clips_of(3))
    assert sorted(side for s in sides(done.clips).values() for side in s) == sorted(SPLITS)
    assert (done.notes[0].code, done.notes[0].values["n"]) == ("note_few_speakers", 3)
    two = split(clips_of(2, each=30))
    (shared,) = two.shared
    assert sorted(map(sorted, sides(two.clips).values())) == [["test"], ["train", "valid"]]
    assert (two.notes[0].code, two.notes[0].values["other"]) == ("note_two_speakers", shared)
    with pytest.raises(DataError, check=coded("data_empty_random")):
        split(clips_of(1, each=2), by="random")  # not advised again
    with pytest.raises(DataError, check=coded("data_empty_split")):
        split(clips_of(1))
    joined = split(clips_of(1, corpus="a") + clips_of(5, corpus="b"))
    assert sides(joined.clips)["a-00"] == {"train"}
    assert "note_one_speaker" in codes(joined)


def test_unknown_speakers_need_random() -> None:
    clips = unknown(clips_of(5, each=20))
    with pytest.raises(DataError, check=coded("data_unknown_speakers")):
        split(clips)
    done = split(clips, by="random")
    assert {(c.split, c.label) for c in done.clips} == {(s, k) for s in SPLITS for k in CLASSES}
    assert codes(done) == ["note_random"]
    known = split(clips_of(5, each=20), by="random")
    assert known.shared
    folds = [split(clips, by="random", folds=4, fold=i) for i in range(4)]
    tested = [c.path for f in folds for c in f.clips if c.split == "test"]
    assert sorted(tested) == sorted(c.path for c in clips)


def given_split(clips: list[Clip], **where: str) -> list[Clip]:
    """Sides by speaker number: given_split(clips, s00="train", ...)."""
    return [replace(c, split=where[f"s{c.speaker[-2:]}"]) for c in clips]


def test_given_split_is_kept() -> None:
    clips = given_split(clips_of(3), s00="test", s01="train", s02="valid")
    done = split(clips)
    assert list(done.clips) == clips
    assert codes(done) == ["note_given"]
    with pytest.raises(DataError, check=coded("data_no_own_split")):
        split(clips_of(3), by="given")
    remade = split(clips, by="speaker", seed=1)
    assert all(len(s) == 1 for s in sides(remade.clips).values())


def test_given_split_without_a_valid_side() -> None:
    clips = given_split(clips_of(4), s00="train", s01="train", s02="train", s03="test")
    done = split(clips)
    assert {c.speaker for c in done.clips if c.split == "test"} == {"c-03"}
    assert len({c.speaker for c in done.clips if c.split == "valid"}) == 1
    assert not done.shared
    assert "note_valid_by_speaker" in codes(done)


def test_given_split_of_the_original_project() -> None:
    """train.json and valid.json, no speakers: valid becomes test, some of train valid."""
    clips = unknown(given_split(clips_of(2, each=30), s00="train", s01="valid"))
    done = split(clips)
    assert [c.split for c in done.clips[30:]] == ["test"] * 30
    assert {(c.split, c.label) for c in done.clips[:30]} == {
        (s, k) for s in ("train", "valid") for k in CLASSES
    }
    assert "note_speakers_unknown" in codes(done)


def test_given_split_that_leaks() -> None:
    parts = ("train", "valid", "train", "test", "train", "test")
    clips = [replace(c, split=parts[i % 6]) for i, c in enumerate(clips_of(6))]
    with pytest.raises(DataError, match="c-00, c-01, c-02 and 3 more speakers"):
        split(clips)
    done = split(clips, by="given")
    assert len(done.shared) == 6
    assert "note_shared" in codes(done)


def test_given_split_that_is_incomplete() -> None:
    with pytest.raises(DataError, check=coded("data_split_without")):
        split([replace(c, split="train" if i % 2 else "") for i, c in enumerate(clips_of(6))])
    with pytest.raises(DataError, check=coded("data_split_no_train")):
        split(given_split(clips_of(2), s00="test", s01="valid"))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"valid": 0.5, "test": 0.5}, "leave something to train on"),
        ({"test": -0.1}, "must be 0 or more"),
        ({"valid": float("nan")}, "must be 0 or more"),
        ({"folds": 2}, "--folds must be 3 or more"),
        ({"folds": 1, "valid": 0}, "--folds must be 2 or more"),
        ({"folds": 4, "fold": 4}, "--fold must be 0 to 3"),
    ],
)
def test_numbers_that_are_off(numbers: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        split(clips_of(6), **numbers)


def test_leaks_are_found() -> None:
    a = Clip("a.wav", "sad", "s1", split="train", id="1")
    check_leaks([a, replace(a, path="b.wav", id="2")])
    with pytest.raises(DataError, check=coded("data_leak_speakers")):
        check_leaks([a, replace(a, split="test", id="2")])
    check_leaks([a, replace(a, split="test", id="2")], allowed={"s1"})
    with pytest.raises(DataError, match=r"b\.wav \(test\) is the same sound as a\.wav \(train\)"):
        check_leaks([a, replace(a, path="b.wav", split="test", speaker="s2")])


def test_copies_are_rejected() -> None:
    a = Clip("a.wav", "sad", id="1")
    same, other = replace(a, path="b.wav"), replace(a, path="c.wav", label="happy")
    kept, rejected = without_copies([a, same, other, replace(a, path="d.wav", id="2")])
    assert [c.path for c in kept] == ["a.wav", "d.wav"]
    assert rejected == (
        Rejected.of("b.wav", "reject_copy", path="a.wav"),
        Rejected.of("c.wav", "reject_copy_other_label", path="a.wav"),
    )


def prepared(folder: Path, clips: list[Clip]) -> Path:
    with FeatureWriter(folder / "features", "abc") as writer:
        for clip in clips:
            writer.add(clip.id, utterance=np.ones(4, np.float32))
    encoder = {"id": "tiny", "width": 4, "fingerprint": "abc"}
    info = {"corpus": "c", "classes": list(CLASSES), "encoder": encoder}
    refused = [Rejected.of("x.wav", "reject_no_speech", error="silence")]
    write_prepared(folder, info, clips, refused, summarise(clips, refused))
    return folder


def test_prepared_folder(tmp_path: Path) -> None:
    clips = [replace(c, cues={"pitch_hz": None}, language="zh") for c in split(clips_of(5)).clips]
    found = load_prepared(prepared(tmp_path, clips))
    assert list(found.clips) == clips
    assert found.classes == CLASSES
    assert (found.encoder.id, found.encoder.width, found.info["format"]) == ("tiny", 4, 1)
    assert [c for side in SPLITS for c in found.split(side)]
    assert all(c.split == "valid" for c in found.split("valid"))
    assert found.store.get(clips[0].id).utterance.shape == (4,)
    with pytest.raises(DataError, match="no split 'dev': use one of train, valid, test"):
        found.split("dev")
    rows = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    about = {"code": "reject_no_speech", "values": {"error": "silence"}}
    assert rows == [{"path": "x.wav", "reason": "no speech: silence", **about}]
    assert read_rejected(tmp_path)[0].message.in_language("zh") == "没有检测到语音：silence"
    (tmp_path / "rejected.jsonl").write_text('{"path": "x.wav", "reason": "no speech: old"}\n')
    assert read_rejected(tmp_path)[0].message.in_language("zh") == "no speech: old"


def test_commands_in_refusals_are_quoted_for_the_shell(tmp_path: Path) -> None:
    folder = tmp_path / "my data; rm"
    shutil.copytree(Path(__file__).parent / "fixtures" / "d8e5a93" / "stopped", folder)

    reads: dict[str, Callable[[], object]] = {
        "--out": lambda: load_prepared(folder),
        "--resume": lambda: runs.read(folder, finished=True),
    }
    for option, read in reads.items():
        with pytest.raises(DataError) as caught:
            read()
        for language in LANGUAGES:
            rest = caught.value.in_language(language).partition(f"{option} ")[2]
            assert shlex.split(rest)[0].rstrip("`.") == str(folder)


def test_prepared_folder_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a prepared data folder: make it with python"):
        load_prepared(tmp_path)
    folder = prepared(tmp_path / "a", list(split(clips_of(5)).clips))
    table, info = folder / "clips.jsonl", folder / "prepare.json"
    lines, text = table.read_text(), info.read_text()
    for broken in ("[1]\n", "{\n", '{"id": 3}\n', lines.replace('"train"', '"tarin"')):
        table.write_text(broken)
        with pytest.raises(DataError, match=r"clips\.jsonl line 1"):
            load_prepared(folder)
    table.write_text(lines + lines.splitlines()[0].replace('"c0:0"', '"new"') + "\n")
    with pytest.raises(DataError, match="lacks the features of 1 of 31 clips"):
        load_prepared(folder)
    table.write_text(lines)
    for broken, words in (
        (text.replace('"format": 1', '"format": 9'), "has format 9"),
        (text.replace('"width": 4', '"width": 0'), "is damaged .*width"),
        ("", "is not a JSON object"),
    ):
        info.write_text(broken)
        with pytest.raises(DataError, match=words):
            load_prepared(folder)
