"""The list of models that are on this machine."""

import logging
from pathlib import Path

import pytest

from audiollm.contracts.manifest import EncoderRef, Manifest, ProjectorConfig
from audiollm.contracts.options import to_json
from audiollm.model import registry
from audiollm.settings import Settings
from tests import tiny


def model(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    manifest = Manifest(name, EncoderRef("tiny", 8), ProjectorConfig(8, 8), tiny.CLASSES)
    (folder / "audiollm.json").write_text(to_json(manifest))
    (folder / "model.safetensors").write_bytes(bytes(1000))
    return folder


def test_models_are_found_once_where_they_are_made_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "ASSETS", tmp_path / "assets")
    model(tmp_path / "assets" / "tiny", "tiny")
    mine = model(tmp_path / "models" / "mine", "mine")
    kept = model(tmp_path / "home" / "models" / "kept", "kept")
    (tmp_path / "models" / "llm").mkdir()  # no Audio-LLM
    broken = model(tmp_path / "models" / "broken", "broken")
    (broken / "audiollm.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        found = registry.entries(Settings(home=tmp_path / "home", model=str(mine)))
    assert [e.id for e in found] == ["tiny", str(mine), str(kept)]
    assert [e.name for e in found] == ["tiny", "mine", "kept"]
    assert all(1000 < e.bytes < 3000 for e in found)
    assert str(broken.name) in caplog.text


def test_a_model_has_one_id_whatever_it_was_asked_by(tmp_path: Path) -> None:
    mine = model(tmp_path / "mine", "mine")
    assert registry.id_of(str(registry.ASSETS / "tiny")) == registry.id_of("tiny") == "tiny"
    assert registry.id_of(f"{mine}/../mine") == str(mine)
    assert registry.id_of("qwen2.5-0.5b") == "qwen2.5-0.5b"
