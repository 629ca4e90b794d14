"""Why a clip is worth labelling, and in which order clips are shown."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from audiollm.labelling.tasks import REASONS, Reason

CONFIDENT = 0.6  # probability from which a wrong answer counts as confident
TIE = 0.15  # the best two classes are closer than this
EVERY = 5  # every fifth clip is a random one, as long as there are any
Answer = Mapping[str, float]  # class -> probability


def reason(answer: Answer, other: Answer, original: str) -> tuple[Reason, float]:
    """Why a clip should be labelled, and its priority from 0 to 1.

    `other` is the answer of the linear probe on the encoder's features, `original` the class in
    the data; either may be empty.
    """
    ranked = sorted(answer.values(), reverse=True)
    best = _best(answer)
    wrong = bool(original and best and best != original)
    if wrong and answer[best] >= CONFIDENT:
        return "wrong", min(1.0, answer[best])
    if best and other and _best(other) != best:
        return "disagreement", min(1.0, answer[best] * other[_best(other)])
    if len(ranked) > 1 and ranked[0] - ranked[1] < TIE:
        return "tie", min(1.0, 1 - (ranked[0] - ranked[1]))
    if wrong:
        return "wrong", min(1.0, answer[best])
    return "plain", min(1.0, max(0.0, 1 - ranked[0])) if ranked else 0.0


def is_random(id: str, share: float) -> bool:
    """Whether a clip belongs to the random share; this depends on its id alone."""
    return _fraction(id) < share


def ordered(tasks: Sequence[tuple[str, Reason, float]]) -> list[str]:
    """The ids of (id, reason, score) in the order of showing: by reason, then by score; every
    EVERYth is a random one."""
    rank = {name: i for i, name in enumerate(REASONS)}
    ranked = sorted(
        (task for task in tasks if task[1] != "random"),
        key=lambda task: (rank[task[1]], -task[2], task[0]),
    )
    random = sorted((id for id, why, _ in tasks if why == "random"), key=_fraction)
    return list(_mixed((id for id, _, _ in ranked), random))


def _mixed(ranked: Iterable[str], random: Iterable[str]) -> Iterable[str]:
    ranked, random = iter(ranked), iter(random)
    while part := [*islice(ranked, EVERY - 1), *islice(random, 1)]:
        yield from part


def _best(answer: Answer) -> str:
    return max(answer, key=lambda name: answer[name]) if answer else ""


def _fraction(id: str) -> float:
    """Pseudorandom number from 0 to 1, by the id alone."""
    digest = hashlib.sha256(f"drawn:{id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
