"""The real page with a model that answers from a table: for tests of the page alone.

`python -m tests.browser.fake --port N` serves it.
"""

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from audiollm import prosody
from audiollm.audio import Sound
from audiollm.labels import Language, word

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


@dataclass(frozen=True)
class FakePredictor:
    """`Predictor` as the page sees it. `pause` in seconds between pieces of text."""

    card: Card = Card()
    probabilities: dict[str, float] = field(default_factory=lambda: SURE)
    pause: float = 0.0

    def stream(self, sound: Sound, language: Language) -> Iterator[Prediction]:
        label = max(self.probabilities, key=lambda k: self.probabilities[k])
        first = Prediction(
            label=label,
            probabilities=self.probabilities,
            text="",
            language=language,
            model=self.card.name,
            seconds=sound.seconds,
            cues=prosody.measure(sound.samples),
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


if __name__ == "__main__":
    import os

    import app
    from audiollm.ui import services

    answers = UNSURE if os.environ.get("FAKE_UNSURE") else SURE
    services._loader = lambda _settings: lambda: FakePredictor(probabilities=answers, pause=0.05)  # type: ignore
    start = services.Services.start.__func__  # type: ignore[attr-defined]
    folder = Path(os.environ.get("FAKE_EXAMPLES", services.EXAMPLES))
    services.Services.start = classmethod(partial(start, examples=folder))  # type: ignore
    app.main()
