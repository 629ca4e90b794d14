"""Limits on what a visitor sends: the size of a request, and what uploads take on the disk.

Uploads are deleted within an hour. Until then all of them together have a limit, and so has each
address, so that nobody takes it all. The owner's uploads have none.
"""

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anyio.to_thread import run_sync
from gradio.utils import get_upload_folder
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import get_route_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audiollm.web.auth import identity

UPLOAD = "/gradio_api/upload"
TOTAL, EACH = 8, 4  # times the largest file: all uploads of visitors, and those of one address
KEPT = 3300.0  # s that an upload stays at most
OVERHEAD = 1_000_000  # bytes of a request besides the sound


@dataclass(eq=False)
class Quota:
    """Middleware that refuses what is too much, where its length is declared before it is read.

    Args:
        most: bytes of a sound file.
        owned: whether a request is the owner's.
    """

    app: ASGIApp
    most: int
    owned: Callable[[Request], bool]

    def __post_init__(self) -> None:
        self._sent: deque[tuple[float, str, int]] = deque()  # when, from where, bytes
        self._coming = 0  # bytes that are being received

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        upload = get_route_path(scope).rstrip("/") == UPLOAD
        if upload and self.owned(request):
            await self.app(scope, receive, send)
            return
        limit = self.most * 4 // 3 + OVERHEAD  # base64 takes four bytes for three
        size = _length(request, self.most)
        if size > limit:
            refusal = f"The request is larger than {self.most / 1e6:.0f} MB.", 413
        elif upload and await self._full(size, identity.address_of(request)):
            refusal = "There is no room for further uploads. Try again in an hour.", 507
        else:
            self._coming += size if upload else 0
            try:
                await self.app(scope, _limited(receive, limit), send)
            finally:
                self._coming -= size if upload else 0
            return
        await PlainTextResponse(*refusal)(scope, receive, send)

    async def _full(self, size: int, address: str) -> bool:
        now = time.monotonic()
        while self._sent and now - self._sent[0][0] > KEPT:
            self._sent.popleft()
        own = sum(sent for _, whose, sent in self._sent if address and whose == address)
        used = await run_sync(_used, Path(get_upload_folder()))
        if own + size > EACH * self.most or used + self._coming + size > TOTAL * self.most:
            return True
        self._sent.append((now, address, size))
        return False


def _length(request: Request, unknown: int) -> int:
    """Bytes of its body; `unknown` where it does not say."""
    try:
        return int(request.headers["content-length"])
    except (KeyError, ValueError):
        return unknown


def _limited(receive: Receive, limit: int) -> Receive:
    """What has no declared length, and becomes too long, breaks off."""
    got = 0

    async def part() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        return message if got <= limit else {"type": "http.disconnect"}

    return part


def _used(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_size
            except OSError:  # deleted meanwhile
                continue
    return total
