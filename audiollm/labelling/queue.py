"""Why a clip is worth a person's time, and in which order clips are shown."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from audiollm.labelling.tasks import REASONS, Reason

CONFIDENT = 0.6  # a wrong answer that is as likely was meant
TIE = 0.15  # the best two classes are nearer than this
EVERY = 5  # one clip of so many is a random one, for as long as there are any
Answer = Mapping[str, float]  # class -> probability


def reason(answer: Answer, other: Answer, original: str) -> tuple[Reason, float]:
    """Why a clip should be looked at, and how urgently (0 to 1).

    `other` is the answer of the linear probe on the encoder's features, `original` the class that
    it came with; either may be empty.
    """
    ranked = sorted(answer.values(), reverse=True)
    best = _best(answer)
    if original and best and best != original:
        sure = answer[best]
        if sure >= CONFIDENT:
            return "wrong", min(1.0, sure)
    if best and other and _best(other) != best:
        return "disagreement", min(1.0, answer[best] * other[_best(other)])
    if len(ranked) > 1 and ranked[0] - ranked[1] < TIE:
        return "tie", min(1.0, 1 - (ranked[0] - ranked[1]))
    if original and best and best != original:
        return "wrong", min(1.0, answer[best])
    return "plain", min(1.0, max(0.0, 1 - ranked[0])) if ranked else 0.0


def drawn(id: str, share: float) -> bool:
    """Whether a clip is among the random share; the same clip always gets the same answer."""
    return _chance(id) < share


def arranged(tasks: Sequence[tuple[str, Reason, float]]) -> list[str]:
    """The ids of (id, reason, score) in the order of showing.

    By reason, then the most urgent first; every EVERYth is a random one, in random order.
    """
    rank = {name: i for i, name in enumerate(REASONS)}
    chosen = sorted(
        (task for task in tasks if task[1] != "random"),
        key=lambda task: (rank[task[1]], -task[2], task[0]),
    )
    chance = sorted((id for id, why, _ in tasks if why == "random"), key=_chance)
    return list(_mixed((id for id, _, _ in chosen), chance))


def _mixed(chosen: Iterable[str], chance: Iterable[str]) -> Iterable[str]:
    chosen, chance = iter(chosen), iter(chance)
    while part := [*islice(chosen, EVERY - 1), *islice(chance, 1)]:
        yield from part


def _best(answer: Answer) -> str:
    return max(answer, key=lambda name: answer[name]) if answer else ""


def _chance(id: str) -> float:
    """0 to 1, by the id alone."""
    digest = hashlib.sha256(f"drawn:{id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
