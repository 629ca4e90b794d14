"""What the Analyse page does, as plain functions: sound file in, `View` out. No gradio here."""

import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from audiollm.audio.timeline import Timeline, overview
from audiollm.audio.windows import Progress
from audiollm.errors import AudioLLMError, ModelError
from audiollm.labels import Language
from audiollm.model import registry
from audiollm.model.speaker import SpeakerBaseline
from audiollm.texts import spoken_language, text
from audiollm.web import model_info, render
from audiollm.web.analyse import exports, speaker_baseline
from audiollm.web.analyse.clip_loading import Clip, load_clip
from audiollm.web.analyse.course import course
from audiollm.web.analyse.plots import bars
from audiollm.web.auth import identity
from audiollm.web.events import streamed
from audiollm.web.services import Services
from audiollm.web.turns import Lent, Place

if TYPE_CHECKING:
    from audiollm.predictor import Prediction, Predictor

LOG = logging.getLogger(__name__)
MEASURING = 0.2  # share of the work on a long recording that pitch and pauses take; they come first
SURE = 0.05  # share of the work from which on the rest is estimated
REDRAWN = 1.0  # s between two figures of a course that is still growing


@dataclass(frozen=True)
class View:
    """What the page shows of an answer. A figure of None leaves the drawn one as it is.

    Either a notice or an answer is shown, never both.
    """

    notice: str = ""
    headline: str = ""
    figure: go.Figure | None = None
    probabilities: Mapping[str, float] | None = None  # in the figure, to draw it in another order
    text: str = ""
    cues: str = ""
    course: go.Figure | None = None
    hint: str = ""  # what the course is, once it has been drawn
    actions: str = ""

    @property
    def answered(self) -> bool:
        return bool(self.headline)


Report = Callable[[View], object]


def page_language(requested: str | None, before: str, accept: str | None) -> Language:
    """What the address asks for, else what was chosen before, else the browser's language."""
    supported: dict[str, Language] = {"zh": "zh", "en": "en"}
    return supported.get(requested or "") or supported.get(before) or spoken_language(accept)


def stopped(last: View, language: Language) -> View:
    """After a recording was stopped: an answer that is there stays, what was to come does not."""
    if last.answered:
        hint = f"<p>{text('course_stopped', language)}</p>{render.hint(None, language)}"
        return replace(last, figure=None, course=None, hint=hint if last.hint else "")
    return View(notice=render.notice(text("stopped", language), "wait"))


def empty(language: Language) -> View:
    """Before any clip."""
    return View(notice=render.waiting(language))


def begin(path: str | None, language: Language) -> View:
    """At once, before the queue: that the clip has arrived."""
    if not path:
        return empty(language)
    return View(notice=render.notice(text("analysing", language), "wait"))


def analyse(
    services: Services,
    path: str | None,
    language: Language,
    visitor: str = "",
    fixed: bool = False,
    number: int = 0,
) -> Generator[View]:
    """The answer to one clip as it comes into being; every failure is shown as a sentence.

    `fixed`: the bars have the same order for every clip.
    It ends early when the visitor has asked for another answer, or for none. A closed page ends it
    from outside, a lost heartbeat does not. That it was stopped is shown here, as the last view:
    another event could be overtaken.
    """
    request, last = services.requests.take(visitor, path, language, number), View()
    work = partial(_analyse, services, path, language, visitor, fixed)
    with closing(streamed(work)) as views:
        for view in views:
            now = services.requests.newest.get(visitor)
            if now and now is not request:
                return
            if request.stopped:
                yield stopped(last, language)
                return
            if view.probabilities and not request.answer:
                request.model, request.answer = services.active, view.probabilities
            last = view
            yield view


def _analyse(
    services: Services,
    path: str | None,
    language: Language,
    visitor: str,
    fixed: bool,
    report: Report,
) -> None:
    try:
        if path:
            turn = services.turns.take(lambda p: report(queued(p, language)), identity.caller())
            with turn as lent:
                _answer(services, path, language, visitor, fixed, report, lent)
        else:
            report(View(notice=render.notice(text("no_clip", language), "wait")))
    except Exception as error:
        report(failure(error, language))


def _answer(
    services: Services,
    path: str,
    language: Language,
    visitor: str,
    fixed: bool,
    report: Report,
    lent: Lent,
) -> None:
    """The figure with the first report, the text as it grows, then the course of the recording."""
    began, view = time.monotonic(), View()

    def show_progress(share: float) -> None:
        passed = time.monotonic() - began
        left = passed * (1 - share) / share if share >= SURE else None
        report(View(notice=render.progress(share, left, language)))

    def show_loading(share: float | None) -> None:
        nonlocal began
        if share is None:
            began = time.monotonic()
            report(View(notice=render.reading(language)))
        else:
            show_progress(MEASURING * share)

    clip = load_clip(path, services.settings, show_loading, lent)
    predictor = services.wait(lambda now: report(View(notice=render.loading(now, language))))
    if services.away:
        report(View(notice=render.notice(text("away_first", language), "wait")))
    enrolment = speaker_baseline.of_clip(services, visitor, path)
    others = enrolment.others(path) if enrolment else None

    def show(part: "Prediction | Progress") -> None:
        nonlocal view
        if isinstance(part, Progress):
            show_progress(MEASURING + (1 - MEASURING) * part.done / part.windows)
            return
        figure = None
        if not view.answered:  # afterwards only the text grows
            figure = bars(part.probabilities, language, fixed)
            compared = speaker_baseline.rests_on(part, others)
            view = View(
                headline=render.headline(part.probabilities, language)
                + render.acted(services.acted(path), part.label, language)
                + render.compared(part, compared, language),
                probabilities=part.probabilities,
                cues=render.cue_table(part.cues, language) + render.too_loud(clip.sound, language),
            )
        report(replace(view, figure=figure, text=_text(part, language, done=False)))

    answer = speaker_baseline.predict(predictor, clip, language, enrolment, path, show)
    speaker = None  # what the answer was compared with, for the course as well
    if answer.baseline_seconds:
        speaker = others if speaker_baseline.rests_on(answer, others) else answer.speech
    if enrolment:
        enrolment.offer(predictor, path, answer.speech)
    name = Path(path).stem
    view = replace(
        view,
        text=_text(answer, language, done=True),
        actions=exports.actions(answer, None, language, name),
    )
    report(view)
    try:
        _course(predictor, clip, answer, view, name, speaker, report)
    except Exception:  # the answer is shown without its figure
        LOG.exception("drawing the course failed")
        report(view)


def _course(
    predictor: "Predictor",
    clip: Clip,
    answer: "Prediction",
    view: View,
    name: str,
    speaker: SpeakerBaseline | None,
    report: Report,
) -> None:
    """The figure of the recording, its emotions filled in as the windows are scored."""
    language = answer.language
    signal = overview(clip.sound, clip.track)
    decisive = answer.analysis.decisive if answer.analysis else ()
    view = replace(view, hint=render.hint(None, language))
    report(replace(view, course=course(signal, None, language, decisive)))
    drawn = time.monotonic()

    def show(line: Timeline) -> None:
        nonlocal drawn
        unfinished = line.done < len(line.spans)
        if unfinished and time.monotonic() - drawn > REDRAWN:
            drawn = time.monotonic()
            hint = render.hint(None, language, line.done / len(line.spans))
            report(replace(view, course=course(signal, line, language, decisive), hint=hint))

    line = answer.timeline or predictor.timeline(clip.sound, language, show, speaker=speaker)
    if line is not None:
        actions = exports.actions(answer, line, language, name)
        hint = render.hint(line.spans[0][1] - line.spans[0][0], language)
        hint += render.course_table(line, language)
        figure = course(signal, line, language, decisive)
        report(replace(view, course=figure, hint=hint, actions=actions))


def _text(prediction: "Prediction", language: Language, done: bool) -> str:
    return render.analysis(prediction.text, language, done, prediction.analysis)


def queued(place: Place, language: Language) -> View:
    """The visitor waits for others."""
    return View(notice=render.queued(place.number, place.left, language))


def failure(error: Exception, language: Language) -> View:
    """An error box."""
    title, message = text("error_title", language), render.explained(error, language)
    return View(notice=render.notice(message, "error", title))


def loading(services: Services, language: Language) -> str:
    """How far the model has come that is being loaded; "" where none is."""
    return "" if services.ready else render.loading(services.loading.came(), language)


def about(services: Services, language: Language) -> str:
    """Which model answers and how good it is, or that it is loading, or why there is none."""
    if not services.ready:
        return model_info.about_nothing(text("loading", language), language)
    try:
        moved = text("away_slow", language) if services.away else ""
        card = services.predictor().card
        return model_info.about_model(card, language, services.trouble, moved)
    except AudioLLMError as error:
        return model_info.about_nothing(render.explained(error, language), language)


def choices(services: Services, language: Language) -> list[tuple[str, str]]:
    """(words, id) of the models that may be chosen: none for visitors, none where there is but
    one."""
    return [(model_info.entry(e, language), e.id) for e in model_entries(services)]


def model_entries(services: Services) -> list[registry.Entry]:
    """The models that can be chosen: [] where there is no choice."""
    models = registry.entries(services.settings) if services.owned else []
    return models if len(models) > 1 else []


def switch(services: Services, id: str) -> None:
    """Activates one of `choices`; whatever else is asked for, by whomever, is ignored."""
    if any(id == other for _, other in choices(services, "en")):
        try:
            services.switch(id)
        except ModelError as error:
            LOG.info("%s", error)
