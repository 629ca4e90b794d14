"""Presets and models from a hub, with the hubs' own clients, from a server on this machine."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from audiollm import encoder, hub
from audiollm.audio import from_array
from audiollm.errors import ModelError
from audiollm.hub.clients import Report
from audiollm.labels import LANGUAGES
from audiollm.model.llm import load_llm
from audiollm.model.loading import Came, Loading
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from audiollm.web import render
from tests import hub_server, tiny
from tests.conftest import RATE, voiced
from tests.hub_server import Hub

ROOT = Path(__file__).parent.parent
LARGE = 5 * hub_server.LARGE
LLM = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
WHISPER = {"config.json": b'{"model_type": "whisper"}', "preprocessor_config.json": b"{}"}
REFUSED = {"README.md": b"#", "run.py": b"1", "pytorch_model.bin": b"x", "model.onnx": b"x"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def files_of(kind: str) -> dict[str, bytes]:
    if kind == "emotion2vec":
        return {"config.yaml": b"model: x", "model.pt": b"w" * LARGE, "tokens.txt": b"x"}
    if kind == "whisper":
        return {**WHISPER, "model.safetensors": b"w" * LARGE}
    small = dict.fromkeys(LLM, b"{}") | {"merges.txt": b"#", "vocab.json": b"{}"}
    if kind == "llm in two files":
        parts = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
        index = {"weight_map": {f"w{i}": part for i, part in enumerate(parts)}}
        named = {name: bytes([i]) * LARGE for i, name in enumerate(parts)}
        return {**small, **named, "model.safetensors.index.json": json.dumps(index).encode()}
    return {**small, "model.safetensors": b"w" * LARGE}


PRESETS = [
    ("qwen2.5-0.5b", "llm", "Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct"),
    ("qwen2.5-3b", "llm in two files", "Qwen/Qwen2.5-3B-Instruct", "Qwen/Qwen2.5-3B-Instruct"),
    *(
        (name, "emotion2vec", f"emotion2vec/{name}", f"iic/{name}")
        for name in ("emotion2vec_plus_base", "emotion2vec_plus_large")
    ),
    ("whisper-base", "whisper", "openai/whisper-base", "openai-mirror/whisper-base"),
]


def located(name: str, kind: str, settings: Settings, report: Report | None = None) -> Path:
    if kind.startswith("llm"):
        return hub.locate(name, settings, report=report)
    return hub.locate(name, settings, files=hub.ENCODER_FILES, kind="encoder", report=report)


@pytest.mark.parametrize("site", ["huggingface", "modelscope"])
@pytest.mark.parametrize(("name", "kind", "face", "scope"), PRESETS)
def test_a_preset_is_fetched_once(
    remote: Hub, settings: Settings, name: str, kind: str, face: str, scope: str, site: str
) -> None:
    """From the repository of its name, its own files only, with progress; broken downloads go on
    where they stopped; afterwards no network is needed."""
    if site == "modelscope":
        pytest.importorskip("modelscope")
    settings = replace(settings, hub=site)
    wanted = files_of(kind)
    remote.add(face if site == "huggingface" else scope, {**wanted, **REFUSED})
    remote.breaks = 1
    told: list[tuple[int, int]] = []
    folder = located(name, kind, settings, lambda *now: told.append(now))
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    here, whole = told[-1]
    assert here == whole and 0 <= size - whole < 20  # files of the same content are fetched once
    assert 0 <= told[0][0] < whole
    assert told == sorted(told)  # nothing is counted twice, though one broke off
    for path, content in wanted.items():
        if path != "tokens.txt":
            assert (folder / path).read_bytes() == content
    assert not any((folder / path).exists() for path in REFUSED if path != "README.md")
    assert remote.breaks == 0 and remote.ranges  # it broke off, and was resumed
    assert {LARGE // 2} == set(remote.ranges)
    found = hub.here(name, settings, kind="llm" if kind.startswith("llm") else "encoder")
    assert found == (folder if site == "huggingface" else None)
    before = len(remote.requests)
    remote.repositories.clear()
    told.clear()
    assert located(name, kind, settings, lambda *now: told.append(now)) == folder
    assert len(remote.requests) == before and told == []


ENCODERS = [
    ("whisper-base", "openai/whisper-base", "openai-mirror/whisper-base", tiny.whisper_hub_folder),
    (
        "emotion2vec_plus_base",
        "emotion2vec/emotion2vec_plus_base",
        "iic/emotion2vec_plus_base",
        tiny.encoder_folder,
    ),
]


@pytest.mark.parametrize("site", ["huggingface", "modelscope"])
@pytest.mark.parametrize(("preset", "face", "scope", "make"), ENCODERS)
def test_a_model_and_its_encoder_are_fetched_and_answer(
    remote: Hub,
    settings: Settings,
    tmp_path: Path,
    preset: str,
    face: str,
    scope: str,
    make: Callable[[Path], Path],
    site: str,
) -> None:
    """Real weights, though few: of a Qwen2 with its projector, and of an encoder's preset."""
    if site == "modelscope":
        pytest.importorskip("modelscope")
    settings = replace(settings, hub=site, device="cpu")
    made = make(tmp_path / "made")
    remote.add(face if site == "huggingface" else scope, content(made))
    heard = encoder.load(preset, settings)
    folder = tiny.model_folder(tmp_path, settings, heard=heard)
    remote.add("ann/mine", content(folder))
    for cache in ("cache", "scope"):
        shutil.rmtree(tmp_path / cache, ignore_errors=True)
    remote.breaks = 2
    loading = Loading.of("ann/mine", settings)
    assert loading.came().share is None
    told: list[Came] = []

    def fetch(here: int, whole: int) -> None:
        loading.fetch(here, whole)
        told.append(loading.came())

    sound = from_array(voiced(1.0, 150), RATE)
    first = Predictor.load("ann/mine", settings, loading.begin, fetch).predict([sound])[0]
    assert remote.breaks == 0 and len(remote.ranges) >= 2
    fetched = [came for came in told if came.fetched]
    assert list(dict.fromkeys(came.step for came in fetched)) == ["llm", "encoder"]
    for language in LANGUAGES:
        shown = render.loading(fetched[0], language)
        assert "MB" in shown and "value=" in shown
    before = len(remote.requests)
    remote.repositories.clear()
    again = Predictor.load("ann/mine", settings).predict([sound])[0]
    assert again.probabilities == first.probabilities
    assert len(remote.requests) == before


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("site", ["huggingface", "modelscope"])
def test_the_preset_of_an_llm_is_fetched_and_computes(
    remote: Hub, settings: Settings, tmp_path: Path, site: str
) -> None:
    if site == "modelscope":
        pytest.importorskip("modelscope")
    made = tiny.llm(seed=2)
    made.save_pretrained(tmp_path / "made")
    tiny.tokenizer().save_pretrained(tmp_path / "made")
    remote.add("Qwen/Qwen2.5-0.5B-Instruct", content(tmp_path / "made"))
    llm, tokenizer = load_llm("qwen2.5-0.5b", replace(settings, hub=site))
    ids = torch.tensor([tokenizer("angry happy").input_ids])
    with torch.inference_mode():
        assert torch.equal(llm(ids).logits, made(ids).logits)


@pytest.mark.parametrize("site", ["huggingface", "modelscope"])
def test_what_a_killed_download_left_is_completed(
    remote: Hub, settings: Settings, monkeypatch: pytest.MonkeyPatch, site: str
) -> None:
    """Weights in two files, of which the first alone has arrived."""
    if site == "modelscope":
        pytest.importorskip("modelscope")
    settings = replace(settings, hub=site)
    id, wanted = "Qwen/Qwen2.5-3B-Instruct", files_of("llm in two files")
    remote.add(id, wanted)
    folder = hub.locate("qwen2.5-3b", settings)
    second = folder / "model-00002-of-00002.safetensors"
    second.resolve().unlink()
    second.unlink(missing_ok=True)
    assert hub.locate("qwen2.5-3b", settings) == folder
    assert second.read_bytes() == wanted[second.name]


def test_an_incomplete_folder_of_weights_is_not_taken(settings: Settings, remote: Hub) -> None:
    """As `hf download --local-dir` leaves it."""
    folder = settings.home / "models" / "Qwen2.5-3B-Instruct"
    folder.mkdir(parents=True)
    for path, content in files_of("llm in two files").items():
        if "00002-of" not in path:
            (folder / path).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        hub.locate(str(folder), settings)
    assert caught.value.values["missing"] == "model-00002-of-00002.safetensors"
    with pytest.raises(ModelError):
        hub.locate("Qwen/Qwen2.5-3B-Instruct", settings)  # and there is none on the hub


@pytest.mark.slow
@pytest.mark.parametrize(
    ("site", "name"), [("huggingface", "HF_ENDPOINT"), ("modelscope", "MODELSCOPE_ENDPOINT")]
)
def test_the_address_of_a_mirror_in_the_environment_counts(
    remote: Hub, tmp_path: Path, site: str, name: str
) -> None:
    if site == "modelscope":
        pytest.importorskip("modelscope")
    remote.add("ann/mine", files_of("llm"))
    code = (
        "from audiollm import hub; from audiollm.settings import Settings\n"
        "print(hub.locate('ann/mine', Settings.from_env()))"
    )
    others = {key: value for key, value in os.environ.items() if not key.endswith("_ENDPOINT")}
    caches = {"HF_HOME": str(tmp_path / "hf"), "MODELSCOPE_CACHE": str(tmp_path / "ms")}
    ours = {"AUDIOLLM_HOME": str(tmp_path / "home"), "AUDIOLLM_HUB": site, "HF_HUB_OFFLINE": "0"}
    printed = subprocess.check_output(
        [sys.executable, "-c", code],
        env={**others, **caches, **ours, name: remote.address, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        text=True,
    )
    folder = Path(printed.strip().splitlines()[-1])
    assert (folder / "model.safetensors").read_bytes() == files_of("llm")["model.safetensors"]
    assert folder.is_relative_to(tmp_path)


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_a_hub_behind_a_proxy_of_the_environment_answers(
    remote: Hub, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Directly there is no such host."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert hub._unreachable("http://hub.invalid")
    monkeypatch.setenv(variable, remote.address)
    assert hub._unreachable("http://hub.invalid") == ""
    assert [(method, path) for method, path, _ in remote.requests] == [
        ("HEAD", "http://hub.invalid/")
    ]


@pytest.mark.parametrize(
    "proxy",
    [
        {"all_proxy": "socks5://127.0.0.1:9"},
        {"all_proxy": "nonsense"},
        {"http_proxy": "http://127.0.0.1:9", "no_proxy": "::1/128"},
    ],
    ids=str,
)
def test_a_proxy_that_cannot_be_used_is_a_reason(
    proxy: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in proxy.items():
        monkeypatch.setenv(name, value)
    reason = hub._unreachable("http://hub.invalid")
    assert isinstance(reason, ModelError) and reason.code == "hub_no_connection"


@pytest.mark.parametrize("site", ["huggingface", "modelscope"])
def test_a_revision_is_pinned(remote: Hub, settings: Settings, site: str) -> None:
    if site == "modelscope":
        pytest.importorskip("modelscope")
    settings = replace(settings, hub=site)
    first = remote.add("ann/mine", files_of("llm"))
    second = remote.add("ann/mine", {**files_of("llm"), "merges.txt": b"new"})
    home = settings.home / "models" / "mine"
    home.mkdir(parents=True)
    for path, content in files_of("llm").items():
        (home / path).write_bytes(content)
    for revision, expected in ((first, b"#"), (second, b"new"), ("main", b"new")):
        if revision == "main" and site == "modelscope":
            revision = "master"  # noqa: PLW2901
        folder = hub.locate(f"ann/mine@{revision}", settings)
        assert (folder / "merges.txt").read_bytes() == expected
        assert folder != home.resolve()
    if site == "huggingface":
        assert hub.here(f"ann/mine@{first}", settings) == hub.locate(f"ann/mine@{first}", settings)
    assert hub.locate("ann/mine", settings) == home.resolve()
    with pytest.raises(ModelError) as caught:
        hub.locate(f"ann/mine@{'0' * 40}", settings)
    assert caught.value.code == "hub_not_downloaded"
    assert f"--revision {'0' * 40}" in str(caught.value)


@pytest.mark.parametrize("id", ["ann/mine@", "ann/mine@../x", "@main", "ann/mine@a b"])
def test_what_is_no_revision_is_no_model(remote: Hub, settings: Settings, id: str) -> None:
    with pytest.raises(ModelError):
        hub.locate(id, settings)
    assert remote.requests == []
