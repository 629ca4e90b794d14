"""Blocks of any rate and number of channels -> one checked mono clip at 16 kHz.

Channels are averaged and the rate is changed block by block, so a recording costs 128 kB of memory
a second at most, whatever its channels and rate. Channels that cancel each other are read a second
time, the loudest alone.
"""

from collections.abc import Callable
from contextlib import closing
from fractions import Fraction

import numpy as np
import soxr

from audiollm.audio.decoding import Blocks, too_long
from audiollm.audio.sound import DIGITAL_SILENCE, SAMPLE_RATE, Sound
from audiollm.errors import AudioError

MIN_RATE, MAX_RATE = 4000, 192_000  # Hz; below, speech has lost its vowels
MAX_CHANNELS = 64
# Within 0.2 dB of full scale: also the highest codes of 8-bit, A-law and mu-law sound, and the
# ripple that a lossy codec leaves on a clipped wave.
CLIPPED_FROM, CLIPPED_TO = 0.98, 1.02
CANCELLED = 0.01  # -20 dB: power of the average below this share of the loudest channel's


def mixed(
    parts: Callable[[], Blocks],
    name: str,
    max_seconds: float,
    progress: Callable[[float], object] = lambda _: None,
) -> Sound:
    """The average of the channels; the loudest where they cancel each other (two microphones in
    antiphase, one of many that is connected)."""
    mixer = _Mixer(name, max_seconds)
    mixer.add_all(parts(), progress)
    if (channel := mixer.survivor()) is not None:
        mixer = _Mixer(name, max_seconds, channel)
        mixer.add_all(parts(), progress)
    return mixer.sound()


class _Mixer:
    """Collects blocks of any rate and channels as one checked mono clip at 16 kHz."""

    def __init__(self, name: str, max_seconds: float, channel: int | None = None) -> None:
        self.name, self.max_seconds = name, max_seconds
        self.channel = channel  # the only one to take; None: the average
        # of the average and of each channel: sum and sum of squares, [1 + channels]
        self.sums = np.zeros((2, 1 + MAX_CHANNELS))
        self.rate = self.channels = 0  # of the first block, the original's
        self.length = Fraction(0)  # s, exact: floats would add up to a hair more than the limit
        self.total = self.clipped = 0  # samples of the original
        self.parts: list[np.ndarray] = []
        self.stream: soxr.ResampleStream | None = None
        self.stream_rate = 0

    def add_all(self, parts: Blocks, progress: Callable[[float], object]) -> None:
        """Take all blocks; progress is told the seconds so far."""
        with closing(parts):
            for block, rate in parts:
                self.add(block, rate)
                progress(float(self.length))

    def survivor(self) -> int | None:
        """The loudest channel, where the average has lost nearly all of its power; else None."""
        if self.channels < 2 or self.channel is not None:
            return None
        sums, squares = self.sums / max(1, self.total)
        power = squares - sums**2  # without the offset
        loudest = int(power[1:].argmax())
        cancelled = power[0] < CANCELLED * power[1 + loudest]
        return loudest if cancelled and power[1 + loudest] > 10 ** (DIGITAL_SILENCE / 10) else None

    def add(self, block: np.ndarray, rate: int) -> None:
        """Take float32 [n, channels]; the rate may change on the way (broadcast streams do)."""
        count, channels = block.shape
        if not count:
            return
        if not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(
                "audio_rate",
                name=self.name,
                rate=rate,
                low=MIN_RATE,
                high=MAX_RATE,
                target=SAMPLE_RATE,
            )
        if not 1 <= channels <= MAX_CHANNELS:
            raise AudioError("audio_channels", name=self.name, channels=channels, most=MAX_CHANNELS)
        if not self.total:
            self.rate, self.channels = rate, channels
        self.total += count
        self.length += Fraction(count, rate)
        if self.length > self.max_seconds:
            raise too_long(self.name, 0.0, self.max_seconds)
        tracks = np.ascontiguousarray(block.T)  # [channels, n]
        size = np.abs(tracks).max(axis=0)  # of the loudest channel
        self._check_finite(size)
        self.clipped += int(((size >= CLIPPED_FROM) & (size <= CLIPPED_TO)).sum())
        mono = tracks[0]
        if channels > 1:
            wide = tracks.astype(np.float64)
            mean = wide.mean(axis=0)
            for row, wave in enumerate((mean, *wide)):
                self.sums[:, row] += wave.sum(), np.dot(wave, wave)
            taken = self.channel is not None and self.channel < channels
            mono = tracks[self.channel] if taken else mean
        self._resample(mono.astype(np.float32), rate)

    def _resample(self, mono: np.ndarray, rate: int) -> None:
        if rate != self.stream_rate:
            self._flush()
            self.stream_rate = rate
            if rate != SAMPLE_RATE:
                self.stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32", "HQ")
        self.parts.append(self.stream.resample_chunk(mono) if self.stream else mono)

    def _flush(self) -> None:
        if self.stream:
            self.parts.append(self.stream.resample_chunk(np.zeros(0, np.float32), last=True))
        self.stream = None

    def _check_finite(self, values: np.ndarray) -> None:
        if not np.isfinite(values).all():
            raise AudioError("audio_not_finite", name=self.name)

    def sound(self) -> Sound:
        """The clip, after the last block."""
        self._flush()
        samples = np.concatenate(self.parts) if self.parts else np.zeros(0, np.float32)
        if not len(samples):
            raise AudioError("audio_zero_samples", name=self.name)
        peak = max(float(samples.max()), -float(samples.min()))
        self._check_finite(np.array([peak]))
        if (
            peak > 1
        ):  # floats and lossy codecs overshoot: turned down whole, the wave keeps its form
            samples /= np.float32(peak)
            np.clip(samples, -1, 1, out=samples)
        return Sound(
            samples, float(self.length), self.rate, self.channels, self.clipped / self.total
        )
