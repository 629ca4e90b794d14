"""Text that the LLM generates, passed on piece by piece; and its answers to free questions.

    {start of user turn}  [audio tokens]  {measured cues}
                                          {question}{end of user turn}
                                          {start of assistant turn}

Nothing checks an answer to a question: probabilities and the checked analysis come from scoring.py.
"""

from collections.abc import Callable
from typing import Any

import torch
from transformers import TextStreamer

from audiollm.audio.prosody import Cues
from audiollm.errors import AudioError
from audiollm.labels import Language
from audiollm.model.audio_llm import AudioLLM
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt

MAX_QUESTION = 500  # characters
MAX_ANSWER = 200  # tokens


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


def checked(question: str) -> str:
    """The question without spaces around it.

    Raises:
        AudioError: it is empty or too long.
    """
    stripped = " ".join(question.split())
    if not stripped:
        raise AudioError("question_empty")
    if len(stripped) > MAX_QUESTION:
        raise AudioError("question_too_long", length=len(stripped), most=MAX_QUESTION)
    return stripped


def answer(
    model: AudioLLM,
    prompt: Prompt,
    clip: Features,
    cues: Cues | None,
    question: str,
    language: Language,
    write: Callable[[str], object],
) -> None:
    """Passes the LLM's answer to the question to `write`, piece by piece."""
    layout = prompt.free(checked(question), language, cues)
    with torch.inference_mode():
        merged = model.merge([layout.head], [clip], [layout.tail])
        model.causal_lm.generate(  # type: ignore[operator]
            inputs_embeds=merged.embeds,
            attention_mask=merged.mask.long(),
            max_new_tokens=MAX_ANSWER,
            do_sample=False,
            eos_token_id=prompt.end,
            pad_token_id=prompt.end,
            # generation from embeddings returns new ids only
            streamer=Pieces(prompt.tokenizer, write, skip_prompt=False),
        )
