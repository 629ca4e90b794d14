"""What the small encoder is first taught to hear in each of its frames, before any emotion.

Targets of a frame: log-mel spectrum, energy, voicing, pitch. The encoder predicts them for its
own frame and for frames up to 160 ms away, from a distorted and partly masked sound, so that it
has to learn the voice and not the recording.

Shapes: B clips, N samples at 16 kHz, T frames at 50 Hz, K targets of a frame.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from audiollm import prosody

SAMPLE_RATE = 16000
HOP = 320  # samples, 50 frames per second
FIELD = 720  # samples a frame of the conv stack [(., 400, 160), (., 3, 2)] reaches
FFT = 1024
MELS = 40
SIZE = MELS + 3  # + energy, voicing, pitch
OFFSETS = (-8, -4, -2, 0, 2, 4, 8)  # frames
PITCH_CENTRE = 160.0  # Hz, pitch target 0
FLOOR = 1e-6  # power, 60 dB below a sound of unit variance


def mel_points(count: int, low: float, high: float) -> NDArray[np.float64]:
    """`count` frequencies in Hz, evenly spaced on the mel scale from `low` to `high`."""
    mel = np.linspace(1127 * np.log1p(low / 700), 1127 * np.log1p(high / 700), count)
    return 700 * np.expm1(mel / 1127)


def mel_filters() -> Tensor:
    """Triangles on the mel scale, each of unit sum: [FFT // 2 + 1, MELS]."""
    edges = mel_points(MELS + 2, 60.0, 7600.0)[None]
    bins = np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)[:, None]
    left, centre, right = edges[:, :-2], edges[:, 1:-1], edges[:, 2:]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    weights = np.maximum(0, np.minimum(rising, falling))
    return torch.tensor(weights / weights.sum(0), dtype=torch.float32)


def frame_count(samples: int) -> int:
    """Frames that the encoder makes of so many samples."""
    return max(0, (samples - FIELD) // HOP + 1)


def centres(samples: int) -> NDArray[np.int64]:
    """Middle sample of every frame: [T]."""
    return np.arange(frame_count(samples)) * HOP + FIELD // 2


def follow(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pitch in octaves above `PITCH_CENTRE` (0 where unvoiced) and voicing (0 or 1), at 100 Hz."""
    f0 = prosody.track(samples).f0
    voiced = np.isfinite(f0)
    octaves = np.log2(np.where(voiced, f0, PITCH_CENTRE) / PITCH_CENTRE)
    return octaves.astype(np.float32), voiced.astype(np.float32)


class FrameTargets(nn.Module):
    """Targets of clean sounds, standardised with constants measured once on training speech."""

    filters: Tensor
    window: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filters", mel_filters(), persistent=False)
        self.register_buffer("window", torch.hann_window(FIELD), persistent=False)
        self.register_buffer("mean", torch.zeros(MELS + 1))
        self.register_buffer("spread", torch.ones(MELS + 1))

    def spectrum(self, clean: Tensor) -> Tensor:
        """clean [B, N] of unit variance -> log of mel power and of power [B, T, MELS + 1]."""
        frames = clean.unfold(-1, FIELD, HOP)  # [B, T, FIELD]
        power = torch.fft.rfft(frames * self.window, FFT).abs().square()
        mel = power @ self.filters / self.window.square().sum()
        energy = frames.square().mean(-1, keepdim=True)
        return torch.cat([mel, energy], -1).clamp_min(FLOOR).log()

    def fit(self, clean: Tensor) -> None:
        """Measure the standardisation on sounds [B, N]."""
        values = self.spectrum(clean).flatten(0, 1)
        self.mean.copy_(values.mean(0))
        self.spread.copy_(values.std(0).clamp_min(0.5))  # speech: 2 to 3

    def forward(self, clean: Tensor, pitch: Tensor, voiced: Tensor) -> Tensor:
        """clean [B, N], pitch and voiced [B, T] -> [B, T, K]: mel, energy, voicing, pitch."""
        standard = (self.spectrum(clean) - self.mean) / self.spread
        return torch.cat([standard, 2 * voiced[..., None] - 1, 2 * pitch[..., None]], -1)


class FrameHead(nn.Module):
    """Predicts the targets of the frames around each frame; thrown away after training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, len(OFFSETS) * SIZE)

    def loss(self, frames: Tensor, targets: Tensor, voiced: Tensor) -> Tensor:
        """Mean smooth L1 over offsets and frames. frames [B, T, D], targets [B, T, K].

        Pitch counts in voiced frames only; mel, energy, voicing and pitch weigh 4 : 1 : 1 : 2.
        """
        predicted = self.linear(frames).unflatten(-1, (len(OFFSETS), SIZE))  # [B, T, O, K]
        length = frames.shape[1]
        losses = []
        for i, offset in enumerate(OFFSETS):
            here = slice(max(0, -offset), length - max(0, offset))
            there = slice(max(0, offset), length - max(0, -offset))
            error = F.smooth_l1_loss(predicted[:, here, i], targets[:, there], reduction="none")
            heard = voiced[:, there]
            pitch = (error[..., -1] * heard).sum() / heard.sum().clamp_min(1)
            mel, rest = error[..., :MELS].mean(), error[..., MELS:-1].mean((0, 1)).sum()
            losses.append((4 * mel + rest + 2 * pitch) / 8)
        return torch.stack(losses).mean()
