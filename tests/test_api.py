"""The endpoints for programs: alone, on `app.py` with the bundled model, and as an MCP server."""

import ast
import asyncio
import base64
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import gradio as gr
import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

import app
from audiollm.errors import AudioError, AudioLLMError, ConfigError, ModelError
from audiollm.labels import Language
from audiollm.predictor import Prediction, Predictor
from audiollm.settings import ASSETS, Settings
from audiollm.texts import text
from audiollm.web import Services, api, build_ui, launch_options
from audiollm.web.events import ANSWER
from tests.browser.fake import Card
from tests.conftest import RATE, printed_address

ROOT = Path(app.__file__).parent
GUIDE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
CLIP = ASSETS / "examples" / "13a01Fd.flac"  # of the guide
MARK = {"meta": {"_type": "gradio.FileData"}}  # what makes Gradio look at a path
SLOW = 240.0  # s: another job may have the processor
LONGEST, LARGEST = 20, 1_000_000  # s, bytes: the limits of the served app
HTTP = httpx.Client(timeout=SLOW, trust_env=False)
HAS_MODEL = (ASSETS / "tiny" / "audiollm.json").is_file()


def has_mcp() -> bool:
    try:
        return api.require_mcp()
    except ConfigError:
        return False


# --- alone


@dataclass
class FakePredictor:
    """Answers with the name of the file; `refuses` are names of files, `bug` is raised."""

    refuses: tuple[str, ...] = ()
    bug: Exception | None = None
    card: Card = field(default_factory=Card)
    heard: list[Path] = field(default_factory=list)
    same_speaker: bool = False

    def predict_files(
        self, paths: Sequence[Path], language: Language, same_speaker: bool = False, **_: Any
    ) -> Iterator[tuple[Path, Prediction | AudioLLMError]]:
        if self.bug:
            raise self.bug
        self.heard += paths
        self.same_speaker = same_speaker
        for path in paths:
            if path.name in self.refuses:
                yield path, AudioError(f"{path.name} is no good.")
            else:
                yield path, Prediction("sad", {"sad": 1.0}, path.name, language, "m", 1.0, None)


def served_by(predictor: FakePredictor | AudioLLMError) -> Services:
    model: Future[Predictor] = Future()
    if isinstance(predictor, AudioLLMError):
        model.set_exception(predictor)
    else:
        model.set_result(cast(Predictor, predictor))
    return Services(Settings(port=0), model)


def endpoint(services: Services, name: str) -> Callable[..., Any]:
    """What Gradio calls for an endpoint."""
    found = [f.fn for f in build_ui(services).fns.values() if f.api_name == name]
    assert len(found) == 1
    assert found[0]
    return found[0]


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of uploads, with a.wav and b.wav, beside a file that nobody uploaded."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    for name in ("a.wav", "b.wav"):
        (folder / name).write_bytes(b"sound")
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    return folder


def test_an_uploaded_file_is_found_by_path_and_by_address(uploads: Path) -> None:
    assert api.uploaded_path({"path": str(uploads / "a.wav")}) == uploads / "a.wav"
    spaced = uploads / "a b%20.wav"
    address = f"http://127.0.0.1:7860/gradio_api/file={uploads}/a%20b%2520.wav"
    assert api.uploaded_path(address) == spaced
    assert api.uploaded_path({"path": str(spaced)}) == spaced


@pytest.mark.parametrize(
    "file",
    [
        *("/etc/passwd", "README.md", "", None, 7, [], {}, {"path": None}, {"path": 7}),
        {"path": "/etc/passwd"},
        {"path": "/etc/passwd", **MARK},
        {"path": "README.md", "url": "{uploads}/a.wav"},
        {"path": "{uploads}/../secret.wav"},
        {"path": "{uploads}/link.wav"},
        {"path": "{uploads}\0"},
        "{uploads}/a.wav",
        "http://127.0.0.1/gradio_api/file=/etc/passwd",
        "http://127.0.0.1/gradio_api/file={uploads}/%2e%2e/secret.wav",
        *("file:///etc/passwd", "ftp://127.0.0.1/a.wav", "data:audio/wav;base64,@@"),
        "http://169.254.169.254/latest/meta-data",
        "https://example.org/a.wav",
    ],
    ids=str,
)
def test_nothing_else_is_opened(uploads: Path, file: Any) -> None:
    def here(value: Any) -> Any:
        return value.format(uploads=uploads) if isinstance(value, str) else value

    sent = {k: here(v) for k, v in file.items()} if isinstance(file, dict) else here(file)
    predictor = FakePredictor()
    with pytest.raises(AudioError, match=r"(?i)upload"):
        api.analyse(served_by(predictor), sent, "en")
    assert predictor.heard == []


def test_a_data_uri_is_heard_and_deleted() -> None:
    class Reader(FakePredictor):
        def predict_files(self, paths: Sequence[Path], *asked: Any, **more: Any) -> Any:
            assert [p.read_bytes() for p in paths] == [b"one", b"two"]
            return super().predict_files(paths, *asked, **more)

    predictor = Reader()
    sent = [f"data:;base64,{base64.b64encode(b).decode()}" for b in (b"one", b"two")]
    assert len(api.analyse_batch(served_by(predictor), sent, "en")) == 2
    assert not [p for p in predictor.heard if p.parent.exists()]


def test_a_data_uri_is_measured_before_it_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="1 MB"):
        api.save_data_uri("data:," + "A" * 2_000_000, tmp_path, 1_000_000)
    assert not list(tmp_path.iterdir())


def test_a_batch_keeps_its_order_and_drops_nothing(uploads: Path) -> None:
    a, b = ({"path": str(uploads / name)} for name in ("a.wav", "b.wav"))
    services = served_by(FakePredictor(refuses=("b.wav",)))
    answers = api.analyse_batch(services, [b, {"path": "/etc/passwd"}, a, b, a], "zh")
    assert [each.get("text") for each in answers] == [None, None, "a.wav", None, "a.wav"]
    assert answers[0] == answers[3] == {"error": "b.wav is no good."}
    assert list(answers[1]) == ["error"]
    assert answers[2]["language"] == "zh"
    assert api.analyse_batch(services, [], "en") == []


def test_a_batch_of_one_speaker_is_compared_with_itself(uploads: Path) -> None:
    sent, predictor = [{"path": str(uploads / "a.wav")}], FakePredictor()
    services = served_by(predictor)
    (answer,) = endpoint(services, "analyse_batch")(sent, "en")
    assert not predictor.same_speaker
    assert {"baseline_seconds", "baseline_emotion", "distance"} <= set(answer)
    assert "speech" not in answer  # features tell who speaks
    endpoint(services, "analyse_one_speaker")(sent, "en")
    assert predictor.same_speaker


def test_a_batch_is_bounded() -> None:
    services = served_by(FakePredictor())
    with pytest.raises(AudioError, match=r"65 files.*64"):
        api.analyse_batch(services, ["/etc/passwd"] * 65, "en")
    assert len(api.analyse_batch(services, ["/etc/passwd"] * 64, "en")) == 64
    with pytest.raises(AudioError, match="list"):
        api.analyse_batch(services, {"path": "x"}, "en")


def test_the_card_names_no_folder_of_this_machine() -> None:
    card = api.model(served_by(FakePredictor()))
    plain = {"name", "device", "parameters", "labels", "languages", "metrics"}
    assert set(card) == plain | {"probe", "questions", "baseline", "data_languages", "terms"}
    assert card["parameters"] == 5_230_000


@pytest.mark.parametrize("name", ["analyse", "analyse_batch"])
def test_a_failure_is_one_sentence(
    uploads: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    file: Any = {"path": str(uploads / "a.wav")}
    sent = file if name == "analyse" else [file]
    known = endpoint(served_by(FakePredictor(bug=ConfigError("Not taught 'fr'."))), name)
    with caplog.at_level(logging.ERROR, "audiollm.web.api"):
        with pytest.raises(gr.Error) as told:
            known(sent, "fr")
        assert told.value.message == "Not taught 'fr'."
        assert not caplog.records
        with pytest.raises(gr.Error) as told:
            endpoint(served_by(FakePredictor(bug=ZeroDivisionError("secret"))), name)(sent, "en")
    assert told.value.message == text("error_bug", "en")
    assert "secret" not in told.value.message
    assert [r.exc_info is not None for r in caplog.records] == [True]


def test_a_model_that_did_not_load_is_one_sentence() -> None:
    with pytest.raises(gr.Error) as told:
        endpoint(served_by(ModelError("No such model.")), "model")()
    assert told.value.message == "No such model."


def test_four_endpoints_are_public_and_wait_in_the_queue_of_the_page() -> None:
    listeners = list(build_ui(served_by(FakePredictor())).fns.values())
    public = {f.api_name: f for f in listeners if f.api_visibility != "private"}
    assert set(public) == {"analyse", "analyse_batch", "analyse_one_speaker", "model"}
    assert all(f.queue for f in public.values())
    for name in ("analyse", "analyse_batch", "analyse_one_speaker"):
        assert public[name].concurrency_id == ANSWER["concurrency_id"]
    for path, each in public.items():  # the guide has each endpoint, and its tool of MCP
        assert f"`/{path}`" in GUIDE and each.fn and f"`{each.fn.__name__}`" in GUIDE


# --- the option


def test_mcp_is_off_unless_asked_for() -> None:
    assert Settings.from_env({}).mcp is False
    assert Settings.from_env({"AUDIOLLM_MCP": "0"}).mcp is False
    assert Settings.from_env({"AUDIOLLM_MCP": "1"}).mcp is True
    with pytest.raises(ConfigError, match="AUDIOLLM_MCP must be"):
        Settings.from_env({"AUDIOLLM_MCP": "yes"})
    demo = build_ui(served_by(FakePredictor()))
    assert launch_options(demo, Settings())["mcp_server"] is False


@pytest.mark.parametrize("how", [["--mcp"], []])
def test_without_the_package_the_app_says_what_to_install(
    how: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setenv("AUDIOLLM_MCP", "0" if how else "1")
    monkeypatch.setitem(sys.modules, "mcp.server.sse", None)  # importing it fails, as if not here
    monkeypatch.setattr("signal.signal", lambda *_: None)
    start = Services.start
    monkeypatch.setattr(Services, "start", lambda s: start(s, lambda: cast(Any, FakePredictor())))
    with pytest.raises(SystemExit) as stopped:
        app.main([*how, "--port", "0"])
    assert 'pip install "gradio[mcp]"' in str(stopped.value.code)


# --- on the real app


@dataclass(frozen=True)
class Server:
    address: str  # http://127.0.0.1:N
    files: Path  # the app's temporary folder

    def ask(self, name: str, *data: Any) -> tuple[str, Any]:
        """Event (`complete` or `error`) and data, as curl gets them."""
        url = f"{self.address}/gradio_api/call/{name}"
        event = HTTP.post(url, json={"data": data}).raise_for_status().json()["event_id"]
        lines = HTTP.get(f"{url}/{event}").raise_for_status().text.splitlines()
        at = next(i for i, line in enumerate(lines) if line in ("event: complete", "event: error"))
        return lines[at][7:], json.loads(lines[at + 1][6:])

    def upload(self, content: bytes, name: str = "voice.wav") -> httpx.Response:
        files = {"files": (name, content)}
        return HTTP.post(f"{self.address}/gradio_api/upload", files=files)

    def kept(self) -> set[str]:
        return {p.name for p in self.files.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`app.py` with the bundled model and small limits; an MCP server where that is installed."""
    if not HAS_MODEL:
        pytest.skip("assets/tiny is not here")
    folder = tmp_path_factory.mktemp("app")
    limits = {"AUDIOLLM_MAX_SECONDS": str(LONGEST), "AUDIOLLM_MAX_BYTES": str(LARGEST)}
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", "0", "--device", "cpu"],
        cwd=ROOT,
        env={
            **{**os.environ, **limits, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"},
            **{"AUDIOLLM_MODEL": "tiny", "AUDIOLLM_MCP": str(int(has_mcp()))},
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    yield Server(printed_address(process).rstrip("/"), folder)
    process.terminate()
    process.communicate(timeout=SLOW)


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def test_python_examples_of_the_guide_run(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    code = "\n".join(examples("python"))
    assert "http://127.0.0.1:7860" in code
    names: dict[str, Any] = {}
    exec(code.replace("http://127.0.0.1:7860", server.address), names)  # noqa: S102
    answer, answers = names["answer"], names["answers"]
    assert set(answer) >= {
        *("label", "probabilities", "text", "analysis", "cues", "seconds", "model", "language"),
    }
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert answer["seconds"] == pytest.approx(soundfile.info(CLIP).duration, abs=1e-3)
    assert [a.get("language") for a in answers] == ["zh", None, "zh"]
    assert "README.md 不是音频文件" in answers[1]["error"]
    assert answers[0]["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-4)
    shown = capsys.readouterr().out
    assert shown.count("README.md is not a sound file") == 1  # alone, asked in English
    card = names["client"].predict(api_name="/model")
    assert card["name"] == "tiny"
    assert card["labels"] == list(answer["probabilities"])
    assert 0 < card["metrics"]["ua"]["value"] < 1


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_example_of_the_guide_runs(server: Server) -> None:
    (script,) = examples("bash")
    script = script.replace("http://127.0.0.1:7860", server.address)
    environment = {**os.environ, "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SLOW,
        check=True,
    )
    assert "event: complete" in done.stdout
    (line,) = [x for x in done.stdout.splitlines() if x.startswith("data: [")]
    (answer,) = json.loads(line[6:])
    assert answer["label"] in answer["probabilities"]
    assert answer["label"] in answer["text"]


@pytest.mark.parametrize("marked", [MARK, {}], ids=["marked", "unmarked"])
@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "README.md"), str(CLIP), "README.md"])
def test_a_path_on_the_server_is_refused(server: Server, path: str, marked: Any) -> None:
    """Also the clip: it could be heard, were it opened."""
    before = server.kept()
    for sent in ({"path": path, **marked}, {"path": path, "is_stream": True, **marked}, path):
        event, told = server.ask("analyse", sent, "en")
        assert event == "error"
        assert "upload" in told["error"].lower()  # Gradio's own words, or ours
        event, told = server.ask("analyse_batch", [sent], "en")
        (answer,) = told[0] if event == "complete" else [told]
        assert "label" not in answer
        assert "upload" in answer["error"].lower()
    assert server.kept() == before


def test_limits_of_length_and_size_hold(server: Server) -> None:
    long = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, (LONGEST + 1) * 8000)
    soundfile.write(long, noise, 8000, format="WAV", subtype="PCM_16")
    (path,) = server.upload(long.getvalue()).raise_for_status().json()
    event, told = server.ask("analyse", {"path": path, **MARK}, "en")
    assert event == "error"
    assert str(LONGEST) in told["error"]
    assert server.upload(bytes(LARGEST + 1)).status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    heavy = f"data:;base64,{base64.b64encode(bytes(LARGEST + 1)).decode()}"
    event, told = server.ask("analyse_batch", [heavy], "en")
    assert event == "complete"
    assert told[0][0]["error"] == text("api_too_large", "en", limit=1)


def test_refusals_reach_gradio_client_as_sentences(server: Server, tmp_path: Path) -> None:
    client = Client(server.address, verbose=False)
    soundfile.write(tmp_path / "silent.wav", np.zeros(2 * RATE), RATE)
    with pytest.raises(AppError, match="No speech detected"):
        client.predict(handle_file(tmp_path / "silent.wav"), api_name="/analyse")
    with pytest.raises(AppError, match="not trained in the language 'fr'"):
        client.predict(handle_file(CLIP), "fr", api_name="/analyse")
    with pytest.raises(AppError, match="65 files"):
        client.predict([handle_file(CLIP)] * 65, api_name="/analyse_batch")


def test_nothing_passes_the_queue_by_and_no_listener_of_the_page_has_a_name(
    server: Server,
) -> None:
    for name in ("analyse", "analyse_batch", "analyse_one_speaker", "model"):
        for way in ("api", "run"):
            url = f"{server.address}/gradio_api/{way}/{name}"
            assert HTTP.post(url, json={"data": []}).status_code == httpx.codes.NOT_FOUND
    named = HTTP.get(f"{server.address}/gradio_api/info").json()["named_endpoints"]
    assert set(named) == {"/analyse", "/analyse_batch", "/analyse_one_speaker", "/model"}


# --- as an MCP server

needs_mcp = pytest.mark.skipif(not has_mcp(), reason='needs: pip install "gradio[mcp]"')


def with_tools(server: Server, use: Callable[[Any], Any], query: str = "") -> Any:
    """What the coroutine of `use(session)` gives."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def connected() -> Any:
        url = f"{server.address}/gradio_api/mcp/{query}"
        async with (
            streamablehttp_client(url, timeout=SLOW, sse_read_timeout=SLOW) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await use(session)

    return asyncio.run(connected())


def call(server: Server, tool: str, arguments: dict[str, Any], query: str = "") -> tuple[bool, str]:
    """Whether a tool failed, and what it said."""
    told = with_tools(server, lambda session: session.call_tool(tool, arguments), query)
    return told.isError, told.content[0].text


@needs_mcp
def test_the_tools_are_the_endpoints_and_explain_themselves(server: Server) -> None:
    tools = {t.name: t for t in with_tools(server, lambda s: s.list_tools()).tools}
    assert set(tools) == {
        *("classify_emotion", "classify_emotions", "classify_one_speaker", "describe_model"),
    }
    assert "often wrong" in tools["classify_emotion"].description
    for name, file in (("classify_emotion", "file"), ("classify_emotions", "files")):
        asked = tools[name].inputSchema
        assert asked["required"] == [file]
        assert asked["properties"]["language"]["enum"] == ["en", "zh"]
        assert all(p["description"] for p in asked["properties"].values())


@needs_mcp
def test_tools_hear_uploads_and_data(server: Server) -> None:
    content = CLIP.read_bytes()
    (path,) = server.upload(content, "clip.flac").raise_for_status().json()
    address = f"{server.address}/gradio_api/file={path}"
    data = f"data:audio/flac;base64,{base64.b64encode(content).decode()}"
    answers = []
    for sent in (address, data):
        failed, told = call(server, "classify_emotion", {"file": sent, "language": "en"})
        assert not failed, told
        answers.append(ast.literal_eval(told))
    failed, told = call(server, "classify_emotions", {"files": [data, address, "/etc/passwd"]})
    assert not failed, told
    *heard, refused = ast.literal_eval(told)
    assert list(refused) == ["error"]
    assert {a["label"] for a in (*answers, *heard)} == {answers[0]["label"]}
    failed, told = call(server, "describe_model", {})
    assert ast.literal_eval(told)["name"] == "tiny"


@needs_mcp
@pytest.mark.parametrize("query", ["", "?tools=describe_model"])
def test_tools_open_no_file_of_the_server(server: Server, query: str) -> None:
    """Gradio's MCP server would upload a file for whoever sends a marked path that it lets in."""
    before = server.kept()
    for path in ("/etc/passwd", str(ROOT / "README.md"), str(CLIP)):
        for sent in (path, {"path": path, **MARK}):
            failed, _ = call(server, "classify_emotion", {"file": sent}, query)
            assert failed
            failed, told = call(server, "classify_emotions", {"files": [sent]}, query)
            assert failed or list(ast.literal_eval(told)[0]) == ["error"]
            failed, _ = call(server, "describe_model", {"file": sent}, query)
            assert failed
            language = {"file": "data:;base64,AA==", "language": sent}
            failed, _ = call(server, "classify_emotion", language, query)
            assert failed
    assert server.kept() == before
