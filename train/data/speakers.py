"""Speaker baselines of prepared clips: the mean features of the same speaker's other clips.

For training they are drawn at random, for evaluation they are a fixed draw for every clip.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from train.corpora import Clip
from train.data.features import FeatureStore

if TYPE_CHECKING:
    from audiollm.model.projector import Features

FEWEST, MOST = 2, 32  # clips of a baseline in training: of more, the mean hardly changes
Count = int | Literal["all"]
COUNTS: tuple[Count, ...] = (0, 3, 8, "all")  # what evaluations report


class SpeakerClips:
    """Clips by speaker, and the baselines that can be made of them.

    Clips of unknown speakers have none. Only utterance features as they are go into a baseline,
    not those of augmented copies.
    """

    def __init__(self, store: FeatureStore, clips: Iterable[Clip]) -> None:
        self.store = store
        self._ids: dict[str, list[str]] = defaultdict(list)
        for clip in clips:
            if clip.speaker:
                self._ids[clip.speaker].append(clip.id)
        self._sums: dict[str, NDArray[np.float64]] = {}

    def draw(self, clip: Clip, rng: np.random.Generator) -> NDArray[np.float32] | None:
        """Mean of 2 to 32 other clips [U], their number even on a logarithmic scale.

        None where the speaker is unknown or has too few other clips.
        """
        most = min(MOST, len(self._others(clip)))
        if most < FEWEST:
            return None
        count = math.exp(rng.uniform(math.log(FEWEST), math.log(most + 1)))
        return self._mean(clip, int(min(count, most)), rng)

    def fixed(self, clip: Clip, count: Count, seed: int = 0) -> NDArray[np.float32] | None:
        """Mean of `count` other clips [U] that depend on clip, count and seed alone.

        None for a count of 0, and where there are no other clips; of fewer than `count`, all.
        """
        others = len(self._others(clip))
        size = others if count == "all" else min(count, others)
        if not size:
            return None
        digest = hashlib.sha256(f"{clip.id}:{count}:{seed}".encode()).digest()
        return self._mean(clip, size, np.random.default_rng(list(digest[:16])))

    def _others(self, clip: Clip) -> list[str]:
        return [id for id in self._ids.get(clip.speaker, ()) if id != clip.id]

    def _mean(self, clip: Clip, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        others = self._others(clip)
        if count == len(others):  # read once for a speaker, not once for each of the clips
            rest = self._sum(clip.speaker) - self.store.get(clip.id).utterance
            return (rest / count).astype(np.float32)
        ids = [others[i] for i in sorted(rng.choice(len(others), count, replace=False))]
        return np.mean([self.store.get(id).utterance for id in ids], 0, dtype=np.float32)

    def _sum(self, speaker: str) -> NDArray[np.float64]:
        if speaker not in self._sums:
            rows = [self.store.get(id).utterance for id in self._ids[speaker]]
            self._sums[speaker] = np.sum(rows, 0, dtype=np.float64)
        return self._sums[speaker]


def with_baselines(
    store: FeatureStore, clips: Iterable[Clip], count: Count
) -> "list[tuple[Clip, Features]]":
    """Clips with their features, each with a baseline of `count` of its speaker's other clips
    among these."""
    listed = list(clips)
    speakers = SpeakerClips(store, listed)
    return [
        (clip, replace(store.get(clip.id), baseline=speakers.fixed(clip, count))) for clip in listed
    ]
