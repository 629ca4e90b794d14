"""Draft tokens shorten the way to a text and never change it."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiollm.model import drafts
from audiollm.model.drafts import Drafts
from audiollm.model.prompt import Prompt
from audiollm.model.scoring import Scorer
from tests import tiny
from tests.test_scoring import CLIPS, CUE_LIST


def test_what_came_twice_in_a_row_is_guessed() -> None:
    found = Drafts()
    found.learn([1, 2, 3, 4, 5])
    assert found.propose([1, 2]) == []
    found.learn([1, 2, 3, 4, 6])
    assert found.propose([9, 1, 2]) == [3, 4]  # what follows 3, 4 differs
    found.learn([1, 2, 7])
    assert found.propose([1, 2]) == []
    assert found.propose([]) == found.propose([2]) == []


def test_what_stands_in_the_prompt_is_guessed_first() -> None:
    found = Drafts()
    assert found.propose([8, 1, 2], shown=[1, 2, 3, 4]) == [3, 4]
    for _ in range(2):
        found.learn([1, 2, 7, 8])
    assert found.propose([1, 2]) == [7, 8]
    assert found.propose([1, 2], shown=[1, 2, 3]) == [3]
    assert found.propose([1, 2], shown=[1]) == [7, 8]


def test_guesses_end(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Drafts()
    found.learn([1, 1, 1, 1, 1])
    assert found.propose([1, 1]) == [1] * drafts.MOST
    assert found.propose([1, 1], 3) == [1] * 3
    assert found.propose([1, 1], 0) == found.propose([1, 1], -1) == []
    monkeypatch.setattr(drafts, "ENTRIES", 10)
    for i in range(2, 50):
        found.learn([i, i, i, i])
    assert found.propose([1, 1]) == [] and found.propose([49, 49])


@given(st.lists(st.lists(st.integers(0, 3), max_size=12), max_size=6), st.integers(0, 9))
def test_guesses_are_of_tokens_that_were_seen(texts: list[list[int]], most: int) -> None:
    found = Drafts()
    for ids in texts:
        found.learn(ids)
    seen = {id for ids in texts for id in ids}
    for ids in texts:
        guessed = found.propose(ids, most)
        assert len(guessed) <= most and set(guessed) <= seen


@torch.no_grad()
def test_a_text_is_the_same_with_good_and_with_wrong_guesses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, prompt = tiny.audio_llm(seed=3), Prompt(tiny.tokenizer(), tiny.CLASSES)
    fresh = Scorer(model, prompt)
    scored = fresh.score(CLIPS, CUE_LIST, "en")
    wanted = [
        Scorer(model, prompt).generate(scored, [c], "en", rows=[r]) for r, c in enumerate((1, 4, 0))
    ]
    passes = 0
    inner = model.causal_lm.model.forward  # type: ignore[union-attr]

    def counted(*args: object, **kwargs: object) -> object:
        nonlocal passes
        passes += 1
        return inner(*args, **kwargs)

    model.causal_lm.model.forward = counted  # type: ignore[union-attr, method-assign, assignment]
    needed = []
    for _ in range(3):
        passes = 0
        for r, c in enumerate((1, 4, 0)):
            assert fresh.generate(scored, [c], "en", rows=[r]) == wanted[r]
        needed.append(passes)
    assert needed[2] < needed[0] / 2  # it has seen each of them twice

    misled = Scorer(model, prompt)

    def wrong(_: Sequence[int], most: int, shown: Sequence[int]) -> list[int]:
        return [5, 6, 7] if most > 2 else []

    monkeypatch.setattr(misled._drafts, "propose", wrong)
    for r, c in enumerate((1, 4, 0)):
        assert misled.generate(scored, [c], "en", rows=[r]) == wanted[r]


@torch.no_grad()
@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_guess_goes_beyond_the_longest_text(most: int) -> None:
    model, prompt = tiny.audio_llm(seed=3), Prompt(tiny.tokenizer(), tiny.CLASSES)
    scorer = Scorer(model, prompt)
    scored = scorer.score(CLIPS, CUE_LIST, "en")
    whole = scorer.generate(scored, [1], "en", rows=[0], max_new_tokens=20)[0]
    for _ in range(3):
        (text,) = scorer.generate(scored, [1], "en", rows=[0], max_new_tokens=most)
        assert whole.startswith(text)
        assert len(prompt.ids(text)) <= most
