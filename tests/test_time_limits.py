"""The time limit of a test, of what is set up for it and of its end."""

import signal
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import pytest

from tests import conftest

HOOKS: list[Callable[[Any], Iterator[None]]] = [
    conftest.pytest_runtest_setup,
    conftest.pytest_runtest_call,
    conftest.pytest_runtest_teardown,
]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_what_takes_too_long_fails_and_says_where_every_thread_is(
    hook: Callable[[Any], Iterator[None]],
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
) -> None:
    over, begun = Event(), Event()

    def hangs() -> None:
        begun.set()
        over.wait()

    thread = Thread(target=hangs)
    thread.start()
    assert begun.wait(conftest.LIMIT)
    phase = hook(request.node)
    next(phase)
    with pytest.raises(pytest.fail.Exception):
        signal.raise_signal(signal.SIGALRM)
    over.set()
    thread.join()
    with pytest.raises(StopIteration):
        next(phase)
    printed = capfd.readouterr().err
    assert f"in {hangs.__name__}" in printed and "Thread" in printed
