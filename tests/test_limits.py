"""What one caller may take from the others: their time, and the disk."""

import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from audiollm.jobs import temporary
from audiollm.labels import Language
from audiollm.predictor import Predictor
from audiollm.settings import Owner, Settings
from audiollm.texts import text
from audiollm.web import Services, build_ui, failures, launch, launch_options, quota
from tests.browser.fake import FakePredictor

SLOW = 240.0  # s: another job may have the processor
SENT = {"data": ["data:;base64,AAAA", "en"]}


class Slow(FakePredictor):
    """Answers nobody, and notes that its work was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.ended = threading.Event(), threading.Event()

    def predict_files(self, _: Sequence[Path], *__: Any, progress: Any, **___: Any) -> Any:
        try:
            while True:
                self.began.set()
                progress(None)
                threading.Event().wait(0.01)
        finally:
            self.ended.set()


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def page(slow: Slow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """The page with an owner, whom nobody here is."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))
    model: Future[Predictor] = Future()
    model.set_result(cast(Predictor, slow))
    settings = Settings(home=tmp_path, port=0, max_bytes=1000, owner=Owner("ann", "correct horse"))
    services = Services(settings, model, active="tiny")
    demo = build_ui(services)
    address = launch(demo, launch_options(demo, settings))
    with httpx.Client(base_url=f"{address}gradio_api/", timeout=SLOW, trust_env=False) as client:
        yield client
    demo.close()


def test_a_call_whose_caller_hangs_up_ends(page: httpx.Client, slow: Slow) -> None:
    event = page.post("call/analyse", json=SENT).json()["event_id"]
    with page.stream("GET", f"call/analyse/{event}"):
        assert slow.began.wait(SLOW)
        assert not slow.ended.is_set()
    assert slow.ended.wait(SLOW)


def send(page: httpx.Client, size: int, **headers: str) -> int:
    return upload(page, size, **headers).status_code


def upload(page: httpx.Client, size: int, **headers: str) -> httpx.Response:
    files = {"files": (f"{size}.wav", bytes(size))}
    return page.post("upload", files=files, headers=headers)


def test_uploads_of_visitors_have_a_limit_together(page: httpx.Client, tmp_path: Path) -> None:
    codes = [send(page, size) for size in range(990, 1000)]
    assert codes[:6] == [200] * 6 and codes[-1] == 507
    used = sum(p.stat().st_size for p in (tmp_path / "files").rglob("*.wav"))
    assert used <= quota.TOTAL * 1000
    page.post("../owner/login", json={"name": "ann", "password": "correct horse"})
    assert send(page, 1000) == 200  # the owner's do not count
    shutil.rmtree(tmp_path / "files")
    (tmp_path / "files").mkdir()
    page.cookies.clear()
    assert send(page, 1000) == 200


def test_uploads_of_one_address_have_a_limit(page: httpx.Client) -> None:
    def sent(address: str, size: int) -> int:
        return send(page, size, **{"x-forwarded-for": address})  # of a proxy here

    codes = [sent("203.0.113.9", size) for size in range(990, 995)]
    assert codes[0] == 200 and codes[-1] == 507
    assert sent("203.0.113.10", 900) == 200


def test_sound_inside_calls_has_the_limits_of_uploads(
    page: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "SMALL", 100)

    def call(address: str, size: int = 700, **headers: str) -> int:
        body = {"data": [f"data:;base64,{'A' * size}", "en"]}
        sent = {"x-forwarded-for": address, **headers}
        return page.post("call/analyse", json=body, headers=sent).status_code

    codes = [call("203.0.113.9") for _ in range(6)]
    assert codes[0] == 200 and codes[-1] == 507
    assert call("203.0.113.9", 4) == 200  # it carries no recording
    pieces = (b"A" * 10 for _ in range(20))  # of no declared length
    assert not page.post("call/analyse", content=pieces).is_success
    others = [call(f"203.0.113.{number}") for number in range(10, 20)]
    assert others[0] == 200 and others[-1] == 507  # all together
    page.post("../owner/login", json={"name": "ann", "password": "correct horse"})
    assert call("203.0.113.9") == 200  # the owner's do not count


@pytest.mark.parametrize(("accept", "language"), [("zh-CN,en;q=0.5", "zh"), ("de", "en")])
def test_a_refusal_has_a_code_and_the_language_of_the_visitor(
    page: httpx.Client, accept: str, language: Language
) -> None:
    spoken = {"accept-language": accept}
    large = page.post("call/analyse", content=b"A" * 2_000_000, headers=spoken)
    answers = [upload(page, size, **spoken) for size in range(990, 1000)]
    for refusal, code in ((large, "quota_large"), (answers[-1], "quota_full")):
        assert refusal.headers[quota.CODE] == code
        assert refusal.text == text(code, language, mb="0")


def test_a_request_that_is_too_large_is_not_read(page: httpx.Client) -> None:
    large = {"data": ["data:;base64," + "A" * 2_000_000, "en"]}
    assert page.post("call/analyse", json=large).status_code == 413
    pieces = (b"A" * 1000 for _ in range(2000))
    assert not page.post("call/analyse", content=pieces).is_success


def test_what_arrived_of_an_upload_that_broke_off_goes(tmp_path: Path) -> None:
    (tmp_path / "hash").mkdir()
    for name in ("tmp1", "tmp2", "hash/voice.wav"):
        (tmp_path / name).write_bytes(b"a voice")
    os.utime(tmp_path / "tmp1", 2 * (time.time() - temporary.HOUR,))
    temporary.delete_partial(tmp_path)
    assert {p.name for p in tmp_path.rglob("*")} == {"tmp2", "hash", "voice.wav"}


MALFORMED: list[tuple[str, str, Any]] = [
    ("POST", "queue/join", {"data": [], "fn_index": 9999, "session_hash": "s"}),
    ("POST", "run/x", {"data": []}),
    ("POST", "call/v2/analyse", {"x": 1}),
    ("POST", "call/analyse", {"data": []}),
    ("GET", "queue/data?session_hash=nobody", None),
    ("GET", "call/analyse/nothing", None),
    ("GET", "../assets/" + "a" * 5000, None),
]


@pytest.mark.parametrize(("method", "path", "body"), MALFORMED, ids=lambda part: str(part)[:20])
def test_a_malformed_call_is_a_line_of_the_log(
    page: httpx.Client,
    method: str,
    path: str,
    body: Any,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with suppress(httpx.RemoteProtocolError):  # of a stream that had begun
        answer = page.request(method, path, json=body)
        if answer.is_success:
            answer = page.get(f"{path}/{answer.json()['event_id']}")
            assert "event: error" in answer.text
    page.get("startup-events")  # what was asked before is over
    lines = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    logged = [r for r in caplog.records if r.name != "httpx"]  # the client's own
    assert len(lines) + sum(r.getMessage().count("\n") + 1 for r in logged) <= 3
    assert not [r for r in caplog.records if r.exc_info]


def test_a_bug_of_ours_is_logged_whole(caplog: pytest.LogCaptureFixture) -> None:
    try:
        Settings.from_env({"AUDIOLLM_PORT": cast(Any, 7)})
    except AttributeError as error:
        failures.log("this", error)
    assert caplog.records[0].exc_info


def test_a_call_that_is_cancelled_ends(page: httpx.Client, slow: Slow) -> None:
    body = {**SENT, "session_hash": "s"}
    info = page.get("../config").json()["dependencies"]
    fn = next(each["id"] for each in info if each["api_name"] == "analyse")
    event = page.post("queue/join", json={**body, "fn_index": fn}).json()["event_id"]
    with page.stream("GET", "queue/data", params={"session_hash": "s"}) as lines:
        assert slow.began.wait(SLOW)
        cancelled = {"session_hash": "s", "fn_index": fn, "event_id": event}
        assert page.post("cancel", json=cancelled).is_success
        assert any("process_completed" in line for line in lines.iter_lines())
    assert slow.ended.wait(SLOW)
