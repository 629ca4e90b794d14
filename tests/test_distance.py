"""The distance of features from the training data, on made-up corpora and voices."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from audiollm.errors import ModelError
from audiollm.model import distance
from audiollm.model.distance import DISTANCE_NAME, OTHER_VOICE, FeatureDistance

WIDTH = 24
Rows = NDArray[np.float32]


def voices(
    seed: int, speakers: int = 12, each: int = 40, width: int = WIDTH
) -> tuple[Rows, list[str], list[str]]:
    """(features [N, U], corpora [N], speakers [N]): two corpora, voices around their means."""
    rng = np.random.default_rng(seed)
    corpora, names, rows = [], [], []
    for speaker in range(speakers):
        corpus = speaker % 2
        centre = 4 * corpus + 2 * rng.standard_normal(width)
        rows.append(centre + rng.standard_normal((each, width)))
        corpora += [f"corpus-{corpus}"] * each
        names += [f"speaker-{speaker}"] * each
    return np.concatenate(rows).astype(np.float32), corpora, names


@limits(max_examples=15, deadline=None)
@given(st.integers(0, 2**16), st.integers(8, 40))
def test_training_clips_are_at_one_and_shifted_clips_farther(seed: int, width: int) -> None:
    rows, corpora, speakers = voices(seed, width=width)
    found = distance.fit(rows, corpora, speakers)
    inside = found(rows)
    assert inside.shape == (len(rows),)
    assert 0.9 < np.sqrt(np.mean(inside**2)) <= 1  # the nearest corpus may be the other one
    direction = np.random.default_rng(seed).standard_normal(width)
    step = rows.std(0) * np.sign(direction)
    farther = [found((rows + by * step).astype(np.float32)).mean() for by in (0, 2, 5)]
    assert farther[0] < farther[1] < farther[2]


@limits(max_examples=10, deadline=None)
@given(st.integers(0, 2**16))
def test_the_order_of_clips_changes_nothing(seed: int) -> None:
    rows, corpora, speakers = voices(seed)
    found = distance.fit(rows, corpora, speakers)
    alone = np.concatenate([found(row[None]) for row in rows[:20]])
    np.testing.assert_allclose(found(rows[:20]), alone, rtol=1e-4)
    order = np.random.default_rng(seed).permutation(len(rows))
    mixed = distance.fit(rows[order], [corpora[i] for i in order], [speakers[i] for i in order])
    np.testing.assert_allclose(mixed(rows), found(rows), rtol=0.02)


@limits(max_examples=10, deadline=None)
@given(st.integers(0, 2**16))
def test_one_voice_is_nearer_to_itself_than_to_another(seed: int) -> None:
    rows, corpora, speakers = voices(seed)
    found = distance.fit(rows, corpora, speakers)
    means = {
        (name, half): rows[[i for i, s in enumerate(speakers) if s == name][half::2]].mean(0)
        for name in set(speakers)
        for half in (0, 1)
    }
    for name in set(speakers):
        same = found.between(means[name, 0], means[name, 1])
        assert same == pytest.approx(found.between(means[name, 1], means[name, 0]))
        others = [found.between(means[name, 0], means[o, 0]) for o in set(speakers) - {name}]
        assert same < min(OTHER_VOICE, *others)
    assert found.between(rows[0], rows[0]) == 0


def test_a_clip_of_an_unknown_speaker_counts_as_one_of_its_corpus() -> None:
    rows, corpora, _ = voices(0)
    found = distance.fit(rows, corpora, [""] * len(rows))
    named = distance.fit(rows, corpora, corpora)
    np.testing.assert_array_equal(found.speaker_precision, named.speaker_precision)
    assert found.centres.shape == (2, WIDTH)


def test_there_may_be_fewer_clips_than_components() -> None:
    rows, corpora, speakers = voices(0, speakers=2, each=3)
    found = distance.fit(rows, corpora, speakers)
    assert found.components.shape == (WIDTH, 5)
    assert np.isfinite(found(rows)).all()


def made(folder: Path) -> FeatureDistance:
    found = distance.fit(*voices(1))
    found.save(folder)
    return found


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    before, rows = made(tmp_path), voices(2)[0]
    after = distance.read(tmp_path, WIDTH)
    assert after is not None
    np.testing.assert_array_equal(after.components, before.components)  # half precision from the
    np.testing.assert_array_equal(after(rows), before(rows))  # beginning
    stored = load_file(tmp_path / DISTANCE_NAME)
    assert stored["components"].dtype == np.float16
    assert distance.read(tmp_path / "elsewhere", WIDTH) is None


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("centres"),
        lambda t: t.update(mean=t["mean"][:-1]),
        lambda t: t.update(mean=t["mean"][None]),
        lambda t: t.update(components=t["components"][:, :-1]),
        lambda t: t.update(precision=t["precision"][:-1]),
        lambda t: t.update(precision=np.float32(1)),
        lambda t: t.update(centres=np.float32(1)),
        lambda t: t.update(centres=t["centres"][:0]),
        lambda t: t.update(centres=np.zeros((2, 0), np.float32)),
        lambda t: t.update(std=np.full(WIDTH, np.nan, np.float32)),
        lambda t: t.update(std=np.zeros(WIDTH, np.float32)),
        lambda t: t.update(std=-t["std"]),
        lambda t: t.update(speaker_precision=np.full_like(t["speaker_precision"], np.inf)),
        lambda t: t.update(mean=np.zeros(WIDTH, np.int64)),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, change: Change) -> None:
    made(tmp_path)
    tensors = load_file(tmp_path / DISTANCE_NAME)
    change(tensors)
    save_file(
        {k: np.ascontiguousarray(v) if np.ndim(v) else np.asarray(v) for k, v in tensors.items()},
        tmp_path / DISTANCE_NAME,
    )
    with pytest.raises(ModelError, match=DISTANCE_NAME) as caught:
        distance.read(tmp_path, WIDTH)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(ModelError):
        distance.read(tmp_path, WIDTH + 1)
    whole = (tmp_path / DISTANCE_NAME).read_bytes()
    for content in (b"", b"junk", whole[:200], whole[:-1]):
        (tmp_path / DISTANCE_NAME).write_bytes(content)
        with pytest.raises(ModelError):
            distance.read(tmp_path, WIDTH)
    (tmp_path / DISTANCE_NAME).unlink()
    save_torch({"mean": torch.zeros(WIDTH, dtype=torch.bfloat16)}, tmp_path / DISTANCE_NAME)
    with pytest.raises(ModelError):
        distance.read(tmp_path, WIDTH)
