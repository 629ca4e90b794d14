"""What people's labels mean for training: one class and its votes, or why a clip is left out."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiollm.errors import DataError
from audiollm.labelling.formats import read
from audiollm.labelling.tasks import UNUSUAL, Label, Outcome, Task
from audiollm.labels import ordered
from audiollm.settings import Settings

LEFT_OUT = ("nobody labelled it", "no class", "class the model does not know", "people are level")


@dataclass(frozen=True)
class Verdict:
    """What is believed of a clip that people have labelled."""

    task: Task
    label: str  # the decision, else the class of most votes
    votes: dict[str, float]  # class -> share of the people who said so; all together 1 at most


def outcomes(path: Path, settings: Settings, known: Collection[str] = ()) -> list[Outcome]:
    """The clips of a file of labels with what stands of each: the last label of each person.

    Raises:
        LabelError: a line names an unknown class or a sound that is not there.
        DataError: it holds no clip.
    """
    found = read(path, "file", settings, known)
    if not found.tasks:
        raise DataError(f"{path} holds no labelled clips: export some from the Label page.")
    said: dict[str, dict[tuple[str, str], Label]] = defaultdict(dict)
    for label in found.labels:
        if label.kind != "skip":
            said[label.task][label.kind, label.person if label.kind == "label" else ""] = label
    return [_outcome(task, said[task.id].values()) for task in found.tasks]


def _outcome(task: Task, said: Iterable[Label]) -> Outcome:
    given = list(said)
    decision = next((label for label in given if label.kind == "decision"), None)
    return Outcome(task, tuple(label for label in given if label.kind == "label"), decision)


def verdicts(
    given: Sequence[Outcome], classes: Sequence[str]
) -> tuple[list[Verdict], dict[str, int]]:
    """What can be taught to a model of these classes, and how many clips cannot, by reason.

    A decision counts for all votes. Who says "unclear" votes for no class, so that a clip which
    few people are sure of weighs less.
    """
    usable = []
    left: Counter[str] = Counter()
    for outcome in given:
        counts = {outcome.final: 1} if outcome.decision else outcome.counts
        heard = {name: n for name, n in counts.items() if name not in UNUSUAL}
        known = {name: n for name, n in heard.items() if name in classes}
        if not counts:
            left[LEFT_OUT[0]] += 1
        elif outcome.final in UNUSUAL or not heard:
            left[LEFT_OUT[1]] += 1
        elif not known or (outcome.final and outcome.final not in classes):
            left[LEFT_OUT[2]] += 1
        elif not outcome.final:
            left[LEFT_OUT[3]] += 1
        else:
            total = sum(counts.values())
            votes = {name: known[name] / total for name in ordered(known)}
            usable.append(Verdict(outcome.task, outcome.final, votes))
    return usable, dict(left)
