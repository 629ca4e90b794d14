"""How many instructions a clip gets, and what they say of it."""

from collections import Counter

from audiollm.contracts.fit import FitConfig
from train.corpora import Clip
from train.fit.examples import pairs

CLASSES = ("angry", "happy", "sad")
CONFIG = FitConfig(stage=1, data="-", llm="tiny", balance=False)


def _clips(count: int, votes: dict[str, float] | None = None) -> list[Clip]:
    return [Clip(path="", label="angry", id=str(i), votes=votes) for i in range(count)]


def _taught(clips: list[Clip]) -> Counter[str]:
    return Counter(i.label for _, i in pairs(clips, CLASSES, CONFIG, 2, seed=0))


def test_votes_are_taught_as_often_as_they_weigh() -> None:
    assert _taught(_clips(300)) == {"angry": 600}
    taught = _taught(_clips(300, {"angry": 0.5, "sad": 0.25}))  # a quarter said "unclear"
    assert set(taught) == {"angry", "sad"}
    assert abs(taught["angry"] - 300) < 40 and abs(taught["sad"] - 150) < 40


def test_a_weight_lifts_a_clip_but_not_without_end() -> None:
    assert _taught(_clips(10, {"happy": 2.0})) == {"happy": 40}
    assert _taught(_clips(10, {"happy": 100.0})) == {"happy": 80}


def test_the_same_seed_draws_the_same_and_others_are_not_moved_by_votes() -> None:
    clips = [*_clips(5), *_clips(5, {"sad": 0.7})]
    assert pairs(clips, CLASSES, CONFIG, 2, 1) == pairs(clips, CLASSES, CONFIG, 2, 1)
    plain = pairs(_clips(5), CLASSES, CONFIG, 2, 1)
    assert pairs(clips, CLASSES, CONFIG, 2, 1)[: len(plain)] == plain
