"""Measured acoustic statistics of a clip: one vector that the projector turns into one token.

Low-level descriptors at 100 Hz (MFCC and their deltas, log-mel in all, voiced and unvoiced
speech, band contrast, centroid, flux, roll-off, energy, pitch in semitones, voicing) are summed
up by mean, spread and percentiles, in the manner of the eGeMAPS and ComParE sets (Eyben et al.,
IEEE TAC 2016); the modulation spectrum says how fast each band moves (Wu, Falk & Chan, Speech
Communication 2011). Nothing here is learned.
"""

import atexit
import shutil
import tempfile
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from audiollm.audio.prosody import (
    HOP,
    SAMPLE_RATE,
    TRACK_RATE,
    Samples,
    Track,
    frames_of,
    syllables,
    track,
)
from audiollm.settings import cached_in

N_FFT = 512  # 32 ms
N_MELS = 40
N_MFCC = 20
SHORTEST = 1600  # samples: a shorter clip is padded with silence
_STATISTICS = ("mean", "std", "p10", "p50", "p90")
MODULATION_BANDS = N_MELS // 2  # pairs of mel bands, and after them their mean
MODULATION_HZ = (0.5, 1.5, 2.5, 4.0, 6.0, 9.0, 14.0, 22.0, 50.0)  # edges
MODULATION_FLOOR = -40.0  # dB: pauses of a clean and of a noisy recording look alike below it
SLOPE_HZ = (0, 500, 1500, 4000, 8000)  # edges
CONTOUR = 8  # coefficients of the pitch contour's cosine transform


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
    names += [f"mel{i}_{stat}" for stat in ("std", "p90") for i in range(N_MELS)]
    voices = ("voiced_mean", "voiced_std", "unvoiced_mean")
    names += [f"mel{i}_{stat}" for stat in voices for i in range(N_MELS)]
    rates = [f"{low:g}hz" for low in MODULATION_HZ[:-1]]
    names += [f"mod{i}_{rate}" for rate in rates for i in range(MODULATION_BANDS + 1)]
    names += [f"slope_{low}hz" for low in SLOPE_HZ[:-1]]
    names += [f"hammarberg_{stat}" for stat in ("mean", "std", "p10", "p90")]
    names += [f"hnr_{stat}" for stat in _STATISTICS]
    names += [f"f0_dct{i}" for i in range(CONTOUR)]
    names += [f"f0_{stat}" for stat in ("up", "down", "max", "min", "p20", "p80")]
    names += [f"course_{stat}" for stat in ("spread", "p5", "p20", "p50", "p80", "p95")]
    names += ["course_up", "course_down", "course_dips", "active_seconds"]
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
    # the gain of a recording depends on the microphone more than on the voice: only the
    # functional named `level` keeps it
    series = _descriptors(samples * np.float32(0.05 / max(level, 1e-6)))
    count = series["mel"].shape[1]
    active = _where(followed.active, count, np.ones(count, dtype=bool))
    voiced = _where(~np.isnan(followed.f0), count, active)
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
    values += _bands(series["mel"], active, voiced)
    values += _modulation(series["mel"], active)
    values += _balance(series["power"], voiced)
    values += _harmonicity(followed)
    values += _contour(followed)
    values += _energy(followed)
    return np.nan_to_num(np.array(values, dtype=np.float32), posinf=0.0, neginf=0.0)


def _where(valid: NDArray[np.bool_], count: int, otherwise: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`valid` at `count` frames; `otherwise` where that would leave next to nothing."""
    mask = np.zeros(count, dtype=bool)
    mask[: len(valid)] = valid[:count]
    return mask if mask.sum() >= 3 else otherwise


def import_librosa() -> Any:
    """librosa, only when a sound is measured: it takes 1.5 s.

    Its import fails where nothing can be cached: numba wants to store what it compiles beside it or
    in the user's home, pooch wants a home. In a container neither may be there: then there is a
    temporary folder of this process.
    """
    try:
        import librosa.util.files
        import librosa.util.utils
    except RuntimeError:
        import numba

        cache = tempfile.mkdtemp(prefix="numba-")
        atexit.register(shutil.rmtree, cache, ignore_errors=True)
        vars(numba.config)["CACHE_DIR"] = cache
        with cached_in(cache):
            import librosa.util.files
            import librosa.util.utils
    return librosa


def _descriptors(samples: Samples) -> dict[str, NDArray[np.float64]]:
    """Frame-wise descriptors, [channels, T] each."""
    librosa = import_librosa()
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
        "power": power,
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


def _bands(
    mel: NDArray[np.float64], active: NDArray[np.bool_], voiced: NDArray[np.bool_]
) -> list[float]:
    """Spread of each mel band, and its level where the voice sounds and where breath does."""
    unvoiced = active & ~voiced
    if unvoiced.sum() < 3:
        unvoiced = active
    spoken = mel[:, active]
    base = spoken.mean()
    rows = [
        spoken.std(1),
        np.percentile(spoken, 90, axis=1) - base,
        mel[:, voiced].mean(1) - base,
        mel[:, voiced].std(1),
        mel[:, unvoiced].mean(1) - base,
    ]
    return np.concatenate(rows).tolist()


def _modulation(mel: NDArray[np.float64], active: NDArray[np.bool_]) -> list[float]:
    """Log power of how the bands move between the first and the last sound, by rate."""
    on = np.flatnonzero(active)
    spoken = mel[:, on[0] : on[-1] + 1] - mel[:, active].mean()
    paired = np.maximum(spoken, MODULATION_FLOOR).reshape(MODULATION_BANDS, 2, -1).mean(1)
    moving = np.vstack([paired, paired.mean(0)])  # [bands + 1, T]
    moving -= moving.mean(1, keepdims=True)
    count = moving.shape[1]
    size = max(256, count)
    power = np.abs(np.fft.rfft(moving * np.hanning(count), size, axis=1)) ** 2 / count
    hertz = np.fft.rfftfreq(size, HOP / SAMPLE_RATE)
    rates = [
        np.log(power[:, (hertz >= low) & (hertz < high)].mean(1) + 1e-3)
        for low, high in pairwise(MODULATION_HZ)
    ]
    return np.concatenate(rates).tolist()


def _balance(power: NDArray[np.float64], voiced: NDArray[np.bool_]) -> list[float]:
    """Tilt of the voiced spectrum in four ranges, dB per kHz, and the Hammarberg index, dB."""
    hertz = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
    decibels = 10 * np.log10(power[:, voiced].mean(1) + 1e-9)
    values = []
    for low, high in pairwise(SLOPE_HZ):
        part = (hertz >= low) & (hertz < high)
        values.append(float(np.polyfit(hertz[part] / 1000, decibels[part], 1)[0]))
    deep = power[hertz < 2000][:, voiced].max(0)
    bright = power[(hertz >= 2000) & (hertz < 5000)][:, voiced].max(0)
    index = 10 * np.log10((deep + 1e-9) / (bright + 1e-9))
    return [*values, float(index.mean()), float(index.std()), *np.percentile(index, (10, 90))]


def _harmonicity(followed: Track) -> list[float]:
    """Harmonics-to-noise ratio of the voiced frames, dB."""
    strength = followed.voicing[~np.isnan(followed.f0)]
    strength = np.clip(strength if len(strength) > 3 else np.full(4, 0.5), 0.01, 0.999)
    return _statistics(10 * np.log10(strength / (1 - strength)))


def _contour(followed: Track) -> list[float]:
    """The course of the pitch, stretched to one length: its shape, its steps and its ends."""
    semitones = 12 * np.log2(followed.f0 / 100.0)
    place = np.flatnonzero(~np.isnan(semitones))
    if len(place) <= 5:
        return [0.0] * (CONTOUR + 6)
    course = np.interp(np.linspace(place[0], place[-1], 32), place, semitones[place])
    steps = np.diff(semitones)
    steps = steps[~np.isnan(steps)]
    return [
        *fft.dct(course, norm="ortho")[:CONTOUR],
        _mean(steps[steps > 0]),
        _mean(steps[steps < 0]),
        float(np.nanmax(semitones)),
        float(np.nanmin(semitones)),
        *np.percentile(course, (20, 80)),
    ]


def _energy(followed: Track) -> list[float]:
    """The course of the level between the first and the last sound, dB around its mean."""
    on = np.flatnonzero(followed.active)
    course = followed.energy_db[on[0] : on[-1] + 1] if len(on) else followed.energy_db
    course = course - course.mean()
    steps = np.diff(course)
    return [
        float(course.std()),
        *np.percentile(course, (5, 20, 50, 80, 95)),
        _mean(steps[steps > 0]),
        _mean(steps[steps < 0]),
        float((course < -20).mean()),
        len(on) / TRACK_RATE,
    ]


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0
