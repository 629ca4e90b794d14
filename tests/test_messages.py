"""What the commands write about recordings is shown in the reader's language."""

from pathlib import Path

import pytest

from audiollm.contracts.insight import Group, Insight
from audiollm.contracts.messages import Message
from audiollm.contracts.prepared import Clip, Rejected
from audiollm.errors import AudioError, DataError
from audiollm.texts import TEXTS
from audiollm.web.train import recordings_view
from train.data.splits import split


def test_every_reason_has_a_kind_in_every_language() -> None:
    codes = [code for code in TEXTS if code.startswith("reject_") and code != "reject_emobox"]
    assert len(codes) > 20
    for code in codes:
        assert ": " in TEXTS[code]["en"] and "：" in TEXTS[code]["zh"]


def test_a_reason_and_its_kind() -> None:
    reason = Message.of("reject_too_long", seconds="130", most="120")
    assert str(reason) == "too long: 130 s of at most 120"
    assert reason.in_language("zh") == "过长：130 秒，最多 120 秒"
    assert (reason.kind("en"), reason.kind("zh")) == ("too long", "过长")


@pytest.mark.parametrize("error", [AudioError("some old sentence"), DataError("data_no_sound")])
def test_an_error_inside_a_message_is_in_the_same_language(error: AudioError) -> None:
    message = Message.of("reject_no_speech", error=error)
    again = Message.read(message.to_dict())
    assert again.text == message.text and str(error) in again.text
    assert again.in_language("zh") == f"没有检测到语音：{error.in_language('zh')}"
    assert again.to_error(DataError).code == "reject_no_speech"


def test_classes_are_named_in_the_readers_language() -> None:
    message = Message.of("note_absent", labels=["angry", "sad"], split="test")
    assert message.text == "no clip of angry, sad in the test split"
    assert Message.read(message.to_dict()).in_language("zh") == "test 部分没有生气、难过的录音"


def test_a_sentence_of_an_older_version_stays_as_it_was() -> None:
    for raw in ("an old note", {"text": "an old note", "code": "gone", "values": {"n": 1}}):
        assert Message.read(raw).in_language("zh") == "an old note"
    with pytest.raises(ValueError, match="no message"):
        Message.read(3)


def clips(speakers: int, sides: tuple[str, ...] = ("",), known: bool = True) -> list[Clip]:
    return [
        Clip(
            path=f"{label}-{n}.wav",
            label=label,
            speaker=f"s{n % speakers}" if known else "",
            corpus="mine",
            split=sides[n % len(sides)],
        )
        for label in ("angry", "sad")
        for n in range(12)
    ]


def test_the_notes_of_the_split_are_all_in_the_catalogue() -> None:
    made = [
        *split(clips(2)).notes,
        *split(clips(3)).notes,
        *split(clips(4), by="random").notes,
        *split(clips(4, ("train", "valid"), known=False), by="given").notes,
        *split(clips(4, ("train", "test")), by="given").notes,
        *split(clips(6), train_on_valid=True).notes,
    ]
    assert len(made) > 6
    assert all(note.code in TEXTS and note.in_language("zh") != note.text for note in made)


def test_the_page_shows_them() -> None:
    reason = Message.of("reject_too_long", seconds="130", most="120")
    found = Insight(
        Path("/x"),
        (Group("angry", "train", 3, frozenset({"a"})),),
        rejected=((reason, 2),),
        first=(Rejected("b.wav", reason),),
        notes=(Message.of("note_given", corpus="mine"),),
    )
    chinese = recordings_view.summary(found, "zh")
    assert "过长 2" in chinese and "b.wav：过长：130 秒" in chinese
    assert "采用语料库自带的划分" in chinese and "too long" not in chinese
    english = recordings_view.summary(found, "en")
    assert "too long 2" in english and "b.wav: too long: 130 s" in english
