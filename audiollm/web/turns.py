"""Who is answered next: some visitors at once, the others in the order in which they came, none of
them twice before the others once."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

ANSWERED = 16  # at once: batches of so many windows are the fastest
EACH = 12  # of them for one visitor, however many calls
MEASURED = 16  # answers whose mean duration the estimate rests on
TOLD = 1.0  # s after which a visitor who waits is told again


@dataclass(frozen=True)
class Place:
    """A visitor's place among those who wait."""

    number: int  # 1: the next
    left: float | None  # s that it may take; None where nothing was measured yet


@dataclass(eq=False)
class _Visit:
    """Of one who waits or has a turn."""

    visitor: str


Report = Callable[[Place], object]
Lent = Callable[[], AbstractContextManager[None]]


@dataclass(eq=False)
class Turns:
    """Safe to share between threads. Next is whoever has the fewest turns, then who had none yet or
    whose last one is the longest ago, then who came first; whoever has no name is a visitor of
    their own."""

    at_once: int = ANSWERED
    clock: Callable[[], float] = time.monotonic
    each: int = EACH
    _waiting: list[_Visit] = field(default_factory=list)
    _running: list[_Visit] = field(default_factory=list)
    _begun: dict[str, int] = field(default_factory=dict)  # visitor who is here: the last turn
    _count: int = 0  # of all turns
    _durations: deque[float] = field(default_factory=lambda: deque(maxlen=MEASURED))
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many have a turn."""
        return len(self._running)

    @contextmanager
    def take(self, report: Report = lambda _: None, visitor: str = "") -> Iterator[Lent]:
        """Waits for a turn, and has it until the block ends.

        Yields a block in which somebody else has the turn, at whose end it is waited for again.

        Args:
            report: called every second with the place; what it raises ends the wait.
            visitor: whoever has the same name shares turns.
        """
        visit = _Visit(visitor)

        @contextmanager
        def lent() -> Iterator[None]:
            self._end(visit)
            yield
            self._wait(visit, report)

        self._wait(visit, report)
        began = self.clock()
        try:
            yield lent
        finally:
            self._durations.append(self.clock() - began)
            self._end(visit)

    def _end(self, visit: _Visit) -> None:
        with self._changed:
            if visit in self._running:
                self._running.remove(visit)
            here = {each.visitor for each in (*self._running, *self._waiting)}
            self._begun = {name: turn for name, turn in self._begun.items() if name in here}
            self._changed.notify_all()

    def _wait(self, visit: _Visit, report: Report) -> None:
        with self._changed:
            self._waiting.append(visit)
        try:
            while place := self._place(visit):
                report(place)
                with self._changed:
                    self._changed.wait_for(lambda: self._free(visit), TOLD)
        except BaseException:
            with self._changed:
                self._waiting.remove(visit)
                self._changed.notify_all()
            raise

    def _place(self, visit: _Visit) -> Place | None:
        """None: it is its turn, which it has from now on."""
        with self._changed:
            if self._free(visit):
                self._waiting.remove(visit)
                self._running.append(visit)
                self._count += 1
                if visit.visitor:
                    self._begun[visit.visitor] = self._count
                self._changed.notify_all()  # another turn may be free for the next
                return None
            number = [each for _, each in self._order()].index(visit) + 1
            if not self._durations:
                return Place(number, None)
            mean = sum(self._durations) / len(self._durations)
            return Place(number, mean * -(-number // self.at_once))

    def _free(self, visit: _Visit) -> bool:
        before, first = self._order()[0]
        return first is visit and before < self.each and len(self._running) < self.at_once

    def _order(self) -> list[tuple[int, _Visit]]:
        """Who waits, the next first; and how many turns their visitor has, or waits for, before."""
        turns = Counter(each.visitor for each in self._running if each.visitor)
        ranked = []
        for visit in self._waiting:
            ranked.append((turns[visit.visitor], visit))
            turns[visit.visitor] += bool(visit.visitor)
        return sorted(ranked, key=lambda each: (each[0], self._begun.get(each[1].visitor, 0)))
