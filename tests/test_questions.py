"""Free questions of stage 2: every answer agrees with what its prompt holds."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audiollm.analysis import answers
from audiollm.audio.prosody import Cues
from audiollm.labels import LANGUAGES, Language
from audiollm.model.prompt import Prompt
from bench import questions as bench
from tests import tiny
from train.fit import questions
from train.fit.instructions import answer_ids, draw

CLASSES = ("angry", "fearful", "happy", "neutral", "sad", "bored")
HIGH = Cues(2.0, 300.0, 13.0, -20.0, 6.0, -4.0, 6.4, 0.02)
SLOW = Cues(2.0, 90.0, 2.0, -20.0, 6.0, -20.0, 2.0, 0.4)
SEEDS = st.integers(0, 2**31)


@settings(deadline=None, max_examples=300)
@given(
    SEEDS, st.sampled_from(CLASSES), st.sampled_from([HIGH, SLOW, None]), st.sampled_from(LANGUAGES)
)
def test_no_answer_loses_a_sentence_to_the_check(
    seed: int, label: str, cues: Cues | None, language: Language
) -> None:
    """What the LLM is taught passes the check that its answers go through."""
    rng = random.Random(seed)
    known = questions.probabilities(label, CLASSES, rng)
    asked, answer = questions.question(known, cues, language, rng)
    assert asked and "{" not in asked + answer
    assert answers.checked(answer, known, cues, language) == answer


@settings(deadline=None)
@given(SEEDS, st.integers(2, len(CLASSES)))
@example(1500, 3)
def test_probabilities_are_ranked_and_sum_to_one(seed: int, count: int) -> None:
    label, classes = CLASSES[0], CLASSES[:count]
    known = questions.probabilities(label, classes, random.Random(seed))
    assert sum(known.values()) == pytest.approx(1)
    assert list(known.values()) == sorted(known.values(), reverse=True)
    assert set(known) == set(classes) and label in list(known)[:2]
    assert min(known.values()) >= 0


def test_the_first_token_says_whether_a_question_is_declined() -> None:
    for language, opening in (("en", "I "), ("zh", "我")):
        for kind, part in questions._sentences(language).items():
            for answer in part.get("answers", []):
                assert answer.startswith(opening) == (kind in questions.DECLINED), answer


def test_every_kind_is_drawn() -> None:
    rng = random.Random(0)
    known = questions.probabilities("angry", CLASSES, rng)
    drawn = {questions.question(known, HIGH, "en", rng) for _ in range(3000)}
    assert len({asked for asked, _ in drawn}) > 80
    assert len({answer for _, answer in drawn}) > 30


def test_a_share_of_the_examples_is_free_questions() -> None:
    clips = [("angry", HIGH), ("sad", SLOW)] * 100
    drawn = draw(clips, tiny.CLASSES, 2, LANGUAGES, 4, 3, 0.0, 0.4)
    made = [i for instructions in drawn for i in instructions]
    free = [i for i in made if i.kind == "free"]
    assert len(free) / len(made) == pytest.approx(0.4, abs=0.05)
    prompt = Prompt(tiny.tokenizer(), tiny.CLASSES)
    for i in free[:20]:
        assert i.question and i.shows_cues and not i.label
        assert answer_ids(prompt, i)[-1] == prompt.end


@pytest.mark.parametrize(
    ("answer", "kind", "broken"),
    [
        ("The voice sounds angry.", "class", []),
        ("The voice sounds happy.", "advice", ["contradiction"]),
        ("The pitch is low.", "pitch_hz", ["contradiction"]),
        ("The pitch is high.", "pitch_hz", []),
        ("The pitch is high.", "cue", []),
        ("The pitch is high.", "tempo_hz", ["not to the point"]),
        ("The pitch is high.", "class", ["not to the point"]),
        ("The voice sounds angry.", "cue", ["not to the point"]),
        ("The voice sounds angry.", "probability", ["not to the point"]),
        ("It sounds angry, with 70%.", "probability", []),
        ("It sounds angry, with 70%.", "other", ["not to the point"]),
        ("happy comes second, with 20%.", "other", []),
        ("I cannot tell who is speaking.", "decline", []),
        ("I cannot tell who is speaking.", "class", ["refusal"]),
        ("The voice sounds angry.", "decline", ["no refusal"]),
        ("It sounds angry. It sounds angry.", "class", ["repetition", "contradiction"]),
        ("听起来生气。", "class", ["language"]),
        ("", "class", ["no answer"]),
    ],
)
def test_the_bench_judges_by_rules(answer: str, kind: bench.Kind, broken: list[str]) -> None:
    known = {"angry": 0.7, "happy": 0.2, "sad": 0.1}
    assert bench.judged(answer, kind, known, HIGH, "en") == broken


def test_the_bench_asks_thirty_questions_in_each_language_that_training_does_not() -> None:
    listed = bench.read_questions()
    assert [lang for lang, *_ in listed].count("zh") == 30 == len(listed) / 2
    parts = [part for lang in LANGUAGES for part in questions._sentences(lang).values()]
    taught = {question for part in parts for question in part.get("questions", [])}
    assert not taught & {question for *_, question in listed}
