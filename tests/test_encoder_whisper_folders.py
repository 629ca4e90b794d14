"""Whisper folders: the hub's and our own give the same encoder; nothing else is believed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from audiollm import encoder
from audiollm.encoder.whisper import WhisperEncoder
from audiollm.errors import ModelError
from audiollm.settings import ASSETS, Settings
from tests import tiny
from tests.codes import coded
from tests.test_encoder import clips

WEIGHTS = "model.safetensors"
WIDTH = tiny.WIDTH


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole Whisper as the hub has it."""
    return tiny.whisper_hub_folder(tmp_path / "hub")


def load(folder: Path, layers: tuple[int, ...] = (), statistics: Any = "") -> WhisperEncoder:
    found = encoder.load(str(folder), Settings(), layers=layers, statistics=statistics)
    assert isinstance(found, WhisperEncoder)
    return found


def change(path: Path, **values: Any) -> None:
    """Writes values into a JSON file; None takes one out."""
    data = json.loads(path.read_text()) | values
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))


def rename(folder: Path, scope: str) -> None:
    """The encoder's tensors alone, under another scope."""
    state = {
        scope + name.removeprefix("model.encoder."): tensor
        for name, tensor in load_file(folder / WEIGHTS).items()
        if name.startswith("model.encoder.")
    }
    save_file(state, folder / WEIGHTS)


# ---- what is read


@pytest.mark.parametrize("scope", ["", "encoder.", "model.encoder."])
def test_tensors_are_found_under_the_names_that_are_in_use(folder: Path, scope: str) -> None:
    expected = load(folder, (1, 2))
    rename(folder, scope)
    found = load(folder, (1, 2))
    assert found.fingerprint == expected.fingerprint
    (a,), (b,) = expected.encode(clips(0.5)), found.encode(clips(0.5))
    assert np.array_equal(a.frames, b.frames)


def test_only_what_is_needed_is_read(folder: Path) -> None:
    """Later layers, the decoder and stored positions may be anything."""
    expected = load(folder, (1, 2))
    state = load_file(folder / WEIGHTS)
    for name in state:
        if "decoder" in name or "layers.2" in name or "layers.3" in name or "positions" in name:
            state[name] = torch.full((1,), torch.nan)
    save_file(state, folder / WEIGHTS)
    found = load(folder, (1, 2))
    assert found.fingerprint == expected.fingerprint
    needed = ("conv1", "conv2", "layers.0", "layers.1")
    names = [name.removeprefix("model.encoder.") for name in state if ".encoder." in name]
    assert sorted(found.network.state_dict()) == sorted(n for n in names if n.startswith(needed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_saved_encoder_gives_the_same_features(
    folder: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    made = load(folder, (1, 3), "mean")
    made.save(tmp_path / "own", dtype)
    assert sorted(p.name for p in (tmp_path / "own").iterdir()) == ["config.json", WEIGHTS]
    found = load(tmp_path / "own")
    assert (found.layers, found.statistics, found.width) == ((1, 3), "mean", 2 * WIDTH)
    assert all(p.dtype == torch.float32 for p in found.network.parameters())
    assert not any(p.requires_grad for p in found.network.parameters())
    stored = load_file(tmp_path / "own" / WEIGHTS)
    assert {t.dtype for t in stored.values()} == {dtype}
    assert not any("layers.3." in name or "positions" in name for name in stored)
    (a,), (b,) = made.encode(clips(1.0)), found.encode(clips(1.0))
    assert np.abs(a.frames - b.frames).max() < (0.3 if dtype == torch.bfloat16 else 1e-6)


def test_the_layer_at_half_the_depth_is_taken_where_nothing_says_which(folder: Path) -> None:
    assert load(folder).layers == (2,)
    assert load(folder).statistics == "mean_std"
    change(folder / "config.json", audiollm_features={"layers": [3, 1]})
    assert load(folder).layers == (3, 1)


# ---- fingerprints


def test_a_front_is_the_same_encoder_as_the_first_layers_of_the_whole(
    folder: Path, tmp_path: Path
) -> None:
    whole = load(folder, (1, 2, 3))
    whole.save(tmp_path / "front", torch.float16)  # the weights fit into it
    front = load(tmp_path / "front")
    assert len(front.fingerprint) == 64
    assert front.fingerprint == whole.fingerprint == load(folder, (1, 2, 3)).fingerprint
    assert front.ref().fingerprint == front.fingerprint


def test_the_bundled_front_is_the_file_that_its_card_describes() -> None:
    place = ASSETS / "whisper-base-front"
    digest = hashlib.sha256((place / WEIGHTS).read_bytes()).hexdigest()
    card = (place / "README.md").read_text(encoding="utf-8")
    assert digest in card
    assert "MIT" in card
    assert "Copyright (c) 2022 OpenAI" in (place / "LICENSE").read_text(encoding="utf-8")


def test_other_layers_statistics_and_weights_are_another_encoder(
    folder: Path, tmp_path: Path
) -> None:
    other = tiny.whisper_hub_folder(tmp_path / "other", seed=8)
    heads = tiny.whisper_hub_folder(tmp_path / "heads", encoder_attention_heads=4)
    found = [
        load(folder, (1, 2, 3)),
        load(folder, (1, 3, 2)),
        load(folder, (1, 3)),
        load(folder, (3,)),
        load(folder, (1, 2)),
        load(folder, (1, 2, 3), "mean"),
        load(other, (1, 2, 3)),
        load(heads, (1, 2, 3)),
    ]
    assert len({each.fingerprint for each in found}) == len(found)


def test_statistics_are_part_of_an_emotion2vec_fingerprint(tmp_path: Path) -> None:
    place = str(tiny.encoder_folder(tmp_path))
    mean = encoder.load(place, Settings(), statistics="mean")
    both = encoder.load(place, Settings(), statistics="mean_std")
    assert mean.fingerprint == encoder.load(place, Settings()).fingerprint != both.fingerprint
    assert (both.ref().width, both.ref().utterance_width) == (WIDTH, 2 * WIDTH)
    (a,), (b,) = mean.encode(clips(1)), both.encode(clips(1))
    assert np.array_equal(a.utterance, b.utterance[:WIDTH])
    assert np.array_equal(b.utterance[WIDTH:], b.frames.std(0))
    with pytest.raises(ModelError, check=coded("encoder_no_layers")):
        encoder.load(place, Settings(), layers=(1,))


# ---- what is refused


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("d_model", 2**40),
        ("d_model", 0),
        ("d_model", 15),
        ("d_model", 16.0),
        ("d_model", "16"),
        ("d_model", None),
        ("encoder_layers", 10**9),
        ("encoder_layers", 0),
        ("encoder_layers", True),
        ("encoder_layers", [4]),
        ("encoder_attention_heads", 3),
        ("encoder_attention_heads", -2),
        ("encoder_ffn_dim", 10**12),
        ("num_mel_bins", 81),
        ("num_mel_bins", 80.0),
        ("max_source_positions", 10**9),
        ("max_source_positions", 100),
        ("activation_function", "relu"),
        ("activation_function", {"a": 1}),
        ("audiollm_features", [1]),
        ("audiollm_features", {"layers": "1"}),
        ("audiollm_features", {"layers": [9]}),
        ("audiollm_features", {"layers": [1, 1]}),
        ("audiollm_features", {"layers": [1], "statistics": "median"}),
        ("audiollm_features", {"layers": [1], "statistics": ["mean"]}),
    ],
)
def test_configuration_values_out_of_range_are_refused(folder: Path, name: str, value: Any) -> None:
    change(folder / "config.json", **{name: value})
    with pytest.raises(ModelError, check=coded("encoder_config_refused")) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_an_encoder_too_large_to_be_meant_is_refused(folder: Path) -> None:
    sizes = {"d_model": 4096, "encoder_ffn_dim": 16384, "encoder_layers": 64}
    change(folder / "config.json", **sizes)
    with pytest.raises(ModelError, match="billion parameters"):
        load(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "null", '{"model_type": "qwen2"}', "[" * 100_000, " " * 2_000_000]
)
def test_a_config_that_is_not_whispers_makes_no_encoder(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"it has no config\.yaml .*config\.json") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("sampling_rate", 8000), ("n_fft", 512), ("hop_length", 80), ("feature_size", 128)],
)
def test_another_spectrogram_is_refused(folder: Path, name: str, value: int) -> None:
    path = folder / "preprocessor_config.json"
    values = {"feature_size": 80, "sampling_rate": 16000, "n_fft": 400, "hop_length": 160}
    path.write_text(json.dumps(values | {"chunk_length": 30}))
    assert load(folder).width == WIDTH
    change(path, **{name: value})
    with pytest.raises(ModelError, match=rf"preprocessor_config\.json: {name} must be"):
        load(folder)


def break_missing(state: dict[str, Any]) -> None:
    for name in ("fc1.bias", "fc2.bias"):
        del state[f"model.encoder.layers.0.{name}"]


def break_shape(state: dict[str, Any]) -> None:
    state["model.encoder.conv2.bias"] = torch.zeros(17)


def break_numbers(state: dict[str, Any]) -> None:
    state["model.encoder.conv2.bias"] = torch.full((WIDTH,), torch.inf)


def break_kind(state: dict[str, Any]) -> None:
    state["model.encoder.conv2.bias"] = torch.zeros(WIDTH, dtype=torch.int32)


def break_twice(state: dict[str, Any]) -> None:
    state["conv1.weight"] = torch.zeros(1)


def break_all(state: dict[str, Any]) -> None:
    del state["model.encoder.conv1.weight"]


@pytest.mark.parametrize(
    ("damage", "code", "name"),
    [
        (break_missing, "encoder_lacks", "model.encoder.layers.0.fc1.bias"),
        (break_shape, "encoder_shape", "model.encoder.conv2.bias"),
        (break_numbers, "encoder_not_finite", "model.encoder.conv2.bias"),
        (break_kind, "encoder_not_numbers", "model.encoder.conv2.bias"),
        (break_twice, "encoder_several", None),
        (break_all, "encoder_none", None),
    ],
)
def test_weights_that_do_not_fit_are_named(
    folder: Path, damage: Any, code: str, name: str | None
) -> None:
    state = load_file(folder / WEIGHTS)
    damage(state)
    save_file(state, folder / WEIGHTS)
    with pytest.raises(ModelError, check=coded(code)) as caught:
        load(folder)
    assert caught.value.values.get("name") == name


@pytest.mark.parametrize("content", ["empty", "text", "cut"])
def test_damaged_weights_are_refused(folder: Path, content: str) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    broken = {"empty": b"", "text": b"version https://git-lfs", "cut": whole[:9000]}[content]
    (folder / WEIGHTS).write_bytes(broken)
    with pytest.raises(ModelError, match="damaged"):
        load(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_a_pickle_is_never_opened(folder: Path, name: str) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / name)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=r"it has no model\.safetensors"):
        load(folder)


def test_shards_are_refused_in_words(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(ModelError, match=r"it has no model\.safetensors"):
        load(folder)


def test_a_config_that_promises_more_layers_than_there_are_is_refused(folder: Path) -> None:
    change(folder / "config.json", encoder_layers=12)
    with pytest.raises(ModelError, match=r"lacks .* model\.encoder\.layers\.4"):
        load(folder, (5,))
