"""The owner's logins with a password, the price of a wrong one, and their addresses.

A session is a random number in a cookie that scripts cannot read; here only its hash is kept, in
memory. So logging out ends it, and so does a restart of the program. The page sends name and
password to addresses beside Gradio's own: they stand in no queue and in no state of the page. No
gradio here.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from dataclasses import dataclass, field
from typing import Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audiollm.contracts.plain_json import parse_json
from audiollm.settings import Owner, Settings
from audiollm.web.auth.identity import COOKIE, from_elsewhere

LOGIN, LOGOUT = "/owner/login", "/owner/logout"
LARGEST = 4096  # bytes of a request
CODES = {"in": 200, "wrong": 401, "refused": 403, "bad": 400}
LASTS = 12 * 3600.0  # s
PAUSE = 1.0  # s that a connection waits after a wrong guess
TOLD = 60.0  # s between two lines of the log about wrong guesses
Outcome = Literal["in", "wrong"]
LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class Sessions:
    """The logged-in sessions of one running program."""

    pause: float = PAUSE
    _ends: dict[str, float] = field(default_factory=dict)  # hash -> s of the monotonic clock
    _wrong: int = 0  # guesses since the log was told
    _told: float = -TOLD  # s of the monotonic clock

    async def try_(self, owner: Owner, name: str, password: str) -> Outcome:
        """Whether name and password are right: at once where they are, however many guess at the
        same time; else after a pause. A limit on all guesses would lock the owner out."""
        if _same(name, owner.name) & _same(password, owner.password):
            return "in"
        self._wrong += 1
        now = time.monotonic()
        if now - self._told >= TOLD:
            LOG.warning("wrong logins since the last line like this: %d", self._wrong)
            self._told, self._wrong = now, 0
        await asyncio.sleep(self.pause)
        return "wrong"

    def begin(self) -> str:
        """A new session; what its cookie holds."""
        now = time.monotonic()
        self._ends = {key: end for key, end in self._ends.items() if end > now}
        token = secrets.token_urlsafe(32)
        self._ends[_hash(token)] = now + LASTS
        return token

    def knows(self, token: str) -> bool:
        return self._ends.get(_hash(token), 0.0) > time.monotonic()

    def end(self, token: str) -> None:
        self._ends.pop(_hash(token), None)


def _same(entered: str, right: str) -> bool:
    """In the same time wherever they differ, and however long what was entered is."""
    return hmac.compare_digest(_hash(entered), _hash(right))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def routes(settings: Settings, sessions: Sessions) -> list[Route]:
    """None where there is no password to log in with."""
    owner = settings.owner
    if settings.login != "password" or owner is None:
        return []

    async def log_in(request: Request) -> Response:
        if from_elsewhere(request):
            return _answer("refused")
        entered = await _credentials(request)
        if entered is None:
            return _answer("bad")
        outcome = await sessions.try_(owner, *entered)
        answer = _answer(outcome)
        if outcome == "in":
            sessions.end(request.cookies.get(COOKIE, ""))
            secure = "https" in (request.url.scheme, request.headers.get("origin", "")[:5])
            answer.set_cookie(
                COOKIE,
                sessions.begin(),
                max_age=int(LASTS),
                httponly=True,
                samesite="strict",
                secure=secure,
            )
        return answer

    async def log_out(request: Request) -> Response:
        if from_elsewhere(request):
            return _answer("refused")
        sessions.end(request.cookies.get(COOKIE, ""))
        answer = _answer("in")
        answer.delete_cookie(COOKIE)
        return answer

    return [
        Route(LOGIN, log_in, methods=["POST"]),
        Route(LOGOUT, log_out, methods=["POST"]),
    ]


def _answer(outcome: str) -> JSONResponse:
    return JSONResponse({"outcome": outcome}, CODES[outcome], {"Cache-Control": "no-store"})


async def _credentials(request: Request) -> tuple[str, str] | None:
    """Name and password; None where the request holds something else."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            return None
    try:
        fields = parse_json(body)
        name, password = fields["name"], fields["password"]
    except (ValueError, TypeError, KeyError):
        return None
    return (name, password) if isinstance(name, str) and isinstance(password, str) else None
