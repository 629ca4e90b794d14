"""The text of an answer: what the LLM writes of its facts, where the measurement bears it out."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from audiollm.analysis import composition
from audiollm.analysis.facts import Facts, Words
from audiollm.audio.sound import Sound
from audiollm.contracts.manifest import Manifest
from audiollm.inference.classifier import ScoredSound
from audiollm.inference.prediction import Prediction

if TYPE_CHECKING:
    from audiollm.model.generation import Context

ATTEMPTS = 4  # of the LLM to write a text of which every sentence holds


class UntrueError(Exception):
    """A sentence was written that does not hold; the text ends here."""


class Writer:
    """Writes analyses with the LLM of one model, or composes them where it was not taught to.

    A sentence that does not hold is written again, after those before it, with other random
    numbers (rejection sampling); what does not hold in the last attempt is left out.
    """

    def __init__(self, manifest: Manifest, scorer: Any, texts: Any) -> None:
        self.manifest, self._scorer, self._texts = manifest, scorer, texts

    def write(self, scored: Sequence[ScoredSound], sounds: Sequence[Sound]) -> list[Prediction]:
        """The answers with their texts."""
        raw, rejected = [""] * len(scored), [list[str]() for _ in scored]
        starts = {i: "" for i, answer in enumerate(scored) if self._writes(answer)}
        for attempt in range(ATTEMPTS):
            contexts = [self._context(scored[i], sounds[i], attempt, starts[i]) for i in starts]
            texts = self._texts.write(contexts)
            for (i, start), text in zip(list(starts.items()), texts, strict=True):
                raw[i] = self._after(start, text, scored[i])
                untrue = self._first_untrue(scored[i], raw[i])
                if untrue and attempt < ATTEMPTS - 1:
                    starts[i] = untrue[0]
                    rejected[i].append(untrue[1])
                else:
                    del starts[i]
        return [
            self._answer(answer, text, sentences)
            for answer, text, sentences in zip(scored, raw, rejected, strict=True)
        ]

    def stream(
        self, scored: ScoredSound, sound: Sound, report: Callable[[Prediction], object]
    ) -> Prediction:
        """The answer with its text; `report` gets it as it grows."""
        raw, shown, start, rejected = "", "", "", list[str]()

        def write(piece: str) -> None:
            nonlocal raw, shown
            raw += piece
            if not last and self._first_untrue(scored, raw, done=False):
                raise UntrueError
            growing = self._answer(scored, raw, rejected, done=False)
            if growing.text != shown:
                shown = growing.text
                report(growing)

        for attempt in range(ATTEMPTS if self._writes(scored) else 0):
            raw, last = self._after(start, "", scored), attempt == ATTEMPTS - 1
            try:
                text = self._texts.stream(self._context(scored, sound, attempt, start), write)
                raw = self._after(start, text, scored)
            except UntrueError:
                pass
            untrue = self._first_untrue(scored, raw)
            if last or not untrue:
                break
            start = untrue[0]
            rejected.append(untrue[1])
        answer = self._answer(scored, raw, rejected)
        report(answer)
        return answer

    def _writes(self, scored: ScoredSound) -> bool:
        """Whether the LLM was taught to write, and there is a word for the class."""
        return self.manifest.prose and Facts.of(scored.analysis) is not None

    def _context(self, scored: ScoredSound, sound: Sound, attempt: int, start: str) -> "Context":
        """What the LLM goes on from. The same sound gets the same text."""
        facts, language = Facts.of(scored.analysis), scored.prediction.language
        assert facts is not None, "see _writes"  # noqa: S101
        seed = zlib.crc32(sound.samples.tobytes())
        line = facts.line(Words(language, seed))
        prefill = partial(self._scorer.analysis_context, line, language, seed + attempt, start)
        return self._texts.context(prefill)

    def _after(self, start: str, text: str, scored: ScoredSound) -> str:
        """The text after its start."""
        space = " " if start and scored.prediction.language == "en" else ""
        return start + space + text

    def _first_untrue(
        self, scored: ScoredSound, raw: str, done: bool = True
    ) -> tuple[str, str] | None:
        labels, language = self.manifest.labels, scored.prediction.language
        return composition.first_untrue(scored.analysis, raw, labels, language, done)

    def _answer(
        self, scored: ScoredSound, raw: str, rejected: Sequence[str], done: bool = True
    ) -> Prediction:
        """The answer with the text that is shown for what the LLM wrote; "": a composed one."""
        language = scored.prediction.language
        labels = self.manifest.labels
        parts, text = composition.compose(scored.analysis, raw, labels, language, done)
        parts = replace(parts, dropped=(*rejected, *parts.dropped))
        return replace(scored.prediction, text=text, analysis=parts)
