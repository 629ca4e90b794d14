"""Speech with one cue at another value and the others nearly as they were.

Pitch, melody and tempo by TD-PSOLA (Moulines & Charpentier 1990), which moves whole periods and so
keeps the formants; timbre by a gain above 1 kHz; pauses by cutting out their middle.

Shapes: N samples at 16 kHz, T frames of the track.
"""

import numpy as np
from numpy.typing import NDArray

from audiollm.audio.prosody import HOP, SAMPLE_RATE, Samples, Track

UNVOICED = SAMPLE_RATE // 100  # samples between two grains where there is no pitch
CROSSOVER_HZ = 1000.0  # of the alpha ratio
PERIODS = frozenset(("pitch_hz", "pitch_range_st", "tempo_hz"))  # cues that PSOLA changes


def change_cue(samples: Samples, followed: Track, cue: str, value: float, target: float) -> Samples:
    """The samples [N] with a cue, a field of `prosody.Cues`, moved from its value to `target`.

    `followed` is `prosody.track(samples)`.
    """
    if cue == "pitch_hz":
        return psola(samples, followed.f0, np.full(len(followed.f0), target / value))
    if cue == "pitch_range_st":
        steps = np.nan_to_num(np.log2(followed.f0 / np.nanmedian(followed.f0)))
        return psola(samples, followed.f0, 2 ** (steps * (target / max(value, 0.5) - 1)))
    if cue == "tempo_hz":
        return psola(samples, followed.f0, np.ones(len(followed.f0)), value / max(target, 0.1))
    if cue == "brightness_db":
        return _tilt(samples, target - value)
    return _shorten_pauses(samples, followed, target)


def psola(
    samples: Samples, f0: NDArray[np.float64], factor: NDArray[np.float64], stretch: float = 1.0
) -> Samples:
    """f0 [T] in Hz, NaN where unvoiced, times `factor` [T]; the time times `stretch`."""
    voiced = ~np.isnan(f0)
    periods = np.where(voiced, SAMPLE_RATE / np.where(voiced, f0, 1.0), UNVOICED)
    steps = np.where(voiced, periods / factor, periods)
    marks = _marks(samples, periods, voiced)
    size = round(len(samples) * stretch)
    reach = int(periods.max()) + 1
    padded = np.pad(samples, reach)
    sound, weight = np.zeros(size + 2 * reach), np.full(size + 2 * reach, 1e-3)
    at = 0.0
    while at < size:
        mark = marks[np.abs(marks - at / stretch).argmin()]
        frame = min(mark // HOP, len(f0) - 1)
        half = int(periods[frame])
        window = np.hanning(2 * half + 1)
        place = round(at) + reach
        grain = padded[mark + reach - half : mark + reach + half + 1]
        sound[place - half : place + half + 1] += window * grain
        weight[place - half : place + half + 1] += window
        at += steps[frame]
    # where periods lie apart the gap stays: only what overlaps is divided
    return (sound / np.maximum(weight, 0.5))[reach : reach + size].astype(np.float32)


def _marks(
    samples: Samples, periods: NDArray[np.float64], voiced: NDArray[np.bool_]
) -> NDArray[np.int_]:
    """Where the periods are cut: at their peaks, a period apart."""
    marks, at = [0], 0
    while True:
        frame = min(at // HOP, len(periods) - 1)
        step = periods[frame]
        first, last = at + int(0.8 * step), at + int(1.2 * step) + 1
        if last >= len(samples):
            return np.array(marks)
        at = first + int(samples[first:last].argmax()) if voiced[frame] else at + int(step)
        marks.append(at)


def _tilt(samples: Samples, decibels: float) -> Samples:
    """More or less energy above 1 kHz than below, at the same level."""
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    gain = 10 ** (decibels / 20 / (1 + (CROSSOVER_HZ / np.maximum(hertz, 1.0)) ** 16))
    sound = np.fft.irfft(np.fft.rfft(samples) * gain, len(samples))
    level = np.sqrt(np.mean(samples**2) / max(float(np.mean(sound**2)), 1e-12))
    return (level * sound).astype(np.float32)


def _shorten_pauses(samples: Samples, followed: Track, share: float) -> Samples:
    """With pauses that take a share of the time between the first and the last sound."""
    on = np.flatnonzero(followed.active)
    pauses = int(on[-1] - on[0] + 1 - len(on))
    remaining = min(1.0, len(on) * share / (1 - share) / max(pauses, 1))
    keep = np.ones(len(samples), bool)
    for start, end in zip(on[:-1] + 1, on[1:], strict=True):
        cut = round((end - start) * (1 - remaining)) * HOP
        middle = (start + end) * HOP // 2
        keep[max(middle - cut // 2, 0) : middle + cut - cut // 2] = False
    return samples[keep]
