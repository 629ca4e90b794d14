"""A sound file -> its checked samples and their track."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from audiollm import audio
from audiollm.audio import Sound, prosody
from audiollm.audio.prosody import Cues, Track
from audiollm.settings import Settings
from audiollm.web.auth import identity
from audiollm.web.turns import Lent, Turns

LARGE = 8e6  # bytes; decoding a larger file takes much memory
HEAVY = 500  # blocks of a sound from which on decoding it takes seconds
HEAVY_FILES = Turns(1)  # one such file is decoded at a time
PAUSE = 0.5  # s between two reports


@dataclass(frozen=True, eq=False)
class Clip:
    """A sound with speech in it."""

    sound: Sound
    track: Track

    def cues(self) -> Cues:
        return prosody.summarise(self.sound.samples, self.track)


Report = Callable[[float | None], object]


def load_clip(
    path: str, settings: Settings, report: Report = lambda _: None, lent: Lent = nullcontext
) -> Clip:
    """Decodes, checks and measures a file.

    Args:
        report: called now and then with the share that is measured, None before that begins;
            raises to cancel.
        lent: gives the turn of an answer to others while this file waits.

    Raises:
        AudioError: it cannot be used.
    """
    with _loaded(path, settings, report, lent) as (sound, now_and_then):
        return Clip(sound, prosody.track(sound.samples, now_and_then))


def load_sound(path: Path, settings: Settings, report: Report, lent: Lent) -> Sound:
    """The same without measuring it."""
    with _loaded(str(path), settings, report, lent) as (sound, _):
        return sound


@contextmanager
def _loaded(
    path: str, settings: Settings, report: Report, lent: Lent
) -> Iterator[tuple[Sound, Report]]:
    """A sound with speech in it. What is large, or turns out to be, waits for others like it."""
    last, blocks = time.monotonic(), 0

    def now_and_then(share: float | None) -> None:
        nonlocal last
        if time.monotonic() - last >= PAUSE:
            last = time.monotonic()
            report(share)

    def wait() -> None:
        with lent():
            turn = HEAVY_FILES.take(lambda _: report(None), identity.caller())
            stack.enter_context(turn)

    def count(_: float) -> None:
        nonlocal blocks
        blocks += 1
        if blocks == HEAVY and not large:
            wait()
        now_and_then(None)

    large = _is_large(path)
    with ExitStack() as stack:
        if large:
            wait()
        sound = audio.load(path, settings, count)
        audio.require_speech(sound)
        yield sound, now_and_then


def _is_large(path: str) -> bool:
    with suppress(OSError):  # `audio.load` says what is wrong with it
        return Path(path).stat().st_size > LARGE
    return False
