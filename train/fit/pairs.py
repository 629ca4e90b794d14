"""Which instructions are drawn for which clip: rarer classes more often, doubtful labels less."""

import math
import random
from collections import Counter
from collections.abc import Sequence

from audiollm.contracts.fit import FitConfig
from train.corpora import Clip
from train.fit.instructions import Instruction, draw

MOST = 4  # times as many instructions as usual for a clip


def pairs(
    clips: Sequence[Clip], classes: Sequence[str], config: FitConfig, per_clip: int, seed: int
) -> list[tuple[Clip, Instruction]]:
    """Clips with the instructions drawn for them, rarer classes more often where asked for.

    A class of a small corpus is not drowned by a large one, nor its few clips repeated without
    end: a clip counts by the root of how much rarer its class is, in its corpus, than usual. Where
    people have voted on a clip, each class is taught as often as its votes weigh, in the mean.
    """
    from train.fit.examples import cues_of

    count = Counter((clip.corpus, clip.label) for clip in clips)
    usual = len(clips) / len(count)
    wanted: list[tuple[Clip, str, int]] = []
    rng = random.Random(seed)  # noqa: S311 - reproducible draw, no secret
    for clip in clips:
        share = (usual / count[clip.corpus, clip.label]) ** 0.5 if config.balance else 1.0
        if not clip.votes:
            wanted.append((clip, clip.label, min(MOST * per_clip, max(1, round(per_clip * share)))))
            continue
        for label, weight in sorted(clip.votes.items()):
            times = math.floor(per_clip * share * weight + rng.random())
            wanted.append((clip, label, min(MOST * per_clip, times)))
    known = [(label, cues_of(clip)) for clip, label, _ in wanted]
    drawn = draw(known, classes, config.stage, config.languages, MOST * per_clip, seed)
    return [
        (clip, instruction)
        for (clip, _, times), instructions in zip(wanted, drawn, strict=True)
        for instruction in instructions[:times]
    ]
