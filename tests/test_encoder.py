"""The encoder: batched equals one by one, configurations never run, funasr comes late."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from audiollm.encoder import base, emotion2vec, emotion2vec_config
from audiollm.encoder.emotion2vec import Emotion2vecEncoder
from audiollm.encoder.emotion2vec_spec import frame_count, parse_spec, receptive_field
from audiollm.errors import ModelError, NoSpeechError

CONV = ((16, 10, 5), (16, 3, 2), (16, 3, 2), (16, 3, 2), (16, 3, 2), (16, 2, 2), (16, 2, 2))


def small(**options: Any) -> dict[str, Any]:
    return emotion2vec.small_conf(32, 2, 1, 2, conv_layers=CONV, **options)


def make(conf: dict[str, Any], seed: int = 0) -> Emotion2vecEncoder:
    torch.manual_seed(seed)
    network = emotion2vec.build_network(conf)
    with torch.no_grad():  # freshly built norms are the identity, which would hide mistakes
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return Emotion2vecEncoder(network, conf, "test")


def clips(*seconds: float, seed: int = 0) -> list[np.ndarray]:
    """Noise of changing loudness with an offset, so that normalisation matters."""
    rng = np.random.default_rng(seed)
    return [
        (rng.standard_normal(int(s * 16000)) * rng.uniform(0.01, 0.3) + 0.02).astype(np.float32)
        for s in seconds
    ]


def alone(network: Any, clip: np.ndarray) -> np.ndarray:
    """FunASR's own frames of one clip, as its `inference` computes them."""
    wave = torch.from_numpy(clip)
    with torch.no_grad():
        x: Tensor = network.extract_features(F.layer_norm(wave, wave.shape)[None])["x"][0]
    return x.numpy()


# ---- batched equals one by one


@pytest.mark.parametrize("layer_norm_first", [False, True])
@pytest.mark.parametrize(
    "audio",
    [
        {},
        {"extractor_mode": "default"},
        {"conv_pos_pre_ln": True, "num_extra_tokens": 0, "conv_pos_width": 40},  # even kernel 8
        {"learned_alibi_scale_per_layer": True},
        {"use_alibi_encoder": False},
    ],
    ids=["base", "group-norm", "pre-norm", "scale-per-layer", "no-alibi"],
)
def test_batched_frames_are_those_of_funasr_alone(
    layer_norm_first: bool, audio: dict[str, Any]
) -> None:
    conf = small(layer_norm_first=layer_norm_first)
    conf["modalities"]["audio"].update(audio)
    made = make(conf)
    sounds = clips(3, 0.3, 4.9, 1.234, 0.7, 12)
    together = made.encode(sounds, batch_seconds=100)
    for sound, encoded in zip(sounds, together, strict=True):
        expected = alone(made.network, sound)
        assert encoded.frames.shape == expected.shape
        assert np.abs(encoded.frames - expected).max() < 1e-4
        assert np.abs(encoded.utterance - expected.mean(0)).max() < 1e-4


def test_naive_padding_would_not_be_equal() -> None:
    """The test above can fail: FunASR's own padding mask gives other frames."""
    made = make(small())
    long, short = (torch.from_numpy(c) for c in clips(2, 1))
    waves = torch.nn.utils.rnn.pad_sequence([long, short], batch_first=True)
    mask = torch.arange(waves.size(1)) >= torch.tensor([[len(long)], [len(short)]])
    network: Any = made.network
    with torch.no_grad():
        x = network.extract_features(F.layer_norm(waves, waves.shape[1:]), padding_mask=mask)["x"]
    expected = alone(made.network, short.numpy())
    assert np.abs(x[1, : len(expected)].numpy() - expected).max() > 1e-2


def test_funasr_inference_gives_the_same_features() -> None:
    made = make(small())
    (sound,) = clips(1.5)
    network: Any = made.network
    (result,), _ = network.inference([torch.from_numpy(sound)], key=["a"], device="cpu")
    (encoded,) = made.encode([sound])
    assert np.abs(encoded.utterance - result["feats"]).max() < 1e-4


def test_answers_come_in_the_order_of_the_sounds_whatever_the_batches() -> None:
    made = make(small())
    sounds = clips(1, 0.4, 2, 0.4, 3, 0.9)
    wide, narrow = made.encode(sounds, batch_seconds=100), made.encode(sounds, batch_seconds=0.1)
    for a, b in zip(wide, narrow, strict=True):
        assert a.frames.dtype == np.float32
        assert np.abs(a.frames - b.frames).max() < 1e-4
    assert made.encode([]) == []


def test_batches_keep_to_their_budget_with_less_padding_than_sound() -> None:
    made = make(small())
    sounds = clips(*np.random.default_rng(1).uniform(0.1, 5, 40))
    pieces = [p for i, s in enumerate(sounds) for p in made._pieces(i, s, 30)]
    batches = list(base.batches(pieces, 10 * 16000))
    assert sorted(p.clip for b in batches for p in b) == list(range(40))
    for batch in batches:
        padded = len(batch) * max(p.length for p in batch)
        assert padded <= 10 * 16000
        assert padded < 2 * sum(p.length for p in batch)


def test_a_long_recording_is_heard_in_windows_that_fit_together() -> None:
    made = make(small())
    (sound,) = clips(10)
    (whole,), (windows,) = made.encode([sound]), made.encode([sound], window_seconds=4)
    assert windows.frames.shape == whole.frames.shape
    a, b = whole.frames, windows.frames
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() > 0.95  # attention sees less; the frames stand where they belong


def test_a_clip_shorter_than_a_frame_still_has_one() -> None:
    made = make(small())
    (encoded,) = made.encode([np.full(5, 0.1, np.float32)])
    assert encoded.frames.shape == (1, 32)
    with pytest.raises(NoSpeechError, match="no samples"):
        made.encode([np.zeros(0, np.float32)])
    with pytest.raises(ValueError, match=r"\[2, 100\]"):
        made.encode([np.zeros((2, 100), np.float32)])


def test_frames_can_be_trained_through() -> None:
    conf = small(dropout=0.0)
    network = emotion2vec.build_network(conf).train()
    waves, samples = torch.randn(2, 16000), [16000, 8000]
    x, keep = emotion2vec.frame_features(network, waves, samples)
    assert x.shape == (2, 49, 32)
    assert keep.sum(1).tolist() == [49, 24]
    x[keep].square().mean().backward()
    gradients = [p.grad for p in network.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)


@pytest.mark.slow
def test_full_size_network_batched_equals_one_by_one() -> None:
    made = make(emotion2vec.base_conf())
    assert sum(p.numel() for p in made.network.parameters()) == 93_171_212
    sounds = clips(2.1, 0.3, 5)
    for sound, encoded in zip(sounds, made.encode(sounds, batch_seconds=30), strict=True):
        assert np.abs(encoded.frames - alone(made.network, sound)).max() < 1e-4


# ---- configurations


def test_layers_are_read_as_a_literal() -> None:
    base = emotion2vec.base_conf()["modalities"]["audio"]["feature_encoder_spec"]
    layers = parse_spec(base)
    assert layers == [(512, 10, 5), *[(512, 3, 2)] * 4, (512, 2, 2), (512, 2, 2)]
    assert parse_spec(repr(layers)) == parse_spec([list(layer) for layer in layers]) == layers
    assert receptive_field(layers) == 400
    assert frame_count(16000, layers) == 49
    assert frame_count(399, layers) < 1 == frame_count(400, layers)


@pytest.mark.parametrize(
    "spec",
    [
        "__import__('os').system('touch executed')",
        "[(512, 10, 5)] + open('x').read()",
        "[(512, 10, 320)] * 10**9",
        "[(512, 10, 320)] * 33",
        "[(1, 1, 1)] * 32 * 32",
        "[(10**9, 10, 320)]",
        "[(512, 10, 320, 1)]",
        "[(512, 10)]",
        "[(512, True, 320)]",
        "[(512, 0.5, 320)]",
        "[]",
        "(" * 900,
        "9" * 5000,
        "${oc.env:HOME}",
        None,
        7,
        [(512, 10, 100)],  # 160 frames a second
    ],
)
def test_other_layers_are_refused(spec: Any) -> None:
    with pytest.raises(ModelError):
        parse_spec(spec)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth", 10**9),
        ("depth", 0),
        ("depth", 2.0),
        ("depth", True),
        ("depth", "${oc.env:HOME}"),
        ("embed_dim", 2**40),
        ("embed_dim", 30),  # not divisible by the heads
        ("num_heads", None),
        ("mlp_ratio", float("nan")),
        ("mlp_ratio", float("inf")),
        ("normalize", "yes"),
        ("audio.learned_alibi", True),
        ("audio.num_alibi_heads", 64),
        ("audio.conv_pos_groups", 7),
        ("audio.extractor_mode", "group"),
        ("audio.feature_encoder_spec", "exit()"),
    ],
)
def test_configuration_values_out_of_range_are_refused(name: str, value: Any) -> None:
    conf = emotion2vec.base_conf()
    place = conf["modalities"]["audio"] if name.startswith("audio.") else conf
    place[name.removeprefix("audio.")] = value
    with pytest.raises(ModelError):
        emotion2vec.build_network(conf)


def test_a_network_too_large_to_be_meant_is_refused() -> None:
    conf = emotion2vec.base_conf() | {"depth": 64, "embed_dim": 4096, "num_heads": 64}
    with pytest.raises(ModelError, match="billion parameters"):
        emotion2vec.build_network(conf)


def test_unknown_and_pretraining_values_are_ignored() -> None:
    conf = emotion2vec.base_conf() | {"evil": "${oc.env:HOME}", "loss_scale": "${x}"}
    conf["modalities"] = conf["modalities"] | {"image": {"type": "IMAGE"}}
    conf["modalities"]["audio"]["decoder"] = {"decoder_layers": 10**9}
    conf["modalities"]["audio"]["mask_prob"] = "${oc.env:HOME}"
    assert emotion2vec_config.clean(conf) == emotion2vec_config.clean(emotion2vec.base_conf())


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch executed']",
        "model: Paraformer\nmodel_conf: {}",
        "model: Emotion2vec",
        "model: Emotion2vec\nmodel_conf: [1]",
        "a: [",
        "- " * 2000,
        "\x00",
    ],
)
def test_a_bad_config_file_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"config\.yaml"):
        emotion2vec_config.read_conf(tmp_path)
    assert not Path("executed").exists()


# ---- the import of funasr


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parent.parent
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_funasr_is_imported_late_quietly_and_in_part(tmp_path: Path) -> None:
    code = """
import sys
from audiollm.encoder import emotion2vec
assert not any(name.startswith("funasr") for name in sys.modules)
emotion2vec.build_network(emotion2vec.small_conf())
print(sum(name.startswith("funasr") for name in sys.modules))
"""
    result = run_python(code, tmp_path)
    assert result.stderr == ""
    assert int(result.stdout) < 30  # of about 500


@pytest.mark.slow
def test_an_unexecuted_package_runs_when_it_is_asked_for_something(tmp_path: Path) -> None:
    package = tmp_path / "lazypack"
    package.mkdir()
    (package / "__init__.py").write_text("import lazypack.part\nprint('executed')\nanswer = 42\n")
    (package / "part.py").write_text("value = 7\n")
    code = """
import sys
from audiollm.encoder.emotion2vec import _unexecuted
sys.modules["lazypack"] = module = _unexecuted("lazypack")
from lazypack.part import value
assert not hasattr(module, "__warningregistry__")
print(value)
from lazypack import answer
import lazypack
assert lazypack is module and lazypack.part.value == 7
print(answer, hasattr(lazypack, "nothing"))
"""
    result = run_python(code, tmp_path)
    assert result.stderr == ""
    assert result.stdout.split() == ["7", "executed", "42", "False"]


@pytest.mark.slow
def test_the_whole_of_funasr_can_still_be_used_afterwards(tmp_path: Path) -> None:
    code = """
from audiollm.encoder import emotion2vec
network = emotion2vec.build_network(emotion2vec.small_conf())
from funasr import AutoModel
from funasr.register import tables
assert isinstance(network, tables.model_classes["Emotion2vec"])
assert "Paraformer" in tables.model_classes and AutoModel.__module__.startswith("funasr")
"""
    result = run_python(code, tmp_path)
    assert result.returncode == 0, result.stderr
