"""What the LLM is taught to say follows from label and measured cues, and from a seed."""

import random

import pytest

from audiollm.audio.prosody import Cues
from audiollm.labels import LANGUAGES, Language, prompt_word
from audiollm.model.prompt import Prompt, cue_words
from tests import tiny
from train.fit.instructions import INTENSITY, analysis, answer_ids, draw, instruct, intensity

USUAL = Cues(2.0, 120.0, 7.0, -20.0, 15.0, -12.0, 5.0, 0.02)
HIGH = Cues(2.0, 400.0, 15.0, -20.0, 15.0, -1.0, 7.5, 0.02)
CLIPS = [("angry", HIGH), ("sad", USUAL), ("happy", None)] * 20


def test_intensity_counts_cues_outside_their_range() -> None:
    assert intensity(USUAL) == 0
    assert intensity(HIGH) == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_analysis_names_class_evidence_and_intensity(language: Language) -> None:
    text = analysis("angry", HIGH, language)
    assert prompt_word("angry", language) in text
    assert cue_words(HIGH, language) in text
    assert INTENSITY[language][2] in text


def test_without_cues_nothing_is_claimed() -> None:
    assert "Evidence" not in analysis("sad", None, "en")
    rng = random.Random(0)
    assert instruct("sad", None, tiny.CLASSES, "intensity", "en", rng) is None


def test_evidence_is_asked_for_only_where_the_prompt_shows_it() -> None:
    rng = random.Random(1)
    for _ in range(50):
        made = instruct("angry", HIGH, tiny.CLASSES, "analyse", "en", rng)
        assert made is not None
        assert ("Evidence" in made.text) == made.shows_cues


@pytest.mark.parametrize("stage", [1, 2])
def test_the_same_seed_draws_the_same_list(stage: int) -> None:
    one = draw(CLIPS, tiny.CLASSES, stage, LANGUAGES, 4, seed=3)
    assert one == draw(CLIPS, tiny.CLASSES, stage, LANGUAGES, 4, seed=3)
    assert one != draw(CLIPS, tiny.CLASSES, stage, LANGUAGES, 4, seed=4)
    assert all(len(drawn) == 4 for drawn in one)
    assert {i.language for drawn in one for i in drawn} == set(LANGUAGES)
    kinds = {i.kind for drawn in one for i in drawn}
    assert kinds == (
        {"describe"} if stage == 1 else {"analyse", "classify", "describe", "yes_no", "intensity"}
    )


def test_yes_and_no_are_true() -> None:
    rng = random.Random(2)
    for _ in range(50):
        made = instruct("sad", USUAL, tiny.CLASSES, "yes_no", "en", rng)
        assert made is not None
        assert made.text.startswith("Yes") == (made.candidate == "sad")
        assert "sounds sad" in made.text


def test_answers_start_with_the_class_and_end() -> None:
    prompt = Prompt(tiny.tokenizer(), tiny.CLASSES)
    for drawn in draw(CLIPS, tiny.CLASSES, 2, LANGUAGES, 6, seed=0):
        for i in drawn:
            ids = answer_ids(prompt, i)
            assert ids[-1] == prompt.end
            if i.label:
                label = prompt.label(i.label, i.language)
                assert ids[: len(label)] == label


@pytest.mark.parametrize("stage", [1, 2])
def test_a_share_of_the_examples_ends_after_the_class_word(stage: int) -> None:
    """They cost a fifth, and ask what is asked when a clip is scored."""
    drawn = draw(CLIPS * 200, tiny.CLASSES, stage, LANGUAGES, 4, seed=3, class_only=0.5)
    made = [i for instructions in drawn for i in instructions]
    short = [i for i in made if i.class_only]
    assert len(short) / len(made) == pytest.approx(0.5, abs=0.05)
    assert {i.kind for i in short} == {"analyse"}
    assert any(i.shows_cues for i in short) == (stage == 2)
    prompt = Prompt(tiny.tokenizer(), tiny.CLASSES)
    assert all(answer_ids(prompt, i) == prompt.label(i.label, i.language) for i in short)
    firsts = Prompt(tiny.tokenizer(), tiny.CLASSES, first_tokens=True)
    assert all(answer_ids(firsts, i) == answer_ids(prompt, i)[:1] for i in short)
    again = draw(CLIPS * 20, tiny.CLASSES, stage, LANGUAGES, 4, 3, 0.5, scored_cues=False)
    assert not any(i.shows_cues for each in again for i in each if i.class_only)
