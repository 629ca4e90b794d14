"""The ordered emotion classes, their aliases and their Chinese and English words.

The only copy. Names follow emotion2vec+ (arXiv 2312.15185); classes that only some corpora
have (bored, calm, ...) come after its nine. A corpus may bring a class of its own: it keeps
its name, in both languages.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@dataclass(frozen=True)
class Emotion:
    """One class: `name` is its identity everywhere; `zh` and `en` are the words people read,
    `prompt_word` gives those of the LLM."""

    name: str
    zh: str
    en: str
    colour: str
    aliases: tuple[str, ...] = ()

    def word(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


EMOTIONS: tuple[Emotion, ...] = (
    Emotion("angry", "生气", "angry", "#D1495B", _words("anger ang 愤怒 生氣 憤怒 wut")),
    Emotion("disgusted", "厌恶", "disgusted", "#7A9E3F", _words("disgust dis 厭惡 ekel")),
    Emotion("fearful", "恐惧", "fearful", "#6A4C93", _words("fear fea afraid 害怕 恐懼 angst")),
    Emotion(
        "happy",
        "开心",
        "happy",
        "#F2A93B",
        _words("happiness joy joyful hap 快乐 高兴 開心 快樂 高興"),
    ),
    Emotion("neutral", "中性", "neutral", "#8A8D91", ("neu", "neutral state", "中立")),
    Emotion("other", "其他", "other", "#B9A394", ("oth",)),
    Emotion("sad", "难过", "sad", "#3D7EA6", _words("sadness 悲伤 伤心 難過 悲傷 傷心")),
    Emotion("surprised", "吃惊", "surprised", "#2A9D8F", _words("surprise sur 惊讶 吃驚 驚訝")),
    Emotion("unknown", "未知", "unknown", "#C9CBCF", ("unk", "<unk>", "xxx")),
    Emotion("bored", "无聊", "bored", "#A68A64", _words("boredom 無聊 langeweile")),
    Emotion("calm", "平静", "calm", "#7FB7BE", ("安静", "平靜", "安靜")),
    Emotion("excited", "兴奋", "excited", "#E76F51", ("excitement", "exc", "興奮")),
    Emotion("frustrated", "沮丧", "frustrated", "#9C6644", ("frustration", "fru", "沮喪")),
)

# Words that all models so far were trained on, where people read others. A change needs new models.
_PROMPT_WORDS: dict[Language, dict[str, str]] = {
    "en": {},
    "zh": {"neutral": "中立", "calm": "安静"},
}
_BY_NAME = {emotion.name: emotion for emotion in EMOTIONS}
_ALIASES = {
    alias.lower(): emotion.name
    for emotion in EMOTIONS
    for alias in (emotion.name, emotion.zh, *emotion.aliases)
}
# What pandas reads as a missing value. Others may be names of speakers: Nan, none.
_MISSING = frozenset(
    (
        *("nan", "NaN", "-nan", "-NaN", "NaT", "NA", "<NA>", "#NA", "#N/A", "N/A", "n/a"),
        *("NULL", "null", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
    )
)
_NAME = re.compile(r"[^\W\d_][\w \-]{0,31}")


def canonical(raw: str) -> str:
    """Class name for any spelling: `Anger`, `生气/angry`, `surprise` -> `angry`, `surprised`.

    An unfamiliar word is a class of its own, lower case.

    Raises:
        ValueError: the text cannot be a class name (empty, too long, punctuation).
    """
    text = raw.strip().lower()
    for part in (text, *text.split("/")):
        if part in _ALIASES:
            return _ALIASES[part]
    if not _NAME.fullmatch(text):
        raise ValueError(f"{raw!r} cannot be the name of an emotion class")
    return text


def is_known(name: str) -> bool:
    """Whether a class name is one of this file."""
    return name in _BY_NAME


def likely(name: str) -> str:
    """The class that an unfamiliar word may mean, by its spelling or by one of its words; or ""."""
    if is_known(name):
        return ""
    matches = [_ALIASES[word] for word in re.split(r"[\s_-]+", name) if word in _ALIASES]
    close = get_close_matches(name, _ALIASES, n=1, cutoff=0.8)
    return (matches or [_ALIASES[word] for word in close] or [""])[0]


def is_missing(raw: object) -> bool:
    """None, or the NaN that pandas writes into JSON."""
    return raw is None or (isinstance(raw, float) and math.isnan(raw))


def cell(raw: object) -> str:
    """The text of a cell of a table; "" where it is missing or holds a word for that."""
    text = "" if is_missing(raw) else str(raw).strip()
    return "" if text in _MISSING else text


def emotion(name: str) -> Emotion:
    """The class of that name; a corpus's own class reads the same in both languages."""
    return _BY_NAME.get(name) or Emotion(name, name, name, "#5C677D")


def word(name: str, language: Language) -> str:
    """What a person reads for the class `name`."""
    return emotion(name).word(language)


def capital(words: str) -> str:
    """With a capital first letter."""
    return words[:1].upper() + words[1:]


def title(name: str, language: Language) -> str:
    """The word for the class `name` where it stands alone."""
    return capital(word(name, language))


def prompt_word(name: str, language: Language) -> str:
    """The word for the class `name` in prompts and answers of the LLM."""
    return _PROMPT_WORDS[language].get(name) or word(name, language)


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Unique class names in the order of this file, a corpus's own classes last by name."""
    rank = {name: i for i, name in enumerate(_BY_NAME)}
    return tuple(sorted(set(names), key=lambda n: (rank.get(n, len(rank)), n)))
