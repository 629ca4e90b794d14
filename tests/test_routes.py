"""Every address of the running page: those of routes.py are answered, no other one is."""

import re
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from audiollm.errors import ModelError
from audiollm.predictor import Predictor
from audiollm.settings import Settings, Space
from audiollm.web import Services, build_ui, launch_options, routes
from audiollm.web.headers import headers
from tests.browser.fake import FakePredictor

GONE = httpx.codes.NOT_FOUND
SHUT = {  # of Gradio, and used by no page of ours
    "/gradio_api/process_recording",
    "/gradio_api/component_server",
    "/gradio_api/custom_component/x/x/x/x",
    "/gradio_api/proxy=x",
    "/gradio_api/deep_link",
    "/gradio_api/dev/reload",
    "/gradio_api/runs",
    "/gradio_api/run-history/connect",
    "/gradio_api/stream/x",
    "/gradio_api/stream/x/x/x/playlist.m3u8",
    "/gradio_api/vibe-edit",
    "/gradio_api/vibe-code",
    "/monitoring",
    "/openapi.json",
    "/pwa_icon",
    "/login",
    "/logout",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    model: Future[Predictor] = Future()
    model.set_result(cast(Predictor, FakePredictor()))
    home: Path = tmp_path_factory.mktemp("home")
    services = Services(Settings(home=home, port=0), model, active="tiny")
    demo = build_ui(services)
    yield demo.launch(**launch_options(demo, services.settings))[0]
    demo.close()


def addresses(app: Any) -> list[tuple[str, str]]:
    """(method, path) of every route that the app has, each blank filled with an x."""
    found: list[tuple[str, str]] = []
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        found += addresses(inner) if inner else [(m, route.path) for m in _methods(route)]
    return [(method, re.sub(r"{[^}]*}", "x", path)) for method, path in found]


def _methods(route: Any) -> list[str]:
    return sorted(getattr(route, "methods", None) or ["GET", "POST"])


def test_gradio_s_other_addresses_do_not_exist(app: Any) -> None:
    known = addresses(app)
    assert len(known) > 40
    client = TestClient(app, base_url="http://127.0.0.1")
    gate = routes.AllowedRoutes(app, routes.allowed(Settings()))
    assert ("POST", "/gradio_api/process_recording") in known
    for method, path in known:
        short = path.rstrip("/") or "/"
        if short in SHUT:
            assert not gate.allows(method, short)
            assert client.request(method, path).status_code == GONE, path
        elif not gate.allows(method, short):
            # a new address of Gradio's, or another way of asking at one of ours
            assert client.request(method, path).status_code == GONE, path


def test_no_address_is_a_websocket(app: Any) -> None:
    client = TestClient(app, base_url="http://127.0.0.1")
    for path in {path for _, path in addresses(app)}:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(path):
            pytest.fail(path)


def test_a_websocket_that_gradio_may_add_is_shut() -> None:
    async def accept(socket: WebSocket) -> None:
        await socket.accept()

    added = Starlette(routes=[WebSocketRoute("/gradio_api/queue/join", accept)])
    gate = routes.AllowedRoutes(added, routes.allowed(Settings(mcp=True)))
    with TestClient(added).websocket_connect("/gradio_api/queue/join"):
        pass  # it would be answered
    with (
        pytest.raises(WebSocketDisconnect),
        TestClient(gate).websocket_connect("/gradio_api/queue/join"),
    ):
        pytest.fail("it is open")


def test_the_page_s_own_addresses_are_answered(app: Any) -> None:
    client = TestClient(app, base_url="http://127.0.0.1")
    for path in ("/", "/config", "/gradio_api/info", "/gradio_api/info/", "/theme.css", "/readyz"):
        assert client.get(path).status_code == httpx.codes.OK, path
    assert client.head("/").status_code == httpx.codes.OK
    files = {"files": ("a.wav", b"RIFF")}
    assert client.post("/gradio_api/upload", files=files).status_code == httpx.codes.OK
    files = {"video": ("x.mp4", b"#EXTM3U")}
    assert client.post("/gradio_api/process_recording", files=files).status_code == GONE
    assert client.post("/gradio_api//process_recording").status_code == GONE
    assert client.get("/gradio_api/../monitoring").status_code == GONE


def test_a_container_is_told_whether_the_model_answers() -> None:
    model: Future[Predictor] = Future()
    services = Services(Settings(), model)
    client = TestClient(Starlette(routes=routes.health(services)))

    def codes() -> list[int]:
        return [client.get(path).status_code for path in ("/healthz", "/readyz")]

    assert codes() == [httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE]  # it is being loaded
    model.set_result(cast(Predictor, FakePredictor()))
    assert codes() == [httpx.codes.OK, httpx.codes.OK]
    services.model = Future()
    services.model.set_exception(ModelError("error_load"))
    assert codes() == [httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE]


def test_no_other_site_may_frame_the_page(app: Any) -> None:
    client = TestClient(app, base_url="http://127.0.0.1")
    files = {"files": ("a.html", b"<script>")}
    (sent,) = client.post("/gradio_api/upload", files=files).json()
    for path in ("/", "/config", "/monitoring", f"/gradio_api/file={sent}"):
        found = client.get(path).headers
        assert found["content-security-policy"] == "frame-ancestors 'none'", path
        assert found["x-frame-options"] == "DENY"
        assert found["x-content-type-options"] == "nosniff"
        assert found["referrer-policy"] == "same-origin"
    assert "attachment" in client.get(f"/gradio_api/file={sent}").headers["content-disposition"]


def test_a_space_is_shown_in_the_frame_of_its_host() -> None:
    found = headers(Settings(space=Space("ann/app", "ann")))
    assert "https://huggingface.co" in found["Content-Security-Policy"]
    assert "X-Frame-Options" not in found


def test_every_allowed_address_exists(app: Any) -> None:
    """A list that names more than there is would hide what a new Gradio renames."""
    known = {(m, p.rstrip("/") or "/") for m, p in addresses(app)}
    for route in routes.allowed(Settings()):
        method, path = route.split(" ")
        assert (method, re.sub(r"{[^}]*}", "x", path)) in known, route


@pytest.mark.parametrize("settings", [Settings(), Settings(mcp=True)])
def test_the_mcp_addresses_are_there_where_they_are_wanted(settings: Settings) -> None:
    gate = routes.AllowedRoutes(cast(Any, None), routes.allowed(settings))
    assert gate.allows("POST", "/gradio_api/mcp/") == settings.mcp
    assert gate.allows("HEAD", "/gradio_api/info") and not gate.allows("PUT", "/")
