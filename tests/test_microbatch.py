"""Calls that wait run together, each as if it were alone."""

import gc
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from audiollm.inference.microbatch import Call, MicroBatch

Batch = Sequence[Call[int, int]]


class Network:
    """Doubles its input; the first batch runs until it is `released`."""

    def __init__(self, calls: int) -> None:
        self.batches: list[list[int]] = []
        self.started, self.released = threading.Event(), threading.Event()
        self.waits_for = calls
        self.run = MicroBatch(self.compute)

    def compute(self, batch: Batch) -> None:
        self.batches.append([call.item for call in batch])
        self.started.set()
        if len(self.batches) == 1:
            assert self.released.wait(30)
        for call in batch:
            if call.item < 0:
                raise ValueError(call.item)
            call.finish(2 * call.item)

    def queued(self) -> None:
        """Releases the first batch once all other calls wait."""
        while len(self.run._waiting) < self.waits_for:
            threading.Event().wait(0.001)
        self.released.set()


def results(network: Network, *calls: tuple[int, float, object]) -> list[object]:
    """Of a first call, and of these, which come in order while it runs."""
    with ThreadPoolExecutor(len(calls) + 1) as threads:
        futures = [threads.submit(network.run, 0)]
        assert network.started.wait(30)
        for i, call in enumerate(calls):
            futures.append(threads.submit(network.run, *call))
            network.waits_for = i + 1
            while len(network.run._waiting) < i + 1:
                threading.Event().wait(0.001)
        network.queued()
        return [future.exception(30) or future.result() for future in futures]


def test_calls_that_wait_run_together_the_oldest_first() -> None:
    network = Network(0)
    found = results(
        network, (1, 0.5, "en"), (2, 0.25, "zh"), (3, 0.25, "en"), (4, 0.5, "en"), (5, 0.25, "en")
    )
    assert found == [0, 2, 4, 6, 8, 10]
    assert network.batches == [[0], [1, 3, 5], [2], [4]]
    assert network.run.idle


def test_a_call_larger_than_a_batch_runs_alone() -> None:
    network = Network(0)
    assert results(network, (1, 3.0, None), (2, 0.1, None)) == [0, 2, 4]
    assert network.batches == [[0], [1], [2]]


def test_only_the_call_that_caused_an_error_fails() -> None:
    network = Network(0)
    first, *found = results(network, (1, 0.1, None), (-1, 0.1, None), (3, 0.1, None))
    assert first == 0 and found[0] == 2 and found[2] == 6
    assert isinstance(found[1], ValueError)
    assert network.run.idle
    assert network.run(4) == 8


def test_what_cannot_be_repeated_fails_with_the_batch() -> None:
    network = Network(0)
    network.run = MicroBatch(network.compute, repeatable=False)
    _, *found = results(network, (1, 0.1, None), (-1, 0.1, None), (3, 0.1, None))
    assert found[0] == 2  # it had been finished
    assert isinstance(found[1], ValueError) and isinstance(found[2], ValueError)
    assert network.batches == [[0], [1, -1, 3]]


def test_a_call_returns_before_the_rest_of_its_batch() -> None:
    """A short text does not wait for the longest one."""
    returned = threading.Event()
    network = Network(0)

    def compute(batch: Batch) -> None:
        if len(batch) == 1:
            network.compute(batch)
            return
        batch[0].finish(2)
        assert returned.wait(30)
        for call in batch:
            if not call.done:
                call.finish(1)

    def ask() -> None:
        if run(1, 0.5) == 2:
            returned.set()

    run = network.run = MicroBatch(compute)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(run, 0)
        assert network.started.wait(30)
        asked = [threads.submit(ask) for _ in range(2)]
        network.waits_for = 2
        network.queued()
        assert first.result(30) == 0
        for future in asked:
            future.result(30)
    assert returned.is_set()


def test_an_interrupted_thread_leaves_the_others_running() -> None:
    """Ctrl+C in the thread that computes for all."""

    def compute(batch: Batch) -> None:
        if batch[0].item == 0:
            raise KeyboardInterrupt
        for call in batch:
            call.finish(call.item)

    run = MicroBatch(compute)
    with pytest.raises(KeyboardInterrupt):
        run(0)
    assert run.idle and run(1) == 1


def test_a_call_that_gets_no_result_fails() -> None:
    run: MicroBatch[int, int] = MicroBatch(lambda _: None)
    with pytest.raises(RuntimeError):
        run(1)
    assert run.idle


def test_one_thread_computes_for_all_and_ends_with_the_batches() -> None:
    computing: set[threading.Thread] = set()

    def compute(batch: Batch) -> None:
        computing.add(threading.current_thread())
        for call in batch:
            call.finish(call.item)

    run = MicroBatch(compute)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(run, range(50))) == list(range(50))
    (thread,) = computing
    assert thread is not threading.main_thread() and thread.is_alive()
    del run
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()


def test_the_main_thread_computes_itself() -> None:
    """Ctrl+C reaches it alone, and ends the work of a command."""
    computing: list[threading.Thread] = []

    def compute(batch: Batch) -> None:
        computing.append(threading.current_thread())
        batch[0].finish(0)

    MicroBatch(compute)(0)
    assert computing == [threading.main_thread()]
