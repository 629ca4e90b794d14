"""The processor time that a sound file may take, whatever it holds: tracks, channels, a format."""

import time
from collections.abc import Callable

from audiollm.errors import AudioError

# s for a file, and a share of the longest sound; an hour in stereo takes 20 s
EFFORT, EFFORT_SHARE = 30.0, 1 / 30


class Effort:
    """What is left of it, s: of this thread, and of the decoders that it starts. To be called
    after every block, as `progress` is."""

    def __init__(
        self,
        name: str,
        max_seconds: float,
        progress: Callable[[float], object] = lambda _: None,
    ) -> None:
        self.name, self.progress = name, progress
        self.left = EFFORT + EFFORT_SHARE * max_seconds
        self.began = time.thread_time()

    @property
    def exceeded(self) -> AudioError:
        return AudioError("audio_too_slow", name=self.name)

    def spend(self, seconds: float) -> None:
        """
        Raises:
            AudioError: nothing is left.
        """
        self.left -= seconds
        if self.left < 0:
            raise self.exceeded

    def __call__(self, seconds: float) -> None:
        self.spend(time.thread_time() - self.began)
        self.progress(seconds)  # its time is not the file's
        self.began = time.thread_time()
