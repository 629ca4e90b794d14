"""Draft tokens for speculative decoding, from the prompt and from earlier texts of a model.

A text repeats cues that its prompt holds, and the analyses of a model resemble each other. The
token that followed two others there is drafted again, several tokens on, and the LLM verifies the
draft in one forward pass: a text is the one that greedy decoding gives, in fewer passes (Leviathan
et al. 2023, arXiv 2211.17192; with drafts from the prompt, Saxena 2023, prompt lookup decoding;
from earlier texts, He et al. 2023, arXiv 2311.08252). No text is kept, only which token came last
after which two.
"""

from collections.abc import Sequence

CONTEXT = 2  # tokens that a draft token depends on
MOST = 8  # tokens drafted at once
ENTRIES = 20_000  # the oldest are forgotten
AGAIN = 2  # how often in a row a token must have come: a rejected draft costs more than none


class Drafts:
    """What came after which tokens, of one model; used by one thread at a time."""

    def __init__(self) -> None:
        self._next: dict[tuple[int, ...], tuple[int, int]] = {}  # -> token, times in a row

    def learn(self, ids: Sequence[int]) -> None:
        """Counts a text, with the tokens that it goes on from and the one that ends it."""
        for i in range(CONTEXT, len(ids)):
            before = tuple(ids[i - CONTEXT : i])
            token, times = self._next.pop(before, (ids[i], 0))
            self._next[before] = (ids[i], times + 1 if token == ids[i] else 1)
        while len(self._next) > ENTRIES:
            del self._next[next(iter(self._next))]

    def propose(
        self, ids: Sequence[int], most: int = MOST, prompt: Sequence[int] = ()
    ) -> list[int]:
        """What probably follows, as far as it is known, at most so many.

        Args:
            prompt: of this text; what followed in it goes before earlier texts.
        """
        own = {tuple(prompt[i - CONTEXT : i]): prompt[i] for i in range(CONTEXT, len(prompt))}
        proposed: list[int] = []
        before = tuple(ids[-CONTEXT:])
        while len(proposed) < min(most, MOST):
            token, times = self._next.get(before, (0, 0))
            token, times = (own[before], AGAIN) if before in own else (token, times)
            if times < AGAIN:
                break
            proposed.append(token)
            before = (*before[1:], token)
        return proposed
