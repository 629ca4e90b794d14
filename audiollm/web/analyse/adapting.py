"""What a visitor's page knows of their voice: features of their recordings, in memory alone.

There is something only while they have switched it on: `Services.voices`, by visitor. No gradio
here; the part of the page stands in voice.py.
"""

import logging
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from audiollm.audio.steps import drained
from audiollm.audio.windows import Progress
from audiollm.errors import AudioLLMError, NoSpeechError
from audiollm.labels import Language
from audiollm.model.speaker import SpeakerBaseline, one_emotion
from audiollm.web.accuracy import protocols
from audiollm.web.analyse.hearing import Heard, hear
from audiollm.web.analyse.known_voice import Voice
from audiollm.web.services import Services

if TYPE_CHECKING:
    from audiollm.predictor import Prediction, Predictor

LOG = logging.getLogger(__name__)
READING = "reading"  # stands for the path of the text that was read aloud
Decision = Literal["anew", "mine", "out"]


def switch(services: Services, visitor: str, on: bool) -> None:
    """On: from now on the visitor's recordings count. Off: nothing is known any more."""
    if on:
        services.voices.setdefault(visitor, Voice(services.using))
    else:
        leave(services, visitor)


def forget(services: Services, visitor: str) -> None:
    """What is still being answered adds to what is forgotten."""
    if visitor in services.voices:
        services.voices[visitor] = Voice(services.using)


def leave(services: Services, visitor: str) -> None:
    """The visitor has closed the page."""
    services.voices.pop(visitor, None)


def known(services: Services, visitor: str) -> Voice | None:
    """What is known of the visitor's voice; None where it is switched off. Another model has other
    features: with it nothing is."""
    voice = services.voices.get(visitor)
    if voice and voice.model != services.using:
        forgotten = bool(voice.clips)
        voice = services.voices[visitor] = Voice(services.using, forgotten=forgotten)
    return voice


def of_clip(services: Services, visitor: str, path: str) -> Voice | None:
    """The same for a recording: None for an example, in which somebody else speaks."""
    return None if services.example(path) else known(services, visitor)


def compared(
    predictor: "Predictor", heard: Heard, language: Language, voice: Voice | None, path: str
) -> "Generator[Prediction | Progress]":
    """The answer to a recording, compared with the visitor's voice unless another one speaks."""
    speaker = voice.others(path) if voice else None
    options: dict[str, Any] = {"followed": heard.followed}
    with closing(predictor.stream(heard.sound, language, speaker=speaker, **options)) as parts:
        for part in parts:
            found = None if isinstance(part, Progress) else part.speech
            if voice and voice.is_other(predictor, path, found):
                break
            yield part
        else:
            return
    with closing(predictor.stream(heard.sound, language, **options)) as parts:
        yield from parts


def rests_on(answer: "Prediction", others: SpeakerBaseline | None) -> bool:
    """Whether it was this baseline that the answer rests on, or would have but for its emotion, and
    not the rest of a long recording."""
    usable = others is not None and others.usable
    return usable and answer.baseline_seconds in (0, round(others.seconds, 1) if others else 0)


def decide(services: Services, visitor: str, decision: Decision) -> bool:
    """What the visitor says of the recording that sounds like another voice; whether that changes
    its answer."""
    voice = known(services, visitor)
    if voice is None or voice.question is None:
        return False
    asked, voice.question = voice.question, None
    if decision == "out":
        voice.left_out.add(asked.path)
        return False
    if decision == "anew":
        voice.clips.clear()
    voice.add(asked.path, asked.speech)
    return decision == "mine"


def read(services: Services, visitor: str, path: str, language: Language) -> None:
    """A text that was read aloud becomes part of the baseline; its sound is deleted.

    Raises:
        AudioLLMError: the sound cannot be used, or there is no model.
    """
    try:
        predictor, voice = services.predictor(), known(services, visitor)
        heard = drained(hear(services, path))
        speech = predictor.speech(heard.sound, spoken(predictor, language))
    finally:
        with suppress(OSError):
            Path(path).unlink()
    if speech is None:
        raise NoSpeechError(
            "Too little speech was heard: read the text again, closer to the microphone.",
            "听到的语音太少：请靠近麦克风，再读一遍。",
        )
    if voice:
        voice.clips.pop(READING, None)  # read again, it replaces what was read before
        voice.offer(predictor, READING, speech)


def spoken(predictor: "Predictor", language: Language) -> Language:
    """The language, or the first one that the model was taught."""
    taught = predictor.card.languages
    return language if language in taught else taught[0]


def emotion(services: Services, baseline: SpeakerBaseline) -> str:
    """The emotion that the whole baseline expresses, so that it is not compared with; or ""."""
    card = services.card
    return one_emotion(baseline, card.labels) if card and baseline.usable else ""


@dataclass(frozen=True)
class Gain:
    """What a baseline is worth: shares of clips that are right."""

    where: Literal["speakers", "corpora"]  # new speakers; new languages and microphones as well
    clips: int  # of the baseline
    right: float
    plain: float  # without it


def gain(services: Services, windows: int) -> Gain | None:
    """Of a baseline of so many windows; None where it was not measured, or a stranger's figures are
    none."""
    metrics = services.card.metrics if services.card else {}
    found = protocols(metrics)
    if found and found.baseline is not None:
        return Gain("corpora", 8, found.baseline, found.corpora)
    for count in (n for n in (8, 3) if n <= windows):
        with suppress(KeyError, TypeError, ValueError):
            right = float(metrics["baselines"][str(count)]["wa"]["value"])
            plain = float(metrics["wa"]["value"])
            if 0 <= right <= 1 and 0 <= plain <= 1:
                return Gain("speakers", count, right, plain)
    return None


def said(error: Exception) -> AudioLLMError | None:
    """The error where it has a sentence; a bug goes to the log."""
    if isinstance(error, AudioLLMError):
        return error
    LOG.error("adapting to a voice failed", exc_info=error)
    return None
