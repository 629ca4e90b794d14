"""The Label page without a browser: what it does, what it shows, and to whom."""

import hashlib
import math
import re
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiollm import audio
from audiollm.audio import prosody
from audiollm.audio.timeline import overview
from audiollm.errors import LabelError
from audiollm.labelling.statistics import Z, clips_needed, pace, share, statistics
from audiollm.labelling.store import LabelStore
from audiollm.labelling.tasks import REASONS, Label
from audiollm.labels import LANGUAGES
from audiollm.settings import Settings
from audiollm.texts import TEXTS, text
from audiollm.web.auth.access import ShutError
from audiollm.web.label import card as label_card
from audiollm.web.label import progress, queue, transfer
from audiollm.web.label.picture import SPECTRUM, picture
from audiollm.web.label.queue import Session
from audiollm.web.services import Services
from tests.browser.fake import FakePredictor
from tests.conftest import voiced
from tests.test_labelling_store import task

ANN, BO = Session("Ann"), Session("Bo", "second")


@pytest.fixture
def services(settings: Settings) -> Services:
    model: Future[Any] = Future()
    model.set_result(FakePredictor())
    return Services(settings, model, active="tiny")


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    path = tmp_path / "voice.flac"
    soundfile.write(path, voiced(1.0), 16000, subtype="PCM_16")
    return path


@pytest.fixture
def book(services: Services) -> LabelStore:
    made = LabelStore(services.settings.home)
    made.add_tasks(task(n, score=1 - n / 100) for n in range(4))
    return made


def asked(act: str, number: int = 0, session: Session = ANN, **more: Any) -> dict[str, Any]:
    return {
        "act": act,
        "tab": f"of {session.person}",
        "task": task(number).id,
        "person": session.person,
        "work": session.work,
        "blind": session.hidden,
        "token": hashlib.sha256(f"{act} {number} {session.person} {more}".encode()).hexdigest(),
        **more,
    }


def shown(seen: queue.CardState) -> str:
    return seen.outcome.task.id if seen.outcome else ""


def test_a_label_and_the_next_clip(services: Services, book: LabelStore) -> None:
    first = queue.act(services, ANN, asked("begin"))
    assert (shown(first), first.following, first.left) == (task(0).id, task(1).id, 4)
    said = asked("label", name="angry", secondary="sad", intensity=2, note=" a sob ", took=1.5)
    second = queue.act(services, ANN, said)
    assert (shown(second), second.following, second.done) == (task(1).id, task(2).id, 1)
    assert second.written == (said["token"],)
    (label,) = book.history()
    assert (label.name, label.secondary, label.intensity, label.note, label.took) == (
        "angry",
        "sad",
        2,
        "a sob",
        1.5,
    )
    skipped = queue.act(services, ANN, asked("skip", 1))
    assert shown(skipped) == task(2).id
    assert label_card.card(skipped, ANN, "en").count('data-act="label"') == 2 + 3


def test_undo_back_and_forward(services: Services, book: LabelStore) -> None:
    for number in range(3):
        queue.act(services, ANN, asked("label", number, name="sad"))
    back = queue.act(services, ANN, asked("back", 3))
    assert shown(back) == task(2).id and back.own is not None
    back = queue.act(services, ANN, asked("back", 2))
    assert shown(back) == task(1).id
    queue.act(services, ANN, asked("label", 1, name="angry"))  # a correction
    assert book.outcome(task(1).id).final == "angry"
    undone = queue.act(services, ANN, asked("undo", 3))
    assert shown(undone) == task(1).id
    assert book.outcome(task(1).id).final == "sad"  # what was said before counts again
    for _ in range(3):
        queue.act(services, ANN, asked("undo"))
    assert queue.act(services, ANN, asked("undo")).hint == "label_nothing"
    assert shown(queue.act(services, ANN, asked("forward", 9))) != ""


def test_labels_that_the_browser_kept_are_written_once(
    services: Services, book: LabelStore
) -> None:
    kept = [asked("label", 0, name="sad"), asked("label", 99, name="sad")]
    for _ in range(2):
        seen = queue.act(services, ANN, asked("begin", pending=kept))
        # the clip of the second is not here: nobody can do anything about that, it stays there
        assert seen.written == (kept[0]["token"],) and seen.error is None
    assert len(book.history()) == 1
    kept[0] |= {"token": "another", "intensity": 9}
    seen = queue.act(services, ANN, asked("begin", pending=kept))
    assert seen.error is not None and seen.error.code == "label_bad_intensity"


def test_what_cannot_be_written_leaves_the_clip_there(
    services: Services, book: LabelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise LabelError("The disk is full.")

    queue.act(services, ANN, asked("begin"))
    monkeypatch.setattr(LabelStore, "add_label", full)
    seen = queue.act(services, ANN, asked("label", name="sad"))
    assert (shown(seen), seen.written) == (task(0).id, ())
    assert "The disk is full." in label_card.card(seen, ANN, "en")


def test_nonsense_is_refused(services: Services, book: LabelStore) -> None:
    for session, wrong in (
        (Session(" x "), asked("begin")),
        (ANN, {**asked("begin"), "tab": ""}),
        (ANN, asked("drop table")),
    ):
        with pytest.raises(LabelError):
            queue.act(services, session, wrong)
    assert queue.act(services, Session(""), asked("begin")).hint == "label_who"
    seen = queue.act(services, ANN, {**asked("label", name="sad"), "intensity": "much"})
    assert seen.error is not None and book.history() == []


def test_who_has_not_said_a_name_yet_sees_how_many_clips_wait(
    services: Services, book: LabelStore
) -> None:
    nobody = Session("")
    seen = queue.act(services, nobody, asked("begin", session=nobody))
    assert (seen.hint, seen.outcome) == ("label_who", None)
    assert seen.left == len(book.tasks()) > 1
    for language in LANGUAGES:
        waiting = text("label_waiting", language, left=seen.left)
        assert waiting in label_card.card(seen, nobody, language)
    book.remove_tasks(task.id for task in book.tasks())
    seen = queue.act(services, nobody, asked("begin", session=nobody))
    assert text("label_who", "en") in label_card.card(seen, nobody, "en") and seen.left == 0


def test_blind_work_shows_no_answer(services: Services, book: LabelStore) -> None:
    seen = queue.act(services, ANN, asked("begin"))
    open_card = label_card.card(seen, ANN, "en")
    assert "90%" in open_card and "angry (90%)" in open_card
    hidden = label_card.card(seen, replace(ANN, blind=True), "en")
    assert "90%" not in hidden and 'data-blind="1"' in hidden
    queue.act(services, ANN, asked("label", name="sad"))
    second = queue.act(services, BO, asked("begin", session=BO))
    card = label_card.card(second, BO, "en")
    assert shown(second) == task(0).id and "Ann" not in card and "90%" not in card
    queue.act(services, BO, asked("label", session=BO, name="angry"))
    judge = Session("Cy", "decide")
    disputed = queue.act(services, judge, asked("begin", session=judge))
    assert "Ann: Sad, Bo: Angry" in label_card.card(disputed, judge, "en")
    queue.act(services, judge, asked("label", session=judge, name="happy"))
    assert book.outcome(task(0).id).final == "happy"
    assert [label.blind for label in book.history()] == [False, True, False]
    blind = replace(ANN, blind=True)
    back = label_card.card(queue.act(services, blind, asked("back", 1)), blind, "en")
    assert "90%" in back and 'data-blind="1"' not in back  # after the first choice


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_reads_well(services: Services, language: Any) -> None:
    book = LabelStore(services.settings.home)
    book.add_tasks(
        replace(task(n, reason), other_model="probe", other_answer={"sad": 0.02})
        for n, reason in enumerate(REASONS)
    )
    for _ in REASONS:
        seen = queue.act(services, ANN, asked("begin"))
        card = label_card.card(seen, ANN, language)
        assert "{" not in re.sub(r'data-yours="[^"]*"', "", card)
        assert seen.outcome is not None
        said = asked("label", name="sad") | {"task": shown(seen), "token": shown(seen)}
        queue.act(services, ANN, said)
    empty = queue.act(services, ANN, asked("begin"))
    assert TEXTS["label_empty"][language] in label_card.card(empty, ANN, language)


@pytest.mark.parametrize("other", ["tiny: probe", "tiny: encoder", "", "my-probe"])
def test_who_disagrees_is_named(services: Services, other: str) -> None:
    disagreeing = replace(task(0, "disagreement"), other_model=other, other_answer={"sad": 1.0})
    LabelStore(services.settings.home).add_tasks([disagreeing])
    card = label_card.card(queue.act(services, ANN, asked("begin")), ANN, "en")
    named = "my-probe" if other == "my-probe" else "a linear probe on its encoder&#x27;s features"
    assert f"{named} predicts sad" in card


def test_a_card_escapes_what_people_write(services: Services, book: LabelStore) -> None:
    book.add_tasks([replace(task(0), model="<b>x</b>")])
    book.add_label(Label(task(0).id, "<i>", "sad", note='"><script>'))
    session = Session("<i>")
    seen = queue.act(services, session, asked("back", 7, session=session))
    card = label_card.card(seen, session, "en")
    assert (
        "<script>" not in card and "<b>x" not in card and "<i>" not in card.replace("<i style", "")
    )


def test_sound_and_picture_for_the_browser(services: Services, voice: Path) -> None:
    book = LabelStore(services.settings.home)
    book.add_tasks([replace(task(0), path=str(voice)), replace(task(1), path=str(voice) + ".gone")])
    found = queue.clips(services, [task(0).id, task(1).id], "en")
    assert found[task(0).id]["sound"].startswith("ZkxhQ")  # fLaC
    assert re.search(r'class="wave" d="M\d.*image/png;base64,iVBOR', found[task(0).id]["picture"])
    assert "gone" in found[task(1).id]["error"]


def test_keys_are_digits_then_letters_that_mean_nothing_else() -> None:
    program = Path(queue.__file__).with_name("label.js").read_text(encoding="utf-8")
    commands = set(re.findall(r"\b([a-z]): \"", program))
    assert commands == {*"licmzxunv"} and not commands & {*queue.KEYS}
    found = queue.keys([f"class {n:02}" for n in range(23)])
    assert len(set(found.values())) == 23 and list(found.values())[:9] == list("123456789")


# --- figures


def test_statistics(services: Services, book: LabelStore) -> None:
    book.add_tasks([task(n, "random") for n in range(10, 14)])
    for number in range(10, 13):
        book.add_label(Label(task(number).id, "Ann", "angry" if number > 10 else "sad"))
    book.add_label(Label(task(0).id, "Ann", "happy"))
    book.add_label(Label(task(0).id, "Bo", "happy", blind=True))
    found = statistics(book.outcomes(), book.history())
    assert (found.tasks, found.labelled, found.classes) == (
        8,
        4,
        {"happy": 1, "angry": 2, "sad": 1},
    )
    assert found.right is not None and (found.right.count, found.right.of) == (2, 3)
    (yields,) = [y for y in found.yields if y.reason == "wrong"]
    assert yields.left == 3 and yields.changed is not None and yields.changed.value == 1
    for language in LANGUAGES:
        assert "{" not in progress.report(services, language)


def test_agreement_needs_a_second_opinion_or_a_decision(
    services: Services, book: LabelStore
) -> None:
    def told() -> str:
        return progress.report(services, "en")

    link = 'href="?tab=label&amp;work=second"'
    assert link not in told()
    for number, name in ((0, "angry"), (1, "sad"), (2, "sad")):
        book.add_label(Label(task(number).id, "Ann", name))
    assert link in told()
    assert text("agree_none", "en") in told() and "Ann, " not in told()
    book.add_label(Label(task(0).id, "Cy", "sad", kind="decision"))
    decided = text("agree_confusion", "en", person="Ann", right=0, all=1)
    assert decided in told() and "kappa" not in told()
    book.add_label(Label(task(1).id, "Bo", "sad"))
    assert text("agree_state", "en", clips=1, blind=0, labels=2) in told()
    assert "kappa" in told()


def test_the_pitch_line_uses_the_height(voice: Path) -> None:
    sound = audio.load(voice)
    seen = overview(sound, prosody.track(sound.samples))
    rising = replace(seen, pitch=np.linspace(80.0, 320.0, len(seen.pitch)))
    heights = {}
    for name, shown in (("rising", rising), ("flat", replace(rising, pitch=0 * rising.pitch + 99))):
        (path,) = re.findall(r'class="pitch" d="([^"]*)"', picture(shown))
        y = [float(point.split()[1]) for point in re.split("[ML]", path) if point]
        heights[name] = (max(y) - min(y)) / SPECTRUM
    assert heights["rising"] > 0.8 and heights["flat"] == 0


def test_shares_are_wilson_and_the_pace_leaves_pauses_out() -> None:
    found = share(8, 10)  # Wilson's interval of 8 in 10
    assert found is not None
    assert (found.low, found.high) == (
        pytest.approx(0.490, abs=1e-3),
        pytest.approx(0.943, abs=1e-3),
    )
    assert share(0, 0) is None
    for count, of in ((0, 7), (1, 30), (15, 30), (30, 30)):
        p, z2 = count / of, Z * Z / of
        middle = (p + z2 / 2) / (1 + z2)
        half = Z * math.sqrt(p * (1 - p) / of + z2 / of / 4) / (1 + z2)
        wilson = share(count, of)
        assert wilson is not None
        edges = (max(0.0, middle - half), min(1.0, middle + half))
        assert (wilson.low, wilson.high) == pytest.approx(edges, abs=2e-5)  # Z is rounded
    assert clips_needed(None) > clips_needed(found) > clips_needed(share(800, 1000)) == 0
    times = ["10:00:00", "10:00:03", "10:00:06", "11:00:00", "11:00:03"]
    said = [replace(Label("t", "Ann", "sad"), at=f"2026-01-01T{t}+00:00") for t in times]
    assert pace(said) == {"Ann": pytest.approx(20.0)}


# --- who may


HANDLERS: list[Callable[[Services], object]] = [
    lambda s: queue.act(s, ANN, asked("begin")),
    lambda s: queue.act(s, ANN, asked("label", name="sad")),
    lambda s: queue.clips(s, ["0"], "en"),
    queue.label_store,
    lambda s: transfer.source_choices(s, "en"),
    lambda s: list(transfer.gather(s, transfer.FOLDER, "/", "en")),
    lambda s: transfer.store_uploads(s, ["/etc/passwd"]),
    lambda s: transfer.import_labels(s, "/etc/passwd", "Ann"),
    lambda s: transfer.export_labels(s, "csv"),
    lambda s: progress.report(s, "en"),
]


@pytest.mark.parametrize("handler", HANDLERS)
def test_strangers_can_do_nothing(
    settings: Settings, handler: Callable[[Services], object]
) -> None:
    shut = Services(replace(settings, host="192.0.2.1"), Future())
    with pytest.raises(ShutError):
        handler(shut)
    assert not list(settings.home.iterdir())
