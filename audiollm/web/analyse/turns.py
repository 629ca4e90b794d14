"""What every visitor is to be shown now: a run of the model ends when that is something else.

A turn begins when a clip comes, is asked about anew, or goes; in `Services.wanted` stands the one
that counts for each open page.
"""

from threading import Lock

from audiollm.labels import Language
from audiollm.web.services import Services, Turn

_LOCK = Lock()


def begin(services: Services, visitor: str, path: str | None, language: Language) -> Turn:
    """From now on this is what the visitor is to be shown; whatever still runs for them ends."""
    turn = services.wanted[visitor] = Turn(path, language)
    return turn


def take(services: Services, visitor: str, path: str | None, language: Language) -> Turn:
    """The turn to answer in: the one that has begun for just this, else a new one."""
    with _LOCK:
        turn = services.wanted.get(visitor)
        if turn is None or turn.taken or not _is_of(turn, path, language):
            turn = begin(services, visitor, path, language)
        turn.taken = True
        return turn


def change(services: Services, visitor: str, path: str | None, language: Language) -> bool:
    """A clip has come or gone: whether a turn begins with that. Not where its answer came first."""
    with _LOCK:  # or that answer might be taken between the look and the new turn, and end
        if is_shown(services, visitor, path, language):
            return False
        begin(services, visitor, path, language)
        return True


def is_shown(services: Services, visitor: str, path: str | None, language: Language) -> bool:
    """Whether the visitor still looks at this clip, in this language."""
    turn = services.wanted.get(visitor)
    return turn is not None and _is_of(turn, path, language)


def stop(services: Services, visitor: str) -> None:
    """What is being answered to the visitor ends with its next view."""
    if turn := services.wanted.get(visitor):
        turn.stopped = True


def leave(services: Services, visitor: str) -> None:
    """The visitor has closed the page."""
    services.wanted.pop(visitor, None)


def _is_of(turn: Turn, path: str | None, language: Language) -> bool:
    return (turn.path, turn.language) == (path, language)
