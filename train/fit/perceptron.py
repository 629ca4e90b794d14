"""A multilayer perceptron on utterance features, trained on labels alone.

Several of them are members of a teacher (train/fit/teacher.py): the mean of their probabilities
generalises better than each of them does (deep ensembles, Lakshminarayanan et al. 2017, arXiv
1612.01474).

Shapes: N examples, U numbers of an utterance's features, G groups.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from audiollm.model.projector import Standardiser

HIDDEN, DROPOUT = 256, 0.5
LIMIT, NOISE, INPUT_DROPOUT = 5.0, 0.3, 0.3  # of the standardised features
EPOCHS, BATCH = 12, 128
RATE, DECAY, SMOOTHING = 3e-3, 0.05, 0.1

# (number of an example, generator) -> its features [U] in this epoch
Draw = Callable[[int, np.random.Generator], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Perceptron:
    """Standardised features -> one hidden layer -> logits of the groups."""

    network: nn.Module

    def probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Features [N, U] -> [N, G]"""
        with torch.no_grad():
            logits = self.network(torch.from_numpy(np.ascontiguousarray(rows, np.float32)))
        return logits.double().softmax(-1).numpy()


def fit_perceptron(
    draw: Draw, groups: Sequence[int], weights: NDArray[np.float64], seed: int
) -> Perceptron:
    """Trains on N examples, whose features may be another augmentation in every epoch.

    Args:
        groups: number of the group of each example, from 0 on.
        weights: of each example in the loss.

    The same arguments give the same weights, whatever was drawn from torch before.
    """
    rng, target = np.random.default_rng(seed), torch.tensor(groups)
    weight = torch.from_numpy(weights / weights.mean()).float()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        rows = np.stack([draw(i, rng) for i in range(len(groups))])
        network = _network(rows, int(target.max()) + 1)
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
        steps = EPOCHS * -(-len(groups) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        network.train()
        for _ in range(EPOCHS):
            for batch in np.array_split(rng.permutation(len(groups)), steps // EPOCHS):
                x = torch.from_numpy(np.stack([draw(i, rng) for i in batch.tolist()]))
                y = target[batch]
                loss = F.cross_entropy(network(x), y, label_smoothing=SMOOTHING, reduction="none")
                optimizer.zero_grad()
                (loss * weight[batch]).mean().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return Perceptron(network.eval())


def _network(rows: NDArray[np.float32], groups: int) -> nn.Module:
    standardise = Standardiser(rows.shape[1], LIMIT, NOISE, INPUT_DROPOUT)
    standardise.fit(rows)
    return nn.Sequential(
        standardise,
        nn.Linear(rows.shape[1], HIDDEN),
        nn.GELU(),
        nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, groups),
    )
