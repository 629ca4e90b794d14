"""Instructions of clips as the examples and batches that a model is trained on."""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, Subset
from transformers.trainer_pt_utils import get_length_grouped_indices

from audiollm.audio.prosody import Cues
from audiollm.contracts.fit import FitConfig, Target
from audiollm.model.audio_llm import Example
from audiollm.model.prompt import Prompt
from train.data.dataset import Clip, Prepared
from train.data.features import copy_id
from train.data.speakers import SpeakerClips
from train.fit.auxiliary import GroupedExample, groups
from train.fit.instructions import Instruction, answer_ids, draw, layout

MOST = 4  # times as many instructions as usual for a clip
PLAIN = 1 / 3  # share of examples that are no augmented copy, where there are copies


def pairs(
    clips: Sequence[Clip], classes: Sequence[str], config: FitConfig, per_clip: int, seed: int
) -> list[tuple[Clip, Instruction]]:
    """Clips with the instructions drawn for them, with `config.balance` more for rarer classes.

    A clip counts by the square root of how much rarer its class is, in its corpus, than the mean.
    The instructions of a clip with votes are shared among its classes by the votes, in the mean.
    """
    count = Counter((clip.corpus, clip.label) for clip in clips)
    usual = len(clips) / len(count)
    repeats: list[tuple[Clip, str, int]] = []
    rng = random.Random(seed)  # noqa: S311 - reproducible draw, no secret
    for clip in clips:
        share = (usual / count[clip.corpus, clip.label]) ** 0.5 if config.balance else 1.0
        if not clip.votes:
            repeats.append(
                (clip, clip.label, min(MOST * per_clip, max(1, round(per_clip * share))))
            )
            continue
        for label, weight in sorted(clip.votes.items()):
            times = math.floor(per_clip * share * weight + rng.random())
            repeats.append((clip, label, min(MOST * per_clip, times)))
    labelled = [(label, cues_of(clip)) for clip, label, _ in repeats]
    shares = config.class_only, config.questions, config.class_loss == "vocabulary"
    drawn = draw(labelled, classes, config.stage, config.languages, MOST * per_clip, seed, *shares)
    return [
        (clip, instruction)
        for (clip, _, times), instructions in zip(repeats, drawn, strict=True)
        for instruction in instructions[:times]
    ]


class ExampleDataset(Dataset[Example]):
    """Instructions of clips as token ids around their features.

    Features are read from the store on access; text is tokenised once.
    """

    def __init__(
        self,
        prepared: Prepared,
        pairs: Sequence[tuple[Clip, Instruction]],
        prompt: Prompt,
        class_token_weight: float = 1.0,
        smoothing: float = 0.0,
        baseline: float = 0.0,
        seed: int = 0,
        auxiliary_by: Target = "corpus",
    ) -> None:
        """baseline: share of examples that come with a speaker baseline.

        Whether one does, and whether the clip or one of its augmented copies is taken, is drawn
        by seed, epoch and example, so that a resumed run draws the same.
        """
        self.store = prepared.store
        self.baseline, self.seed, self.epoch = baseline, seed, 0
        self.speakers = SpeakerClips(prepared.store, {c.id: c for c, _ in pairs}.values())
        self.spoken = [clip for clip, _ in pairs]
        self.copies = prepared.copies
        self.clips = [clip.id for clip, _ in pairs]
        group_of = groups([clip for clip, _ in pairs], auxiliary_by)
        first = {
            lang: tuple(prompt.label(name, lang)[0] for name in prompt.classes)
            for lang in {instruction.language for _, instruction in pairs}
        }
        # Weight, choices and smoothing of the first token. It names the class, or says whether a
        # free question is answered or declined
        self.classes = [
            (class_token_weight, first[i.language], smoothing)
            if i.label
            else (class_token_weight if i.kind == "free" else 1.0, (), 0.0)
            for _, i in pairs
        ]
        self.with_audio = [i.kind != "report" for _, i in pairs]
        self.groups = [group_of[clip.corpus, clip.label] for clip, _ in pairs]
        self.texts: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = []
        self.lengths: list[int] = []
        for clip, i in pairs:
            around = layout(prompt, i, cues_of(clip))
            text = (around.head, around.tail, answer_ids(prompt, i))
            self.texts.append(text)
            # a second of sound weighs as much as a few tokens of text
            self.lengths.append(sum(map(len, text)) + int(4 * (clip.seconds or 0)))

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Example:
        clip, rng = self.spoken[index], np.random.default_rng([self.seed, self.epoch, index])
        copy = 0
        if clip.split == "train" and self.copies and rng.random() > PLAIN:
            copy = 1 + int(rng.integers(self.copies))
        features = self.store.get(copy_id(clip.id, copy))
        if rng.random() < self.baseline:
            features = replace(features, baseline=self.speakers.draw(clip, rng))
        return GroupedExample(
            features,
            *self.texts[index],
            *self.classes[index],
            with_audio=self.with_audio[index],
            group=self.groups[index],
        )


def one_a_clip(data: ExampleDataset) -> Subset[Example]:
    """The first example of every clip, read from the store on access."""
    first: dict[str, int] = {}
    for i, clip in enumerate(data.clips):
        first.setdefault(clip, i)
    return Subset(data, list(first.values()))


def collate(batch: list[Example]) -> dict[str, list[Example]]:
    return {"examples": batch}


def cues_of(clip: Clip) -> Cues | None:
    return Cues.from_dict(clip.cues) if clip.cues else None


class GroupedBatches(Sampler[list[int]]):
    """One process's share of batches of examples of like length.

    The order depends on seed and epoch alone, so a resumed run sees the same batches as one that
    was never stopped; and processes together see the batches that one alone would see.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch: int,
        seed: int,
        accumulate: int = 1,
        rank: int = 0,
        count: int = 1,
        on_epoch: Callable[[int], object] = lambda _: None,
    ) -> None:
        """batch: examples of all `count` processes; this one is number `rank`.

        `on_epoch` gets the number of every epoch, also where a resumed trainer wraps the loader.
        """
        self.on_epoch = on_epoch
        self.lengths, self.batch, self.seed, self.epoch = list(lengths), batch, seed, 0
        self.accumulate, self.rank, self.count = accumulate, rank, count

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self.on_epoch(epoch)

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        alike = self.batch * self.accumulate
        order = get_length_grouped_indices(self.lengths, alike, generator=generator)
        for start in range(0, len(order), self.batch):
            batch = order[start : start + self.batch]
            # a last batch of fewer examples than processes repeats some
            yield batch[self.rank :: self.count] or [batch[self.rank % len(batch)]]


class Loader(DataLoader[Example]):
    """The batches of a process; hands the epoch of the trainer on to the sampler."""

    def set_epoch(self, epoch: int) -> None:
        self.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
