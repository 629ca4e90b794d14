"""Headers of every response: who may frame the page, and what a browser may make of a file.

Without a login whoever sits at the machine is its owner: another site that framed the page could
lead a click of theirs to Start or Delete.
"""

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audiollm.settings import Settings

SPACES = "https://huggingface.co https://*.hf.space"  # a Space is shown in a frame of theirs


def headers(settings: Settings) -> dict[str, str]:
    """Of a page with these settings."""
    framed = {"Content-Security-Policy": f"frame-ancestors 'self' {SPACES}"}
    alone = {"Content-Security-Policy": "frame-ancestors 'none'", "X-Frame-Options": "DENY"}
    return {
        **(framed if settings.space else alone),
        "X-Content-Type-Options": "nosniff",
        # `no-referrer` would take `Origin` away, too, which tells other sites' requests apart
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    }


class Headers:
    """Middleware that adds them."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, answer)
