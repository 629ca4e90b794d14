"""Whatever the probabilities, the cues and the LLM's words: what is shown is true."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiollm.analysis import claims, composition, references, wording
from audiollm.analysis.types import Analysis, Voice
from audiollm.audio import prosody
from audiollm.audio.prosody import REFERENCES, Cues
from audiollm.labels import LANGUAGES, Language, prompt_word, word
from audiollm.model.prompt import cue_words
from train.fit import instructions

CLASSES = ("angry", "fearful", "happy", "neutral", "sad")
LOUD = Cues(2.0, 341.0, 10.8, -15.0, 20.0, -0.6, 5.3, 0.15)
CALM = Cues(2.0, 120.0, 7.0, -20.0, 15.0, -12.0, 5.0, 0.02)
SURE = {"angry": 0.93, "fearful": 0.02, "happy": 0.03, "neutral": 0.01, "sad": 0.01}
UNSURE = {"angry": 0.41, "fearful": 0.02, "happy": 0.39, "neutral": 0.13, "sad": 0.05}


def shown(
    raw: str,
    language: Language = "en",
    probabilities: dict[str, float] | None = None,
    cues: Cues | None = LOUD,
    voice: Voice | None = None,
) -> tuple[Analysis, str]:
    known = composition.measured(probabilities or SURE, cues, language, voice)
    return composition.compose(known, raw, CLASSES, language)


# --- what the LLM was taught


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("label", CLASSES)
@pytest.mark.parametrize("style", [0, 1])
@pytest.mark.parametrize("cues", [LOUD, CALM])
def test_every_taught_answer_is_understood(
    label: str, language: Language, style: int, cues: Cues
) -> None:
    text = instructions.analysis(label, cues, language, style)
    opening, evidence, intensity = claims.parse(text, CLASSES, language)
    assert opening.kind == "prose" and opening.names == {label}
    assert not opening.loose and not opening.denies
    assert [s.cue for s in evidence.stated] == [r.cue for r in REFERENCES]
    assert all(s.agrees(prosody.levels(cues)) for s in evidence.stated)
    assert not evidence.loose
    assert intensity.kind == "intensity" and not intensity.loose
    bare = claims.parse(instructions.description(label, cues, language, style), CLASSES, language)
    assert [s.kind for s in bare] == ["prose", "evidence"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_right_answer_keeps_its_opening_and_gains_figures(language: Language) -> None:
    raw = instructions.analysis("angry", LOUD, language)
    parts, text = shown(raw, language)
    assert not parts.corrections and not parts.added and not parts.dropped
    assert parts.prose[0] in raw
    assert parts.prose[0] in text
    assert "341" in text and "177" in text and "263" in text
    assert "93%" in text


def test_the_english_text_as_a_person_reads_it() -> None:
    assert shown("The voice sounds angry.")[1] == (
        "Angry. Very likely (93%). The voice sounds angry. Evidence: high pitch (341 Hz; usual 177 "
        "to 263), bright timbre (−0.6 dB; usual −15.8 to −5.0), many pauses (15% of the time; "
        "usual 0% to 8%). Within the usual range: melody and tempo. Usual: the middle 80% of "
        "neutral speech in high voices, not this speaker's own voice."
    )


def test_the_chinese_text_as_a_person_reads_it() -> None:
    assert shown("", "zh", UNSURE)[1] == (
        "生气。不确定（41%），也可能是开心（39%）或中性（13%）。依据：音高偏高（341 赫兹，常见 "
        "177 至 263）、音色明亮（−0.6 分贝，常见 −15.8 至 −5.0）、停顿多（15%，常见 0% 至 "
        "8%）。在常见范围内：语调、语速。"
        "常见范围：音高较高的嗓音以中性语气说话时中间 80% 的数值，而非说话人本人平时的声音。"
    )


# --- what it states wrongly, leaves out, or makes up


def test_wrong_statements_are_replaced_and_missing_ones_added() -> None:
    parts, text = shown(
        "The voice sounds angry. Evidence: pitch low, tempo medium. Intensity: mild."
    )
    assert [(c.cue, c.stated, c.measured) for c in parts.corrections] == [
        ("pitch_hz", "low", "high"),
    ]
    assert parts.added == ("brightness_db", "pause_share", "pitch_range_st")
    assert "low pitch" not in text and "high pitch" in text


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("The voice sounds happy.", False),
        ("The voice sounds angry and calm.", False),  # an emotion that this model has no class for
        ("The voice does not sound angry.", False),
        ("The person expresses anger.", True),
        ("The speaker sounds angry, with a high pitch.", True),
        ("The speaker sounds angry, with a low pitch.", False),
        ("The pitch is high.", False),  # said better by the evidence
        ("The pitch is not high.", False),
        ("The pitch is high and the tempo is fast.", False),
        ("An angry voice, high and trembling.", False),
        ("It is 90 % angry.", False),
        ("She sounds angry.", False),
        ("It certainly sounds angry.", False),
        ("Someone talks about a journey.", False),  # nothing here that can be checked
        ("Caution: the voice sounds angry.", False),
        ("Usual: an angry voice.", False),
        ("The voice sounds angry", False),  # broken off
        ("这段声音听起来生气。", False),  # not the language that was asked for
    ],
)
def test_free_text_stays_only_if_all_of_it_is_borne_out(raw: str, kept: bool) -> None:
    parts, text = shown(raw)
    assert (raw in text) == kept == bool(parts.prose)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("说话人的声音显得非常生气。", True),
        ("这段声音听起来不生气。", False),
        ("这段声音听起来很平静。", False),
        ("说话人很生气，音高偏高。", True),
        ("说话人很生气，语速很快。", False),
        ("她听起来生气，在哭。", False),
        ("The voice sounds angry.", False),
    ],
)
def test_free_chinese_text_is_held_to_the_same(raw: str, kept: bool) -> None:
    parts, text = shown(raw, "zh")
    assert (raw in text) == kept == bool(parts.prose)


def test_nothing_behind_another_class_is_believed() -> None:
    raw = "The voice sounds angry. Or perhaps happy. The person sounds angry."
    parts, _ = shown(raw)
    assert parts.prose == ("The voice sounds angry.",)
    assert len(parts.dropped) == 2


def test_of_two_class_words_the_longer_is_read() -> None:
    (found,) = claims.parse("It sounds very sad.", ("sad", "very sad"), "en")
    assert found.names == {"very sad"}


def test_an_uncertain_answer_is_never_stated_outright() -> None:
    parts, text = shown("The voice sounds angry.", probabilities=UNSURE)
    assert parts.prose == ()
    assert text.startswith("Angry. Uncertain (41%); it could also be happy (39%) or neutral (13%).")


@pytest.mark.parametrize(
    ("top", "said"),
    [
        ((0.95, 0.05), "very likely"),
        ((0.9, 0.1), "very likely"),
        ((0.7, 0.3), "likely"),
        ((0.6, 0.2), "more likely than not"),
        ((0.56, 0.42), "uncertain"),  # the lead is too small
        ((0.49, 0.1), "uncertain"),
    ],
)
def test_certainty_in_words(top: tuple[float, float], said: str) -> None:
    rest = 1 - sum(top)
    known = composition.measured(
        {"angry": top[0], "sad": top[1], "a": rest / 2, "b": rest / 2}, LOUD, "en"
    )
    assert known.certainty == said


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_said_about_how_strong_an_emotion_is(language: Language) -> None:
    """There is no measure of it: the LLM's sentence is left out, in the parts as in the text."""
    parts, text = shown(instructions.analysis("angry", LOUD, language), language)
    assert "intensity" not in parts.to_dict()
    assert not any(s.kind == "intensity" for s in claims.parse(text, CLASSES, language))
    assert not any(word in text for word in instructions.INTENSITY[language])


# --- what cannot be measured, and what to take lightly


def test_without_voice_nothing_is_claimed_of_it() -> None:
    nothing = Cues(2.0, None, None, -20.0, 3.0, -1.0, None, 0.0)
    raw = "The voice sounds angry. Evidence: timbre bright, pitch high. Intensity: strong."
    parts, text = shown(raw, cues=nothing)
    assert parts.evidence == () and parts.basis is None
    assert [c.cue for c in parts.corrections][:1] == ["pitch_hz"]
    for lead in ("Evidence", "Within", "Usual"):
        assert lead not in text
    assert "too little voice to measure" in text
    assert "Evidence" not in shown(raw, cues=None)[1]


@pytest.mark.parametrize(
    ("voice", "probabilities", "cues", "kind"),
    [
        (Voice(0.8, 0.6), SURE, LOUD, "short"),
        (Voice(3.0, 0.3), SURE, LOUD, "little_voice"),
        (Voice(60.0, 40.0, 0.5), SURE, LOUD, "mixed"),
        (None, dict.fromkeys(CLASSES, 0.2), LOUD, "flat"),
        (None, SURE, replace(LOUD, pitch_hz=160.0), "between"),
        (None, SURE, replace(LOUD, pitch_hz=None), "unmeasured"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_reason_for_caution_is_said(
    voice: Voice | None,
    probabilities: dict[str, float],
    cues: Cues,
    kind: str,
    language: Language,
) -> None:
    parts, text = shown("", language, probabilities, cues, voice)
    assert set(parts.cautions) == {kind}
    assert parts.cautions[kind] in text
    assert "Caution" not in shown("", "en", SURE, LOUD, Voice(2.0, 1.5))[1]


def test_a_figure_never_reads_as_if_on_the_edge_of_its_range() -> None:
    text = shown("", cues=replace(LOUD, pitch_hz=263.2))[1]
    assert "high pitch (263.2 Hz; usual 177 to 263.0)" in text


# --- a person's own voice


def test_a_persons_own_range_lies_around_their_median() -> None:
    clips = [replace(CALM, pitch_hz=hz) for hz in (100.0, 110.0, 200.0)]
    own = references.by_speaker(clips)
    assert own is not None and own.clips == 3
    assert own.ranges["pitch_hz"] == (110 - 24, 110 + 24)
    assert own.ranges["pause_share"][0] == 0.0
    known = composition.measured(SURE, clips[2], "en", None, own)
    assert known.levels["pitch_hz"] == "high"
    text = composition.compose(known, "", CLASSES, "en")[1]
    assert "high pitch (200 Hz; usual 86 to 134)" in text
    assert "this speaker's own median over 3 clips" in text
    assert references.by_speaker(clips[:2]) is None
    assert references.by_speaker([*clips[:2], replace(CALM, pitch_hz=None)]) is None


def test_the_llm_is_judged_by_what_its_prompt_said() -> None:
    own = references.by_speaker([LOUD] * 3)
    known = composition.measured(SURE, LOUD, "en", None, own)
    parts, text = composition.compose(known, f"Evidence: {cue_words(LOUD, 'en')}.", CLASSES, "en")
    assert parts.corrections == ()
    assert set(parts.levels.values()) == {"mid"}
    assert "Evidence" not in text


# --- anything at all

FRAGMENTS = [
    *("The voice sounds angry. ", "The voice sounds sad. ", "Evidence: pitch low, tempo fast. "),
    *(
        "Intensity: strong. ",
        "Within the usual range: pitch. ",
        "The pitch is low. ",
        "pauses many",
    ),
    *(
        "Pitch high, timbre soft. ",
        "not",
        "\n",
        ".",
        "(",
        "Likely (99%). ",
        "Caution: x. ",
        " and ",
    ),
    *(
        "这段声音听起来生气。",
        "依据：音高偏低，语速偏快。",
        "强度：强烈。",
        "停顿多",
        "不",
        "。",
        "，",
    ),
    *("难过", "在常见范围内：音高。", "happy", "melody lively", "angry, with a low pitch. "),
]


@st.composite
def probabilities(draw: st.DrawFn) -> dict[str, float]:
    weights = draw(st.lists(st.floats(0.001, 1), min_size=len(CLASSES), max_size=len(CLASSES)))
    power = draw(st.sampled_from([1, 3, 12]))
    raised = [w**power + 1e-9 for w in weights]
    return dict(zip(CLASSES, (w / sum(raised) for w in raised), strict=True))


def some(low: float, high: float) -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(low, high)


CUES = st.builds(
    Cues,
    seconds=st.floats(0.1, 60),
    pitch_hz=some(65, 500),
    pitch_range_st=some(0, 30),
    loudness_db=st.floats(-90, 0),
    loudness_range_db=st.floats(0, 40),
    brightness_db=st.floats(-40, 20),
    tempo_hz=some(0, 12),
    pause_share=st.floats(0, 1),
)
TEXT = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=12), max_size=9).map("".join)


@settings(deadline=None, max_examples=80)
@given(probabilities(), st.none() | CUES, TEXT, st.sampled_from(LANGUAGES))
def test_any_text_becomes_a_true_one(
    table: dict[str, float], cues: Cues | None, raw: str, language: Language
) -> None:
    known = composition.measured(table, cues, language)
    parts, text = composition.compose(known, raw, CLASSES, language)
    label = max(table, key=table.__getitem__)
    head = wording.opening(label, language)
    assert text.startswith(head)
    read = claims.parse(text[len(head) :], CLASSES, language)
    levels = prosody.levels(cues) if cues and cues.pitch_hz is not None else {}
    stated = [s for sentence in read for s in sentence.stated]
    assert all(s.agrees(levels) for s in stated)
    assert {s.cue for s in stated} == set(levels)  # nothing left out, nothing made up
    for sentence in read:
        if sentence.kind == "certainty":
            assert sentence.names <= set(parts.others)
        else:
            assert sentence.names <= {label}
        assert sentence.kind != "intensity"
    best, second = sorted(table.values(), reverse=True)[:2]
    unsure = claims.CERTAINTY[language][0]
    assert (unsure in text.lower()) == (best < 0.5 or best - second < 0.15)
    assert wording.percent(best) in text
    json.dumps(parts.to_dict())


@settings(deadline=None, max_examples=30)
@given(probabilities(), CUES, TEXT, st.sampled_from(LANGUAGES))
def test_a_growing_text_takes_nothing_back(
    table: dict[str, float], cues: Cues, raw: str, language: Language
) -> None:
    known = composition.measured(table, cues, language)
    growing = [
        composition.compose(known, raw[:n], CLASSES, language, done=False)[1]
        for n in range(len(raw) + 1)
    ]
    growing.append(composition.compose(known, raw.strip(), CLASSES, language)[1])
    assert all(later.startswith(earlier) for earlier, later in pairwise(growing))


def test_people_read_other_chinese_words_than_the_llm_was_trained_on() -> None:
    for name, trained, read in (("neutral", "中立", "中性"), ("calm", "安静", "平静")):
        assert (prompt_word(name, "zh"), word(name, "zh")) == (trained, read)
        known = composition.measured({name: 0.95, "sad": 0.05}, None, "zh")
        parts, text = composition.compose(known, f"声音听起来{trained}。", (name, "sad"), "zh")
        assert parts.prose == (f"声音听起来{read}。",)
        assert text.startswith(f"{read}。") and trained not in text
