"""A look at recordings before anything is trained on them. No gradio here.

What is prepared is read from its folder. What is not is looked at by `python -m train look`, in a
process of its own: the same reader that will prepare it says what it finds.
"""

import csv
import json
import logging
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from audiollm.errors import ConfigError, DataError
from audiollm.jobs.queue import ROOT
from audiollm.labels import ordered
from audiollm.settings import ASSETS
from audiollm.web.auth.access import opened
from audiollm.web.said import SaidError
from audiollm.web.services import Services
from audiollm.web.train.prepared import PREPARED, SIDES
from audiollm.web.train.sources import HUB_ID, Ask

LOG = logging.getLogger(__name__)
REJECTED, CLIPS = "rejected.jsonl", "clips.jsonl"  # of a prepared folder
FIRST = 5  # rejected files that are shown
PATIENCE = 120  # s for a look
KEPT = 8  # looks that are remembered
TIMEOUT = 10  # s that the hub has to answer


@dataclass(frozen=True)
class Heard:
    """One recording that can be listened to."""

    path: str  # a file, or DATASET#SPLIT/ROW
    label: str  # canonical class
    speaker: str = ""  # "": not known
    side: str = ""  # train | valid | test; "": not decided
    id: str = ""  # of a prepared clip


@dataclass(frozen=True)
class Group:
    """The clips of one class on one side."""

    label: str
    side: str
    clips: int
    speakers: frozenset[str]
    seconds: float = 0.0  # 0: not known


@dataclass(frozen=True)
class Insight:
    """What is known of some recordings."""

    place: Path
    groups: tuple[Group, ...]
    seconds: tuple[float, ...] = ()  # lengths of the clips, or of some of them
    prepared: bool = False
    nameless: int = 0  # clips whose speaker nobody knows
    rejected: Mapping[str, int] = field(default_factory=dict)  # reason -> files
    first: tuple[tuple[str, str], ...] = ()  # (file, reason) of some of them
    shared: int = 0  # speakers on more than one side
    twins: int = 0  # sounds that are on more than one side
    copies: int = 0  # sounds that are there more than once
    notes: tuple[str, ...] = ()
    trouble: str = ""  # why they cannot be prepared as they are
    heard: tuple[Heard, ...] = ()  # what can be listened to

    @property
    def classes(self) -> dict[str, int]:
        """Clips of each class, in the order of labels.py."""
        counts = self._counted(lambda group: group.label)
        return {name: counts[name] for name in ordered(counts)}

    @property
    def sides(self) -> dict[str, int]:
        """Clips of each side; {} where it is not decided."""
        counts = self._counted(lambda group: group.side)
        return {side: counts[side] for side in SIDES if counts[side]}

    @property
    def clips(self) -> int:
        return sum(group.clips for group in self.groups)

    @property
    def estimated(self) -> bool:
        """The lengths are those of some of the clips."""
        return len(self.seconds) < self.clips

    def speakers(self, label: str = "", side: str = "") -> int:
        """Of a class, of a side, or of all; 0: not known."""
        return len(frozenset().union(*(g.speakers for g in self._of(label, side))))

    def minutes(self, label: str = "", side: str = "") -> float:
        """The same; where not all lengths are known, as if the clips were as long as the others."""
        groups = self._of(label, side)
        if all(group.seconds for group in groups):
            return sum(group.seconds for group in groups) / 60
        mean = sum(self.seconds) / len(self.seconds) if self.seconds else 0.0
        return sum(group.clips for group in groups) * mean / 60

    def _of(self, label: str, side: str) -> list[Group]:
        return [g for g in self.groups if label in ("", g.label) and side in ("", g.side)]

    def _counted(self, key: Any) -> Counter[str]:
        counts: Counter[str] = Counter()
        for group in self.groups:
            counts[key(group)] += group.clips
        return counts


# --- what is prepared, and what ships


def of_prepared(folder: Path) -> Insight:
    """A folder that `prepare` made.

    Raises:
        ConfigError: it is damaged.
    """
    try:
        rows = [*_lines(folder / CLIPS)]
        refused = [*_lines(folder / REJECTED)]
        made = json.loads((folder / PREPARED).read_text(encoding="utf-8")).get("split", {})
        clips = [
            Heard(r["path"], r["label"], r.get("speaker") or "", r["split"], r["id"]) for r in rows
        ]
        lengths = tuple(float(row.get("seconds") or 0) for row in rows)
        first = tuple((str(r["path"]), str(r["reason"])) for r in refused[:FIRST])
        kinds = Counter(str(r["reason"]).split(":", 1)[0] for r in refused)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{folder} is damaged ({error!r}): prepare it again.") from error
    return Insight(
        folder,
        _groups(clips, lengths),
        tuple(length for length in lengths if length > 0),
        prepared=True,
        nameless=sum(not clip.speaker for clip in clips),
        rejected=dict(kinds.most_common()),
        first=first,
        shared=_on_two_sides((clip.speaker, clip.side) for clip in clips if clip.speaker),
        twins=_on_two_sides((clip.id, clip.side) for clip in clips),
        copies=sum(n for kind, n in kinds.items() if kind.startswith("identical")),
        notes=tuple(str(note) for note in made.get("notes", [])),
        heard=tuple(clips),
    )


def of_bundled() -> Insight:
    """The EmoDB that ships with the program, as its table tells it.

    Raises:
        ConfigError: it does not ship here.
    """
    table = ASSETS / "emodb" / "manifest.csv"
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = [*csv.DictReader(file)]
        clips = [Heard(str(table.parent / r["file"]), r["label"], r["speaker"]) for r in rows]
        lengths = tuple(float(row["seconds"]) for row in rows)
    except (OSError, KeyError, TypeError, ValueError) as error:
        said = f"{table} cannot be read ({error!r}): get the repository again."
        raise ConfigError(said) from error
    return Insight(table.parent, _groups(clips, lengths), lengths, heard=tuple(clips))


def _lines(table: Path) -> list[dict[str, Any]]:
    # not splitlines(): a path may hold what Unicode takes for the end of a line
    rows = table.read_text(encoding="utf-8").split("\n")
    return [json.loads(row) for row in rows if row.strip()]


def _groups(clips: Iterable[Heard], lengths: Iterable[float]) -> tuple[Group, ...]:
    members: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
    for clip, length in zip(clips, lengths, strict=True):
        members[clip.label, clip.side].append((clip.speaker, length))
    return tuple(
        Group(
            label,
            side,
            len(found),
            frozenset(name for name, _ in found if name),
            sum(length for _, length in found),
        )
        for (label, side), found in members.items()
    )


def _on_two_sides(pairs: Iterable[tuple[str, str]]) -> int:
    sides: dict[str, set[str]] = defaultdict(set)
    for one, side in pairs:
        sides[one].add(side)
    return sum(len(found) > 1 for found in sides.values())


# --- what is not prepared yet


class _Looks:
    """The last looks, as long as what was looked at stays the same."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Ask, int], Insight] = OrderedDict()
        self._turn = Lock()

    def at(self, ask: Ask) -> Insight:
        key = (ask, Path(ask.root).stat().st_mtime_ns)
        with self._turn:  # a second visitor waits for the first one's look
            if key not in self._kept:
                self._kept[key] = _look(ask)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]


_LOOKS = _Looks()


def of_recordings(services: Services, ask: Ask) -> Insight:
    """A folder or a table that is not prepared yet: counted, and lengths of a few.

    Raises:
        ShutError: see `opened`.
        DataError: nothing in it can be used, or it takes too long to look.
    """
    opened(services)
    try:
        return _LOOKS.at(ask)
    except OSError as error:
        raise DataError(f"{ask.root} cannot be read ({error.strerror}): check the path.") from error


def _look(ask: Ask) -> Insight:
    command = [sys.executable, "-m", "train", "look", *ask.words]
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=ROOT, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise SaidError("look_slow", place=ask.root) from None
    if done.returncode == 2:  # a sentence for the person
        raise DataError(done.stderr.decode(errors="replace").strip().splitlines()[-1])
    if done.returncode:
        LOG.error("%s ended with %s: %s", command, done.returncode, done.stderr.decode("utf-8"))
        raise SaidError("look_failed", place=ask.root)
    return _told(Path(ask.root), json.loads(done.stdout))


def _told(root: Path, said: Mapping[str, Any]) -> Insight:
    groups = (
        Group(g["label"], g["side"], int(g["clips"]), frozenset(g["speakers"]))
        for g in said["groups"]
    )
    return Insight(
        root,
        tuple(groups),
        tuple(float(length) for length in said["seconds"]),
        nameless=int(said["nameless"]),
        rejected={str(kind): int(n) for kind, n in said["rejected"].items()},
        first=tuple((str(r["path"]), str(r["reason"])) for r in said["first"]),
        shared=int(said["shared"]),
        twins=int(said["identical"]["sides"]),
        copies=int(said["identical"]["files"]),
        notes=tuple(str(note) for note in said["notes"]),
        trouble=str(said["trouble"]),
        heard=tuple(
            Heard(s["path"], s["label"], s["speaker"], s["split"]) for s in said["samples"]
        ),
    )


# --- the hub


@dataclass(frozen=True)
class OnHub:
    """A data set of the Hugging Face hub, as it describes itself."""

    id: str
    files: int
    size: int  # bytes; 0: not said
    clips: Mapping[str, int]  # split -> rows, where it says so


def on_hub(services: Services, id: str) -> OnHub:
    """Asks the hub; nothing is downloaded.

    Raises:
        ShutError: see `opened`.
        SaidError: it is no id, nobody answers, or there is no such data set.
    """
    opened(services)
    if not HUB_ID.fullmatch(id):
        raise SaidError("hub_id", id=id)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        found = HfApi().dataset_info(id, timeout=TIMEOUT, files_metadata=True)
    except GatedRepoError as error:
        raise SaidError("hub_gated", id=id) from error
    except RepositoryNotFoundError as error:
        raise SaidError("hub_missing", id=id) from error
    except Exception as error:  # its client raises whatever its HTTP library does
        LOG.warning("the hub does not answer about %s: %r", id, error)
        raise SaidError("hub_silent", id=id) from error
    files = found.siblings or []
    card = found.card_data.to_dict() if found.card_data else {}
    return OnHub(id, len(files), sum(file.size or 0 for file in files), _rows(card))


def _rows(card: Mapping[str, Any]) -> dict[str, int]:
    """Split -> rows, as the card of a data set of one configuration says."""
    try:
        return {str(s["name"]): int(s["num_examples"]) for s in card["dataset_info"]["splits"]}
    except (KeyError, TypeError, ValueError):
        return {}
