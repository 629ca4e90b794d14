"""What the page does, as plain functions: a sound's path in, a `View` out. No gradio here."""

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from audiollm import audio
from audiollm.errors import AudioError, AudioLLMError, ModelError, NoSpeechError
from audiollm.labels import Language
from audiollm.ui import render
from audiollm.ui.plots import bars
from audiollm.ui.services import Services
from audiollm.ui.texts import text

if TYPE_CHECKING:
    from audiollm.predictor import Prediction, Predictor

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class View:
    """What the answer's half of the page shows. `figure` None leaves the drawn figure as it is.

    Either a notice or an answer is shown, never both.
    """

    notice: str = ""
    headline: str = ""
    figure: go.Figure | None = None
    text: str = ""
    cues: str = ""

    @property
    def answered(self) -> bool:
        return bool(self.headline)


def spoken_language(accept: str | None) -> Language:
    """Language of the page from the browser's `Accept-Language`: its first choice counts, as it
    does for the texts that the browser translates itself."""
    first = (accept or "").split(",")[0].split(";")[0].strip().lower()
    return "zh" if first == "zh" or first.startswith("zh-") else "en"


def empty(language: Language) -> View:
    """Before any clip."""
    return View(notice=render.waiting(language))


def begin(path: str | None, language: Language) -> View:
    """At once, before the queue: that the clip has arrived."""
    if not path:
        return empty(language)
    return View(notice=render.notice(text("listening", language), "wait"))


def analyse(services: Services, path: str | None, language: Language) -> Iterator[View]:
    """The answer to one clip as it comes into being; every failure is shown as a sentence."""
    if not path:
        yield View(notice=render.notice(text("no_clip", language), "wait"))
        return
    try:
        sound = audio.load(path, services.settings)
        audio.require_speech(sound)
        if not services.ready:
            yield View(notice=render.notice(text("loading_first", language), "wait"))
        yield from _answer(services.predictor(), sound, language)
    except AudioLLMError as error:
        yield failure(error, language)
    except Exception:
        LOG.exception("analysing a clip failed")
        yield _sorry(text("error_bug", language), language)


def _answer(predictor: "Predictor", sound: audio.Sound, language: Language) -> Iterator[View]:
    """The figure with the first item, the text as it grows."""
    view, last = View(), None
    # closed here and not when collected: a visitor who leaves must not keep the model locked
    with closing(predictor.stream(sound, language)) as predictions:
        for prediction in predictions:
            last = prediction
            view = View(
                headline=render.headline(prediction.probabilities, language),
                figure=None if view.answered else bars(prediction.probabilities, language),
                text=_text(prediction, language, done=False),
                cues=render.cue_table(prediction.cues, language),
            )
            yield view
    if last is not None:
        view = View(view.notice, view.headline, None, _text(last, language, done=True), view.cues)
        yield view


def _text(prediction: "Prediction", language: Language, done: bool) -> str:
    return render.analysis(prediction.text, language, done, prediction.analysis)


def failure(error: AudioLLMError, language: Language) -> View:
    """The error's own sentence; a Chinese page says first in Chinese what kind of error it is."""
    return _sorry(_explained(error, language), language)


def _explained(error: AudioLLMError, language: Language) -> str:
    kinds = {NoSpeechError: "speech", AudioError: "audio", ModelError: "model"}
    kind = next((name for cls, name in kinds.items() if isinstance(error, cls)), "known")
    return text(f"error_{kind}", language, sentence=str(error))


def _sorry(message: str, language: Language) -> View:
    return View(notice=render.notice(message, "error", text("error_title", language)))


def about(services: Services, language: Language) -> str:
    """Which model answers and how good it is, or that it is loading, or why there is none."""
    if not services.ready:
        return render.about_nothing(text("loading", language), language)
    try:
        return render.about_model(services.predictor().card, language)
    except AudioLLMError as error:
        return render.about_nothing(_explained(error, language), language)
