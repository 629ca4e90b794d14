"""Encoder folders: what is saved loads again, and nothing in a folder can run or mislead."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml

from audiollm import encoder
from audiollm.encoder import emotion2vec, emotion2vec_config
from audiollm.encoder.emotion2vec import Emotion2vecEncoder
from audiollm.errors import ModelError
from audiollm.settings import Settings
from tests.codes import coded
from tests.test_encoder import clips, make, small


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An encoder folder as FunASR publishes them, class head and all: config.yaml, model.pt."""
    conf = small()
    head = {"proj.weight": torch.randn(9, 32), "proj.bias": torch.zeros(9)}
    emotion2vec_config.write_conf(tmp_path, conf)
    torch.save(make(conf).network.state_dict() | head, tmp_path / "model.pt")
    return tmp_path


def load(folder: Path) -> Emotion2vecEncoder:
    found = encoder.load(str(folder), Settings())
    assert isinstance(found, Emotion2vecEncoder)
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_saved_encoder_gives_the_same_features(tmp_path: Path, dtype: torch.dtype) -> None:
    conf = small()
    made = make(conf)
    emotion2vec.save(made.network, conf, tmp_path, dtype)
    loaded = load(tmp_path)
    assert loaded.width == 32
    assert all(p.dtype == torch.float32 for p in loaded.network.parameters())
    assert not any(p.requires_grad for p in loaded.network.parameters())
    sounds = clips(1.0, 0.5)
    for a, b in zip(made.encode(sounds), loaded.encode(sounds), strict=True):
        assert np.abs(a.frames - b.frames).max() < (1e-6 if dtype == torch.float32 else 0.05)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert config["model"] == "Emotion2vec"
    assert config["model_conf"]["embed_dim"] == 32


def test_fingerprint_is_that_of_weights_and_configuration(folder: Path) -> None:
    first = load(folder)
    assert first.fingerprint == load(folder).fingerprint
    assert first.ref().fingerprint == first.fingerprint
    assert len(first.fingerprint) == 64
    changed = first.conf | {"layerdrop": 0.5, "encoder_dropout": 0.5}
    emotion2vec_config.write_conf(folder, changed)
    assert load(folder).fingerprint == first.fingerprint  # the same features
    emotion2vec_config.write_conf(folder, first.conf | {"normalize": False})
    assert load(folder).fingerprint != first.fingerprint


@pytest.mark.parametrize("nest", [None, "model", "state_dict", "model_state_dict"])
@pytest.mark.parametrize("scope", ["", "d2v_model.", "module.d2v_model."])
def test_checkpoints_of_funasr_load(folder: Path, nest: str | None, scope: str) -> None:
    state = torch.load(folder / "model.pt", weights_only=True)
    expected = load(folder).encode(clips(0.5))[0].frames
    state = {k if k.startswith("proj") else scope + k: v for k, v in state.items()}
    state["modality_encoders.AUDIO.decoder.blocks.0.0.weight"] = torch.zeros(3)
    state["_ema.x"] = torch.zeros(1)
    torch.save({nest: state, "epoch": 3} if nest else state, folder / "model.pt")
    assert np.array_equal(load(folder).encode(clips(0.5))[0].frames, expected)


def test_the_checkpoint_may_have_another_name(folder: Path) -> None:
    (folder / "model.pt").rename(folder / "emotion2vec_base.pt")
    assert load(folder).width == 32
    (folder / "emotion2vec_base.pt").rename(folder / "weights.bin")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load(folder)


def test_safetensors_are_preferred(folder: Path) -> None:
    state = torch.load(folder / "model.pt", weights_only=True)
    safetensors.torch.save_file(state, folder / "model.safetensors")
    (folder / "model.pt").write_bytes(b"not looked at")
    assert load(folder).width == 32


def test_the_class_head_of_a_published_encoder_is_passed_over(folder: Path) -> None:
    published = load(folder)
    state = torch.load(folder / "model.pt", weights_only=True)
    torch.save({k: v for k, v in state.items() if "proj." not in k[:5]}, folder / "model.pt")
    headless, sounds = load(folder), clips(0.5)
    assert np.array_equal(headless.encode(sounds)[0].frames, published.encode(sounds)[0].frames)
    assert not [n for n, _ in published.network.named_parameters() if n.startswith("proj")]
    state["proj.weight"] = torch.full((3, 1), torch.nan)  # not looked at
    torch.save(state, folder / "model.pt")
    assert load(folder).width == 32


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_checkpoint_with_code_is_refused_and_never_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.chdir(folder)
    state = torch.load(folder / "model.pt", weights_only=True) | {"evil": Evil()}
    if how == "torch":
        torch.save(state, folder / "model.pt")
    else:
        (folder / "model.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, check=coded("encoder_unsafe")) as caught:
        load(folder)
    assert not (folder / "executed").exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
@pytest.mark.parametrize("content", ["empty", "text", "cut"])
def test_damaged_weights_are_refused(folder: Path, name: str, content: str) -> None:
    state = torch.load(folder / "model.pt", weights_only=True)
    safetensors.torch.save_file(state, folder / "model.safetensors")
    whole = (folder / name).read_bytes()
    (folder / "model.safetensors").unlink()
    broken = {"empty": b"", "text": b"version https://git-lfs", "cut": whole[:5000]}[content]
    (folder / name).write_bytes(broken)
    with pytest.raises(ModelError, match="damaged"):
        load(folder)


def break_missing(state: dict[str, Any]) -> None:
    del state["blocks.0.norm1.weight"], state["blocks.1.norm1.weight"]


def break_unknown(state: dict[str, Any]) -> None:
    state["blocks.9.norm1.weight"] = torch.zeros(32)


def break_shape(state: dict[str, Any]) -> None:
    state["blocks.0.norm1.weight"] = torch.zeros(33)


def break_stretched(state: dict[str, Any]) -> None:  # 4 bytes that say they are 4 TB
    state["blocks.0.norm1.weight"] = torch.zeros(1, dtype=torch.half).expand(10**12)


def break_numbers(state: dict[str, Any]) -> None:
    state["blocks.0.norm1.weight"] = torch.full((32,), torch.nan)


def break_kind(state: dict[str, Any]) -> None:
    state["blocks.0.norm1.weight"] = torch.zeros(32, dtype=torch.int64)


@pytest.mark.parametrize(
    ("damage", "code", "name"),
    [
        (break_missing, "encoder_lacks", "blocks.0.norm1.weight"),
        (break_unknown, "encoder_unknown", "blocks.9.norm1.weight"),
        (break_shape, "encoder_shape", "blocks.0.norm1.weight"),
        (break_stretched, "encoder_shape", "blocks.0.norm1.weight"),
        (break_numbers, "encoder_not_finite", "blocks.0.norm1.weight"),
        (break_kind, "encoder_not_numbers", "blocks.0.norm1.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder: Path, damage: Any, code: str, name: str) -> None:
    state = torch.load(folder / "model.pt", weights_only=True)
    damage(state)
    torch.save(state, folder / "model.pt")
    with pytest.raises(ModelError, check=coded(code)) as caught:
        load(folder)
    assert caught.value.values["name"] == name
