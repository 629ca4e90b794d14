"""The texts of all threads, generated in batches."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from audiollm.inference.microbatch import Call, MicroBatch, Worker

if TYPE_CHECKING:
    from audiollm.model.generation import Context, Write

BATCH = 16  # texts that are generated together
_Part: TypeAlias = Sequence[tuple["Context", "Write"]]


class Texts:
    """Generates for all threads, one batch at a time."""

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer
        self._prefill = Worker()
        # begun again, a text that somebody reads would repeat what is there
        self._batches: MicroBatch[_Part, list[str]] = MicroBatch(self._compute, repeatable=False)

    @property
    def idle(self) -> bool:
        """Nothing is generated, and nobody waits."""
        return self._batches.idle

    def context(self, prefill: "Callable[[], Context]") -> "Context":
        """What `prefill` makes for a text."""
        return self._prefill.begin(prefill).result()

    def write(self, contexts: "Sequence[Context]") -> list[str]:
        """The texts after these contexts."""
        texts: list[str] = []
        for start in range(0, len(contexts), BATCH):
            part = contexts[start : start + BATCH]
            texts += self._batches([(context, str) for context in part], len(part) / BATCH)
        return texts

    def stream(self, context: "Context", write: "Write") -> str:
        """The text after a context; `write` gets each new piece, and ends the text by raising.

        It is called in the thread that generates for all, so it must not block.
        """
        return self._batches([(context, write)], 1 / BATCH)[0]

    def _compute(self, calls: Sequence[Call[_Part, list[str]]]) -> None:
        """The texts of several calls; each call is finished with the last of its own."""
        owners = [call for call in calls for _ in call.item]
        texts: dict[int, str] = {}

        def finish(i: int, text: str | BaseException) -> None:
            if isinstance(text, BaseException):
                owners[i].fail(text)
                return
            texts[i] = text
            own = [k for k, owner in enumerate(owners) if owner is owners[i]]
            if all(k in texts for k in own):
                owners[i].finish([texts[k] for k in own])

        contexts, writes = zip(*(text for call in calls for text in call.item), strict=True)
        self._scorer.write(contexts, writes, finish)
