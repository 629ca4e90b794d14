"""Spoiled copies: what is done to a sound, and how they come into the data and the training."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiollm.prosody import SAMPLE_RATE
from tests import prepared, tiny
from train.augment import SPEED, faster, spoiled
from train.dataset import load_prepared
from train.examples import ExampleDataset
from train.features import copy_id
from train.instructions import Instruction


def tone(hertz: float = 200.0, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.1 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 40_000), st.integers(0, 2**31), st.floats(0.0, 1.0))
def test_a_spoiled_sound_is_a_sound(length: int, seed: int, level: float) -> None:
    samples = (np.random.default_rng(seed).standard_normal(length) * level).astype(np.float32)
    samples = np.clip(samples, -1, 1) if length else np.zeros(1, np.float32)
    heard = spoiled(samples, [seed, 1])
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1
    assert abs(len(heard) - len(samples)) <= SPEED / (1 - SPEED) * len(samples) + 1


def test_copies_differ_and_repeat() -> None:
    once, again, other = (spoiled(tone(), seed) for seed in ([1, 1], [1, 1], [1, 2]))
    assert np.array_equal(once, again)
    assert once.shape != other.shape or not np.allclose(once, other)
    level = np.sqrt(np.mean(once.astype(float) ** 2))
    assert level == pytest.approx(np.sqrt(np.mean(tone().astype(float) ** 2)), rel=0.05)


def test_faster_is_higher_and_shorter() -> None:
    heard = faster(tone(200.0), 1.05)
    assert len(heard) == int(SAMPLE_RATE / 1.05)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(heard) == pytest.approx(210.0, abs=2)


def test_every_third_example_is_of_a_copy(tmp_path: Path) -> None:
    folder = prepared.write(tmp_path, frames=False)
    known = load_prepared(folder)
    clip = known.split("train")[0]
    valid = known.split("valid")[0]
    known.info["copies"] = 2
    pairs = [(clip, Instruction("classify", "en", clip.label, "")) for _ in range(7)]
    pairs += [(valid, Instruction("classify", "en", valid.label, "")) for _ in range(3)]
    from audiollm.prompt import Prompt

    data = ExampleDataset(known, pairs, Prompt(tiny.tokenizer(), tiny.CLASSES))
    first, second = copy_id(clip.id, 1), copy_id(clip.id, 2)
    assert data.ids[:7] == [first, clip.id, clip.id, second, clip.id, clip.id, first]
    assert data.ids[7:] == [valid.id] * 3  # nobody is judged by a spoiled sound
    assert data.clips[:7] == [clip.id] * 7
