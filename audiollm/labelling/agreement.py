"""How far people agree beyond chance, and who takes what for what.

Every figure is None where it does not exist: nobody labelled the same clip, or everybody said the
same one thing, so that there is nothing to agree about.
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
    same: int  # clips on which they said the same
    kappa: float | None  # Cohen's


@dataclass(frozen=True)
class Agreement:
    """Everybody on the clips that several people have labelled."""

    clips: int
    blind: int  # labels that were given without sight of an answer, of `labels`
    labels: int
    pairs: tuple[Pair, ...]
    fleiss: float | None  # on the clips that `raters` people have labelled
    raters: int
    alpha: float | None  # Krippendorff's, nominal: any number of people a clip
    # person -> (what the others say or was decided, what this person says) -> clips
    confusion: Mapping[str, Mapping[tuple[str, str], int]]


def agreement(outcomes: Sequence[Outcome]) -> Agreement:
    """What the standing labels say of the people who gave them."""
    shared = [o for o in outcomes if len(o.labels) > 1]
    said = [{label.person: label.name for label in o.labels} for o in shared]
    people = sorted({person for clip in said for person in clip})
    pairs = []
    for a, b in combinations(people, 2):
        both = [(clip[a], clip[b]) for clip in said if a in clip and b in clip]
        if both:
            same = sum(x == y for x, y in both)
            pairs.append(Pair(a, b, len(both), same, cohen(both)))
    sizes = Counter(len(clip) for clip in said)
    raters = max(sizes, key=lambda size: (sizes[size], size)) if sizes else 0
    counts = [Counter(clip.values()) for clip in said]
    given = [label for o in shared for label in o.labels]
    return Agreement(
        clips=len(shared),
        blind=sum(label.blind for label in given),
        labels=len(given),
        pairs=tuple(pairs),
        fleiss=fleiss([c for c in counts if c.total() == raters]) if raters else None,
        raters=raters,
        alpha=krippendorff(counts),
        confusion=confusion(outcomes),
    )


def cohen(both: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two people: (what one said, what the other said) of each clip."""
    if not both:
        return None
    first, second = Counter(a for a, _ in both), Counter(b for _, b in both)
    chance = sum(first[name] * second[name] for name in first) / len(both) ** 2
    return _beyond(sum(a == b for a, b in both) / len(both), chance)


def fleiss(clips: Sequence[Mapping[str, int]]) -> float | None:
    """Fleiss' kappa: of each clip, how many people said what; the same number for every clip.

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
    return _beyond(agreed, chance)


def krippendorff(clips: Sequence[Mapping[str, int]]) -> float | None:
    """Krippendorff's alpha for names: of each clip, how many people said what.

    Clips with fewer than two labels say nothing and are left out.
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
    """Of each person: (reference, what they said) -> clips.

    The reference is the decision, else what most of the other people said; clips on which those
    are level are left out.
    """
    found: dict[str, Counter[tuple[str, str]]] = {}
    for outcome in outcomes:
        for label in outcome.labels:
            others = tuple(other for other in outcome.labels if other is not label)
            reference = Outcome(outcome.task, others, outcome.decision).final
            if reference:
                found.setdefault(label.person, Counter())[reference, label.name] += 1
    return {person: dict(table) for person, table in sorted(found.items())}


def _beyond(agreed: float, chance: float) -> float | None:
    return (agreed - chance) / (1 - chance) if 1 - chance > 1e-12 else None


def _total(clips: Sequence[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for clip in clips:
        total.update(clip)
    return total
