"""`python -m train look`: what a corpus holds, before a sound is heard; one JSON object.

The same reader as that of `prepare` lists it, and the same split is tried, so what `prepare` would
refuse is known at once. Nothing is written. `--data DIR --clip ID` gives one clip's sound instead.
"""

import argparse
import hashlib
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiollm import audio, labels
from audiollm.errors import AudioLLMError, DataError
from audiollm.settings import Settings
from train import corpora
from train.corpora import SPLITS, Clip, Corpus
from train.corpora.reopen import opener
from train.data.dataset import load_prepared
from train.data.splits import SplitResult, split

MEASURED, PATIENCE = 40, 4.0  # clips whose length is looked up; s that it may take
LONGEST = 120.0  # s, as `prepare` takes them
HASHED = 256 * 1024 * 1024  # bytes that are compared in search of identical files
FIRST, SHOWN = 5, 30  # rejected files; clips of each class


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    add = parser.add_argument
    add("--corpus", metavar="NAME", help=f"one of: {', '.join(corpora.NAMES)}")
    add("--root", metavar="DIR", help="where that corpus is; emodb comes with the project")
    add("--speaker-pattern", default="", metavar="RE", help="folder: finds the speaker in a path")
    add("--split", choices=("auto", "speaker", "given", "random"), default="auto")
    add("--train-on-valid", action="store_true", help="whoever would validate trains too")
    add("--seed", type=int, default=0, help="of the split, and of what is looked at more closely")
    add("--data", type=Path, metavar="DIR", help="instead of --corpus: a prepared data folder")
    add("--clip", metavar="ID", help="of --data: write the sound file of this clip to stdout")


def run(args: argparse.Namespace) -> int:
    """Reads and counts. Returns the exit code.

    Raises:
        DataError: there is no such corpus or clip, or nothing in it can be used.
    """
    if args.data:
        sys.stdout.buffer.write(sound_file(args.data, args.clip or ""))
        return 0
    if not args.corpus:
        raise DataError(f"Say what to look at: --corpus and one of {', '.join(corpora.NAMES)}.")
    options = corpora.Options(speaker_pattern=args.speaker_pattern)
    corpus = corpora.read(args.corpus, args.root or corpora.default_root(args.corpus), options)
    found = look(corpus, args.split, args.seed, args.train_on_valid)
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    return 0


def look(
    corpus: Corpus, by: Any = "auto", seed: int = 0, train_on_valid: bool = False
) -> dict[str, Any]:
    """Counts, the sides that `prepare` would make, and what it would say against them."""
    rng = random.Random(seed)  # noqa: S311
    parts, trouble = SplitResult(corpus.clips), ""
    try:
        parts = split(corpus.clips, seed=seed, by=by, train_on_valid=train_on_valid)
    except DataError as error:
        trouble = str(error)
    measured = _measured(corpus, rng)
    return {
        "clips": len(parts.clips),
        "groups": _groups(parts.clips),
        "speakers": len({c.speaker for c in parts.clips if c.speaker}),
        "nameless": sum(not c.speaker for c in parts.clips),
        "seconds": measured,
        "rejected": dict(Counter(r.kind for r in corpus.rejected).most_common()),
        "first": [{"path": r.path, "reason": r.reason} for r in corpus.rejected[:FIRST]],
        "trouble": trouble,
        "shared": len(parts.shared),
        "notes": list(parts.notes),
        "identical": _identical(parts.clips),
        "samples": _samples(parts.clips, rng),
    }


def _groups(clips: Sequence[Clip]) -> list[dict[str, Any]]:
    """Clips and speakers by class and side."""
    members: dict[tuple[str, str], list[str]] = defaultdict(list)
    for clip in clips:
        members[clip.label, clip.split].append(clip.speaker)
    order = {name: i for i, name in enumerate(labels.ordered({label for label, _ in members}))}
    ranks = {side: i for i, side in enumerate(SPLITS)}
    found = sorted(members, key=lambda key: (order[key[0]], ranks.get(key[1], 0)))  # type: ignore
    return [
        {
            "label": label,
            "side": side,
            "clips": len(members[label, side]),
            "speakers": sorted({name for name in members[label, side] if name}),
        }
        for label, side in found
    ]


def _measured(corpus: Corpus, rng: random.Random) -> list[float]:
    """The lengths in seconds: as the corpus says them, else of some clips, decoded."""
    told = [clip.seconds for clip in corpus.clips if clip.seconds > 0]
    if len(told) == len(corpus.clips):
        return told
    settings = replace(Settings.from_env(), max_seconds=LONGEST)
    end, found = time.monotonic() + PATIENCE, []
    for clip in rng.sample(corpus.clips, min(MEASURED, len(corpus.clips))):
        try:
            found.append(round(audio.load(corpus.open(clip), settings).seconds, 3))
        except AudioLLMError:
            continue  # `prepare` will reject it
        if time.monotonic() > end:
            break
    return found


def _identical(clips: Sequence[Clip]) -> dict[str, int]:
    """Files with the same bytes as another one; and those whose twin stands on another side.

    Only files of equal size are read, and not for ever.
    """
    sizes: dict[int, list[Clip]] = defaultdict(list)
    for clip in clips:
        if Path(clip.path).is_file():
            sizes[Path(clip.path).stat().st_size].append(clip)
    left, sides = HASHED, defaultdict(list)
    for size, members in sorted(sizes.items()):
        if len(members) < 2:
            continue
        for clip in members:
            left -= size
            if left < 0:
                break
            digest = hashlib.sha256(Path(clip.path).read_bytes()).hexdigest()
            sides[digest].append(clip.split)
    twins = [found for found in sides.values() if len(found) > 1]
    return {
        "files": sum(len(found) - 1 for found in twins),
        "sides": sum(len(set(found)) > 1 for found in twins),
        "complete": int(left >= 0),
    }


def _samples(clips: Sequence[Clip], rng: random.Random) -> list[dict[str, Any]]:
    """Some clips of each class that are files, to listen to."""
    members: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        members[clip.label].append(clip)
    chosen = [c for some in members.values() for c in rng.sample(some, min(SHOWN, len(some)))]
    return [
        {"path": c.path, "label": c.label, "speaker": c.speaker, "split": c.split}
        for c in chosen
        if Path(c.path).is_file()
    ]


def sound_file(folder: Path, id: str) -> bytes:
    """The sound file of a clip of a prepared folder, wherever its corpus keeps it.

    Raises:
        DataError: there is no such clip, or its sound is gone.
    """
    prepared = load_prepared(folder)
    clip = next((clip for clip in prepared.clips if clip.id == id), None)
    if clip is None:
        raise DataError(f"{folder} has no clip {id!r}.")
    source = opener(prepared.info)(clip)
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise DataError(f"{source} cannot be read ({error.strerror}): put it back.") from error
