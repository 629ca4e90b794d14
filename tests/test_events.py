"""How handlers of the page run and end."""

import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from audiollm.web.events import Cancelled, shown_while, streamed

ASKING: ContextVar[str] = ContextVar("asking", default="nobody")


@pytest.mark.parametrize("wanted", [True, False])
def test_what_a_run_has_shown_is_cleared_where_it_is_not_wanted_any_more(wanted: bool) -> None:
    asked = iter([True, True, wanted])
    steps = list(shown_while([{"a": 1}, {"b": 2}], lambda: next(asked), {"a": 0}))
    assert steps[:2] == [{"a": 1}, {"b": 2}]
    assert steps[2:] == ([] if wanted else [{"a": 0}])


def test_a_run_that_is_not_wanted_ends() -> None:
    steps = shown_while(iter([{"a": 1}, {"b": 2}]), lambda: False, {"a": 0})
    assert list(steps) == [{"a": 0}]


def test_reports_come_in_order_with_the_context_of_the_caller() -> None:
    ASKING.set("Ann")
    before = threading.active_count()

    def work(report: Callable[[object], None]) -> None:
        report(1)
        report(ASKING.get())

    assert list(streamed(work)) == [1, "Ann"]
    assert threading.active_count() == before


def test_a_failure_reaches_the_reader_after_what_was_reported() -> None:
    def work(report: Callable[[int], None]) -> None:
        report(1)
        raise ZeroDivisionError

    steps = streamed(work)
    assert next(steps) == 1
    with pytest.raises(ZeroDivisionError):
        next(steps)


def test_a_reader_who_leaves_ends_the_work() -> None:
    ended, go_on = [], threading.Event()

    def work(report: Callable[[int], None]) -> None:
        try:
            report(1)
            go_on.wait(10)
            report(2)
            ended.append("went on")
        except Cancelled:
            ended.append("cancelled")
            raise

    steps = streamed(work)
    assert next(steps) == 1
    threading.Timer(0.05, go_on.set).start()
    steps.close()
    assert ended == ["cancelled"]


def test_a_reader_who_stops_reading_holds_no_lock() -> None:
    lock = threading.Lock()

    def work(report: Callable[[int], None]) -> None:
        with lock:
            for number in range(1000):
                report(number)

    slow = streamed(work)
    assert next(slow) == 0  # and no more is read
    assert lock.acquire(timeout=10)
    lock.release()
    assert list(slow) == list(range(1, 1000))
