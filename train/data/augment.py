"""Data augmentation: copies of training clips with another speed, room, microphone and noise.

Every function draws from the generator it is given, so that the same seed gives the same copy.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from audiollm.audio.prosody import SAMPLE_RATE

Samples = NDArray[np.float32]
TAIL = 4000  # samples of reverberation: a quarter of a second holds what matters
SPEED = 0.1  # a copy is played so much slower or faster, and so deeper or higher, at most


def augmented(samples: Samples, seed: list[int]) -> Samples:
    """Another speaker's speed, room and microphone at the level of the original.

    samples: [N] at 16 kHz, [-1, 1] -> about [N]; the same seed gives the same sound.
    """
    rng = np.random.default_rng(seed)
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    copy = distort(normalised(faster(samples, 1 + rng.uniform(-SPEED, SPEED))), rng)
    return np.clip(copy * np.float32(level), -1, 1)


def faster(samples: Samples, speed: float) -> Samples:
    """Played `speed` times as fast: [N] -> [N / speed], linearly interpolated."""
    at = np.arange(max(1, int(len(samples) / speed))) * speed
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def normalised(samples: Samples) -> Samples:
    """Zero mean and unit variance, as the encoder takes every sound."""
    centred = samples - samples.mean(dtype=np.float64)
    return (centred / np.sqrt(np.mean(centred**2) + 1e-10)).astype(np.float32)


def distort(samples: Samples, rng: np.random.Generator) -> Samples:
    """Another room, microphone and background; [N] of unit variance in and out.

    A smooth random equaliser, now and then the band of a telephone or of a cheap microphone, a
    reverberant tail, noise between white and pink at 5 to 35 dB; all in the frequency domain, with
    one transform back.
    """
    size = len(samples)
    padded = fft.next_fast_len(size + TAIL, real=True)
    hertz = np.fft.rfftfreq(padded, 1 / SAMPLE_RATE).astype(np.float32)
    spectrum = fft.rfft(samples, padded) * _response(hertz, rng)
    if rng.random() < 0.4:
        spectrum *= fft.rfft(_room(rng), padded)
    if rng.random() < 0.7:
        parts = rng.standard_normal((2, len(hertz)), dtype=np.float32)
        noise = (parts[0] + 1j * parts[1]) * np.maximum(hertz, 50.0) ** (-rng.uniform(0, 0.5))
        level = 10 ** (-rng.uniform(5, 35) / 20)
        spectrum += noise * (level * np.linalg.norm(spectrum) / np.linalg.norm(noise))
    return normalised(fft.irfft(spectrum, padded)[:size])


def _response(hertz: Samples, rng: np.random.Generator) -> Samples:
    """Gain of a microphone: within 8 dB in eight bands, sometimes of a narrower band."""
    anchors = np.array([50.0, 120.0, 300.0, 700.0, 1500.0, 3000.0, 5000.0, 8000.0])
    grid = np.linspace(0, SAMPLE_RATE / 2, 513)
    octave = np.log2(np.maximum(grid, 50.0))
    gain = 10 ** (np.interp(octave, np.log2(anchors), rng.uniform(-8, 8, len(anchors))) / 20)
    kind = rng.random()
    if kind < 0.5:
        bands = ((200, 350), (3000, 4000)) if kind < 0.3 else ((60, 300), (3500, 7500))
        low, high = (rng.uniform(*ends) for ends in bands)
        gain /= np.sqrt((1 + (low / np.maximum(grid, 1.0)) ** 8) * (1 + (grid / high) ** 24))
    return np.interp(hertz, grid, gain).astype(np.float32)


def _room(rng: np.random.Generator) -> Samples:
    """Impulse response: the direct sound, then noise that fades by 60 dB in 0.1 to 0.6 s."""
    fade = np.exp(-6.9 * np.arange(TAIL) / (rng.uniform(0.1, 0.6) * SAMPLE_RATE))
    response = rng.standard_normal(TAIL) * fade
    response *= rng.uniform(0.1, 0.6) / np.sqrt(np.sum(response**2))
    response[0] = 1.0
    return response.astype(np.float32)
