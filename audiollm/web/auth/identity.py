"""The identity behind a request: the owner of this machine, or a visitor. No page is drawn here.

Gradio tells which request an event came with: `Services.owned` and `access.owner_settings` know who
asks wherever they are called in a handler.
"""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from gradio.context import LocalContext
from starlette.requests import Request

from audiollm.settings import Settings, is_loopback

COOKIE = "audiollm-owner"
# a proxy adds them: whoever comes through one is not at this machine, wherever the proxy runs
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def current_request() -> Request | None:
    """The request that the running event came with; None where no event runs."""
    request: Any = LocalContext.request.get(None)
    # an event brings Gradio's request around the browser's, a component's own server the latter
    return getattr(request, "request", None) or request  # type: ignore[no-any-return]


def caller() -> str:
    """The address that asks, to share what there is between callers; "" on this computer, where
    all may come through a proxy, and outside of an event."""
    request = current_request()
    return address_of(request) if request else ""


def address_of(request: Request) -> str:
    """The same for a request."""
    address = request.client.host if request.client else ""
    return "" if is_loopback(address) else address


def at_the_machine(request: Request) -> bool:
    """The browser runs on this computer and has called it by its own name.

    A page of another site whose name was made to point here (DNS rebinding) calls it by that name;
    a share link, a tunnel or a proxy has a name of its own, or says whom it forwards.
    """
    called = urlsplit("//" + request.headers.get("host", "")).hostname or ""
    return is_loopback(called) and not any(name in request.headers for name in FORWARDED)


def from_elsewhere(request: Request) -> bool:
    """A page of another site has sent it, with this browser's cookies perhaps."""
    site = request.headers.get("sec-fetch-site")  # browsers say so; a page cannot
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")  # older browsers, and addresses without HTTPS
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def is_owner(settings: Settings, logged_in: Callable[[str], bool]) -> bool:
    """Whether the owner asks. Outside of an event: whether no login is needed.

    `logged_in`: whether the value of a cookie belongs to a session.
    """
    request = current_request()
    return settings.login == "open" if request is None else is_owners(request, settings, logged_in)


def is_owners(request: Request, settings: Settings, logged_in: Callable[[str], bool]) -> bool:
    """Whether a request is the owner's."""
    if from_elsewhere(request):
        return False
    match settings.login:
        case "open":
            return at_the_machine(request)
        case "password":
            return logged_in(request.cookies.get(COOKIE, ""))
        case "hub":
            return settings.space is not None and _is_author(request, settings.space.author)
        case _:
            return False


def _is_author(request: Request, author: str) -> bool:
    """The Space is of whoever has logged in, or of an organisation in which they may write."""
    info = request.scope.get("session", {}).get("oauth_info")
    try:
        user = info["userinfo"]
        if float(info["expires_at"]) < time.time():
            return False
        writes = [o for o in user.get("orgs") or () if o.get("roleInOrg") in ("admin", "write")]
        return any(who.get("preferred_username") == author for who in (user, *writes))
    except (TypeError, KeyError, AttributeError, ValueError):  # nobody, or nothing known
        return False
