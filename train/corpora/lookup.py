"""Sound files for paths that were written on another machine: other folders, another format.

Names are compared word by word from the end, so that `casia/liuchanhg/angry/201.wav` is found as
`angry/201.flac` of a folder `liuchanhg`, and flattened as `liuchanhg-angry-201.flac`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from audiollm.audio import sound_files
from audiollm.contracts.messages import Message
from train.corpora.base import below

_Words = tuple[str, ...]
_Index = dict[_Words, list[tuple[Path, _Words]]]


def find(paths: Sequence[str], root: Path) -> list[Path | Message]:
    """For each path the file below `root` that is meant, or the reason why none is taken.

    A file is taken where its whole name and that of the path agree. Of several the one whose
    folders agree furthest; no guess is made between equals, and no file is taken twice.
    """
    index: _Index = defaultdict(list)
    for file, inside in below(root, sound_files(root)):
        index[_words(file.stem)].append((file, _words(inside)))
    nearest = [_nearest(path, index) for path in paths]
    claims: dict[Path, Counter[int]] = defaultdict(Counter)  # file -> agreement -> paths
    for agreement, files in nearest:
        for file in files:
            claims[file][agreement] += 1

    def choose(agreement: int, files: list[Path]) -> Path | Message:
        if not files:
            return Message.of("reject_nowhere", root=str(root))
        if len(files) > 1:
            some = [str(file.relative_to(root)) for file in files[:2]]
            return Message.of("reject_ambiguous", n=len(files), files=some)
        if agreement < max(claims[files[0]]):
            return Message.of("reject_taken", file=files[0].name)
        if claims[files[0]][agreement] > 1:
            return Message.of("reject_shared", file=files[0].name)
        return files[0]

    return [choose(*match) for match in nearest]


def _words(path: str) -> _Words:
    return tuple(word for word in re.split(r"[/_\-\s]+", path.casefold()) if word)


def _nearest(path: str, index: _Index) -> tuple[int, list[Path]]:
    """How many words agree, and the files of which so many do."""
    inside = PurePosixPath(path).with_suffix("")
    words, least = _words(str(inside)), len(_words(inside.name))
    best: tuple[int, list[Path]] = (1, [])
    for length in range(1, len(words) + 1):
        for file, others in index.get(words[-length:], ()):
            agreement = _agreement(words, others)
            if agreement < max(least, best[0]):
                continue
            best = (agreement, [*(best[1] if agreement == best[0] else ()), file])
    return best


def _agreement(words: _Words, others: _Words) -> int:
    pairs = zip(reversed(words), reversed(others), strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(words), len(others)))
