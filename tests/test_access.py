"""Who may do what on the page: at this machine, on a public host, with a login and without one."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from gradio.context import LocalContext
from gradio.route_utils import Request as GradioRequest
from starlette.requests import Request

from audiollm.settings import Settings
from audiollm.ui import visitors
from audiollm.ui.access import ShutError, opened
from audiollm.ui.services import Services

HERE, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104


def asked(**headers: str) -> Request:
    """A request with these headers, `_` for `-`."""
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw})


@pytest.fixture
def comes() -> Iterator[None]:
    """Whatever request a test sets is gone afterwards."""
    yield
    LocalContext.request.set(None)


def owned(host: str, request: Request | None) -> bool:
    LocalContext.request.set(GradioRequest(request) if request else None)
    services = Services(Settings(host=host), Future())
    if services.owned:
        assert opened(services) is services.settings
    else:
        with pytest.raises(ShutError):
            opened(services)
    return services.owned


@pytest.mark.usefixtures("comes")
@pytest.mark.parametrize("name", ["localhost:7860", "127.0.0.1:80", "127.9.0.1", "[::1]:7860"])
def test_whoever_sits_at_the_machine_owns_it(name: str) -> None:
    assert owned(HERE, asked(host=name, origin=f"http://{name}"))
    assert owned("localhost", asked(host=name, origin=f"http://{name}"))
    assert owned(HERE, asked(host=name))  # a program
    assert not owned(EVERYWHERE, asked(host=name))


@pytest.mark.usefixtures("comes")
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:7860", "origin": "http://evil.example:7860"},  # DNS rebinding
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
        {"host": "abc.gradio.live"},
        {"host": "192.168.0.7"},
        {"host": "localhost:7860", "x_forwarded_for": "203.0.113.9"},
        {"host": "localhost:7860", "forwarded": "for=203.0.113.9"},
        {"host": "localhost:7860", "origin": "https://evil.example"},
        {"host": "localhost:7860", "origin": "http://localhost:9999"},
        {"host": "localhost:7860", "origin": "null"},
        {"host": "localhost:7860", "sec_fetch_site": "cross-site"},
        {"host": "localhost:7860", "sec_fetch_site": "same-site"},
    ],
)
def test_whoever_comes_through_the_net_does_not(headers: dict[str, str]) -> None:
    assert not owned(HERE, asked(**headers))


def test_a_program_without_an_event_is_at_the_machine() -> None:
    assert visitors.asking() is None
    assert owned(HERE, None)
    assert not owned(EVERYWHERE, None)
    assert not owned("example.org", None)
