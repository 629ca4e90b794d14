"""The page in a process of its own, for the benches that look at it."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

ROOT = Path(__file__).resolve().parents[1]
STARTUP = 180.0  # s
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@contextlib.contextmanager
def served(
    *arguments: str, program: Sequence[str] = ("app.py",), home: Path | None = None
) -> Iterator[str]:
    """Address of the page, as soon as it answers, run with the arguments on a free port.

    home: where it keeps what people label and train, instead of the usual folder.

    Raises:
        SystemExit: it stopped, or did not answer in time.
    """
    variables = {"AUDIOLLM_HOME": str(home)} if home else {}
    with running(*arguments, program=program, **variables) as (url, _):
        yield url


@contextlib.contextmanager
def running(
    *arguments: str, program: Sequence[str] = ("app.py",), **variables: str
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """As `served`, with variables of the environment; and the page's process, which may be killed.

    Raises:
        SystemExit: as `served`.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = ["--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, *program, *place, *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + STARTUP
    try:
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("The page did not start.")
            time.sleep(0.02)
        yield url, process
    finally:
        process.terminate()
        process.wait(timeout=STARTUP)


def chromium_path() -> str | None:
    """The browser; first its headless shell, which has no windows and computes less."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def chromium(tool: "Playwright", *switches: str) -> "Browser":
    """A browser, with further switches.

    Raises:
        SystemExit: it is not installed.
    """
    executable = chromium_path()
    if executable is None:
        raise SystemExit("There is no Chromium here: apt-get install chromium-headless-shell.")
    return tool.chromium.launch(executable_path=executable, args=[*SWITCHES, *switches])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
