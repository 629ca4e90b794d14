"""What a sentence of a written analysis claims, and whether the measurement bears it out.

phrases_en.toml and phrases_zh.toml say what phrases claim. What is left of a sentence without them,
its figures and the words for emotions must claim nothing: no other figure, cue, emotion, cause, or
statement about the person.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

from audiollm.analysis import claims
from audiollm.analysis.claims import NAME
from audiollm.analysis.facts import Facts, clock, phrases, span
from audiollm.labels import Language

CERTAIN = 3  # what a plain statement claims, index in `certainty.WORDS`
_OR = re.compile(rf"(?<={NAME})[\s,、]*(?:or|或|还是)(?=\s*(?:an? )?{NAME})")
_FIGURES: dict[Language, str] = {
    "en": r"\d+\.\d to \d+\.\d s(?![a-z])|(?<!\d)\d+:\d\d(?!\d)",
    "zh": r"\d+\.\d 至 \d+\.\d 秒|(?<!\d)\d+:\d\d(?!\d)",
}
_ANY = "any"  # reason for caution


@dataclass(frozen=True)
class Claims:
    """What one sentence claims."""

    names: tuple[str, ...]  # classes, as often as they are named
    levels: frozenset[int] | None  # of certainty that its phrases agree with; None without any
    also: bool  # marks another class as an alternative
    cues: frozenset[str]  # "cue level"
    spans: frozenset[str]
    times: tuple[str, ...]
    cautions: frozenset[str]
    none: bool  # nothing carries the answer
    unchecked: bool  # claims something else, too, or gives one reason twice

    @property
    def parts(self) -> frozenset[str]:
        """What is said, to tell what is said twice."""
        none = {"none"} if self.none else set()
        reasons = self.cautions - {_ANY}
        return frozenset(self.names) | self.cues | self.spans | reasons | none

    def agree(self, facts: Facts, language: Language) -> bool:
        """Whether all of it is borne out, and there is something that can be."""
        if self.unchecked or not (self.parts or self.times):
            return False
        reasons = {*facts.cautions, *([_ANY] if facts.cautions else [])}
        measured = self.cues <= {" ".join(cue) for cue in facts.cues}
        measured = measured and self.spans <= {span(s, language) for s in facts.spans}
        if not measured or not self.cautions <= reasons:
            return False
        if self.none and (not facts.tried or facts.cues or facts.spans):
            return False
        if facts.course:
            return self._course(facts)
        return not self.times and self._answer(facts)

    def _answer(self, facts: Facts) -> bool:
        levels = {CERTAIN} if self.levels is None else self.levels
        others = set(self.names) - {facts.label}
        if not others <= set(facts.others) or (others and not (self.also or facts.level == 0)):
            return False
        if len(set(self.names)) < len(self.names):
            return False
        if facts.label in self.names or (self.levels is not None and not others):
            # "A or B" leaves nothing out
            complete = self.also or not others or others == set(facts.others)
            return facts.level in levels and complete
        return not others or self.also or facts.level in levels

    def _course(self, facts: Facts) -> bool:
        """The parts in their order; one that is as the first need not be named again."""
        if not self.times:
            return not self.names and self.levels is None
        names = tuple(name for _, name in facts.course)
        back = names[:2] if names[0] == names[-1] else names
        times = tuple(clock(start) for start, _ in facts.course[1:])
        return self.times == times and self.names in (names, back) and self.levels is None


def read(sentence: str, labels: tuple[str, ...], language: Language) -> Claims:
    """What one sentence claims; `labels` are the model's classes."""
    pattern, meaning = _meanings(labels, language)
    parts: dict[str, list[str]] = defaultdict(list)
    levels: frozenset[int] | None = None

    def take(match: re.Match[str]) -> str:
        nonlocal levels
        kinds = meaning.get(match[0].lower(), ())
        if not kinds:
            parts["time" if ":" in match[0] else "span"].append(match[0])
        for kind, value in kinds:
            parts[kind].append(value)
        if stated := {int(value) for kind, value in kinds if kind == "certainty"}:
            levels = frozenset(stated) if levels is None else levels & stated
        return NAME if any(kind == "name" for kind, _ in kinds) else " "

    rest = _OR.sub(" ", pattern.sub(take, sentence))
    reasons = [*parts["cues"], *parts["span"], *(c for c in parts["caution"] if c != _ANY)]
    repeats = len(set(reasons)) < len(reasons)
    return Claims(
        names=tuple(parts["name"]),
        levels=levels,
        also=bool(parts["also"]),
        cues=frozenset(parts["cues"]),
        spans=frozenset(parts["span"]),
        times=tuple(parts["time"]),
        cautions=frozenset(parts["caution"]),
        none=bool(parts["none"]),
        unchecked=repeats or claims.claims_more(rest) or not claims.of_language(sentence, language),
    )


@cache
def _meanings(
    labels: tuple[str, ...], language: Language
) -> tuple[re.Pattern[str], dict[str, tuple[tuple[str, str], ...]]]:
    """A pattern of all phrases, the longest first, and what each means: (kind, value)."""
    meanings: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for kind, values in phrases(language).items():
        for value, worded in values.items():
            for phrase in worded:
                meanings[phrase].append(("caution" if kind == "reasons" else kind, value))
    for word, name in claims.classes(labels)[1].items():
        meanings[word].append(("name", name))
    ordered = [claims.whole(p) for p in sorted(meanings, key=len, reverse=True)]
    pattern = re.compile("|".join([_FIGURES[language], *ordered]), re.IGNORECASE)
    return pattern, {phrase: tuple(kinds) for phrase, kinds in meanings.items()}
