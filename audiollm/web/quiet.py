"""How an event of the page runs whose progress the page shows itself, or that shows none.

`show_progress_on` is empty, not absent: Gradio reports the state of an event to everything that it
ever had as an output, whatever `show_progress` says, and copies all that stands inside those first.
A clock that ticks once a second kept a third of a processor busy with that.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gradio as gr

QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "show_progress_on": [],
    "api_visibility": "private",
}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}  # and waits for nobody


def unrepeated(
    steps: Iterable[list[Any]], wanted: Callable[[], bool], outputs: int
) -> Iterator[list[Any]]:
    """The steps of a run, and at the end one that changes nothing if it is not wanted any more.

    Gradio says the last step again when a run has ended, and by then another one may have written
    in its place.
    """
    yield from steps
    if not wanted():
        yield [gr.skip()] * outputs
