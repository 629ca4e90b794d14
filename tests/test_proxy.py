"""The page behind a reverse proxy that takes a path off, as docs/deployment.md sets nginx up."""

import re
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import cast

import httpx
import pytest
import soundfile
from gradio_client import Client, handle_file

from audiollm.predictor import Predictor
from audiollm.settings import Owner, Settings
from audiollm.web import Services, build_ui, launch, launch_options
from audiollm.web.auth.sessions import COOKIE
from tests.conftest import RATE, voiced
from tests.test_api import FakePredictor

UNDER = "/emotion"
OWNER = Owner("ann", "correct horse battery")
SLOW = 240.0  # s: another job may have the processor
HOP = {"connection", "transfer-encoding", "keep-alive", "host"}  # headers of one connection


@contextmanager
def proxy(page: str) -> Iterator[str]:
    """Passes what comes below `UNDER` on to the page; its own address."""

    class Handler(BaseHTTPRequestHandler):
        def _pass(self) -> None:
            if not self.path.startswith(f"{UNDER}/"):
                self.send_error(404)
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
            headers |= {"Host": self.headers["Host"], "X-Forwarded-Host": self.headers["Host"]}
            headers |= {"X-Forwarded-Proto": "http", "X-Forwarded-For": self.client_address[0]}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            inside = page.rstrip("/") + self.path.removeprefix(UNDER)
            with (
                httpx.Client(timeout=SLOW, trust_env=False) as client,
                client.stream(self.command, inside, headers=headers, content=body) as answer,
            ):
                self.send_response(answer.status_code)
                for name, value in answer.headers.multi_items():
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.end_headers()
                for piece in answer.iter_raw():  # as it comes
                    self.wfile.write(piece)

        do_GET = do_POST = do_HEAD = _pass  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{UNDER}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    model: Future[Predictor] = Future()
    model.set_result(cast(Predictor, FakePredictor()))
    settings = Settings(home=tmp_path, port=0, owner=OWNER, root_path=UNDER)
    demo = build_ui(Services(settings, model, active="tiny"))
    launch(demo, launch_options(demo, settings))
    with proxy(f"http://127.0.0.1:{demo.server_port}") as address:
        yield address
    demo.close()


def test_the_page_is_whole_under_its_path(outside: str) -> None:
    with httpx.Client(base_url=outside, timeout=SLOW, trust_env=False) as client:
        assert client.get("config").json()["root"] == outside.rstrip("/")
        shown = client.get("")
        assert shown.is_success
        for path in set(re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', shown.text)):
            assert client.get(path).is_success, path
        assert client.get("healthz").is_success
        for path in ("monitoring", "gradio_api/process_recording", "..%2fconfig"):
            assert client.get(path).status_code == httpx.codes.NOT_FOUND


def test_a_program_is_answered(outside: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", voiced(1.0), RATE)
    client = Client(outside, httpx_kwargs={"trust_env": False}, verbose=False)
    assert client.predict(api_name="/model")["labels"]
    answer = client.predict(handle_file(str(tmp_path / "a.wav")), "en", api_name="/analyse")
    assert answer["text"] == "a.wav"  # uploaded, and heard


def test_the_owner_logs_in(outside: str) -> None:
    with httpx.Client(base_url=outside, timeout=SLOW, trust_env=False) as client:
        sent = {"name": OWNER.name, "password": OWNER.password}
        evil = client.post("owner/login", json=sent, headers={"origin": "https://evil.example"})
        assert evil.status_code == httpx.codes.FORBIDDEN
        origin = outside.removesuffix(f"{UNDER}/")
        entered = client.post("owner/login", json=sent, headers={"origin": origin})
        assert entered.json() == {"outcome": "in"} and client.cookies[COOKIE]
