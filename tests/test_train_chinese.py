"""What the commands write about recordings is said in Chinese on a Chinese page."""

import re
from pathlib import Path

import pytest

from audiollm.web.train import chinese, recordings_view
from audiollm.web.train.look import Group, Insight
from train.corpora import Clip
from train.data.splits import split

TRAIN = Path(__file__).parent.parent / "train"
CHINESE = re.compile("[\u4e00-\u9fff]")


def test_every_kind_of_rejection_has_chinese_words() -> None:
    sources = [*(TRAIN / "corpora").glob("*.py")]
    sources += [TRAIN / "data" / name for name in ("extract.py", "prepare.py", "splits.py")]
    raised = re.compile(r'(?:raise ValueError|Rejected)\([^"]*?f?"([A-Za-z ]+): ')
    found = {kind for path in sources for kind in raised.findall(path.read_text("utf-8"))}
    assert {"no speech", "unreadable", "too long", "file missing", "no class"} <= found
    assert found <= chinese.KINDS.keys()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("too long: 130 s of at most 120", "过长（130 秒，最多 120 秒）"),
        ("identical audio: the same sound as a/b.wav", "声音重复（与 a/b.wav 相同）"),
        ("no speech: No speech detected: it is too faint (-60 dBFS).", "没有检测到语音"),
        ("something new: it happened", "（英文）something new: it happened"),
    ],
)
def test_reasons(said: str, expected: str) -> None:
    assert chinese.reason(said) == expected


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


def test_the_notes_of_the_split_itself_are_all_known() -> None:
    made = [
        *split(clips(2)).notes,
        *split(clips(3)).notes,
        *split(clips(4), by="random").notes,
        *split(clips(4, ("train", "valid"), known=False), by="given").notes,
        *split(clips(4, ("train", "test")), by="given").notes,
        *split(clips(6), train_on_valid=True).notes,
    ]
    assert len(made) > 6
    for note in made:
        told = chinese.note(note)
        assert CHINESE.search(told) and chinese.ENGLISH not in told, note
    assert chinese.note("a new note") == "（英文）a new note"


def test_the_page_says_them() -> None:
    found = Insight(
        Path("/x"),
        (Group("angry", "train", 3, frozenset({"a"})),),
        rejected={"too long": 2},
        first=(("b.wav", "too long: 130 s of at most 120"),),
        notes=("mine: the split that the corpus brings",),
    )
    said = recordings_view.summary(found, "zh")
    assert "过长 2" in said and "b.wav：过长（130 秒" in said and "采用语料自带的划分" in said
    assert "too long" not in said
    english = recordings_view.summary(found, "en")
    assert "b.wav: too long: 130 s" in english and not CHINESE.search(english)
