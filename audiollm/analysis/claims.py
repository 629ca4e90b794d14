"""What the sentences of an LLM claim: the classes that they name and the cues that they state.

An answer to a free question is checked with it (answers.py), and what is left of a sentence of an
analysis (prose.py).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from audiollm.audio.prosody import LEVELS, REFERENCES, Level
from audiollm.labels import EMOTIONS, Language, prompt_word, word

NAME = "\u241f"  # stands for a class word while the rest of a sentence is read
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
# How strong an emotion is, or becomes: nothing measures it
_DEGREES = (
    "very|slight|extrem|exceed|exception|incredib|remarkab|terribl|awful|tremendous|enormous|"
    "immens|profound|violent|overwhelm|utter|total|complete|absolut|thorough|severe|heav|faint|"
    "subtl|great|uncontroll|consider|notic|marked|pronounced|particular|especial|increas|decreas|"
    "grow|gradual|fad|escalat"
)
_DEGREE_WORDS = (
    rf"so(?=\s*{NAME})|too|quite|fairly|pretty|really|truly|somewhat|full|fully|bit|little|lot|"
    "much|more|touch|hint|trace|trifle|tinge|dash|tad|degree|extent"
)
_DEGREES_ZH = (
    "很|非常|十分|万分|几分|极|略|稍|有点|有一点|有些|些许|一丝|特别|相当|比较|越|格外|微|颇|太|最|"
    "更|挺|蛮|真|这么|那么|如此|尤为|分外|无比|充满|浓|淡|渐"
)
_LOOSE = re.compile(
    rf"[\d%]|(?<![a-z])(?:(?:{_STEMS}|{_DEGREES})|(?:{_WORDS}|{_DEGREE_WORDS})(?![a-z]))|"
    rf"{_LOOSE_ZH}|{_DEGREES_ZH}",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?<![a-z])(?:not|no|none|nothing|nobody|never|nor|neither|without|hardly|barely|than|less|rather|instead|unless|"
    r"if|or|cannot)(?![a-z])|n['’]t(?![a-z])|不|没|无|非(?!常)|未|或|若",
    re.IGNORECASE,
)
_HAN = re.compile(r"[\u3400-\u9fff]")
_ITEMS = re.compile(r"[,;，；、]|(?<![a-z])(?:and|but|with|while)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """A cue and its stated level; two levels where one word stands for both (few pauses)."""

    cue: str  # field of `Cues`
    levels: frozenset[Level]

    def agrees(self, measured: Mapping[str, Level]) -> bool:
        return measured.get(self.cue) in self.levels


@dataclass(frozen=True)
class Sentence:
    """One sentence and what it claims."""

    text: str
    stated: tuple[Statement, ...] = ()
    names: frozenset[str] = frozenset()  # classes that it names
    denies: bool = False  # has a "not": its classes and cues may mean the opposite


def parse(
    text: str, labels: Collection[str], language: Language, done: bool = True
) -> list[Sentence]:
    """The complete sentences of a text. While it grows (`done` False) the last may not be one.

    `labels`: the model's classes; the words of every other known emotion are read as well.
    """
    end = r"[.!?]+(?=\s)|[。！？]+|[.!?]+$" if done else r"[.!?]+(?=\s)|[。！？]+"
    parts = re.findall(rf"[^\n]+?(?:{end})", text)
    return [
        read(" ".join(s.split()), tuple(labels), language) for s in parts if s.strip(" .!?。！？")
    ]


def read(sentence: str, labels: tuple[str, ...], language: Language) -> Sentence:
    """What one sentence claims."""
    pattern, by_word = classes(labels)
    rest = pattern.sub(" ", sentence)
    return Sentence(
        sentence,
        stated=_statements(rest, language),
        names=frozenset(by_word[m[0].lower()] for m in pattern.finditer(sentence)),
        denies=bool(_DENIED.search(rest)),
    )


def claims_more(rest: str) -> bool:
    """Whether what is left of a sentence without its checked claims still claims something."""
    return bool(_LOOSE.search(rest) or _DENIED.search(rest))


def whole(word: str) -> str:
    """The pattern of a whole word; Chinese has no spaces around its words."""
    return rf"(?<![a-z]){re.escape(word)}(?![a-z])" if word.isascii() else re.escape(word)


def of_language(sentence: str, language: Language) -> bool:
    """Whether it is in that language's script, printable, and ends as its sentences do: another
    stop would run it into the next one."""
    ends = "。！？" if language == "zh" else ".!?"
    script = bool(_HAN.search(sentence)) == (language == "zh")
    return script and sentence.isprintable() and sentence[-1] in ends


def _statements(text: str, language: Language) -> tuple[Statement, ...]:
    """The cues that are stated one to a clause."""
    statements = (_statement(clause, language) for clause in _ITEMS.split(text))
    return tuple(statement for statement in statements if statement)


def _statement(clause: str, language: Language) -> Statement | None:
    """The one cue of a clause and its one level, in either order."""
    hits = []
    for r in REFERENCES:
        words = {r.word(level, language) for level in LEVELS}
        rest = _cut(clause, r.name(language))
        if rest is None:
            continue
        for phrase in words:
            if _cut(rest, phrase) is not None:
                levels = frozenset(level for level in LEVELS if r.word(level, language) == phrase)
                hits.append(Statement(r.cue, levels))
    return hits[0] if len(hits) == 1 else None


def _cut(text: str, part: str) -> str | None:
    """The text without one whole word; None where it does not hold it."""
    edge = r"(?<![a-z]){}(?![a-z])" if part.isascii() else "{}"
    rest, count = re.subn(edge.format(re.escape(part)), " ", text, count=1, flags=re.IGNORECASE)
    return rest if count else None


@cache
def classes(labels: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
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
    parts = map(whole, sorted(by_word, key=len, reverse=True))
    return re.compile("|".join(parts), re.IGNORECASE), by_word
