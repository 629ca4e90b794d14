"""Agreement between people beyond chance, and each person's confusions.

A coefficient is None where it is undefined: no clip has two labels, or only one label was used.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from audiollm.labelling.tasks import Outcome


@dataclass(frozen=True)
class Pair:
    """Two people on the clips that both have labelled."""

    first: str
    second: str
    clips: int
    same: int  # clips with the same label
    kappa: float | None  # Cohen's


@dataclass(frozen=True)
class Agreement:
    """Everybody on the clips that several people have labelled."""

    clips: int
    blind: int  # of `labels`
    labels: int
    pairs: tuple[Pair, ...]
    fleiss: float | None  # on the clips with `raters` labels
    raters: int
    alpha: float | None  # Krippendorff's, nominal: any number of labels per clip
    # person -> (reference, label of this person) -> clips; see `confusion`
    confusion: Mapping[str, Mapping[tuple[str, str], int]]


def agreement(outcomes: Sequence[Outcome]) -> Agreement:
    """All coefficients of the valid labels."""
    shared = [o for o in outcomes if len(o.labels) > 1]
    by_person = [{label.person: label.name for label in o.labels} for o in shared]
    people = sorted({person for clip in by_person for person in clip})
    pairs = []
    for a, b in combinations(people, 2):
        both = [(clip[a], clip[b]) for clip in by_person if a in clip and b in clip]
        if both:
            same = sum(x == y for x, y in both)
            pairs.append(Pair(a, b, len(both), same, cohen(both)))
    sizes = Counter(len(clip) for clip in by_person)
    raters = max(sizes, key=lambda size: (sizes[size], size)) if sizes else 0
    counts = [Counter(clip.values()) for clip in by_person]
    labels = [label for o in shared for label in o.labels]
    return Agreement(
        clips=len(shared),
        blind=sum(label.blind for label in labels),
        labels=len(labels),
        pairs=tuple(pairs),
        fleiss=fleiss([c for c in counts if c.total() == raters]) if raters else None,
        raters=raters,
        alpha=krippendorff(counts),
        confusion=confusion(outcomes),
    )


def cohen(both: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two people: (label of the first, label of the second) of each clip."""
    from sklearn.metrics import cohen_kappa_score

    if len({name for pair in both for name in pair}) < 2:
        return None
    first, second = zip(*both, strict=True)
    return float(cohen_kappa_score(first, second))


def fleiss(clips: Sequence[Mapping[str, int]]) -> float | None:
    """Fleiss' kappa of clips with the same number of labels: label -> people, for each clip.

    Raises:
        ValueError: the clips have different numbers of labels, or fewer than two.
    """
    sizes = {sum(clip.values()) for clip in clips}
    if len(sizes) > 1 or any(size < 2 for size in sizes):
        raise ValueError(f"every clip needs the same number of labels, at least 2, not {sizes}")
    if not clips:
        return None
    raters = sizes.pop()
    pairs = raters * (raters - 1)
    agreed = sum(n * (n - 1) for clip in clips for n in clip.values()) / pairs / len(clips)
    total = _total(clips)
    chance = sum((n / total.total()) ** 2 for n in total.values())
    return (agreed - chance) / (1 - chance) if 1 - chance > 1e-12 else None


def krippendorff(clips: Sequence[Mapping[str, int]]) -> float | None:
    """Krippendorff's alpha for nominal labels: label -> people, for each clip.

    Clips with fewer than two labels are left out.
    """
    clips = [clip for clip in clips if sum(clip.values()) > 1]
    total = _total(clips)
    values = total.total()
    if values < 2:
        return None
    differing = sum(
        n * (sum(clip.values()) - n) / (sum(clip.values()) - 1)
        for clip in clips
        for n in clip.values()
    )
    expected = sum(n * (values - n) for n in total.values()) / (values - 1)
    return 1 - differing / expected if expected else None


def confusion(outcomes: Sequence[Outcome]) -> dict[str, dict[tuple[str, str], int]]:
    """For each person: (reference, label) -> clips.

    The reference is the decision, else the majority of the other people; ties are left out.
    """
    tables: dict[str, Counter[tuple[str, str]]] = {}
    for outcome in outcomes:
        for label in outcome.labels:
            others = tuple(other for other in outcome.labels if other is not label)
            reference = Outcome(outcome.task, others, outcome.decision).final
            if reference:
                tables.setdefault(label.person, Counter())[reference, label.name] += 1
    return {person: dict(table) for person, table in sorted(tables.items())}


def _total(clips: Sequence[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for clip in clips:
        total.update(clip)
    return total
