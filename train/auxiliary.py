"""An auxiliary loss for the projector: class and corpus must be plain to see in its tokens.

Two corpora say `angry` in different rooms and languages. A linear head that tells (corpus, class)
apart keeps the projector from looking for one boundary that fits all of them; the LLM then learns
what the groups have in common. The head is used while training only and thrown away.

Shapes: B examples, N audio tokens, H LLM width, G groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Subset

from audiollm.model import AudioLLM, Example
from train import parallel
from train.dataset import Clip
from train.runs import Target

SMOOTHING = 0.1  # of the groups: a few clips do not deserve certainty
WARM_BATCH, WARM_RATE, WARM_DECAY = 64, 2e-3, 0.05


@dataclass(frozen=True, eq=False)
class GroupedExample(Example):
    """A training pair that knows its group."""

    group: int = 0


def groups(clips: Sequence[Clip], by: Target = "corpus") -> dict[tuple[str, str], int]:
    """(corpus, class) of training clips -> number, in alphabetical order.

    by: `corpus` tells the classes of every corpus apart, `class` gives a class of all corpora one
    number.
    """
    pairs = sorted({(clip.corpus, clip.label) for clip in clips})
    if by == "corpus":
        return {pair: i for i, pair in enumerate(pairs)}
    names = sorted({label for _, label in pairs})
    return {pair: names.index(pair[1]) for pair in pairs}


class TaughtLLM(AudioLLM):
    """An `AudioLLM` while it is trained, with the auxiliary head beside it."""

    def __init__(self, llm: nn.Module, projector: nn.Module) -> None:
        super().__init__(llm, projector)  # type: ignore[arg-type]
        self.auxiliary: nn.Linear | None = None
        self.weight = 0.0

    def teach(self, count: int, weight: float) -> None:
        """Adds the head for `count` groups; its loss counts `weight` times the LLM's."""
        self.weight = weight
        if weight:
            self.auxiliary = nn.Linear(2 * self.projector.config.output_size, count)

    def forward(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Loss of the answers; while training also that of the groups.

        While training, the average over all processes is the loss of their batches as one.
        """
        result = super().forward(examples)
        if not self.training:
            return result
        loss = result["loss"] * parallel.share(sum(e.weight for e in examples), self.device)
        if self.auxiliary is not None:
            beside = self.group_loss(examples) * parallel.share(len(examples), self.device)
            loss = loss + self.weight * beside
        return {**result, "loss": loss}

    def group_loss(self, examples: Sequence[Example]) -> Tensor:
        """Cross-entropy of the auxiliary head on the tokens of each example."""
        assert self.auxiliary is not None, "teach() makes the head"  # noqa: S101
        tokens, lengths = self.projector([e.features for e in examples])  # [B, N, H], [B]
        # to unit scale: tokens come at the scale of the LLM's embeddings
        tokens = tokens / parallel.mean_square(tokens).sqrt().clamp_min(1e-6)
        mean = tokens.sum(1) / lengths[:, None]  # what lies beyond a length is 0
        last = tokens[torch.arange(len(tokens), device=tokens.device), lengths - 1]
        logits = self.auxiliary(torch.cat([mean, last], 1)).float()  # [B, 2 H] -> [B, G]
        truth = [e.group for e in examples if isinstance(e, GroupedExample)]
        target = torch.tensor(truth, device=logits.device)
        return F.cross_entropy(logits, target, label_smoothing=SMOOTHING)


def warm_up(model: TaughtLLM, examples: Subset[Example], epochs: int, seed: int) -> None:
    """Trains projector and auxiliary head alone, before the LLM is asked: seconds, not minutes.

    examples: one for each clip, read batch by batch. The LLM then starts from tokens that tell
    the groups apart.
    """
    from tqdm import tqdm

    if model.auxiliary is None or epochs < 1:
        return
    generator = torch.Generator().manual_seed(seed)
    trained = [*model.projector.parameters(), *model.auxiliary.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=WARM_RATE, weight_decay=WARM_DECAY)
    steps = epochs * -(-len(examples) // WARM_BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, WARM_RATE, total_steps=steps)
    model.train()
    first = parallel.is_first()  # all do the same, and one shows it
    with tqdm(total=steps, desc="warming up", unit="step", disable=not first) as bar:
        for epoch in range(epochs):
            examples.dataset.epoch = epoch  # type: ignore[attr-defined] # other baselines each time
            order = torch.randperm(len(examples), generator=generator).tolist()
            for start in range(0, len(order), WARM_BATCH):
                loss = model.group_loss([examples[i] for i in order[start : start + WARM_BATCH]])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                bar.update()
        bar.set_postfix(loss=f"{float(loss.detach()):.3f}")
