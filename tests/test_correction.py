"""What listeners say of wrong answers: counted, with consent saved, taken back."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from audiollm import audio, database
from audiollm.labelling import formats
from audiollm.labelling.corrections import Correction, Corrections
from audiollm.labelling.saved import SavedClips
from audiollm.labelling.sources import from_saved
from audiollm.labelling.store import LabelStore
from audiollm.labelling.tasks import Label, Task
from audiollm.labels import LANGUAGES, Language, word
from audiollm.texts import text
from audiollm.web.analyse import actions, correction, saved_clips
from audiollm.web.label import card
from audiollm.web.label.progress import report
from audiollm.web.label.queue import CardState, Session
from audiollm.web.quota import Allowance
from audiollm.web.services import ABSENT, Services
from tests.conftest import RATE, voiced
from tests.test_compare import serve

ME = "visitor"
SAD = Correction("sad", "angry", "en")  # the answer of the fake model is angry


@pytest.fixture
def clip(tmp_path: Path) -> str:
    path = tmp_path / "clip.wav"
    soundfile.write(path, voiced(1.5), RATE)
    return str(path)


def hear(made: Services, clip: str, language: Language = "en", visitor: str = ME) -> None:
    """The visitor gets an answer."""
    list(actions.analyse(made, clip, language, visitor))


def stranger(tmp_path: Path, keep: bool = False) -> Services:
    made = serve(tmp_path, host="0.0.0.0")  # noqa: S104
    made.settings = replace(made.settings, keep=keep)
    return made


def counts(made: Services) -> dict[Correction, int]:
    return Corrections(made.settings.home).all()


def test_without_consent_only_the_word_is_counted(tmp_path: Path, clip: str) -> None:
    made = serve(tmp_path)
    hear(made, clip)
    said = correction.correct(made, ME, "sad", consent=False)
    assert counts(made) == {SAD: 1}
    assert "data-back" in said and "data-said" not in said
    assert SavedClips(made.settings.home).all() == []
    assert LabelStore(made.settings.home).tasks() == []
    with sqlite3.connect(made.settings.home / "audiollm.db") as db:
        assert db.execute("SELECT * FROM corrections").fetchall() == [("sad", "angry", "en", 1)]


def test_with_consent_the_clip_waits_with_the_word_as_a_suggestion(
    tmp_path: Path, clip: str
) -> None:
    made = serve(tmp_path)
    hear(made, clip)
    correction.correct(made, ME, "sad", consent=True)
    assert counts(made) == {SAD: 1}
    (kept,) = SavedClips(made.settings.home).all()
    (task,) = LabelStore(made.settings.home).tasks()
    assert kept.suggestion == task.suggestion == "sad"
    assert (task.model, task.predicted, task.original) == (made.active, "angry", "")
    assert LabelStore(made.settings.home).outcomes()[0].final == ""  # it is no label


@pytest.mark.parametrize("keep", [False, True])
def test_a_strangers_clip_is_saved_only_where_the_owner_allows_it(
    keep: bool, tmp_path: Path, clip: str
) -> None:
    made = stranger(tmp_path, keep)
    hear(made, clip)
    assert ("data-consent" in correction.html(made, ME)) is keep
    said = correction.correct(made, ME, "sad", consent=True)
    assert counts(made) == {SAD: 1}
    saved = SavedClips(made.settings.home).all()
    assert [one.suggestion for one in saved] == (["sad"] if keep else [])
    key = "correct_saved" if keep else "correct_counted"
    words = {"said": word("sad", "en"), "answered": word("angry", "en")}
    assert text(key, "en", **words) in said
    assert LabelStore(made.settings.home).tasks() == []  # it waits until the owner gathers it
    (task,) = from_saved(saved, made.settings).tasks or (None,)
    assert (task.suggestion if task else "") == ("sad" if keep else "")


def test_one_correction_per_answer_which_can_be_taken_back(tmp_path: Path, clip: str) -> None:
    made = serve(tmp_path)
    assert correction.html(made, ME) == ""
    assert correction.correct(made, ME, "sad", consent=False) == ""  # nothing is answered
    hear(made, clip)
    for said in ("sad", "happy", "angry", "nonsense"):  # angry is the answer
        correction.correct(made, ME, said, consent=False)
    assert counts(made) == {SAD: 1}
    hear(made, clip, "zh")  # the same clip in the other language
    assert "data-back" in correction.html(made, ME)
    correction.correct(made, ME, "happy", consent=False)
    assert counts(made) == {SAD: 1}
    correction.take_back(made, ME)
    assert "data-said" in correction.take_back(made, ME)  # twice
    assert counts(made) == {}
    correction.correct(made, ME, "happy", consent=False)
    assert counts(made) == {Correction("happy", "angry", "zh"): 1}
    for said in ("angry", "nonsense", ""):
        hear(made, clip, visitor="other")
        correction.correct(made, "other", said, consent=True)
    assert list(counts(made).values()) == [1]


@pytest.mark.parametrize("earlier", ["", "happy"])
def test_taking_back_removes_the_clip_unless_it_was_saved_before(
    earlier: str, tmp_path: Path, clip: str
) -> None:
    made = serve(tmp_path)
    home = made.settings.home
    hear(made, clip)
    if earlier:
        hear(made, clip, visitor="other")
        correction.correct(made, "other", earlier, consent=True)
    correction.correct(made, ME, "sad", consent=True)
    assert [t.suggestion for t in LabelStore(home).tasks()] == ["sad"]
    correction.take_back(made, ME)
    assert [t.suggestion for t in LabelStore(home).tasks()] == [earlier][: bool(earlier)]
    assert [c.suggestion for c in SavedClips(home).all()] == [earlier][: bool(earlier)]


def test_what_somebody_has_labelled_stays_without_the_suggestion(tmp_path: Path, clip: str) -> None:
    made = serve(tmp_path)
    hear(made, clip)
    correction.correct(made, ME, "sad", consent=True)
    labels = LabelStore(made.settings.home)
    (task,) = labels.tasks()
    labels.add_label(Label(task.id, "Ann", "happy"))
    assert text("is_labelled", "en") in correction.take_back(made, ME)
    assert [t.suggestion for t in labels.tasks()] == [""]
    assert counts(made) == {}


def test_a_clip_that_is_in_the_queue_already_gets_the_suggestion(tmp_path: Path, clip: str) -> None:
    made = serve(tmp_path)
    sound, labels = audio.load(clip), LabelStore(made.settings.home)
    known = Task(audio.content_hash(sound), clip, sound.seconds, "evaluation", "wrong", 1.0, "sad")
    labels.add_tasks([known])
    hear(made, clip)
    correction.correct(made, ME, "sad", consent=True)
    assert labels.tasks() == [replace(known, suggestion="sad")]
    correction.take_back(made, ME)
    assert labels.tasks() == [known]


def test_a_visitor_cannot_flood_the_counts_or_the_clips(tmp_path: Path, clip: str) -> None:
    made = stranger(tmp_path, keep=True)
    made.allowance = Allowance(100, total=2)
    for number in range(4):  # new pages
        hear(made, clip, visitor=str(number))
        said = correction.correct(made, str(number), "sad", consent=False)
        assert (text("quota_often", "en") in said) is (number >= 2)
    assert counts(made) == {SAD: 2}
    kept = saved_clips.keep_clip(made, clip, "en", lambda: True, "0")
    assert kept and not kept.id
    assert "data-said" in correction.html(made, "3")  # it may be tried again later


def test_an_address_has_a_limit_and_a_total() -> None:
    allowance = Allowance(2, total=4)
    assert [allowance.takes("a") for _ in range(3)] == [True, True, False]
    assert [allowance.takes("b") for _ in range(2)] == [True, True]
    assert not allowance.takes("c")
    assert [Allowance(1, total=2).takes("") for _ in range(2)] == [True, True]


def test_a_count_that_fails_is_a_sentence_and_nothing_is_said_to_be_counted(
    tmp_path: Path, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = serve(tmp_path)
    hear(made, clip)
    with monkeypatch.context() as patch:
        patch.setattr(Corrections, "add", lambda *_: 1 / 0)
        said = correction.correct(made, ME, "sad", consent=False)
        assert text("keep_bug", "en") in said and "data-said" in said
        assert "data-said" in correction.correct(made, ME, "sad", consent=True)
        assert SavedClips(made.settings.home).all() == []
    correction.correct(made, ME, "sad", consent=False)
    monkeypatch.setattr(Corrections, "add", lambda *_: 1 / 0)
    assert "data-back" in correction.take_back(made, ME)
    assert counts(made) == {SAD: 1}


def test_an_answer_can_be_corrected_until_its_visitor_is_gone_for_an_hour(
    tmp_path: Path, clip: str
) -> None:
    now = 0.0
    made = serve(tmp_path)
    made.clock = lambda: now
    hear(made, clip)
    made.leave(ME)  # or the connection broke off
    now = ABSENT
    made.look()
    correction.correct(made, ME, "sad", consent=False)
    assert "data-back" in correction.html(made, ME)
    made.leave(ME)
    hear(made, clip)  # back again
    now = 3 * ABSENT
    made.look()
    assert "data-back" in correction.html(made, ME)
    made.leave(ME)
    now = 4 * ABSENT + 1
    made.look()
    assert made.corrections == {} and made.left == {} and correction.html(made, ME) == ""
    assert counts(made) == {SAD: 1}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_label_page_shows_the_suggestion_after_the_first_choice(
    language: Language, tmp_path: Path, clip: str
) -> None:
    made = serve(tmp_path)
    hear(made, clip)
    correction.correct(made, ME, "sad", consent=True)
    store = LabelStore(made.settings.home)
    (outcome,) = store.outcomes()
    shown = CardState(outcome, classes=store.classes())
    told = text("label_suggestion", language, name=word("sad", language))
    blind = Session("Ann", blind=True)
    assert told not in card.card(shown, blind, language)
    own = Label(outcome.task.id, "Ann", "happy")
    assert told in card.card(replace(shown, own=own), blind, language)
    assert told in card.card(shown, Session("Ann"), language)
    assert told not in card.card(replace(shown, own=own), Session("Ann", "second"), language)
    assert text("correct_title", language) in report(made, language)


@pytest.mark.parametrize("format", list(formats.WRITERS))
def test_files_carry_the_suggestion(format: str, tmp_path: Path, clip: str) -> None:
    made = serve(tmp_path)
    hear(made, clip)
    correction.correct(made, ME, "sad", consent=True)
    store = LabelStore(made.settings.home)
    suffix, write = formats.WRITERS[format]
    path = tmp_path / f"labels{suffix}"
    write(store.outcomes(), path)
    other = LabelStore(tmp_path / "elsewhere")
    for suggestion in ("sad", "happy"):  # what is there already stays
        found = formats.read(path, "Ann", made.settings)
        other.import_labels(found.tasks, found.labels)
        assert [t.suggestion for t in other.tasks()] == [suggestion]
        other.suggest(store.tasks()[0].id, "happy")


def test_a_database_of_before_gets_the_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", database.MIGRATIONS[:5])
        database.Database(tmp_path)
    with sqlite3.connect(tmp_path / "audiollm.db") as db:
        db.execute(
            "INSERT INTO tasks VALUES"
            " ('id', '/a.wav', 1.0, 's', 'sent', 0.0, '', '', '{}', '', '{}', '', 0, '2026-01-01')"
        )
    assert [task.suggestion for task in LabelStore(tmp_path).tasks()] == [""]
    assert Corrections(tmp_path).all() == {}
