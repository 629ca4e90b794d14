"""Measured acoustic statistics of a clip: one vector that the projector turns into one token.

Low-level descriptors at 100 Hz (MFCC and their deltas, band contrast, centroid, flux, roll-off,
energy, pitch in semitones, voicing) are summed up by mean, spread and percentiles, in the
manner of the eGeMAPS and ComParE sets (Eyben et al., IEEE TAC 2016). Nothing here is learned.
"""

import numpy as np
from numpy.typing import NDArray

from audiollm.prosody import SAMPLE_RATE, Samples, Track, frames_of, syllables, track

N_FFT = 512  # 32 ms
N_MELS = 40
N_MFCC = 20
SHORTEST = 1600  # samples: a shorter clip is padded with silence
_STATISTICS = ("mean", "std", "p10", "p50", "p90")


def _names() -> tuple[str, ...]:
    series = [f"mfcc{i}" for i in range(N_MFCC)]
    series += [f"contrast{i}" for i in range(7)]
    series += ["centroid", "flux", "rolloff", "energy", "alpha", "flatness"]
    names = [f"{s}_{stat}" for s in series for stat in _STATISTICS]
    names += [f"mfcc{i}_delta_{stat}" for i in range(N_MFCC) for stat in ("std", "p90")]
    names += [f"mel{i}_mean" for i in range(N_MELS)]
    names += [f"f0_{stat}" for stat in (*_STATISTICS, "slope", "jump", "reset", "rise")]
    names += [f"voicing_{stat}" for stat in ("mean", "std", "share", "runs", "run_length")]
    names += ["active_share", "energy_slope_std", "syllables", "level", "shimmer", "jitter"]
    return tuple(names)


NAMES = _names()
SIZE = len(NAMES)


def measure(samples: Samples, followed: Track | None = None) -> NDArray[np.float32]:
    """Statistics of a clip. samples: [N] at 16 kHz -> float32 [SIZE], finite, order of `NAMES`.

    `followed` is `prosody.track(samples)` where the caller has it already.
    """
    samples = np.pad(samples, (0, max(0, SHORTEST - len(samples))))
    followed = followed or track(samples)
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    # the gain of a recording says more about the microphone than about the voice: only the
    # functional named `level` keeps it
    series = _descriptors(samples * np.float32(0.05 / max(level, 1e-6)))
    active = np.zeros(series["mel"].shape[1], dtype=bool)
    active[: len(followed.active)] = followed.active
    if active.sum() < 3:
        active = np.ones(series["mel"].shape[1], dtype=bool)
    values: list[float] = []
    table = [*series["mfcc"], *series["contrast"], *series["single"]]
    for row in table:
        values += _statistics(row[active])
    for row in series["delta"]:
        values += [float(np.std(row[active])), float(np.percentile(np.abs(row[active]), 90))]
    values += series["mel"][:, active].mean(1).tolist()
    values += _pitch(followed)
    values += _voicing(followed)
    values += _rhythm(followed)
    return np.nan_to_num(np.array(values, dtype=np.float32), posinf=0.0, neginf=0.0)


def _descriptors(samples: Samples) -> dict[str, NDArray[np.float64]]:
    """Frame-wise descriptors, [channels, T] each."""
    import librosa  # 1.5 s to import: only when a sound is measured

    window = np.hanning(N_FFT)
    # frames [T, n_fft] -> power [bins, T]
    power = np.abs(np.fft.rfft(frames_of(samples, N_FFT) * window)).T ** 2 / N_FFT
    mel = librosa.feature.melspectrogram(S=power, sr=SAMPLE_RATE, n_mels=N_MELS, fmin=50)
    log_mel = librosa.power_to_db(mel, amin=1e-8, top_db=None)
    level = log_mel.mean()
    mfcc = librosa.feature.mfcc(S=log_mel - level, n_mfcc=N_MFCC)
    magnitude = np.sqrt(power)
    bins = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
    high = power[(bins >= 1000) & (bins < 5000)].sum(0)
    low = power[(bins >= 50) & (bins < 1000)].sum(0)
    shape = magnitude / (magnitude.sum(0, keepdims=True) + 1e-8)
    single = np.stack(
        [
            librosa.feature.spectral_centroid(S=magnitude, sr=SAMPLE_RATE)[0] / 1000,
            np.pad(np.sqrt(np.square(np.diff(shape, axis=1)).sum(0)), (1, 0)) * 10,
            librosa.feature.spectral_rolloff(S=magnitude, sr=SAMPLE_RATE)[0] / 1000,
            log_mel.mean(0) - level,
            10 * np.log10((high + 1e-8) / (low + 1e-8)),
            np.log(librosa.feature.spectral_flatness(S=magnitude)[0] + 1e-6),
        ]
    )
    width = min(9, mfcc.shape[1] - (1 - mfcc.shape[1] % 2))
    delta = librosa.feature.delta(mfcc, width=width) if width >= 3 else np.zeros_like(mfcc)
    return {
        "mfcc": mfcc,
        "delta": delta,
        "contrast": librosa.feature.spectral_contrast(S=magnitude, sr=SAMPLE_RATE, fmin=200),
        "single": single,
        "mel": log_mel - level,
    }


def _statistics(row: NDArray[np.float64]) -> list[float]:
    return [float(row.mean()), float(row.std()), *np.percentile(row, (10, 50, 90)).tolist()]


def _pitch(followed: Track) -> list[float]:
    voiced = ~np.isnan(followed.f0)
    if voiced.sum() < 3:
        return [0.0] * 9
    semitones = 12 * np.log2(followed.f0 / 100.0)
    values = semitones[voiced]
    steps = np.diff(semitones)
    steps = steps[~np.isnan(steps)]
    steps = steps if len(steps) else np.zeros(1)
    place = np.linspace(-1, 1, len(semitones))[voiced]
    slope = float(np.polyfit(place, values, 1)[0]) if len(values) > 2 else 0.0
    return [
        *_statistics(values),
        slope,
        float(np.abs(steps).mean()),
        float(np.percentile(np.abs(steps), 90)),
        float((steps > 0).mean()),
    ]


def _voicing(followed: Track) -> list[float]:
    strength = followed.voicing[followed.active]
    if not len(strength):
        return [0.0] * 5
    voiced = ~np.isnan(followed.f0)
    starts = int((np.diff(voiced.astype(int)) == 1).sum() + voiced[0])
    seconds = max(followed.active.sum() / 100, 0.1)
    return [
        float(strength.mean()),
        float(strength.std()),
        float(voiced.sum() / followed.active.sum()),
        starts / seconds,
        float(voiced.sum() / max(starts, 1) / 100),
    ]


def _rhythm(followed: Track) -> list[float]:
    active = followed.active
    seconds = max(active.sum() / 100, 0.1)
    voiced = ~np.isnan(followed.f0)
    energy = followed.energy_db[voiced] if voiced.sum() > 2 else np.zeros(3)
    f0 = followed.f0[voiced] if voiced.sum() > 2 else np.ones(3)
    return [
        float(active.mean()),
        float(np.std(np.diff(followed.energy_db))),
        syllables(followed) / seconds,
        float(followed.energy_db[active].mean() / 10) if active.any() else -10.0,
        float(np.abs(np.diff(energy)).mean()),
        float(np.abs(np.diff(f0)).mean() / f0.mean() * 100),
    ]
