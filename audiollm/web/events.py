"""How handlers of the page run: in silence, as a stream, and for whom."""

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextvars import copy_context
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, Literal, TypeAlias, TypeVar

import gradio as gr

from audiollm.texts import TEXTS

# `show_progress_on` is empty, not absent: Gradio reports the state of an event to everything that
# it ever had as an output, whatever `show_progress` says, and copies all that stands inside those
# first. A clock that ticks once a second kept a third of a processor busy with that.
QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "show_progress_on": [],
    "api_visibility": "private",
}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}  # and waits for nobody
# after what was sent to the page before: what is sent at once may overtake that
IN_TURN: dict[str, Any] = {**QUIET, "concurrency_limit": None}
MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 4}
# An answer waits in `Turns`, where its visitor is told how long; each takes a thread to wait in
WAITING = 128
ANSWER: dict[str, Any] = {"concurrency_id": "answer", "concurrency_limit": WAITING}
THREADS = WAITING + 40  # of Gradio, 40 of them for everything that does not wait
QUEUE = 512  # events that Gradio keeps before it refuses
PUBLIC = "audiollm_public"
REPEATS = "audiollm_repeats"
Repeats = Literal["again", "itself"]  # sent again by connection.js, or by the script that sent it
Handler = TypeVar("Handler", bound=Callable[..., Any])
Item = TypeVar("Item")
Update: TypeAlias = dict[Any, Any]  # component -> its new value; others stay as they are


def named_parts(parts: Mapping[str, Any], values: Mapping[str, Any]) -> Update:
    """Values by name -> values by component."""
    return {parts[name]: value for name, value in values.items()}


def public(handler: Handler) -> Handler:
    """Declares a handler that everybody may call; all others refuse whoever is not the owner."""
    vars(handler)[PUBLIC] = True
    return handler


def repeats(handler: Handler, how: Repeats = "again") -> Handler:
    """Declares a handler of what a person presses that may be called twice: see repeats.py."""
    vars(handler)[REPEATS] = how
    return handler


def ask_first(key: str) -> str:
    """The `js` of an event of (name, language): a question; no name unless it is yes."""
    question = json.dumps(TEXTS[key])
    return f"(name, language) => [confirm({question}[language]) ? name : null, language]"


def visitor(request: gr.Request) -> str:
    """Identifies one open page."""
    return request.session_hash or ""


class Cancelled(BaseException):
    """Raised by `report` where nobody reads any more; passes every `except Exception`."""


def streamed(work: Callable[[Callable[[Item], None]], object]) -> Generator[Item]:
    """What `work(report)` reports, in order.

    It runs in a thread of its own with the context of the caller and never waits for the reader:
    whatever it locks is released however slowly a browser reads. Once the reader has left, the next
    report raises `Cancelled`. When this generator has ended, the thread has ended too.
    """
    items: SimpleQueue[Any] = SimpleQueue()
    left, end = Event(), object()
    failures: list[BaseException] = []

    def report(item: Item) -> None:
        if left.is_set():
            raise Cancelled
        items.put(item)

    def run() -> None:
        try:
            work(report)
        except Cancelled:
            pass
        except BaseException as error:  # handed to the reader
            failures.append(error)
        finally:
            items.put(end)

    thread = Thread(target=copy_context().run, args=(run,), name="handler", daemon=True)
    thread.start()
    try:
        while (item := items.get()) is not end:
            yield item
    finally:
        left.set()
        thread.join()
    if failures:
        raise failures[0]


def shown_while(
    steps: Iterable[Update], is_current: Callable[[], bool], cleared: Update
) -> Iterator[Update]:
    """The steps of a run as long as they are wanted, then `cleared`: what was sent at once when
    they were no longer may have overtaken a step. A page has one such run at a time."""
    for step in steps:
        if not is_current():
            break
        yield step
    if not is_current():
        yield cleared
