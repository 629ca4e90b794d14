"""A frozen encoder: sound -> frames, whatever network makes them.

Here is what every kind shares: long clips in overlapping windows, pieces of similar length in one
batch, statistics over time. A kind turns samples into its network's input, cuts it, and runs it.

Shapes: B pieces, N samples, L inputs (samples or mel frames), T frames, D width.
"""

import contextlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from audiollm.contracts.manifest import FRAME_RATE, EncoderKind, EncoderRef, Statistics
from audiollm.errors import NoSpeechError

CONTEXT = 50  # frames on each side of a window that are computed and thrown away
CPU_SECONDS, GPU_SECONDS = 15.0, 60.0  # of sound in a batch; on a CPU larger ones took more time


@dataclass(frozen=True, eq=False)
class Encoded:
    """The features of one clip."""

    frames: np.ndarray  # float32 [T, D], 50 a second
    utterance: np.ndarray  # float32 [D] or [2 D]: `statistics` of the frames over time


@dataclass(frozen=True, eq=False)
class Piece:
    """Part of a clip that is run at once: all of it, or a window of a long one."""

    clip: int
    x: Tensor  # [..., L], the network's input
    skip: int  # context frames before the wanted ones
    start: int  # where the wanted frames stand in the clip
    stop: int

    @property
    def length(self) -> int:
        return self.x.size(-1)


class Encoder(ABC):
    """A frozen network, ready to extract features."""

    kind: ClassVar[EncoderKind]
    rate: ClassVar[int]  # inputs L a second
    longest: int | None = None  # frames that the network takes at once; None: any number

    def __init__(
        self,
        network: nn.Module,
        id: str,
        width: int,
        *,
        layers: Sequence[int] = (),
        statistics: Statistics = "mean",
        precision: torch.dtype = torch.float32,
    ) -> None:
        """
        Args:
            width: channels of a frame, over all `layers`.
            layers: whose outputs make a frame, numbered from 1; () where there is no choice.
            statistics: what is taken over time for the utterance.
            precision: of the arithmetic (autocast); the features are float32 always.
        """
        self.network = network.eval().requires_grad_(False)
        self.id, self.width = id, width
        self.layers, self.statistics = tuple(layers), statistics
        self.precision = precision

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """sha256 of all that decides the features; empty where the weights have no file."""

    @abstractmethod
    def save(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write a folder that `encoder.load` reads; dtype: of the weights there."""

    @abstractmethod
    def _input(self, samples: Tensor) -> Tensor:
        """The network's input [..., L] for a whole clip [N], of one frame at least."""

    @abstractmethod
    def _count(self, length: int) -> int:
        """Frames that L inputs make."""

    @abstractmethod
    def _cut(self, x: Tensor, first: int, last: int) -> Tensor:
        """The inputs of the frames from `first` to before `last`."""

    @abstractmethod
    def _frames(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """Input [B, ..., L], padded with zeros behind `lengths` -> frames [B, T, D]."""

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def to(self, device: str | torch.device) -> Self:
        self.network.to(device)
        return self

    def ref(self) -> EncoderRef:
        """How a model's manifest refers to this encoder."""
        return EncoderRef(
            self.id,
            self.width,
            self.fingerprint,
            kind=self.kind,
            layers=self.layers,
            statistics=self.statistics,
        )

    @torch.no_grad()  # not inference_mode: FunASR keeps the ALiBi bias for later training steps
    def encode(
        self,
        sounds: Sequence[np.ndarray],
        *,
        batch_seconds: float | None = None,
        window_seconds: float = 30.0,
    ) -> list[Encoded]:
        """Features of every clip, in the order given.

        Args:
            sounds: float [N] each, mono, 16 kHz.
            batch_seconds: how much sound, padding included, is computed at once. By default 60 on
                a GPU and 15 on a CPU.
            window_seconds: a longer clip is computed in overlapping windows of this length,
                because attention needs memory with the square of the time.

        Raises:
            NoSpeechError: a clip has no samples.
        """
        pieces = [p for i, s in enumerate(sounds) for p in self._pieces(i, s, window_seconds)]
        counts = [0] * len(sounds)
        for piece in pieces:
            counts[piece.clip] = max(counts[piece.clip], piece.stop)
        frames = [np.empty((n, self.width), np.float32) for n in counts]
        if batch_seconds is None:
            batch_seconds = CPU_SECONDS if self.device.type == "cpu" else GPU_SECONDS
        for batch in batches(pieces, int(batch_seconds * self.rate)):
            for piece, x in zip(batch, self._run(batch), strict=True):
                valid = x[piece.skip : piece.skip + piece.stop - piece.start]
                frames[piece.clip][piece.start : piece.stop] = valid
        return [self._encoded(x) for x in frames]

    def _pieces(self, clip: int, samples: np.ndarray, window_seconds: float) -> Iterator[Piece]:
        if samples.ndim != 1:
            raise ValueError(f"a clip must be [N] samples, not {list(samples.shape)}")
        if not samples.size:
            raise NoSpeechError("audio_no_samples")
        x = self._input(torch.from_numpy(np.ascontiguousarray(samples, np.float32)))
        total = self._count(x.size(-1))
        window = max(int(window_seconds * FRAME_RATE), 3 * CONTEXT)
        if self.longest is not None:
            window = min(window, self.longest)
        if total <= window:
            yield Piece(clip, x, 0, 0, total)
            return
        parts = -(-total // (window - 2 * CONTEXT))
        edges = [round(i * total / parts) for i in range(parts + 1)]
        for start, stop in itertools.pairwise(edges):
            first, last = max(0, start - CONTEXT), min(total, stop + CONTEXT)
            yield Piece(clip, self._cut(x, first, last), start - first, start, stop)

    def _run(self, batch: Sequence[Piece]) -> list[np.ndarray]:
        device, lengths = self.device, [p.length for p in batch]
        x = batch[0].x.new_zeros(len(batch), *batch[0].x.shape[:-1], max(lengths))  # [B, ..., L]
        for row, piece in zip(x, batch, strict=True):
            row[..., : piece.length] = piece.x
        low = self.precision != torch.float32
        with torch.autocast(device.type, self.precision) if low else contextlib.nullcontext():
            frames = self._frames(x.to(device), lengths)
        return list(frames.float().cpu().numpy())

    def _encoded(self, frames: np.ndarray) -> Encoded:
        return Encoded(frames, over_time(frames, self.statistics))


def over_time(frames: np.ndarray, statistics: Statistics) -> np.ndarray:
    """frames [T, D] -> their mean [D], or mean and population standard deviation [2 D]."""
    mean = frames.mean(axis=0)
    return np.concatenate([mean, frames.std(axis=0)]) if statistics == "mean_std" else mean


def batches(pieces: Sequence[Piece], budget: int) -> Iterator[list[Piece]]:
    """Pieces of similar length together: at most `budget` inputs, less than half of it padding."""
    batch: list[Piece] = []
    for piece in sorted(pieces, key=lambda p: -p.length):
        if batch:
            longest = batch[0].length
            if longest * (len(batch) + 1) > budget or piece.length * 2 <= longest:
                yield batch
                batch = []
        batch.append(piece)
    if batch:
        yield batch
