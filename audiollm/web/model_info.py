"""Which model answers and how accurate it is, in words.

Figures come from model folders of anybody, so nothing in them is trusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from audiollm.analysis import wording
from audiollm.analysis.wording import percent
from audiollm.labels import Language
from audiollm.model.registry import Entry
from audiollm.texts import text
from audiollm.web.render import heading

if TYPE_CHECKING:
    from audiollm.inference.prediction import Card

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
RARE = 0.005  # share of answers: of fewer it is not stated how often they are right


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
        speakers, new = metrics["protocols"]["new speakers"], metrics["protocols"]["new corpora"]
        wa = float(speakers["wa"]), float(new["wa"])
        others = [None if new.get(k) is None else float(new[k]) for k in ("sure", "share", "wa_8")]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    valid = all(s is None or 0 <= s <= 1 for s in (*wa, *others))
    return Accuracy(*wa, *others) if valid else None


def sentence(metrics: Mapping[str, Any], codes: Sequence[str], language: Language) -> str:
    """Both figures and the languages of the training data, in words; "" where not measured."""
    accuracy = protocols(metrics)
    if accuracy is None:
        return ""
    shares = {"known": tenths(accuracy.speakers), "new": tenths(accuracy.corpora)}
    sentences = [text("accuracy", language, languages=escape(languages(codes, language)), **shares)]
    if accuracy.sure is not None:
        code = "accuracy_sure" if accuracy.share else "accuracy_sure_only"
        if accuracy.share and accuracy.share < RARE:
            code = "accuracy_sure_rare"
        digits = ".1g" if accuracy.share and accuracy.share < RARE else ".2g"
        share = f"{100 * accuracy.share:{digits}}%" if accuracy.share else ""
        sentences.append(text(code, language, sure=tenths(accuracy.sure), share=share))
    return wording.paragraph(sentences, language)


def languages(codes: Sequence[str], language: Language) -> str:
    """Of the training data, as people say them; "?" where the manifest does not tell."""
    names = [LANGUAGES.get(code, (code, code))[language == "zh"] for code in codes]
    if not names:
        return "?"
    if language == "zh":
        return "、".join(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def terms(name: str, language: Language) -> str:
    """The terms of the weights; "" where they are free or unknown."""
    return text("terms", language, terms=escape(name)) if "NC" in name else ""


def tenths(share: float) -> str:
    """0.47 -> `5`: so many of ten."""
    return str(round(10 * share))


def about_model(card: "Card", language: Language, trouble: str = "", moved: str = "") -> str:
    """The active model, and its accuracy on new speakers; `trouble`: why another one could not be
    activated; `moved`: that it is slower now."""
    line = text(
        "answered_by",
        language,
        name=escape(card.name),
        size=size(card.parameters, language),
        device=escape(device(card.device)),
    )
    missed = text("not_switched", language, sentence=escape(trouble)) if trouble else ""
    quality = sentence(card.metrics, card.data_languages, language)
    sentences = [quality or _quality(card.metrics, language), terms(card.terms, language)]
    lines = [f"<b>{line}</b>", wording.paragraph(sentences, language), missed, moved]
    return _about("<br>".join(filter(None, lines)), card.metrics, language, card.questions)


def entry(model: Entry, language: Language) -> str:
    """A model in the list of those that can be chosen: name, size, accuracy."""
    figures = _figures(model.metrics)
    fair = figures is not None and model.metrics.get("independent", True)
    return text(
        "entry" if fair else "entry_unmeasured",
        language,
        name=model.name,
        size=f"{model.bytes / 1e6:.0f} MB" if model.bytes < 1e9 else f"{model.bytes / 1e9:.1f} GB",
        wa=percent(figures[0]) if figures else "",
    )


def about_nothing(message: str, language: Language) -> str:
    """The same while there is no model."""
    return _about(escape(message), {}, language)


def _about(line: str, metrics: Mapping[str, Any], language: Language, asks: bool = False) -> str:
    """`asks`: it answers free questions; style.css shows where to ask them by that."""
    promise = [text("honest", language), mistakes(metrics, language), text("kept", language)]
    joined = wording.paragraph(promise, language)
    return (
        f'<div class="about{" asks" if asks else ""}">{heading("model", language)}<p>{line}</p>'
        f'<p class="honest">{joined}</p></div>'
    )


def _quality(metrics: Mapping[str, Any], language: Language) -> str:
    if not (figures := _figures(metrics)):
        return text("unmeasured", language)
    wa, low, high, ua = figures
    return text(
        "measured" if metrics.get("independent", True) else "measured_seen",
        language,
        n=escape(str(metrics.get("n", "?"))),
        speakers=escape(str(metrics.get("speakers", "?"))),
        data=escape(corpora(str(metrics.get("data", "?")), language)),
        wa=percent(wa),
        low=percent(low),
        high=percent(high),
        ua=percent(ua),
    )


def _figures(metrics: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """WA, its interval and UA; None where they are missing or no shares."""
    try:
        wa, ua = metrics["wa"], metrics["ua"]
        figures = (float(wa["value"]), float(wa["low"]), float(wa["high"]), float(ua["value"]))
    except (KeyError, TypeError, ValueError):
        return None
    return figures if all(0 <= share <= 1 for share in figures) else None


def corpora(data: str, language: Language) -> str:
    """`emodb+ased` as people write it: EmoDB, ASED."""
    names = [CORPORA.get(name, name) for name in data.split("+")]
    return ("、" if language == "zh" else ", ").join(names)


CORPORA = {
    **{n: n.upper() for n in ("ased", "ravdess", "crema-d", "esd", "casia", "savee", "tess")},
    **{"emodb": "EmoDB", "iemocap": "IEMOCAP", "meld": "MELD", "chiser5": "ChiSER5"},
}


def mistakes(metrics: Mapping[str, Any], language: Language) -> str:
    """How many of ten clips are classified wrongly; "" where that was not measured, or is in
    `sentence` already."""
    if protocols(metrics):
        return ""
    figures = _figures(metrics)
    if not figures or not metrics.get("independent", True):
        return ""
    wrong = round(10 * (1 - figures[0]))
    return text("wrong", language, n=wrong) if wrong else text("seldom_wrong", language)


def size(parameters: int, language: Language) -> str:
    """A count of parameters as people say it: 5.2 million, 520 万; 494 million, 4.9 亿."""
    if language == "zh":
        key, unit = ("parameters_b", 1e8) if parameters >= 1e8 else ("parameters_m", 1e4)
    elif parameters >= 1e9:
        key, unit = "parameters_b", 1e9
    else:
        key, unit = ("parameters_m", 1e6) if parameters >= 1e6 else ("parameters_k", 1e3)
    count = parameters / unit
    return text(key, language, value=f"{count:.1f}" if count < 100 else f"{count:.0f}")


def device(name: str) -> str:
    """`CPU`, `GPU (cuda:0)`, `vLLM`."""
    kind = name.partition(":")[0]
    return {"cpu": "CPU", "mps": "Apple GPU", "vLLM": "vLLM"}.get(kind, f"GPU ({name})")
