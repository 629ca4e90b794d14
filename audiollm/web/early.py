"""Scripts that run before Gradio's client, which opens its heartbeat before it looks at `head`."""

from starlette.datastructures import MutableHeaders
from starlette.routing import get_route_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEAD = b"<head>"


class Early:
    """Middleware that puts them at the top of the page."""

    def __init__(self, app: ASGIApp, scripts: str) -> None:
        self.app, self.scripts = app, scripts.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or get_route_path(scope) not in ("", "/"):
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def sent(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = body.replace(HEAD, HEAD + self.scripts, 1)
            headers = MutableHeaders(scope=start)
            if body and "content-length" in headers:
                headers["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, sent)
