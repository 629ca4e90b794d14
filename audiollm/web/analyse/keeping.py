"""Clips that somebody asks to keep for labelling, and takes back. No gradio here."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from audiollm import audio
from audiollm.errors import AudioError, AudioLLMError
from audiollm.labelling.saved import Reason, SavedClips
from audiollm.labelling.sources import LONGEST, from_saved
from audiollm.labelling.store import LabelStore, UnknownTaskError
from audiollm.labelling.tasks import Task
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import actions
from audiollm.web.services import Services

LOG = logging.getLogger(__name__)
ANALYSE = "analyse"  # source of the tasks that come from this page


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
class Outcome:
    """What is said, and the id of the clip that is kept now, or ""."""

    said: str
    kept: str = ""


Came = TypeVar("Came", Outcome, Outcome | None)


def keep(services: Services, seen: Evidence | None, language: Language) -> Outcome:
    """The sound and its answers go into the store. Where the owner asks, the clip also goes into
    the queue of the Label page; what strangers keep waits until the owner gathers it there."""
    if not services.keeps or seen is None:
        return Outcome(render.notice(text("not_kept", language), "wait"))
    found = seen

    def kept() -> Outcome:
        sound = audio.load(found.path, services.settings)
        if sound.seconds > LONGEST:
            raise AudioError(
                f"Clips of {LONGEST:.0f} s or less can be labelled: cut it into sentences.",
                f"只能标注不超过 {LONGEST:.0f} 秒的录音：请剪成单句。",
            )
        store, owned = SavedClips(services.settings.home), services.owned
        before = {each.id for each in store.all()}
        answers = (found.answer, found.other_model, found.other_answer)
        id = store.add(sound, found.reason, found.model, *answers)
        if owned:
            try:
                _queue(services, store, id)
            except AudioLLMError:  # kept it would be where nobody looks for it
                if id not in before:
                    store.remove(id)
                raise
        return Outcome(
            render.notice(text("is_queued" if owned else "is_kept", language), "wait"), id
        )

    return careful(kept, language)


def _queue(services: Services, store: SavedClips, id: str) -> None:
    """What stands in the queue from elsewhere stays as it is."""
    labels = LabelStore(services.settings.home)
    asked = _task(services, store, id)
    known = _known(labels, asked)
    if known is None or known.source == ANALYSE:
        labels.add_tasks([asked])


def forget(services: Services, id: str, language: Language) -> Outcome:
    """Deletes a kept clip, unless somebody has labelled it meanwhile."""

    def forgotten() -> Outcome:
        store, labels = SavedClips(services.settings.home), LabelStore(services.settings.home)
        if any(each.id == id for each in store.all()):
            asked = _task(services, store, id)
            known = _known(labels, asked)
            if known and known.path == asked.path and not labels.remove_tasks([asked.id]):
                return Outcome(render.notice(text("is_labelled", language), "wait"), id)
            store.remove(id)
        return Outcome(render.notice(text("is_forgotten", language), "wait"))

    if not services.keeps or not id:
        return Outcome("")
    return careful(forgotten, language, id)


def _task(services: Services, store: SavedClips, id: str) -> Task:
    """The kept clip as the Label page asks about it.

    Raises:
        AudioError: its sound cannot be read any more.
    """
    found = from_saved([k for k in store.all() if k.id == id], services.settings).tasks
    if not found:
        raise AudioError("The kept sound cannot be read any more.", "已保留的声音无法读取。")
    return found[0]


def _known(labels: LabelStore, asked: Task) -> Task | None:
    """The task about the same sound that is in the queue already."""
    try:
        return labels.task(asked.id)
    except UnknownTaskError:
        return None


def careful(act: Callable[[], Came], language: Language, kept: str = "") -> Came | Outcome:
    """What came of it; every failure is shown as a sentence."""
    try:
        return act()
    except AudioLLMError as error:
        said = actions.explained(error, language)
    except Exception:
        LOG.exception("keeping a clip failed")
        said = text("keep_bug", language)
    return Outcome(render.notice(said, "error"), kept)
