"""Sound in any form -> one checked mono clip at 16 kHz. Bounded memory, no torch.

Every way in ends in `mixing.mixed`. Of several tracks the first with sound is taken.
"""

import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from audiollm.audio.decoding import BLOCK, Blocks, NoTrackError, blocks
from audiollm.audio.effort import Effort
from audiollm.audio.mixing import mixed
from audiollm.audio.sound import QUIET, Sound, require_level
from audiollm.errors import AudioError, NoSpeechError
from audiollm.settings import Settings

MOST_TRACKS = 8  # that are tried
UNSET = Settings(home=Path())  # limits where a caller has no settings; no folder is used

SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("wav", "wave", "w64", "flac", "ogg", "oga", "opus", "mp3", "mp2", "aac", "m4a", "m4b"),
        *("mp4", "mov", "3gp", "3g2", "webm", "mka", "mkv", "aif", "aiff", "aifc", "caf", "amr"),
        *("wma", "au", "snd", "avi"),
    )
)


def load(
    source: str | Path | bytes,
    settings: Settings | None = None,
    progress: Callable[[float], object] = lambda _: None,
) -> Sound:
    """A sound from a file or from a file's bytes; the content decides, not the file's ending.

    Args:
        progress: called after every block with the seconds that have been read; raises to cancel.

    Raises:
        AudioError: missing, unreadable, empty, not sound, damaged, cut off, too long, too large,
            too much work to decode.
    """
    settings = settings or UNSET
    name, limit = _name(source), settings.max_seconds
    effort = Effort(name, limit, progress)
    with _open(source, name, settings) as file:

        def track(number: int) -> Sound:
            return mixed(lambda: blocks(file, name, limit, number, effort), name, limit, effort)

        first: Sound | AudioError | None = None
        for number in range(MOST_TRACKS):
            result: Sound | AudioError
            try:
                result = track(number)
            except NoTrackError:
                break
            except AudioError as error:
                if error.code == "audio_too_slow" or not (number or error.code == "audio_codec"):
                    raise
                result = error
            if isinstance(result, Sound) and _has_level(result):
                return result
            first = first or result
    if isinstance(first, Sound):
        return first
    raise first or AudioError("audio_damaged", name=name)


def from_array(samples: np.ndarray, rate: int, settings: Settings | None = None) -> Sound:
    """A sound from samples [N] or [N, channels]: floats at full scale 1, or 8 to 32 bit integers.

    Raises:
        AudioError: wrong shape, type or rate, no samples, NaN or infinite, too long.
    """
    settings = settings or UNSET
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

    return mixed(parts, "The sound", settings.max_seconds)


def _has_level(sound: Sound) -> bool:
    if sound.samples.std() > 10 ** (QUIET / 20):  # a frame of it is louder
        return True
    try:
        require_level(sound)
    except NoSpeechError:
        return False
    return True


def _floats(block: np.ndarray) -> np.ndarray:
    """Samples as float32 at full scale 1; unsigned integers have their zero in the middle."""
    if block.dtype.kind == "f":
        with np.errstate(over="ignore"):  # infinite now, refused by the mixer
            return block.astype(np.float32)
    half = 2.0 ** (8 * block.itemsize - 1)
    zero = half if block.dtype.kind == "u" else 0.0
    return ((block.astype(np.float64) - zero) / half).astype(np.float32)


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
