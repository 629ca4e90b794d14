"""A sound file -> its checked samples and their track, with its progress. No gradio here."""

import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from audiollm import audio
from audiollm.audio import Sound, prosody
from audiollm.audio.prosody import Cues, Track
from audiollm.audio.steps import told
from audiollm.web.services import Services

LARGE = 8e6  # bytes of a file that is opened alone: a large one takes much memory on its way in
PAUSE = 0.5  # s between two steps that are told


@dataclass(frozen=True, eq=False)
class Heard:
    """A sound that speech may be in."""

    sound: Sound
    followed: Track

    def cues(self) -> Cues:
        return prosody.summarise(self.sound.samples, self.followed)


def hear(services: Services, path: str) -> Generator[float | None, None, Heard]:
    """Reads and measures a file; on the way the share that is measured, None before that begins.

    Raises:
        AudioError: it cannot be used.
    """
    large = _is_large(path)
    try:
        while large and not services.large.acquire(timeout=PAUSE):
            yield None
    except GeneratorExit:
        large = False  # it was not opened
        raise
    try:
        return (yield from _now_and_then(_hear(services, path)))
    finally:
        if large:
            services.large.release()


def _hear(services: Services, path: str) -> Generator[float | None, None, Heard]:
    sound = yield from told(audio.read(path, services.settings), lambda _: None)
    audio.require_speech(sound)
    followed = yield from prosody.follow(sound.samples)
    return Heard(sound, followed)


def _now_and_then(
    steps: Generator[float | None, None, Heard],
) -> Generator[float | None, None, Heard]:
    """The steps without those that follow another one too soon."""
    last = time.monotonic()
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if time.monotonic() - last >= PAUSE:
            last = time.monotonic()
            yield step


def _is_large(path: str) -> bool:
    with suppress(OSError):  # `audio.read` says what is wrong with it
        return Path(path).stat().st_size > LARGE
    return False
