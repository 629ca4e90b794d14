"""Two answers side by side, and clips kept for labelling: plain functions, no gradio here."""

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from audiollm import audio, catalogue, prosody
from audiollm.errors import AudioLLMError
from audiollm.labelling.sources import from_kept
from audiollm.labelling.store import Labels
from audiollm.labelling.tasks import Task
from audiollm.labels import Language
from audiollm.store import Reason, Store
from audiollm.ui import render
from audiollm.ui.analyse import actions
from audiollm.ui.analyse.plots import pair
from audiollm.ui.services import Services, until_loaded
from audiollm.ui.texts import text
from audiollm.windows import Progress

if TYPE_CHECKING:
    from audiollm.predictor import Predictor

LOG = logging.getLogger(__name__)
CLIP, EAR = "clip", "ear"  # what an answer may be held against, besides another model's


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
class Evidence:
    """A sound and what was said of it, to be kept if somebody asks for that."""

    path: str
    reason: Reason
    model: str
    answer: Mapping[str, float]
    other_model: str = ""
    other_answer: Mapping[str, float] | None = None


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
    if services.ready and not services.model.exception() and services.predictor().card.ear:
        found.append((text("rival_ear", language), EAR))
    return found


def compare(
    services: Services, path: str | None, rival: str, other: str | None, language: Language
) -> Iterator[Comparison]:
    """The clip's answer beside another one; every failure is shown as a sentence.

    `rival` is one of `rivals`; `other` is the second recording where it is CLIP.
    """
    try:
        if not path or (rival == CLIP and not other):
            key = "no_clip" if not path else "no_second"
            yield Comparison(notice=render.notice(text(key, language), "wait"))
            return
        if not any(rival == known for _, known in rivals(services, language)):
            yield Comparison(notice=render.notice(text("no_rival", language), "wait"))
            return
        yield from _compare(services, path, rival, other, language)
    except AudioLLMError as error:
        yield Comparison(notice=actions.failure(error, language).notice)
    except Exception:
        LOG.exception("comparing failed")
        yield Comparison(notice=actions.sorry(text("error_bug", language), language).notice)


def _compare(
    services: Services, path: str, rival: str, other: str | None, language: Language
) -> Generator[Comparison]:
    yield Comparison(notice=render.notice(text("listening", language), "wait"))
    predictor = services.predictor()
    name, id = predictor.card.name, services.using
    sound = _sound(path, services)
    first = Side(name, (yield from _answer(predictor, sound, language)), sound.cues)
    if rival == CLIP:
        second_sound = _sound(other or "", services)
        second = Side("", (yield from _answer(predictor, second_sound, language)))
        sides = (
            Side(text("first_clip", language), first.probabilities, sound.cues),
            Side(text("second_clip", language), second.probabilities, second_sound.cues),
        )
        yield _verdict(sides, "clips", language)
        return
    if rival == EAR:
        heard = predictor.ear(sound.sound, sound.followed)
        second, other_id = Side(text("ear_name", language), heard), f"{id}: encoder"
    else:
        with services.another(rival) as other_model:
            for came in until_loaded(other_model):
                yield Comparison(notice=render.loading(came, language))
            heard = yield from _answer(other_model.model.result(), sound, language)
            second, other_id = Side(other_model.model.result().card.name, heard), rival
    sides = (Side(name, first.probabilities), second)
    found = _verdict(sides, "models", language)
    if sides[0].label == sides[1].label or not services.keeps:
        yield found
        return
    seen = Evidence(
        path, "disagreement", id, sides[0].probabilities, other_id, sides[1].probabilities
    )
    yield Comparison(verdict=found.verdict, figure=found.figure, evidence=seen)


@dataclass(frozen=True, eq=False)
class _Heard:
    sound: audio.Sound
    followed: prosody.Track
    cues: prosody.Cues


def _sound(path: str, services: Services) -> _Heard:
    sound = audio.load(path, services.settings)
    audio.require_speech(sound)
    followed = prosody.track(sound.samples)
    return _Heard(sound, followed, prosody.summarise(sound.samples, followed))


def _answer(
    predictor: "Predictor", heard: _Heard, language: Language
) -> Generator[Comparison, None, dict[str, float]]:
    """Class probabilities; before that, how far a long sound has been heard."""
    spoken = language if language in predictor.card.languages else predictor.card.languages[0]
    with closing(predictor.stream(heard.sound, spoken, followed=heard.followed)) as parts:
        for part in parts:
            if not isinstance(part, Progress):
                return part.probabilities
            share = part.heard / part.windows
            yield Comparison(notice=render.notice(text("listening", language), "wait", share=share))
    raise RuntimeError("a model that says nothing")


def _verdict(sides: tuple[Side, Side], kind: str, language: Language) -> Comparison:
    said = render.verdict(
        [(side.name, side.probabilities) for side in sides], kind, language
    ) + render.cue_pair([side.cues for side in sides], [side.name for side in sides], language)
    figure = pair([(side.name, side.probabilities) for side in sides], language)
    return Comparison(verdict=said, figure=figure)


def keep(services: Services, seen: Evidence | None, language: Language) -> tuple[str, str]:
    """(what is said, id of the kept clip or ""): the sound and its answers go into the store, and
    the clip into the queue of the Label page."""
    if not services.keeps or seen is None:
        return render.notice(text("not_kept", language), "wait"), ""
    try:
        sound = audio.load(seen.path, services.settings)
        store = Store(services.settings.home)
        id = store.keep(
            sound.samples,
            seen.reason,
            seen.model,
            seen.answer,
            seen.other_model,
            seen.other_answer,
        )
        try:
            Labels(services.settings.home).add(_tasks(store, id, services))
        except AudioLLMError:  # kept it would be where nobody looks for it
            store.forget(id)
            raise
    except AudioLLMError as error:
        return actions.failure(error, language).notice, ""
    return render.notice(text("is_kept", language), "wait"), id


def _tasks(store: Store, id: str, services: Services) -> tuple[Task, ...]:
    """The kept clip as the Label page asks about it."""
    return from_kept([k for k in store.kept() if k.id == id], services.settings).tasks


def forget(services: Services, id: str, language: Language) -> str:
    """What is said after a kept clip was taken back. What people have labelled meanwhile stays."""
    try:
        if services.keeps and id:
            store = Store(services.settings.home)
            asked = [task.id for task in _tasks(store, id, services)]
            store.forget(id)
            Labels(services.settings.home).drop(asked)
    except AudioLLMError as error:
        return actions.failure(error, language).notice
    return render.notice(text("is_forgotten", language), "wait")


def keep_clip(services: Services, path: str | None, language: Language) -> tuple[str, str]:
    """The same for the clip with the answer of the model in use, which is asked again."""
    seen: Evidence | None = None
    try:
        if path and services.keeps:
            steps = _answer(services.predictor(), _sound(path, services), language)
            seen = Evidence(path, "kept", services.using, prosody.drained(steps))
    except AudioLLMError as error:
        return actions.failure(error, language).notice, ""
    return keep(services, seen, language)


def ask(services: Services, path: str | None, question: str, language: Language) -> Iterator[str]:
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
        heard = _sound(path, services)
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
    if not services.ready or services.model.exception():
        return ""
    return catalogue.read_card(services.predictor().card.folder)
