"""The text of an answer: what the LLM wrote, as far as the measurement bears it out.

Class, probability, cues, and what the answer rests on are known before the LLM writes a word
(`measured`), and its prompt states them (facts.py). `compose` cuts every sentence that claims
something else (prose.py); composed sentences stand in for what then is missing. docs/analysis.md
explains every part and threshold.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from audiollm.analysis import certainty, claims, prose, wording
from audiollm.analysis.facts import Facts
from audiollm.analysis.prose import Claims
from audiollm.analysis.references import Basis, by_register
from audiollm.analysis.types import Analysis, Evidence, Voice
from audiollm.audio.prosody import REFERENCES, Cues
from audiollm.labels import Language, prompt_word, word
from audiollm.texts import text

NOT_NEGLIGIBLE = (
    10  # per cent; a class below it is named less often than chance among ten would have it
)
OTHERS = 2  # runners-up named at most
SENTENCES = 3  # of the LLM, shown at most
FLAT = 0.6  # the two likeliest together below this: in two of five such clips it is neither
SHORT = 1.0  # s of sound above a pause; the shortest of 120 clips of EmoDB has 1.25
VOICED = 0.4  # voiced share of that sound; the least of these clips has 0.47, noise about 0
MIXED = 0.7  # below this share of agreeing windows the parts of a long sound differ


def measured(
    probabilities: Mapping[str, float],
    cues: Cues | None,
    language: Language,
    voice: Voice | None = None,
    basis: Basis | None = None,
) -> Analysis:
    """What is known before the LLM writes. `basis` replaces the ranges of the register."""
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])
    label, best = ranked[0]
    basis = basis or by_register(cues)
    evidence = _evidence(cues, basis, language) if cues and basis else ()
    return Analysis(
        label=label,
        certainty=certainty.WORDS["en"][certainty.level(probabilities)],
        probability=best,
        others={n: p for n, p in ranked[1 : 1 + OTHERS] if certainty.percents(p) >= NOT_NEGLIGIBLE},
        evidence=evidence,
        cautions=_cautions([p for _, p in ranked], cues, voice, basis, language),
        basis=basis,
        voice=voice,
    )


@dataclass
class _Checked:
    """The sentences of the LLM, and what those that are shown say."""

    sentences: list[str] = field(default_factory=list)
    start: list[str] | None = None  # those before the first that is dropped; None: none is
    dropped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    parts: set[str] = field(default_factory=set)
    evidence: bool = False

    def add(self, sentence: str, claimed: Claims) -> None:
        self.sentences.append(sentence)
        self.parts |= claimed.parts
        self.evidence |= bool(claimed.cues or claimed.spans or claimed.none)
        if claimed.cautions:
            self.warnings.append(sentence)


def compose(
    analysis: Analysis, raw: str, labels: Sequence[str], language: Language, done: bool = True
) -> tuple[Analysis, str]:
    """What is known with what the LLM wrote, and the text to show; `raw` "": composed alone.

    While the LLM writes (`done` False) the text holds its complete sentences, none before the one
    that names the class; every text begins with the one before.
    """
    checked = _checked(analysis, raw, labels, language, done)
    shown = [_as_read(sentence, labels, language) for sentence in checked.sentences]
    warnings = [_as_read(sentence, labels, language) for sentence in checked.warnings]
    if done:
        course = bool(shown and analysis.course)  # says how the parts differ
        remaining = {
            kind: reason
            for kind, reason in analysis.cautions.items()
            if kind not in checked.parts and not (course and kind in ("mixed", "flat"))
        }
        missing = wording.caution(remaining, language)
        shown = shown or [wording.opening(analysis, language)]
        if not (checked.evidence or analysis.course):
            shown += [wording.evidence(analysis, language)]
        shown += [missing]
        warnings += [missing] if missing else []
    composed = replace(
        analysis,
        prose=wording.paragraph(checked.sentences, language),
        dropped=tuple(checked.dropped),
        warnings=tuple(warnings),
    )
    return composed, wording.paragraph(shown, language)


def _checked(
    analysis: Analysis, raw: str, labels: Sequence[str], language: Language, done: bool
) -> _Checked:
    """Each thing is said once, and class or course first."""
    facts, checked = Facts.of(analysis), _Checked()
    for sentence in claims.parse(raw, labels, language, done):
        part = prose.read(sentence.text, tuple(labels), language)
        fits = facts is not None and part.agree(facts, language) and not part.parts & checked.parts
        if facts and not checked.sentences:
            fits = fits and bool(part.times if facts.course else facts.label in part.names)
        if fits and len(checked.sentences) < SENTENCES:
            checked.add(sentence.text, part)
        else:
            if checked.start is None and len(checked.sentences) < SENTENCES:
                checked.start = checked.sentences.copy()
            checked.dropped.append(sentence.text)
    return checked


def first_untrue(
    analysis: Analysis, raw: str, labels: Sequence[str], language: Language, done: bool = True
) -> tuple[str, str] | None:
    """The first sentence that is not shown, after the text before it; None where all are shown."""
    checked = _checked(analysis, raw, labels, language, done)
    if checked.start is None:
        return None
    return wording.paragraph(checked.start, language), checked.dropped[0]


def _as_read(sentence: str, labels: Sequence[str], language: Language) -> str:
    """With the words for classes that people read, and one conjunction in a Chinese list."""
    for name in labels:
        sentence = sentence.replace(prompt_word(name, language), word(name, language))
    if language == "zh":
        words = "|".join(re.escape(word(name, language)) for name in labels)
        sentence = re.sub(rf"({words})([和与])(?=(?:{words})\2(?:{words}))", r"\1、", sentence)
    return sentence


def _evidence(cues: Cues, basis: Basis, language: Language) -> tuple[Evidence, ...]:
    evidence = []
    for r in REFERENCES:
        value = getattr(cues, r.cue)
        if value is None:
            continue
        level, (low, high) = basis.level(r.cue, value), basis.ranges[r.cue]
        words = basis.describe(r, value, language)
        evidence.append(Evidence(r.cue, r.name(language), level, words, value, r.unit, low, high))
    return tuple(evidence)


def _cautions(
    ranked: Sequence[float],
    cues: Cues | None,
    voice: Voice | None,
    basis: Basis | None,
    language: Language,
) -> dict[str, str]:
    """Reasons for low confidence in the answer, by kind."""
    cautions: dict[str, dict[str, str]] = {}
    if voice and voice.active < SHORT:
        cautions["short"] = {"seconds": f"{voice.active:.1f}"}
    if voice and voice.active > 0 and voice.voiced < VOICED * voice.active:
        cautions["little_voice"] = {"share": wording.percent(voice.voiced / voice.active)}
    if voice and voice.agreeing < MIXED:
        cautions["mixed"] = {"share": wording.percent(voice.agreeing)}
    if sum(ranked[:2]) < FLAT:
        cautions["flat"] = {}
    if cues and basis is None:
        cautions["unmeasured"] = {}
    return {kind: text(f"caution_{kind}", language, **v) for kind, v in cautions.items()}
