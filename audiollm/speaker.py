"""A speaker's baseline: the mean features of their speech, which further clips are compared with.

The features of a voice hold who speaks, in which language and into which microphone; their
difference from the same speaker's other speech holds less of that, and more of the emotion. The
baseline needs no labels. It should rest on speech that is mostly neutral or of several emotions:
where all of it is angry, the mean takes the anger away.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

FEWEST = 3  # windows: a baseline of fewer says too little of what is usual for a person


@dataclass(frozen=True, eq=False)
class SpeakerBaseline:
    """Sum of the utterance features of windows of one person's speech. U features."""

    total: NDArray[np.float64]  # [U]
    windows: int
    seconds: float  # of sound

    @classmethod
    def of(cls, rows: NDArray[np.float32], seconds: float) -> Self:
        """From the features of windows, [N, U], that last so many seconds together."""
        return cls(rows.sum(0, dtype=np.float64), len(rows), seconds)

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
        return SpeakerBaseline(
            self.total + other.total, self.windows + other.windows, self.seconds + other.seconds
        )

    def __sub__(self, part: "SpeakerBaseline") -> "SpeakerBaseline":
        """Without a part of it, such as the clip that is compared with it."""
        return SpeakerBaseline(
            self.total - part.total, self.windows - part.windows, self.seconds - part.seconds
        )


def together(parts: Iterable[SpeakerBaseline]) -> SpeakerBaseline | None:
    """All of them as one; None where there is none."""
    found: SpeakerBaseline | None = None
    for part in parts:
        found = part if found is None else found + part
    return found
