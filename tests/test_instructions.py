"""What the LLM is taught to say follows from label and measured cues, and from a seed."""

import random

import pytest

from audiollm.audio.prosody import Cues
from audiollm.labels import LANGUAGES, Language
from audiollm.model.prompt import Prompt, cue_words
from tests import tiny
from train.fit.instructions import answer_ids, description, draw, instruct, layout

USUAL = Cues(2.0, 120.0, 7.0, -20.0, 15.0, -12.0, 5.0, 0.02)
HIGH = Cues(2.0, 400.0, 15.0, -20.0, 15.0, -1.0, 7.5, 0.02)
CLIPS = [("angry", HIGH), ("sad", USUAL), ("happy", None)] * 20


def test_without_cues_nothing_is_claimed() -> None:
    assert cue_words(HIGH, "en").capitalize() in description("angry", HIGH, "en")
    assert "pitch" not in description("sad", None, "en").lower()


def test_cues_are_asked_for_only_where_the_prompt_shows_them() -> None:
    rng = random.Random(1)
    for _ in range(50):
        made = instruct("angry", HIGH, tiny.CLASSES, "analyse", "en", rng)
        assert made is not None
        assert ("Pitch high" in made.text) == made.shows_cues


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_is_written_from_facts_without_audio(language: Language) -> None:
    rng, prompt = random.Random(1), Prompt(tiny.tokenizer(), tiny.CLASSES)
    made = instruct("angry", HIGH, tiny.CLASSES, "report", language, rng)
    assert made is not None and made.facts and made.words and made.label == ""
    around = layout(prompt, made, HIGH)
    assert around == prompt.report(made.facts.line(made.words), language)
    assert instruct("other", HIGH, ("angry", "other"), "report", language, rng) is None


@pytest.mark.parametrize("stage", [1, 2])
def test_the_same_seed_draws_the_same_list(stage: int) -> None:
    one = draw(CLIPS, tiny.CLASSES, stage, LANGUAGES, 4, seed=3)
    assert one == draw(CLIPS, tiny.CLASSES, stage, LANGUAGES, 4, seed=3)
    assert one != draw(CLIPS, tiny.CLASSES, stage, LANGUAGES, 4, seed=4)
    assert all(len(drawn) == 4 for drawn in one)
    assert {i.language for drawn in one for i in drawn} == set(LANGUAGES)
    kinds = {i.kind for drawn in one for i in drawn}
    assert kinds == (
        {"describe"} if stage == 1 else {"analyse", "classify", "describe", "yes_no", "report"}
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
