"""Answers while the microphone records: the last seconds of sound in, class probabilities out.

live.js sends them about once a second. Nothing of the sound is kept: it is in memory while its
answer is computed, and in no file. No gradio here.
"""

import base64
import binascii
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from audiollm import audio
from audiollm.audio import windows
from audiollm.audio.sound import Sound
from audiollm.audio.timeline import Timeline
from audiollm.errors import AudioError, NoSpeechError
from audiollm.labels import Language
from audiollm.web.auth import identity
from audiollm.web.services import Services
from audiollm.web.turns import Place, Turns

if TYPE_CHECKING:
    from audiollm.predictor import Predictor

SECONDS = 3.0  # of sound that an answer rests on
EVERY = 0.8  # s between two requests of a page: an answer a second with the time that it takes
INTERVAL = 1.0  # s: a model that takes longer for SECONDS of sound is too slow
COURSE = 60.0  # s of the recording whose answers are shown
TOGETHER, EACH = 4, 3  # requests that are answered at once: of all visitors, of one address
MEASURED = 3  # passes by which a model is judged
PAUSE = 60.0  # s until a model that was too slow is tried again
RATES = (8000, 96000)  # samples a second, of browsers

State = Literal["scored", "silent", "busy", "loading", "slow"]


@dataclass(frozen=True)
class Course:
    """The answers to the end of a recording that goes on. C classes."""

    labels: tuple[str, ...] = ()
    # (start, end) in seconds of the recording, and probabilities [C]; none: nobody spoke
    answers: tuple[tuple[float, float, tuple[float, ...]], ...] = ()

    def and_then(self, start: float, end: float, shares: tuple[float, ...]) -> "Course":
        """With one more answer; alone, where another recording has begun."""
        before = self.answers if self.answers and self.answers[-1][1] < end else ()
        near = tuple(each for each in before if each[1] > end - COURSE)
        return replace(self, answers=(*near, (start, end, shares)))

    @property
    def timeline(self) -> Timeline | None:
        """As a figure takes it; None before the first answer."""
        if not self.answers:
            return None
        silent = (math.nan,) * len(self.labels)
        table = np.array([shares or silent for *_, shares in self.answers])
        spans = tuple((start, end) for start, end, _ in self.answers)
        return Timeline(self.labels, spans, table, len(spans))


@dataclass(frozen=True)
class Answer:
    """What can be said of the last seconds, and the course with it."""

    state: State
    course: Course
    probabilities: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0  # that a model takes which is too slow


class _LaterError(Exception):
    """Whoever has no turn at once has none: the page sends newer sound soon."""


@dataclass(eq=False)
class Live:
    """Who is answered live now, and whether the model is fast enough. Safe to share."""

    clock: Callable[[], float] = time.monotonic
    turns: Turns = field(default_factory=partial(Turns, TOGETHER, each=EACH))
    _answered: dict[str, object] = field(default_factory=dict)  # by visitor: of one request
    _passes: deque[float] = field(default_factory=partial(deque, maxlen=MEASURED))  # s of each
    _card: object = None  # of the model that was measured
    _tried: float = 0.0  # when

    def too_slow(self, predictor: "Predictor") -> float:
        """Seconds that this model takes, where it cannot keep up; else 0."""
        if self._card is not predictor.card or self.clock() - self._tried > PAUSE:
            self._card, self._tried = predictor.card, self.clock()
            self._passes.clear()
        measured = len(self._passes) == MEASURED
        return min(self._passes) if measured and min(self._passes) > INTERVAL else 0.0

    def classify(
        self, services: Services, predictor: "Predictor", sound: Sound, language: Language
    ) -> dict[str, float]:
        """Class probabilities. The time that it takes counts if nobody else is answered."""
        alone, began = self._alone(services), self.clock()
        (answer,) = predictor.classify([sound], language)
        if alone and self._alone(services):
            self._tried = self.clock()
            self._passes.append(self._tried - began)
        return answer.probabilities

    @contextmanager
    def turn(self, visitor: str) -> Iterator[None]:
        """Of a visitor, who has one at a time.

        Raises:
            _LaterError: they have one already, or all are taken.
        """
        mine = object()
        if self._answered.setdefault(visitor, mine) is not mine:
            raise _LaterError
        try:
            with self.turns.take(_later, identity.caller()):
                yield
        finally:
            self._answered.pop(visitor)

    def _alone(self, services: Services) -> bool:
        return self.turns.running <= 1 and not services.turns.running


def answer(
    services: Services,
    live: Live,
    message: object,
    course: Course,
    language: Language,
    visitor: str,
) -> Answer:
    """The answer to what live.js sent. What cannot be answered at once is dropped.

    Raises:
        AudioError: it is no sound, or more than SECONDS.
        ModelError: the model could not be loaded.
    """
    sound, end = parse(message)
    if not services.ready:
        return Answer("loading", course)
    predictor = services.predictor()
    if slow := live.too_slow(predictor):
        return Answer("slow", course, seconds=slow)
    if services.turns.waiting:  # those who wait for the answer to a whole clip come first
        return Answer("busy", course)
    try:
        with live.turn(visitor):
            scores = live.classify(services, predictor, sound, language) if _spoken(sound) else {}
    except _LaterError:
        return Answer("busy", course)
    labels = predictor.card.labels
    course = course if course.labels == labels else Course(labels)
    shares = tuple(scores[name] for name in labels) if scores else ()
    course = course.and_then(max(0.0, end - sound.seconds), end, shares)
    return Answer("scored" if scores else "silent", course, scores)


def parse(message: object) -> tuple[Sound, float]:
    """The sound of a message of live.js, and the second of the recording at which it ends.

    Raises:
        AudioError: it is none, or more than SECONDS.
    """
    fields = message if isinstance(message, dict) else {}
    rate, end, coded = (fields.get(key) for key in ("rate", "end", "pcm"))
    if not isinstance(rate, int) or not RATES[0] <= rate <= RATES[1]:
        raise AudioError("live_sound")
    if not isinstance(end, int | float) or not 0 <= end < 1e6 or not isinstance(coded, str):
        raise AudioError("live_sound")
    if len(coded) > 4 * math.ceil(2 * SECONDS * rate / 3):  # base64 of 16-bit samples
        raise AudioError("live_sound")
    try:
        samples = np.frombuffer(base64.b64decode(coded, validate=True), "<i2")
    except (ValueError, binascii.Error) as error:
        raise AudioError("live_sound") from error
    return audio.from_array(samples, rate), float(end)


def _later(_: Place) -> None:
    raise _LaterError


def _spoken(sound: Sound) -> bool:
    try:
        audio.require_speech(sound)
    except NoSpeechError:
        return False
    return windows.has_speech(sound, 0.0, sound.seconds)
