"""The real page with a model that answers from a table: for tests of the page alone.

`python -m tests.browser.fake --port N` serves it.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import prosody, windows
from audiollm.audio import Sound
from audiollm.labels import Language, word
from audiollm.loading import STEPS, Loading
from audiollm.settings import Settings
from audiollm.timeline import Timeline
from audiollm.windows import Progress

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
    parameters: int = 5_230_000
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

    def to_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "cues": self.cues.to_dict() if self.cues else None}


@dataclass(frozen=True)
class FakePredictor:
    """`Predictor` as the page sees it. `pause` in seconds between pieces of text or of a course;
    `batches` of a long sound come before the answer."""

    card: Card = Card()
    probabilities: dict[str, float] = field(default_factory=lambda: SURE)
    pause: float = 0.0
    batches: int = 0

    def stream(
        self, sound: Sound, language: Language, followed: prosody.Track | None = None
    ) -> Iterator[Prediction | Progress]:
        for done in range(1, self.batches):
            time.sleep(self.pause)
            yield Progress(done, self.batches)
        label = max(self.probabilities, key=lambda k: self.probabilities[k])
        first = Prediction(
            label=label,
            probabilities=self.probabilities,
            text="",
            language=language,
            model=self.card.name,
            seconds=sound.seconds,
            cues=prosody.summarise(sound.samples, followed or prosody.track(sound.samples)),
        )
        yield first
        said = word(label, language)
        pieces = (
            (f"{said}。", f"这段声音听起来{said}。", "强度：中等。", "依据：音高偏高，音色明亮。")
            if language == "zh"
            else (
                f"{said}.",
                f" The voice sounds {said}.",
                " Intensity: moderate.",
                " Evidence: pitch high, timbre bright.",
            )
        )
        for count in range(1, len(pieces) + 1):
            time.sleep(self.pause)
            yield dataclasses.replace(first, text="".join(pieces[:count]))

    def probe(self, sound: Sound, followed: prosody.Track) -> dict[str, float]:  # noqa: ARG002
        """Something else than the LLM."""
        return dict(zip(self.probabilities, reversed(self.probabilities.values()), strict=True))

    def timeline(
        self,
        sound: Sound,
        followed: prosody.Track,  # noqa: ARG002
        language: Language,  # noqa: ARG002
    ) -> Iterator[Timeline]:
        """Each window a little less of the first class; silence stays empty."""
        spans = windows.course(sound.seconds)
        table = np.full((len(spans), len(self.probabilities)), np.nan)
        for i, span in enumerate(spans):
            if windows.has_speech(sound, *span):
                row = np.array(list(self.probabilities.values())) + np.eye(len(table[0]))[1] * i / 4
                table[i] = row / row.sum()
            if len(spans) > 1:
                yield Timeline(tuple(self.probabilities), tuple(spans), table.copy(), i + 1)

    def ask(
        self,
        sound: Sound,
        followed: prosody.Track,  # noqa: ARG002
        question: str,
        language: Language = "en",
    ) -> Iterator[str]:
        """The question again, and how long the sound is."""
        said = f"{question} {sound.seconds:.1f} " + ("秒。" if language == "zh" else "seconds.")
        for end in range(8, len(said) + 8, 8):
            time.sleep(self.pause)
            yield said[:end]


if __name__ == "__main__":
    import os

    import app
    from audiollm.ui import services

    answers = UNSURE if os.environ.get("FAKE_UNSURE") else SURE
    batches = int(os.environ.get("FAKE_BATCHES", "0"))
    pause = float(os.environ.get("FAKE_PAUSE", "0.05"))  # s between two steps
    loads = float(os.environ.get("FAKE_LOADS", "0"))  # s that it takes to load one

    def loader(id: str, _: Settings, loading: Loading) -> Callable[[], FakePredictor]:
        """A model of that name; the one that is called `talker` answers questions."""

        def load() -> FakePredictor:
            for step in STEPS:
                loading.begin(step)
                time.sleep(loads / len(STEPS))
            card = Card(name=Path(id).name, questions=Path(id).name == "talker")
            return FakePredictor(card, answers, pause=pause, batches=batches)

        return load

    services._loader = loader  # type: ignore[assignment]
    start = services.Services.start.__func__  # type: ignore[attr-defined]
    folder = Path(os.environ.get("FAKE_EXAMPLES", services.EXAMPLES))
    services.Services.start = classmethod(partial(start, examples=folder))  # type: ignore
    app.main()
