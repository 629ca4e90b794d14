"""Measured cues of a voice: pitch, loudness, brightness, tempo, pauses.

`track` follows pitch and energy at 100 Hz; `measure` sums a clip up as `Cues`, and each cue is
put against a stated reference range: the middle 80 % of neutral speech in five corpora, by register
(`python -m bench.reference_ranges` measures it again).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audiollm.labels import Language

SAMPLE_RATE = 16000
HOP = 160  # samples: 100 frames per second
TRACK_RATE = SAMPLE_RATE / HOP
WINDOW = 640  # samples, 40 ms: three periods of a 75 Hz voice
BLOCK = 3200  # frames followed at once, 32 s: about 120 MB, whatever the length of the sound
F0_MIN, F0_MAX = 65.0, 500.0  # Hz
VOICED = 0.45  # normalised autocorrelation above which a frame counts as voiced
ACTIVE_DB = 30.0  # a frame this far below the loud frames of the clip is a pause
FLOOR_DB = -100.0  # dBFS given to digital silence
REGISTER_HZ = 165.0  # median pitch that parts low from high voices

Level = Literal["low", "mid", "high"]
Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Track:
    """Frame-wise measures at 100 Hz, each [T]."""

    f0: NDArray[np.float64]  # Hz, NaN where unvoiced
    voicing: NDArray[np.float64]  # peak of the normalised autocorrelation, 0..1
    energy_db: NDArray[np.float64]  # dBFS of the frame
    active: NDArray[np.bool_]  # louder than a pause


def frames_of(samples: Samples, size: int, hop: int = HOP) -> NDArray[np.float32]:
    """samples [N] -> frames [T, size], centred, one per hop; T = 1 + N // hop."""
    padded = np.pad(samples, size // 2)
    count = 1 + len(samples) // hop
    padded = np.pad(padded, (0, max(0, (count - 1) * hop + size - len(padded))))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[: count * hop : hop][:count]


def track(samples: Samples, progress: Callable[[float], object] = lambda _: None) -> Track:
    """Pitch by the window-corrected autocorrelation of Boersma (1993), energy, activity.

    Args:
        samples: [N] at 16 kHz, float.
        progress: called before every block but the first with the share that is measured; raises
            to cancel.
    """
    frames = frames_of(samples, WINDOW)
    blocks = []
    for start in range(0, len(frames), BLOCK):
        if start:
            progress(start / len(frames))
        blocks.append(_follow(frames[start : start + BLOCK]))
    energy, f0, voicing = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    loud = max(np.percentile(energy, 95), FLOOR_DB)
    active = energy > max(loud - ACTIVE_DB, -70.0)
    f0 = _without_octave_jumps(np.where((voicing > VOICED) & active, f0, np.nan))
    return Track(f0=f0, voicing=voicing, energy_db=energy, active=active)


def _follow(frames: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """Energy in dBFS, best f0 in Hz and voicing, [T] each, of frames [T, WINDOW] on their own."""
    energy = 10 * np.log10(np.maximum(np.mean(np.square(frames, dtype=np.float64), 1), 1e-10))
    window = np.hanning(WINDOW)
    size = 2 * WINDOW
    correlation = _autocorrelation((frames - frames.mean(1, keepdims=True)) * window, size)
    reference = _autocorrelation(window[None], size)[0]
    low, high = int(SAMPLE_RATE / F0_MAX), int(SAMPLE_RATE / F0_MIN)
    lags = np.arange(low - 1, high + 2)
    power = np.maximum(correlation[:, :1], 1e-12)
    # [T, lags]: dividing by the window's own autocorrelation undoes its taper
    normal = (correlation[:, lags] / power) / (reference[lags] / reference[0])
    # a longer period explains the signal as well as the true one: charge for it
    cost = normal[:, 1:-1] - 0.06 * np.log2(lags[1:-1] / low)
    is_peak = (normal[:, 1:-1] >= normal[:, :-2]) & (normal[:, 1:-1] >= normal[:, 2:])
    best = np.argmax(np.where(is_peak, cost, -np.inf), 1) + 1
    rows = np.arange(len(frames))
    left, mid, right = (normal[rows, best + d] for d in (-1, 0, 1))
    bend = left - 2 * mid + right
    offset = np.where(np.abs(bend) > 1e-9, 0.5 * (left - right) / np.where(bend == 0, 1, bend), 0)
    f0 = SAMPLE_RATE / (lags[best] + np.clip(offset, -0.5, 0.5))
    voicing = np.where(is_peak.any(1), np.clip(mid, 0, 1), 0.0)
    return energy, f0, voicing


def _autocorrelation(frames: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(frames, size)
    return np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:, : size // 2]


def _without_octave_jumps(f0: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frames more than 9 semitones from the clip's median move by an octave if that brings them
    closer to it; frames that still stand alone are dropped."""
    voiced = ~np.isnan(f0)
    if voiced.sum() < 3:
        return np.full_like(f0, np.nan)
    semitones = 12 * np.log2(f0 / np.median(f0[voiced]))
    with np.errstate(invalid="ignore"):
        shifted = np.where(semitones > 14, f0 / 2, np.where(semitones < -9, f0 * 2, f0))
    neighbours = np.convolve(voiced, [1, 1, 0, 1, 1], "same")
    return np.where(voiced & (neighbours > 0), shifted, np.nan)


@dataclass(frozen=True)
class Cues:
    """What was measured in one clip. None where the clip has too little voice to say."""

    seconds: float
    pitch_hz: float | None  # median over voiced frames
    pitch_range_st: float | None  # 10th to 90th percentile, semitones
    loudness_db: float  # mean level of active frames, dBFS: depends on the microphone
    loudness_range_db: float  # 10th to 90th percentile over active frames
    brightness_db: float  # energy 1-5 kHz over energy 50 Hz-1 kHz (alpha ratio)
    tempo_hz: float | None  # syllable nuclei per second of active speech
    pause_share: float  # share of the time between first and last sound that is pause

    @property
    def register(self) -> Literal["low", "high"]:
        return "low" if self.pitch_hz is not None and self.pitch_hz < REGISTER_HZ else "high"

    def to_dict(self) -> dict[str, float | None]:
        return {k: None if v is None else round(v, 4) for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, float | None]) -> "Cues":
        return cls(**data)  # type: ignore[arg-type]


def measure(samples: Samples) -> Cues:
    """Cues of a clip. samples: [N] at 16 kHz."""
    return summarise(samples, track(samples))


def summarise(samples: Samples, followed: Track) -> Cues:
    """Cues from a clip and its track, for callers that need both."""
    voiced = followed.f0[~np.isnan(followed.f0)]
    active = followed.energy_db[followed.active]
    on = np.flatnonzero(followed.active)
    span = slice(int(on[0]), int(on[-1]) + 1) if len(on) else slice(0, 0)
    has_voice = len(voiced) >= 10  # 0.1 s
    talking = len(on) / TRACK_RATE
    return Cues(
        seconds=len(samples) / SAMPLE_RATE,
        pitch_hz=float(np.median(voiced)) if has_voice else None,
        pitch_range_st=_spread(12 * np.log2(voiced)) if has_voice else None,
        loudness_db=float(10 * np.log10(np.mean(10 ** (active / 10)))) if len(on) else FLOOR_DB,
        loudness_range_db=_spread(active) if len(on) else 0.0,
        brightness_db=_alpha_ratio(samples),
        tempo_hz=syllables(followed) / talking if has_voice and talking > 0.3 else None,
        pause_share=float(1 - followed.active[span].mean()) if len(on) else 1.0,
    )


def _spread(values: NDArray[np.float64]) -> float:
    return float(np.percentile(values, 90) - np.percentile(values, 10))


def _alpha_ratio(samples: Samples) -> float:
    """In dB; the power of a long sound is summed over pieces, to bound the memory.

    The pieces of more than one have a length with small factors: of another, the transform takes
    ten times as long. The last of them is filled with zeros, so that all count alike.
    """
    size = min(len(samples), BLOCK * HOP)
    starts = range(0, len(samples), size)
    low, high = np.sum([_band_power(samples[i : i + size], size) for i in starts], axis=0)
    return float(10 * np.log10((high + 1e-10) / (low + 1e-10)))


def _band_power(samples: Samples, size: int) -> tuple[float, float]:
    """Energy at 50 Hz-1 kHz and at 1-5 kHz, by a transform of `size` samples."""
    power = np.abs(np.fft.rfft(samples.astype(np.float64), size)) ** 2
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    high = power[(hertz >= 1000) & (hertz < 5000)].sum()
    low = power[(hertz >= 50) & (hertz < 1000)].sum()
    return low, high


def syllables(followed: Track) -> int:
    """Count of voiced energy peaks with a dip of 2 dB before them (de Jong & Wempe 2009)."""
    energy = np.convolve(followed.energy_db, np.ones(5) / 5, "same")
    voiced = ~np.isnan(followed.f0)
    count, valley = 0, -np.inf
    rising = True
    for now, before, is_voiced in zip(energy[1:], energy[:-1], voiced[:-1], strict=True):
        if rising and now < before:
            if is_voiced and before - valley >= 2.0:
                count += 1
                valley = np.inf
            rising = False
        elif now > before:
            rising = True
        valley = min(valley, now)
    return count


@dataclass(frozen=True)
class Reference:
    """The range in which a cue counts as usual, per register, and the words around it."""

    cue: str  # field of `Cues`
    unit: str
    low: tuple[float, float]  # low and high end for voices below REGISTER_HZ
    high: tuple[float, float]  # the same for voices above it
    en: tuple[str, str, str, str]  # name, then words for below, inside, above
    zh: tuple[str, str, str, str]

    def level(self, cues: Cues) -> Level | None:
        """Where the clip stands against the range of its register; None if not measured."""
        value = getattr(cues, self.cue)
        if value is None:
            return None
        bottom, top = getattr(self, cues.register)
        return "low" if value < bottom else "high" if value > top else "mid"

    def name(self, language: Language) -> str:
        return (self.zh if language == "zh" else self.en)[0]

    def word(self, level: Level, language: Language) -> str:
        return (self.zh if language == "zh" else self.en)[LEVELS.index(level) + 1]


LEVELS: tuple[Level, ...] = ("low", "mid", "high")

# Middle 80 % of the neutral clips of EmoDB, ASED, CASIA, EMOVO and nEMO (491 in the low, 482 in
# the high register).
# Level in dBFS is left out on purpose: it tells the microphone's gain, not the voice.
REFERENCES = (
    Reference(
        "pitch_hz",
        "Hz",
        (100.0, 148.0),
        (177.0, 263.0),
        ("pitch", "low", "medium", "high"),
        ("音高", "偏低", "适中", "偏高"),
    ),
    Reference(
        "pitch_range_st",
        "semitones",
        (4.6, 11.9),
        (4.4, 12.0),
        ("melody", "flat", "usual", "lively"),
        ("语调", "平坦", "正常", "起伏大"),
    ),
    Reference(
        "brightness_db",
        "dB",
        (-17.0, -6.6),
        (-15.8, -5.0),
        ("timbre", "soft", "usual", "bright"),
        ("音色", "柔和", "正常", "明亮"),
    ),
    Reference(
        "tempo_hz",
        "syllables/s",
        (3.4, 5.7),
        (3.8, 5.8),
        ("tempo", "slow", "medium", "fast"),
        ("语速", "偏慢", "适中", "偏快"),
    ),
    Reference(
        "pause_share",
        "of the time",
        (0.0, 0.09),
        (0.0, 0.08),
        ("pauses", "few", "few", "many"),
        ("停顿", "少", "少", "多"),
    ),
)


def levels(cues: Cues) -> dict[str, Level]:
    """Cue name -> low, mid or high against its reference; cues not measured are left out."""
    return {r.cue: level for r in REFERENCES if (level := r.level(cues)) is not None}
