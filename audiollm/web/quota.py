"""Limits on what a visitor sends: the size of a request, what recordings take, and how often
something is saved or counted.

Uploads are deleted within an hour; a call may carry recordings too, which wait in memory. Until
then all of them together have a limit, and so has each address, so that nobody takes it all. The
owner has none.
"""

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from threading import Lock

from anyio.to_thread import run_sync
from gradio.utils import get_upload_folder
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import get_route_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audiollm.errors import AudioLLMError
from audiollm.texts import spoken_language
from audiollm.web.auth import identity

UPLOAD = "/gradio_api/upload"
CODE = "X-Error-Code"  # header of a refusal
TOTAL, EACH = 8, 4  # times the largest file: all that visitors send, and what one address does
SMALL = 2_000_000  # bytes of a call that carries no recording: a choice, live sound
KEPT = 3300.0  # s that an upload stays at most
OVERHEAD = 1_000_000  # bytes of a request besides the sound
SAVED_EACH, SAVED_TOTAL = 60, 1200  # clips saved and words counted: of one address, of all


@dataclass(eq=False)
class Allowance:
    """What one address, and all together, may take within `KEPT` seconds."""

    each: float
    total: float = inf
    _taken: deque[tuple[float, str, int]] = field(default_factory=deque)  # when, by whom, how much
    _lock: Lock = field(default_factory=Lock)

    def takes(self, address: str, amount: int = 1) -> bool:
        """Whether it is allowed, and then it counts. Callers without an address, as behind a proxy
        on this computer, share the total alone."""
        now = time.monotonic()
        with self._lock:
            while self._taken and now - self._taken[0][0] > KEPT:
                self._taken.popleft()
            own = sum(much for _, whose, much in self._taken if address and whose == address)
            every = sum(much for *_, much in self._taken)
            if own + amount > self.each or every + amount > self.total:
                return False
            self._taken.append((now, address, amount))
            return True


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
        self._sent = Allowance(EACH * self.most)  # bytes
        self._called = Allowance(inf, TOTAL * self.most)  # the part that was inside calls
        self._coming = 0  # bytes that are being received

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        upload = get_route_path(scope).rstrip("/") == UPLOAD
        size = _length(request, self.most if upload else 0)
        carries = upload or size > SMALL
        owned = carries and self.owned(request)
        if upload and owned:
            await self.app(scope, receive, send)
            return
        limit = self.most * 4 // 3 + OVERHEAD  # base64 takes four bytes for three
        if not size:
            limit = min(limit, SMALL)
        if size > limit:
            error, status = AudioLLMError("quota_large", mb=f"{self.most / 1e6:.0f}"), 413
        elif carries and not owned and await self._full(request, size, upload):
            error, status = AudioLLMError("quota_full"), 507
        else:
            self._coming += size if upload else 0
            try:
                await self.app(scope, _limited(receive, limit), send)
            finally:
                self._coming -= size if upload else 0
            return
        language = spoken_language(request.headers.get("accept-language"))
        sentence = error.in_language(language)  # Gradio shows the visitor the whole body
        refusal = PlainTextResponse(sentence, status, {CODE: error.code})
        await refusal(scope, receive, send)

    async def _full(self, request: Request, size: int, upload: bool) -> bool:
        used = await run_sync(_used, Path(get_upload_folder()))
        if used + self._coming + size > TOTAL * self.most:
            return True
        if not self._sent.takes(identity.address_of(request), size):
            return True
        return not (upload or self._called.takes("", size))


def _length(request: Request, unknown: int) -> int:
    """Bytes of its body; `unknown` where it does not say."""
    try:
        return int(request.headers["content-length"])
    except (KeyError, ValueError):
        return unknown


def _limited(receive: Receive, limit: int) -> Receive:
    """What has no declared length, and becomes too long, breaks off."""
    received = 0

    async def part() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        return message if received <= limit else {"type": "http.disconnect"}

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
