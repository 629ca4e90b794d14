"""Sound in any form -> one checked mono clip at 16 kHz. Bounded memory, no torch.

Every way in ends in `_Mixer`: channels are averaged and the rate is changed block by block, so a
recording costs 128 kB of memory a second at most, whatever its channels and rate. Channels that
cancel each other are read a second time, the loudest alone; of several tracks the first with sound
is taken.
"""

import hashlib
import stat
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import soxr

from audiollm.audio import speech
from audiollm.audio.decoding import BLOCK, Blocks, NoTrackError, blocks, duration, too_long
from audiollm.errors import AudioError, NoSpeechError
from audiollm.settings import Settings

SAMPLE_RATE = 16000  # Hz; the rate of every encoder

MIN_RATE, MAX_RATE = 4000, 192_000  # Hz; below, speech has lost its vowels
MAX_CHANNELS = 64
# Within 0.2 dB of full scale: also the highest codes of 8-bit, A-law and mu-law sound, and the
# ripple that a lossy codec leaves on a clipped wave.
CLIPPED_FROM, CLIPPED_TO = 0.98, 1.02

FRAME, HOP = 400, 160  # samples: 25 ms every 10 ms
MIN_SPEECH = 25  # frames: 0.25 s, a short word
# Levels in dBFS of a frame, offset and drift taken out. All 2,468 clips of EmoDB and ASED, turned
# down by 30 dB, reach -74 for a quarter of a second; the rounding of 16-bit sound is at -98.
FAINTEST = -75.0
# A quiet room and its microphone are steady and stay below -50. A fainter sound is taken for
# speech where it stands 12 dB above the clip's own background; those clips stand 17 or more.
QUIET, CONTRAST = -50.0, 12.0
DIGITAL_SILENCE = -95.0  # below: a gate or a decoder wrote zeros, not a microphone
CANCELLED = 0.01  # -20 dB: power of the average below this share of the loudest channel's
MOST_TRACKS = 8  # that are tried

SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("wav", "wave", "w64", "flac", "ogg", "oga", "opus", "mp3", "mp2", "aac", "m4a", "m4b"),
        *("mp4", "mov", "3gp", "3g2", "webm", "mka", "mkv", "aif", "aiff", "aifc", "caf", "amr"),
        *("wma", "au", "snd", "avi"),
    )
)


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


def load(
    source: str | Path | bytes,
    settings: Settings | None = None,
    progress: Callable[[float], object] = lambda _: None,
) -> Sound:
    """A sound from a file or from a file's bytes; the content decides, not the file's ending.

    Args:
        progress: called after every block with the seconds that have been read; raises to cancel.

    Raises:
        AudioError: missing, unreadable, empty, not sound, damaged, cut off, too long, too large.
    """
    settings = settings or Settings()
    name, limit = _name(source), settings.max_seconds
    with _open(source, name, settings) as file:

        def track(number: int) -> Sound:
            return _mixed(lambda: blocks(file, name, limit, number), name, limit, progress)

        first: Sound | AudioError | None = None
        for number in range(MOST_TRACKS):
            found: Sound | AudioError
            try:
                found = track(number)
            except NoTrackError:
                break
            except AudioError as error:
                if not number and error.code != "audio_codec":
                    raise
                found = error
            if isinstance(found, Sound) and _has_level(found):
                return found
            first = first or found
    if isinstance(first, Sound):
        return first
    raise first or AudioError("audio_damaged", name=name)


def from_array(samples: np.ndarray, rate: int, settings: Settings | None = None) -> Sound:
    """A sound from samples [N] or [N, channels]: floats at full scale 1, or 8 to 32 bit integers.

    Raises:
        AudioError: wrong shape, type or rate, no samples, NaN or infinite, too long.
    """
    settings = settings or Settings()
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2):
        raise AudioError("audio_shape", dimensions=samples.ndim)
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.dtype.kind not in "iuf" or (samples.dtype.kind in "iu" and samples.itemsize > 4):
        raise AudioError("audio_dtype", dtype=samples.dtype)

    def parts() -> Blocks:
        for start in range(0, len(samples), BLOCK):
            yield _floats(samples[start : start + BLOCK]), int(rate)

    return _mixed(parts, "The sound", settings.max_seconds)


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


def _has_level(sound: Sound) -> bool:
    if sound.samples.std() > 10 ** (QUIET / 20):  # a frame of it is louder
        return True
    try:
        require_level(sound)
    except NoSpeechError:
        return False
    return True


def content_hash(sound: Sound) -> str:
    """Identity of a clip: SHA-256 of its 16 kHz samples as 16-bit integers, in hex."""
    return hashlib.sha256(to_int16(sound).tobytes()).hexdigest()


def to_int16(sound: Sound) -> np.ndarray:
    """Its samples as little-endian 16-bit integers [N]; a file of them loads as the same sound."""
    return np.rint(sound.samples * 32768.0).clip(-32768, 32767).astype("<i2")


def _mixed(
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
        lost = power[0] < CANCELLED * power[1 + loudest]
        return loudest if lost and power[1 + loudest] > 10 ** (DIGITAL_SILENCE / 10) else None

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


def _floats(block: np.ndarray) -> np.ndarray:
    """Samples as float32 at full scale 1; unsigned integers have their zero in the middle."""
    if block.dtype.kind == "f":
        with np.errstate(over="ignore"):  # infinite now, refused by the mixer
            return block.astype(np.float32)
    half = 2.0 ** (8 * block.itemsize - 1)
    zero = half if block.dtype.kind == "u" else 0.0
    return ((block.astype(np.float64) - zero) / half).astype(np.float32)


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


def _name(source: str | Path | bytes) -> str:
    """What messages call the sound: the file's name without its folder, printable, one line."""
    name = "" if isinstance(source, bytes) else Path(source).name
    name = "".join(c if c.isprintable() else "?" for c in name)
    return f"{name[:59]}…" if len(name) > 60 else name or "The sound"


def _open(source: str | Path | bytes, name: str, settings: Settings) -> BinaryIO:
    """A seekable file of at least one byte and at most `settings.max_bytes`.

    A real file, as a child process may read it, and unbuffered, as the two share the position.
    """
    if isinstance(source, bytes):
        _check_size(name, len(source), settings)
        memory = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        memory.write(source)
        return cast(BinaryIO, memory)
    try:
        status = Path(source).stat()  # before opening: a pipe would block
        if stat.S_ISDIR(status.st_mode):
            raise AudioError("audio_folder", name=name)
        if not stat.S_ISREG(status.st_mode):
            raise AudioError("audio_device", name=name)
        _check_size(name, status.st_size, settings)
        return cast(BinaryIO, Path(source).open("rb", buffering=0))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError("audio_missing", name=name) from error
    except PermissionError as error:
        raise AudioError("audio_permission", name=name) from error
    except (OSError, ValueError) as error:  # name too long, zero byte in it, dead disk
        reason = getattr(error, "strerror", None) or "impossible name"
        raise AudioError("audio_unreadable", name=name, reason=reason) from error


def _check_size(name: str, size: int, settings: Settings) -> None:
    if not size:
        raise AudioError("audio_empty", name=name)
    if size > settings.max_bytes:
        limit = f"{settings.max_bytes / 1e6:.0f}"
        raise AudioError("audio_too_large", name=name, size=f"{size / 1e6:.0f}", limit=limit)
