"""Taking an analysis apart into claims that can be checked: an LLM's text, or the shown one.

An analysis is a row of sentences. Those with a lead (`Evidence:`) hold what was measured; prose
names the class and may state cues. What a sentence claims beyond the classes and cues that can be
checked (a cue in other words, a number, a cause, the speaker) makes it `loose`. LLMs were taught
to end with `Intensity:`, which nothing measures and nobody is shown.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from audiollm.analysis import certainty
from audiollm.audio.prosody import LEVELS, REFERENCES, Level
from audiollm.labels import EMOTIONS, Language, prompt_word, word

Kind = Literal["evidence", "intensity", "certainty", "note", "prose"]

EVIDENCE: dict[Language, str] = {"en": "Evidence: ", "zh": "依据："}
STRENGTH: dict[Language, str] = {"en": "Intensity: ", "zh": "强度："}
CAUTION: dict[Language, str] = {"en": "Caution: ", "zh": "注意："}

# Words that claim something that is not checked here: a cue in other words, a certainty, a feeling
# that is no class, who speaks or why. Stems; the list errs on the side of leaving a sentence out.
_STEMS = (
    "pitch|melod|inton|timbre|tempo|pace|pacing|paus|speed|rhythm|loud|quiet|soft|volume|bright|"
    "dark|deep|shrill|high|medium|flat|liv|fast|quick|rapid|slow|usual|normal|average|intens|"
    "strong|strength|mild|moderate|weak|energ|breath|whisper|shout|scream|yell|tears|tearful|laugh|"
    "sob|sigh|trembl|shak|monoton|hoarse|rough|tone|tonal|warm|harsh|tens|relax|agitat|stress|"
    "accent|likel|unlikel|certain|uncertain|probab|possib|perhaps|maybe|definite|clear|obvious|confiden|percent|"
    "furious|annoy|irritat|rage|cheer|joy|glad|pleas|delight|amus|afraid|scar|fright|anxi|nervous|"
    "worr|panic|unhapp|sadly|depress|miser|grie|upset|hurt|disappoint|gloom|lone|disgust|repuls|"
    "tired|sleep|drunk|jealous|proud|asham|guilt|child|because|reason|caus"
)
_WORDS = (
    "low|lower|lowest|low-pitched|many|few|rate|mad|cry|cries|crying|cried|cold|sure|half|third|"
    "sick|ill|love|loves|hate|hates|man|men|woman|women|male|female|boy|girl|old|young|he|she|his|"
    "her|since|due"
)
_LOOSE_ZH = (
    "音高|音调|声调|语调|音色|语速|停顿|节奏|音量|嗓|响|轻|重|高|低|快|慢|急|缓|大|小|多|少|亮|柔|"
    "平|强|弱|中等|适中|正常|起伏|沉|尖|哑|颤|抖|哭|笑|喊|叫|吼|叹|气息|紧张|放松|可能|肯定|一定|"
    "确定|也许|或许|明显|显然|把握|概率|百分|愤|怒|恼|烦|乐|喜|欢|怕|惧|惊|慌|焦|忧|悲|伤|痛|哀|郁|"
    "绝望|累|疲|爱|恨|骄傲|羞|愧|男|女|孩|岁|老|年轻|因为|由于|所以"
)
_LOOSE = re.compile(
    rf"[\d%]|(?<![a-z])(?:(?:{_STEMS})|(?:{_WORDS})(?![a-z]))|{_LOOSE_ZH}",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?<![a-z])(?:not|no|never|nor|neither|without|hardly|barely|than|less|rather|instead|unless|"
    r"if|or|cannot)(?![a-z])|n['’]t(?![a-z])|不|没|无|非(?!常)|未|或|若",
    re.IGNORECASE,
)
_HAN = re.compile(r"[\u3400-\u9fff]")
_BRACKETS = re.compile(r"\s*[(（][^()（）]*[)）]")
_ITEMS = re.compile(r"[,;，；、]|(?<![a-z])(?:and|but|with|while)(?![a-z])", re.IGNORECASE)
_SMALL = re.compile(
    r"(?<![a-z])(?:the|a|an|is|are|its|has|there)(?![a-z])|[\s.!?。！？]", re.IGNORECASE
)


@dataclass(frozen=True)
class Statement:
    """A cue and its stated level; two levels where one word stands for both (few pauses)."""

    cue: str  # field of `Cues`
    levels: frozenset[Level]
    said: str

    def agrees(self, measured: Mapping[str, Level]) -> bool:
        return measured.get(self.cue) in self.levels


@dataclass(frozen=True)
class Sentence:
    """One sentence and what it claims."""

    text: str
    kind: Kind
    stated: tuple[Statement, ...] = ()
    names: frozenset[str] = frozenset()  # classes that it names
    denies: bool = False  # has a "not": its classes and cues may mean the opposite
    loose: bool = False  # claims what cannot be checked


def parse(
    text: str, labels: Collection[str], language: Language, done: bool = True
) -> list[Sentence]:
    """The complete sentences of a text. While it grows (`done` False) the last may not be one.

    `labels`: the model's classes; the words of every other known emotion are read as well.
    """
    end = r"[.!?]+(?=\s)|[。！？]+|[.!?]+$" if done else r"[.!?]+(?=\s)|[。！？]+"
    found = re.findall(rf"[^\n]+?(?:{end})", text)
    return [
        read(" ".join(s.split()), tuple(labels), language) for s in found if s.strip(" .!?。！？")
    ]


def read(sentence: str, labels: tuple[str, ...], language: Language) -> Sentence:
    """What one sentence claims."""
    pattern, by_word = _classes(labels)
    names = frozenset(by_word[m[0].lower()] for m in pattern.finditer(sentence))
    leaded = _leaded(sentence, language)
    if leaded is not None:  # a note speaks of neutral speech and means no answer
        return leaded if leaded.kind == "note" else replace(leaded, names=names)
    bare = _evidence(sentence, sentence, language)
    if not bare.loose:  # `Pitch high, tempo fast.`
        return bare
    head = re.split("[:：]", sentence)[0].strip().lower()
    if head in certainty.WORDS[language]:
        return Sentence(sentence, "certainty", names=names)
    rest = pattern.sub(" ", sentence)
    stated, left = _statements(rest, language)
    return Sentence(
        sentence,
        "prose",
        stated=stated,
        names=names,
        denies=bool(_DENIED.search(rest)),
        loose=bool(_LOOSE.search(left)) or not of_language(sentence, language),
    )


def of_language(sentence: str, language: Language) -> bool:
    """Whether it is in that language's script, printable, and ends as its sentences do: another
    stop would run it into the next one."""
    ends = "。！？" if language == "zh" else ".!?"
    script = bool(_HAN.search(sentence)) == (language == "zh")
    return script and sentence.isprintable() and sentence[-1] in ends


def _leaded(sentence: str, language: Language) -> Sentence | None:
    """A sentence that begins with one of the leads."""
    if _lead(sentence, CAUTION, language):
        return Sentence(sentence, "note", loose=True)
    if _lead(sentence, STRENGTH, language):
        return Sentence(sentence, "intensity")
    if body := _lead(sentence, EVIDENCE, language):
        return _evidence(sentence, body, language)
    return None


def _lead(sentence: str, leads: Mapping[Language, str], language: Language) -> str:
    """What follows the lead that the sentence begins with; "" where it begins otherwise."""
    lead = leads[language].strip()
    return sentence[len(lead) :] if sentence.lower().startswith(lead.lower()) else ""


def _evidence(sentence: str, body: str, language: Language) -> Sentence:
    stated, left = _statements(_BRACKETS.sub("", body), language)
    loose = not stated or bool(_SMALL.sub("", left))
    return Sentence(sentence, "evidence", stated=stated, loose=loose)


def _statements(text: str, language: Language) -> tuple[tuple[Statement, ...], str]:
    """The cues that are stated one to a clause, and the text without them."""
    found, left = [], []
    for clause in _ITEMS.split(text):
        hit, rest = _statement(clause, language)
        found += [hit] if hit else []
        left.append(rest)
    return tuple(found), " ".join(left)


def _statement(clause: str, language: Language) -> tuple[Statement | None, str]:
    """The one cue of a clause and its one level, in either order; else the clause as it was."""
    hits = []
    for r in REFERENCES:
        words = {r.word(level, language) for level in LEVELS}
        named = _cut(clause, r.name(language))
        if named is None:
            continue
        for said in words:
            if (left := _cut(named, said)) is not None:
                levels = frozenset(level for level in LEVELS if r.word(level, language) == said)
                hits.append((Statement(r.cue, levels, said), left))
    return hits[0] if len(hits) == 1 else (None, clause)


def _cut(text: str, part: str) -> str | None:
    """The text without one whole word; None where it does not hold it."""
    edge = r"(?<![a-z]){}(?![a-z])" if part.isascii() else "{}"
    left, count = re.subn(edge.format(re.escape(part)), " ", text, count=1, flags=re.IGNORECASE)
    return left if count else None


@cache
def _classes(labels: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern of every word for an emotion, and the class that a lower-case word names.

    Where one word holds another, the longer is read.
    """
    by_word: dict[str, str] = {}
    for e in EMOTIONS:  # these two are ordinary words where they are no classes
        if e.name not in ("other", "unknown") or e.name in labels:
            by_word |= dict.fromkeys(map(str.lower, (e.name, e.en, e.zh, *e.aliases)), e.name)
    for name in labels:
        by_word |= {name.lower(): name, word(name, "en").lower(): name, word(name, "zh"): name}
        by_word[prompt_word(name, "zh")] = name
    parts = [
        rf"(?<![a-z]){re.escape(w)}(?![a-z])" if w.isascii() else re.escape(w)
        for w in sorted(by_word, key=len, reverse=True)
    ]
    return re.compile("|".join(parts), re.IGNORECASE), by_word
