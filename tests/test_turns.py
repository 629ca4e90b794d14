"""Who is answered next."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from audiollm.web.turns import Place, Turns


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Visitors:
    """Each stays until it is sent away."""

    def __init__(self, turns: Turns, threads: ThreadPoolExecutor) -> None:
        self.turns, self.threads = turns, threads
        self.answered: list[str] = []
        self.places: dict[str, Place] = {}
        self.stay: dict[str, threading.Event] = {}

    def come(self, name: str) -> "Future[None]":
        """Returns once the visitor has a turn, or knows its place."""
        self.stay[name], settled = threading.Event(), threading.Event()

        def report(place: Place) -> None:
            self.places[name] = place
            settled.set()

        def visit() -> None:
            with self.turns.take(report, name.rstrip("0123456789") if name[1:] else ""):
                self.answered.append(name)
                settled.set()
                assert self.stay[name].wait(30)

        future = self.threads.submit(visit)
        assert settled.wait(30)
        return future


def test_visitors_are_answered_in_the_order_in_which_they_came() -> None:
    clock = Clock()
    with ThreadPoolExecutor(8) as threads:
        visitors = Visitors(Turns(2, clock), threads)
        futures = {name: visitors.come(name) for name in "abcde"}
        assert visitors.answered == ["a", "b"]
        assert visitors.places == {n: Place(i, None) for i, n in enumerate("cde", 1)}
        clock.now = 3.0
        for name in "abcde":
            visitors.stay[name].set()
            futures[name].result(30)
        assert sorted(visitors.answered[:2]) == ["a", "b"]
        assert visitors.answered[2:] == ["c", "d", "e"]
        assert visitors.turns.waiting == 0


def test_the_estimate_is_the_mean_duration_of_the_answers_before() -> None:
    clock = Clock()
    turns = Turns(2, clock)
    for seconds in (2.0, 4.0):
        with turns.take():
            clock.now += seconds
    with ThreadPoolExecutor(8) as threads:
        visitors = Visitors(turns, threads)
        futures = [visitors.come(name) for name in "abcde"]
        left = {name: place.left for name, place in visitors.places.items()}
        assert left == {"c": 3.0, "d": 3.0, "e": 6.0}
        for name in "abcde":
            visitors.stay[name].set()
        for future in futures:
            future.result(30)


def test_a_visitor_who_leaves_gives_up_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiollm.web.turns.TOLD", 0.01)
    turns = Turns(1)

    def leave(_: Place) -> None:
        raise InterruptedError

    with turns.take():
        with pytest.raises(InterruptedError), turns.take(leave):
            pass
        assert turns.waiting == 0
    with turns.take():  # the turn is free again
        pass


def test_nobody_comes_twice_before_the_others_once() -> None:
    with ThreadPoolExecutor(8) as threads:
        visitors = Visitors(Turns(1), threads)
        futures = [visitors.come(name) for name in ("a1", "a2", "a3", "b1", "b2", "c1")]
        assert visitors.answered == ["a1"]
        for name in visitors.stay:
            visitors.stay[name].set()
        for future in futures:
            future.result(30)
    assert visitors.answered == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert visitors.places["c1"].number == 2


def test_one_visitor_leaves_turns_to_others() -> None:
    with ThreadPoolExecutor(8) as threads:
        visitors = Visitors(Turns(3, each=2), threads)
        futures = [visitors.come(name) for name in ("a1", "a2", "a3", "b1")]
        assert visitors.answered == ["a1", "a2", "b1"]
        for name in visitors.stay:
            visitors.stay[name].set()
        for future in futures:
            future.result(30)


def test_a_turn_can_be_lent() -> None:
    turns = Turns(1)
    with turns.take() as lent:
        with lent(), turns.take():
            pass
        assert turns.waiting == 0
        with pytest.raises(ValueError, match="broken"), lent():
            raise ValueError("broken")
    with turns.take():
        pass


def test_a_failure_frees_the_turn() -> None:
    turns = Turns(1)
    with pytest.raises(ValueError, match="broken"), turns.take():
        raise ValueError("broken")
    with turns.take():
        pass
