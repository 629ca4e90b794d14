"""Generators that say how far they have come, and return what they were for."""

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

Step = TypeVar("Step")
Shown = TypeVar("Shown")
Result = TypeVar("Result")


def drained(steps: Generator[object, None, Result]) -> Result:
    """What a generator returns, its steps passed over."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def told(
    steps: Generator[Step, None, Result], show: Callable[[Step], Shown]
) -> Generator[Shown, None, Result]:
    """The same with each step as `show` makes it; closed early, it closes the other."""
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            yield show(step)
