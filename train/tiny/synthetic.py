"""Synthetic examples for the small LLM: the usual prompts, a slot of evidence, an answer.

Prompts and answers come from `audiollm.model.prompt` and `train.fit.instructions`, as for sounds.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import IterableDataset

from audiollm.analysis.facts import UNNAMED
from audiollm.audio.prosody import REFERENCES, REGISTER_HZ, Cues, Reference
from audiollm.labels import EMOTIONS, LANGUAGES, Language, ordered
from audiollm.model.audio_llm import Example
from audiollm.model.projector import Features
from audiollm.model.prompt import Kind, Prompt
from train.fit.instructions import Instruction, answer_ids, instruct, layout
from train.tiny.lexicon import Slot, SlotDrawer, draw_shares, likely

CLASSES = tuple(e.name for e in EMOTIONS)
KINDS: dict[Kind, float] = {  # shares of the examples
    "analyse": 0.25,
    "classify": 0.15,
    "describe": 0.1,
    "yes_no": 0.12,
    "report": 0.38,
}
NAMED = tuple(name for name in CLASSES if name not in UNNAMED)
CLEAR = 0.8  # probability of the likeliest class from which a slot counts as clear
POOL = 16  # batches that are drawn together and grouped by length
TRAIN, HELD_OUT, TOKENIZER = range(3)  # streams of random numbers


@dataclass(frozen=True, eq=False)
class Drawn:
    """One example, and what it was drawn from. `clear`: one class stands out of its slot."""

    example: Example
    instruction: Instruction
    classes: tuple[str, ...]
    label: str
    cues: Cues | None
    clear: bool

    @property
    def slot(self) -> Slot:
        return cast(Slot, self.example.features)


def draw_cues(rng: np.random.Generator) -> Cues:
    """Cues on all sides of the reference ranges; a few without voice."""
    register = "low" if rng.random() < 0.5 else "high"
    voiced = rng.random() > 0.04
    values: dict[str, float | None] = {}
    for reference in REFERENCES:
        values[reference.cue] = _around(reference, register if voiced else "high", rng)
    if not voiced:
        values |= {"pitch_hz": None, "pitch_range_st": None, "tempo_hz": None}
    return Cues(seconds=3.0, loudness_db=-25.0, loudness_range_db=20.0, **values)  # type: ignore[arg-type]


def _around(reference: Reference, register: str, rng: np.random.Generator) -> float:
    bottom, top = getattr(reference, register)
    span = top - bottom
    low, high = bottom - span, top + span
    if reference.cue == "pitch_hz":  # must not cross into the other register
        low, high = (60.0, REGISTER_HZ) if register == "low" else (REGISTER_HZ, 400.0)
    edges = [(max(low, 0.0) if bottom >= 0 else low, bottom), (bottom, top), (top, high)]
    return float(rng.uniform(*edges[int(rng.choice(3, p=[0.28, 0.44, 0.28]))]))


def draw_classes(rng: np.random.Generator) -> tuple[str, ...]:
    """2 to 13 classes, half the time up to 7 as corpora have, mostly in the product's order."""
    most = 7 if rng.random() < 0.5 else len(CLASSES)
    order = rng.permutation(len(CLASSES))[: int(rng.integers(2, most + 1))]
    names = tuple(CLASSES[k] for k in order)
    return ordered(names) if rng.random() < 0.6 else names


def draw_example(
    tokenizer: Any, slots: SlotDrawer, rng: np.random.Generator, decided: bool = False
) -> Drawn:
    """A question, a slot and the answer. `decided`: the label is the class with most evidence,
    instead of one drawn by it."""
    kind = tuple(KINDS)[int(rng.choice(len(KINDS), p=tuple(KINDS.values())))]
    language: Language = LANGUAGES[int(rng.integers(len(LANGUAGES)))]
    # a question that lists no classes is one about all of them
    classes = CLASSES if kind == "yes_no" else draw_classes(rng)
    cues = draw_cues(rng) if rng.random() < 0.85 else None
    # a description has its cues from the slot alone
    hinted = cues if kind == "describe" or rng.random() < 0.5 else None
    make = slots.words if rng.random() < 0.5 else slots.mixed
    slot, shares = make(draw_shares(classes, rng), hinted, rng)
    odds = likely(shares, classes)
    label = classes[int(odds.argmax() if decided else rng.choice(len(classes), p=odds))]
    if kind == "report":
        label = NAMED[int(rng.integers(len(NAMED)))]
    chooser = random.Random(int(rng.integers(2**31)))  # noqa: S311 - reproducible draw
    instruction = instruct(label, cues, classes, kind, language, chooser)
    if instruction is None:
        raise ValueError(f"no {kind} instruction from {cues}")
    prompt = Prompt(tokenizer, classes)
    around = layout(prompt, instruction, cues)
    example = Example(
        features=cast(Features, slot),
        head=around.head,
        tail=around.tail,
        answer=answer_ids(prompt, instruction),
        with_audio=kind != "report",
    )
    return Drawn(example, instruction, classes, label, cues, bool(odds.max() >= CLEAR))


class Examples(IterableDataset):  # type: ignore[type-arg]
    """Endless training examples; batches of them have similar lengths."""

    def __init__(self, tokenizer: Any, seed: int, batch: int) -> None:
        self.tokenizer, self.seed, self.batch = Quick(tokenizer), seed, batch
        self.slots = SlotDrawer(Prompt(self.tokenizer, CLASSES).ids)

    def __iter__(self) -> Iterator[Example]:
        rng = np.random.default_rng([self.seed, TRAIN])
        while True:
            pool = [
                draw_example(self.tokenizer, self.slots, rng).example
                for _ in range(POOL * self.batch)
            ]
            pool.sort(key=lambda e: len(e) + len(cast(Slot, e.features)))
            for start in rng.permutation(POOL) * self.batch:
                yield from pool[start : start + self.batch]


def held_out(tokenizer: Any, count: int, seed: int) -> list[Drawn]:
    """Decided examples from a stream of their own."""
    quick = Quick(tokenizer)
    slots = SlotDrawer(Prompt(quick, CLASSES).ids)
    rng = np.random.default_rng([seed, HELD_OUT])
    return [draw_example(quick, slots, rng, decided=True) for _ in range(count)]


class Quick:
    """A tokenizer with a cache, without the overhead of transformers."""

    def __init__(self, tokenizer: Any) -> None:
        encode = tokenizer.backend_tokenizer.encode
        self.ids = lru_cache(50_000)(lambda text: encode(text, add_special_tokens=False).ids)

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": self.ids(text)}


class SlotReader(nn.Module):
    """In place of the projector: slots -> tokens in the LLM's embedding space."""

    def __init__(self, embeddings: nn.Embedding) -> None:
        super().__init__()
        self._embeddings = [embeddings]  # in a list: a parameter of the LLM, not of this module

    @property
    def device(self) -> torch.device:
        return self._embeddings[0].weight.device

    def forward(self, slots: Sequence[Slot]) -> tuple[Tensor, Tensor]:
        """B slots -> tokens [B, N, H] padded on the right, lengths [B]."""
        table = self._embeddings[0]
        size = table.weight.detach().pow(2).mean().sqrt()
        rows = []
        for slot in slots:
            ids, weights = torch.from_numpy(slot.ids), torch.from_numpy(slot.weights)
            row = (table(ids) * weights[..., None]).sum(1)  # [N, K, H] -> [N, H]
            if slot.scale:
                row = row * torch.rsqrt(row.pow(2).mean(-1, keepdim=True) + 1e-9)
                row = (row + slot.noise * torch.randn_like(row)) * size * slot.scale
            rows.append(row)
        return pad_sequence(rows, batch_first=True), torch.tensor([len(s) for s in slots])
