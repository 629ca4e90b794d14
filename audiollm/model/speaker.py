"""A speaker's baseline: the mean features of their speech, which further clips are compared with.

The features of a voice hold who speaks, in which language and into which microphone; their
difference from the same speaker's other speech holds less of that, and more of the emotion. The
baseline needs no labels. It should rest on speech that is mostly neutral or of several emotions:
where all of it is angry, the mean takes the anger away. `one_emotion` finds such a baseline by what
the model answers to the same speech without one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

FEWEST = 3  # windows: a baseline of fewer is too little to tell what is usual for a person
NEUTRAL = "neutral"
# Mean probability of one class over the speech: from here on it is taken to be all of that emotion.
# Mixed speech stays below it, since a class has then at most about half of the clips.
ONE_EMOTION = 0.7


@dataclass(frozen=True, eq=False)
class SpeakerBaseline:
    """Sum of the utterance features of windows of one person's speech. U features, C classes."""

    total: NDArray[np.float64]  # [U]
    windows: int
    seconds: float  # of sound
    probabilities: NDArray[np.float64] | None = None  # [C] sum of those without a baseline

    @classmethod
    def of(
        cls,
        rows: NDArray[np.float32],
        seconds: float,
        probabilities: NDArray[np.float64] | None = None,
    ) -> Self:
        """From the features of windows, [N, U], that last so many seconds together, and what the
        model answers to them without a baseline, [N, C]."""
        scores = None if probabilities is None else probabilities.sum(0, dtype=np.float64)
        return cls(rows.sum(0, dtype=np.float64), len(rows), seconds, scores)

    @property
    def mean(self) -> NDArray[np.float32]:
        """[U]"""
        return (self.total / self.windows).astype(np.float32)

    @property
    def usable(self) -> bool:
        """Whether it rests on enough speech to be compared with."""
        return self.windows >= FEWEST

    def __add__(self, other: "SpeakerBaseline") -> "SpeakerBaseline":
        """Both together."""
        scores = None
        if self.probabilities is not None and other.probabilities is not None:
            scores = self.probabilities + other.probabilities
        seconds = self.seconds + other.seconds
        return SpeakerBaseline(
            self.total + other.total, self.windows + other.windows, seconds, scores
        )

    def __sub__(self, part: "SpeakerBaseline") -> "SpeakerBaseline":
        """Without a part of it, such as the clip that is compared with it."""
        scores = None
        if self.probabilities is not None and part.probabilities is not None:
            scores = self.probabilities - part.probabilities
        seconds = self.seconds - part.seconds
        return SpeakerBaseline(
            self.total - part.total, self.windows - part.windows, seconds, scores
        )


def together(parts: Iterable[SpeakerBaseline]) -> SpeakerBaseline | None:
    """All of them as one; None where there is none."""
    total: SpeakerBaseline | None = None
    for part in parts:
        total = part if total is None else total + part
    return total


def one_emotion(speech: SpeakerBaseline, labels: Sequence[str]) -> str:
    """The class that nearly all of this speech expresses, by answers without a baseline: compared
    with it, the same emotion would pass for usual. "" where there is none such, it is neutral, or
    that is not known."""
    if speech.probabilities is None:
        return ""
    mean = speech.probabilities / speech.windows
    best = int(mean.argmax())
    return labels[best] if mean[best] >= ONE_EMOTION and labels[best] != NEUTRAL else ""
