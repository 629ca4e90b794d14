"""How often a model is right, in words: on new speakers, and on languages and microphones that are
new to it. Figures come from model folders of anybody, so nothing in them is trusted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from audiollm.labels import Language
from audiollm.texts import text

LANGUAGES = {  # of training data, by ISO 639-1
    "de": ("German", "德语"),
    "am": ("Amharic", "阿姆哈拉语"),
    "zh": ("Mandarin", "汉语普通话"),
    "it": ("Italian", "意大利语"),
    "pl": ("Polish", "波兰语"),
    "en": ("English", "英语"),
    "ur": ("Urdu", "乌尔都语"),
    "el": ("Greek", "希腊语"),
}


@dataclass(frozen=True)
class Accuracy:
    """Shares of clips by two protocols: means over corpora."""

    speakers: float  # right on new speakers of known corpora
    corpora: float  # right on corpora that were left out whole
    sure: float | None  # right of the answers there with 80 % or more; None where there are none
    baseline: float | None  # right there with a baseline of 8 clips


def protocols(metrics: Mapping[str, Any]) -> Accuracy | None:
    """What the manifest says of both protocols; None where it says nothing that can be used."""
    try:
        known, new = metrics["protocols"]["new speakers"], metrics["protocols"]["new corpora"]
        sure, compared = new.get("sure"), new.get("wa_8")
        found = Accuracy(
            float(known["wa"]),
            float(new["wa"]),
            None if sure is None else float(sure),
            None if compared is None else float(compared),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    shares = [found.speakers, found.corpora, found.sure, found.baseline]
    return found if all(s is None or 0 <= s <= 1 for s in shares) else None


def sentence(metrics: Mapping[str, Any], codes: Sequence[str], language: Language) -> str:
    """Both figures and the languages of the training data, in words; "" where not measured."""
    found = protocols(metrics)
    if found is None:
        return ""
    said = text(
        "accuracy",
        language,
        languages=escape(languages(codes, language)),
        known=tenths(found.speakers),
        new=tenths(found.corpora),
    )
    if found.sure is not None:
        said += text("accuracy_sure", language, sure=tenths(found.sure))
    return said


def languages(codes: Sequence[str], language: Language) -> str:
    """Of the training data, as people say them; "?" where the manifest does not tell."""
    names = [LANGUAGES.get(code, (code, code))[language == "zh"] for code in codes]
    if not names:
        return "?"
    if language == "zh":
        return "、".join(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def terms(name: str, language: Language) -> str:
    """Under which terms the weights may be used; "" where they are free or nobody tells."""
    return text("terms", language, terms=escape(name)) if "NC" in name else ""


def tenths(share: float) -> str:
    """0.47 -> `5`: so many of ten."""
    return str(round(10 * share))
