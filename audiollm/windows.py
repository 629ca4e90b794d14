"""A recording in pieces: those that vote on the answer, and those of its course over time."""

from dataclasses import dataclass, replace

import numpy as np

from audiollm import audio, prosody
from audiollm.audio import Sound
from audiollm.errors import NoSpeechError
from audiollm.prosody import Track

LONGEST = 20.0  # seconds: a longer sound is heard in pieces of at most this length
SHORTEST = 2.0  # seconds of a window of the course: a phrase, as long as the clips of training
MOST = 120  # windows of a course, until they would be longer than LONGEST
LEAST_ACTIVE = 0.3  # seconds louder than a pause that a window needs to be heard
JOINED = 0.3  # seconds: speech goes on over a shorter pause


@dataclass(frozen=True, eq=False)
class Window:
    """A piece of a sound."""

    samples: np.ndarray  # [N]
    weight: float  # of its vote: seconds that are louder than a pause of the whole clip
    followed: Track | None = None  # of the piece, where it is the whole sound

    @property
    def seconds(self) -> float:
        return len(self.samples) / audio.SAMPLE_RATE


@dataclass(frozen=True)
class Progress:
    """Of a sound so long that hearing it takes a while."""

    heard: int  # windows
    windows: int


def voting(sound: Sound, followed: Track) -> list[Window]:
    """Pieces of equal length, none longer than LONGEST; silent ones have no vote.

    Where every piece is silent for itself, all have one.
    """
    longest = int(LONGEST * audio.SAMPLE_RATE)
    pieces = np.array_split(sound.samples, max(1, -(-len(sound.samples) // longest)))
    if len(pieces) == 1:
        return [Window(pieces[0], 1.0, followed)]
    windows, start = [], 0
    for piece in pieces:
        first, start = start // prosody.HOP, start + len(piece)
        active = int(followed.active[first : start // prosody.HOP].sum())
        windows.append(Window(piece, max(active, 1) / prosody.TRACK_RATE))
    return [w for w in windows if _has_speech(sound, w.samples)] or windows


def _has_speech(sound: Sound, samples: np.ndarray) -> bool:
    try:
        audio.require_speech(replace(sound, samples=samples))
    except NoSpeechError:
        return False
    return True


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


def is_heard(start: float, end: float, followed: Track) -> bool:
    """Whether enough of a window is louder than a pause."""
    rate = prosody.TRACK_RATE
    return bool(followed.active[int(start * rate) : int(end * rate)].sum() >= LEAST_ACTIVE * rate)


def speech(followed: Track) -> list[tuple[float, float]]:
    """(start, end) in seconds of the stretches that are louder than a pause."""
    on = np.flatnonzero(followed.active)
    if not len(on):
        return []
    gaps = np.flatnonzero(np.diff(on) > JOINED * prosody.TRACK_RATE)
    first, last = on[np.r_[0, gaps + 1]], on[np.r_[gaps, len(on) - 1]]
    return [
        (float(a / prosody.TRACK_RATE), float((b + 1) / prosody.TRACK_RATE))
        for a, b in zip(first, last, strict=True)
    ]
