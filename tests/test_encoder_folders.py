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

from audiollm import encoder, labels
from audiollm.encoder import emotion2vec, emotion2vec_config, emotion2vec_files
from audiollm.encoder.emotion2vec import Emotion2vecEncoder
from audiollm.errors import ModelError
from audiollm.settings import Settings
from tests.test_encoder import TOKENS, clips, make, small


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An encoder folder as FunASR publishes them: config.yaml, model.pt, tokens.txt."""
    conf = small()
    made = make(conf, TOKENS)
    emotion2vec_config.write_conf(tmp_path, conf)
    torch.save(made.network.state_dict(), tmp_path / "model.pt")
    (tmp_path / "tokens.txt").write_text("\n".join(TOKENS), encoding="utf-8")
    return tmp_path


def load(folder: Path) -> Emotion2vecEncoder:
    found = encoder.load(str(folder), Settings())
    assert isinstance(found, Emotion2vecEncoder)
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_saved_encoder_gives_the_same_features(tmp_path: Path, dtype: torch.dtype) -> None:
    conf = small()
    made = make(conf, ("angry", "sad", "bored"))
    emotion2vec.save(made.network, conf, made.classes, tmp_path, dtype)
    loaded = load(tmp_path)
    assert loaded.classes == ("angry", "sad", "bored")
    assert loaded.width == 32
    assert all(p.dtype == torch.float32 for p in loaded.network.parameters())
    assert not any(p.requires_grad for p in loaded.network.parameters())
    sounds = clips(1.0, 0.5)
    for a, b in zip(made.encode(sounds), loaded.encode(sounds), strict=True):
        assert np.abs(a.frames - b.frames).max() < (1e-6 if dtype == torch.float32 else 0.05)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert config["model"] == "Emotion2vec"
    assert config["model_conf"]["embed_dim"] == 32


def test_saving_checks_the_number_of_classes(tmp_path: Path) -> None:
    made = make(small(), ("angry", "sad"))
    with pytest.raises(ModelError, match="2 outputs, not 1"):
        emotion2vec.save(made.network, made.conf, ("angry",), tmp_path)


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
    assert load(folder).classes == ("angry", "happy", "neutral", "unknown")
    (folder / "emotion2vec_base.pt").rename(folder / "weights.bin")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load(folder)


def test_safetensors_are_preferred(folder: Path) -> None:
    state = torch.load(folder / "model.pt", weights_only=True)
    safetensors.torch.save_file(state, folder / "model.safetensors")
    (folder / "model.pt").write_bytes(b"not looked at")
    assert load(folder).width == 32


def test_an_encoder_without_head_has_no_probabilities(folder: Path) -> None:
    state = torch.load(folder / "model.pt", weights_only=True)
    torch.save({k: v for k, v in state.items() if "proj." not in k[:5]}, folder / "model.pt")
    headless = load(folder)
    assert headless.classes == ()
    assert headless.encode(clips(0.5))[0].probabilities is None


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
    with pytest.raises(ModelError, match="run code") as caught:
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
    ("damage", "message"),
    [
        (break_missing, r"lacks 2 weights, blocks\.0\.norm1\.weight first"),
        (break_unknown, r"holds the unknown 1 weight, blocks\.9\.norm1\.weight first"),
        (break_shape, r"another shape have 1 weight, blocks\.0"),
        (break_stretched, r"another shape have 1 weight, blocks\.0"),
        (break_numbers, "not finite"),
        (break_kind, "no plain tensor"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder: Path, damage: Any, message: str) -> None:
    state = torch.load(folder / "model.pt", weights_only=True)
    damage(state)
    torch.save(state, folder / "model.pt")
    with pytest.raises(ModelError, match=message):
        load(folder)


def test_tokens_must_fit_the_head(folder: Path) -> None:
    (folder / "tokens.txt").write_text("angry\nsad\n", encoding="utf-8")
    with pytest.raises(ModelError, match="5 class outputs but 2 class names"):
        load(folder)
    (folder / "tokens.txt").unlink()
    with pytest.raises(ModelError, match="5 class outputs but 0 class names"):
        load(folder)


def test_published_class_names_are_ours() -> None:
    published = "生气/angry 厌恶/disgusted 恐惧/fearful 开心/happy 中立/neutral 其他/other 难过/sad"
    names = emotion2vec_files.class_names([*published.split(), "吃惊/surprised", "<unk>"])
    assert names == tuple(emotion.name for emotion in labels.EMOTIONS[:9])
