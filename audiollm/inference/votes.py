"""The windows of a sound vote on its answer; they go through the model in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audiollm.audio import windows
from audiollm.audio.windows import Window
from audiollm.model.speaker import SpeakerBaseline, together

BATCH_WINDOWS = 16  # windows that go through the model together, and
BATCH_SECONDS = 4 * windows.LONGEST  # of sound: more is no faster, and a stop would wait longer


@dataclass(eq=False)
class Votes:
    """The votes of the windows of one sound. C classes."""

    total: NDArray[np.float64]  # [C] probabilities, by seconds of speech
    seconds: NDArray[np.float64]  # [C] of windows whose best class it is
    spans: list[tuple[float, float]] = field(default_factory=list)  # of the windows, s
    rows: list[NDArray[np.float64]] = field(default_factory=list)  # [C] probabilities of each
    distances: list[float] = field(default_factory=list)  # from the training data
    speech: SpeakerBaseline | None = None

    @classmethod
    def of(cls, classes: int) -> "Votes":
        """No votes yet."""
        return cls(np.zeros(classes), np.zeros(classes))

    def add(self, window: Window, probabilities: NDArray[np.float64]) -> None:
        """The vote of a window, [C]."""
        self.total += window.weight * probabilities
        self.seconds[probabilities.argmax()] += window.weight
        self.spans.append((window.start, window.start + window.seconds))
        self.rows.append(probabilities)

    def add_features(self, speech: SpeakerBaseline, distance: float) -> None:
        """The features of a window and how far they are from the training data."""
        self.speech = together(part for part in (self.speech, speech) if part)
        self.distances.append(distance)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """[C], sum 1"""
        return self.total / self.total.sum()

    @property
    def winner(self) -> int:
        return int(self.total.argmax())

    @property
    def agreeing(self) -> float:
        """Share of the time in windows whose best class is the winner."""
        return float(self.seconds[self.winner] / self.seconds.sum())

    @property
    def distance(self) -> float | None:
        """Mean of the windows; None where nothing was measured."""
        mean = float(np.mean(self.distances))
        return round(mean, 3) if np.isfinite(mean) else None


def batches(seconds: Sequence[float]) -> Iterator[slice]:
    """Neighbours among windows of these lengths that go through the model together."""
    start = 0
    for end in range(1, len(seconds) + 1):
        full = end - start == BATCH_WINDOWS or sum(seconds[start : end + 1]) > BATCH_SECONDS
        if full or end == len(seconds):
            yield slice(start, end)
            start = end
