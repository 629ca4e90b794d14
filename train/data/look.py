"""`python -m train look`: what a corpus holds, before it is encoded; an `Insight` as JSON.

The same reader as that of `prepare` lists it, and the same split is tried, so what `prepare` would
refuse is known at once. Nothing is written. `--data DIR --clip ID` gives one clip's sound instead.
An error is a JSON object {"error": message} beside the sentence on stderr.
"""

import argparse
import hashlib
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiollm import audio
from audiollm.contracts.insight import FIRST, Insight, grouped, in_two_splits, kinds
from audiollm.contracts.messages import Message
from audiollm.errors import AudioLLMError, DataError
from audiollm.settings import Settings
from train import corpora
from train.corpora import Clip, Corpus
from train.corpora.reopen import opener
from train.data.dataset import load_prepared
from train.data.splits import SplitResult, split

MEASURED, PATIENCE = 40, 4.0  # clips whose length is looked up; s that it may take
LONGEST = 120.0  # s, as `prepare` takes them
HASHED = 256 * 1024 * 1024  # bytes that are compared in search of identical files
SHOWN = 30  # clips of each class


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    add = parser.add_argument
    add("--corpus", metavar="NAME", help=f"one of: {', '.join(corpora.NAMES)}")
    add("--root", metavar="DIR", help="where that corpus is; emodb comes with the project")
    add("--speaker-pattern", default="", metavar="RE", help="folder: finds the speaker in a path")
    words = "tables and data sets: the column of the label (default: label or emotion)"
    add("--label-column", default="", metavar="NAME", help=words)
    add("--split", choices=("auto", "speaker", "given", "random"), default="auto")
    add("--train-on-valid", action="store_true", help="train on the validation clips too")
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
        raise DataError("data_say_corpus", names=corpora.NAMES)
    options = corpora.Options(speaker_pattern=args.speaker_pattern, label_column=args.label_column)
    try:
        root = args.root or corpora.default_root(args.corpus)
        corpus = corpora.read(args.corpus, root, options)
        insight = look(corpus, Path(root), args.split, args.seed, args.train_on_valid)
    except AudioLLMError as error:
        print(json.dumps({"error": Message.of_error(error).to_dict()}))
        raise
    print(insight.to_json())
    return 0


def look(
    corpus: Corpus, root: Path, by: Any = "auto", seed: int = 0, train_on_valid: bool = False
) -> Insight:
    """Counts, the splits that `prepare` would make, and why it would refuse."""
    rng = random.Random(seed)  # noqa: S311
    parts, trouble = SplitResult(corpus.clips), None
    try:
        parts = split(corpus.clips, seed=seed, by=by, train_on_valid=train_on_valid)
    except DataError as error:
        trouble = Message.of_error(error)
    copies, twins = _identical(parts.clips)
    return Insight(
        root,
        grouped(parts.clips),
        tuple(_measured(corpus, rng)),
        nameless=sum(not c.speaker for c in parts.clips),
        rejected=kinds(corpus.rejected),
        first=corpus.rejected[:FIRST],
        shared=len(parts.shared),
        twins=twins,
        copies=copies,
        notes=(*corpus.notes, *parts.notes),
        trouble=trouble,
        samples=_samples(parts.clips, rng),
    )


def _measured(corpus: Corpus, rng: random.Random) -> list[float]:
    """The lengths in seconds: as the corpus says them, else of some clips, decoded."""
    stated = [clip.seconds for clip in corpus.clips if clip.seconds > 0]
    if len(stated) == len(corpus.clips):
        return stated
    settings = replace(Settings.from_env(), max_seconds=LONGEST)
    end, lengths = time.monotonic() + PATIENCE, []
    for clip in rng.sample(corpus.clips, min(MEASURED, len(corpus.clips))):
        try:
            lengths.append(round(audio.load(corpus.open(clip), settings).seconds, 3))
        except AudioLLMError:
            continue  # `prepare` will reject it
        if time.monotonic() > end:
            break
    return lengths


def _identical(clips: Sequence[Clip]) -> tuple[int, int]:
    """(files with the same bytes as another one, such bytes that are in two splits).

    Only files of equal size are read, and at most HASHED bytes.
    """
    sizes: dict[int, list[Clip]] = defaultdict(list)
    for clip in clips:
        if Path(clip.path).is_file():
            sizes[Path(clip.path).stat().st_size].append(clip)
    budget = HASHED
    hashes: list[tuple[str, str]] = []  # digest and split
    for size, members in sorted(sizes.items()):
        if len(members) < 2:
            continue
        for clip in members:
            budget -= size
            if budget < 0:
                break
            digest = hashlib.sha256(Path(clip.path).read_bytes()).hexdigest()
            hashes.append((digest, clip.split))
    return len(hashes) - len({digest for digest, _ in hashes}), in_two_splits(hashes)


def _samples(clips: Sequence[Clip], rng: random.Random) -> tuple[Clip, ...]:
    """Some clips of each class that are files, to listen to."""
    members: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        members[clip.label].append(clip)
    samples = [c for some in members.values() for c in rng.sample(some, min(SHOWN, len(some)))]
    return tuple(clip for clip in samples if Path(clip.path).is_file())


def sound_file(folder: Path, id: str) -> bytes:
    """The sound file of a clip of a prepared folder, wherever its corpus keeps it.

    Raises:
        DataError: there is no such clip, or its sound is gone.
    """
    prepared = load_prepared(folder)
    clip = next((clip for clip in prepared.clips if clip.id == id), None)
    if clip is None:
        raise DataError("data_no_clip_id", folder=folder, id=repr(id))
    source = opener(prepared.info)(clip)
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise DataError("data_sound_gone", path=source, error=error.strerror) from error
