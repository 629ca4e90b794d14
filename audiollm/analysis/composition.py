"""The text of an answer: composed from the measurements and checked against them.

The class, its calibrated probability and the cues are known before the LLM writes a word, so the
LLM adds only sentences that these bear out; what it states wrongly or leaves out is put right
from the measurement. docs/analysis.md explains every part and threshold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from audiollm.analysis import certainty, claims, wording
from audiollm.analysis.claims import Sentence
from audiollm.analysis.references import Basis, by_register
from audiollm.analysis.types import Analysis, Correction, Evidence, Voice
from audiollm.audio import prosody
from audiollm.audio.prosody import REFERENCES, Cues
from audiollm.labels import Language, prompt_word, word
from audiollm.texts import text

NOT_NEGLIGIBLE = (
    10  # per cent; a class below it is named less often than chance among ten would have it
)
OTHERS = 2  # runners-up named at most
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
        told=prosody.levels(cues) if cues else {},
    )


def compose(
    known: Analysis, raw: str, labels: Sequence[str], language: Language, done: bool = True
) -> tuple[Analysis, str]:
    """What is known with what the LLM wrote after the class word, and the text to show.

    The LLM's first sentence names the class where all of it is true; everything else that it writes
    would say again what is measured. While it writes (`done` False) there is no text before that
    sentence is complete.
    """
    written = claims.parse(raw, labels, language, done)
    holds = bool(written) and _holds(written[0], known)
    said = written[0].text if holds else ""
    said = said.replace(prompt_word(known.label, language), word(known.label, language))
    shown = [
        wording.opening(known, said, language),
        wording.caution(known.cautions, language),
        wording.evidence(known, language),
    ]
    checked = replace(
        known,
        prose=said,
        dropped=tuple(s.text for s in written[holds:] if s.kind not in ("evidence", "intensity")),
        corrections=tuple(_corrections(written, known)),
        added=tuple(sorted(set(known.levels) - {s.cue for w in written for s in w.stated})),
    )
    return checked, wording.paragraph(shown, language) if done or written else ""


def _holds(sentence: Sentence, known: Analysis) -> bool:
    """Whether a sentence names the class and claims nothing else. Naming it outright is not true of
    an uncertain answer."""
    plain = sentence.kind == "prose" and not (sentence.loose or sentence.denies or sentence.stated)
    sure = known.certainty != certainty.WORDS["en"][0]
    return plain and sure and sentence.names == {known.label}


def _corrections(written: Sequence[Sentence], known: Analysis) -> Iterator[Correction]:
    """Statements that contradict the prompt: the LLM does not know a speaker's own ranges."""
    for s in (s for sentence in written for s in sentence.stated):
        if not s.agrees(known.told):
            yield Correction(s.cue, s.said, known.told.get(s.cue))


def _evidence(cues: Cues, basis: Basis, language: Language) -> tuple[Evidence, ...]:
    found = []
    for r in REFERENCES:
        value = getattr(cues, r.cue)
        if value is None:
            continue
        level, (low, high) = basis.level(r.cue, value), basis.ranges[r.cue]
        said = basis.said(r, value, language)
        found.append(Evidence(r.cue, r.name(language), level, said, value, r.unit, low, high))
    return tuple(found)


def _cautions(
    ranked: Sequence[float],
    cues: Cues | None,
    voice: Voice | None,
    basis: Basis | None,
    language: Language,
) -> dict[str, str]:
    """Reasons for low confidence in the answer, by kind."""
    found: dict[str, dict[str, str]] = {}
    if voice and voice.active < SHORT:
        found["short"] = {"seconds": f"{voice.active:.1f}"}
    if voice and voice.active > 0 and voice.voiced < VOICED * voice.active:
        found["little_voice"] = {"share": wording.percent(voice.voiced / voice.active)}
    if voice and voice.agreeing < MIXED:
        found["mixed"] = {"share": wording.percent(voice.agreeing)}
    if sum(ranked[:2]) < FLAT:
        found["flat"] = {}
    if cues and basis is None:
        found["unmeasured"] = {}
    return {kind: text(f"caution_{kind}", language, **v) for kind, v in found.items()}
