"""Spoiled copies: what is done to a sound, and how they come into the data and the training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiollm.audio.prosody import SAMPLE_RATE
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt
from tests import prepared, tiny
from train.data.augment import SPEED, augmented, faster
from train.data.dataset import load_prepared
from train.data.features import FeatureStore, copy_id
from train.fit.examples import ExampleDataset
from train.fit.instructions import Instruction


def tone(hertz: float = 200.0, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.1 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 40_000), st.integers(0, 2**31), st.floats(0.0, 1.0))
def test_an_augmented_sound_is_a_sound(length: int, seed: int, level: float) -> None:
    samples = (np.random.default_rng(seed).standard_normal(length) * level).astype(np.float32)
    samples = np.clip(samples, -1, 1) if length else np.zeros(1, np.float32)
    heard = augmented(samples, [seed, 1])
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1
    assert abs(len(heard) - len(samples)) <= SPEED / (1 - SPEED) * len(samples) + 1


def test_copies_differ_and_repeat() -> None:
    once, again, other = (augmented(tone(), seed) for seed in ([1, 1], [1, 1], [1, 2]))
    assert np.array_equal(once, again)
    assert once.shape != other.shape or not np.allclose(once, other)
    level = np.sqrt(np.mean(once.astype(float) ** 2))
    assert level == pytest.approx(np.sqrt(np.mean(tone().astype(float) ** 2)), rel=0.05)


def test_faster_is_higher_and_shorter() -> None:
    heard = faster(tone(200.0), 1.05)
    assert len(heard) == int(SAMPLE_RATE / 1.05)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(heard) == pytest.approx(210.0, abs=2)


def test_a_clip_and_its_copies_train_alike_often(tmp_path: Path) -> None:
    known = load_prepared(prepared.write(tmp_path, frames=False))
    clip, valid = known.split("train")[0], known.split("valid")[0]
    rows = {
        id: np.full(known.encoder.utterance_width, i, np.float32)
        for i, id in enumerate((clip.id, copy_id(clip.id, 1), copy_id(clip.id, 2), valid.id))
    }
    known = replace(known, info={**known.info, "copies": 2}, store=Rows(rows))
    pairs = [(clip, Instruction("classify", "en", clip.label, ""))] * 300
    pairs += [(valid, Instruction("classify", "en", valid.label, ""))] * 30
    data = ExampleDataset(known, pairs, Prompt(tiny.tokenizer(), tiny.CLASSES))

    def taken() -> list[int]:
        return [int(data[i].features.utterance[0]) for i in range(len(data))]

    first = taken()
    for i in range(3):
        assert first[:300].count(i) == pytest.approx(100, abs=35)
    assert first[300:] == [3] * 30  # nobody is judged by an augmented sound
    assert taken() == first
    data.set_epoch(1)
    assert taken() != first


class Rows(FeatureStore):
    """Utterance features in memory."""

    def __init__(self, rows: dict[str, np.ndarray]) -> None:
        self.rows = rows

    def get(self, id: str) -> Features:
        return Features(self.rows[id])
