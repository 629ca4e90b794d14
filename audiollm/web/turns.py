"""Who is answered next: some visitors at once, the others in the order in which they came."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

ANSWERED = 16  # at once: batches of so many windows are the fastest
MEASURED = 16  # answers whose mean duration the estimate rests on
TOLD = 1.0  # s after which a visitor who waits is told again


@dataclass(frozen=True)
class Place:
    """A visitor's place among those who wait."""

    number: int  # 1: the next
    left: float | None  # s that it may take; None where nothing was measured yet


@dataclass(eq=False)
class Turns:
    """Safe to share between threads."""

    at_once: int = ANSWERED
    clock: Callable[[], float] = time.monotonic
    _waiting: deque[object] = field(default_factory=deque)
    _running: int = 0
    _durations: deque[float] = field(default_factory=lambda: deque(maxlen=MEASURED))
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextmanager
    def taken(self, report: Callable[[Place], object] = lambda _: None) -> Iterator[None]:
        """Waits for a turn, and has it until the block ends.

        Args:
            report: called every second with the place; what it raises ends the wait.
        """
        self._wait(report)
        began = self.clock()
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._durations.append(self.clock() - began)
                self._changed.notify_all()

    def _wait(self, report: Callable[[Place], object]) -> None:
        own = object()
        with self._changed:
            self._waiting.append(own)
        try:
            while place := self._place(own):
                report(place)
                with self._changed:
                    self._changed.wait_for(lambda: self._free(own), TOLD)
        except BaseException:
            with self._changed:
                self._waiting.remove(own)
                self._changed.notify_all()
            raise

    def _place(self, own: object) -> Place | None:
        """None: it is its turn, which it has from now on."""
        with self._changed:
            if self._free(own):
                self._waiting.popleft()
                self._running += 1
                self._changed.notify_all()  # another turn may be free for the next
                return None
            number = self._waiting.index(own) + 1
            if not self._durations:
                return Place(number, None)
            mean = sum(self._durations) / len(self._durations)
            return Place(number, mean * -(-number // self.at_once))

    def _free(self, own: object) -> bool:
        return self._waiting[0] is own and self._running < self.at_once
