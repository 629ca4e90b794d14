"""The sentences of an analysis in both languages. Their content is decided in composition.py, and
claims.py can parse them."""

from collections.abc import Iterable, Mapping, Sequence

from audiollm.analysis.claims import (
    CAUTION,
    CERTAINTY,
    EVIDENCE,
    USUAL,
    WITHIN,
)
from audiollm.analysis.references import Basis
from audiollm.analysis.types import Analysis, Evidence
from audiollm.labels import Language, word
from audiollm.model.prompt import SEPARATOR
from audiollm.texts import text

SHARE = "of the time"  # the unit of a cue that is a share
UNITS_ZH = {
    "Hz": "赫兹",
    "semitones": "半音",
    "dB": "分贝",
    "syllables/s": "音节/秒",
    SHARE: "的时间",
}

GUESS = {"short", "little_voice", "flat"}  # after these the answer itself is a guess


def opening(label: str, language: Language) -> str:
    """What an analysis begins with: the class, as a sentence."""
    name = word(label, language)
    return name[:1].upper() + name[1:] + SEPARATOR[language]


def paragraph(sentences: Iterable[str], language: Language) -> str:
    """Sentences one after another; empty ones are left out."""
    return ("" if language == "zh" else " ").join(filter(None, sentences))


def percent(share: float) -> str:
    """A share in [0, 1] as `83%`; what is not certain never reads 0% or 100%."""
    if 0 < share < 0.01:
        return "<1%"
    if 0.99 < share < 1:
        return ">99%"
    return f"{share:.0%}"


def number(value: float, share: bool, more: int = 0) -> str:
    """Digits that the measurement carries: `183`, `4.8`, `−7.5`, `9%`; `more` adds some."""
    if share:
        return f"{value:.{more}%}"
    return f"{value:.{more + (abs(value) < 50)}f}".replace("-", "−")


def join(words: Sequence[str], language: Language, last: str = "and") -> str:
    """`a, b and c`; `a、b、c`."""
    if language == "zh":
        return ("或" if last == "or" else "、").join(words)
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def certainty(known: Analysis, language: Language) -> str:
    """How sure the answer is, in words and per cent, and what else it could be."""
    words = CERTAINTY[language][CERTAINTY["en"].index(known.certainty)]
    if language == "zh":
        others = [f"{word(n, 'zh')}（{percent(p)}）" for n, p in known.others.items()]
        also = f"，也可能是{join(others, 'zh', 'or')}" if others else ""
        return f"{words}（{percent(known.probability)}）{also}。"
    others = [f"{word(n, 'en')} ({percent(p)})" for n, p in known.others.items()]
    also = f"; it could also be {join(others, 'en', 'or')}" if others else ""
    return f"{words.capitalize()} ({percent(known.probability)}){also}."


def caution(kinds: Mapping[str, str], language: Language) -> str:
    """All cautions as one sentence; "" without any."""
    if not kinds:
        return ""
    joined = ("；" if language == "zh" else "; ").join(kinds.values())
    end = "caution_guess" if GUESS & set(kinds) else "caution_end"
    return CAUTION[language] + joined + text(end, language)


def evidence(cues: Iterable[Evidence], language: Language) -> str:
    """The cues outside their range with both figures, then the names of those inside."""
    outside = [_cue(e, language) for e in cues if e.level != "mid"]
    inside = [e.name for e in cues if e.level == "mid"]
    lines = []
    if outside:
        lines.append(EVIDENCE[language] + (", " if language == "en" else "、").join(outside))
    if inside:
        lines.append(WITHIN[language] + join(inside, language))
    end = "。" if language == "zh" else "."
    return paragraph((line + end for line in lines), language)


def _cue(e: Evidence, language: Language) -> str:
    share, end = e.unit == SHARE, e.low if e.level == "low" else e.high
    # a value just outside its range must not read as if it were on the edge
    more = next((m for m in range(4) if number(e.value, share, m) != number(end, share, m)), 4)
    value = number(e.value, share, more)
    low, high = (number(x, share, more if x == end else 0) for x in (e.low, e.high))
    if language == "zh":
        unit = "" if share else f" {UNITS_ZH[e.unit]}"
        return f"{e.name}{e.said}（{value}{unit}，常见 {low} 至 {high}）"
    return f"{e.said} {e.name} ({value} {e.unit}; usual {low} to {high})"


def usual(basis: Basis | None, language: Language) -> str:
    """What the cues are relative to; "" where none was measured."""
    if basis is None:
        return ""
    if basis.kind == "speaker":
        return USUAL[language] + text("usual_speaker", language, clips=basis.clips)
    return USUAL[language] + text(f"usual_{basis.register}", language)
