"""The real page with a model that answers from a table: for tests of the page alone.

`python -m tests.browser.fake --port N` serves it.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from audiollm.audio import Sound, prosody, windows
from audiollm.audio.timeline import Timeline
from audiollm.audio.windows import Progress
from audiollm.labels import Language, word
from audiollm.model.loading import STEPS, Loading
from audiollm.model.speaker import SpeakerBaseline, one_emotion, together
from audiollm.settings import Settings

METRICS = {
    "ua": {"value": 0.66, "low": 0.55, "high": 0.74},
    "wa": {"value": 0.71, "low": 0.63, "high": 0.78},
    "n": 412,
    "speakers": 11,
    "data": "emodb+ased",
    "split": "test",
}
SURE = {
    "angry": 0.83,
    "bored": 0.006,
    "disgusted": 0.02,
    "fearful": 0.034,
    "happy": 0.07,
    "neutral": 0.03,
    "sad": 0.01,
}
UNSURE = {**SURE, "angry": 0.41, "happy": 0.39, "neutral": 0.13}


@dataclass(frozen=True)
class Card:
    name: str = "tiny"
    folder: str = "assets/tiny"
    device: str = "cpu"
    labels: tuple[str, ...] = tuple(SURE)
    languages: tuple[Language, ...] = ("en", "zh")
    metrics: dict[str, Any] = field(default_factory=lambda: METRICS)
    data_languages: tuple[str, ...] = ()
    terms: str = ""
    parameters: int = 5_230_000
    baseline: bool = False
    probe: tuple[str, ...] = tuple(SURE)
    questions: bool = False


@dataclass(frozen=True)
class Prediction:
    label: str
    probabilities: dict[str, float]
    text: str
    language: Language
    model: str
    seconds: float
    cues: prosody.Cues | None
    analysis: None = None  # the text has no parts
    baseline_seconds: float = 0.0
    baseline_emotion: str = ""
    speech: SpeakerBaseline | None = None
    timeline: None = None

    def to_dict(self) -> dict[str, Any]:
        plain = dataclasses.asdict(dataclasses.replace(self, speech=None))
        return {**plain, "cues": self.cues.to_dict() if self.cues else None}


@dataclass(frozen=True)
class FakePredictor:
    """`Predictor` as the page sees it. `pause` in seconds between pieces of text or of a course;
    `batches` of a long sound come before the answer. The only feature of speech is its pitch."""

    card: Card = Card()
    probabilities: dict[str, float] = field(default_factory=lambda: SURE)
    pause: float = 0.0
    batches: int = 0
    passes: float = 0.0  # s that probabilities take without a text

    def stream(
        self,
        sound: Sound,
        language: Language = "en",
        report: Callable[[Any], object] = lambda _: None,
        followed: prosody.Track | None = None,
        speaker: SpeakerBaseline | None = None,
    ) -> Prediction:
        for done in range(1, self.batches):
            time.sleep(self.pause)
            report(Progress(done, self.batches))
        answer = self._first(sound, language, followed, speaker)
        report(answer)
        said = word(answer.label, language)
        pieces = (
            (f"{said}。", f"这段声音听起来{said}。", "依据：音高偏高，音色明亮。")
            if language == "zh"
            else (
                f"{said}.",
                f" The voice sounds {said}.",
                " Evidence: pitch high, timbre bright.",
            )
        )
        for count in range(1, len(pieces) + 1):
            time.sleep(self.pause)
            answer = dataclasses.replace(answer, text="".join(pieces[:count]))
            report(answer)
        return answer

    def classify(self, sounds: Sequence[Sound], language: Language = "en") -> list[Prediction]:
        time.sleep(self.passes)
        return [self._first(sound, language) for sound in sounds]

    def _first(
        self,
        sound: Sound,
        language: Language,
        followed: prosody.Track | None = None,
        speaker: SpeakerBaseline | None = None,
    ) -> Prediction:
        """Without a text."""
        emotion = one_emotion(speaker, self.card.labels) if speaker else ""
        compares = speaker is not None and speaker.usable and not emotion
        label = max(self.probabilities, key=lambda k: self.probabilities[k])
        return Prediction(
            label=label,
            probabilities=self.probabilities,
            text="",
            language=language,
            model=self.card.name,
            seconds=sound.seconds,
            cues=prosody.summarise(sound.samples, followed or prosody.track(sound.samples)),
            baseline_seconds=speaker.seconds if speaker and compares else 0.0,
            baseline_emotion=emotion,
            speech=self._speech(sound),
        )

    def _speech(self, sound: Sound) -> SpeakerBaseline:
        pitch = np.array([[prosody.measure(sound.samples).pitch_hz or 0.0]], np.float32)
        said = np.array([list(self.probabilities.values())])
        return SpeakerBaseline.of(pitch, sound.seconds, said)

    def speech(self, sound: Sound, language: Language) -> SpeakerBaseline | None:  # noqa: ARG002
        """Of its pieces."""
        return together(map(self._speech, windows.pieces(sound)))

    def apart(self, speech: SpeakerBaseline, baseline: SpeakerBaseline) -> float | None:
        """In half octaves."""
        return float(2 * abs(np.log2(speech.mean / baseline.mean))[0])

    def probe(self, sound: Sound, followed: prosody.Track) -> dict[str, float]:  # noqa: ARG002
        """Something else than the LLM."""
        return dict(zip(self.probabilities, reversed(self.probabilities.values()), strict=True))

    def timeline(
        self,
        sound: Sound,
        language: Language = "en",  # noqa: ARG002
        report: Callable[[Timeline], object] = lambda _: None,
        speaker: SpeakerBaseline | None = None,  # noqa: ARG002
    ) -> Timeline | None:
        """Each window a little less of the first class; silence stays empty."""
        spans = windows.course(sound.seconds)
        table = np.full((len(spans), len(self.probabilities)), np.nan)
        line = None
        for i, span in enumerate(spans if len(spans) > 1 else ()):
            if windows.has_speech(sound, *span):
                row = np.array(list(self.probabilities.values())) + np.eye(len(table[0]))[1] * i / 4
                table[i] = row / row.sum()
            line = Timeline(tuple(self.probabilities), tuple(spans), table.copy(), i + 1)
            report(line)
        return line

    def ask(
        self,
        sound: Sound,
        followed: prosody.Track,  # noqa: ARG002
        question: str,
        language: Language = "en",
        report: Callable[[str], object] = lambda _: None,
    ) -> str:
        """The question again, and how long the sound is."""
        said = f"{question} {sound.seconds:.1f} " + ("秒。" if language == "zh" else "seconds.")
        for end in range(8, len(said) + 8, 8):
            time.sleep(self.pause)
            report(said[:end])
        return said


if __name__ == "__main__":
    import os

    import app
    from audiollm.web import model_host, services
    from audiollm.web.analyse import live

    answers = UNSURE if os.environ.get("FAKE_UNSURE") else SURE
    batches = int(os.environ.get("FAKE_BATCHES", "0"))
    baseline = bool(os.environ.get("FAKE_BASELINE"))
    pause = float(os.environ.get("FAKE_PAUSE", "0.05"))  # s between two steps
    passes = float(os.environ.get("FAKE_PASSES", "0"))
    loads = float(os.environ.get("FAKE_LOADS", "0"))  # s that it takes to load one

    def loader(id: str, _: Settings, loading: Loading) -> Callable[[], FakePredictor]:
        """A model of that name; the one that is called `talker` answers questions."""

        def load() -> FakePredictor:
            for step in STEPS:
                loading.begin(step)
                time.sleep(loads / len(STEPS))
            name = Path(id).name
            card = Card(name=name, questions=name == "talker", baseline=baseline)
            return FakePredictor(card, answers, pause, batches, passes)

        return load

    model_host._loader = loader  # type: ignore[assignment]
    if passes:  # its pace counts, whatever a browser on a busy machine brings of the microphone
        live._spoken = lambda sound: True  # noqa: ARG005
    start = services.Services.start.__func__  # type: ignore[attr-defined]
    folder = Path(os.environ.get("FAKE_EXAMPLES", services.EXAMPLES))
    services.Services.start = classmethod(partial(start, examples=folder))  # type: ignore
    app.main()
