"""A sound file -> its checked samples and their track. No gradio here."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from audiollm import audio
from audiollm.audio import Sound, prosody
from audiollm.audio.prosody import Cues, Track
from audiollm.settings import Settings

LARGE = 8e6  # bytes; decoding a larger file takes much memory
LARGE_FILES = Lock()  # one large file is decoded at a time
PAUSE = 0.5  # s between two reports


@dataclass(frozen=True, eq=False)
class Clip:
    """A sound with speech in it."""

    sound: Sound
    track: Track

    def cues(self) -> Cues:
        return prosody.summarise(self.sound.samples, self.track)


def load_clip(
    path: str, settings: Settings, report: Callable[[float | None], object] = lambda _: None
) -> Clip:
    """Decodes, checks and measures a file.

    Args:
        report: called now and then with the share that is measured, None before that begins;
            raises to cancel.

    Raises:
        AudioError: it cannot be used.
    """
    last = time.monotonic()

    def now_and_then(share: float | None) -> None:
        nonlocal last
        if time.monotonic() - last >= PAUSE:
            last = time.monotonic()
            report(share)

    large = _is_large(path)
    while large and not LARGE_FILES.acquire(timeout=PAUSE):
        report(None)
    try:
        sound = audio.load(path, settings, lambda _: now_and_then(None))
        audio.require_speech(sound)
        return Clip(sound, prosody.track(sound.samples, now_and_then))
    finally:
        if large:
            LARGE_FILES.release()


def _is_large(path: str) -> bool:
    with suppress(OSError):  # `audio.load` says what is wrong with it
        return Path(path).stat().st_size > LARGE
    return False
