"""A recording in pieces: those that vote on the answer, and those of its course over time."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from audiollm import audio
from audiollm.audio import speech
from audiollm.audio.prosody import Track
from audiollm.audio.sound import Sound

LONGEST = 20.0  # seconds: a longer sound is scored in pieces of at most this length
SHORTEST = 2.0  # seconds of a window of the course: a phrase, as long as the clips of training
READ = 4.0  # seconds, about, of a piece of a text that is read aloud: as long as a sentence
MOST = 120  # windows of a course, until they would be longer than LONGEST


@dataclass(frozen=True, eq=False)
class Window:
    """A piece of a sound."""

    samples: np.ndarray  # [N]
    weight: float  # of its vote: seconds of speech in it
    followed: Track | None = None  # of the piece, where it is the whole sound
    start: float = 0.0  # s into the sound

    @property
    def seconds(self) -> float:
        return len(self.samples) / audio.SAMPLE_RATE


@dataclass(frozen=True)
class Progress:
    """Of a long sound that is being scored."""

    done: int  # windows
    windows: int


def voting(sound: Sound, followed: Track) -> list[Window]:
    """Pieces of equal length, none longer than LONGEST; those without speech have no vote.

    Where no piece has enough speech for itself, all have one. `followed` is
    `prosody.track(sound.samples)`.
    """
    longest = int(LONGEST * audio.SAMPLE_RATE)
    pieces = np.array_split(sound.samples, max(1, -(-len(sound.samples) // longest)))
    if len(pieces) == 1:
        return [Window(pieces[0], 1.0, followed)]
    ends = np.cumsum([0] + [len(piece) for piece in pieces]) / audio.SAMPLE_RATE
    spoken = [speech.seconds(sound.speech, a, b) for a, b in pairwise(ends)]
    least = speech.SHORTEST if max(spoken) >= speech.SHORTEST else 0.0
    return [
        Window(piece, max(weight, 0.01), start=float(start))  # a vote of 0 would leave no mean
        for piece, weight, start in zip(pieces, spoken, ends[:-1], strict=True)
        if weight >= least
    ]


def course(seconds: float) -> list[tuple[float, float]]:
    """(start, end) in seconds of windows that overlap by half and cover the whole sound.

    Their length grows with the recording, so that an hour needs no thousand of them.
    """
    length = min(max(SHORTEST, 2 * seconds / MOST), LONGEST)
    if seconds <= length:
        return [(0.0, seconds)]
    count = 1 + int(np.ceil((seconds - length) / (length / 2)))
    starts = np.linspace(0, seconds - length, count)
    return [(float(s), float(s + length)) for s in starts]


def has_speech(sound: Sound, start: float, end: float) -> bool:
    """Whether somebody speaks long enough in a window, between two times in seconds."""
    return speech.seconds(sound.speech, start, end) >= speech.SHORTEST


def pieces(sound: Sound) -> list[Sound]:
    """A recording in pieces of equal length, about READ; those without speech are left out."""
    count = max(1, round(len(sound.samples) / (READ * audio.SAMPLE_RATE)))
    edges = np.linspace(0, len(sound.samples), count + 1).astype(int)
    return [
        replace(sound, samples=sound.samples[a:b], seconds=(b - a) / audio.SAMPLE_RATE)
        for a, b in pairwise(edges.tolist())
        if has_speech(sound, a / audio.SAMPLE_RATE, b / audio.SAMPLE_RATE)
    ]
