"""What happens in the course of a recording, for the page to draw on one time axis."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from audiollm.audio import prosody
from audiollm.audio.functionals import import_librosa
from audiollm.audio.prosody import Track
from audiollm.audio.sound import SAMPLE_RATE, Sound

COLUMNS = 480  # of waveform and spectrogram, whatever the length of the sound
BANDS = 48  # mel bands of the spectrogram
FRAME = 512  # samples of a spectrum
STEP = 400  # samples between the spectra that are averaged into a column
RANGE_DB = 60.0  # the spectrogram shows so much below its loudest point


@dataclass(frozen=True, eq=False)
class Timeline:
    """Class probabilities of W windows, as far as they have been scored. C classes."""

    labels: tuple[str, ...]
    spans: tuple[tuple[float, float], ...]  # [W] (start, end), seconds
    probabilities: NDArray[np.float64]  # [W, C]; NaN where nobody speaks or not scored yet
    done: int  # windows that are scored

    @property
    def centres(self) -> NDArray[np.float64]:
        """Middle of each window in seconds, [W]."""
        return np.array(self.spans).mean(1)


@dataclass(frozen=True, eq=False)
class Overview:
    """Waveform, spectrogram and pitch in at most COLUMNS columns."""

    seconds: float
    low: NDArray[np.float32]  # [T] lowest and highest sample of each column
    high: NDArray[np.float32]
    spectrogram: NDArray[np.float32]  # [BANDS, T] dB below the loudest point
    hertz: NDArray[np.float64]  # [BANDS] centre of each band
    pitch: NDArray[np.float64]  # [T] Hz, NaN where unvoiced
    speech: tuple[tuple[float, float], ...]  # (start, end), seconds

    @property
    def times(self) -> NDArray[np.float64]:
        """Middle of each column in seconds, [T]."""
        width = len(self.low)
        return (np.arange(width) + 0.5) * self.seconds / width


def overview(sound: Sound, followed: Track) -> Overview:
    """The picture of a sound. `followed` is `prosody.track(sound.samples)`."""
    width = min(COLUMNS, max(1, len(sound.samples) // prosody.HOP))
    edges = np.linspace(0, len(sound.samples), width + 1).astype(int)
    low = np.minimum.reduceat(sound.samples, edges[:-1])
    high = np.maximum.reduceat(sound.samples, edges[:-1])
    spectrogram, hertz = _spectrogram(sound.samples, edges)
    places = np.linspace(0, len(followed.f0), width + 1).astype(int)
    columns = [followed.f0[a:b] for a, b in pairwise(places)]
    voiced = [c[~np.isnan(c)] for c in columns]
    pitch = np.array(
        [
            np.median(v) if 2 * len(v) > len(c) else np.nan
            for v, c in zip(voiced, columns, strict=True)
        ]
    )
    seconds = len(sound.samples) / SAMPLE_RATE
    return Overview(seconds, low, high, spectrogram, hertz, pitch, sound.speech)


def _spectrogram(
    samples: NDArray[np.float32], edges: NDArray[np.int_]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """([BANDS, T] dB below the loudest point, [BANDS] Hz): the mean power of each column."""
    librosa = import_librosa()
    window, around = np.hanning(FRAME), np.arange(FRAME) - FRAME // 2
    columns = []
    for start, end in pairwise(edges):
        count = max(1, round((end - start) / STEP))
        centres = start + ((np.arange(count) + 0.5) * (end - start) / count).astype(int)
        places = np.clip(centres[:, None] + around, 0, len(samples) - 1)  # [frames, FRAME]
        columns.append((np.abs(np.fft.rfft(samples[places] * window)) ** 2).mean(0))
    power = np.array(columns)  # [T, bins]
    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=FRAME, n_mels=BANDS, fmin=50)
    hertz = librosa.mel_frequencies(BANDS + 2, fmin=50, fmax=SAMPLE_RATE / 2)[1:-1]
    decibels = 10 * np.log10(bank @ power.T + 1e-12)
    return np.maximum(decibels - decibels.max(), -RANGE_DB).astype(np.float32), hertz
