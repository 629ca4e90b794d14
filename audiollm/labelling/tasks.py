"""What people label and what they say: tasks, labels, and what follows from several labels."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Literal, get_args
from unicodedata import category

from audiollm import labels
from audiollm.errors import LabelError

# Why a clip is asked about, the most useful first. "random" clips are drawn without a look at the
# answer, so that they alone tell how good the model is.
Reason = Literal[
    "wrong",  # the model was confident, and its label says something else
    "disagreement",  # the LLM and the probe on the encoder's features, or two models, disagree
    "tie",  # two classes are nearly as likely
    "suspect",  # its label in the training data is likely an error
    "sent",  # somebody kept it on the Analyse page
    "plain",  # nothing but that nobody has labelled it
    "random",
]
REASONS: tuple[Reason, ...] = get_args(Reason)
FORMER_REASONS: Mapping[str, Reason] = {"ear": "disagreement"}  # in files of earlier versions
Kind = Literal["label", "decision", "skip"]
KINDS: tuple[Kind, ...] = get_args(Kind)
UNUSUAL = ("unclear", "not_speech", "several")  # what may be said of a clip instead of a class
INTENSITIES = (0, 1, 2, 3)  # not said, weak, medium, strong
LONGEST_NAME, LONGEST_NOTE = 40, 2000  # characters


@dataclass(frozen=True)
class Task:
    """One sound that people are asked about."""

    id: str  # audio.content_hash of the sound, the same as a prepared clip's
    path: str  # its file, absolute
    seconds: float
    source: str  # where it comes from, for people: "evaluation of tiny on emodb"
    reason: Reason
    score: float = 0.0  # how urgent among those of its reason, 0 to 1
    original: str = ""  # the class that it came with; never changed by a label
    model: str = ""  # whose answer it is
    answer: Mapping[str, float] = field(default_factory=dict)  # class -> probability
    other_model: str = ""  # who else answered: the linear probe, another model
    other_answer: Mapping[str, float] = field(default_factory=dict)
    speaker: str = ""

    def __post_init__(self) -> None:
        if not self.id or not Path(self.path).is_absolute():
            raise ValueError(f"a task needs an id and an absolute path, not {self.id, self.path}")
        if self.reason not in REASONS:
            raise ValueError(f"reason must be one of {REASONS}, not {self.reason!r}")
        if not (isfinite(self.score) and 0 <= self.score <= 1 and self.seconds > 0):
            raise ValueError(f"score and seconds are {self.score}, {self.seconds}")
        for name in (self.original, *self.answer, *self.other_answer):
            if name and labels.canonical(name) != name:
                raise ValueError(f"{name!r} is not the name of a class")

    @property
    def predicted(self) -> str:
        """What the model takes it for, or ""."""
        return max(self.answer, key=lambda name: self.answer[name]) if self.answer else ""


@dataclass(frozen=True)
class Label:
    """What one person said of one clip at one time. Never changed: a later one counts instead."""

    task: str
    person: str
    name: str  # a class or one of UNUSUAL; "" for a skip
    secondary: str = ""  # a class that is heard, too
    intensity: int = 0  # of INTENSITIES
    note: str = ""
    kind: Kind = "label"
    blind: bool = False  # given without seeing the model's answer or anybody's label
    took: float = 0.0  # seconds from the first sight of the clip, 0 where not known
    origin: str = ""  # the file that it was imported from; "" for the page
    at: str = ""  # UTC, ISO 8601; filled in when it is written
    token: str = ""  # the same token is the same label, however often it is sent
    number: int = 0  # in the order of writing, from 1
    undone: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, not {self.kind!r}")
        checked_person(self.person)
        if (self.kind == "skip") != (not self.name):
            raise LabelError("A label needs a class, and a skipped clip has none.")
        if self.name and self.name not in UNUSUAL:
            checked_class(self.name)
        if self.secondary:
            checked_class(self.secondary)
            if self.secondary == self.name:
                raise LabelError(f"{self.name} cannot be its own second emotion: choose another.")
        if self.intensity not in INTENSITIES:
            raise LabelError(f"Intensity must be 0 to {INTENSITIES[-1]}, not {self.intensity!r}.")
        if not (isfinite(self.took) and self.took >= 0):
            raise LabelError(f"A label cannot take {self.took} seconds.")
        if len(self.note) > LONGEST_NOTE:
            raise LabelError(f"The note is longer than {LONGEST_NOTE} characters: shorten it.")
        if any(category(sign) in ("Cc", "Cs") and sign not in "\n\t" for sign in self.note):
            raise LabelError("The note holds characters that cannot be shown: type it again.")


@dataclass(frozen=True)
class Outcome:
    """What is known of a task: the labels that stand, and what follows from them."""

    task: Task
    labels: tuple[Label, ...] = ()  # one a person, the oldest first
    decision: Label | None = None

    @property
    def counts(self) -> dict[str, int]:
        """The soft label: how many people said what, unusual ones included."""
        return dict(Counter(label.name for label in self.labels))

    @property
    def final(self) -> str:
        """The decision, else what most people said; "" where nobody did or two are level."""
        if self.decision:
            return self.decision.name
        ranked = Counter(self.counts).most_common(2)
        level = len(ranked) == 2 and ranked[0][1] == ranked[1][1]
        return ranked[0][0] if ranked and not level else ""

    @property
    def emotion(self) -> str:
        """The same where it is a class, else ""."""
        return "" if self.final in UNUSUAL else self.final

    @property
    def disputed(self) -> bool:
        """People said different things, and nobody has decided."""
        return self.decision is None and len(self.counts) > 1


def checked_person(name: str) -> str:
    """A person's name as it is kept, single spaces inside.

    Raises:
        LabelError: it is empty, too long, or cannot be shown.
    """
    plain = " ".join(name.split())
    if plain != name or not 0 < len(plain) <= LONGEST_NAME or not plain.isprintable():
        raise LabelError(
            f"{name[:LONGEST_NAME]!r} cannot be a person's name: 1 to {LONGEST_NAME} characters."
        )
    return plain


def checked_class(name: str) -> str:
    """The name of a class, as it is.

    Raises:
        LabelError: it is not spelled as labels.py spells it.
    """
    try:
        known = labels.canonical(name)
    except ValueError as error:
        raise LabelError(f"{error}: choose one of the classes.") from error
    if known != name:
        raise LabelError(f"{name!r} is not the name of a class: write {known!r}.")
    return name
