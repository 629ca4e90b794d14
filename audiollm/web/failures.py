"""What fails inside Gradio: one line in the log, since anybody's malformed call would fill it with
tracebacks. A failure in code of ours is a bug, and is logged whole."""

import logging
import sys
import traceback
from pathlib import Path

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger(__name__)
OURS = str(Path(__file__).parents[1])
LONGEST = 200  # characters of a line


def log(what: str, error: BaseException | None) -> None:
    """Logs a failure of what was asked."""
    frames = traceback.extract_tb(error.__traceback__) if error else []
    ours = any(f.filename.startswith(OURS) and f.filename != __file__ for f in frames)
    line = f"{what} failed: {type(error).__name__}: {error}"
    LOG.error("%.*s", LONGEST, " ".join(line.split()), exc_info=error if ours else None)


class Brief:
    """In the place of the module `traceback`, as Gradio uses it."""

    @staticmethod
    def print_exc() -> None:
        log("an event", sys.exc_info()[1])


class Failures:
    """Middleware, the last of ours: nothing that Gradio raises gets any further."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sent)
        except Exception as error:
            if scope["type"] != "http":
                raise
            log(f"{scope['method']} {scope['path']:.80}", error)
            if not begun:
                await PlainTextResponse("Internal Server Error", 500)(scope, receive, send)
