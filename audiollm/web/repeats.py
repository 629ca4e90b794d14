"""Which requests a page sends again when the connection broke off, and nobody knows whether they
arrived: see connection.js.

What a page asks by itself (timers, what a tab or a choice shows) changes nothing, or sets what it
was set to. Of what a person presses, `events.repeats` names the handlers that may be called twice.
"""

import gradio as gr

from audiollm.web.auth.access import PRESSED
from audiollm.web.events import REPEATS, Repeats

# a recording that was stopped was made by a person, too
BY_A_PERSON = (*PRESSED, "stop_recording")


def table(demo: gr.Blocks) -> dict[Repeats, list[int]]:
    """The ids of events that may be sent again, by how; all others must not be."""
    found: dict[Repeats, list[int]] = {"again": [], "itself": []}
    for id, event in demo.fns.items():
        by_itself = not any(name in BY_A_PERSON for _, name in event.targets)
        by_default: Repeats | None = "again" if event.targets and by_itself else None
        how: Repeats | None = getattr(event.fn, REPEATS, by_default)
        if how:
            found[how].append(id)
    return found
