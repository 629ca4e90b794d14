"""What `transformers` generates in a thread, as an iterator that can be closed early."""

from collections.abc import Callable, Generator
from threading import Event, Thread
from typing import Any

import torch
from torch import Tensor

Generate = Callable[[Any, list[Any]], object]  # (streamer, stopping criteria)
PATIENCE = 60.0  # s for a piece of text


class _Stop:
    """A stopping criterion of transformers that another thread can fulfil."""

    def __init__(self) -> None:
        self.event = Event()

    def __call__(self, ids: Tensor, scores: Tensor, **_: Any) -> Tensor:  # noqa: ARG002
        return torch.full((len(ids),), self.event.is_set(), device=ids.device)


def pieces(tokenizer: Any, generate: Generate, *, skip_prompt: bool) -> Generator[str]:
    """The text that `generate` makes, piece by piece.

    A reader that closes the iterator ends the generation before it gets control back.
    `skip_prompt`: the ids that generation starts from are no part of the text.
    """
    from transformers import TextIteratorStreamer

    streamer = TextIteratorStreamer(
        tokenizer, skip_prompt=skip_prompt, timeout=PATIENCE, skip_special_tokens=True
    )
    failure: list[BaseException] = []
    stop = _Stop()

    def work() -> None:
        try:
            generate(streamer, [stop])
        except BaseException as error:  # handed to the reader below
            failure.append(error)
            streamer.end()

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield from streamer
    finally:
        stop.event.set()
        thread.join()
    if failure:
        raise failure[0]
