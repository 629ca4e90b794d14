"""Where somebody speaks in a sound, by voice activity detection."""

import numpy as np
import soxr
from numpy.typing import NDArray

from audiollm.audio import vad

Spans = tuple[
    tuple[float, float], ...
]  # (start, end) in seconds: in order, apart, inside the sound

RATE = 16000  # samples per second
FRAMES = RATE / vad.FRAME  # per second
# Probability that a span of speech reaches, and that it goes on above: the detector's own defaults.
# With them 21 of 1,680 synthesised sounds are taken for speech (`bench.nonspeech`, 20 of a kind,
# seeds 0 to 3); 0.4 and 0.25 find a quarter of the high voices that are missed and double that.
CERTAIN, UNCERTAIN = 0.5, 0.35
# A sound without a span is searched again, slowed down and after a little silence: the detector
# misses high voices that speak from the first moment (51 of 2,060 clips of ASED, and children).
# This finds 39 of the 51 for 2 more false alarms; with 0.9 and 0.7 they would be 9, mostly DTMF.
SLOWED, LEAD = 1.35, 16  # times, frames
SURE, LESS_SURE = 0.95, 0.8
LONGEST = 60.0  # seconds; what is longer holds speech that is found without this
PAUSE = 0.1  # seconds below that before speech has ended
SHORTEST = 0.25  # seconds of speech that count: a short word
JOINED = 0.3  # seconds: spans nearer than that are one
# The detector misses one in twenty faint clips: they are turned up until their loudest quarter of a
# second reaches this level, at most a hundredfold. Loud ones stay as they are.
LEVEL, MOST_GAIN = 0.03, 100.0  # root mean square, full scale 1


def detect(samples: NDArray[np.floating]) -> Spans:
    """Spans of speech in samples [N] at 16 kHz, joined over short pauses; () where nobody speaks.

    Computed in 1.5 ms per second of sound on one core, in 4 ms where nobody speaks; an hour takes
    40 MB beside its samples.

    Raises:
        ModelError: the package of the detector's weights is missing.
    """
    gain, seconds = _gain(samples), len(samples) / RATE
    speech = spans(vad.probabilities(samples, gain), seconds)
    if speech or not len(samples) or seconds > LONGEST:
        return speech
    slow = soxr.resample(samples.astype(np.float32), RATE, RATE * SLOWED)
    again = vad.probabilities(np.pad(slow, (LEAD * vad.FRAME, 0)), gain)[LEAD:]
    return spans(again, seconds, SURE, LESS_SURE, SLOWED)


def spans(
    probabilities: NDArray[np.floating],
    seconds: float,
    certain: float = CERTAIN,
    uncertain: float = UNCERTAIN,
    slowed: float = 1.0,
) -> Spans:
    """Spans of speech in a sound from the probability of every 32 ms, [T].

    Args:
        seconds: length of the sound.
        certain, uncertain: what a span must reach, and what it goes on above.
        slowed: how many times longer than the sound what was searched is.
    """
    rate = FRAMES * slowed  # per second of the sound
    spoken = np.zeros(len(probabilities), bool)
    for start, end in _runs(probabilities > uncertain, PAUSE * rate):
        if end - start >= SHORTEST * rate and probabilities[start:end].max() > certain:
            spoken[start:end] = True
    return tuple(
        (start / rate, min(end / rate, seconds)) for start, end in _runs(spoken, JOINED * rate)
    )


def seconds(speech: Spans, start: float = 0.0, end: float = np.inf) -> float:
    """How long somebody speaks between two times in seconds."""
    return sum(max(0.0, min(b, end) - max(a, start)) for a, b in speech)


def _runs(on: NDArray[np.bool_], pause: float) -> list[tuple[int, int]]:
    """(first, behind the last) frames of every run, over pauses of at most so many frames."""
    places = np.flatnonzero(on)
    if not len(places):
        return []
    gaps = np.flatnonzero(np.diff(places) - 1 > pause)
    firsts, lasts = places[np.r_[0, gaps + 1]], places[np.r_[gaps, len(places) - 1]]
    return [(int(a), int(b) + 1) for a, b in zip(firsts, lasts, strict=True)]


def _gain(samples: NDArray[np.floating]) -> float:
    """Gain of a faint sound."""
    count = len(samples) // vad.FRAME
    if not count:
        return 1.0
    frames = samples[: count * vad.FRAME].reshape(count, vad.FRAME)
    power = np.einsum("tn,tn->t", frames, frames) / vad.FRAME - frames.mean(1) ** 2
    rank = max(0, count - round(SHORTEST * FRAMES))
    loud = float(np.sqrt(max(np.partition(power, rank)[rank], 1e-12)))
    return float(np.clip(LEVEL / loud, 1.0, MOST_GAIN))
