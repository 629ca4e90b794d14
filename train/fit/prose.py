"""Written analyses and the facts that they are written from, for training.

prose_en.toml and prose_zh.toml hold the patterns; each text is one of many that are true of its
facts. `audiollm/analysis/prose.py` accepts every sentence of them.
"""

import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from audiollm.analysis.facts import CAUTIONS, CUES, UNNAMED, Facts, Words, clock, span
from audiollm.analysis.wording import GUESS, join
from audiollm.audio.prosody import Cues, levels
from audiollm.labels import Language, capital, prompt_word

# Shares of the drawn facts, so that each is learnt, not as often as it occurs
LEVELS = (0.28, 0.2, 0.26, 0.26)
COURSE, TRIED, SPANNED, CAUTIOUS = 0.1, 0.85, 0.5, 0.25
JOINED = 0.3  # share of texts that name class and cues in one sentence, where they can
MOST = 3  # sentences
_ARTICLE = re.compile(r"^[aeiou]", re.IGNORECASE)
_CONTRAST = re.compile(r"[;:：]|\b(?:but|though)\b|不过|但")  # a sentence has one of them
_CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")


def draw(label: str, cues: Cues | None, classes: Sequence[str], rng: random.Random) -> Facts | None:
    """Facts of a clip of that class; None where it has no word for a sentence.

    What carries the answer is drawn among the unusual cues of the clip.
    """
    if label in UNNAMED:
        return None
    names = [name for name in classes if name not in UNNAMED and name != label]
    rng.shuffle(names)
    cautions: tuple[str, ...] = ()
    if rng.random() < CAUTIOUS:
        drawn = rng.sample(CAUTIONS, 1 if rng.random() < 0.7 else 2)
        cautions = tuple(kind for kind in CAUTIONS if kind in drawn)
    if names and rng.random() < COURSE:
        return _course(label, names, tuple(k for k in cautions if k not in ("mixed", "flat")), rng)
    (level,) = rng.choices(range(4), LEVELS)
    most = (2, 2, 2, 1)[level]
    count = rng.randint(0, most) if level in (1, 2) else int(rng.random() < 0.1)
    if level == 0:
        count = rng.choices((0, 1, 2), (0.15, 0.4, 0.45))[0]
    tried = level > 0 and rng.random() < TRIED
    measured = levels(cues) if cues and tried else {}
    unusual = [(cue, side) for cue, side in measured.items() if side != "mid"]
    spans: tuple[tuple[float, float], ...] = ()
    if tried and rng.random() < SPANNED:
        spans = _spans(rng)
    return Facts(
        label,
        level,
        tuple(names[:count]),
        tried,
        tuple(rng.sample(unusual, rng.randint(0, min(CUES, len(unusual))))),
        spans,
        cautions,
    )


def _course(
    label: str, names: Sequence[str], cautions: tuple[str, ...], rng: random.Random
) -> Facts:
    parts = [label, *names[:2]] if len(names) > 1 and rng.random() < 0.3 else [label, names[0]]
    if len(parts) == 2 and rng.random() < 0.3:
        parts.append(parts[0])
    elif rng.random() < 0.5:
        parts.reverse()
    most = rng.choice((20, 20, 60, 3600))
    starts = sorted(rng.sample(range(3, most), len(parts) - 1))
    course = tuple(zip((0.0, *map(float, starts)), parts, strict=True))
    return Facts(label, rng.randrange(4), cautions=cautions, course=course)


def _spans(rng: random.Random) -> tuple[tuple[float, float], ...]:
    most = rng.choice((20, 40, 170))  # tenths of a second
    start = rng.randrange(most)
    return ((start / 10, (start + rng.randint(3, most)) / 10),)


def write(facts: Facts, words: Words, rng: random.Random) -> str:
    """One of the texts that are true of these facts."""
    language = words.language
    blanks, p = _blanks(facts, words), _patterns(language)

    def fill(patterns: Sequence[str]) -> str:
        usable = [x for x in patterns if "noun}" not in x.lower() or "noun" in blanks]
        chosen = rng.choice(usable)
        while "|" in chosen:
            chosen = _CHOICE.sub(lambda m: rng.choice(m[1].split("|")), chosen)
        return chosen.format(**blanks, **{capital(k): capital(v) for k, v in blanks.items()})

    if facts.course:
        back = len(facts.course) == 3 and facts.course[0][1] == facts.course[2][1]
        kind = "back" if back else str(len(facts.course))
        sentences = [fill(p["course"][kind])]
    else:
        sentences = _answer(facts, p, fill, rng)
    if facts.cautions:
        sentences.append(fill(p["caution"]["guess" if GUESS & set(facts.cautions) else "care"]))
    if language == "zh":
        return "".join(sentences)
    return " ".join(map(capital, sentences))


def _answer(facts: Facts, p: Mapping[str, Any], fill: Any, rng: random.Random) -> list[str]:
    """Class, alternatives and evidence."""
    level = facts.level
    if level == 0:
        return [fill(p["answer"]["0" if facts.others else "alone"])]
    evidence = p["evidence"]
    kinds = {(1, 1): "both", (1, 0): "cues", (0, 1): "spans", (0, 0): "none"}
    grounds = [fill(evidence[kinds[bool(facts.cues), bool(facts.spans)]])] if facts.tried else []
    if facts.others and level == 1 and rng.random() < 0.25:
        return [fill(p["answer"]["1_also"]), *grounds]
    if not facts.others:
        if facts.cues and rng.random() < JOINED:
            grounds = [fill(evidence["spans"])] if facts.spans else []
            return [fill(evidence[f"joined_{level}"]), *grounds]
        return [fill(p["answer"][str(level)]), *grounds]
    # what the evidence refers to comes right before it, where there is room for another sentence
    full = bool(grounds and facts.cautions)
    if not full and (grounds or rng.random() < 0.5):
        return [fill(p["answer"][str(level)]), *grounds, fill(p["also"]["sentence"])]
    sentence = fill(p["answer"][str(level)])
    while _CONTRAST.search(sentence):
        sentence = fill(p["answer"][str(level)])
    return [sentence.rstrip(".。") + fill(p["also"]["clause"]), *grounds]


def _blanks(facts: Facts, words: Words) -> dict[str, str]:
    """What the blanks of the patterns hold."""
    language = words.language
    zh, p = language == "zh", _patterns(language)
    last = "或" if zh else "or"
    name = prompt_word(facts.label, language)
    others = [prompt_word(other, language) for other in facts.others]
    nouns = p["nouns"]
    plain = [word if zh else f"{_with_article(word)} tone" for word in (name, *others)]
    names = (facts.label, *facts.others)
    things = [nouns.get(each, noun) for each, noun in zip(names, plain, strict=True)]
    phrases = [words.cue(*cue) for cue in facts.cues]
    many = len(phrases) > 1 or any(phrase.endswith("pauses") for phrase in phrases)
    reasons = [words.reason(kind) for kind in facts.cautions]
    blanks = {
        "name": name,
        "a_name": _with_article(name),
        "others": join(others, language, last),
        "thing": things[0],
        "things": join(things[1:], language, last),
        "all": join([name, *others], language, "还是" if zh else last),
        "pair": "和".join([name, *others]) if zh else join(things, language),
        "cues": "、".join(phrases) if zh else join([f"the {phrase}" for phrase in phrases], "en"),
        "spans": join([span(each, language) for each in facts.spans], language),
        "reasons": ("，" if zh else " and ").join(reasons),
        "s": "" if many else "s",
        "ies": "y" if many else "ies",
        "is": "are" if many else "is",
    }
    if facts.label in nouns:
        blanks["noun"] = nouns[facts.label]
    if facts.course:
        course = [prompt_word(each, language) for _, each in facts.course]
        times = [clock(start) for start, _ in facts.course]
        blanks |= {"first": course[0], "second": course[1], "third": course[-1]}
        blanks |= {"a_first": _with_article(course[0]), "time": times[1], "later": times[-1]}
    return blanks


def _with_article(name: str) -> str:
    return f"{'an' if _ARTICLE.match(name) else 'a'} {name}"


@cache
def _patterns(language: Language) -> dict[str, Any]:
    path = Path(__file__).with_name(f"prose_{language}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))
