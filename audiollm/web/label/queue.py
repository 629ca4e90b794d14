"""The queue of the Label page: next clip, label, undo. Plain functions without gradio.

Everything here is the owner's: each function that takes `services` begins with `owner_settings`.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import soundfile

from audiollm import audio, labels
from audiollm.audio import prosody
from audiollm.audio.timeline import overview
from audiollm.errors import AudioError, AudioLLMError, LabelError
from audiollm.labelling.store import LabelStore, UnknownTaskError, Work
from audiollm.labelling.tasks import REASONS, Label, Outcome, Reason, Task, checked_person
from audiollm.labels import Language
from audiollm.web.auth.access import owner_settings
from audiollm.web.label.picture import picture
from audiollm.web.services import Services

KEYS = "123456789qwertyopasdfgh"  # of the classes; label.js uses the other letters
LONGEST_TOKEN = 64  # characters; label.js sends 32


@dataclass(frozen=True)
class Session:
    """The settings of one person at one page."""

    person: str
    work: Work = "first"
    reasons: Sequence[Reason] = REASONS
    blind: bool = False

    @property
    def hidden(self) -> bool:
        """The model's answer is not shown; second labels are always blind."""
        return self.work == "second" or self.blind


@dataclass(frozen=True)
class CardState:
    """What the page shows after an action."""

    outcome: Outcome | None  # of the clip on the screen
    following: str = ""  # id of the next clip, to be loaded ahead
    own: Label | None = None  # this person's label of the clip
    classes: tuple[str, ...] = ()
    done: int = 0  # clips that this person has labelled
    left: int = 0  # clips left in this kind of work
    written: tuple[str, ...] = ()  # tokens of labels that are on the disk
    hint: str = ""  # code of a text
    error: AudioLLMError | None = None
    request: str = ""  # id of the request; the browser redraws only what has changed


def label_store(services: Services) -> LabelStore:
    """The labels of this machine.

    Raises:
        ShutError: see `owner_settings`.
    """
    return LabelStore(owner_settings(services).home)


def act(services: Services, session: Session, message: Mapping[str, Any]) -> CardState:
    """One action of label.js: begin, label, skip, undo, back or forward.

    A label that cannot be written leaves the clip on the screen, with the error.

    Raises:
        ShutError: see `owner_settings`.
        LabelError: the person's name is refused, or the message is malformed.
    """
    store = label_store(services)
    tab, task, action = (str(message.get(key, "")) for key in ("tab", "task", "act"))
    if not tab:
        raise LabelError("label_bad_message", reason="no tab")
    written, error = _write_pending(store, message.get("pending") or [])
    if not session.person:
        left = store.count("", session.work, tuple(session.reasons))[1]
        return CardState(None, left=left, written=written, hint="label_who")
    checked_person(session.person)
    if action in ("label", "skip"):
        try:
            written += (_write(store, message).token,)
        except LabelError as failure:
            return replace(_again(store, session, tab, task), written=written, error=failure)
    elif action == "undo":
        undone = store.undo(session.person)
        if undone is None:
            return replace(_next(store, session, tab), hint="label_nothing")
        return _again(store, session, tab, undone.task)
    elif action in ("back", "forward"):
        return _turn(store, session, tab, task, -1 if action == "back" else 1)
    elif action != "begin":
        raise LabelError("label_bad_message", reason=f"act={action!r}")
    return replace(_next(store, session, tab), written=written, error=error)


def _write_pending(
    store: LabelStore, pending: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, ...], LabelError | None]:
    """Labels that a browser has kept since the program was killed; (tokens, last error).

    Labels of unknown clips stay in the browser: they may belong to another home folder that was
    served at the same address.
    """
    written, error = [], None
    for message in pending:
        try:
            written.append(_write(store, message).token)
        except UnknownTaskError:
            continue
        except LabelError as failure:
            error = failure
    return tuple(written), error


def _write(store: LabelStore, message: Mapping[str, Any]) -> Label:
    skip = message.get("act") == "skip"
    decides = message.get("work") == "decide"
    try:
        took = float(message.get("took") or 0)
        token = str(message["token"])
        if not 0 < len(token) <= LONGEST_TOKEN:
            raise ValueError(f"token of {len(token)} characters")
        label = Label(
            task=str(message["task"]),
            person=str(message["person"]),
            name="" if skip else str(message["name"]),
            secondary="" if skip else str(message.get("secondary") or ""),
            intensity=0 if skip else int(message.get("intensity") or 0),
            note="" if skip else str(message.get("note") or "").strip(),
            kind="skip" if skip else "decision" if decides else "label",
            blind=message.get("blind") is True,
            took=took if 0 <= took < 1e6 else 0.0,
            token=token,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LabelError("label_bad_message", reason=repr(error)) from error
    return store.add_label(label)


def _turn(store: LabelStore, session: Session, tab: str, task: str, step: int) -> CardState:
    """Through the clips that this person has labelled, in the order of their last label."""
    last: dict[str, int] = {}
    for label in store.history(person=session.person):
        if not label.undone and not label.origin:
            last[label.task] = label.number
    done = sorted(last, key=lambda id: last[id])
    index = (done.index(task) if task in done else len(done)) + step
    if index < 0:
        return replace(_again(store, session, tab, task), hint="label_first")
    if index >= len(done):
        return replace(_next(store, session, tab), hint="" if done else "label_first")
    return _again(store, session, tab, done[index])


def _again(store: LabelStore, session: Session, tab: str, task: str) -> CardState:
    """A certain clip; the next one where another page shows it."""
    try:
        return _shown(store, session, store.lease(task, tab))
    except LabelError as error:
        return replace(_next(store, session, tab), error=error)


def _next(store: LabelStore, session: Session, tab: str) -> CardState:
    tasks = store.next_tasks(session.person, tab, session.work, tuple(session.reasons))
    following = tasks[1].id if len(tasks) > 1 else ""
    return replace(_shown(store, session, tasks[0] if tasks else None), following=following)


def _shown(store: LabelStore, session: Session, task: Task | None) -> CardState:
    outcome = store.outcome(task.id) if task else None
    own = [one for one in outcome.all_labels if one.person == session.person] if outcome else []
    done, left = store.count(session.person, session.work, tuple(session.reasons))
    return CardState(outcome, "", own[-1] if own else None, store.classes(), done, left)


def clips(services: Services, ids: Sequence[str], language: Language) -> dict[str, dict[str, str]]:
    """For each task: its sound as FLAC in base64 and its picture, or an error.

    Raises:
        ShutError: see `owner_settings`.
        LabelError: there is no such task.
    """
    store, contents = label_store(services), {}
    for id in ids:
        try:
            sound = audio.load(store.task(id).path, services.settings)
        except AudioError as error:
            contents[id] = {"error": error.in_language(language)}
            continue
        file = io.BytesIO()
        soundfile.write(file, audio.to_int16(sound), audio.SAMPLE_RATE, format="FLAC")
        image = picture(overview(sound, prosody.track(sound.samples)))
        encoded = base64.b64encode(file.getvalue()).decode()
        contents[id] = {"sound": encoded, "picture": image}
    return contents


def keys(classes: Sequence[str]) -> dict[str, str]:
    """Class -> its key: 1 to 9, then letters that label.js does not use."""
    return dict(zip(labels.ordered(classes), KEYS, strict=False))
