"""Other ways to use a voice, made from spoken clips: what a speech detector must not miss.

Each of VOICES takes samples [N], float32 at 16 kHz, and a random generator, and gives samples [M].
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, signal

from audiollm.audio import prosody

RATE = prosody.SAMPLE_RATE
Samples = NDArray[np.float32]
Rng = np.random.Generator

FRAME, HOP, ORDER = 480, 160, 18  # samples, samples, poles of the vocal tract
# Formants and pitch of a child of about eight over those of men and women
CHILD = {"low": 1.5, "high": 1.25}
SCALE = (0, 2, 4, 5, 7, 9, 11, 12)  # semitones a melody steps over


def whispered(samples: Samples, rng: Rng) -> Samples:
    """The same vocal tract driven by noise: no pitch, and the weak bass of a whisper."""
    hiss = rng.standard_normal(len(samples))
    wave = _resynthesised(samples, hiss, 1)
    return _level(signal.lfilter([1.0, -0.7], [1.0], wave), 0.3)


def child(samples: Samples, rng: Rng) -> Samples:  # noqa: ARG001
    """Throat and pitch of a child, by the register of the voice; the tempo is kept."""
    import soxr

    shift = CHILD[prosody.measure(samples).register]
    return _level(_longer(soxr.resample(samples, RATE * shift, RATE), shift), 0.5)


def shouted(samples: Samples, rng: Rng) -> Samples:  # noqa: ARG001
    """The spectrum flatter, then 20 dB too loud for the microphone: clipped hard."""
    bright = signal.lfilter([1.0, -0.6], [1.0], samples)
    return np.clip(10 * bright / np.abs(bright).max(), -1, 1).astype(np.float32)


def sung(samples: Samples, rng: Rng) -> Samples:
    """Half as fast, and every half second on another note of a scale, with vibrato."""
    stretch = 2
    followed = prosody.track(samples)
    f0 = followed.f0[~np.isnan(followed.f0)]
    root = float(np.median(f0)) if len(f0) else 200.0
    time = np.arange(stretch * len(samples)) / RATE
    notes = rng.choice(SCALE, int(time[-1] / 0.5) + 1)[(time / 0.5).astype(int)]
    hertz = root * 2 ** (notes / 12) * (1 + 0.02 * np.sin(2 * np.pi * 5.5 * time))
    pulses = np.diff(np.floor(np.cumsum(hertz) / RATE), prepend=0.0) * np.sqrt(RATE / hertz)
    voicing = np.repeat(followed.voicing > prosody.VOICED, stretch * HOP)[: len(time)]
    voicing = np.pad(voicing, (0, len(time) - len(voicing)))
    return _level(
        _resynthesised(samples, np.where(voicing, pulses, rng.standard_normal(len(time))), stretch),
        0.5,
    )


def _resynthesised(samples: Samples, source: NDArray[np.float64], stretch: int) -> Samples:
    """The vocal tract of a clip (linear prediction every 10 ms) driven by another source.

    source: [stretch * N], of power 1.
    """
    window = np.hanning(FRAME)
    result = np.zeros(len(source) + FRAME)
    samples = np.pad(samples, (0, FRAME))
    for start in range(0, len(source) - FRAME + 1, HOP):
        place = start // stretch
        frame = signal.lfilter([1.0, -0.95], [1.0], samples[place : place + FRAME]) * window
        lags = np.correlate(frame, frame, "full")[len(frame) - 1 : len(frame) + ORDER]
        if lags[0] < 1e-7:
            continue
        lags[0] *= 1 + 1e-4
        poles = linalg.solve_toeplitz(lags[:-1], lags[1:])
        power = max(float(lags[0] - poles @ lags[1:]), 0.0) / np.sum(window**2)
        driven = np.sqrt(power) * source[start : start + FRAME]
        spoken = signal.lfilter([1.0], np.r_[1.0, -poles], driven)
        result[start : start + FRAME] += signal.lfilter([1.0], [1.0, -0.95], spoken) * window
    return result[: len(source)].astype(np.float32)


def _longer(samples: Samples, factor: float) -> NDArray[np.float64]:
    """Slower by a factor at the same pitch: pieces of 40 ms overlap where they fit best (WSOLA)."""
    size, search = 640, 160  # samples; a period of a voice above 100 Hz
    window, step = np.hanning(size), size // 2
    padded = np.pad(samples, search + size)
    count = int(len(samples) * factor) // step
    result = np.zeros((count + 2) * step)
    place = 0
    for i in range(count):
        near = search + size + int(i * step / factor)
        if i:
            # where the sound goes on as it would have after the piece before
            follows = padded[place + step : place + step + size]
            around = padded[near - search : near + search + size]
            near += int(np.correlate(around, follows, "valid").argmax()) - search
        place = near
        result[i * step : i * step + size] += padded[place : place + size] * window
    return result


def _level(wave: NDArray[np.floating], peak: float) -> Samples:
    return (wave * (peak / max(float(np.abs(wave).max()), 1e-9))).astype(np.float32)


VOICES: dict[str, Callable[[Samples, Rng], Samples]] = {
    "whispered": whispered,
    "child": child,
    "shouted": shouted,
    "sung": sung,
}
