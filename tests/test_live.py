"""Answers while the microphone records: what is accepted, who is answered, what is too slow."""

import base64
import math
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from audiollm.audio import Sound
from audiollm.errors import AudioError
from audiollm.labels import Language
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from audiollm.web.analyse import live
from audiollm.web.analyse.course import course
from audiollm.web.analyse.live import Answer, Course, Live
from audiollm.web.services import Services
from tests.browser.fake import SURE, FakePredictor
from tests.conftest import RATE, voiced


def serving(predictor: object) -> Services:
    model: Future[Predictor] = Future()
    model.set_result(cast(Predictor, predictor))
    return Services(Settings(), model)


def message(samples: np.ndarray, end: float = 3.0, rate: int = RATE) -> dict[str, Any]:
    whole = np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2")
    return {"rate": rate, "end": end, "pcm": base64.b64encode(whole.tobytes()).decode()}


SPEECH, SILENCE = voiced(3.0), np.zeros(3 * RATE)


def heard(
    services: Services,
    table: Live,
    samples: np.ndarray = SPEECH,
    end: float = 3.0,
    before: Course | None = None,
    visitor: str = "ann",
) -> Answer:
    given = message(samples, end)
    return live.answer(services, table, given, before or Course(), "en", visitor)


def test_speech_gets_probabilities_and_silence_none() -> None:
    services, table = serving(FakePredictor()), Live()
    first = heard(services, table)
    assert (first.state, first.probabilities) == ("scored", SURE)
    second = heard(services, table, SILENCE, 4.0, first.course)
    assert (second.state, second.probabilities) == ("silent", {})
    third = heard(services, table, SPEECH, 5.0, second.course)
    line = third.course.timeline
    assert line is not None and line.labels == tuple(SURE)
    assert line.spans == ((0.0, 3.0), (1.0, 4.0), (2.0, 5.0))
    assert np.isnan(line.probabilities).all(1).tolist() == [False, True, False]
    figure = course(None, line, "en")
    assert figure.layout.xaxis.range == (0.0, 5.0)
    assert set(figure.layout.meta["labels"]) == {"", "Angry 83%"}


def test_a_second_of_sound_is_enough_and_of_any_rate() -> None:
    services = serving(FakePredictor())
    given = message(np.repeat(SPEECH[:RATE], 3), 1.0, 3 * RATE)
    answer = live.answer(services, Live(), given, Course(), "en", "ann")
    assert answer.course.answers[0][:2] == (0.0, 1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 1},
        {"rate": 10**9},
        {"rate": "16000"},
        {"rate": math.nan},
        {"end": -1},
        {"end": math.inf},
        {"end": None},
        {"pcm": 5},
        {"pcm": "no base64!"},
        {"pcm": "AA=="},
        {"pcm": ""},
        {"pcm": message(np.zeros(4 * RATE))["pcm"]},
    ],
)
def test_what_is_no_such_sound_is_refused(change: dict[str, Any]) -> None:
    services = serving(FakePredictor())
    with pytest.raises(AudioError):
        live.answer(services, Live(), message(SPEECH) | change, Course(), "en", "ann")
    nothing: tuple[object, ...] = (None, [], "pcm", 5)
    for other in nothing:
        with pytest.raises(AudioError) as refused:
            live.answer(services, Live(), other, Course(), "en", "ann")
        assert refused.value.code == "live_sound"


def test_the_course_is_of_one_recording_and_of_its_end() -> None:
    shares, long = (0.5, 0.5), Course(("a", "b"))
    for second in range(3, 200):
        long = long.and_then(second - 3.0, float(second), shares)
    assert long.answers[-1][1] == 199 and long.answers[0][1] > 199 - live.COURSE
    assert len(long.answers) <= live.COURSE
    again = long.and_then(0.0, 1.0, shares)
    assert again.answers == ((0.0, 1.0, shares),)


def test_until_the_model_is_there_nothing_is_answered() -> None:
    assert heard(Services(Settings(), Future()), Live()).state == "loading"


@dataclass(frozen=True)
class Slow(FakePredictor):
    """Each pass takes `seconds` of the clock, and waits until it may end."""

    now: list[float] = field(default_factory=lambda: [0.0])
    seconds: list[float] = field(default_factory=lambda: [0.0])
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    ends: threading.Event = field(default_factory=threading.Event)

    def classify(self, sounds: Sequence[Sound], language: Language = "en") -> Any:
        self.now[0] += self.seconds[0]
        self.began.release()
        assert self.ends.wait(60)
        return super().classify(sounds, language)

    def clock(self) -> Callable[[], float]:
        return lambda: self.now[0]


def test_a_visitor_has_one_at_a_time_and_all_have_so_many() -> None:
    model = Slow()
    services, table = serving(model), Live()
    with ThreadPoolExecutor(8) as threads:
        first = [
            threads.submit(heard, services, table, visitor=str(n)) for n in range(live.TOGETHER)
        ]
        for _ in first:
            assert model.began.acquire(timeout=60)
        assert heard(services, table, visitor="0").state == "busy"
        late = heard(services, table, visitor="late", before=Course(("a",)))
        assert (late.state, late.course) == ("busy", Course(("a",)))
        model.ends.set()
        assert {each.result(60).state for each in first} == {"scored"}
    assert heard(services, table, visitor="late").state == "scored"


def test_whoever_waits_for_a_whole_clip_comes_first() -> None:
    services, waits = serving(FakePredictor()), threading.Event()
    services.turns.at_once = 1
    with ThreadPoolExecutor(1) as threads, services.turns.take():
        assert heard(services, Live()).state == "scored"  # beside one that is answered

        def another() -> None:
            with services.turns.take(lambda _: waits.set()):
                pass

        waiting = threads.submit(another)
        assert waits.wait(60)
        assert heard(services, Live()).state == "busy"
    waiting.result(60)


def test_a_model_that_cannot_keep_up_is_left_alone_for_a_while() -> None:
    model = Slow()
    model.ends.set()
    services, table = serving(model), Live(clock=model.clock())
    model.seconds[0] = 2 * live.INTERVAL
    with services.turns.take():  # whatever the time is due to
        for _ in range(2 * live.MEASURED):
            assert heard(services, table).state == "scored"
    for _ in range(live.MEASURED):
        assert heard(services, table).state == "scored"
    answer = heard(services, table)
    assert (answer.state, answer.seconds) == ("slow", 2 * live.INTERVAL)
    other = FakePredictor(card=type(model.card)(name="other"))
    assert heard(serving(other), table).state == "scored"
    assert heard(services, table).state == "scored"
    model.seconds[0] = 0.5 * live.INTERVAL
    model.now[0] += live.PAUSE + 1
    for _ in range(2 * live.MEASURED):
        assert heard(services, table).state == "scored"


def test_no_sound_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model: Future[Predictor] = Future()
    model.set_result(cast(Predictor, FakePredictor()))
    services = Services(Settings(home=tmp_path), model)
    assert heard(services, Live()).state == "scored"
    assert list(tmp_path.rglob("*")) == []
