"""Calls of several threads that wait for the same network run through it together."""

import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_Tasks: TypeAlias = "SimpleQueue[tuple[Callable[[], object], Future[object]] | None]"


class Worker:
    """A thread that computes for all others, one call after the other; it ends with this object.

    For every thread that computes, torch and its libraries keep buffers and further threads, some
    10 MiB even of a small model. A page has more than a hundred threads that wait for an answer.
    """

    def __init__(self) -> None:
        tasks: _Tasks = SimpleQueue()
        self._tasks = tasks
        threading.Thread(target=_serve, args=(tasks,), name="worker", daemon=True).start()
        weakref.finalize(self, tasks.put, None)

    def begin(self, compute: Callable[[], Result]) -> "Future[Result]":
        """What it will return, or raise. The main thread computes itself, at once: Ctrl+C reaches
        no other."""
        done: Future[Result] = Future()
        if threading.current_thread() is threading.main_thread():
            done.set_result(compute())
        else:
            self._tasks.put((compute, done))  # type: ignore[arg-type]
        return done


def _serve(tasks: _Tasks) -> None:
    while task := tasks.get():
        compute, done = task
        try:
            done.set_result(compute())
        except BaseException as error:  # handed to the thread that waits
            done.set_exception(error)
        del task, compute, done  # a model that is no longer used is freed


@dataclass(eq=False)
class Call(Generic[Item, Result]):
    """A call that waits, or runs. `finish` it, or `fail` it."""

    item: Item
    size: float  # share of a full batch
    key: object  # only calls of the same key run together
    changed: threading.Condition
    _result: "Future[Result]" = field(default_factory=Future)

    @property
    def done(self) -> bool:
        return self._result.done()

    def result(self) -> Result:
        return self._result.result()

    def finish(self, result: Result) -> None:
        """Its thread goes on at once, though others of the batch still run."""
        with self.changed:
            self._result.set_result(result)
            self.changed.notify_all()

    def fail(self, error: BaseException) -> None:
        with self.changed:
            self._result.set_exception(error)
            self.changed.notify_all()


class MicroBatch(Generic[Item, Result]):
    """Runs one batch at a time, for all threads that wait for it.

    A call that finds the network idle runs alone and at once. Those that come while it runs make up
    the next batch, the oldest first.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Call[Item, Result]]], object],
        *,
        repeatable: bool = True,
    ) -> None:
        """
        Args:
            compute: finishes every call of a batch; what it raises fails those that it did not
                finish.
            repeatable: when a batch of several calls fails, each is run alone, so that only the
                call that caused the error fails.
        """
        self._compute, self._repeatable = compute, repeatable
        self._waiting: list[Call[Item, Result]] = []
        self._running = False
        self._changed = threading.Condition()
        self._worker = Worker()

    @property
    def idle(self) -> bool:
        """Nothing runs, and nothing waits."""
        return not self._running and not self._waiting

    def __call__(self, item: Item, size: float = 1.0, key: object = None) -> Result:
        """The result for this item, as part of a batch whose sizes add up to 1 at most; a larger
        call runs alone. What `compute` raised for it is raised here."""
        call: Call[Item, Result] = Call(item, size, key, self._changed)
        with self._changed:
            self._waiting.append(call)
        while batch := self._next(call):
            self._worker.begin(partial(self._run_next, batch))
        return call.result()

    def _run_next(self, batch: Sequence[Call[Item, Result]]) -> None:
        try:
            self._run(batch)
        finally:
            with self._changed:
                self._running = False
                self._changed.notify_all()

    def _next(self, call: Call[Item, Result]) -> list[Call[Item, Result]]:
        """The batch that this thread is to begin; [] once its own call is done."""
        with self._changed:
            try:
                while self._running and not call.done:
                    self._changed.wait()
            except BaseException:  # Ctrl+C: nobody waits for it any more
                if call in self._waiting:
                    self._waiting.remove(call)
                raise
            if call.done:
                return []
            self._running = True
            batch = [self._waiting.pop(0)]
            size = batch[0].size
            for other in [c for c in self._waiting if c.key == batch[0].key]:
                if size + other.size <= 1:
                    self._waiting.remove(other)
                    batch.append(other)
                    size += other.size
            return batch

    def _run(self, batch: Sequence[Call[Item, Result]]) -> None:
        try:
            self._compute(batch)
        except Exception as error:
            unfinished = [call for call in batch if not call.done]
            if self._repeatable and len(batch) > 1:
                for call in unfinished:
                    self._run([call])
            else:
                _fail(unfinished, error)
        except BaseException as error:  # Ctrl+C in the thread that computes for all
            _fail([call for call in batch if not call.done], error)
            raise
        else:
            _fail([call for call in batch if not call.done], RuntimeError("it has no result"))


def _fail(calls: "Sequence[Call[Item, Result]]", error: BaseException) -> None:
    for call in calls:
        call.fail(error)
