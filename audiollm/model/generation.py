"""Texts that the LLM goes on with, several at once, each passed on piece by piece.

What it goes on from is a key-value cache: of the facts of an answer, which `analysis.prose` checks
(no audio: nothing is to be said that was not measured),

    {start of user turn}  {facts}{end of user turn}
    {instruction}         {start of assistant turn}

or of a free question about a clip:

    {start of user turn}  [audio tokens]  {probabilities}
    {instruction}                         {measured cues}
                                          {question}{end of user turn}
                                          {start of assistant turn}

An answer to a question is checked by `analysis.answers`.

Shapes: B texts, L cached positions, G key-value heads, H LLM width.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    TextStreamer,
)
from transformers.generation.streamers import BaseStreamer

from audiollm.errors import AudioError
from audiollm.model.audio_llm import AudioLLM
from audiollm.model.drafts import Drafts
from audiollm.model.projector import Features
from audiollm.model.prompt import Layout, Prompt

MAX_QUESTION = 500  # characters
MAX_ANALYSIS, MAX_ANSWER = 160, 200  # tokens
# Of the probability of the likeliest token, that a drawn one has at least (min-p, arXiv 2407.01082)
LEAST = 0.3
Layers: TypeAlias = list[tuple[Tensor, Tensor]]  # keys and values of each layer of the LLM
Write: TypeAlias = Callable[[str], object]  # gets each new piece of a text
# gets the number of a text, and the text or what its `Write` raised
Finish: TypeAlias = Callable[[int, str | BaseException], object]


@dataclass(frozen=True, eq=False)
class Context:
    """What a text goes on from: keys and values [G, L, size] of each layer, and the next id."""

    layers: Layers
    last: int
    most: int = MAX_ANALYSIS  # new tokens
    prompt_ids: tuple[int, ...] = ()  # of the prompt, what texts repeat parts of
    seed: int | None = None  # its tokens are drawn by; None: the likeliest are taken


@dataclass(eq=False)
class Text:
    """A text while it is generated. It is complete once it is `done`."""

    pieces: TextStreamer  # passes what is new to the text's own callback
    ids: list[int]
    done: bool = False


class Texts(BaseStreamer, StoppingCriteria):  # type: ignore[misc]
    """The texts of one batch: takes the new ids of `generate`, and says which texts are done."""

    def __init__(
        self,
        prompt: Prompt,
        contexts: Sequence[Context],
        writes: Sequence[Write],
        finish: Finish,
    ) -> None:
        self.prompt, self.contexts, self.finish = prompt, contexts, finish
        self.texts = [Text(_Pieces(prompt.tokenizer, write), []) for write in writes]

    def put(self, value: Tensor) -> None:
        """New ids [B]; the ids [B, L] that generation starts from are no part of the texts."""
        if value.ndim > 1:
            return
        for i, (text, id) in enumerate(zip(self.texts, value.tolist(), strict=True)):
            if not text.done:
                self._add(i, text, id)

    def _add(self, i: int, text: Text, id: int) -> None:
        failure = None
        try:
            if id != self.prompt.end:
                text.ids.append(id)
                text.pieces.put(torch.tensor([id]))
            text.done = id == self.prompt.end or len(text.ids) == self.contexts[i].most
            if text.done:
                text.pieces.end()
        except BaseException as error:  # whoever reads this text has left; others still read theirs
            text.done, failure = True, error
        if text.done:
            whole = self.prompt.tokenizer.decode(text.ids, skip_special_tokens=True).strip()
            self.finish(i, failure or whole)

    def end(self) -> None:
        """Every text is done by then: see `__call__`."""

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return torch.tensor([text.done for text in self.texts], device=input_ids.device)


class _Pieces(TextStreamer):
    def __init__(self, tokenizer: Any, write: Write) -> None:
        super().__init__(tokenizer, skip_special_tokens=True)
        self._write = write

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: ARG002
        if text:
            self._write(text)


@torch.inference_mode()
def generate(
    model: AudioLLM,
    prompt: Prompt,
    contexts: Sequence[Context],
    writes: Sequence[Write],
    finish: Finish,
    drafts: Drafts,
) -> None:
    """Goes on from every context: greedily, or with tokens drawn by its seed.

    Args:
        writes: one for every text, called in this thread; what it raises ends that text alone.
        finish: called as soon as a text is complete.
        drafts: of this model; a batch of one text is decoded speculatively.
    """
    texts = Texts(prompt, contexts, writes, finish)
    if len(contexts) == 1:
        _one(model, contexts[0], texts, drafts)
    else:
        _several(model, prompt, contexts, texts)
    for context, text in zip(contexts, texts.texts, strict=True):
        drafts.learn([context.last, *text.ids, prompt.end])


def _one(model: AudioLLM, context: Context, texts: Texts, drafts: Drafts) -> None:
    """Speculative decoding: a draft is verified in the pass that would have made one token."""
    cache = cache_of([(keys[None], values[None]) for keys, values in context.layers])
    (text,) = texts.texts
    ids = [context.last]
    while not text.done:
        draft = drafts.propose(ids, context.most - len(text.ids) - 1, context.prompt_ids)
        fed = torch.tensor([[ids[-1], *draft]], device=model.device)
        hidden = model.causal_lm.model(  # type: ignore[operator]
            input_ids=fed, past_key_values=cache, use_cache=True
        ).last_hidden_state
        logits = model.logits(hidden[0])  # of what follows each fed token
        best = [_next(row, context.seed, len(text.ids) + i) for i, row in enumerate(logits)]
        right = next((i for i, id in enumerate(draft) if id != best[i]), len(draft))
        if wrong := len(draft) - right:
            cache.crop(-wrong)
        for id in best[: right + 1]:
            texts.put(torch.tensor([id]))
        ids += best[: right + 1]


def _several(model: AudioLLM, prompt: Prompt, contexts: Sequence[Context], texts: Texts) -> None:
    sizes = [context.layers[0][0].shape[1] for context in contexts]
    longest, device = max(sizes), model.device
    layers = []
    for parts in zip(*(context.layers for context in contexts), strict=True):
        keys, values = (
            # left-padded, as generation needs: [B, G, L, size]
            torch.stack([F.pad(t, (0, 0, longest - t.shape[1], 0)) for t in tensors])
            for tensors in zip(*parts, strict=True)
        )
        layers.append((keys, values))
    ids = torch.full((len(contexts), longest + 1), prompt.end, device=device)
    ids[:, -1] = torch.tensor([context.last for context in contexts], device=device)
    columns = torch.arange(longest + 1, device=device)
    mask = (columns >= longest - torch.tensor(sizes, device=device)[:, None]).long()
    model.causal_lm.generate(  # type: ignore[operator]
        input_ids=ids,
        attention_mask=mask,
        past_key_values=cache_of(layers),
        max_new_tokens=max(context.most for context in contexts),
        do_sample=False,
        repetition_penalty=1.0,  # Qwen2.5's own is 1.1: a probability would be written otherwise
        eos_token_id=prompt.end,
        pad_token_id=prompt.end,
        streamer=texts,
        stopping_criteria=StoppingCriteriaList([texts]),
        logits_processor=LogitsProcessorList([_Draws(contexts, longest + 1)]),
    )


class _Draws(LogitsProcessor):  # type: ignore[misc]
    """Leaves one token to each text that has a seed. start: ids that generation starts from."""

    def __init__(self, contexts: Sequence[Context], start: int) -> None:
        self.contexts, self.start = contexts, start

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        place = input_ids.shape[1] - self.start
        drawn = torch.full_like(scores, -torch.inf)
        for row, context in enumerate(self.contexts):
            drawn[row, _next(scores[row], context.seed, place)] = 0.0
        return drawn


def _next(logits: Tensor, seed: int | None, place: int) -> int:
    """The token with these logits [V]: the likeliest; or drawn, the same for the same seed and
    place in the text, whether it is generated alone or in a batch (Gumbel-max)."""
    if seed is None:
        return int(logits.argmax())
    rng = torch.Generator().manual_seed(seed * 1009 + place)
    noise = -torch.log(-torch.log(torch.rand(len(logits), generator=rng).clamp(1e-12, 1 - 1e-7)))
    logits = logits.float().cpu()
    likely = logits >= logits.max() + math.log(LEAST)
    return int(torch.where(likely, logits + noise, -torch.inf).argmax())


@torch.inference_mode()
def question_context(model: AudioLLM, layout: Layout, clip: Features, prefix: Layers) -> Context:
    """What the answer to a free question about a clip goes on from; `checked` lets it pass.

    Args:
        prefix: of the head of `layout`.
    """
    merged = model.merge([()], [clip], [layout.tail])
    # the last id is fed when the text begins
    layers = prefill(model, merged.embeds[:, :-1], prefix)
    return Context([(k[0], v[0]) for k, v in layers], layout.tail[-1], MAX_ANSWER, layout.tail)


@torch.inference_mode()
def analysis_context(model: AudioLLM, layout: Layout, prefix: Layers, seed: int) -> Context:
    """What a written analysis goes on from.

    Args:
        prefix: of the head of `layout`.
    """
    layers = prefill(model, model.embed(layout.tail[:-1])[None], prefix)
    cached = [(k[0], v[0]) for k, v in layers]
    return Context(cached, layout.tail[-1], MAX_ANALYSIS, layout.tail, seed)


@torch.inference_mode()
def prefill(model: AudioLLM, embeds: Tensor, prefix: Layers | None = None) -> Layers:
    """Keys and values [B, G, P + L, size] of each layer for embeddings [B, L, H] that come after a
    `prefix` of length P."""
    cache = cache_of(prefix or [])
    model.causal_lm.model(  # type: ignore[operator]
        inputs_embeds=embeds, past_key_values=cache, use_cache=True
    )
    return [(layer.keys, layer.values) for layer in cache.layers]


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


def cache_of(layers: Layers) -> Any:
    """Keys and values of each layer, [B, G, L, size], as transformers takes them."""
    from transformers import DynamicCache

    return DynamicCache(layers) if layers else DynamicCache()
