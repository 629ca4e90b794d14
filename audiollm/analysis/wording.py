"""The composed sentences of an analysis in both languages, which stand in where the LLM wrote none
that holds. Their content is decided in composition.py."""

from collections.abc import Iterable, Mapping, Sequence

from audiollm.analysis import certainty
from audiollm.analysis.certainty import percents
from audiollm.analysis.facts import UNNAMED, clock
from audiollm.analysis.references import Basis
from audiollm.analysis.types import Analysis
from audiollm.labels import Language, capital, word
from audiollm.texts import text

EVIDENCE: dict[Language, str] = {"en": "Evidence: ", "zh": "依据："}
CAUTION: dict[Language, str] = {"en": "Caution: ", "zh": "注意："}
SHARE = "of the time"  # the unit of a cue that is a share
GUESS = {"short", "little_voice", "flat"}  # after these the answer itself is a guess


def opening(analysis: Analysis, language: Language) -> str:
    """How certain the answer is, the class, and what else it could be, as one sentence; or the
    course of the recording."""
    colon, stop = ("：", "。") if language == "zh" else (": ", ".")
    if analysis.course:
        parts = [
            text(
                "course_later" if i else "course_first",
                language,
                name=word(name, language),
                time=clock(start),
            )
            for i, (start, name) in enumerate(analysis.course)
        ]
        return capital(("，" if language == "zh" else ", ").join(parts)) + stop
    level = certainty.WORDS["en"].index(analysis.certainty)
    last = "或" if language == "zh" else "or"
    others = [word(name, language) for name in analysis.others]
    name = word(analysis.label, language)
    if level:
        answer = name if analysis.label in UNNAMED else text("sounds", language, name=name)
        answer += text("also", language, others=join(others, language, last)) if others else ""
    else:
        answer = (
            join([name, *others], language, last) if others else text("only", language, name=name)
        )
    return f"{certainty.word(level, language)}{colon}{answer}{stop}"


def paragraph(sentences: Iterable[str], language: Language) -> str:
    """Sentences one after another; empty ones are left out."""
    return ("" if language == "zh" else " ").join(filter(None, sentences))


def percent(share: float) -> str:
    """A share in [0, 1] as `83%`; what is not certain never reads 0% or 100%."""
    if 0 < share < 0.01:
        return "<1%"
    if 0.99 < share < 1:
        return ">99%"
    return f"{percents(share)}%"


def number(value: float, share: bool) -> str:
    """Digits that the measurement carries: `183`, `4.8`, `−7.5`, `9%`."""
    if share:
        return percent(value)
    return f"{value:.{int(abs(value) < 50)}f}".replace("-", "−")


def join(words: Sequence[str], language: Language, last: str = "and") -> str:
    """`a, b and c`; `a、b、c`, in Chinese `a、b或c` where `last` is 或 or 还是."""
    if language == "zh":
        return "、".join(words if last == "and" else [*words[:-2], last.join(words[-2:])])
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def caution(kinds: Mapping[str, str], language: Language) -> str:
    """All cautions as one sentence; "" without any."""
    if not kinds:
        return ""
    joined = ("；" if language == "zh" else "; ").join(kinds.values())
    end = "caution_guess" if GUESS & set(kinds) else "caution_end"
    return CAUTION[language] + joined + text(end, language)


def evidence(analysis: Analysis, language: Language) -> str:
    """The cues and the seconds that the answer rests on; "" where it is uncertain, or nothing was
    tried. Figures of the cues stand in a table."""
    if not analysis.occlusion or analysis.certainty == certainty.WORDS["en"][0]:
        return ""
    cues, decisive = analysis.carrying, analysis.decisive
    if not cues and not decisive:
        return text("evidence_none", language)
    sentence = ""
    if cues and language == "zh":
        sentence = EVIDENCE["zh"] + join([e.name + e.said for e in cues], "zh") + "。"
    elif cues:
        sentence = EVIDENCE["en"] + join([f"{e.said} {e.name}" for e in cues], "en") + "."
    times = [text("range", language, low=f"{a:.1f}", high=f"{b:.1f}") for a, b in decisive]
    spans = text("decisive", language, spans=join(times, language)) if times else ""
    return paragraph([sentence, spans], language)


def usual(basis: Basis | None, language: Language) -> str:
    """What the cues in a table are relative to; "" where none was measured."""
    if basis is None:
        return ""
    if basis.kind == "speaker":
        return text("usual_speaker", language, clips=basis.clips)
    return text(f"usual_{basis.register}", language)
