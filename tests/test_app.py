"""`app.py` as a program, and how the page is served."""

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import httpx
import pytest
from gradio import http_server
from gradio_client import Client

import app
from audiollm import web
from audiollm.errors import ConfigError
from audiollm.jobs import temporary
from audiollm.jobs.identity import identify
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from audiollm.texts import TEXTS
from audiollm.web import Services, build_ui, launch_options
from audiollm.web.events import MODEL
from audiollm.web.services import EXAMPLES
from tests.browser.fake import FakePredictor
from tests.conftest import printed_address

ROOT = Path(app.__file__).parent
SLOW = 120.0  # s: another job may have the processor
HTTP = httpx.Client(timeout=SLOW, trust_env=False)  # no proxy stands between us and ourselves


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """`app.main` run in this process must not change it for the tests that follow."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    handlers = {stop: signal.getsignal(stop) for stop in (signal.SIGINT, signal.SIGTERM)}
    yield
    for stop, handler in handlers.items():
        signal.signal(stop, handler)


@pytest.fixture
def services() -> Services:
    model: Future[Predictor] = Future()
    model.set_result(cast(Predictor, FakePredictor()))
    return Services(Settings(port=0), model)


@pytest.fixture
def demo(services: Services) -> web.Page:
    return build_ui(services)


@pytest.fixture
def address(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page served in this process, recordings swept every second and kept for one."""
    monkeypatch.setattr(web, "SWEEP", 1)
    monkeypatch.setattr(web, "KEEP", 1)
    demo = build_ui(services)
    yield demo.launch(**launch_options(demo, services.settings))[1]
    demo.close()


# --- the program


def test_app_is_short() -> None:
    assert len(Path(app.__file__).read_text().splitlines()) < 40


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        app.main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for option in ("--model", "--device", "--host", "--port"):
        assert option in shown


@pytest.mark.parametrize("arguments", [["--port", "99999"], ["--port", "x"]])
def test_refused_option_is_a_sentence(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        app.main(arguments)
    assert stopped.value.code not in (0, None)


@pytest.mark.parametrize("name", ["MAX_SECONDS", "MAX_BYTES", "PORT"])
@pytest.mark.parametrize("value", ["x", "nan", "inf", "1e999", "-1", "80.5", "512M"])
def test_a_number_that_cannot_be_one_is_refused(name: str, value: str) -> None:
    variable = f"AUDIOLLM_{name}"
    if (name, value) == ("MAX_SECONDS", "80.5"):
        assert Settings.from_env({variable: value}).max_seconds == 80.5
        return
    with pytest.raises(ConfigError) as refused:
        Settings.from_env({variable: value})
    assert refused.value.values["name"] == variable


@pytest.mark.slow
def test_taken_port_is_a_sentence_without_a_traceback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _start("--port", str(port), more={"LC_ALL": "zh_CN.UTF-8"})
        _, errors = done.communicate(timeout=SLOW)
    assert done.returncode == 1
    refusal = ConfigError("serve_taken", host="127.0.0.1", port=port)
    assert errors == refusal.in_language("zh") + "\n"


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1", "serve_taken"),
        ("192.0.2.1", "serve_address"),  # of another machine
        ("nowhere.invalid", "serve_address"),
        ("[2001:db8::1]", "serve_address"),
    ],
)
def test_an_address_where_nothing_can_listen_is_refused(
    demo: web.Page, services: Services, host: str, code: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        there = replace(services.settings, host=host, port=taken.getsockname()[1])
        with pytest.raises(ConfigError) as refused:
            web.launch(demo, launch_options(demo, there))
    assert refused.value.code == code


@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_the_page_is_served_at_an_ipv6_address(
    demo: web.Page, services: Services, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    monkeypatch.setattr(http_server, "LOCALHOST_NAME", host)  # as GRADIO_SERVER_NAME sets it
    there = replace(services.settings, host=host)
    address = web.launch(demo, launch_options(demo, there))
    assert HTTP.get(f"{address}healthz").is_success
    demo.close()


def test_a_machine_without_a_temporary_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise FileNotFoundError("No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    with pytest.raises(SystemExit) as stopped:
        app.main([])
    assert stopped.value.code == ConfigError("setting_temporary").in_language("zh")


@pytest.mark.slow
def test_stopped_program_leaves_no_recording(tmp_path: Path) -> None:
    process = _start("--port", "0", folder=tmp_path)
    address = printed_address(process)
    _upload(address, b"a voice")
    (folder,) = tmp_path.glob("audiollm-*")
    assert folder.stat().st_mode & 0o077 == 0  # other users of the machine cannot look in
    assert [p.read_bytes() for p in folder.rglob("*.wav")] == [b"a voice"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=SLOW)
    assert not folder.exists()


@pytest.mark.slow
def test_ctrl_c_while_it_starts_needs_no_traceback(tmp_path: Path) -> None:
    process = _start("--port", "0", folder=tmp_path)
    end = time.monotonic() + SLOW
    while not list(tmp_path.glob("audiollm-*")) and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=SLOW)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert list(tmp_path.glob("audiollm-*")) == []


@pytest.mark.slow
def test_recordings_of_a_killed_program_go_when_the_next_one_starts(tmp_path: Path) -> None:
    process = _start("--port", "0", folder=tmp_path)
    _upload(printed_address(process), b"a voice")
    process.kill()
    process.communicate(timeout=SLOW)
    assert len(list(tmp_path.rglob("*.wav"))) == 1
    temporary.sweep(tmp_path)
    assert list(tmp_path.glob("audiollm-*")) == []


def test_only_recordings_that_nobody_uses_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = identify(os.getpid())
    reused = replace(me, start="1")  # another process has this id now
    elsewhere = replace(me, scope="another boot")
    for name, owner in (("me", me), ("reused", reused), ("far", elsewhere), ("old", None)):
        files = tmp_path / f"audiollm-{name}" / "files"
        files.mkdir(parents=True)
        if owner:
            (files.parent / "process").write_text(str(owner))
        for age in (0, 2 * temporary.HOUR, -2 * temporary.HOUR):  # the clock was set back
            (files / f"{age:.0f}.wav").write_bytes(b"a voice")
            os.utime(files / f"{age:.0f}.wav", 2 * (time.time() - age,))
    (tmp_path / "other").mkdir()
    (tmp_path / "audiollm-link").symlink_to(tmp_path / "other")
    (tmp_path / "audiollm-bad").mkdir()
    (tmp_path / "audiollm-bad" / "process").write_text("x|y|z")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary.folder():
        left = sorted(f"{p.parts[-3]} {p.name}" for p in tmp_path.rglob("*.wav"))
    assert left == [
        f"audiollm-{name}"
        for name in ("far 0.wav", "me -7200.wav", "me 0.wav", "me 7200.wav", "old 0.wav")
    ]
    assert (tmp_path / "other").is_dir() and (tmp_path / "audiollm-bad").is_dir()


@pytest.mark.slow
def test_gradio_notes_the_private_folder_when_it_is_imported(tmp_path: Path) -> None:
    """A sound inside a call of its MCP server goes where the variable pointed at that time."""
    code = """
import app, sys
try:
    app.main(["--host", "192.0.2.1"])
except SystemExit:
    from gradio.route_utils import DEFAULT_TEMP_DIR as one
    from gradio_client.client import DEFAULT_TEMP_DIR as two
    print(one, two)
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("GRADIO_TEMP_DIR", None)
    command = [sys.executable, "-c", code]
    printed = subprocess.check_output(command, cwd=ROOT, env=environment, text=True, timeout=SLOW)
    assert all(path.startswith(f"{tmp_path}/audiollm-") for path in printed.split())


def config_of(**environment: str) -> tuple[str, dict[str, Any]]:
    """Address and configuration of the page where the program runs with these variables."""
    process = _start("--port", "0", more=environment)
    address = printed_address(process)
    try:
        return address, HTTP.get(f"{address}config").raise_for_status().json()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SLOW)


@pytest.mark.slow
@pytest.mark.parametrize(
    "proxy",
    [
        {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
        {"all_proxy": "socks5://127.0.0.1:9"},
        {"no_proxy": "::1/128,10.0.0.0/8", "http_proxy": "http://127.0.0.1:9"},
    ],
    ids=["dead", "socks", "no_proxy"],
)
def test_a_proxy_of_the_environment_is_not_for_this_machine(proxy: dict[str, str]) -> None:
    assert config_of(**proxy)[1]["title"] == "AudioLLM"


@pytest.mark.slow
def test_gradio_s_own_variables_count() -> None:
    address, config = config_of(GRADIO_SERVER_NAME="127.0.0.2", GRADIO_ROOT_PATH="/under")
    assert address.startswith("http://127.0.0.2:")
    assert config["root"] == f"{address}under"
    read = Settings.from_env
    theirs = {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "81"}  # noqa: S104
    assert (read(theirs).host, read(theirs).port) == ("0.0.0.0", 81)  # noqa: S104
    assert read(theirs).login == "shut"  # as for everybody who reaches it
    ours = {**theirs, "AUDIOLLM_HOST": "127.0.0.1", "AUDIOLLM_PORT": "82"}
    assert (read(ours).host, read(ours).port) == ("127.0.0.1", 82)
    with pytest.raises(ConfigError) as refused:
        read({"GRADIO_ROOT_PATH": "under"})
    assert refused.value.code == "setting_value"


def test_a_slow_machine_does_not_end_the_start(
    demo: web.Page, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_slow(*_: object, **__: object) -> None:
        raise httpx.ReadTimeout("3 s are over")

    late = SimpleNamespace(time=itertools.count(0, 60).__next__, sleep=time.sleep)
    monkeypatch.setattr(http_server, "time", late)  # a minute passes between two looks
    monkeypatch.setattr("gradio.networking.httpx.head", too_slow)
    address = web.launch(demo, launch_options(demo, services.settings))
    assert HTTP.get(address).is_success
    demo.close()


def test_a_session_holds_no_copy_of_the_page(demo: web.Page, services: Services) -> None:
    """Gradio makes one for each visitor, and keeps those of 10,000."""
    address = web.launch(demo, launch_options(demo, services.settings))
    client = Client(address, httpx_kwargs={"trust_env": False}, verbose=False)
    assert client.predict(api_name="/model")["labels"]
    (session,) = demo.state_holder.session_data.values()
    assert list(session.components) == []
    demo.close()


def test_files_that_were_handed_out_go_as_well(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    class Ends:
        def launch(self, **_: object) -> tuple[None, str]:
            made.append(Path(tempfile.mkdtemp(prefix="audiollm-labels-")))  # somebody exports
            return None, "http://127.0.0.1"

        def block_thread(self) -> None:
            assert made[0].is_dir()

    monkeypatch.setattr(Services, "start", lambda _: services)
    monkeypatch.setattr(web, "build_ui", lambda _: Ends())
    monkeypatch.setattr(
        web, "launch_options", lambda *_: {"server_name": "127.0.0.1", "server_port": 0}
    )
    app.main([])
    assert not made[0].exists()


def _start(
    *arguments: str, folder: Path | None = None, more: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(more or {})}
    if folder is not None:
        environment["TMPDIR"] = str(folder)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.browser.fake", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- how it is served


def _upload(address: str, content: bytes) -> None:
    files = {"files": ("voice.wav", content)}
    HTTP.post(f"{address}gradio_api/upload", files=files).raise_for_status()


def test_recordings_are_deleted(address: str, tmp_path: Path) -> None:
    _upload(address, b"a voice")
    assert len(list(tmp_path.rglob("voice.wav"))) == 1
    end = time.monotonic() + SLOW
    while list(tmp_path.rglob("voice.wav")) and time.monotonic() < end:
        time.sleep(0.2)
    assert not list(tmp_path.rglob("voice.wav"))


def test_recordings_are_promised_an_hour_at_most() -> None:
    assert web.SWEEP + web.KEEP <= 3600
    assert "within an hour" in TEXTS["kept"]["en"]


def test_files_of_the_machine_are_not_served(address: str) -> None:
    for path in ("/etc/hostname", str(ROOT / "pyproject.toml"), "../pyproject.toml"):
        assert HTTP.get(f"{address}gradio_api/file={path}").status_code in (403, 404)


def test_page_asks_no_other_host(address: str) -> None:
    shown = HTTP.get(address).text
    assert "fonts.googleapis.com" not in shown
    style = HTTP.get(f"{address}theme.css").text
    assert set(re.findall(r"https?://([^/'\"]+)", style)) <= {"www.w3.org"}  # a name, not a place


def test_programs_are_offered_their_endpoints_and_wait_in_the_queue_of_the_page(
    demo: web.Page,
) -> None:
    listeners = list(demo.fns.values())
    offered = {f.api_name for f in listeners if f.api_visibility != "private"}
    assert offered == {"analyse", "analyse_batch", "analyse_one_speaker", "model"}
    answering = [f for f in listeners if f.concurrency_id == "model"]
    assert answering
    assert {f.concurrency_limit for f in answering} == {MODEL["concurrency_limit"]}
    assert all(f.queue for f in answering)


def test_launch_options_keep_voices_private(demo: web.Page) -> None:
    options = launch_options(demo, Settings(max_bytes=1234))
    assert options["allowed_paths"] == [str(EXAMPLES)]
    assert options["max_file_size"] == 1234
    early = [each.kwargs.get("scripts", "") for each in options["app_kwargs"]["middleware"]]
    assert "window.audiollm =" not in options["head"]  # what the early scripts made would go
    assert '"most": 1234' in "".join(early)  # the browser says so before it sends a file
    assert options["run_history"] is False
    assert options["share"] is False
    assert options["show_error"] is True
    assert demo.analytics_enabled is False


def test_every_text_reaches_chinese_and_english_browsers(demo: web.Page) -> None:
    tables: dict[str, Any] = demo.texts.translations
    assert set(tables["en"]) == set(tables["zh-CN"]) == set(tables["zh-TW"])
    assert tables["zh-CN"]["audiollm_heading"] == TEXTS["heading"]["zh"]


def test_fonts_are_the_readers_own() -> None:
    fonts = [*web.theme()._font, *web.theme()._font_mono]
    assert not any(isinstance(f, gr.themes.GoogleFont | gr.themes.LocalFont) for f in fonts)


def test_no_event_reports_to_all_that_it_ever_changed(demo: web.Page) -> None:
    """Gradio would copy what stands inside them, at every tick of a clock."""
    changing = [
        each for each in demo.fns.values() if each.outputs and each.api_visibility != "public"
    ]
    assert len(changing) > 50
    assert [each.name for each in changing if each.show_progress_on is None] == []
