"""An auxiliary loss for the projector: class and corpus must be plain to see in its tokens.

`angry` differs between corpora in room and language. A linear head that separates (corpus, class)
groups spares the projector a single boundary for all of them; the LLM then learns what the groups
have in common. The head is used while training only and thrown away.

With distillation (Hinton et al. 2015, arXiv 1503.02531) the LLM also learns the head's
probabilities of the classes, of the same tokens: a linear read-out generalises better to other
corpora than the one that an LLM finds from labels alone. Stage 2 fits a new head to the tokens of
stage 1 first. The head may also have the LLM's own embeddings of the class words as its weights.
The teacher may also be a linear probe on the features (train/fit/teacher.py), which
head and LLM then both learn from.

Shapes: B examples, N audio tokens, H LLM width, G groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Subset

from audiollm.contracts.fit import Target
from audiollm.model.audio_llm import AudioLLM, Example, Heads
from audiollm.model.projector import Features
from train import parallel
from train.data.dataset import Clip
from train.fit.teacher import LinearTeacher, mixed

SMOOTHING = 0.1  # of the groups: a few clips do not deserve certainty
SPREAD = 0.5  # of the tokens by which they are mixed for distillation
# Logits per unit of cosine similarity to the embedding of a class word: with 4 no token is as
# certain as the linear probes; with 20, cosines of 0.2 are enough, and an LLM does not read those
COSINE_SCALE = 8.0
PRETRAIN_BATCH, PRETRAIN_RATE, PRETRAIN_DECAY = 64, 2e-3, 0.05


@dataclass(frozen=True, eq=False)
class GroupedExample(Example):
    """A training pair that knows its group."""

    group: int = 0


def groups(clips: Sequence[Clip], by: Target = "corpus") -> dict[tuple[str, str], int]:
    """(corpus, class) of training clips -> number, in alphabetical order.

    by: `corpus` separates the classes of every corpus, `class` gives a class of all corpora one
    number.
    """
    pairs = sorted({(clip.corpus, clip.label) for clip in clips})
    if by == "corpus":
        return {pair: i for i, pair in enumerate(pairs)}
    names = sorted({label for _, label in pairs})
    return {pair: names.index(pair[1]) for pair in pairs}


class TrainingLLM(AudioLLM):
    """An `AudioLLM` while it is trained, with the auxiliary head beside it."""

    def __init__(self, llm: nn.Module, projector: nn.Module) -> None:
        super().__init__(llm, projector)  # type: ignore[arg-type]
        self.auxiliary: nn.Linear | None = None
        self.weight = self.distillation = 0.0
        self.classes: Tensor | None = None  # [G, C] which class a group is of
        self.teacher: LinearTeacher | None = None
        self.among_classes = False  # the softmax of the class token: see `FitConfig.class_loss`
        # Alone a head differs in the last bit from one in a batch, and so would the weights of
        # recipes that compute it in every batch
        self.keeps_heads = False
        self._heads: dict[tuple[int, ...], Heads] = {}

    def heads(self, heads: Sequence[tuple[int, ...]]) -> Heads:
        """Keys and values of each row's head; with `keeps_heads` those of a frozen LLM are computed
        once in a run."""
        if not self.keeps_heads or any(p.requires_grad for p in self.llm.parameters()):
            return super().heads(heads)
        for head in dict.fromkeys(heads):
            if head not in self._heads:  # alone: the same to the last bit in a resumed run
                self._heads[head] = super().heads([head])
        return Heads.joined([self._heads[head] for head in heads])

    def add_head(
        self,
        classes: Sequence[int],
        words: Sequence[tuple[int, ...]],
        weight: float,
        distillation: float = 0.0,
        embedded: bool = False,
    ) -> None:
        """Adds the head for groups of these `classes`; its loss counts `weight` times the LLM's,
        and its probabilities are a share of the class word's target.

        Args:
            words: ids of the word of every class.
            embedded: its weights are the LLM's embeddings of these words, and stay so. The
                projector starts with tokens in the span of these embeddings, where the head's
                loss alone keeps them: the mean audio token moves towards the word of its class,
                which an LLM understands before it is trained.
        """
        self.weight, self.distillation = weight, distillation
        if not weight:
            return
        width = self.projector.config.output_size
        self.auxiliary = nn.Linear(2 * width, len(classes))
        self.classes = F.one_hot(torch.tensor(classes), len(words)).float()
        if embedded:
            with torch.no_grad():
                rows = torch.stack([self.embed(word).float().mean(0) for word in words])
                self.projector.restrict(rows)
                rows = COSINE_SCALE / width**0.5 * F.normalize(rows, dim=-1)
                self.auxiliary.weight.copy_(F.pad(rows[list(classes)], (0, width)))
            self.auxiliary.weight.requires_grad_(False)

    def forward(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Loss of the answers; while training also that of the groups.

        While training, the average over all processes is the loss of their batches as one.
        """
        if not self.training:
            return super().forward(examples)
        features, soft = self.distilled(examples)
        tokens, lengths = self.projector(features)  # [B, N, H], [B]
        beside = tokens.new_zeros(())
        if self.auxiliary is not None:
            beside = self.weight * self.group_loss(examples, tokens, lengths, soft)
            if self.distillation and soft is None:
                tokens = _mixed(tokens, lengths)
                soft = self.class_probabilities(tokens, lengths)
        audio = tokens, lengths
        loss = self.loss(examples, audio, soft, self.distillation, self.among_classes)
        loss = loss * parallel.share(sum(e.weight for e in examples), self.device)
        return {"loss": loss + beside * parallel.share(len(examples), self.device)}

    def distilled(self, examples: Sequence[Example]) -> tuple[list[Features], Tensor | None]:
        """Mixed features and the linear teacher's class probabilities [B, C] of them; without such
        a teacher the features of the examples, and None."""
        features = [e.features for e in examples]
        if self.teacher is None:
            return features, None
        features = mixed(features)
        return features, self.teacher(features).to(self.device)

    def group_loss(
        self,
        examples: Sequence[Example],
        tokens: Tensor,
        lengths: Tensor,
        soft: Tensor | None = None,
    ) -> Tensor:
        """Cross-entropy of the auxiliary head on the tokens [B, N, H] of each example.

        soft: class probabilities [B, C] that make up a share `distillation` of the target; only
        for a head whose groups are classes.
        """
        logits = self.group_logits(tokens, lengths)
        truth = [e.group for e in examples if isinstance(e, GroupedExample)]
        target = torch.tensor(truth, device=logits.device)
        loss = F.cross_entropy(logits, target, label_smoothing=SMOOTHING)
        if soft is None or self.classes is None:
            return loss
        shares = soft @ self.classes.to(soft.device).T  # [B, C] -> [B, G]
        learned = -(shares * logits.log_softmax(-1)).sum(-1).mean()
        return (1 - self.distillation) * loss + self.distillation * learned

    def group_logits(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """tokens [B, N, H], of which [B] are valid -> [B, G]"""
        assert self.auxiliary is not None, "add_head() makes it"  # noqa: S101
        # to unit scale: tokens come at the scale of the LLM's embeddings
        tokens = tokens / parallel.mean_square(tokens).sqrt().clamp_min(1e-6)
        mean = tokens.sum(1) / lengths[:, None]  # what lies beyond a length is 0
        last = tokens[torch.arange(len(tokens), device=tokens.device), lengths - 1]
        return self.auxiliary(torch.cat([mean, last], 1)).float()  # [B, 2 H] -> [B, G]

    def class_probabilities(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """The head's probabilities of the classes: tokens [B, N, H] -> [B, C], without gradient."""
        assert self.classes is not None  # noqa: S101
        with torch.no_grad():
            groups = self.group_logits(tokens, lengths).softmax(-1)
            return groups @ self.classes.to(groups.device)


def _mixed(tokens: Tensor, lengths: Tensor) -> Tensor:
    """tokens [B, N, H], each row moved up to `SPREAD` of the way to or from another row; what lies
    beyond its length [B] stays 0.

    The LLM so learns the head's probabilities around the training clips, too
    (mixup of hidden states, Verma et al. 2019, arXiv 1806.05236).
    """
    other = tokens[torch.randperm(len(tokens), device=tokens.device)]
    share = SPREAD * (2 * torch.rand(len(tokens), 1, 1, device=tokens.device) - 1)
    keep = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    return (tokens + share * (other - tokens)) * keep[..., None]


def pretrain(
    model: TrainingLLM, examples: Subset[Example], epochs: int, seed: int, projector: bool = True
) -> None:
    """Trains the auxiliary head, and with `projector` the projector, before the LLM takes part.

    It takes seconds, as the LLM is not run. The LLM then starts from tokens that separate the
    groups.

    Args:
        examples: one for each clip, read batch by batch.
    """
    from tqdm import tqdm

    if model.auxiliary is None or epochs < 1:
        return
    generator = torch.Generator().manual_seed(seed)
    trained = [p for p in model.auxiliary.parameters() if p.requires_grad]
    if projector:
        trained += model.projector.parameters()
    optimizer = torch.optim.AdamW(trained, lr=PRETRAIN_RATE, weight_decay=PRETRAIN_DECAY)
    steps = epochs * -(-len(examples) // PRETRAIN_BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PRETRAIN_RATE, total_steps=steps)
    model.train()
    first = parallel.is_first()  # all do the same, and one shows it
    with tqdm(total=steps, desc="pretraining", unit="step", disable=not first) as bar:
        for epoch in range(epochs):
            examples.dataset.epoch = epoch  # type: ignore[attr-defined] # other baselines each time
            order = torch.randperm(len(examples), generator=generator).tolist()
            for start in range(0, len(order), PRETRAIN_BATCH):
                batch = [examples[i] for i in order[start : start + PRETRAIN_BATCH]]
                with torch.set_grad_enabled(projector):
                    features, soft = model.distilled(batch)
                    tokens, lengths = model.projector(features)
                loss = model.group_loss(batch, tokens, lengths, soft)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                bar.update()
        bar.set_postfix(loss=f"{float(loss.detach()):.3f}")
