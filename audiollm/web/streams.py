"""The event streams of a page whose connection the network has dropped without telling the server.

A phone in another network opens new connections. The old ones live on here for minutes: an old
event stream would take messages of the page away from the new one and, once it is found dead, end
the events that were asked for since; an old heartbeat would do the latter.
"""

import asyncio
import re
from collections import defaultdict
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEARTBEAT = re.compile(r"/heartbeat/([^/]+)/?$")
END = 10.0  # s that a stream may take to end


class _Stream:
    """One that is open."""

    def __init__(self) -> None:
        self.replaced, self.ended = asyncio.Event(), asyncio.Event()

    def until_replaced(self, receive: Receive) -> Receive:
        """As if the client had closed it then."""

        async def received() -> Message:
            message = asyncio.ensure_future(receive())
            replaced = asyncio.ensure_future(self.replaced.wait())
            try:
                await asyncio.wait((message, replaced), return_when=asyncio.FIRST_COMPLETED)
                return message.result() if message.done() else {"type": "http.disconnect"}
            finally:
                message.cancel()
                replaced.cancel()

        return received


class Streams:
    """Middleware. A new heartbeat of a page ends its old one; `?anew=PAGE`, with which stream.js
    asks for an event again, ends the page's old event stream before the event is accepted."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.open: dict[str, set[_Stream]] = defaultdict(set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, asked = scope.get("path", ""), parse_qs(scope.get("query_string", b"").decode())
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if path.endswith("/queue/join") and "anew" in asked:
            await self._end("data " + asked["anew"][0])
        name = ""
        if found := HEARTBEAT.search(path):
            name = "heartbeat " + found[1]
            await self._end(name)
        elif path.endswith("/queue/data") and "session_hash" in asked:
            name = "data " + asked["session_hash"][0]
        if not name:
            return await self.app(scope, receive, send)
        stream = _Stream()
        self.open[name].add(stream)
        try:
            await self.app(scope, stream.until_replaced(receive), send)
        finally:
            stream.ended.set()
            self.open[name].discard(stream)
            if not self.open[name]:
                self.open.pop(name, None)

    async def _end(self, name: str) -> None:
        streams = list(self.open.get(name, ()))
        for stream in streams:
            stream.replaced.set()
        ends = [asyncio.wait_for(stream.ended.wait(), END) for stream in streams]
        await asyncio.gather(*ends, return_exceptions=True)
