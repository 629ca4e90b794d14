"""Text that `transformers` generates, passed on piece by piece."""

from collections.abc import Callable
from typing import Any

from transformers import TextStreamer


class Pieces(TextStreamer):
    """A streamer of `generate` that hands each new piece of text to a callback.

    The callback runs in the generating thread; an exception that it raises ends the generation.
    `skip_prompt`: the ids that generation starts from are no part of the text.
    """

    def __init__(
        self, tokenizer: Any, write: Callable[[str], object], *, skip_prompt: bool
    ) -> None:
        super().__init__(tokenizer, skip_prompt=skip_prompt, skip_special_tokens=True)
        self._write = write

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: ARG002
        if text:
            self._write(text)
