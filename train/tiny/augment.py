"""Training sounds of the small encoder: random crops at random speed, partly hidden.

Every function draws from the generator it is given, so that a step of training depends on its
seed and number alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiollm import prosody
from train.augment import Samples, normalised
from train.tiny import targets


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
