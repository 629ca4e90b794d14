"""What the page does, as plain functions: a sound's path in, a `View` out. No gradio here."""

import logging
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from audiollm.audio.steps import told
from audiollm.audio.timeline import Timeline, overview
from audiollm.audio.windows import Progress
from audiollm.errors import AudioError, AudioLLMError, ModelError
from audiollm.labels import Language
from audiollm.model import registry
from audiollm.model.speaker import SpeakerBaseline
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import adapting, exports, turns
from audiollm.web.analyse.course import course
from audiollm.web.analyse.hearing import Heard, hear
from audiollm.web.analyse.known_voice import Voice
from audiollm.web.analyse.plots import bars
from audiollm.web.services import AwayError, Services, until_loaded

if TYPE_CHECKING:
    from audiollm.predictor import Prediction, Predictor

LOG = logging.getLogger(__name__)
MEASURING = 0.2  # share of the way to a long recording's answer: pitch and pauses come first
SURE = 0.05  # share of the way from which on the rest is estimated
REDRAWN = 1.0  # s between two pictures of a course that is still growing


@dataclass(frozen=True)
class View:
    """What the page shows of an answer. A figure of None leaves the drawn one as it is.

    Either a notice or an answer is shown, never both.
    """

    notice: str = ""
    headline: str = ""
    figure: go.Figure | None = None
    said: Mapping[str, float] | None = None  # what the figure shows, to draw it in another order
    text: str = ""
    cues: str = ""
    course: go.Figure | None = None
    hint: str = ""  # what the course is, once it has been drawn
    actions: str = ""

    @property
    def answered(self) -> bool:
        return bool(self.headline)


def spoken_language(accept: str | None) -> Language:
    """Language of the page from the browser's `Accept-Language`: its first choice counts, as it
    does for the texts that the browser translates itself."""
    first = (accept or "").split(",")[0].split(";")[0].strip().lower()
    return "zh" if first == "zh" or first.startswith("zh-") else "en"


def page_language(asked: str | None, before: str, accept: str | None) -> Language:
    """What the address asks for, else what was chosen before, else what the browser speaks."""
    chosen: dict[str, Language] = {"zh": "zh", "en": "en"}
    return chosen.get(asked or "") or chosen.get(before) or spoken_language(accept)


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
    return View(notice=render.notice(text("listening", language), "wait"))


def analyse(
    services: Services,
    path: str | None,
    language: Language,
    visitor: str = "",
    fixed: bool = False,
) -> Generator[View]:
    """The answer to one clip as it comes into being; every failure is shown as a sentence.

    `fixed`: the bars stand in the same order for every clip.
    It ends early when the visitor has come to want another answer, or none. That it was stopped
    is said here, as the last word: said by another event, it could be overtaken.
    """
    turn = turns.take(services, visitor, path, language)
    last = View()
    with closing(_analyse(services, path, language, visitor, fixed)) as views:
        for view in views:
            now = services.wanted.get(visitor)
            if now is not turn:
                if now and not now.taken:  # said again: what is still under way would cover it
                    yield begin(now.path, now.language)
                return
            if turn.stopped:
                yield stopped(last, language)
                return
            last = view
            yield view


def _analyse(
    services: Services, path: str | None, language: Language, visitor: str, fixed: bool
) -> Generator[View]:
    if not path:
        yield View(notice=render.notice(text("no_clip", language), "wait"))
        return
    try:
        way = _Way(language)
        heard = yield from told(hear(services, path), way.measured)
        for came in until_loaded(services):
            yield View(notice=render.loading(came, language))
        if services.away:
            yield View(notice=render.notice(text("away_first", language), "wait"))
        voice = adapting.of_clip(services, visitor, path)
        clip = _Clip(path, services.acted(path), voice)
        yield from _answer(services.predictor(), heard, clip, language, fixed, way)
    except AudioLLMError as error:
        yield failure(error, language)
    except Exception:
        LOG.exception("analysing a clip failed")
        yield sorry(text("error_bug", language), language)


@dataclass(frozen=True)
class _Clip:
    """What is known of a file before it is heard."""

    path: str
    acted: str  # the class that the speaker of an example was asked for, or ""
    voice: Voice | None  # of the visitor, where they want their recordings compared

    @property
    def name(self) -> str:
        """Without its folder and ending."""
        return Path(self.path).stem


class _Way:
    """How much of the way to the answer is done, and how long the rest may take."""

    def __init__(self, language: Language) -> None:
        self.language, self.began = language, time.monotonic()

    def measured(self, share: float | None) -> View:
        """Pitch and pauses come first; None: before that the file is read."""
        if share is None:
            self.began = time.monotonic()
            return View(notice=render.reading(self.language))
        return self._view(MEASURING * share)

    def heard(self, share: float) -> View:
        """Then the windows that vote on the answer."""
        return self._view(MEASURING + (1 - MEASURING) * share)

    def _view(self, share: float) -> View:
        passed = time.monotonic() - self.began
        left = passed * (1 - share) / share if share >= SURE else None
        return View(notice=render.progress(share, left, self.language))


def _answer(
    predictor: "Predictor", heard: Heard, clip: _Clip, language: Language, fixed: bool, way: _Way
) -> Iterator[View]:
    """The figure with the first item, the text as it grows, then the course of the recording."""
    view, last = View(), None
    others = clip.voice.others(clip.path) if clip.voice else None
    # closed here and not when collected: a visitor who leaves must not keep the model locked
    with closing(adapting.compared(predictor, heard, language, clip.voice, clip.path)) as parts:
        for part in parts:
            if isinstance(part, Progress):
                yield way.heard(part.heard / part.windows)
                continue
            if last is None:  # afterwards only the text grows
                view = View(
                    headline=render.headline(part.probabilities, language)
                    + render.acted(clip.acted, part.label, language)
                    + render.compared(part, adapting.rests_on(part, others), language),
                    figure=bars(part.probabilities, language, fixed),
                    said=part.probabilities,
                    cues=render.cue_table(part.cues, language)
                    + render.too_loud(heard.sound, language),
                )
            else:
                view = replace(view, figure=None)
            last = part
            view = replace(view, text=_text(part, language, done=False))
            yield view
    if last is None:
        return
    speaker = None  # what the answer rests on, for the course as well
    if last.baseline_seconds:
        speaker = others if adapting.rests_on(last, others) else last.speech
    if clip.voice:
        clip.voice.offer(predictor, clip.path, last.speech)
    text_ = _text(last, language, done=True)
    view = replace(
        view, figure=None, text=text_, actions=exports.actions(last, None, language, clip.name)
    )
    yield view
    try:
        yield from _course(predictor, heard, last, view, clip.name, speaker)
    except Exception:  # the answer stands without its picture
        LOG.exception("drawing the course failed")
        yield replace(view, hint="", course=None)


def _course(
    predictor: "Predictor",
    heard: Heard,
    answer: "Prediction",
    view: View,
    name: str,
    speaker: SpeakerBaseline | None,
) -> Iterator[View]:
    """The picture of the recording, its emotions filled in as the windows are heard."""
    language = answer.language
    seen = overview(heard.sound, heard.followed)
    view = replace(view, hint=render.hint(None, language))
    yield replace(view, course=course(seen, None, language))
    drawn = time.monotonic()
    line: Timeline | None = None
    line_of = predictor.timeline(heard.sound, heard.followed, language, speaker=speaker)
    with closing(line_of) as steps:
        for line in steps:
            unfinished = line.heard < len(line.spans)
            if unfinished and time.monotonic() - drawn > REDRAWN:
                drawn = time.monotonic()
                hint = render.hint(None, language, line.heard / len(line.spans))
                yield replace(view, course=course(seen, line, language), hint=hint)
    if line is not None:
        actions = exports.actions(answer, line, language, name)
        hint = render.hint(line.spans[0][1] - line.spans[0][0], language)
        hint += render.course_table(line, language)
        yield replace(view, course=course(seen, line, language), hint=hint, actions=actions)


def _text(prediction: "Prediction", language: Language, done: bool) -> str:
    return render.analysis(prediction.text, language, done, prediction.analysis)


def failure(error: AudioLLMError, language: Language) -> View:
    """The error's own sentence; where it has none in Chinese, a Chinese page says first what kind
    of error it is."""
    return sorry(explained(error, language), language)


def explained(error: AudioLLMError, language: Language) -> str:
    """One sentence; in Chinese where there is a translation, else with what kind of error it is."""
    if isinstance(error, AwayError):
        return text("away_busy", language)
    if language == "en" or error.zh:
        return error.in_language(language)
    kinds = {AudioError: "audio", ModelError: "model"}
    kind = next((name for cls, name in kinds.items() if isinstance(error, cls)), "known")
    return text(f"error_{kind}", language, sentence=str(error))


def sorry(message: str, language: Language) -> View:
    """An error box with the sentence."""
    return View(notice=render.notice(message, "error", text("error_title", language)))


def loading(services: Services, language: Language) -> str:
    """How far the model has come that is being loaded; "" where none is."""
    return "" if services.ready else render.loading(services.loading.came(), language)


def about(services: Services, language: Language) -> str:
    """Which model answers and how good it is, or that it is loading, or why there is none."""
    if not services.ready:
        return render.about_nothing(text("loading", language), language)
    try:
        moved = text("away_slow", language) if services.away else ""
        card = services.predictor().card
        return render.about_model(card, language, services.trouble, moved)
    except AudioLLMError as error:
        return render.about_nothing(explained(error, language), language)


def choices(services: Services, language: Language) -> list[tuple[str, str]]:
    """(words, id) of the models that may be chosen: none for strangers, none where there is but
    one."""
    return [(render.entry(e, language), e.id) for e in offered(services)]


def offered(services: Services) -> list[registry.Entry]:
    """The models among which people may choose: [] where there is no choice."""
    found = registry.entries(services.settings) if services.owned else []
    return found if len(found) > 1 else []


def switch(services: Services, id: str) -> None:
    """Let one of `choices` answer; whatever else is asked for, by whomever, is passed over."""
    if any(id == known for _, known in choices(services, "en")):
        try:
            services.switch(id)
        except ModelError as error:
            LOG.info("%s", error)
