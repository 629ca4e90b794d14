"""The text of an answer: composed from the measurements and checked against them.

The class, its calibrated probability and the cues are known before the LLM writes a word, so the
LLM adds only sentences that these bear out; what it states wrongly or leaves out is put right
from the measurement. docs/analysis.md explains every part and threshold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from audiollm.analysis import claims, wording
from audiollm.analysis.claims import CERTAINTY, Sentence
from audiollm.analysis.references import Basis, between_registers, by_register
from audiollm.analysis.types import Analysis, Correction, Evidence, Voice
from audiollm.audio import prosody
from audiollm.audio.prosody import REFERENCES, Cues
from audiollm.labels import Language, prompt_word, word
from audiollm.texts import text

# An answer with less probability is wrong more often than right; a smaller margin over the second
# does not separate the two: three times the 0.05 by which the probabilities err (ECE).
SURE, MARGIN = 0.5, 0.15
# The IPCC's scale of likelihood (Mastrandrea et al. 2010), so that a word means what it does
# elsewhere; the per cent stand beside it, as words alone are misread (Budescu et al. 2009).
LIKELY, VERY_LIKELY = 0.66, 0.9
NOT_NEGLIGIBLE = 0.1  # a class below it is named less often than chance among ten would have it
OTHERS = 2  # runners-up named at most
FLAT = 0.6  # the two likeliest together below this: in two of five such clips it is neither
SHORT = 1.0  # s of sound above a pause; the shortest of 120 clips of EmoDB has 1.25
VOICED = 0.4  # voiced share of that sound; the least of these clips has 0.47, noise about 0
MIXED = 0.7  # below this share of agreeing windows the parts of a long sound differ
PROSE = 3  # sentences of the LLM's own shown at most


def certainty(probabilities: Mapping[str, float]) -> int:
    """0 uncertain, 1 more likely than not, 2 likely, 3 very likely: index in `CERTAINTY`."""
    best, second, *_ = [*sorted(probabilities.values(), reverse=True), 0.0, 0.0]
    if best < SURE or best - second < MARGIN:
        return 0
    return 1 + (best >= LIKELY) + (best >= VERY_LIKELY)


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
        certainty=CERTAINTY["en"][certainty(probabilities)],
        probability=best,
        others={n: p for n, p in ranked[1 : 1 + OTHERS] if p >= NOT_NEGLIGIBLE},
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

    While the LLM writes (`done` False) the text holds only what the final one begins with.
    """
    written = claims.parse(raw, labels, language, done)
    parts = {
        "certainty": wording.certainty(known, language),
        "caution": wording.caution(known.cautions, language),
        "evidence": wording.evidence(known.evidence, language),
        "usual": wording.usual(known.basis, language),
    }
    shown = [wording.opening(known.label, language)]
    shown += [parts.pop("certainty"), parts.pop("caution")]
    prose: list[str] = []
    dropped: list[str] = []
    lost = False  # behind a sentence about another class nothing can be trusted
    for sentence in written:
        own = sentence.text.replace(prompt_word(known.label, language), word(known.label, language))
        lost = lost or _contradicts(sentence, known.label)
        if sentence.kind in parts and not lost:
            shown.append(parts.pop(sentence.kind))
        elif (
            sentence.kind == "prose"
            and not lost
            and _holds(sentence, known)
            and own not in prose
            and len(prose) < PROSE
        ):
            prose.append(own)
            shown.append(own)
        elif sentence.kind not in ("evidence", "intensity"):
            dropped.append(sentence.text)
    if done:
        shown += parts.values()
    checked = replace(
        known,
        prose=tuple(prose),
        dropped=tuple(dropped),
        corrections=tuple(_corrections(written, known)),
        added=tuple(sorted(set(known.levels) - {s.cue for w in written for s in w.stated})),
    )
    return checked, wording.paragraph(shown, language)


def _contradicts(sentence: Sentence, label: str) -> bool:
    return bool(sentence.names - {label}) or (bool(sentence.names) and sentence.denies)


def _holds(sentence: Sentence, known: Analysis) -> bool:
    """Whether prose claims something, all of it is checked, and all of it is true.

    Naming the class outright is not true of an uncertain answer.
    """
    if sentence.loose or sentence.denies or not (sentence.names or sentence.stated):
        return False
    if sentence.names and known.certainty == "uncertain":
        return False
    return all(s.agrees(known.levels) for s in sentence.stated)


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
        level_word = r.word(level, language)
        if basis.kind == "speaker" and level == "mid":  # `few` pauses are not what is meant then
            level_word = "正常" if language == "zh" else "usual"
        name = r.name(language)
        found.append(Evidence(r.cue, name, level, level_word, value, r.unit, low, high))
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
    if cues and basis and basis.kind == "register" and between_registers(cues):
        found["between"] = {"hz": f"{cues.pitch_hz:.0f}"}
    return {kind: text(f"caution_{kind}", language, **v) for kind, v in found.items()}
