"""The answer to a free question, checked against the probabilities and the measured cues."""

from collections.abc import Mapping

from audiollm.analysis import claims, wording
from audiollm.analysis.claims import Sentence
from audiollm.audio import prosody
from audiollm.audio.prosody import Cues, Level
from audiollm.labels import Language
from audiollm.texts import text

SENTENCES = 4  # shown at most


def checked(
    raw: str,
    probabilities: Mapping[str, float],
    cues: Cues | None,
    language: Language,
    done: bool = True,
) -> str:
    """The sentences of an answer that contradict nothing, each once, four at most.

    Left out is a sentence that states another level of a cue than was measured, that is of another
    language, or that names another class than the likeliest without naming that one or its own
    probability. Where none is left, the answer says so. While it grows (`done` False) its last
    sentence is not shown before it is complete.
    """
    levels = prosody.levels(cues) if cues else {}
    label = max(probabilities, key=lambda name: probabilities[name])
    sentences: list[str] = []
    for sentence in claims.parse(_ended(raw, language, done), list(probabilities), language, done):
        line, agrees = sentence.text, _agrees(sentence, label, probabilities, levels)
        if agrees and line not in sentences and claims.of_language(line, language):
            sentences.append(line)
    if done and not sentences:
        return text("ask_nothing", language)
    return wording.paragraph(sentences[:SENTENCES], language)


def _agrees(
    sentence: Sentence,
    label: str,
    probabilities: Mapping[str, float],
    levels: Mapping[str, Level],
) -> bool:
    if not sentence.denies and not all(s.agrees(levels) for s in sentence.stated):
        return False
    others = sentence.names - {label}
    if not others or label in sentence.names:
        return True
    shares = (f"{probabilities.get(name, 0.0):.0%}" for name in others)
    return sentence.denies or all(share in sentence.text for share in shares)


def _ended(raw: str, language: Language, done: bool) -> str:
    """A whole answer ends as a sentence does, though the LLM may have been cut off."""
    stripped = raw.strip()
    if not done or not stripped or stripped[-1] in ".!?。！？":
        return stripped
    return stripped + ("。" if language == "zh" else ".")
