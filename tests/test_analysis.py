"""Whatever the probabilities, the cues and the LLM's words: what is shown is true."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiollm.analysis import certainty, claims, composition, references, wording
from audiollm.analysis.types import Analysis, Voice
from audiollm.audio import prosody
from audiollm.audio.prosody import REFERENCES, Cues
from audiollm.labels import LANGUAGES, Language

CLASSES = ("angry", "fearful", "happy", "neutral", "sad")
LOUD = Cues(2.0, 341.0, 10.8, -15.0, 20.0, -0.6, 5.3, 0.15)
CALM = Cues(2.0, 120.0, 7.0, -20.0, 15.0, -12.0, 5.0, 0.02)
SURE = {"angry": 0.93, "fearful": 0.02, "happy": 0.03, "neutral": 0.01, "sad": 0.01}
UNSURE = {"angry": 0.41, "fearful": 0.02, "happy": 0.39, "neutral": 0.13, "sad": 0.05}


def shown(
    language: Language = "en",
    probabilities: dict[str, float] | None = None,
    cues: Cues | None = LOUD,
    voice: Voice | None = None,
) -> tuple[Analysis, str]:
    known = composition.measured(probabilities or SURE, cues, language, voice)
    return composition.compose(known, "", CLASSES, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_figures_of_the_bars_and_the_table_are_not_in_the_text(language: Language) -> None:
    for table in (SURE, UNSURE):
        text = shown(language, table)[1]
        assert not any(sign.isdigit() for sign in text)


@pytest.mark.parametrize(
    ("language", "table", "first"),
    [
        ("en", SURE, "Very likely: the voice sounds angry."),
        ("zh", SURE, "把握很大：这段声音听起来生气。"),
        ("en", {"other": 0.95, "sad": 0.05}, "Very likely: other."),
        ("en", UNSURE, "Uncertain: angry, happy or neutral."),
        ("zh", UNSURE, "不确定：生气、开心或中性。"),
        ("en", {"angry": 0.72, "happy": 0.25}, "Likely: the voice sounds angry; it could also be"),
        ("en", {"angry": 0.40, "happy": 0.06}, "Uncertain: perhaps angry."),
    ],
)
def test_the_opening_as_a_person_reads_it(
    language: Language, table: dict[str, float], first: str
) -> None:
    assert shown(language, table)[1].startswith(first)


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


# --- what cannot be measured, and what to take lightly


def test_without_voice_nothing_is_claimed_of_it() -> None:
    nothing = Cues(2.0, None, None, -20.0, 3.0, -1.0, None, 0.0)
    parts, text = shown(cues=nothing)
    assert parts.evidence == () and parts.basis is None
    for lead in ("Evidence", "Usual"):
        assert lead not in text
    assert "too little voice to measure" in text
    assert "Evidence" not in shown(cues=None)[1]


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
    parts, text = shown(language, probabilities, cues, voice)
    assert set(parts.cautions) == {kind}
    assert parts.cautions[kind] in text
    assert "Caution" not in shown("en", SURE, LOUD, Voice(2.0, 1.5))[1]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("hz", [150.0, 160.0, 165.0, 170.0, 176.0])
def test_a_pitch_between_the_registers_is_neither_high_nor_low(
    hz: float, language: Language
) -> None:
    parts, text = shown(language, cues=replace(CALM, pitch_hz=hz))
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
        parts, _ = shown(cues=replace(voice, **{reference.cue: edge}))
        assert parts.levels[reference.cue] == "mid"
    parts, _ = shown(cues=replace(voice, **{reference.cue: high + 2 * inside}))
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


# --- anything at all


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


@settings(deadline=None, max_examples=80)
@given(probabilities(), st.none() | CUES, st.sampled_from(LANGUAGES))
def test_a_composed_text_is_true(
    table: dict[str, float], cues: Cues | None, language: Language
) -> None:
    parts, text = shown(language, table, cues)
    label = max(table, key=table.__getitem__)
    opening, *rest = claims.parse(text, CLASSES, language)
    assert opening.names == {label, *parts.others}
    assert not any(sentence.stated or sentence.names for sentence in rest)  # nothing carries it
    best, second = sorted(map(certainty.percents, table.values()), reverse=True)[:2]
    unsure = certainty.WORDS[language][0]
    assert text.lower().startswith(unsure) == (best < 50 or best - second < 15)
    json.dumps(parts.to_dict())
