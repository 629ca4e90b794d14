"""What is known of recordings before anything is trained on them: `python -m train look` prints it
for what is not prepared, and `of_prepared` reads it from a prepared folder."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from audiollm.contracts.messages import Message
from audiollm.contracts.plain_json import parse_json
from audiollm.contracts.prepared import (
    SPLITS,
    Clip,
    Rejected,
    read_clips,
    read_notes,
    read_rejected,
)
from audiollm.labels import ordered

FIRST = 5  # rejected files that are shown


@dataclass(frozen=True)
class Group:
    """The clips of one class in one split."""

    label: str
    split: str  # "": not decided
    clips: int
    speakers: frozenset[str]  # the known ones
    seconds: float = 0.0  # 0: not known


@dataclass(frozen=True)
class Insight:
    """Some recordings in figures, with clips to listen to."""

    path: Path
    groups: tuple[Group, ...]
    seconds: tuple[float, ...] = ()  # lengths of the clips, or of some of them
    prepared: bool = False
    nameless: int = 0  # clips whose speaker nobody knows
    rejected: tuple[tuple[Message, int], ...] = ()  # a reason of each kind, and how many files
    first: tuple[Rejected, ...] = ()
    shared: int = 0  # speakers in more than one split
    twins: int = 0  # sounds in more than one split
    copies: int = 0  # sounds that are there more than once
    notes: tuple[Message, ...] = ()
    trouble: Message | None = None  # why they cannot be prepared as they are
    samples: tuple[Clip, ...] = ()  # what can be listened to

    @property
    def classes(self) -> dict[str, int]:
        """Clips of each class, in the order of labels.py."""
        counts = self._counted(lambda group: group.label)
        return {name: counts[name] for name in ordered(counts)}

    @property
    def splits(self) -> dict[str, int]:
        """Clips of each split; {} where it is not decided."""
        counts = self._counted(lambda group: group.split)
        return {split: counts[split] for split in SPLITS if counts[split]}

    @property
    def clips(self) -> int:
        return sum(group.clips for group in self.groups)

    @property
    def estimated(self) -> bool:
        """The lengths are those of some of the clips."""
        return len(self.seconds) < self.clips

    def speakers(self, label: str = "", split: str = "") -> int:
        """Of a class, of a split, or of all; 0: not known."""
        return len(frozenset().union(*(g.speakers for g in self._of(label, split))))

    def minutes(self, label: str = "", split: str = "") -> float:
        """The same; where not all lengths are known, as if the clips were as long as the others."""
        groups = self._of(label, split)
        if all(group.seconds for group in groups):
            return sum(group.seconds for group in groups) / 60
        mean = sum(self.seconds) / len(self.seconds) if self.seconds else 0.0
        return sum(group.clips for group in groups) * mean / 60

    def _of(self, label: str, split: str) -> list[Group]:
        return [g for g in self.groups if label in ("", g.label) and split in ("", g.split)]

    def _counted(self, key: Callable[[Group], str]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for group in self.groups:
            counts[key(group)] += group.clips
        return counts

    def to_json(self) -> str:
        """In ASCII: a pipe may have any encoding, and a path may be no UTF-8."""
        return json.dumps(_adapter().dump_python(self), default=_plain)

    @classmethod
    def from_json(cls, text: bytes | str) -> "Insight":
        """
        Raises:
            ValueError: it is none.
        """
        return _adapter().validate_python(parse_json(text))


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


@cache
def _adapter() -> TypeAdapter[Insight]:
    return TypeAdapter(Insight)


def of_prepared(folder: Path) -> Insight:
    """A folder that `prepare` made.

    Raises:
        DataError: it is damaged.
    """
    clips, refused = read_clips(folder), read_rejected(folder)
    speakers = [(clip.speaker, clip.split) for clip in clips if clip.speaker]
    return Insight(
        folder,
        grouped(clips),
        tuple(clip.seconds for clip in clips if clip.seconds > 0),
        prepared=True,
        nameless=sum(not clip.speaker for clip in clips),
        rejected=kinds(refused),
        first=refused[:FIRST],
        shared=in_two_splits(speakers),
        twins=in_two_splits((clip.id, clip.split) for clip in clips),
        copies=sum(one.kind.startswith("identical") for one in refused),
        notes=tuple(read_notes(folder)),
        samples=clips,
    )


def grouped(clips: Iterable[Clip]) -> tuple[Group, ...]:
    """By class and split, in the order of both; lengths where all of them are known."""
    members: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in clips:
        members[clip.label, clip.split].append(clip)
    return tuple(
        Group(
            label,
            split,
            len(of),
            frozenset(clip.speaker for clip in of if clip.speaker),
            sum(clip.seconds for clip in of) if all(clip.seconds for clip in of) else 0.0,
        )
        for label in ordered(label for label, _ in members)
        for split in ("", *SPLITS)
        if (of := members.get((label, split)))
    )


def kinds(rejected: Sequence[Rejected]) -> tuple[tuple[Message, int], ...]:
    """The first reason of each kind and how many files there are of it, the most common first."""
    first = {one.kind: one.message for one in reversed(rejected)}
    counts = Counter(one.kind for one in rejected)
    return tuple((first[kind], n) for kind, n in counts.most_common())


def in_two_splits(pairs: Iterable[tuple[Hashable, str]]) -> int:
    """How many things (a speaker, a sound) are in more than one split."""
    splits: dict[Hashable, set[str]] = defaultdict(set)
    for one, split in pairs:
        splits[one].add(split)
    return sum(len(names) > 1 for names in splits.values())
