"""Who tests: folds of several corpora at once, whole corpora, speakers by name."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiollm import labels
from audiollm.errors import DataError
from tests.test_dataset import clips_of
from train.corpora import Clip
from train.data.plan import parse_folds, parse_names
from train.data.splits import split

FIVE = {"ased": 9, "casia": 3, "emodb": 8, "emovo": 6, "nemo": 7}  # corpus -> speakers
OWN = {"ased": ("fearful",), "casia": ("surprised",), "emodb": ("bored", "disgusted")}


def five() -> list[Clip]:
    """Five corpora, each with classes of its own besides those of all."""
    common = ("angry", "happy", "neutral", "sad")
    return [
        clip
        for corpus, speakers in FIVE.items()
        for clip in clips_of(speakers, 6, corpus, (*common, *OWN.get(corpus, ())))
    ]


def speakers(clips: Sequence[Clip], name: str, corpus: str = "") -> set[str]:
    """Those in a split."""
    return {c.speaker for c in clips if c.split == name and corpus in ("", c.corpus)}


def test_each_corpus_tests_its_own_folds_and_then_trains() -> None:
    clips, folds = five(), dict(FIVE, ased=5)
    tested: list[str] = []
    for fold in range(max(folds.values())):
        done = split(clips, valid=0, folds=folds, fold=fold).clips
        for corpus, count in folds.items():
            found = speakers(done, "test", corpus)
            assert bool(found) == (fold < count)
            tested += found
            if fold < count:  # as the corpus alone is parted
                alone = [c for c in clips if c.corpus == corpus]
                same = split(alone, valid=0, folds=count, fold=fold).clips
                assert speakers(same, "test") == found
        assert not speakers(done, "valid")
    assert sorted(tested) == sorted({c.speaker for c in clips})


def test_a_corpus_without_that_fold_validates_as_configured() -> None:
    done = split(five(), folds=FIVE, fold=8).clips
    assert {c.corpus for c in done if c.split == "test"} == {"ased"}
    assert {c.corpus for c in done if c.split == "valid"} == set(FIVE)


def test_folds_of_each_take_the_place_of_a_split_that_a_corpus_brings() -> None:
    clips = [replace(c, split="test" if c.corpus == "emodb" else "") for c in five()]
    assert {c.split for c in split(clips, valid=0, folds=FIVE, fold=8).clips[-9:]} == {"train"}


@pytest.mark.parametrize(
    ("folds", "fold", "said"),
    [
        ({**FIVE, "meld": 5}, 0, "--folds names meld, none of the corpora"),
        ({"emodb": 8, "ased": 5, "nemo": 7, "emovo": 6}, 0, "says nothing of casia: .*casia=5"),
        ({**FIVE, "casia": 2}, 0, "--folds must be 3 or more, not 2"),
        ({**FIVE, "casia": 4}, 0, "casia has 3 speakers, too few for 4 folds"),
        (FIVE, 9, "--fold must be 0 to 8, not 9"),
        (FIVE, -1, "--fold must be 0 to 8, not -1"),
    ],
)
def test_folds_that_cannot_be(folds: dict[str, int], fold: int, said: str) -> None:
    with pytest.raises(DataError, match=said):
        split(five(), folds=folds, fold=fold)


corpus_names = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(corpus_names, st.integers(1, 999), min_size=1, max_size=6))
def test_folds_are_read_back(folds: dict[str, int]) -> None:
    assert parse_folds(",".join(f"{name}={k}" for name, k in folds.items())) == folds
    assert parse_folds(str(next(iter(folds.values())))) == next(iter(folds.values()))


@pytest.mark.parametrize(
    "text", ["", "emodb", "emodb=", "emodb=0", "emodb=-1", "emodb=x", "emodb=8,", "a=3,a=4", "1.5"]
)
def test_folds_that_are_no_folds(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no number of folds"):
        parse_folds(text)


@settings(max_examples=100, deadline=None)
@given(st.text("ab=,18 -", max_size=12))
def test_any_text_of_folds_is_read_or_refused(text: str) -> None:
    try:
        found = parse_folds(text)
    except argparse.ArgumentTypeError:
        return
    assert isinstance(found, int) or min(found.values()) > 0


@pytest.mark.parametrize("tested", FIVE)
def test_any_of_five_corpora_may_test(tested: str) -> None:
    done = split(five(), test_corpus=[tested]).clips
    assert {c.corpus for c in done if c.split == "test"} == {tested}
    assert {c.split for c in done if c.corpus == tested} == {"test"}
    assert {c.corpus for c in done if c.split == "train"} == set(FIVE) - {tested}
    assert len(labels.ordered(c.label for c in done)) == 8  # the classes of all corpora


def brings_a_split(clips: list[Clip]) -> list[Clip]:
    """The first speaker of `emodb` tests, the second validates, as the corpus has it."""
    own = {"emodb-00": "test", "emodb-01": "valid"}
    named = {c.speaker: "train" for c in clips if c.corpus == "emodb"} | own
    return [replace(c, split=named.get(c.speaker, "")) for c in clips]


@pytest.mark.parametrize("how", [{"test_corpus": ["nemo"]}, {"test_speakers": ["nemo-03"]}])
def test_nobody_else_tests_even_where_a_corpus_brings_a_split(how: dict[str, Any]) -> None:
    done = split(brings_a_split(five()), **how).clips
    assert {c.corpus for c in done if c.split == "test"} == {"nemo"}
    assert speakers(done, "valid", "emodb") == {"emodb-01"}
    only_valid = [replace(c, split=c.split.replace("test", "train")) for c in done]
    again = split([c for c in only_valid if c.corpus != "casia"], **how).clips
    assert {c.corpus for c in again if c.split == "test"} == {"nemo"}


def test_named_speakers_test_and_all_others_train() -> None:
    wanted = {"emodb-03", "emodb-05", "casia-01"}
    done = split(five(), valid=0, test_speakers=sorted(wanted))
    assert speakers(done.clips, "test") == wanted
    assert not speakers(done.clips, "valid")
    note = next(n for n in done.notes if n.code == "note_only_test")
    assert note.values["speakers"] == "casia-01, emodb-03, emodb-05"
    some = split(five(), test_speakers=sorted(wanted)).clips
    assert speakers(some, "test") == wanted
    assert {c.corpus for c in some if c.split == "valid"} >= {"emodb", "ased", "nemo"}
    more = split(five(), train_on_valid=True, test_speakers=sorted(wanted)).clips
    assert {c.split for c in more if c.speaker not in wanted} == {"train"}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"test_speakers": ["emodb-3"]}, "--test-speakers emodb-3: no speaker has that name"),
        ({"test_speakers": ["emodb-03"], "folds": 3}, "leave --folds and --test-corpus out"),
        ({"test_speakers": ["emodb-03"], "folds": FIVE}, "leave --folds and --test-corpus out"),
        ({"test_speakers": ["emodb-03"], "test_corpus": ["nemo"]}, "leave --folds and"),
        ({"test_corpus": ["nemo"], "folds": FIVE}, "leave --folds out"),
    ],
)
def test_speakers_who_cannot_test(how: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        split(five(), **how)


def test_somebody_must_train() -> None:
    with pytest.raises(DataError, match="train split is empty"):
        split(clips_of(2), valid=0, test_speakers=["c-00", "c-01"])


def test_names_of_speakers() -> None:
    assert parse_names(" emodb-13, nemo-eb0 ,") == ["emodb-13", "nemo-eb0"]
    with pytest.raises(argparse.ArgumentTypeError, match="at least one name"):
        parse_names(" , ")
