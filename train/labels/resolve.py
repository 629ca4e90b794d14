"""Several labels of a clip -> one class and its votes for training, or why it is left out."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiollm.contracts.messages import Message
from audiollm.errors import DataError
from audiollm.labelling.formats import read
from audiollm.labelling.tasks import UNUSUAL, Label, Outcome, Task
from audiollm.labels import ordered
from audiollm.settings import Settings
from audiollm.texts import text

WEIGHT = 2.0  # of a clip whose labels agree; a clip of the prepared data weighs 1
# Why a labelled clip is left out: `left_*` in the catalogue of texts
UNLABELLED, NO_CLASS, UNKNOWN_CLASS, TIE = "unlabelled", "no_class", "unknown_class", "tie"
TEST_SPEAKER, UNUSABLE = "test_speaker", "unusable"


@dataclass(frozen=True)
class ResolvedLabel:
    """The class of a clip that people have labelled."""

    task: Task
    label: str  # the decision, else the majority
    votes: dict[str, float]  # class -> share of the people; the sum is at most 1


def outcomes(path: Path, settings: Settings, classes: Collection[str] = ()) -> list[Outcome]:
    """The clips of a label file with their valid labels: the last of each person.

    Raises:
        LabelError: a line names an unknown class or a missing sound.
        DataError: it holds no clip.
    """
    imported = read(path, "file", settings, classes)
    if not imported.tasks:
        raise DataError("relabel_no_clips", path=path)
    valid: dict[str, dict[tuple[str, str], Label]] = defaultdict(dict)
    for label in imported.labels:
        if label.kind != "skip":
            valid[label.task][label.kind, label.person if label.kind == "label" else ""] = label
    result = []
    for task in imported.tasks:
        labels = valid[task.id].values()
        decision = next((label for label in labels if label.kind == "decision"), None)
        votes = tuple(label for label in labels if label.kind == "label")
        result.append(Outcome(task, votes, decision))
    return result


def resolve(
    clips: Sequence[Outcome], classes: Sequence[str]
) -> tuple[list[ResolvedLabel], dict[str, int]]:
    """The labels for a model of these classes, and reason -> number of clips that are left out.

    A decision replaces all votes. A vote for "unclear" is for no class, so a clip that few people
    are sure of weighs less.
    """
    usable = []
    left: Counter[str] = Counter()
    for outcome in clips:
        counts = {outcome.final: 1} if outcome.decision else outcome.counts
        emotions = {name: n for name, n in counts.items() if name not in UNUSUAL}
        valid = {name: n for name, n in emotions.items() if name in classes}
        if not counts:
            left[UNLABELLED] += 1
        elif outcome.final in UNUSUAL or not emotions:
            left[NO_CLASS] += 1
        elif not valid or (outcome.final and outcome.final not in classes):
            left[UNKNOWN_CLASS] += 1
        elif not outcome.final:
            left[TIE] += 1
        else:
            total = sum(counts.values())
            votes = {name: valid[name] / total for name in ordered(valid)}
            usable.append(ResolvedLabel(outcome.task, outcome.final, votes))
    return usable, dict(left)


def left_out(left: Mapping[str, int]) -> list[Message]:
    """How many labelled clips are left out, for each reason."""
    return [Message.of(f"left_{reason}", n=n) for reason, n in sorted(left.items())]


def left_out_line(left: Mapping[str, int]) -> list[str]:
    """The same as a line for a terminal; none where nothing is left out."""
    return [text("left_out", "en", reasons=left_out(left))] if left else []
