"""`evaluate --texts N`: is what the LLM writes true, and how does what a person is shown read?

N clips, seeded, spread over the classes, in every language of the model, from their sound: what an
answer rests on is measured as on the page. Every sentence is checked against the facts of its
answer by `audiollm.analysis.prose`.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

from audiollm import audio
from audiollm.analysis import claims, composition, prose
from audiollm.analysis.facts import Facts
from audiollm.errors import AudioError
from audiollm.inference.prediction import Prediction
from audiollm.labels import Language
from audiollm.predictor import Predictor
from train.corpora.reopen import opener
from train.data.dataset import Clip, Prepared

SEED = 0
EXAMPLES = 20  # texts kept in full for each language


@dataclass
class Checked:
    """The texts of one language. Every list has an entry for each text."""

    language: Language
    labels: tuple[str, ...]
    written: int = 0  # sentences of the LLM
    agreeing: int = 0  # of these, all claims agree with the measurement
    accepted: int = 0  # sentences of the LLM that are shown
    true: int = 0  # of these, all claims agree
    whole: list[bool] = field(default_factory=list)  # nothing composed stands in
    of_llm: list[bool] = field(default_factory=list)  # at least one sentence of the LLM is shown
    once: list[bool] = field(default_factory=list)  # the class is named once
    repeated: list[bool] = field(default_factory=list)  # the opening is said again
    sizes: list[int] = field(default_factory=list)  # words; characters in Chinese
    sentences: list[str] = field(default_factory=list)  # of all texts
    examples: list[dict[str, str]] = field(default_factory=list)

    def add(self, clip: Clip, answer: Prediction) -> None:
        """Judges the text of one answer."""
        analysis, language = answer.analysis, self.language
        assert analysis is not None  # noqa: S101 - every answer of `Predictor.predict` has one
        facts = Facts.of(analysis)
        accepted = claims.parse(analysis.prose, self.labels, language)
        for sentence in [*(c.text for c in accepted), *analysis.dropped]:
            self.written += 1
            self.agreeing += self._agrees(sentence, facts)
        self.accepted += len(accepted)
        self.true += sum(self._agrees(sentence.text, facts) for sentence in accepted)
        visible = claims.parse(answer.text, self.labels, language)
        self.of_llm.append(bool(accepted))
        self.whole.append(len(accepted) == len(visible))
        pattern, meaning = claims.classes(self.labels)
        mentions = [[meaning[w.lower()] for w in pattern.findall(s.text)] for s in visible]
        often = sum(names.count(analysis.label) for names in mentions)
        self.once.append(often == 1 or bool(analysis.course))
        opening, *rest = [s.text for s in visible]
        self.repeated.append(opening in rest or any(analysis.label in n for n in mentions[1:]))
        self.sizes.append(len(answer.text.split()) if language == "en" else len(answer.text))
        self.sentences += [s.text for s in visible]
        if len(self.examples) < EXAMPLES:
            composed = composition.compose(analysis, "", self.labels, language)[1]
            self.examples.append({"path": clip.path, "composed": composed, "shown": answer.text})

    def _agrees(self, sentence: str, facts: Facts | None) -> bool:
        claimed = prose.read(sentence, self.labels, self.language)
        return facts is not None and claimed.agree(facts, self.language)

    def to_dict(self) -> dict[str, Any]:
        texts = len(self.sizes)
        return {
            "texts": texts,
            "written": wilson(self.agreeing, self.written),
            "shown": wilson(self.true, self.accepted),
            "of_llm": wilson(sum(self.of_llm), texts),
            "whole": wilson(sum(self.whole), texts),
            "named_once": wilson(sum(self.once), texts),
            "repeated": wilson(sum(self.repeated), texts),
            "distinct": 100 * len(set(self.sentences)) / texts if texts else None,
            "sentences": len(self.sentences) / texts if texts else None,
            "size": float(np.mean(self.sizes)) if texts else None,
            "largest": max(self.sizes, default=None),
            "examples": self.examples,
        }


def measure(
    predictor: Predictor, prepared: Prepared, clips: Sequence[Clip], count: int
) -> dict[str, Any]:
    """Checks the texts of at most `count` of the clips; plain JSON. A clip whose sound cannot be
    opened is counted as lost."""
    from tqdm import tqdm

    sample, lost, open_clip = choose(clips, count), 0, opener(prepared.info)
    labels = predictor.manifest.labels
    checks = [Checked(language, labels) for language in predictor.manifest.languages]
    for clip in tqdm(sample, desc="writing texts", unit="clip"):
        try:
            sound = audio.load(open_clip(clip), predictor.settings)
        except (AudioError, OSError):
            lost += 1
            continue
        for checked in checks:
            checked.add(clip, predictor.predict([sound], checked.language)[0])
    return {
        "clips": len(sample) - lost,
        "lost": lost,
        "seed": SEED,
        "prose": predictor.manifest.prose,
        "languages": {checked.language: checked.to_dict() for checked in checks},
    }


def choose(clips: Sequence[Clip], count: int, seed: int = SEED) -> list[Clip]:
    """At most `count` clips, one of each class in turn, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - reproducible draw, no secret
    by_class: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda c: c.id):
        by_class[clip.label].append(clip)
    for group in by_class.values():
        rng.shuffle(group)
    turns = zip_longest(*(by_class[name] for name in sorted(by_class)))
    return [clip for turn in turns for clip in turn if clip][:count]


def wilson(hits: int, n: int) -> dict[str, float] | None:
    """A share with its 95 % Wilson interval, which is honest near 0 and 1; None of nothing."""
    from scipy.stats import binomtest

    if not n:
        return None
    interval = binomtest(hits, n).proportion_ci(method="wilson")
    return {"value": hits / n, "low": float(interval.low), "high": float(interval.high), "n": n}
