"""What the Label page does, as plain functions: the next clip, a label, undo. No gradio here.

All of it belongs to the owner of the machine: every function that takes `services` begins with
`opened`.
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
from audiollm.errors import AudioError, LabelError
from audiollm.labelling.store import LabelStore, UnknownTaskError, Work
from audiollm.labelling.tasks import REASONS, Label, Outcome, Reason, Task, checked_person
from audiollm.web.auth.access import opened
from audiollm.web.label.picture import picture
from audiollm.web.services import Services

# What is offered where no task brings classes of its own
KEYS = "123456789qwertyopasdfgh"  # label.js uses the other letters
USUAL = ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")


@dataclass(frozen=True)
class Desk:
    """How one person works at one page."""

    person: str
    work: Work = "first"
    reasons: Sequence[Reason] = REASONS
    blind: bool = False

    @property
    def hidden(self) -> bool:
        """The model's answer is not shown; second labels are always blind."""
        return self.work == "second" or (self.blind and self.work == "first")


@dataclass(frozen=True)
class Seen:
    """What the page shows after an action."""

    outcome: Outcome | None  # of the clip on the screen
    following: str = ""  # id of the clip after it, to be loaded now
    yours: Label | None = None  # what this person has said of it already
    classes: tuple[str, ...] = USUAL
    done: int = 0  # clips that this person has labelled
    left: int = 0  # clips that wait in this kind of work
    written: tuple[str, ...] = ()  # tokens of labels that are on the disk now
    trouble: str = ""  # a text's key, or a sentence
    sentence: bool = False
    asked: str = ""  # the question that this answers: a browser redraws only what has changed


def book(services: Services) -> LabelStore:
    """The labels of this machine.

    Raises:
        ShutError: see `opened`.
    """
    return LabelStore(opened(services).home)


def act(services: Services, desk: Desk, asked: Mapping[str, Any]) -> Seen:
    """One action of a page: begin, label, skip, undo, back, forward; returns what it shows then.

    A label that cannot be written leaves the clip on the screen, and says why.

    Raises:
        ShutError: see `opened`.
        LabelError: the person's name cannot be used, or what was asked makes no sense.
    """
    known = book(services)
    tab, task = str(asked.get("tab", "")), str(asked.get("task", ""))
    if not tab:
        raise LabelError("The page does not say which one it is: reload it.")
    what = asked.get("act")
    written, trouble = _write(known, asked.get("pending") or [])
    if not desk.person:
        left = known.count("", desk.work, tuple(desk.reasons))[1]
        return Seen(None, left=left, written=written, trouble="label_who")
    checked_person(desk.person)
    if what in ("label", "skip"):
        try:
            written += (_say(known, asked).token,)
        except LabelError as error:
            seen = _again(known, desk, tab, task)
            return replace(seen, written=written, trouble=str(error), sentence=True)
    elif what == "undo":
        undone = known.undo(desk.person)
        if undone is None:
            return replace(_next(known, desk, tab), trouble="label_nothing")
        return _again(known, desk, tab, undone.task)
    elif what in ("back", "forward"):
        return _turn(known, desk, tab, task, -1 if what == "back" else 1)
    elif what != "begin":
        raise LabelError(f"The page asks for {what!r}, which nobody knows: reload it.")
    seen = _next(known, desk, tab)
    return replace(seen, written=written, trouble=trouble, sentence=bool(trouble))


def _write(known: LabelStore, pending: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], str]:
    """LabelStore that a browser has kept since the program was killed; (tokens, what went wrong).

    Those of clips that are not here stay in the browser: another home has them, perhaps, that was
    served at the same address.
    """
    written, trouble = [], ""
    for asked in pending:
        try:
            written.append(_say(known, asked).token)
        except UnknownTaskError:
            continue
        except LabelError as error:
            trouble = str(error)
    return tuple(written), trouble


def _say(known: LabelStore, asked: Mapping[str, Any]) -> Label:
    skips = asked.get("act") == "skip"
    decides = asked.get("work") == "decide"
    try:
        took = float(asked.get("took") or 0)
        label = Label(
            task=str(asked["task"]),
            person=str(asked["person"]),
            name="" if skips else str(asked["name"]),
            secondary="" if skips else str(asked.get("secondary") or ""),
            intensity=0 if skips else int(asked.get("intensity") or 0),
            note="" if skips else str(asked.get("note") or "").strip(),
            kind="skip" if skips else "decision" if decides else "label",
            blind=asked.get("blind") is True,
            took=took if 0 <= took < 1e6 else 0.0,
            token=checked_token(str(asked["token"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LabelError(f"The page sent a label that makes no sense ({error!r}).") from error
    return known.add_label(label)


def checked_token(token: str) -> str:
    """
    Raises:
        LabelError: it is empty, or longer than label.js makes them.
    """
    if not 0 < len(token) <= 64:
        raise LabelError("The page sent a label without a name of its own: reload it.")
    return token


def _turn(known: LabelStore, desk: Desk, tab: str, task: str, step: int) -> Seen:
    """Through the clips that this person has labelled, in the order of their last label."""
    last: dict[str, int] = {}
    for label in known.history(person=desk.person):
        if not label.undone and not label.origin:
            last[label.task] = label.number
    said = sorted(last, key=lambda id: last[id])
    place = said.index(task) if task in said else len(said)
    if place + step < 0:
        return replace(_again(known, desk, tab, task), trouble="label_first")
    if place + step >= len(said):
        return replace(_next(known, desk, tab), trouble="" if said else "label_first")
    return _again(known, desk, tab, said[place + step])


def _again(known: LabelStore, desk: Desk, tab: str, task: str) -> Seen:
    """A certain clip, unless somebody else has it on the screen: then the next one."""
    try:
        return _view(known, desk, known.lease(task, tab))
    except LabelError as error:
        return replace(_next(known, desk, tab), trouble=str(error), sentence=True)


def _next(known: LabelStore, desk: Desk, tab: str) -> Seen:
    found = known.next_tasks(desk.person, tab, desk.work, tuple(desk.reasons))
    following = found[1].id if len(found) > 1 else ""
    return replace(_view(known, desk, found[0] if found else None), following=following)


def _view(known: LabelStore, desk: Desk, task: Task | None) -> Seen:
    outcome = known.outcome(task.id) if task else None
    said = [] if outcome is None else [*outcome.labels, *filter(None, [outcome.decision])]
    yours = [label for label in said if label.person == desk.person]
    offered = known.classes() or USUAL
    done, left = known.count(desk.person, desk.work, tuple(desk.reasons))
    return Seen(outcome, "", yours[-1] if yours else None, offered, done, left)


def clips(services: Services, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Of each task: its sound as FLAC in base64, and its picture; or what is wrong with it.

    Raises:
        ShutError: see `opened`.
        LabelError: there is no such task.
    """
    known, found = book(services), {}
    for id in ids:
        try:
            sound = audio.load(known.task(id).path, services.settings)
        except AudioError as error:
            found[id] = {"trouble": str(error)}
            continue
        file = io.BytesIO()
        soundfile.write(file, sound.samples, audio.SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        seen = overview(sound, prosody.track(sound.samples))
        sent = base64.b64encode(file.getvalue()).decode()
        found[id] = {"sound": sent, "picture": picture(seen)}
    return found


def keys(offered: Sequence[str]) -> dict[str, str]:
    """Class -> the key that says it: 1 to 9, then letters that mean nothing else."""
    return dict(zip(labels.ordered(offered), KEYS, strict=False))
