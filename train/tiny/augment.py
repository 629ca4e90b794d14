"""Training sounds: random crops at random speed, and what rooms and microphones do to them.

Every function draws from the generator it is given, so that a step of training depends on its
seed and number alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from audiollm import prosody
from train.tiny import targets

Samples = NDArray[np.float32]
TAIL = 4000  # samples of reverberation: a quarter of a second holds what matters


@dataclass(frozen=True, eq=False)
class Voice:
    """One clip in memory with its pitch followed."""

    samples: NDArray[np.int16]  # [N]
    pitch: NDArray[np.float32]  # octaves, 100 Hz
    voiced: NDArray[np.float32]
    label: str
    speaker: str
    corpus: str

    @classmethod
    def of(cls, samples: Samples, label: str, speaker: str, corpus: str) -> "Voice":
        """samples: [N] in [-1, 1] at 16 kHz."""
        quantised = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
        pitch, voiced = targets.follow(samples)
        return cls(quantised, pitch, voiced, label, speaker, corpus)

    def waveform(self) -> Samples:
        """Samples in [-1, 1]."""
        return self.samples.astype(np.float32) / np.float32(32767)


@dataclass(frozen=True, eq=False)
class Crop:
    """A piece of a clip before distortion, and its pitch at the encoder's frames."""

    samples: Samples  # [N], zero mean, unit variance
    pitch: NDArray[np.float32]  # [T]
    voiced: NDArray[np.float32]  # [T]


def normalised(samples: Samples) -> Samples:
    """Zero mean and unit variance, as the encoder hears every sound."""
    centred = samples - samples.mean(dtype=np.float64)
    return (centred / np.sqrt(np.mean(centred**2) + 1e-10)).astype(np.float32)


def crop(voice: Voice, length: int, rng: np.random.Generator, speed: float = 1.0) -> Crop:
    """`length` samples from a random place, played `speed` times as fast.

    A clip that is too short starts over: no padding, which a convolution would hear.
    """
    size = len(voice.samples)
    room = size - length * speed
    start = rng.uniform(0, room) if room > 0 else 0.0
    position = (start + np.arange(length) * speed) % size
    left = position.astype(np.int64)
    part = (position - left).astype(np.float32)
    right = np.minimum(left + 1, size - 1)
    samples = voice.samples[left] * (1 - part) + voice.samples[right] * part
    frame = np.round(position[targets.centres(length)] / prosody.HOP).astype(np.int64)
    frame = np.minimum(frame, len(voice.voiced) - 1)
    voiced = voice.voiced[frame]
    pitch = (voice.pitch[frame] + np.float32(np.log2(speed))) * voiced
    return Crop(normalised(samples), pitch, voiced)


def distort(samples: Samples, rng: np.random.Generator) -> Samples:
    """Another room, microphone and background; [N] of unit variance in and out.

    A smooth random equaliser, a telephone band now and then, a reverberant tail, noise between
    white and pink at 5 to 35 dB; all in the frequency domain, with one transform back.
    """
    size = len(samples)
    padded = fft.next_fast_len(size + TAIL, real=True)
    hertz = np.fft.rfftfreq(padded, 1 / targets.SAMPLE_RATE).astype(np.float32)
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
    """Gain of a microphone: within 6 dB in six bands, sometimes only the telephone's band."""
    anchors = np.array([50.0, 200.0, 600.0, 1500.0, 3500.0, 8000.0])
    grid = np.linspace(0, targets.SAMPLE_RATE / 2, 513)
    octave = np.log2(np.maximum(grid, 50.0))
    gain = 10 ** (np.interp(octave, np.log2(anchors), rng.uniform(-6, 6, len(anchors))) / 20)
    if rng.random() < 0.2:
        low, high = rng.uniform(80, 300), rng.uniform(3000, 7000)
        gain /= np.sqrt((1 + (low / np.maximum(grid, 1.0)) ** 6) * (1 + (grid / high) ** 12))
    return np.interp(hertz, grid, gain).astype(np.float32)


def _room(rng: np.random.Generator) -> Samples:
    """Impulse response: the direct sound, then noise that fades by 60 dB in 0.1 to 0.6 s."""
    fade = np.exp(-6.9 * np.arange(TAIL) / (rng.uniform(0.1, 0.6) * targets.SAMPLE_RATE))
    response = rng.standard_normal(TAIL) * fade
    response *= rng.uniform(0.1, 0.6) / np.sqrt(np.sum(response**2))
    response[0] = 1.0
    return response.astype(np.float32)


def span_mask(
    shape: tuple[int, int], share: float, span: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """[B, T], True where a frame is hidden: spans of `span` frames, about `share` of all."""
    clips, frames = shape
    starts = rng.random((clips, frames)) < share / span
    mask = np.zeros((clips, frames), dtype=bool)
    for shift in range(span):
        mask[:, shift:] |= starts[:, : frames - shift]
    return mask
