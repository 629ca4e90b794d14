"""What a written analysis may say of a recording, as plain values and as the words of a prompt."""

import random
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from audiollm.analysis import certainty
from audiollm.analysis.types import Analysis
from audiollm.audio.prosody import Level
from audiollm.labels import Language, prompt_word

UNNAMED = frozenset({"other", "unknown"})  # "it sounds other" is no sentence
CUES = 2  # named at most
_TEMPLATES: dict[Language, dict[str, str]] = {
    "en": {
        "label": "class: {}",
        "certainty": "certainty: {}",
        "others": "alternatives: {}",
        "cues": "cues: {}",
        "spans": "seconds: {}",
        "none": "evidence: none",
        "cautions": "cautions: {}",
        "course": "course: {}",
    },
    "zh": {
        "label": "类别：{}",
        "certainty": "程度：{}",
        "others": "备选：{}",
        "cues": "线索：{}",
        "spans": "时间：{}",
        "none": "依据：无",
        "cautions": "注意：{}",
        "course": "过程：{}",
    },
}
CAUTIONS = ("short", "little_voice", "mixed", "flat", "unmeasured")


@dataclass(frozen=True)
class Words:
    """The phrases for cues and cautions in one text, drawn by a seed: its prompt states them, and
    the text repeats them."""

    language: Language
    seed: int

    def cue(self, cue: str, level: Level) -> str:
        """`high pitch`, of phrases_en.toml."""
        return self._one("cues", f"{cue} {level}")

    def reason(self, caution: str) -> str:
        """`the recording is very short`."""
        return self._one("reasons", caution)

    def _one(self, kind: str, value: str) -> str:
        rng = random.Random(f"{self.seed} {value}")  # noqa: S311 - reproducible draw, no secret
        return rng.choice(phrases(self.language)[kind][value])


@dataclass(frozen=True)
class Facts:
    """All that may be said. A `course` of two or three parts stands for class and certainty."""

    label: str
    level: int  # of certainty, index in `certainty.WORDS`
    others: tuple[str, ...] = ()
    tried: bool = False  # what the answer rests on was measured
    cues: tuple[tuple[str, Level], ...] = ()  # that carry the answer
    spans: tuple[tuple[float, float], ...] = ()  # s, that carry it
    cautions: tuple[str, ...] = ()  # kinds
    course: tuple[tuple[float, str], ...] = ()  # (start in s, class)

    @classmethod
    def of(cls, analysis: Analysis) -> "Facts | None":
        """Those of an answer; None where its class has no word for a sentence. An uncertain answer
        has no evidence."""
        if analysis.label in UNNAMED:
            return None
        level = certainty.WORDS["en"].index(analysis.certainty)
        tried = bool(analysis.occlusion) and level > 0
        cues = sorted(analysis.carrying, key=lambda e: -(e.fall or 0))[:CUES] if tried else []
        longest = sorted(analysis.decisive, key=lambda span: span[0] - span[1])[:1]
        return cls(
            analysis.label,
            level,
            others=tuple(name for name in analysis.others if name not in UNNAMED),
            tried=tried and not analysis.course,
            cues=() if analysis.course else tuple((e.cue, e.level) for e in cues),
            spans=tuple(longest) if tried and not analysis.course else (),
            cautions=tuple(
                kind
                for kind in CAUTIONS
                if kind in analysis.cautions and not (analysis.course and kind in ("mixed", "flat"))
            ),
            course=analysis.course,
        )

    def line(self, words: Words) -> str:
        """As they stand in the prompt."""
        language = words.language
        comma, stop = ("、", "；") if language == "zh" else (", ", "; ")
        parts: list[tuple[str, list[str]]] = []
        if self.course:
            starts = ["", *(f"{clock(start)} " for start, _ in self.course[1:])]
            names = [prompt_word(name, language) for _, name in self.course]
            parts.append(("course", [a + b for a, b in zip(starts, names, strict=True)]))
        else:
            parts.append(("label", [prompt_word(self.label, language)]))
            parts.append(("certainty", [certainty.WORDS[language][self.level]]))
            parts.append(("others", [prompt_word(name, language) for name in self.others]))
            parts.append(("cues", [words.cue(*cue) for cue in self.cues]))
            parts.append(("spans", [span(each, language) for each in self.spans]))
            parts.append(("none", [""] if self.tried and not (self.cues or self.spans) else []))
        parts.append(("cautions", [words.reason(kind) for kind in self.cautions]))
        templates = _TEMPLATES[language]
        return stop.join(templates[key].format(comma.join(items)) for key, items in parts if items)


@cache
def phrases(language: Language) -> dict[str, dict[str, list[str]]]:
    """kind of claim -> value -> phrases that claim it."""
    path = Path(__file__).with_name(f"phrases_{language}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def clock(seconds: float) -> str:
    """`0:07`, as the time axis of a recording has it."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def span(seconds: tuple[float, float], language: Language) -> str:
    """`2.0 to 2.5 s`."""
    first, last = (f"{value:.1f}" for value in seconds)
    return f"{first} 至 {last} 秒" if language == "zh" else f"{first} to {last} s"
