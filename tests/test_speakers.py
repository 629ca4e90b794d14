"""Speaker baselines of prepared clips, and the examples that come with one."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from audiollm.model.prompt import Prompt
from tests import prepared, tiny
from train.corpora import Clip
from train.data.dataset import Prepared, load_prepared
from train.data.speakers import COUNTS, MOST, Count, SpeakerClips, with_baselines
from train.fit.examples import ExampleDataset, GroupedBatches
from train.fit.instructions import Instruction


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Ten training clips of each of four speakers."""
    return load_prepared(prepared.write(tmp_path_factory.mktemp("speakers"), frames=False))


def array(given: np.ndarray | None) -> np.ndarray:
    assert given is not None
    return given


def others(data: Prepared, clip: Clip, clips: Sequence[Clip]) -> np.ndarray:
    """Utterance features [N, D] of the other clips of a speaker."""
    own = [c for c in clips if c.speaker == clip.speaker and c.id != clip.id]
    return np.stack([data.store.get(c.id).utterance for c in own])


def test_all_other_clips_and_not_the_clip_itself(data: Prepared) -> None:
    clips = data.split("train")
    speakers = SpeakerClips(data.store, clips)
    for clip in clips:
        found = array(speakers.fixed(clip, "all"))
        np.testing.assert_allclose(found, others(data, clip, clips).mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(array(speakers.fixed(clip, 99)), found, rtol=1e-5, atol=1e-6)
        assert speakers.fixed(clip, 0) is None


@limits(max_examples=30, deadline=None)
@given(st.integers(0, 39), st.sampled_from(COUNTS[1:]), st.integers(0, 5), st.randoms())
def test_a_fixed_draw_depends_on_clip_count_and_seed_alone(
    data: Prepared, number: int, count: Count, seed: int, random: Random
) -> None:
    clips = list(data.split("train"))
    clip = clips[number]
    first = array(SpeakerClips(data.store, clips).fixed(clip, count, seed))
    again = SpeakerClips(data.store, clips)
    again.draw(clips[3], np.random.default_rng(0))  # what was asked before changes nothing
    labels = [c.label for c in clips]
    random.shuffle(labels)
    blind = [replace(c, label=label) for c, label in zip(clips, labels, strict=True)]
    for made in (again, SpeakerClips(data.store, blind)):
        assert np.array_equal(array(made.fixed(clip, count, seed)), first)
    other = replace(clip, label="sad")
    assert np.array_equal(array(SpeakerClips(data.store, blind).fixed(other, count, seed)), first)


def test_draws_are_means_of_two_or_more_other_clips(data: Prepared) -> None:
    clips = data.split("train")
    clip, rng = clips[0], np.random.default_rng(0)
    speakers = SpeakerClips(data.store, clips)
    rest = others(data, clip, clips)  # 9
    drawn = np.stack([array(speakers.draw(clip, rng)) for _ in range(300)])
    # the spread of a mean of n of 9 clips falls with n: pairs spread most, all 9 not at all
    assert len(np.unique(drawn.round(5), axis=0)) > 50
    off = np.abs(drawn - rest.mean(0)).max(1)
    assert off.min() < 1e-5
    pairs = [(a + b) / 2 for i, a in enumerate(rest) for b in rest[:i]]
    widest = max(np.abs(pair - rest.mean(0)).max() for pair in pairs)
    assert widest / 2 < off.max() <= widest + 1e-5
    one, two = (array(speakers.draw(clip, np.random.default_rng(7))) for _ in range(2))
    assert np.array_equal(one, two)
    assert len(rest) <= MOST


def test_nobody_else_speaks_for_unknown_speakers_and_for_few_clips(data: Prepared) -> None:
    clips = [replace(c, speaker="") for c in data.split("train")]
    speakers, rng = SpeakerClips(data.store, clips), np.random.default_rng(0)
    assert all(speakers.draw(c, rng) is None for c in clips)
    assert all(speakers.fixed(c, "all") is None for c in clips)
    one, two, three = data.split("train")[:3]
    few = [replace(one, speaker="a"), replace(two, speaker="b"), replace(three, speaker="b")]
    speakers = SpeakerClips(data.store, few)
    assert [speakers.draw(c, rng) for c in few] == [None, None, None]
    assert speakers.fixed(few[0], 8) is None
    alone = data.store.get(three.id).utterance
    assert np.array_equal(array(speakers.fixed(few[1], 8)), alone)


def test_clips_with_baselines_keep_their_order_and_features(data: Prepared) -> None:
    clips = data.split("test")
    for count in COUNTS:
        found = with_baselines(data.store, clips, count)
        assert [clip for clip, _ in found] == list(clips)
        for clip, features in found:
            np.testing.assert_array_equal(features.utterance, data.store.get(clip.id).utterance)
            assert (features.baseline is None) == (count == 0)


def examples(data: Prepared, share: float, seed: int = 0, split: str = "train") -> ExampleDataset:
    prompt = Prompt(tiny.tokenizer(), tiny.CLASSES)
    pairs = [(c, Instruction("classify", "en", c.label, "")) for c in data.split(split) * 4]
    return ExampleDataset(data, pairs, prompt, baseline=share, seed=seed)


def drawn(made: ExampleDataset) -> list[np.ndarray | None]:
    return [made[i].features.baseline for i in range(len(made))]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75])
def test_a_share_of_examples_comes_with_a_baseline(data: Prepared, share: float) -> None:
    given_ = [b is not None for b in drawn(examples(data, share))]
    assert np.mean(given_) == pytest.approx(share, abs=0.12 if share else 0)


def same(one: list[np.ndarray | None], other: list[np.ndarray | None]) -> bool:
    return all(
        a is b is None or (a is not None and b is not None and np.array_equal(a, b))
        for a, b in zip(one, other, strict=True)
    )


def test_draws_depend_on_seed_epoch_and_number_alone(data: Prepared) -> None:
    first, second = examples(data, 0.5), examples(data, 0.5)
    expected = drawn(first)
    for i in reversed(range(len(second))):  # another order
        assert same([second[i].features.baseline], [expected[i]])
    assert same(drawn(first), expected)
    assert not same(drawn(examples(data, 0.5, seed=1)), expected)
    second.set_epoch(3)
    third = drawn(second)
    assert not same(third, expected)
    resumed = examples(data, 0.5)
    GroupedBatches(resumed.lengths, 4, seed=0, on_epoch=resumed.set_epoch).set_epoch(3)
    assert same(drawn(resumed), third)
    second.set_epoch(0)
    assert same(drawn(second), expected)


def test_examples_of_unknown_speakers_have_no_baseline(data: Prepared) -> None:
    prompt = Prompt(tiny.tokenizer(), tiny.CLASSES)
    clips = [replace(c, speaker="") for c in data.split("train")]
    pairs = [(c, Instruction("classify", "en", c.label, "")) for c in clips]
    assert drawn(ExampleDataset(data, pairs, prompt, baseline=0.9)) == [None] * len(pairs)
