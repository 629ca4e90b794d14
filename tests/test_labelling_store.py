"""Tasks, labels, leases: nothing is overwritten, nobody gets another's clip."""

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from audiollm import database
from audiollm.errors import LabelError
from audiollm.labelling.store import LEASE, LabelStore
from audiollm.labelling.tasks import Label, Reason, Task
from tests.refusals import refused

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
def book(tmp_path: Path, clock: Clock) -> LabelStore:
    made = LabelStore(tmp_path, clock)
    made.add_tasks(task(n, score=1 - n / 100) for n in range(10))
    return made


def says(number: int, name: str = "angry", person: str = "Ann") -> Label:
    return Label(f"{number:064x}", person, name)


def test_a_task_comes_back_as_it_was_added(tmp_path: Path) -> None:
    whole = replace(task(1), other_model="encoder", other_answer={"sad": 1.0}, speaker="emodb-03")
    assert LabelStore(tmp_path).add_tasks([whole]) == 1
    assert LabelStore(tmp_path).tasks() == [whole]
    assert LabelStore(tmp_path).task(whole.id) == whole
    with refused("label_unknown_task"):
        LabelStore(tmp_path).task("0")


def test_added_again_a_task_keeps_its_original_class_and_if_random_its_reason(
    book: LabelStore,
) -> None:
    book.add_tasks([task(0, "random"), task(50, "random"), task(60)])
    assert book.task(task(0).id).reason == "random"
    book.add_label(says(60))
    newer = {"angry": 0.2, "sad": 0.8}
    again = [replace(task(n, "tie", 1.0, "happy"), answer=newer) for n in (50, 60, 1)]
    assert book.add_tasks(again) == 0
    kept = {number: book.task(task(number).id) for number in (50, 60, 1)}
    assert {number: t.reason for number, t in kept.items()} == {50: "random", 60: "wrong", 1: "tie"}
    assert all(t.original == "sad" and t.answer == newer for t in kept.values())


def test_labels_are_added_and_never_overwritten(book: LabelStore) -> None:
    first = book.add_label(says(0, "angry"))
    second = book.add_label(replace(says(0, "sad"), secondary="angry", intensity=2, note="a sob"))
    assert (first.number, second.number) == (1, 2)
    assert [label.name for label in book.history(task=first.task)] == ["angry", "sad"]
    outcome = book.outcome(first.task)
    assert outcome.labels == (second,)
    assert (outcome.task.original, outcome.final, outcome.counts) == ("sad", "sad", {"sad": 1})
    assert (second.secondary, second.intensity, second.note) == ("angry", 2, "a sob")


def test_undo_takes_back_the_last_and_what_stood_before_stands_again(book: LabelStore) -> None:
    book.add_label(says(0, "angry"))
    book.add_label(says(0, "sad"))
    book.add_label(says(1, "happy", "Bo"))
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


def test_what_is_sent_twice_is_written_once(book: LabelStore) -> None:
    sent = replace(says(0), token="of-the-browser")
    assert book.add_label(sent) == book.add_label(sent)
    assert len(book.history()) == 1


def test_a_label_for_no_task_is_refused_and_many_are_written_whole_or_not(book: LabelStore) -> None:
    with refused("label_unknown_task"):
        book.add_labels([says(0), says(999)])
    assert book.history() == []


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"person": " Ann"}, "label_bad_person"),
        ({"person": ""}, "label_bad_person"),
        ({"name": "Anger"}, "label_class_spelling"),
        ({"name": "!"}, "label_unknown_class"),
        ({"name": ""}, "label_no_class"),
        ({"kind": "skip"}, "label_no_class"),
        ({"secondary": "angry"}, "label_same_second"),
        ({"intensity": 4}, "label_bad_intensity"),
        ({"note": "x" * 2001}, "label_long_note"),
    ],
)
def test_a_label_that_makes_no_sense_is_refused(values: dict[str, object], code: str) -> None:
    with refused(code, LabelError):
        replace(says(0), **values)  # type: ignore[arg-type]


def test_two_pages_never_get_the_same_clip(book: LabelStore) -> None:
    seen: dict[str, list[str]] = {"a": [], "b": [], "c": []}

    def work(tab: str) -> None:
        person = f"person {tab}"
        while shown := book.next_tasks(person, tab):
            seen[tab].append(shown[0].id)
            book.add_label(Label(shown[0].id, person, "sad"))

    threads = [threading.Thread(target=work, args=(tab,)) for tab in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [id for ids in seen.values() for id in ids]
    assert len(every) == len(set(every)) == 10


def test_a_page_keeps_its_clips_until_they_are_labelled_or_its_lease_ends(
    book: LabelStore, clock: Clock
) -> None:
    mine, theirs = book.next_tasks("Ann", "a"), book.next_tasks("Bo", "b")
    assert [t.id for t in mine + theirs] == [task(n).id for n in range(4)]
    assert book.next_tasks("Ann", "a") == mine  # after a reload
    book.add_label(says(0))
    assert [t.id for t in book.next_tasks("Ann", "a")] == [task(1).id, task(4).id]
    clock.now += LEASE + 1
    assert [t.id for t in book.next_tasks("Cy", "c")] == [task(1).id, task(2).id]
    assert not {t.id for t in book.next_tasks("Ann", "a")} & {task(1).id, task(2).id}
    clock.now += LEASE + 1
    assert book.next_tasks("Di", "d", count=1)[0].id == task(1).id


def test_a_skipped_clip_comes_last_and_only_for_who_skipped_it(
    book: LabelStore, clock: Clock
) -> None:
    book.add_label(Label(task(0).id, "Ann", "", kind="skip"))
    assert book.next_tasks("Ann", "a", count=20)[-1].id == task(0).id
    clock.now += LEASE + 1
    assert book.next_tasks("Bo", "b")[0].id == task(0).id
    clock.now += LEASE + 1
    undone = book.undo("Ann")
    assert undone is not None and undone.kind == "skip"
    assert book.next_tasks("Ann", "a")[0].id == task(0).id


def test_second_labels_go_to_others_and_disputes_to_whoever_decides(book: LabelStore) -> None:
    for number in (3, 4):
        book.add_label(says(number))
    assert book.next_tasks("Ann", "a", "second") == []
    assert [t.id for t in book.next_tasks("Bo", "b", "second")] == [task(3).id, task(4).id]
    book.add_label(replace(says(3, "sad", "Bo"), blind=True))
    book.add_label(says(4, "angry", "Bo"))
    assert book.next_tasks("Bo", "b", "second") == []
    (disputed,) = book.next_tasks("Cy", "c", "decide")
    assert disputed.id == task(3).id and book.outcome(disputed.id).disputed
    book.add_label(replace(says(3, "happy", "Cy"), kind="decision"))
    outcome = book.outcome(disputed.id)
    assert (outcome.final, outcome.counts) == ("happy", {"angry": 1, "sad": 1})
    assert book.next_tasks("Cy", "c", "decide") == []
    book.undo("Cy")
    assert [t.id for t in book.next_tasks("Cy", "c", "decide")] == [disputed.id]


def test_back_brings_a_clip_to_the_front_unless_somebody_has_it(book: LabelStore) -> None:
    book.next_tasks("Ann", "a")
    book.add_label(says(0))
    book.next_tasks("Ann", "a")
    assert book.lease(task(0).id, "a").id == task(0).id
    with refused("label_leased"):
        book.lease(task(1).id, "b")


def test_only_some_reasons(book: LabelStore) -> None:
    book.add_tasks([task(50, "tie"), task(51, "random")])
    found = book.next_tasks("Ann", "a", reasons=["tie", "random"], count=20)
    assert {t.id for t in found} == {task(50).id, task(51).id}


def test_only_what_nobody_labelled_can_be_dropped(book: LabelStore) -> None:
    book.add_label(says(0))
    book.undo("Ann")
    assert book.remove_tasks([task(0).id, task(1).id, "strange"]) == 1
    assert len(book.tasks()) == 9


def test_a_label_is_there_when_the_program_is_killed_right_after_it(tmp_path: Path) -> None:
    LabelStore(tmp_path).add_tasks([task(0)])
    program = (
        "import os, signal, sys; from pathlib import Path;"
        "from audiollm.labelling.store import LabelStore;"
        "from audiollm.labelling.tasks import Label;"
        f"LabelStore(Path(sys.argv[1])).add_label(Label({task(0).id!r}, 'Ann', 'sad'));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert ended.returncode == -9
    assert LabelStore(tmp_path).outcome(task(0).id).final == "sad"


def test_a_full_disk_is_a_sentence(book: LabelStore) -> None:
    with book._database.write() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    connect = sqlite3.connect

    def small(*args: object, **options: object) -> sqlite3.Connection:
        db = connect(*args, **options)  # type: ignore[call-overload]
        db.execute(f"PRAGMA max_page_count={pages}")
        return db

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", small)
        with refused("label_database"):
            book.add_labels(replace(says(0), note="x" * 2000) for _ in range(50))
    assert book.history() == []


def test_a_database_of_before_the_label_page_is_brought_up(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "audiollm.db") as db:
        for script in database.MIGRATIONS[:2]:
            db.executescript(script)
        db.execute("PRAGMA user_version=2")
    assert LabelStore(tmp_path).add_tasks([task(0)]) == 1


@pytest.mark.parametrize(
    ("former", "reason"), [("ear", "disagreement"), ("suspect", "label_error")]
)
def test_a_former_name_of_a_reason_is_read(tmp_path: Path, former: str, reason: Reason) -> None:
    with sqlite3.connect(tmp_path / "audiollm.db") as db:
        for script in database.MIGRATIONS[:3]:
            db.executescript(script)
        words = [f"{0:064x}", "/a.flac", 2.0, "kept", former, 0.5, "", "tiny", "{}"]
        words += ["tiny: encoder", "{}", "", 0, "2026-01-01"]
        db.execute("INSERT INTO tasks VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", words)
        db.execute("PRAGMA user_version=3")
    book = LabelStore(tmp_path)
    (found,) = book.tasks()
    assert (found.reason, found.other_model) == (reason, "tiny: encoder")
    assert book.next_tasks("Ann", "tab", reasons=[reason]) == [found]


def test_an_imported_label_takes_nothing_back_that_was_said_later(book: LabelStore) -> None:
    said = book.add_label(says(0, "angry"))

    def older(label: Label) -> Label:
        return replace(label, origin="old.csv", at="2020-01-01T00:00:00Z")

    # the same once more, as an export of this very home has it, and one from long before
    again = replace(said, origin="own.csv", token="file-1", number=0)
    assert book.add_labels([again, older(says(0, "sad"))]) == []
    assert book.history() == [said]
    later = replace(says(0, "happy"), origin="new.csv", at="2033-01-01T00:00:00+00:00")
    assert [label.name for label in book.add_labels([later])] == ["happy"]
    # of somebody else, and of nobody knows when
    others = [older(says(0, "sad", "Bo")), replace(says(0, "sad"), origin="x.csv")]
    assert len(book.add_labels(others)) == 2
    assert book.outcome(said.task).counts == {"sad": 2}


def test_a_time_that_makes_no_sense_is_refused(book: LabelStore) -> None:
    for took in (float("nan"), float("inf"), -1.0):
        with refused("label_bad_duration"):
            replace(says(0), took=took)


def test_a_file_is_taken_whole_or_not(book: LabelStore) -> None:
    with refused("label_unknown_task"):
        book.import_labels([task(70)], [says(70), says(999)])
    assert len(book.tasks()) == 10 and book.history() == []
    assert book.import_labels([task(70), task(0)], [says(70), says(0)]) == (1, 2)
    assert len(book.tasks()) == 11 and len(book.history()) == 2


@pytest.mark.parametrize("now", [-1e12, 0.0, 4e9, 1e12, 1e300, float("inf")])
def test_a_wrong_clock_loses_no_label(tmp_path: Path, now: float) -> None:
    book = LabelStore(tmp_path, lambda: now)
    book.add_tasks([task(1)])
    assert book.next_tasks("Ann", "a")
    book.add_label(says(1, "sad"))
    assert [one.name for one in book.history()] == ["sad"]


def test_a_lease_ends_where_the_clock_is_set_back(book: LabelStore, clock: Clock) -> None:
    clock.now += 1e8
    mine = book.next_tasks("Ann", "a")
    clock.now -= 1e8
    assert book.next_tasks("Bo", "b") == mine


@effort(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(person=st.text(max_size=70), name=st.text(max_size=70), note=st.text(max_size=20))
def test_any_person_class_and_note_is_kept_as_it_is_or_refused(
    book: LabelStore, person: str, name: str, note: str
) -> None:
    before = len(book.history())
    try:
        kept = book.add_label(Label(task(0).id, person, name, note=note))
    except LabelError as error:
        assert error.code
        assert len(book.history()) == before
        return
    found = book.history()[-1]
    assert found == kept
    assert (found.person, found.name, found.note) == (person, name, note)
