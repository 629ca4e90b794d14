"""A free question about a clip, for an LLM that follows instructions.

    <|im_start|>user          [audio tokens]  {measured cues}
                                              {question}<|im_end|>
                                              <|im_start|>assistant

Nothing checks the answer: probabilities and the checked analysis come from scoring.py.
"""

from collections.abc import Callable

import torch

from audiollm.audio.prosody import Cues
from audiollm.errors import AudioError
from audiollm.labels import Language
from audiollm.model.audio_llm import AudioLLM
from audiollm.model.generation import Pieces
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt

MAX_QUESTION = 500  # characters
MAX_ANSWER = 200  # tokens


def checked(question: str) -> str:
    """The question without spaces around it.

    Raises:
        AudioError: it is empty or too long.
    """
    said = " ".join(question.split())
    if not said:
        raise AudioError(
            "There is no question: write one, such as: why does it sound so?",
            "还没有问题：请写一个，例如：为什么听起来是这样？",
        )
    if len(said) > MAX_QUESTION:
        raise AudioError(
            f"The question has {len(said)} characters: ask with {MAX_QUESTION} or fewer.",
            f"问题有 {len(said)} 个字符：请不要超过 {MAX_QUESTION} 个。",
        )
    return said


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
