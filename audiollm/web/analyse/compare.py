"""Two answers side by side, and free questions: plain functions, no gradio here."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from audiollm.audio.prosody import Cues
from audiollm.audio.windows import Progress
from audiollm.labels import Language
from audiollm.model import registry
from audiollm.model.loading import Came
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import actions, speaker_baseline
from audiollm.web.analyse.clip_loading import Clip, load_clip
from audiollm.web.analyse.plots import pair
from audiollm.web.analyse.saved_clips import Evidence
from audiollm.web.events import streamed
from audiollm.web.services import Services

if TYPE_CHECKING:
    from audiollm.predictor import Prediction, Predictor

CLIP, PROBE = "clip", "probe"  # what an answer can be compared with, besides another model's


@dataclass(frozen=True)
class Answer:
    """One of two answers."""

    name: str  # as people read it
    probabilities: Mapping[str, float]
    cues: Cues | None = None  # where it is of a sound of its own

    @property
    def label(self) -> str:
        return max(self.probabilities, key=lambda name: self.probabilities[name])


@dataclass(frozen=True)
class Comparison:
    """What the page shows: a notice, or both answers with their figure."""

    notice: str = ""
    verdict: str = ""
    figure: go.Figure | None = None
    evidence: Evidence | None = None  # of a disagreement about one sound


def rivals(services: Services, language: Language) -> list[tuple[str, str]]:
    """(words, id) of what the answer of the active model can be compared with."""
    others = [e for e in actions.model_entries(services) if e.id != services.active]
    choices = [(text("rival_model", language, name=e.name), e.id) for e in others]
    choices.append((text("rival_clip", language), CLIP))
    if services.card and services.card.probe:
        choices.append((text("rival_probe", language), PROBE))
    return choices


def compare(
    services: Services,
    path: str | None,
    rival: str,
    other: str | None,
    language: Language,
    visitor: str = "",
) -> Generator[Comparison]:
    """The clip's answer beside another one; every failure is shown as a sentence.

    `rival` is one of `rivals`; `other` is the second recording where it is CLIP. Where the visitor
    has switched that on, the active model compares both with their baseline, as in its answer.
    """

    def work(report: Callable[[Comparison], object]) -> None:
        run = _Run(services, language, visitor, report)
        try:
            if not path or (rival == CLIP and not other):
                run.notice("no_second" if path else "no_clip")
            elif not any(rival == offered for _, offered in rivals(services, language)):
                run.notice("no_rival")
            else:
                report(run.compare(path, rival, other or ""))
        except Exception as error:
            report(Comparison(notice=actions.failure(error, language).notice))

    return streamed(work)


@dataclass(frozen=True)
class _Run:
    """One comparison for one visitor."""

    services: Services
    language: Language
    visitor: str
    report: Callable[[Comparison], object]

    def compare(self, path: str, rival: str, other: str) -> Comparison:
        predictor = self.services.wait(self.loading)
        self.notice("analysing")
        id = self.services.active
        clip, answer = self.answer(predictor, path)
        if rival == CLIP:
            second, other_answer = self.answer(predictor, other)
            first_name, second_name = (
                text(f"{n}_clip", self.language) for n in ("first", "second")
            )
            first = Answer(first_name, answer, clip.cues())
            return self.side_by_side(
                first, Answer(second_name, other_answer, second.cues()), "clips"
            )
        if rival == PROBE:
            other_answer = predictor.probe(clip.sound, clip.track)
            name, other_id = text("probe_name", self.language), f"{id}: probe"
        else:
            other_id = rival
            with self.services.another(rival) as another:
                name, other_answer = self.other_model(another.wait(self.loading), clip)
        first = Answer(predictor.card.name, answer)
        comparison = self.side_by_side(first, Answer(name, other_answer), "models")
        if first.label == Answer(name, other_answer).label or not self.services.keeps:
            return comparison
        evidence = Evidence(path, "disagreement", id, answer, other_id, other_answer)
        return replace(comparison, evidence=evidence)

    def answer(self, predictor: "Predictor", path: str) -> tuple[Clip, Mapping[str, float]]:
        """A recording and what the active model answers."""
        clip = load_clip(path, self.services.settings, self.share)
        enrolment = speaker_baseline.of_clip(self.services, self.visitor, path)
        language = speaker_baseline.supported(predictor, self.language)
        options = clip, language, enrolment, path, self.progress
        return clip, speaker_baseline.predict(predictor, *options).probabilities

    def other_model(self, model: "Predictor", clip: Clip) -> tuple[str, Mapping[str, float]]:
        """Its name and answer. Nothing else holds the model, so that its memory can be freed."""
        language = speaker_baseline.supported(model, self.language)
        answer = model.stream(clip.sound, language, self.progress, followed=clip.track)
        return model.card.name, answer.probabilities

    def notice(self, code: str, share: float | None = None) -> None:
        notice = render.notice(text(code, self.language), "wait", share=share)
        self.report(Comparison(notice=notice))

    def share(self, share: float | None) -> None:
        self.notice("analysing", share)

    def progress(self, part: "Prediction | Progress") -> None:
        """Of a long recording; the text is not shown here."""
        if isinstance(part, Progress):
            self.share(part.done / part.windows)

    def loading(self, now: Came) -> None:
        self.report(Comparison(notice=render.loading(now, self.language)))

    def side_by_side(self, first: Answer, second: Answer, kind: str) -> Comparison:
        answers = [(answer.name, answer.probabilities) for answer in (first, second)]
        cues = render.cue_pair([first.cues, second.cues], [n for n, _ in answers], self.language)
        verdict = render.verdict(answers, kind, self.language) + cues
        return Comparison(verdict=verdict, figure=pair(answers, self.language))


def ask(services: Services, path: str | None, question: str, language: Language) -> Generator[str]:
    """HTML of the answer to a free question about the clip, growing."""

    def work(report: Callable[[str], object]) -> None:
        try:
            predictor = services.predictor() if path else None
            if not path or not predictor or not predictor.card.questions:
                code = "cannot_ask" if path else "no_clip"
                report(render.notice(text(code, language), "wait"))
                return
            report(render.notice(text("thinking", language), "wait"))
            clip = load_clip(path, services.settings)
            answer = predictor.ask(
                clip.sound,
                clip.track,
                question,
                language,
                lambda growing: report(render.reply(growing, language, done=False)),
            )
            report(render.reply(answer, language, done=True))
        except Exception as error:
            report(actions.failure(error, language).notice)

    return streamed(work)


def model_card(services: Services) -> str:
    """The README.md beside the active model, as Markdown that shows no foreign HTML and fetches no
    picture; "" where there is none."""
    card = services.card
    return registry.read_card(card.folder) if card else ""
