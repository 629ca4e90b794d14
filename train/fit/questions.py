"""Free questions about a clip and their answers, for stage 2.

questions_en.toml and questions_zh.toml hold the sentences. The answers follow what the prompt
holds, probabilities and measured cues, and decline what cannot be heard: the words, the person, a
diagnosis. Those that decline begin with `I` or `我` and no others do, so that the first token
decides.
"""

import random
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from audiollm.analysis import certainty
from audiollm.audio.prosody import LEVELS, REFERENCES, Cues, Reference
from audiollm.labels import Language, prompt_word

MISTAKEN = 0.2  # share of prompts whose likeliest class is not the clip's: the answer follows them
HARD = ("angry", "sad", "fearful", "disgusted", "frustrated")  # of classes: what to do is not easy
ANSWERED = 0.6  # share of questions that probabilities and cues answer
NAMED = 3  # cues that an answer gives as evidence at most: the first in the prompt
DECLINED = ("words", "speaker", "diagnosis", "other_topic")
ABOUT = {  # kinds of those, each as often as it has variants: a cue is one of five
    "emotion": 1,
    "evidence": 1,
    "certainty": 1,
    "alternative": 1,
    "compare": 1,
    "one_class": 1,
    "objection": 1,
    "cue": 4,
    "advice": 1,
}


def probabilities(label: str, classes: Sequence[str], rng: random.Random) -> dict[str, float]:
    """Plausible probabilities of a clip of that class: the model is mistaken now and then."""
    names = [name for name in classes if name != label]
    rng.shuffle(names)
    ranked = [label, *names]
    if rng.random() < MISTAKEN:
        ranked[0], ranked[1] = ranked[1], ranked[0]
    best = rng.uniform(0.35 if len(ranked) > 2 else 0.51, 0.97)
    rest = 1 - best
    second = max(rest * rng.uniform(0.4, 0.95), rest / len(names))  # no other has more
    second = min(best - 0.02, second)
    each = (rest - second) / max(1, len(names) - 1)
    shares = [best, second, *[each] * (len(ranked) - 2)]
    return dict(sorted(zip(ranked, shares, strict=True), key=lambda item: -item[1]))


def question(
    shares: Mapping[str, float], cues: Cues | None, language: Language, rng: random.Random
) -> tuple[str, str]:
    """A question and its answer for a prompt with these probabilities and cues.

    A share `ANSWERED` is about the clip; of the others, the answer is that it cannot be heard.
    """
    (label, best), (other, rest), *more = list(shares.items())
    third = rng.choice([name for name, _ in more]) if more else other
    blanks = {
        "name": prompt_word(label, language),
        "share": f"{best:.0%}",
        "other": prompt_word(other, language),
        "rest": f"{rest:.0%}",
        "third": prompt_word(third, language),
    }
    sentences = _sentences(language)
    if rng.random() < ANSWERED:
        (kind,) = rng.choices(list(ABOUT), list(ABOUT.values()))
    else:
        kind = rng.choice(DECLINED)
    reply = kind
    if kind == "evidence":
        outside = _outside(cues, language)
        reply = kind if outside else "no_evidence"
        blanks["cues"] = outside
    elif kind == "certainty":
        reply = "certain" if 100 * best >= certainty.LEAST[1] else "uncertain"
    elif kind == "advice":
        reply = "advice_hard" if label in HARD else "advice_easy"
    elif kind == "one_class":
        reply = kind = rng.choice(("is_first", "is_second", *(("is_other",) if more else ())))
    elif kind == "cue":
        measured = [r for r in REFERENCES if cues and r.level(cues)]
        if not measured:
            return question(shares, cues, language, rng)
        reference = rng.choice(measured)
        blanks |= _cue(reference, cues, language, rng)
        if reference.cue in sentences and rng.random() < 0.5:
            kind = reference.cue  # asked about in other words than its name
    query = rng.choice(sentences[kind]["questions"]).format(**blanks)
    answer = rng.choice(sentences[reply]["answers"]).format(**blanks)
    return query, answer[:1].upper() + answer[1:]


def _outside(cues: Cues | None, language: Language) -> str:
    """The first cues that leave their usual range, as a clause; "" where none does."""
    measured = [(r, r.level(cues)) for r in REFERENCES] if cues else []
    words = [
        (r.name(language), r.word(level, language))
        for r, level in measured
        if level and r.word(level, language) != r.word("mid", language)
    ][:NAMED]
    if language == "zh":
        return "，".join(name + value for name, value in words)
    parts = [f"the {name} {_be(name)} {value}" for name, value in words]
    return " and ".join(parts) if len(parts) < 3 else ", ".join(parts[:-1]) + f" and {parts[-1]}"


def _cue(
    reference: Reference, cues: Cues | None, language: Language, rng: random.Random
) -> dict[str, str]:
    level = reference.level(cues) if cues else None
    name = reference.name(language)
    return {
        "cue": name,
        "level": reference.word(level, language) if level else "",
        "asked": reference.word(rng.choice(LEVELS), language),
        "be": _be(name),
    }


def _be(name: str) -> str:
    return "are" if name.endswith("s") else "is"


@cache
def _sentences(language: Language) -> dict[str, dict[str, list[str]]]:
    path = Path(__file__).with_name(f"questions_{language}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))
