"""One clip, and whether anybody can be heard in it."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audiollm.audio import speech
from audiollm.audio.decoding import duration
from audiollm.errors import NoSpeechError

SAMPLE_RATE = 16000  # Hz; the rate of every encoder

FRAME, HOP = 400, 160  # samples: 25 ms every 10 ms
MIN_SPEECH = 25  # frames: 0.25 s, a short word
# Levels in dBFS of a frame, offset and drift taken out. All 2,468 clips of EmoDB and ASED, turned
# down by 30 dB, reach -74 for a quarter of a second; the rounding of 16-bit sound is at -98.
FAINTEST = -75.0
# A quiet room and its microphone are steady and stay below -50. A fainter sound is taken for
# speech where it stands 12 dB above the clip's own background; those clips stand 17 or more.
QUIET, CONTRAST = -50.0, 12.0
DIGITAL_SILENCE = -95.0  # below: a gate or a decoder wrote zeros, not a microphone


@dataclass(frozen=True, eq=False)
class Sound:
    """One clip as everything after this file processes it."""

    samples: np.ndarray  # float32 [N], mono, 16 kHz, in [-1, 1]
    seconds: float  # length of the original, before its rate was changed
    source_rate: int  # Hz
    channels: int  # of the original
    clipped: float  # share of the original's samples at full scale, in any channel

    @cached_property
    def speech(self) -> speech.Spans:
        """Where somebody speaks. Computed when it is first asked for, and once for this sound.

        Raises:
            ModelError: the package of the detector's weights is missing.
        """
        return speech.detect(self.samples)


def require_speech(sound: Sound) -> None:
    """Refuse a sound in which nobody speaks: one without level, or in which none is detected.

    Raises:
        NoSpeechError: less than 0.25 s, of sound, of what is loud enough, or of speech.
        ModelError: the package of the detector's weights is missing.
    """
    require_level(sound)
    if not sound.speech:
        raise NoSpeechError("audio_no_speech")


def require_level(sound: Sound) -> None:
    """Refuse a sound that is too short, silent or too faint to hold speech.

    For labelled clips: a person confirmed speech in them, and the detector misses a few voices.

    Raises:
        NoSpeechError: less than 0.25 s, of sound or of what is loud enough.
    """
    if len(sound.samples) < FRAME + (MIN_SPEECH - 1) * HOP:
        raise NoSpeechError("audio_too_short", length=duration(sound.seconds))
    levels = _levels(sound.samples)
    levels = levels[levels > DIGITAL_SILENCE]
    if len(levels) < MIN_SPEECH:
        raise NoSpeechError("audio_silent")
    reached = float(np.partition(levels, -MIN_SPEECH)[-MIN_SPEECH])  # for 0.25 s
    background = float(np.percentile(levels, 5))
    if reached < FAINTEST:
        raise NoSpeechError("audio_faint", level=f"{reached:.0f}", needed=f"{FAINTEST:.0f}")
    if reached < QUIET and reached - background < CONTRAST:
        raise NoSpeechError("audio_background", level=f"{reached:.0f}")


def content_hash(sound: Sound) -> str:
    """Identity of a clip: SHA-256 of its 16 kHz samples as 16-bit integers, in hex."""
    return hashlib.sha256(to_int16(sound).tobytes()).hexdigest()


def to_int16(sound: Sound) -> np.ndarray:
    """Its samples as little-endian 16-bit integers [N]; a file of them loads as the same sound."""
    return np.rint(sound.samples * 32768.0).clip(-32768, 32767).astype("<i2")


def _levels(samples: np.ndarray) -> np.ndarray:
    """Level of every frame in dBFS, without its own mean and slope. [N] -> [frames]"""
    ramp = np.arange(FRAME) - (FRAME - 1) / 2
    ramp /= np.linalg.norm(ramp)
    levels = []
    for start in range(0, len(samples) - FRAME + 1, HOP * 6000):  # a minute at a time
        part = samples[start : start + HOP * 5999 + FRAME].astype(np.float64)
        frames = np.lib.stride_tricks.sliding_window_view(part, FRAME)[::HOP]
        power = frames.var(axis=1) - (frames @ ramp) ** 2 / FRAME
        levels.append(10 * np.log10(np.maximum(power, 1e-12)))
    return np.concatenate(levels)
