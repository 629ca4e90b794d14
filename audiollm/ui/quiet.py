"""How an event of the page runs whose progress the page shows itself, or that shows none.

`show_progress_on` is empty, not absent: Gradio reports the state of an event to everything that it
ever had as an output, whatever `show_progress` says, and copies all that stands inside those first.
A clock that ticks once a second kept a third of a processor busy with that.
"""

from typing import Any

QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "show_progress_on": [],
    "api_visibility": "private",
}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}  # and waits for nobody
