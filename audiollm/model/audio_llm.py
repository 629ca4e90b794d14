"""The Audio-LLM: projector and LLM, and the one function that merges audio with text.

The encoder is frozen and stands before this: `AudioLLM` takes its features. Training, scoring
and generation all build their input with `AudioLLM.merge`. Training computes the keys and
values of an instruction once for all rows of a batch that begin with it.

Shapes: B clips, S merged length, P head length, G key-value heads, H LLM width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from audiollm.contracts.manifest import ProjectorConfig
from audiollm.model.projector import Features, Projector

ROWS = 32_768  # of an embedding table, the most frequent tokens of a vocabulary


@dataclass(frozen=True, eq=False)
class Example:
    """One training pair: ids around the audio, and the answer that the loss is taken on."""

    features: Features
    head: tuple[int, ...]
    tail: tuple[int, ...]
    answer: tuple[int, ...]
    class_token_weight: float = 1.0  # of the first answer token, which names the class
    choices: tuple[int, ...] = ()  # first token of every class word; () where the answer names none
    smoothing: float = 0.0  # share of the first token's target that all choices get alike
    with_audio: bool = True  # its audio tokens stand in the prompt

    def __len__(self) -> int:
        return len(self.head) + len(self.tail) + len(self.answer)

    @property
    def weight(self) -> float:
        """Of all tokens of the answer."""
        return self.class_token_weight + len(self.answer) - 1


@dataclass(frozen=True, eq=False)
class Merged:
    """Embeddings of head + audio + tail, right-padded. embeds: [B, S, H]."""

    embeds: Tensor
    lengths: Tensor  # [B] valid positions of each row
    tail_start: Tensor  # [B] where the tail begins

    @property
    def mask(self) -> Tensor:
        """[B, S], True where a row is valid."""
        return (
            torch.arange(self.embeds.shape[1], device=self.lengths.device) < self.lengths[:, None]
        )


@dataclass(frozen=True, eq=False)
class Heads:
    """Key-value cache of each row's own head, right-padded to P. layers: (keys, values) of each
    layer of the LLM, [B, G, P, size]."""

    layers: list[tuple[Tensor, Tensor]]
    lengths: Tensor  # [B] valid positions of each head

    @property
    def mask(self) -> Tensor:
        """[B, P], True where a head is valid."""
        size = self.layers[0][0].shape[2]
        return torch.arange(size, device=self.lengths.device) < self.lengths[:, None]

    @classmethod
    def joined(cls, parts: Sequence["Heads"]) -> "Heads":
        """The rows of all parts, in their order."""
        lengths = torch.cat([part.lengths for part in parts])
        size = max(part.layers[0][0].shape[2] for part in parts)
        layers = []
        for each in zip(*(part.layers for part in parts), strict=True):
            keys, values = (
                torch.cat([F.pad(t, (0, 0, 0, size - t.shape[2])) for t in tensors])
                for tensors in zip(*each, strict=True)
            )
            layers.append((keys, values))
        return cls(layers, lengths)


class AudioLLM(nn.Module):
    """Projector + causal LLM. `llm` may be wrapped by peft."""

    def __init__(self, llm: nn.Module, projector: Projector) -> None:
        super().__init__()
        self.llm = llm
        self.projector = projector

    @classmethod
    def build(cls, llm: nn.Module, config: ProjectorConfig) -> "AudioLLM":
        """A model whose projector starts at the scale of the LLM's own embeddings."""
        # of the first rows: a float32 copy of a large table would be the peak of training's memory
        table: Tensor = llm.get_input_embeddings().weight.detach()[:ROWS]  # type: ignore[operator]
        scale = float(table.float().pow(2).mean().sqrt())
        return cls(llm, Projector(config, scale))

    @property
    def causal_lm(self) -> nn.Module:
        """The `*ForCausalLM` itself, also when peft wraps it."""
        base = getattr(self.llm, "get_base_model", None)
        return base() if base else self.llm

    @property
    def device(self) -> torch.device:
        return self.projector.device

    def embed(self, ids: Sequence[int]) -> Tensor:
        """ids [L] -> embeddings [L, H]."""
        table = self.causal_lm.get_input_embeddings()  # type: ignore[operator]
        return table(torch.tensor(ids, dtype=torch.long, device=self.device))

    def merge(
        self,
        heads: Sequence[Sequence[int]],
        clips: Sequence[Features],
        tails: Sequence[Sequence[int]],
    ) -> Merged:
        """head ids + projected audio + tail ids of each row -> one right-padded batch."""
        return self.join(heads, self.projector(clips), tails)

    def join(
        self,
        heads: Sequence[Sequence[int]],
        audio: tuple[Tensor, Tensor],
        tails: Sequence[Sequence[int]],
    ) -> Merged:
        """audio: tokens [B, N, H] and their numbers [B]."""
        rows, starts = [], []
        lengths = audio[1].tolist()
        for head, padded, n, tail in zip(heads, audio[0], lengths, tails, strict=True):
            text = self.embed([*head, *tail])
            tokens = padded[:n].to(text.dtype)
            rows.append(torch.cat([text[: len(head)], tokens, text[len(head) :]]))
            starts.append(len(head) + n)
        sizes = torch.tensor([len(r) for r in rows], device=self.device)
        return Merged(
            embeds=pad_sequence(rows, batch_first=True),
            lengths=sizes,
            tail_start=torch.tensor(starts, device=self.device),
        )

    def heads(self, heads: Sequence[tuple[int, ...]]) -> Heads:
        """Keys and values of each row's head; a head that several rows share is computed once.

        No audio stands before it, so it is the same for all of them. No gradient is kept where
        the LLM is frozen. With LoRA, its dropout then falls alike on the rows that share a head.
        Every head must have an id.
        """
        from transformers import DynamicCache

        distinct = list(dict.fromkeys(heads))
        sizes = torch.tensor([len(h) for h in distinct], device=self.device)
        trained = any(p.requires_grad for p in self.llm.parameters())
        cache: Any = DynamicCache()
        with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
            embeds = pad_sequence([self.embed(h) for h in distinct], batch_first=True)
            mask = torch.arange(embeds.shape[1], device=self.device) < sizes[:, None]
            self.causal_lm.model(  # type: ignore[operator]
                inputs_embeds=embeds,
                attention_mask=mask.long(),
                past_key_values=cache,
                use_cache=True,
            )
        index = {head: i for i, head in enumerate(distinct)}
        rows = torch.tensor([index[head] for head in heads], device=self.device)
        # [distinct, G, P, size] -> [B, G, P, size]
        return Heads([(c.keys[rows], c.values[rows]) for c in cache.layers], sizes[rows])

    def hidden(self, merged: Merged, heads: Heads | None = None) -> Tensor:
        """Last hidden states [B, S, H] of a merged batch, which goes on from `heads` if given."""
        body, mask = self.causal_lm.model, merged.mask
        if heads is None:
            return body(  # type: ignore[operator]
                inputs_embeds=merged.embeds, attention_mask=mask.long(), use_cache=False
            ).last_hidden_state
        from transformers import DynamicCache

        columns = torch.arange(mask.shape[1], device=mask.device)
        return body(  # type: ignore[operator]
            inputs_embeds=merged.embeds,
            attention_mask=torch.cat([heads.mask, mask], 1).long(),
            position_ids=heads.lengths[:, None] + columns,  # padding takes no position
            past_key_values=DynamicCache(heads.layers),
            use_cache=True,
        ).last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden [..., H] -> logits [..., V]; callers pass only the positions they need."""
        return self.causal_lm.lm_head(hidden)  # type: ignore[operator]

    def logits_of(self, hidden: Tensor, ids: Sequence[int]) -> Tensor:
        """hidden [..., H] -> logits [..., N] of these N tokens alone."""
        head: Any = self.causal_lm.lm_head
        rows, bias = list(ids), head.bias
        weight = head.weight[rows].to(hidden.dtype)
        return F.linear(hidden, weight, None if bias is None else bias[rows])

    def forward(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Mean cross-entropy over the answer tokens alone, each by its weight."""
        return {"loss": self.loss(examples, self.projector([e.features for e in examples]))}

    def loss(
        self,
        examples: Sequence[Example],
        audio: tuple[Tensor, Tensor],
        soft: Tensor | None = None,
        share: float = 0.0,
        among: bool = False,
    ) -> Tensor:
        """The loss of answers to audio tokens [B, N, H], of which [B] are valid in each row.

        The class word's target is smoothed over all class words (arXiv 1512.00567); `soft` [B, C]
        are probabilities that make up a `share` of it (distillation, arXiv 1503.02531). With
        `among`, its softmax goes over the class words alone, as it does in scoring.
        The loss divides by the weights of the batch's answer tokens; logits are made at those
        positions only, which for a vocabulary of 152k is most of the memory. The head, most of the
        tokens of a row, goes through the LLM once for all rows that share it.
        """
        tails = [e.tail + e.answer[:-1] for e in examples]  # nothing comes after the last id
        audio = stated(examples, audio)
        if all(e.head for e in examples):
            heads: Heads | None = self.heads([e.head for e in examples])
            merged = self.join([()] * len(examples), audio, tails)
        else:
            heads, merged = None, self.join([e.head for e in examples], audio, tails)
        hidden = self.hidden(merged, heads)
        row: list[int] = []
        column: list[int] = []
        target: list[int] = []
        weight: list[float] = []
        firsts: list[int] = []  # where each example's answer begins among the answer tokens
        for i, (example, start) in enumerate(
            zip(examples, merged.tail_start.tolist(), strict=True)
        ):
            first = start + len(example.tail) - 1  # the position that predicts the first answer id
            firsts.append(len(row))
            row += [i] * len(example.answer)
            column += range(first, first + len(example.answer))
            target += example.answer
            weight += [example.class_token_weight] + [1.0] * (len(example.answer) - 1)
        logits = self.logits(hidden[row, column]).float()  # [answer tokens, V]
        losses = F.cross_entropy(logits, torch.tensor(target, device=self.device), reduction="none")
        losses = _smoothed(losses, logits, firsts, examples, soft, share, among)
        weights = torch.tensor(weight, device=self.device)
        return (weights * losses).sum() / weights.sum()


def stated(examples: Sequence[Example], audio: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Audio tokens [B, N, H] and how many of them [B] stand in each prompt."""
    tokens, lengths = audio
    return tokens, lengths * torch.tensor([e.with_audio for e in examples], device=lengths.device)


def _smoothed(
    losses: Tensor,
    logits: Tensor,
    firsts: Sequence[int],
    examples: Sequence[Example],
    soft: Tensor | None,
    share: float,
    among: bool,
) -> Tensor:
    """losses [N] of answer tokens with logits [N, V], those of class words mixed with the mean loss
    over all class words and with the cross-entropy to `soft` [B, C]."""
    mixed = [i for i, e in enumerate(examples) if e.choices and (e.smoothing or share or among)]
    if not mixed:
        return losses
    rows = torch.tensor([firsts[i] for i in mixed], device=losses.device)
    smoothing = torch.tensor([examples[i].smoothing for i in mixed], device=losses.device)
    choices = torch.tensor([examples[i].choices for i in mixed], device=losses.device)  # [R, C]
    if among:
        each = -F.log_softmax(logits[rows].gather(1, choices), -1)  # [R, C]
        targets = torch.tensor([examples[i].answer[0] for i in mixed], device=losses.device)
        truth = (each * (choices == targets[:, None])).sum(1)
    else:
        each, truth = -F.log_softmax(logits[rows], -1).gather(1, choices), losses[rows]
    smoothed = (1 - smoothing) * truth + smoothing * each.mean(1)
    if soft is not None:
        smoothed = (1 - share) * smoothed + share * (soft[mixed] * each).sum(1)
    return losses.index_put((rows,), smoothed)
