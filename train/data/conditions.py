"""Fixed acoustic conditions to test a model under: noise, a room, a telephone, low level.

A condition takes samples [N], float32 at 16 kHz, and gives as many back; N is at least 1. What
is random in it comes from the generator that it is given. A loud sound may leave [-1, 1]:
`audio.from_array` turns it down whole.
"""

import hashlib
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from audiollm.audio import SAMPLE_RATE

Samples = NDArray[np.float32]  # [N], mono, 16 kHz
Condition = Callable[[Samples, np.random.Generator], Samples]

BAND = (300.0, 3400.0)  # Hz, of a telephone
TELEPHONE_RATE = 8000  # Hz
RT60 = 0.4  # seconds until a furnished room is 60 dB quieter
FIRST_ECHO = 0.003  # seconds behind the direct sound: a wall or a table half a metre away


def clean(samples: Samples, rng: np.random.Generator) -> Samples:  # noqa: ARG001
    """The sound as it was recorded."""
    return samples


def noisy(samples: Samples, rng: np.random.Generator, snr: float) -> Samples:
    """Pink noise, as of fans and traffic, `snr` dB below the mean power of the whole sound.

    A sound without power, or too short to hold a frequency, stays as it is.
    """
    size = len(samples)
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    parts = rng.standard_normal((2, len(hertz)))
    spectrum = (parts[0] + 1j * parts[1]) / np.sqrt(np.maximum(hertz, 50.0))
    spectrum[0] = 0  # an offset is no noise
    noise = np.fft.irfft(spectrum, size) if size > 1 else np.zeros(size)
    power = float(np.mean(noise**2))
    if power == 0:
        return samples
    target = float(np.var(samples, dtype=np.float64)) * 10 ** (-snr / 10)
    return (samples + noise * np.sqrt(target / power)).astype(np.float32)


def telephone(samples: Samples, rng: np.random.Generator) -> Samples:  # noqa: ARG001
    """300 to 3400 Hz, through 8 kHz and back."""
    import soxr
    from scipy import signal

    size = len(samples)
    narrow = soxr.resample(np.append(samples, samples[-1:]), SAMPLE_RATE, TELEPHONE_RATE)
    sections = signal.ellip(6, 0.5, 40, BAND, "bandpass", fs=TELEPHONE_RATE, output="sos")
    filtered = signal.sosfilt(sections, narrow.astype(np.float64))
    wide = soxr.resample(filtered, TELEPHONE_RATE, SAMPLE_RATE)[:size]
    return np.pad(wide, (0, size - len(wide))).astype(np.float32)


def room(samples: Samples, rng: np.random.Generator) -> Samples:
    """A small room at its critical distance: the echoes are as loud as the direct sound."""
    from scipy import signal

    time_ = np.arange(int(RT60 * SAMPLE_RATE)) / SAMPLE_RATE
    response = rng.standard_normal(len(time_)) * 10 ** (-3 * time_ / RT60)
    response[time_ < FIRST_ECHO] = 0
    response /= np.sqrt(np.sum(response**2))
    response[0] = 1.0
    return signal.fftconvolve(samples, response)[: len(samples)].astype(np.float32)


def quiet(samples: Samples, rng: np.random.Generator) -> Samples:  # noqa: ARG001
    """Turned down by 20 dB, as by a microphone that is far away."""
    return samples * np.float32(0.1)


CONDITIONS: dict[str, Condition] = {
    "clean": clean,
    "noise, 20 dB": partial(noisy, snr=20.0),
    "noise, 10 dB": partial(noisy, snr=10.0),
    "telephone": telephone,
    "small room": room,
    "quiet, -20 dB": quiet,
}


def degrade(samples: Samples, condition: str, clip_id: str) -> Samples:
    """The sound under a condition: always the same for the same clip. [N] -> [N]"""
    seed = hashlib.sha256(f"{clip_id} {condition}".encode()).digest()[:8]
    return CONDITIONS[condition](samples, np.random.default_rng(int.from_bytes(seed, "big")))
