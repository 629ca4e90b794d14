"""Clips that somebody saves for labelling, and removes again. No gradio here."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from audiollm import audio
from audiollm.errors import AudioError, AudioLLMError
from audiollm.labelling.saved import Reason, SavedClips
from audiollm.labelling.sources import LONGEST, from_saved
from audiollm.labelling.store import LabelStore, UnknownTaskError
from audiollm.labelling.tasks import Task
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import speaker_baseline
from audiollm.web.analyse.clip_loading import load_clip
from audiollm.web.services import Services

ANALYSE = "analyse"  # source of the tasks that come from this page


@dataclass(frozen=True)
class Evidence:
    """A sound and its answers, to be saved if somebody asks for that."""

    path: str
    reason: Reason
    model: str
    answer: Mapping[str, float]
    other_model: str = ""
    other_answer: Mapping[str, float] | None = None
    suggestion: str = ""  # class that a listener named


@dataclass(frozen=True)
class Outcome:
    """A message, and the id of the clip that is saved now, or ""."""

    message: str
    id: str = ""


def keep_clip(
    services: Services,
    path: str | None,
    language: Language,
    still: Callable[[], bool],
    visitor: str = "",
) -> Outcome | None:
    """Saves the clip with the answer of the active model, which is computed again.

    None: nobody wanted it any more when that was there, `still` says so; it is not saved.
    """

    def save() -> Outcome | None:
        if not path or not services.keeps:
            return keep(services, None, language)
        model, predictor = services.active, services.predictor()
        clip = load_clip(path, services.settings)
        enrolment = speaker_baseline.of_clip(services, visitor, path)
        spoken = speaker_baseline.supported(predictor, language)
        answer = speaker_baseline.predict(
            predictor, clip, spoken, enrolment, path, lambda _: None
        ).probabilities
        return keep(services, Evidence(path, "kept", model, answer), language) if still() else None

    return _safely(save, language)


def keep(services: Services, evidence: Evidence | None, language: Language) -> Outcome:
    """Saves the sound and its answers in the store. Where the owner asks, the clip also goes into
    the queue of the Label page; what visitors save waits until the owner gathers it there."""
    if not services.keeps or evidence is None:
        return _outcome("not_kept", language)

    def save() -> Outcome:
        id = save_clip(services, evidence)
        return _outcome("is_queued" if services.owned else "is_kept", language, id)

    return _safely(save, language) or Outcome("")


def save_clip(services: Services, evidence: Evidence) -> str:
    """The id of the clip, which is saved, and in the owner's queue where the owner asks.

    Raises:
        AudioLLMError: it cannot be saved, or this visitor has saved too many.
    """
    sound = audio.load(evidence.path, services.settings)
    if sound.seconds > LONGEST:
        raise AudioError("audio_too_long_to_label", seconds=f"{LONGEST:.0f}")
    services.require_allowance()
    store = SavedClips(services.settings.home)
    before = {each.id for each in store.all()}
    answers = (evidence.answer, evidence.other_model, evidence.other_answer, evidence.suggestion)
    id = store.add(sound, evidence.reason, evidence.model, *answers)
    if services.owned:
        try:
            _queue(services, store, id)
        except AudioLLMError:  # it would be saved where nobody looks for it
            if id not in before:
                store.remove(id)
            raise
    return id


def suggest(services: Services, id: str, name: str) -> None:
    """Replaces what is suggested of a saved clip, if it is still there, and of its task."""
    store = SavedClips(services.settings.home)
    store.suggest(id, name)
    with suppress(AudioError):
        LabelStore(services.settings.home).suggest(_task(services, store, id).id, name)


def forget(services: Services, id: str, language: Language) -> Outcome:
    """Deletes a saved clip, unless somebody has labelled it meanwhile."""
    if not services.keeps or not id:
        return Outcome("")

    def remove() -> Outcome:
        store, labels = SavedClips(services.settings.home), LabelStore(services.settings.home)
        if any(each.id == id for each in store.all()):
            task = _task(services, store, id)
            existing = _existing(labels, task)
            if existing and existing.path == task.path and not labels.remove_tasks([task.id]):
                return _outcome("is_labelled", language, id)
            store.remove(id)
        return _outcome("is_forgotten", language)

    return _safely(remove, language, id) or Outcome("")


def _queue(services: Services, store: SavedClips, id: str) -> None:
    """A task about the same sound that has another source stays as it is."""
    labels = LabelStore(services.settings.home)
    task = _task(services, store, id)
    existing = _existing(labels, task)
    if existing is None or existing.source == ANALYSE:
        labels.add_tasks([task])
    elif task.suggestion:
        labels.suggest(task.id, task.suggestion)


def _task(services: Services, store: SavedClips, id: str) -> Task:
    """The saved clip as the Label page asks about it.

    Raises:
        AudioError: its sound cannot be read any more.
    """
    tasks = from_saved([k for k in store.all() if k.id == id], services.settings).tasks
    if not tasks:
        raise AudioError("audio_saved_unreadable")
    return tasks[0]


def _existing(labels: LabelStore, task: Task) -> Task | None:
    """The task about the same sound that is in the queue already."""
    try:
        return labels.task(task.id)
    except UnknownTaskError:
        return None


def _outcome(code: str, language: Language, id: str = "") -> Outcome:
    return Outcome(render.notice(text(code, language), "wait"), id)


def _safely(act: Callable[[], Outcome | None], language: Language, id: str = "") -> Outcome | None:
    """The outcome; every failure is shown as a sentence, and `id` stays saved."""
    try:
        return act()
    except Exception as error:
        return Outcome(render.notice(render.explained(error, language, "keep_bug"), "error"), id)
