"""Draft tokens shorten the way to a text and never change it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiollm.model import drafts
from audiollm.model.drafts import Drafts
from audiollm.model.generation import Context
from audiollm.model.prompt import Prompt
from audiollm.model.scoring import Scorer
from tests import tiny
from tests.test_scoring import FACTS


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
    assert found.propose([8, 1, 2], prompt=[1, 2, 3, 4]) == [3, 4]
    for _ in range(2):
        found.learn([1, 2, 7, 8])
    assert found.propose([1, 2]) == [7, 8]
    assert found.propose([1, 2], prompt=[1, 2, 3]) == [3]
    assert found.propose([1, 2], prompt=[1]) == [7, 8]


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


def written(scorer: Scorer, context: Context) -> str:
    texts: dict[int, str | BaseException] = {}
    scorer.write([context], [str], texts.__setitem__)
    return str(texts[0])


@torch.no_grad()
def test_a_text_is_the_same_with_good_and_with_wrong_guesses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, prompt = tiny.audio_llm(seed=3), Prompt(tiny.tokenizer(), tiny.CLASSES)
    fresh = Scorer(model, prompt)
    contexts = [fresh.analysis_context(line, "en", seed) for seed, line in enumerate(FACTS)]
    contexts = [*contexts[:2], replace(contexts[2], seed=None)]  # drawn, and the likeliest
    wanted = [written(Scorer(model, prompt), context) for context in contexts]
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
        assert [written(fresh, context) for context in contexts] == wanted
        needed.append(passes)
    assert needed[2] < needed[0] / 2  # it has seen each of them twice

    misled = Scorer(model, prompt)

    def wrong(_: Sequence[int], most: int, shown: Sequence[int]) -> list[int]:
        return [5, 6, 7] if most > 2 else []

    monkeypatch.setattr(misled._drafts, "propose", wrong)
    assert [written(misled, context) for context in contexts] == wanted


@torch.no_grad()
@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_guess_goes_beyond_the_longest_text(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, prompt = tiny.audio_llm(seed=3), Prompt(tiny.tokenizer(), tiny.CLASSES)
    scorer = Scorer(model, prompt)
    context, made = scorer.analysis_context(FACTS[0], "en", 0), []
    learn = scorer._drafts.learn

    def record(ids: Sequence[int]) -> None:
        made.append(ids[1:-1])
        learn(ids)

    monkeypatch.setattr(scorer._drafts, "learn", record)
    for limit in (20, most, most, most):
        written(scorer, replace(context, most=limit))
    whole, *texts = made
    assert all(len(ids) <= most and ids == whole[: len(ids)] for ids in texts)
