"""What people label and what they say: tasks, labels, and what follows from several labels."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Literal, cast, get_args
from unicodedata import category

from audiollm import labels
from audiollm.errors import LabelError
from audiollm.texts import printable

# Why a clip is shown, the most useful reason first. "random" clips are drawn without regard to the
# model's answer, so only they measure the accuracy of the model.
Reason = Literal[
    "wrong",  # the model was confident, and its label says something else
    "disagreement",  # the LLM and the probe on the encoder's features, or two models, disagree
    "tie",  # two classes are nearly as likely
    "label_error",  # its label in the training data is likely an error
    "sent",  # saved on the Analyse page
    "plain",  # no label yet
    "random",
]
REASONS: tuple[Reason, ...] = get_args(Reason)
# In files of earlier versions
FORMER_REASONS: Mapping[str, Reason] = {"ear": "disagreement", "suspect": "label_error"}
Kind = Literal["label", "decision", "skip"]
KINDS: tuple[Kind, ...] = get_args(Kind)
UNUSUAL = ("unclear", "not_speech", "several")  # labels that are no class
INTENSITIES = (0, 1, 2, 3)  # not given, weak, medium, strong
LONGEST_NAME, LONGEST_NOTE = 40, 2000  # characters


@dataclass(frozen=True)
class Task:
    """One clip to be labelled."""

    id: str  # audio.content_hash of the sound, the same as a prepared clip's
    path: str  # its file, absolute
    seconds: float
    source: str  # for people: "evaluation of tiny on emodb"
    reason: Reason
    score: float = 0.0  # priority among those of its reason, 0 to 1
    original: str = ""  # class of the data that it comes from; never changed by a label
    model: str = ""  # that gave `answer`
    answer: Mapping[str, float] = field(default_factory=dict)  # class -> probability
    other_model: str = ""  # the linear probe, or another model
    other_answer: Mapping[str, float] = field(default_factory=dict)
    speaker: str = ""
    suggestion: str = ""  # class that a listener named on the Analyse page; no label

    def __post_init__(self) -> None:
        if not self.id or not Path(self.path).is_absolute():
            raise ValueError(f"a task needs an id and an absolute path, not {self.id, self.path}")
        if printable(self.path) != self.path:  # the database holds no other bytes
            raise LabelError("label_file_name", name=Path(self.path).name)
        if self.reason not in REASONS:
            raise ValueError(f"reason must be one of {REASONS}, not {self.reason!r}")
        if not (isfinite(self.score) and 0 <= self.score <= 1 and self.seconds > 0):
            raise ValueError(f"score and seconds are {self.score}, {self.seconds}")
        for name in (self.original, self.suggestion, *self.answer, *self.other_answer):
            if name and labels.canonical(name) != name:
                raise ValueError(f"{name!r} is not the name of a class")

    @property
    def predicted(self) -> str:
        """The model's most likely class, or ""."""
        return max(self.answer, key=lambda name: self.answer[name]) if self.answer else ""


@dataclass(frozen=True)
class Label:
    """One person's label of one clip. It is never changed: a later label replaces it."""

    task: str
    person: str
    name: str  # a class or one of UNUSUAL; "" for a skip
    secondary: str = ""  # second emotion
    intensity: int = 0  # of INTENSITIES
    note: str = ""
    kind: Kind = "label"
    blind: bool = False  # the model's answer and other labels were hidden
    took: float = 0.0  # seconds since the clip was shown, 0: not known
    origin: str = ""  # the file that it was imported from; "" for the page
    at: str = ""  # UTC, ISO 8601; set when it is written
    token: str = ""  # a label with the same token is written once
    number: int = 0  # in the order of writing, from 1
    undone: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, not {self.kind!r}")
        checked_person(self.person)
        if (self.kind == "skip") != (not self.name):
            raise LabelError("label_no_class")
        if self.name and self.name not in UNUSUAL:
            checked_class(self.name)
        if self.secondary:
            checked_class(self.secondary)
            if self.secondary == self.name:
                raise LabelError("label_same_second", name=self.name)
        if self.intensity not in INTENSITIES:
            raise LabelError("label_bad_intensity", most=INTENSITIES[-1], value=self.intensity)
        if not (isfinite(self.took) and self.took >= 0):
            raise LabelError("label_bad_duration", seconds=self.took)
        if len(self.note) > LONGEST_NOTE:
            raise LabelError("label_long_note", most=LONGEST_NOTE)
        if any(category(char) in ("Cc", "Cs") and char not in "\n\t" for char in self.note):
            raise LabelError("label_bad_note")


@dataclass(frozen=True)
class Outcome:
    """A task with its valid labels: the last of each person, and the last decision."""

    task: Task
    labels: tuple[Label, ...] = ()  # one per person, the oldest first
    decision: Label | None = None

    @property
    def all_labels(self) -> tuple[Label, ...]:
        """The labels and the decision."""
        return (*self.labels, *([self.decision] if self.decision else []))

    @property
    def counts(self) -> dict[str, int]:
        """The soft label: number of people per label, UNUSUAL included."""
        return dict(Counter(label.name for label in self.labels))

    @property
    def final(self) -> str:
        """The decision, else the majority; "" where there is no label or a tie."""
        if self.decision:
            return self.decision.name
        ranked = Counter(self.counts).most_common(2)
        tie = len(ranked) == 2 and ranked[0][1] == ranked[1][1]
        return ranked[0][0] if ranked and not tie else ""

    @property
    def emotion(self) -> str:
        """The same where it is a class, else ""."""
        return "" if self.final in UNUSUAL else self.final

    @property
    def disputed(self) -> bool:
        """The labels differ, and there is no decision."""
        return self.decision is None and len(self.counts) > 1


def checked_person(name: str) -> str:
    """A person's name as it is stored, with single spaces.

    Raises:
        LabelError: it is empty, too long, or not printable.
    """
    plain = " ".join(name.split())
    if plain != name or not 0 < len(plain) <= LONGEST_NAME or not plain.isprintable():
        raise LabelError("label_bad_person", name=name[:LONGEST_NAME], most=LONGEST_NAME)
    return plain


def checked_class(name: str) -> str:
    """The canonical name of a class.

    Raises:
        LabelError: it is not spelled as labels.py spells it.
    """
    try:
        canonical = labels.canonical(name)
    except ValueError as error:
        known = ", ".join(emotion.name for emotion in labels.EMOTIONS)
        raise LabelError("label_unknown_class", name=name, known=known) from error
    if canonical != name:
        raise LabelError("label_class_spelling", name=name, known=canonical)
    return name


def is_class(name: object) -> bool:
    """Whether it is spelled as labels.py spells a class; a damaged database may hold anything."""
    with suppress(LabelError, TypeError, AttributeError):
        return bool(checked_class(cast(str, name)))
    return False
