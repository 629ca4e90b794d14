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
    share: float | None  # of the answers there that have 80 % or more
    baseline: float | None  # right there with a baseline of 8 clips


def protocols(metrics: Mapping[str, Any]) -> Accuracy | None:
    """What the manifest says of both protocols; None where it says nothing that can be used."""
    try:
        known, new = metrics["protocols"]["new speakers"], metrics["protocols"]["new corpora"]
        wa = float(known["wa"]), float(new["wa"])
        others = [None if new.get(k) is None else float(new[k]) for k in ("sure", "share", "wa_8")]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    valid = all(s is None or 0 <= s <= 1 for s in (*wa, *others))
    return Accuracy(*wa, *others) if valid else None


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
        code = "accuracy_sure" if found.share else "accuracy_sure_only"
        share = f"{100 * found.share:.2g}%" if found.share else ""
        said += text(code, language, sure=tenths(found.sure), share=share)
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
