"""The whisper kind: the arithmetic of transformers' own modules, batched, windowed, short, long."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from torch import Tensor

from audiollm import encoder
from audiollm.contracts.manifest import Statistics
from audiollm.encoder.base import CONTEXT, over_time
from audiollm.encoder.whisper import WhisperEncoder, build_network
from audiollm.encoder.whisper_config import WhisperConf
from audiollm.errors import ModelError, NoSpeechError
from audiollm.settings import Settings
from tests import tiny
from tests.conftest import voiced
from tests.test_encoder import clips

RATE, HOP = 16000, 320
CONF = WhisperConf(**tiny.WHISPER)


def make(
    conf: WhisperConf = CONF,
    layers: tuple[int, ...] = (1, 3),
    statistics: Statistics = "mean_std",
    seed: int = 0,
) -> WhisperEncoder:
    torch.manual_seed(seed)
    network = build_network(conf, layers)
    with torch.no_grad():  # freshly drawn biases are zeros, which would hide mistakes of padding
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return WhisperEncoder(network, conf, "test", statistics=statistics)


def spectrogram(clip: np.ndarray, bins: int = 80) -> Tensor:
    """[1, M, L] of a whole clip at its own length."""
    from transformers import WhisperFeatureExtractor

    extract: Any = WhisperFeatureExtractor(feature_size=bins)
    made = extract(clip, sampling_rate=RATE, padding=False, truncation=False, return_tensors="pt")
    features: Tensor = made.input_features
    return features


@torch.no_grad()
def alone(network: Any, mel: Tensor, layers: tuple[int, ...]) -> np.ndarray:
    """Frames of one spectrogram, by a plain loop over transformers' modules."""
    from transformers.models.whisper.modeling_whisper import sinusoids

    x = F.gelu(network.conv1(mel))
    x = F.gelu(network.conv2(x)).transpose(1, 2)
    x = x + sinusoids(1500, x.size(2))[: x.size(1)]
    outputs = {}
    for number, layer in enumerate(network.layers, start=1):
        outputs[number] = x = layer(x, None)
    return torch.cat([outputs[n] for n in layers], dim=-1)[0].numpy()


# ---- the arithmetic


def test_the_bundled_front_gives_what_whispers_own_modules_give() -> None:
    from safetensors.torch import load_file
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder as Original

    from audiollm.settings import ASSETS

    front = encoder.load("whisper-base-front", Settings())
    assert (front.kind, front.layers, front.statistics) == ("whisper", (1, 2, 3), "mean_std")
    assert (front.width, front.ref().utterance_width) == (1536, 3072)
    assert sum(p.numel() for p in front.network.parameters()) == 10_365_952
    config = WhisperConfig(
        d_model=512, encoder_layers=3, encoder_attention_heads=8, encoder_ffn_dim=2048
    )
    original = Original(config).eval()
    weights = load_file(ASSETS / "whisper-base-front" / "model.safetensors")
    report = original.load_state_dict({n: t.float() for n, t in weights.items()}, strict=False)
    assert not report.unexpected_keys
    sound = voiced(1.9)
    (encoded,) = front.encode([sound])
    expected = alone(original, spectrogram(sound), (1, 2, 3))
    assert encoded.frames.shape == expected.shape == (95, 1536)
    assert np.abs(encoded.frames - expected).max() < 1e-4
    statistics = np.concatenate([expected.mean(0), expected.std(0)])
    assert np.abs(encoded.utterance - statistics).max() < 1e-4


def test_bfloat16_changes_features_little_alone_and_in_a_batch() -> None:
    front = encoder.load("whisper-base-front", Settings(), precision=torch.bfloat16)
    exact = encoder.load("whisper-base-front", Settings())
    sounds = clips(2, 0.6, 1.7)
    together = front.encode(sounds, batch_seconds=100)
    for sound, batched, plain in zip(sounds, together, exact.encode(sounds), strict=True):
        (single,) = front.encode([sound])
        assert batched.frames.dtype == np.float32
        for found in (batched.utterance, single.utterance):
            error = np.linalg.norm(found - plain.utterance) / np.linalg.norm(plain.utterance)
            assert error < 0.01


@pytest.mark.parametrize("bins", [80, 128])
@pytest.mark.parametrize("layers", [(2,), (1, 2, 3, 4), (4, 1)])
def test_batched_frames_are_those_of_each_clip_alone(bins: int, layers: tuple[int, ...]) -> None:
    made = make(replace(CONF, num_mel_bins=bins), layers)
    sounds = clips(3, 0.3, 4.9, 1.234, 0.7, 12)
    together = made.encode(sounds, batch_seconds=100)
    for sound, encoded in zip(sounds, together, strict=True):
        expected = alone(made.network, spectrogram(sound, bins), layers)
        assert encoded.frames.shape == expected.shape == (-(-(len(sound) // 160) // 2), made.width)
        assert np.abs(encoded.frames - expected).max() < 1e-4


@effort(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 2 * RATE), min_size=2, max_size=6), st.integers(0, 99))
def test_a_batch_equals_one_by_one_whatever_the_lengths(lengths: list[int], seed: int) -> None:
    made = make()
    rng = np.random.default_rng(seed)
    sounds = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in lengths]
    for sound, encoded in zip(sounds, made.encode(sounds, batch_seconds=100), strict=True):
        (single,) = made.encode([sound])
        assert encoded.frames.shape == single.frames.shape
        assert np.abs(encoded.frames - single.frames).max() < 1e-4
        assert np.abs(encoded.utterance - single.utterance).max() < 1e-4


def test_padding_that_reached_the_second_convolution_would_be_seen() -> None:
    """The tests above can fail: the bias of the first convolution makes padding non-zero."""
    made = make()
    mel = spectrogram(clips(1)[0])  # [1, M, 100]
    padded = F.pad(mel, (0, 60))
    with torch.no_grad():
        right = made.network(torch.cat([padded, F.pad(mel, (0, 60), value=1.0)]), [160, 160])
        own = made.network(padded, [100])
    expected = alone(made.network, mel, (1, 3))
    assert np.abs(own[0, :50].numpy() - expected).max() < 1e-4
    assert np.abs(right[0, :50].numpy() - expected).max() > 1e-2


def test_low_precision_is_close_and_the_features_are_float32() -> None:
    made = make()
    mel = torch.cat([spectrogram(c) for c in clips(1, 1)])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        low = made.network(mel, [100, 71])
    with torch.no_grad():
        full = made.network(mel, [100, 71])
    assert (low[0] - full[0]).abs().max() < 0.05 * full.abs().max()


# ---- statistics over time


@pytest.mark.parametrize("statistics", ["mean", "mean_std"])
def test_utterance_features_are_the_statistics_of_the_frames(statistics: Statistics) -> None:
    made = make(statistics=statistics)
    (encoded,) = made.encode(clips(1.3))
    frames = encoded.frames.astype(np.float64)
    expected = frames.mean(0)
    if statistics == "mean_std":
        deviation = np.sqrt(((frames - expected) ** 2).mean(0))
        expected = np.concatenate([expected, deviation])
    assert encoded.utterance.dtype == np.float32
    assert encoded.utterance.shape == (made.ref().utterance_width,)
    assert np.abs(encoded.utterance - expected).max() < 1e-5
    assert np.array_equal(encoded.utterance, over_time(encoded.frames, statistics))


# ---- long and short clips


def test_a_long_clip_is_computed_in_windows_of_one_spectrogram() -> None:
    """Every window is what the network makes of that part, its range that of the whole clip."""
    made = make()
    quiet, loud = clips(5, 5)
    sound = np.concatenate([1e-3 * quiet, loud])  # the clamp of a window alone would be another
    mel = spectrogram(sound)
    (encoded,) = made.encode([sound], window_seconds=4)
    assert encoded.frames.shape == (500, made.width)
    edges = range(0, 501, 100)  # windows of 4 s with a second of context on either side
    for start, stop in itertools.pairwise(edges):
        first, last = max(0, start - CONTEXT), min(500, stop + CONTEXT)
        part = alone(made.network, mel[..., 2 * first : 2 * last], (1, 3))
        expected = part[start - first : stop - first]
        assert np.abs(encoded.frames[start:stop] - expected).max() < 1e-4


def test_windows_fit_together_without_a_seam() -> None:
    """With attention and positions out of the way a frame depends on its surroundings alone."""
    made = make()
    network: Any = made.network
    with torch.no_grad():
        network.positions.zero_()
        for layer in network.layers:
            layer.self_attn.out_proj.weight.zero_()
    (sound,) = clips(11.37)
    (whole,), (windows,) = made.encode([sound]), made.encode([sound], window_seconds=4)
    assert np.abs(whole.frames - windows.frames).max() < 1e-4


def test_real_frames_of_the_first_window_are_like_those_of_the_whole() -> None:
    """Later ones are not: positions count from 0 in every window, and are part of a frame."""
    front = encoder.load("whisper-base-front", Settings())
    sound = voiced(10)
    (whole,), (windows,) = front.encode([sound]), front.encode([sound], window_seconds=5)
    a, b = whole.frames, windows.frames
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine[:100].min() > 0.98


def test_no_window_is_longer_than_the_positions() -> None:
    made = make(replace(CONF, max_source_positions=150))
    (sound,) = clips(7)
    pieces = list(made._pieces(0, sound, 1000))
    assert len(pieces) == 7
    assert max(-(-p.length // 2) for p in pieces) <= 150
    assert [(p.start, p.stop) for p in pieces] == [(i, i + 50) for i in range(0, 350, 50)]
    (encoded,) = made.encode([sound], window_seconds=1000)
    assert np.isfinite(encoded.frames).all()
    assert encoded.frames.shape == (350, made.width)


def test_half_a_minute_is_one_window_and_more_is_several() -> None:
    made = make(layers=(1,))
    (half, more) = clips(30, 30.1)
    assert len(list(made._pieces(0, half, 60))) == 1
    assert len(list(made._pieces(0, more, 60))) == 2
    frames = [e.frames for e in made.encode([half, more], window_seconds=60)]
    assert [len(f) for f in frames] == [1500, 1505]


@pytest.mark.parametrize("samples", [1, 5, 159, 160, 200, 201, 399, 400, 401, 480])
def test_very_short_clips_have_a_frame(samples: int) -> None:
    made = make()
    sound = np.full(samples, 0.1, np.float32)
    (encoded,) = made.encode([sound])
    padded = np.pad(sound, (0, max(0, 400 - samples)))
    expected = alone(made.network, spectrogram(padded), (1, 3))
    assert encoded.frames.shape == expected.shape == (1 if samples < 480 else 2, made.width)
    assert np.abs(encoded.frames - expected).max() < 1e-4
    assert np.isfinite(encoded.utterance).all()


def test_what_is_no_clip_is_refused() -> None:
    made = make()
    assert made.encode([]) == []
    with pytest.raises(NoSpeechError, match="no samples"):
        made.encode([np.zeros(0, np.float32)])
    with pytest.raises(ValueError, match=r"\[2, 100\]"):
        made.encode([np.zeros((2, 100), np.float32)])


# ---- layers


def test_only_the_layers_up_to_the_last_wanted_one_are_built() -> None:
    made = make(layers=(2, 1))
    assert len(made.network.layers) == 2  # type: ignore[arg-type]
    assert made.conf.encoder_layers == 2
    assert made.width == 2 * tiny.WIDTH
    (encoded,), (swapped,) = made.encode(clips(1)), make(layers=(1, 2)).encode(clips(1))
    assert np.array_equal(
        encoded.frames, np.roll(swapped.frames, tiny.WIDTH, axis=1)
    )  # in the order that was asked for


@pytest.mark.parametrize("layers", [(), (0,), (5,), (1, 1), (True,), (1.0,)])
def test_layers_that_are_not_there_are_refused(layers: Any) -> None:
    with pytest.raises(ModelError, match="has the layers 1 to 4"):
        build_network(CONF, layers)


def test_frames_can_be_trained_through() -> None:
    network = build_network(CONF, (1, 3)).train()
    x = network(torch.randn(2, 80, 101), [101, 60])
    assert x.shape == (2, 51, 32)
    (x[0].square().mean() + x[1, :30].square().mean()).backward()
    gradients = {n: p.grad for n, p in network.named_parameters()}
    assert all(g is not None and g.isfinite().all() for g in gradients.values())
