"""Two answers side by side, and free questions: plain functions, no gradio here."""

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from audiollm.audio import prosody
from audiollm.audio.steps import drained, told
from audiollm.audio.windows import Progress
from audiollm.errors import AudioLLMError
from audiollm.labels import Language
from audiollm.model import registry
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import actions, adapting
from audiollm.web.analyse.hearing import Heard, hear
from audiollm.web.analyse.keeping import Evidence, Outcome, careful, keep
from audiollm.web.analyse.known_voice import Voice
from audiollm.web.analyse.plots import pair
from audiollm.web.services import Services, until_loaded

if TYPE_CHECKING:
    from audiollm.predictor import Predictor

LOG = logging.getLogger(__name__)
CLIP, PROBE = "clip", "probe"  # what an answer may be held against, besides another model's


@dataclass(frozen=True)
class Side:
    """One of two answers."""

    name: str  # as people read it
    probabilities: Mapping[str, float]
    cues: prosody.Cues | None = None  # where it is of a sound of its own

    @property
    def label(self) -> str:
        return max(self.probabilities, key=lambda name: self.probabilities[name])


@dataclass(frozen=True)
class Comparison:
    """What the page shows: a notice, or a verdict with its figure."""

    notice: str = ""
    verdict: str = ""
    figure: go.Figure | None = None
    evidence: Evidence | None = None  # of a disagreement about one sound


def rivals(services: Services, language: Language) -> list[tuple[str, str]]:
    """(words, id) of what the answer of the loaded model can be held against."""
    others = [e for e in actions.offered(services) if e.id != services.using]
    found = [(text("rival_model", language, name=e.name), e.id) for e in others]
    found.append((text("rival_clip", language), CLIP))
    if services.card and services.card.probe:
        found.append((text("rival_probe", language), PROBE))
    return found


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
    wants it, the model in use compares both with their voice, as in its answer.
    """
    try:
        if not path or (rival == CLIP and not other):
            key = "no_clip" if not path else "no_second"
            yield Comparison(notice=render.notice(text(key, language), "wait"))
            return
        if not any(rival == known for _, known in rivals(services, language)):
            yield Comparison(notice=render.notice(text("no_rival", language), "wait"))
            return
        yield from _compare(services, path, rival, other, language, visitor)
    except AudioLLMError as error:
        yield Comparison(notice=actions.failure(error, language).notice)
    except Exception:
        LOG.exception("comparing failed")
        yield Comparison(notice=actions.sorry(text("error_bug", language), language).notice)


def _compare(
    services: Services, path: str, rival: str, other: str | None, language: Language, visitor: str
) -> Generator[Comparison]:
    for came in until_loaded(services):
        yield Comparison(notice=render.loading(came, language))
    yield Comparison(notice=render.notice(text("listening", language), "wait"))
    id, predictor = services.using, services.predictor()
    heard = yield from _hear(services, path, language)
    voice = adapting.of_clip(services, visitor, path)
    answer = yield from _answer(predictor, heard, language, voice, path)
    if rival == CLIP:
        other_heard = yield from _hear(services, other or "", language)
        voice = adapting.of_clip(services, visitor, other or "")
        other_answer = yield from _answer(predictor, other_heard, language, voice, other or "")
        sides = (
            Side(text("first_clip", language), answer, heard.cues()),
            Side(text("second_clip", language), other_answer, other_heard.cues()),
        )
        yield _verdict(sides, "clips", language)
        return
    if rival == PROBE:
        other_answer = predictor.probe(heard.sound, heard.followed)
        second, other_id = Side(text("probe_name", language), other_answer), f"{id}: probe"
    else:
        with services.another(rival) as other_model:
            for came in until_loaded(other_model):
                yield Comparison(notice=render.loading(came, language))
            other_answer = yield from _answer(other_model.model.result(), heard, language)
            second, other_id = Side(other_model.model.result().card.name, other_answer), rival
    sides = (Side(predictor.card.name, answer), second)
    found = _verdict(sides, "models", language)
    if sides[0].label == sides[1].label or not services.keeps:
        yield found
        return
    seen = Evidence(path, "disagreement", id, answer, other_id, other_answer)
    yield Comparison(verdict=found.verdict, figure=found.figure, evidence=seen)


def _hear(services: Services, path: str, language: Language) -> Generator[Comparison, None, Heard]:
    return told(hear(services, path), lambda share: _listening(language, share))


def _listening(language: Language, share: float | None) -> Comparison:
    return Comparison(notice=render.notice(text("listening", language), "wait", share=share))


def _answer(
    predictor: "Predictor",
    heard: Heard,
    language: Language,
    voice: Voice | None = None,
    path: str = "",
) -> Generator[Comparison, None, dict[str, float]]:
    """Class probabilities; before that, how far a long sound has been heard."""
    spoken = adapting.spoken(predictor, language)
    with closing(adapting.compared(predictor, heard, spoken, voice, path)) as parts:
        for part in parts:
            if not isinstance(part, Progress):
                return part.probabilities
            yield _listening(language, part.heard / part.windows)
    raise RuntimeError("a model that says nothing")


def _verdict(sides: tuple[Side, Side], kind: str, language: Language) -> Comparison:
    said = render.verdict(
        [(side.name, side.probabilities) for side in sides], kind, language
    ) + render.cue_pair([side.cues for side in sides], [side.name for side in sides], language)
    figure = pair([(side.name, side.probabilities) for side in sides], language)
    return Comparison(verdict=said, figure=figure)


def keep_clip(
    services: Services,
    path: str | None,
    language: Language,
    still: Callable[[], bool],
    visitor: str = "",
) -> Outcome | None:
    """Keeps the clip with the answer of the model in use, which is asked again.

    None: nobody wanted it any more when that was there, `still` says so; it is not kept.
    """
    id = services.using

    def answered() -> Outcome | None:
        if not path or not services.keeps:
            return keep(services, None, language)
        predictor = services.predictor()
        heard = drained(hear(services, path))
        voice = adapting.of_clip(services, visitor, path)
        answer = drained(_answer(predictor, heard, language, voice, path))
        if not still():
            return None
        return keep(services, Evidence(path, "kept", id, answer), language)

    return careful(answered, language)


def ask(services: Services, path: str | None, question: str, language: Language) -> Generator[str]:
    """HTML of the answer to a free question about the clip, growing."""
    if not path:
        yield render.notice(text("no_clip", language), "wait")
        return
    try:
        predictor = services.predictor()
        if not predictor.card.questions:
            yield render.notice(text("cannot_ask", language), "wait")
            return
        yield render.notice(text("thinking", language), "wait")
        heard = drained(hear(services, path))
        said = ""
        spoken = predictor.ask(heard.sound, heard.followed, question, language)
        with closing(spoken) as steps:
            for said in steps:
                yield render.reply(said, language, done=False)
        yield render.reply(said, language, done=True)
    except AudioLLMError as error:
        yield actions.failure(error, language).notice
    except Exception:
        LOG.exception("answering a question failed")
        yield actions.sorry(text("error_bug", language), language).notice


def model_card(services: Services) -> str:
    """The README.md beside the model that answers, as Markdown that shows no foreign HTML and
    fetches no picture; "" where there is none."""
    card = services.card
    return registry.read_card(card.folder) if card else ""
