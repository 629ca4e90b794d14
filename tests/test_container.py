"""The layout of docs/deployment/Dockerfile without a container engine: another user who may write
to the data folder alone, a root file system that is mounted read-only, no entry in /etc/passwd.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from gradio_client import Client, handle_file

from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.errors import ConfigError
from audiollm.settings import Settings
from tests import tiny
from tests.conftest import printed_address

ROOT = Path(__file__).parent.parent
FILE = ROOT / "docs" / "deployment" / "Dockerfile"
USER = 12345  # without an entry in /etc/passwd
CLIP = "assets/examples/13a01Fd.flac"
WAIT = 500.0  # s: another job may have the processor
INSIDE = Path("/mnt")  # where the container's folders are seen
# Two folders stay writable, all the rest of the disk is read-only
ENTER = f"""\
set -e
mount --make-rprivate /
mount --bind "$1" {INSIDE}
for name in data tmp; do mount --bind {INSIDE}/$name {INSIDE}/$name; done
mount -o remount,bind,ro {INSIDE}
mount -o remount,bind,ro /
cd {INSIDE}/app; shift
exec setpriv --reuid {USER} --regid 0 --clear-groups -- "$@"
"""


def instructions(word: str) -> list[list[str]]:
    """Words after every instruction of that name in the last stage of the Dockerfile."""
    text = FILE.read_text(encoding="utf-8").replace("\\\n", " ").split("\nFROM ")[-1]
    return [shlex.split(rest) for rest in re.findall(rf"^{word} (.*)$", text, re.MULTILINE)]


@dataclass
class Container:
    """`docker run --read-only --user USER:0`, as far as it goes without Docker."""

    place: Path  # with the folders app, data and tmp

    def environment(self) -> dict[str, str]:
        declared = dict(word.split("=", 1) for words in instructions("ENV") for word in words)
        moved = {k: v.replace("/data", f"{INSIDE}/data") for k, v in declared.items()}
        path = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": f"{INSIDE}/tmp"}  # noqa: S108
        return {**moved, **path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    @contextmanager
    def run(
        self, *words: str, env: dict[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", ENTER, "sh", str(self.place), *words],
            env=self.environment() if env is None else env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    if os.name != "posix" or os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("only root may become another user")
    place = tmp_path_factory.mktemp("container")
    place.chmod(0o755)
    for sources in instructions("COPY"):
        if not sources[0].startswith("--"):
            *names, target = sources
            for name in names:
                goal = place / target.strip("/")
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, goal, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    goal.mkdir(exist_ok=True)
                    shutil.copy(ROOT / name, goal)
    model = tiny.model_folder(place / "data", Settings(home=place, device="cpu"))
    manifest = model / MANIFEST_NAME
    manifest.write_text(manifest.read_text().replace(str(place), str(INSIDE)))
    (place / "tmp").mkdir()
    for path in (place / "tmp", place / "data", *(place / "data").rglob("*")):
        os.chown(path, USER, 0)
    found = Container(place)
    with found.run(sys.executable, "-c", "import torch; open('x', 'w')") as probe:
        _, errors = probe.communicate(timeout=WAIT)
    if "Read-only file system" not in errors:
        pytest.skip(f"no read-only root here: {errors[-200:]}")
    yield found
    shutil.rmtree(place, ignore_errors=True)


def left(container: Container) -> list[str]:
    """Temporary folders of this program and of numba that were not deleted."""
    names = (path.name for path in (container.place / "tmp").iterdir())
    return [name for name in names if name.startswith(("audiollm-", "numba-"))]


def test_the_image_is_not_root_s() -> None:
    assert instructions("USER")[-1] == ["10001:0"]
    assert instructions("VOLUME") == [["/data"]]
    ignored = FILE.with_name("Dockerfile.dockerignore").read_text("utf-8").split()
    taken = {words[0] for words in instructions("COPY") if words[0][:2] != "--"}
    assert {line[1:] for line in ignored if line[0] == "!"} >= taken


@pytest.mark.parametrize("status", [200, 503, None])
def test_the_health_check_asks_this_machine_whatever_the_proxy(status: int | None) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status or 200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    (command,) = re.findall(r"HEALTHCHECK .*\\\n +CMD (.*)$", FILE.read_text("utf-8"), re.MULTILINE)
    python, *rest = json.loads(command)
    assert python == "python"
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        if status is None:  # the program has ended
            server.shutdown()
            server.server_close()
        dead = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
        env = {**os.environ, **dead, "AUDIOLLM_PORT": str(server.server_port)}
        done = subprocess.run([sys.executable, *rest], env=env, timeout=WAIT, check=False)
        server.shutdown()
        thread.join()
    assert (done.returncode == 0) is (status == 200)


def test_the_home_may_be_set_where_a_user_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", lambda path: path if path.is_absolute() else nobody())
    assert Settings.from_env({"AUDIOLLM_HOME": "/data"}).home == Path("/data")
    for env in ({}, {"AUDIOLLM_HOME": "~/x"}):
        with pytest.raises(ConfigError) as caught:
            Settings.from_env(env)
        assert caught.value.code == "setting_home"


@pytest.mark.slow
@pytest.mark.parametrize("home", [None, pytest.param("/nonexistent", marks=pytest.mark.long)])
def test_the_command_line_without_a_home(container: Container, home: str | None) -> None:
    """The functionals need librosa, whose functions numba wants to cache somewhere."""
    env = container.environment()
    del env["HOME"]
    if home:
        env["HOME"] = home
    command = (sys.executable, "-m", "audiollm", CLIP, "--json")
    with container.run(*command, "--model", f"{INSIDE}/data/model", env=env) as process:
        shown, errors = process.communicate(timeout=WAIT)
    assert process.returncode == 0, errors[-2000:]
    assert json.loads(shown)["model"] == "test"
    assert left(container) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["app.py"],
        ["-m", "audiollm", CLIP],
        ["-m", "audiollm.deploy", "space", "app", "--dry-run"],
    ],
    ids=["page", "answer", "deploy"],
)
def test_no_writable_temporary_folder_is_one_sentence(
    container: Container, words: list[str]
) -> None:
    env = container.environment()
    del env["TMPDIR"]
    with container.run(sys.executable, *words, env=env) as process:
        _, errors = process.communicate(timeout=WAIT)
    refusal = str(ConfigError("setting_temporary"))
    assert (process.returncode, errors) in [(1, f"{refusal}\n"), (2, f"{refusal}\n")]


@pytest.mark.slow
@pytest.mark.parametrize("home", [True, pytest.param(False, marks=pytest.mark.long)])
def test_the_page_on_a_read_only_disk(container: Container, home: bool) -> None:
    found = re.findall(r"^CMD (.*)$", FILE.read_text(encoding="utf-8"), re.MULTILINE)
    python, *rest = json.loads(found[-1])
    assert python == "python"
    env = {**container.environment(), "AUDIOLLM_PORT": "0", "AUDIOLLM_HOST": "127.0.0.1"}
    if not home:
        del env["HOME"]
    with container.run(sys.executable, *rest, env=env) as process:
        address = printed_address(process)
        with httpx.Client(base_url=address, trust_env=False, timeout=WAIT) as client:
            assert client.get("healthz").status_code == httpx.codes.OK
            end = time.monotonic() + WAIT
            while client.get("readyz").status_code != httpx.codes.OK and time.monotonic() < end:
                time.sleep(0.1)
            assert client.get("readyz").status_code == httpx.codes.OK
        caller = Client(address, verbose=False, httpx_kwargs={"trust_env": False})
        answer = caller.predict(handle_file(str(ROOT / CLIP)), "en", api_name="/analyse")
        assert answer["model"] == "tiny"
        process.terminate()
        _, errors = process.communicate(timeout=WAIT)
    assert "Traceback" not in errors
    assert left(container) == []
