"""Tasks, labels, leases: nothing is overwritten, nobody gets another's clip."""

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from audiollm import database
from audiollm.errors import LabelError
from audiollm.labelling.store import LEASE, Labels
from audiollm.labelling.tasks import Label, Reason, Task

SURE = {"angry": 0.9, "sad": 0.1}


def task(number: int, reason: Reason = "wrong", score: float = 0.5, original: str = "sad") -> Task:
    return Task(
        id=f"{number:064x}",
        path=f"/sounds/{number}.flac",
        seconds=2.0,
        source="a test",
        reason=reason,
        score=score,
        original=original,
        model="tiny",
        answer=SURE,
    )


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Labels:
    made = Labels(tmp_path, clock)
    made.add(task(n, score=1 - n / 100) for n in range(10))
    return made


def says(number: int, name: str = "angry", person: str = "Ann") -> Label:
    return Label(f"{number:064x}", person, name)


def test_a_task_comes_back_as_it_was_added(tmp_path: Path) -> None:
    whole = replace(task(1), other_model="encoder", other_answer={"sad": 1.0}, speaker="emodb-03")
    assert Labels(tmp_path).add([whole]) == 1
    assert Labels(tmp_path).tasks() == [whole]
    assert Labels(tmp_path).task(whole.id) == whole
    with pytest.raises(LabelError, match="not in the queue"):
        Labels(tmp_path).task("0")


def test_added_again_a_task_keeps_its_original_class_and_if_random_its_reason(book: Labels) -> None:
    book.add([task(0, "random"), task(50, "random"), task(60)])
    assert book.task(task(0).id).reason == "random"
    book.say(says(60))
    newer = {"angry": 0.2, "sad": 0.8}
    again = [replace(task(n, "tie", 1.0, "happy"), answer=newer) for n in (50, 60, 1)]
    assert book.add(again) == 0
    kept = {number: book.task(task(number).id) for number in (50, 60, 1)}
    assert {number: t.reason for number, t in kept.items()} == {50: "random", 60: "wrong", 1: "tie"}
    assert all(t.original == "sad" and t.answer == newer for t in kept.values())


def test_labels_are_added_and_never_overwritten(book: Labels) -> None:
    first = book.say(says(0, "angry"))
    second = book.say(replace(says(0, "sad"), secondary="angry", intensity=2, note="a sob"))
    assert (first.number, second.number) == (1, 2)
    assert [label.name for label in book.history(task=first.task)] == ["angry", "sad"]
    outcome = book.outcome(first.task)
    assert outcome.labels == (second,)
    assert (outcome.task.original, outcome.final, outcome.counts) == ("sad", "sad", {"sad": 1})
    assert (second.secondary, second.intensity, second.note) == ("angry", 2, "a sob")


def test_undo_takes_back_the_last_and_what_stood_before_stands_again(book: Labels) -> None:
    book.say(says(0, "angry"))
    book.say(says(0, "sad"))
    book.say(says(1, "happy", "Bo"))
    taken = book.undo("Ann")
    assert taken is not None and (taken.name, taken.undone) == ("sad", True)
    assert book.outcome(task(0).id).final == "angry"
    assert book.undo("Ann") is not None
    assert book.undo("Ann") is None
    assert book.outcome(task(0).id).final == ""
    assert book.outcome(task(1).id).final == "happy"
    assert [(label.name, label.undone) for label in book.history(person="Ann")] == [
        ("angry", True),
        ("sad", True),
    ]


def test_what_is_sent_twice_is_written_once(book: Labels) -> None:
    sent = replace(says(0), token="of-the-browser")
    assert book.say(sent) == book.say(sent)
    assert len(book.history()) == 1


def test_a_label_for_no_task_is_refused_and_many_are_written_whole_or_not(book: Labels) -> None:
    with pytest.raises(LabelError, match="queue"):
        book.say_all([says(0), says(999)])
    assert book.history() == []


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"person": " Ann"}, "person's name"),
        ({"person": ""}, "person's name"),
        ({"name": "Anger"}, "write 'angry'"),
        ({"name": "!"}, "class"),
        ({"name": ""}, "needs a class"),
        ({"kind": "skip"}, "skipped"),
        ({"secondary": "angry"}, "second emotion"),
        ({"intensity": 4}, "Intensity"),
        ({"note": "x" * 2001}, "note"),
    ],
)
def test_a_label_that_makes_no_sense_is_refused(values: dict[str, object], told: str) -> None:
    with pytest.raises(LabelError, match=told):
        replace(says(0), **values)  # type: ignore[arg-type]


def test_two_pages_never_get_the_same_clip(book: Labels) -> None:
    seen: dict[str, list[str]] = {"a": [], "b": [], "c": []}

    def work(tab: str) -> None:
        person = f"person {tab}"
        while shown := book.take(person, tab):
            seen[tab].append(shown[0].id)
            book.say(Label(shown[0].id, person, "sad"))

    threads = [threading.Thread(target=work, args=(tab,)) for tab in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [id for ids in seen.values() for id in ids]
    assert len(every) == len(set(every)) == 10


def test_a_page_keeps_its_clips_until_they_are_labelled_or_its_lease_ends(
    book: Labels, clock: Clock
) -> None:
    mine, theirs = book.take("Ann", "a"), book.take("Bo", "b")
    assert [t.id for t in mine + theirs] == [task(n).id for n in range(4)]
    assert book.take("Ann", "a") == mine  # after a reload
    book.say(says(0))
    assert [t.id for t in book.take("Ann", "a")] == [task(1).id, task(4).id]
    clock.now += LEASE + 1
    assert [t.id for t in book.take("Cy", "c")] == [task(1).id, task(2).id]
    assert not {t.id for t in book.take("Ann", "a")} & {task(1).id, task(2).id}
    book.release("c")
    assert book.take("Di", "d", count=1)[0].id == task(1).id


def test_a_skipped_clip_comes_last_and_only_for_who_skipped_it(book: Labels) -> None:
    book.say(Label(task(0).id, "Ann", "", kind="skip"))
    assert book.take("Ann", "a", count=20)[-1].id == task(0).id
    book.release("a")
    assert book.take("Bo", "b")[0].id == task(0).id
    book.release("b")
    undone = book.undo("Ann")
    assert undone is not None and undone.kind == "skip"
    assert book.take("Ann", "a")[0].id == task(0).id


def test_second_labels_go_to_others_and_disputes_to_whoever_decides(book: Labels) -> None:
    for number in (3, 4):
        book.say(says(number))
    assert book.take("Ann", "a", "second") == []
    assert [t.id for t in book.take("Bo", "b", "second")] == [task(3).id, task(4).id]
    book.say(replace(says(3, "sad", "Bo"), blind=True))
    book.say(says(4, "angry", "Bo"))
    assert book.take("Bo", "b", "second") == []
    (disputed,) = book.take("Cy", "c", "decide")
    assert disputed.id == task(3).id and book.outcome(disputed.id).disputed
    book.say(replace(says(3, "happy", "Cy"), kind="decision"))
    outcome = book.outcome(disputed.id)
    assert (outcome.final, outcome.counts) == ("happy", {"angry": 1, "sad": 1})
    assert book.take("Cy", "c", "decide") == []
    book.undo("Cy")
    assert [t.id for t in book.take("Cy", "c", "decide")] == [disputed.id]


def test_back_brings_a_clip_to_the_front_unless_somebody_has_it(book: Labels) -> None:
    book.take("Ann", "a")
    book.say(says(0))
    book.take("Ann", "a")
    assert book.hold(task(0).id, "a").id == task(0).id
    with pytest.raises(LabelError, match="Somebody else"):
        book.hold(task(1).id, "b")


def test_only_some_reasons(book: Labels) -> None:
    book.add([task(50, "tie"), task(51, "random")])
    found = book.take("Ann", "a", reasons=["tie", "random"], count=20)
    assert {t.id for t in found} == {task(50).id, task(51).id}


def test_only_what_nobody_labelled_can_be_dropped(book: Labels) -> None:
    book.say(says(0))
    book.undo("Ann")
    assert book.drop([task(0).id, task(1).id, "strange"]) == 1
    assert len(book.tasks()) == 9


def test_a_label_is_there_when_the_program_is_killed_right_after_it(tmp_path: Path) -> None:
    Labels(tmp_path).add([task(0)])
    program = (
        "import os, signal, sys; from pathlib import Path;"
        "from audiollm.labelling.store import Labels; from audiollm.labelling.tasks import Label;"
        f"Labels(Path(sys.argv[1])).say(Label({task(0).id!r}, 'Ann', 'sad'));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert ended.returncode == -9
    assert Labels(tmp_path).outcome(task(0).id).final == "sad"


def test_a_full_disk_is_a_sentence(book: Labels) -> None:
    with book._database.write() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    connect = sqlite3.connect

    def small(*args: object, **options: object) -> sqlite3.Connection:
        db = connect(*args, **options)  # type: ignore[call-overload]
        db.execute(f"PRAGMA max_page_count={pages}")
        return db

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", small)
        with pytest.raises(LabelError) as refused:
            book.say_all(replace(says(0), note="x" * 2000) for _ in range(50))
        assert refused.value.code == "label_database"
    assert book.history() == []


def test_a_database_of_before_the_label_page_is_brought_up(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "audiollm.db") as db:
        for script in database.MIGRATIONS[:2]:
            db.executescript(script)
        db.execute("PRAGMA user_version=2")
    assert Labels(tmp_path).add([task(0)]) == 1


def test_a_former_name_of_a_reason_is_read(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "audiollm.db") as db:
        for script in database.MIGRATIONS[:3]:
            db.executescript(script)
        words = [f"{0:064x}", "/a.flac", 2.0, "kept", "ear", 0.5, "", "tiny", "{}"]
        words += ["tiny: encoder", "{}", "", 0, "2026-01-01"]
        db.execute("INSERT INTO tasks VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", words)
        db.execute("PRAGMA user_version=3")
    book = Labels(tmp_path)
    (found,) = book.tasks()
    assert (found.reason, found.other_model) == ("disagreement", "tiny: encoder")
    assert book.take("Ann", "tab", reasons=["disagreement"]) == [found]


def test_an_imported_label_takes_nothing_back_that_was_said_later(book: Labels) -> None:
    said = book.say(says(0, "angry"))

    def older(label: Label) -> Label:
        return replace(label, origin="old.csv", at="2020-01-01T00:00:00Z")

    # the same once more, as an export of this very home has it, and one from long before
    again = replace(said, origin="own.csv", token="file-1", number=0)
    assert book.say_all([again, older(says(0, "sad"))]) == []
    assert book.history() == [said]
    later = replace(says(0, "happy"), origin="new.csv", at="2033-01-01T00:00:00+00:00")
    assert [label.name for label in book.say_all([later])] == ["happy"]
    # of somebody else, and of nobody knows when
    others = [older(says(0, "sad", "Bo")), replace(says(0, "sad"), origin="x.csv")]
    assert len(book.say_all(others)) == 2
    assert book.outcome(said.task).counts == {"sad": 2}


def test_a_time_that_makes_no_sense_is_refused(book: Labels) -> None:
    for took in (float("nan"), float("inf"), -1.0):
        with pytest.raises(LabelError, match="seconds"):
            replace(says(0), took=took)


def test_a_file_is_taken_whole_or_not(book: Labels) -> None:
    with pytest.raises(LabelError, match="queue"):
        book.take_in([task(70)], [says(70), says(999)])
    assert len(book.tasks()) == 10 and book.history() == []
    assert book.take_in([task(70), task(0)], [says(70), says(0)]) == (1, 2)
    assert len(book.tasks()) == 11 and len(book.history()) == 2
