"""The addresses to which page.js sends the owner's name and password, beside Gradio's own.

They do not go through an event, so they stand in no queue and in no state of the page.
"""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audiollm.settings import Settings
from audiollm.web.auth.sessions import COOKIE, LASTS, Sessions
from audiollm.web.auth.visitors import from_elsewhere

LOGIN, LOGOUT = "/owner/login", "/owner/logout"
LARGEST = 4096  # bytes of a request
CODES = {"in": 200, "wrong": 401, "busy": 429, "refused": 403, "bad": 400}


def routes(settings: Settings, sessions: Sessions) -> list[Route]:
    """None where there is no password to log in with."""
    owner = settings.owner
    if settings.login != "password" or owner is None:
        return []

    async def log_in(request: Request) -> Response:
        if from_elsewhere(request):
            return _said("refused")
        given = await _given(request)
        if given is None:
            return _said("bad")
        address = request.client.host if request.client else ""
        outcome = await sessions.try_(owner, *given, address)
        answer = _said(outcome)
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
            return _said("refused")
        sessions.end(request.cookies.get(COOKIE, ""))
        answer = _said("in")
        answer.delete_cookie(COOKIE)
        return answer

    return [
        Route(LOGIN, log_in, methods=["POST"]),
        Route(LOGOUT, log_out, methods=["POST"]),
    ]


def _said(outcome: str) -> JSONResponse:
    return JSONResponse({"outcome": outcome}, CODES[outcome], {"Cache-Control": "no-store"})


async def _given(request: Request) -> tuple[str, str] | None:
    """Name and password; None where the request holds something else."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            return None
    try:
        found = json.loads(body)
        name, password = found["name"], found["password"]
    except (ValueError, TypeError, KeyError):
        return None
    return (name, password) if isinstance(name, str) and isinstance(password, str) else None
