"""The addresses that the server answers at: what is not listed here does not exist.

Gradio brings addresses that no page of ours uses, such as one that converts uploaded videos with
the system's ffmpeg and one that edits the program; a new version may bring others.
"""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, compile_path, get_route_path
from starlette.types import ASGIApp, Receive, Scope, Send

from audiollm.settings import Settings
from audiollm.web.auth.sessions import LOGIN, LOGOUT
from audiollm.web.model_host import ModelHost

API = "/gradio_api"
HEALTH = ("GET /healthz", "GET /readyz")
PAGE = (
    "GET /",
    "GET /config",
    "GET /static/{path:path}",
    "GET /assets/{path:path}",
    "GET /svelte/{path:path}",
    "GET /favicon.ico",
    "GET /robots.txt",
    "GET /manifest.json",
    "GET /theme.css",
    f"GET {API}/theme.css",
    f"GET {API}/startup-events",
    f"GET {API}/app_id",
    f"GET {API}/heartbeat/{{session}}",
    f"GET {API}/info",
    f"GET {API}/openapi.json",
)
EVENTS = (
    f"POST {API}/run/{{name}}",
    f"POST {API}/queue/join",
    f"GET {API}/queue/data",
    f"GET {API}/queue/status",
    f"POST {API}/cancel",
    f"POST {API}/reset",
    f"POST {API}/call/{{name}}",
    f"GET {API}/call/{{name}}/{{event}}",
    f"POST {API}/call/v2/{{name}}",
    f"GET {API}/call/v2/{{name}}/{{event}}",
)
FILES = (
    f"POST {API}/upload",
    f"GET {API}/upload_progress",
    f"GET {API}/file={{path:path}}",
    f"GET {API}/file/{{path:path}}",
)
PASSWORD = (f"POST {LOGIN}", f"POST {LOGOUT}")
HUB = (  # of a login with Hugging Face
    "GET /login/huggingface",
    "GET /login/callback",
    "GET /logout",
)
MCP = tuple(f"{method} {API}/mcp/{{path:path}}" for method in ("GET", "POST", "DELETE"))


def allowed(settings: Settings) -> tuple[str, ...]:
    """The addresses of a page with these settings, each as method and path."""
    login = {"password": PASSWORD, "hub": HUB}.get(settings.login, ())
    return (*HEALTH, *PAGE, *EVENTS, *FILES, *login, *(MCP if settings.mcp else ()))


def health(host: ModelHost) -> list[Route]:
    """For a container's supervisor: `/healthz` while the server answers, `/readyz` while the model
    does too. While it is loaded or replaced, and where it could not be loaded: 503."""

    async def healthz(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> PlainTextResponse:
        if not host.ready:
            return PlainTextResponse("loading", 503)
        return PlainTextResponse("ok") if host.card else PlainTextResponse("failed", 503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


class AllowedRoutes:
    """Middleware that answers 404 at every address that is not allowed."""

    def __init__(self, app: ASGIApp, routes: Iterable[str]) -> None:
        self.app = app
        split = [route.split(" ") for route in routes]
        self.patterns = [(method, compile_path(path)[0]) for method, path in split]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self.allows(scope.get("method", ""), _path(scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse("Not Found", 404)(scope, receive, send)

    def allows(self, method: str, path: str) -> bool:
        verb = "GET" if method == "HEAD" else method
        return any(m == verb and pattern.match(path) for m, pattern in self.patterns)


def _path(scope: Scope) -> str:
    """Without the root path of a proxy, and without a slash at the end."""
    path = get_route_path(scope)
    return path.rstrip("/") or "/" if not path.startswith(f"{API}/mcp") else path
