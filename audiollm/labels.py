"""The ordered emotion classes, their aliases and their Chinese and English words.

The only copy. Names follow emotion2vec+ (arXiv 2312.15185); classes that only some corpora
have (bored, calm, ...) come after its nine. A corpus may bring a class of its own: it keeps
its name, in both languages.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
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


EMOTIONS: tuple[Emotion, ...] = (
    Emotion("angry", "生气", "angry", "#D1495B", ("anger", "ang", "愤怒", "wut")),
    Emotion("disgusted", "厌恶", "disgusted", "#7A9E3F", ("disgust", "dis", "ekel")),
    Emotion("fearful", "恐惧", "fearful", "#6A4C93", ("fear", "fea", "害怕", "angst")),
    Emotion("happy", "开心", "happy", "#F2A93B", ("happiness", "joy", "hap", "快乐", "高兴")),
    Emotion("neutral", "中性", "neutral", "#8A8D91", ("neu", "中立")),
    Emotion("other", "其他", "other", "#B9A394", ("oth",)),
    Emotion("sad", "难过", "sad", "#3D7EA6", ("sadness", "悲伤", "伤心")),
    Emotion("surprised", "吃惊", "surprised", "#2A9D8F", ("surprise", "sur", "惊讶")),
    Emotion("unknown", "未知", "unknown", "#C9CBCF", ("unk", "<unk>", "xxx")),
    Emotion("bored", "无聊", "bored", "#A68A64", ("boredom", "langeweile")),
    Emotion("calm", "平静", "calm", "#7FB7BE", ("安静",)),
    Emotion("excited", "兴奋", "excited", "#E76F51", ("excitement", "exc")),
    Emotion("frustrated", "沮丧", "frustrated", "#9C6644", ("frustration", "fru")),
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
