"""The speaker baseline of a visitor: features of their recordings, in memory alone.

There is one only while they have switched it on: `Services.enrolments`, by visitor. No gradio here;
the part of the page is in voice.py.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from audiollm.audio.windows import Progress
from audiollm.errors import NoSpeechError
from audiollm.labels import Language
from audiollm.model.speaker import SpeakerBaseline, one_emotion
from audiollm.web.analyse.clip_loading import Clip, load_clip
from audiollm.web.analyse.enrolment import Enrolment
from audiollm.web.model_info import protocols
from audiollm.web.services import Services

if TYPE_CHECKING:
    from audiollm.predictor import Prediction, Predictor

READING = "reading"  # in place of the path of the text that was read aloud
Decision = Literal["anew", "mine", "out"]


def switch(services: Services, visitor: str, on: bool) -> None:
    """On: from now on the visitor's recordings count. Off: their features are deleted."""
    if on:
        services.enrolments.setdefault(visitor, Enrolment(services.active, services.clock()))
    else:
        leave(services, visitor)


def forget(services: Services, visitor: str) -> None:
    """What is still being answered adds to what is deleted."""
    if visitor in services.enrolments:
        services.enrolments[visitor] = Enrolment(services.active, services.clock())


def leave(services: Services, visitor: str) -> None:
    """The visitor has closed the page."""
    services.enrolments.pop(visitor, None)


def enrolment_of(services: Services, visitor: str) -> Enrolment | None:
    """The visitor's enrolment; None where it is switched off. Another model has other features, so
    it begins with none."""
    enrolment = services.enrolments.get(visitor)
    if enrolment and enrolment.model != services.active:
        forgotten = bool(enrolment.clips)
        enrolment = Enrolment(services.active, services.clock(), forgotten=forgotten)
        services.enrolments[visitor] = enrolment
    if enrolment:
        enrolment.seen = services.clock()
    return enrolment


def of_clip(services: Services, visitor: str, path: str) -> Enrolment | None:
    """The same for a recording: None for an example, which has another speaker."""
    return None if services.example(path) else enrolment_of(services, visitor)


class _OtherSpeakerError(Exception):
    """Ends an answer that would be compared with another speaker."""


def predict(
    predictor: "Predictor",
    clip: Clip,
    language: Language,
    enrolment: Enrolment | None,
    path: str,
    report: Callable[["Prediction | Progress"], object],
) -> "Prediction":
    """The answer to a recording, compared with the visitor's baseline unless another speaker is
    detected in it."""

    def checked(part: "Prediction | Progress") -> None:
        speech = None if isinstance(part, Progress) else part.speech
        if enrolment and enrolment.is_other(predictor, path, speech):
            raise _OtherSpeakerError
        report(part)

    speaker = enrolment.others(path) if enrolment else None
    with suppress(_OtherSpeakerError):
        return predictor.stream(clip.sound, language, checked, followed=clip.track, speaker=speaker)
    return predictor.stream(clip.sound, language, report, followed=clip.track)


def rests_on(answer: "Prediction", others: SpeakerBaseline | None) -> bool:
    """Whether the answer was compared with this baseline, or would have been but for its emotion,
    and not with the rest of a long recording."""
    if others is None or not others.usable:
        return False
    return answer.baseline_seconds in (0, others.seconds)


def decide(services: Services, visitor: str, decision: Decision) -> bool:
    """What the visitor says of the recording in which another speaker was detected; whether that
    changes its answer."""
    enrolment = enrolment_of(services, visitor)
    if enrolment is None or enrolment.question is None:
        return False
    question, enrolment.question = enrolment.question, None
    if decision == "out":
        enrolment.left_out.add(question.path)
        return False
    if decision == "anew":
        enrolment.clips.clear()
    enrolment.add(question.path, question.speech)
    return decision == "mine"


def read(services: Services, visitor: str, path: str, language: Language) -> None:
    """A text that was read aloud becomes part of the baseline; its sound is deleted.

    Raises:
        AudioLLMError: the sound cannot be used, or there is no model.
    """
    try:
        predictor, enrolment = services.predictor(), enrolment_of(services, visitor)
        clip = load_clip(path, services.settings)
        speech = predictor.speech(clip.sound, supported(predictor, language))
    finally:
        with suppress(OSError):
            Path(path).unlink()
    if speech is None:
        raise NoSpeechError("audio_reading_short")
    if enrolment:
        enrolment.clips.pop(READING, None)  # read again, it replaces what was read before
        enrolment.offer(predictor, READING, speech)


def supported(predictor: "Predictor", language: Language) -> Language:
    """The language, or the first one that the model was trained on."""
    trained = predictor.card.languages
    return language if language in trained else trained[0]


def emotion(services: Services, baseline: SpeakerBaseline) -> str:
    """The emotion that the whole baseline expresses, so that it is not compared with; or ""."""
    card = services.card
    return one_emotion(baseline, card.labels) if card and baseline.usable else ""


@dataclass(frozen=True)
class Gain:
    """Accuracy with and without a baseline: shares of clips that are right."""

    where: Literal["speakers", "corpora"]  # new speakers; new languages and microphones as well
    clips: int  # of the baseline
    right: float
    plain: float  # without it


def gain(services: Services, windows: int) -> Gain | None:
    """Of a baseline of so many windows; None where it was not measured or the figures of a foreign
    model are malformed."""
    metrics = services.card.metrics if services.card else {}
    accuracy = protocols(metrics)
    if accuracy and accuracy.baseline is not None:
        return Gain("corpora", 8, accuracy.baseline, accuracy.corpora)
    for count in (n for n in (8, 3) if n <= windows):
        with suppress(KeyError, TypeError, ValueError):
            right = float(metrics["baselines"][str(count)]["wa"]["value"])
            plain = float(metrics["wa"]["value"])
            if 0 <= right <= 1 and 0 <= plain <= 1:
                return Gain("speakers", count, right, plain)
    return None
