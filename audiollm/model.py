"""The Audio-LLM: projector and LLM, and the one function that merges audio with text.

The encoder is frozen and stands before this: `AudioLLM` takes its features. Training, scoring
and generation all build their input with `AudioLLM.merge`.

Shapes: B clips, S merged length, H LLM width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from audiollm.config import ProjectorConfig
from audiollm.projector import Features, Projector

IGNORE = -100


@dataclass(frozen=True, eq=False)
class Example:
    """One training pair: ids around the audio, and the answer that the loss is taken on."""

    features: Features
    head: tuple[int, ...]
    tail: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.head) + len(self.tail) + len(self.answer)


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


class AudioLLM(nn.Module):
    """Projector + causal LLM. `llm` may be wrapped by peft."""

    def __init__(self, llm: nn.Module, projector: Projector) -> None:
        super().__init__()
        self.llm = llm
        self.projector = projector

    @classmethod
    def build(cls, llm: nn.Module, config: ProjectorConfig) -> "AudioLLM":
        """A model whose projector starts at the scale of the LLM's own embeddings."""
        scale = float(llm.get_input_embeddings().weight.detach().float().pow(2).mean().sqrt())  # type: ignore[operator]
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
        audio, lengths = self.projector(clips)  # [B, N, H], [B]
        rows, starts = [], []
        for head, padded, n, tail in zip(heads, audio, lengths.tolist(), tails, strict=True):
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

    def hidden(self, merged: Merged) -> Tensor:
        """Last hidden states [B, S, H] of a merged batch."""
        body = self.causal_lm.model
        return body(  # type: ignore[operator]
            inputs_embeds=merged.embeds, attention_mask=merged.mask.long(), use_cache=False
        ).last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden [..., H] -> logits [..., V]; callers pass only the positions they need."""
        return self.causal_lm.lm_head(hidden)  # type: ignore[operator]

    def forward(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Mean cross-entropy over the answer tokens alone.

        The loss divides by the answer tokens of the batch; logits are made at those positions
        only, which for a vocabulary of 152k is most of the memory.
        """
        tails = [e.tail + e.answer for e in examples]
        merged = self.merge([e.head for e in examples], [e.features for e in examples], tails)
        hidden = self.hidden(merged)
        row: list[int] = []
        column: list[int] = []
        target: list[int] = []
        for i, (example, start) in enumerate(
            zip(examples, merged.tail_start.tolist(), strict=True)
        ):
            first = start + len(example.tail) - 1  # the position that predicts the first answer id
            row += [i] * len(example.answer)
            column += range(first, first + len(example.answer))
            target += example.answer
        logits = self.logits(hidden[row, column]).float()  # [answer tokens, V]
        loss = F.cross_entropy(logits, torch.tensor(target, device=self.device))
        return {"loss": loss}
