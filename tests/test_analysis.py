"""Whatever the probabilities, the cues and the LLM's words: what is shown is true."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiollm.analysis import certainty, claims, composition, references, wording
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
@pytest.mark.parametrize("label", CLASSES)
@pytest.mark.parametrize("style", [0, 1])
def test_the_llms_sentence_names_the_class_and_nothing_is_said_twice(
    label: str, style: int, language: Language
) -> None:
    raw = instructions.analysis(label, LOUD, language, style)
    table = {**dict.fromkeys(CLASSES, 0.01), label: 0.96}
    parts, text = shown(raw, language, table)
    assert not parts.corrections and not parts.added and not parts.dropped
    assert parts.prose
    named = [s.names for s in claims.parse(text, CLASSES, language) if s.names]
    assert named == [{label}]
    assert text.count(word(label, language)) == 1
    stated = [s.cue for found in claims.parse(text, CLASSES, language) for s in found.stated]
    assert len(stated) == len(set(stated))


@pytest.mark.parametrize("language", LANGUAGES)
def test_figures_of_the_bars_and_the_table_are_not_in_the_text(language: Language) -> None:
    for table in (SURE, UNSURE):
        text = shown("", language, table)[1]
        assert not any(sign.isdigit() for sign in text)


@pytest.mark.parametrize(
    ("language", "table", "first"),
    [
        ("en", SURE, "Very likely: the voice sounds angry."),
        ("zh", SURE, "把握很大：这段声音听起来生气。"),
        ("en", UNSURE, "Uncertain: angry, happy or neutral."),
        ("zh", UNSURE, "不确定：生气、开心或中性。"),
        ("en", {"angry": 0.72, "happy": 0.25}, "Likely: the voice sounds angry; it could also be"),
        ("en", {"angry": 0.40, "happy": 0.06}, "Uncertain: perhaps angry."),
    ],
)
def test_the_opening_as_a_person_reads_it(
    language: Language, table: dict[str, float], first: str
) -> None:
    raw = "这段声音听起来生气。" if language == "zh" else "The voice sounds angry."
    assert shown(raw, language, table)[1].startswith(first)


# --- what it states wrongly, leaves out, or makes up


def test_wrong_statements_are_replaced_and_missing_ones_added() -> None:
    parts, text = shown(
        "The voice sounds angry. Evidence: pitch low, tempo medium. Intensity: mild."
    )
    assert [(c.cue, c.stated, c.measured) for c in parts.corrections] == [
        ("pitch_hz", "low", "high"),
    ]
    assert parts.added == ("brightness_db", "pause_share", "pitch_range_st")
    assert "low pitch" not in text


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("The voice sounds happy.", False),
        ("The voice sounds angry and calm.", False),  # an emotion that this model has no class for
        ("The voice does not sound angry.", False),
        ("The person expresses anger.", True),
        ("The speaker sounds angry, with a high pitch.", False),  # the evidence says it
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
    assert (raw[1:] in text) == kept == bool(parts.prose)
    assert text.startswith("Very likely: ")


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("说话人的声音显得非常生气。", True),
        ("这段声音听起来不生气。", False),
        ("这段声音听起来很平静。", False),
        ("说话人很生气，音高偏高。", False),
        ("说话人很生气，语速很快。", False),
        ("她听起来生气，在哭。", False),
        ("The voice sounds angry.", False),
    ],
)
def test_free_chinese_text_is_held_to_the_same(raw: str, kept: bool) -> None:
    parts, text = shown(raw, "zh")
    assert (raw in text) == kept == bool(parts.prose)


def test_only_the_first_sentence_names_the_class() -> None:
    parts, text = shown("The voice sounds angry. Or perhaps happy. The person sounds angry.")
    assert parts.prose == "The voice sounds angry."
    assert len(parts.dropped) == 2
    assert text.count("angry") == 1 and "happy" not in text


def test_of_two_class_words_the_longer_is_read() -> None:
    (found,) = claims.parse("It sounds very sad.", ("sad", "very sad"), "en")
    assert found.names == {"very sad"}


def test_an_uncertain_answer_is_never_stated_outright() -> None:
    parts, text = shown("The voice sounds angry.", probabilities=UNSURE)
    assert parts.prose == ""
    assert text.startswith("Uncertain: angry, happy or neutral.")


@pytest.mark.parametrize(
    ("top", "said"),
    [
        ((0.95, 0.05), "very likely"),
        ((0.9, 0.1), "very likely"),
        ((0.7, 0.3), "likely"),
        ((0.6, 0.2), "more likely than not"),
        ((0.56, 0.42), "uncertain"),  # the lead is too small
        ((0.49, 0.1), "uncertain"),
        ((0.896, 0.05), "very likely"),  # 90%, as it is shown
        ((0.894, 0.05), "likely"),
        ((0.656, 0.3), "likely"),
        ((0.496, 0.1), "more likely than not"),
    ],
)
def test_certainty_in_words(top: tuple[float, float], said: str) -> None:
    rest = 1 - sum(top)
    known = composition.measured(
        {"angry": top[0], "sad": top[1], "a": rest / 2, "b": rest / 2}, LOUD, "en"
    )
    assert known.certainty == said


@settings(deadline=None)
@given(st.floats(0.3, 1), st.floats(0.3, 1))
def test_one_figure_never_has_two_words(first: float, second: float) -> None:
    """Whatever the others are, as long as they are far behind."""
    words = {
        wording.percent(best): certainty.level({"angry": best, "sad": 0.0})
        for best in (first, second)
    }
    if wording.percent(first) == wording.percent(second):
        assert len({certainty.level({"angry": p}) for p in (first, second)}) == 1
    assert len(words) <= 2


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
    for lead in ("Evidence", "Usual"):
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


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("hz", [150.0, 160.0, 165.0, 170.0, 176.0])
def test_a_pitch_between_the_registers_is_neither_high_nor_low(
    hz: float, language: Language
) -> None:
    parts, text = shown("", language, cues=replace(CALM, pitch_hz=hz))
    assert parts.levels["pitch_hz"] == "mid" and not parts.cautions
    pitch = next(r for r in REFERENCES if r.cue == "pitch_hz")
    assert pitch.name(language) not in text
    assert parts.evidence[0].said not in [pitch.word(level, language) for level in prosody.LEVELS]


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: r.cue)
def test_a_cue_at_the_edge_of_its_range_is_usual(reference: prosody.Reference) -> None:
    low, high = reference.high
    inside = references.MARGIN * (high - low) * 0.9
    voice = replace(LOUD, pitch_hz=220.0)
    for edge in (low - inside, high + inside):
        parts, _ = shown("", cues=replace(voice, **{reference.cue: edge}))
        assert parts.levels[reference.cue] == "mid"
    parts, _ = shown("", cues=replace(voice, **{reference.cue: high + 2 * inside}))
    assert parts.levels[reference.cue] == "high"


# --- a person's own voice


def test_a_persons_own_range_lies_around_their_median() -> None:
    clips = [replace(CALM, pitch_hz=hz) for hz in (100.0, 110.0, 200.0)]
    own = references.by_speaker(clips)
    assert own is not None and own.clips == 3
    assert own.ranges["pitch_hz"] == (110 - 24, 110 + 24)
    assert own.ranges["pause_share"][0] == 0.0
    known = composition.measured(SURE, clips[2], "en", None, own)
    assert known.levels["pitch_hz"] == "high"
    pitch = known.evidence[0]
    assert (pitch.value, pitch.low, pitch.high) == (200, 86, 134)
    assert "this speaker's own median over 3 clips" in wording.usual(known.basis, "en")
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
    opening, *read = claims.parse(text, CLASSES, language)
    assert opening.kind == "certainty" and label in opening.names
    assert opening.names == {label, *parts.others}
    assert not any(sentence.stated for sentence in read)  # nothing was measured to carry it
    for sentence in read:
        assert sentence.kind in ("evidence", "note") and not sentence.names
    best, second = sorted(map(certainty.percents, table.values()), reverse=True)[:2]
    unsure = certainty.WORDS[language][0]
    assert text.lower().startswith(unsure) == (best < 50 or best - second < 15)
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
        assert parts.prose == f"声音听起来{read}。"
        assert text.startswith(f"把握很大：声音听起来{read}。") and trained not in text
