"""The page as people meet it: `app.py` in a process of its own, Chromium with a microphone.

With the bundled model where it is there, else with the model of `fake.py`.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import soundfile

from audiollm.jobs.job import ACTIVE
from audiollm.jobs.queue import Jobs
from audiollm.settings import ASSETS
from bench.served import chromium_path

if not os.environ.get("CI"):  # where everything must be there, its absence is an error
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HAS_MODEL = (ASSETS / "tiny" / "audiollm.json").is_file()
STARTUP, ANSWER = 240.0, 120_000  # s, ms: another job may have the processor
SWITCHES = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-ui-for-media-stream "
    "--use-fake-device-for-media-stream"
)

Visit = Callable[..., Page]
Profile = Callable[..., BrowserContext]


@pytest.fixture(scope="package")
def clip() -> Path:
    """A real voice, bundled."""
    return sorted((ASSETS / "emodb" / "audio").glob("*.flac"))[0]


@dataclass(frozen=True)
class Served:
    """A running page."""

    url: str
    process: int  # its id


@pytest.fixture(scope="package")
def server(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page that tests share."""
    with serve(clip, tmp_path_factory.mktemp("page"), fake=not HAS_MODEL) as served:
        yield served


@pytest.fixture(scope="package")
def address(server: Served) -> str:
    """Where the page is served."""
    return server.url


@pytest.fixture
def studio(clip: Path, tmp_path: Path) -> Iterator[Served]:
    """A page to train at: its home is `tmp_path / "home"`, and no training is left behind."""
    if not HAS_MODEL:
        pytest.skip("the bundled model is not there")
    with serve(clip, tmp_path, fake=False) as served:
        yield served
    end(Jobs(tmp_path / "home"))


def end(jobs: Jobs) -> None:
    """Whatever waits or runs."""
    for job in jobs.all():
        if job.state == "waiting":
            jobs.stop(job.id)
    for job in jobs.all():
        if job.state in ACTIVE:
            jobs.kill(job.id)


@pytest.fixture(scope="package")
def endless(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page with a model that never comes to the end of a recording."""
    folder = tmp_path_factory.mktemp("endless")
    with serve(clip, folder, fake=True, FAKE_BATCHES="10000", FAKE_PAUSE="0.7") as served:
        yield served.url


@contextlib.contextmanager
def serve(
    clip: Path, folder: Path, *, fake: bool, host: str = "127.0.0.1", port: int = 0, **more: str
) -> Iterator[Served]:
    """The page in a process of its own; `more` are environment variables, `folder` is its own;
    `port` 0: any that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        port = probe.getsockname()[1]
    shutil.copy(clip, folder / "clip.flac")
    entry = {"file": "clip.flac", "label": "angry", "zh": "示例录音", "en": "A sample"}
    (folder / "examples.json").write_text(json.dumps([entry]))
    program = ["-m", __package__ + ".fake"] if fake else ["app.py"]
    environment = {**os.environ, "FAKE_EXAMPLES": str(folder), "OMP_NUM_THREADS": "1"}
    environment |= {"AUDIOLLM_HOME": str(folder / "home"), **more}  # where clips are kept
    environment.pop("AUDIOLLM_MODEL", None)
    log = folder / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *program, "--host", host, "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://{host}:{port}"
    try:
        _wait(url, process, log)
        yield Served(url, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=STARTUP)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTUP
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            httpx.get(url, timeout=2, trust_env=False).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    pytest.fail(f"the page did not start:\n{log.read_text()}")


@pytest.fixture(scope="package")
def browser(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium whose microphone hears the clip, twice."""
    executable = chromium_path()
    if executable is None:
        message = "no chromium here: apt-get install chromium-headless-shell"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    voice, rate = soundfile.read(clip)
    heard = tmp_path_factory.mktemp("microphone") / "voice.wav"
    soundfile.write(heard, np.concatenate([voice, voice]), rate, subtype="PCM_16")
    switches = [*SWITCHES.split(), f"--use-file-for-fake-audio-capture={heard}%noloop"]
    with sync_playwright() as tool:
        started = tool.chromium.launch(executable_path=executable, args=switches)
        yield started
        started.close()


@pytest.fixture(scope="package")
def people(browser: Browser) -> Iterator[dict[str, BrowserContext]]:
    """One profile for each language, so that the browser parses the page's programs only once."""
    profiles = {
        locale: browser.new_context(locale=locale, permissions=["microphone"])
        for locale in ("en-US", "zh-CN")
    }
    yield profiles
    for profile in profiles.values():
        profile.close()


@pytest.fixture
def profile(browser: Browser) -> Iterator[Profile]:
    """Browser profiles of a test's own: `profile(color_scheme="dark")`."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        made.append(browser.new_context(locale="en-US", permissions=["microphone"], **options))
        return made[-1]

    yield make
    for context in made:
        context.close()


# Gradio's player says so when another recording takes its place while it loads
ABORTED = re.compile("WaveSurfer initial load error: AbortError")
# A document that is being left loses its connections, and Gradio reports each of them
LEAVING = """
addEventListener("beforeunload", () => {
  console.error = () => {};
  addEventListener("unhandledrejection", event => event.preventDefault());
}, true);
"""


@pytest.fixture
def visit(people: dict[str, BrowserContext], request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Open the page: `visit(locale="zh-CN", width=390, at="?lang=en")`, and wait until the model
    is loaded. `profile` is another browser profile than that of the language.

    At the end of the test nothing may have gone to another host, and unless `page.faults` was
    emptied, the browser may have reported no error.
    """
    opened: list[Page] = []

    def open_page(
        locale: str = "en-US",
        width: int = 1280,
        at: str = "",
        profile: BrowserContext | None = None,
    ) -> Page:
        # the page that tests share starts when somebody wants it
        url = at if at.startswith("http") else request.getfixturevalue("address") + at
        page = (profile or people[locale]).new_page()
        page.add_init_script(LEAVING)
        page.set_viewport_size({"width": width, "height": 900})
        page.set_default_timeout(ANSWER)
        faults: list[str] = []

        def note(message: str) -> None:
            if not ABORTED.search(message):
                faults.append(message)

        page.on("console", lambda m: note(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: note(str(e)))
        page.on("request", lambda r: faults.append(r.url) if _is_outside(r.url, url) else None)
        page.faults = faults  # type: ignore[attr-defined]
        opened.append(page)
        page.goto(url)
        known = "#about .about b"  # in a tab that may be hidden; the first page waits longest
        page.wait_for_selector(known, timeout=STARTUP * 1000, state="attached")
        page.wait_for_selector("#language input:enabled", state="attached")
        return page

    yield open_page
    for page in opened:
        page.close()
    assert [page.faults for page in opened if page.faults] == []  # type: ignore[attr-defined]


def _is_outside(url: str, page: str) -> bool:
    asked = urlsplit(url)
    return asked.scheme not in ("data", "blob", "about") and asked.netloc != urlsplit(page).netloc
