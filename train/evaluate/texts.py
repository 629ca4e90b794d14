"""`evaluate --texts N`: is what the LLM writes true, and what a person is shown?

Both are taken apart by the same parser (`audiollm.analysis.claims`) and compared with the
measured cues of the prepared data. N clips, seeded, spread over the classes, in every language of
the model.
"""

import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from typing import Any

from audiollm.analysis import claims, composition
from audiollm.analysis.types import Analysis
from audiollm.audio import prosody
from audiollm.audio.prosody import Cues
from audiollm.labels import Language
from audiollm.model import calibration
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt
from audiollm.model.scoring import Scorer
from train.data.dataset import Clip, Prepared

SEED = 0
EXAMPLES = 5  # corrected texts kept in full for each language


@dataclass
class Tally:
    """What was counted over some texts."""

    texts: int = 0
    parsed: int = 0  # hold every part that they should, and nothing that cannot be read
    named: int = 0  # give the winning class as the answer and no other
    stated: int = 0  # cues
    agreeing: int = 0  # of these, as measured

    def add(self, parsed: bool, named: bool) -> None:
        self.texts += 1
        self.parsed += parsed
        self.named += named

    def count(self, found: Sequence[claims.Sentence], levels: Mapping[str, prosody.Level]) -> None:
        """Statements of a text against the levels that it should have."""
        for sentence in found:
            self.stated += len(sentence.stated)
            self.agreeing += sum(s.agrees(levels) for s in sentence.stated)

    def to_dict(self) -> dict[str, Any]:
        return {
            "counts": asdict(self),
            "parsed": wilson(self.parsed, self.texts),
            "named": wilson(self.named, self.texts),
            "agreeing": wilson(self.agreeing, self.stated),
        }


@dataclass
class Checked:
    """The texts of one language: as the LLM wrote them and as they are shown."""

    raw: Tally = field(default_factory=Tally)
    shown: Tally = field(default_factory=Tally)
    corrected: int = 0  # statements put right
    texts_corrected: int = 0  # texts with at least one of them
    added: int = 0  # measured cues that the LLM left out
    dropped: int = 0  # sentences not shown
    examples: list[dict[str, str]] = field(default_factory=list)  # of corrected texts

    def add(
        self, clip: Clip, raw: str, known: Analysis, labels: Sequence[str], lang: Language
    ) -> None:
        """Judges one answer: `raw` is what the LLM wrote after the class word."""
        parts, text = composition.compose(known, raw, labels, lang)
        written = claims.parse(raw, labels, lang)
        self.raw.add(_raw_parses(raw, written, known), _names_one(written, known))
        self.raw.count(written, known.told)
        read = claims.parse(text, labels, lang)
        self.shown.add(_shown_parses(read), _names_one(read, known))
        self.shown.count(read, known.levels)
        self.corrected += len(parts.corrections)
        self.texts_corrected += bool(parts.corrections)
        self.added += len(parts.added)
        self.dropped += len(parts.dropped)
        if parts.corrections and len(self.examples) < EXAMPLES:
            self.examples.append({"id": clip.id, "raw": raw, "shown": text})

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "raw": self.raw.to_dict(), "shown": self.shown.to_dict()}


def measure(
    loaded: Any, prepared: Prepared, clips: Sequence[Clip], count: int, batch_size: int = 16
) -> dict[str, Any]:
    """Checks texts of at most `count` of the clips; plain JSON."""
    from tqdm import tqdm

    began = time.time()
    manifest = loaded.manifest
    chosen = choose(clips, count)
    prompt = Prompt.of(loaded.tokenizer, manifest)
    loaded.model.eval()
    scorer = Scorer(loaded.model, prompt)
    by_language: dict[str, Any] = {}
    total = len(chosen) * len(manifest.languages)
    with tqdm(total=total, desc="writing texts", unit="text") as bar:
        for lang in manifest.languages:
            checked = Checked()
            for start in range(0, len(chosen), batch_size):
                batch = chosen[start : start + batch_size]
                features = [prepared.store.get(clip.id) for clip in batch]
                cues = [Cues.from_dict(c.cues) if c.cues else None for c in batch]
                for clip, known, raw in zip(
                    batch, *_write(scorer, manifest, features, cues, lang), strict=True
                ):
                    checked.add(clip, raw, known, manifest.labels, lang)
                bar.update(len(batch))
            by_language[lang] = checked.to_dict()
    return {
        "clips": len(chosen),
        "seed": SEED,
        "languages": by_language,
        "seconds": round(time.time() - began, 1),
    }


def choose(clips: Sequence[Clip], count: int, seed: int = SEED) -> list[Clip]:
    """At most `count` clips, one of each class in turn, the same for the same seed."""
    drawn = random.Random(seed)  # noqa: S311 - reproducible draw, no secret
    by_class: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda c: c.id):
        by_class[clip.label].append(clip)
    for group in by_class.values():
        drawn.shuffle(group)
    turns = zip_longest(*(by_class[name] for name in sorted(by_class)))
    return [clip for turn in turns for clip in turn if clip][:count]


def _write(
    scorer: Scorer,
    manifest: Any,
    features: Sequence[Features],
    cues: Sequence[Cues | None],
    lang: Language,
) -> tuple[list[Analysis], list[str]]:
    """What is known of each clip, and what the LLM writes after the class that won."""
    scored = scorer.score(features, cues, lang)
    table = calibration.apply(
        scored.log_likelihoods.float().cpu().numpy(), manifest.labels, manifest.calibration
    )
    texts = scorer.generate(scored, table.argmax(1).tolist(), lang)
    named = [dict(zip(manifest.labels, map(float, row), strict=True)) for row in table]
    return [composition.measured(p, c, lang) for p, c in zip(named, cues, strict=True)], texts


def _names_one(found: Sequence[claims.Sentence], known: Analysis) -> bool:
    """No sentence but the one with the certainty names another class, or denies its own."""
    return all(
        s.names <= {known.label, *known.others}
        if s.kind == "certainty"
        else s.names <= {known.label} and not (s.names and s.denies)
        for s in found
    )


def _raw_parses(raw: str, found: Sequence[claims.Sentence], known: Analysis) -> bool:
    """Opening, evidence and intensity as they were taught, all readable, nothing else, ended."""
    kinds = [s.kind for s in found]
    wanted = ["prose", "evidence", "intensity"] if known.told else ["prose"]
    whole = raw.rstrip().endswith((".", "。"))
    return whole and kinds == wanted and not any(s.loose for s in found)


def _shown_parses(found: Sequence[claims.Sentence]) -> bool:
    """It begins with how certain the answer is, and all claims are readable."""
    loose = any(s.loose for s in found if s.kind != "note")
    return bool(found) and found[0].kind == "certainty" and not loose


def wilson(hits: int, n: int) -> dict[str, float] | None:
    """A share with its 95 % Wilson interval, which is honest near 0 and 1; None of nothing."""
    from scipy.stats import binomtest

    if not n:
        return None
    found = binomtest(hits, n).proportion_ci(method="wilson")
    return {"value": hits / n, "low": float(found.low), "high": float(found.high), "n": n}
