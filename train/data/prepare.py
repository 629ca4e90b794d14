"""`python -m train prepare`: a corpus -> split, measured cues and features in one folder."""

import argparse
import os
import random
import shlex
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from audiollm import hub, labels
from audiollm.audio import functionals
from audiollm.contracts.manifest import EncoderRef, Statistics
from audiollm.contracts.messages import Message
from audiollm.contracts.prepared import FEATURES, write_prepared
from audiollm.errors import DataError
from audiollm.settings import Settings
from train import corpora
from train.corpora import Clip, Corpus, Rejected
from train.data import plan, shards
from train.data.features import FeatureWriter
from train.data.shards import Shard
from train.data.splits import split, without_copies
from train.data.summary import summarise, table

PATIENCE = timedelta(days=7)  # until the last of several processes has encoded its part
STATISTICS: dict[str, Statistics] = {"mean": "mean", "mean-std": "mean_std"}  # option -> ours

EPILOG = """examples:
  python -m train prepare --corpus emodb
      the bundled EmoDB, encoded by the bundled encoder, into data/emodb
  python -m train prepare --corpus emodb --root ~/emodb --corpus ased --root ~/ased --out data/both
      two corpora in one folder
  python -m train prepare --corpus manifest --root my/manifest.csv --encoder emotion2vec_plus_base
      your own recordings: a table with file and label, better also with speaker
  python -m train prepare --corpus emodb --encoder whisper-base --layers 1,2,3 --no-frames
      the first layers of a Whisper encoder; means and standard deviations alone, without frames
  python -m train prepare --corpus emodb --folds 8 --fold 0 --out data/fold0
      leave one speaker out (EmoDB as bundled has 8)
  python -m train prepare --corpus emodb --corpus casia --root DIR --folds emodb=8,casia=3 --fold 5
      the same of two corpora: CASIA, of fewer speakers, trains in folds 3 to 7
  python -m train prepare --corpus emobox --root EmoBox/data/emovo --audio ~/emovo --emobox-fold 1
      train and test as EmoBox does

Stopped or killed, the same command continues where it was. A change of split, seed or fold in the
same --out reuses all features."""


class _Source(argparse.Action):
    """Pairs every --corpus with the --root that follows it, in `args.sources`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        sources = list(getattr(namespace, "sources", None) or [])
        if option_string == "--corpus":
            sources.append([values, None])
        elif not sources or sources[-1][1] is not None:
            parser.error("each --root belongs to the --corpus before it: --corpus NAME --root DIR")
        else:
            sources[-1][1] = values
        namespace.sources = sources


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.set_defaults(sources=[])
    add = parser.add_argument_group("what").add_argument
    names = ", ".join(corpora.NAMES)
    add("--corpus", action=_Source, dest="sources", metavar="NAME", help=f"one of: {names}")
    add(
        "--root",
        action=_Source,
        dest="sources",
        metavar="DIR",
        help="where that corpus is (a data set id for datasets); emodb comes with the project",
    )
    add("--out", type=Path, metavar="DIR", help="folder to write (default: data/NAME)")
    add("--classes", metavar="A,B", help="use these classes only (default: all)")
    add("--max-clips", type=int, metavar="N", help="at most N clips of each corpus, for a trial")
    add("--language", metavar="XX", help="two letters, for a corpus that does not say its language")
    add("--speaker-pattern", default="", metavar="RE", help="folder: finds the speaker in a path")
    words = "tables and data sets: the column of the label (default: label or emotion)"
    add("--label-column", default="", metavar="NAME", help=words)
    add("--merge-excited", action="store_true", help="iemocap: excited counts as happy")
    words = "emobox: where the recordings are (default: as EmoBox has it, ../../downloads/NAME)"
    add("--audio", type=Path, metavar="DIR", help=words)

    plan.add_options(parser)

    add = parser.add_argument_group("how it is encoded").add_argument
    words = "a preset (whisper-base, emotion2vec_plus_base), a hub id or a folder"
    add("--encoder", default=hub.BUNDLED_ENCODER, metavar="ID", help=words)
    words = (
        "whisper: the layers whose outputs make a frame, from 1 (default: those of the preset, "
        "else those that the folder's config.json names, else the one at half the depth)"
    )
    add("--layers", type=_layers, default=(), metavar="1,2,3", help=words)
    words = (
        "over time, for the utterance (default: that of the preset or folder, else mean-std for "
        "whisper and mean for emotion2vec)"
    )
    add("--statistics", choices=list(STATISTICS), help=words)
    switch = argparse.BooleanOptionalAction
    add("--frames", action=switch, default=True, help="keep 50 Hz frames, not only their mean")
    add("--functionals", action=switch, default=True, help="measure acoustic statistics too")
    words = "augmented copies of every training clip: speed, room, noise, microphone (default: 0)"
    add("--copies", type=int, default=0, metavar="N", help=words)
    add("--max-seconds", type=float, default=120.0, help="longer clips are rejected (default: 120)")
    add("--batch-seconds", type=float, help="sound encoded at once (default: 60, on a GPU 600)")
    add("--device", metavar="D", help="auto, cpu, cuda, cuda:1, mps (default: AUDIOLLM_DEVICE)")
    add("--workers", type=int, help="processes that decode (default: one a core, at most 8)")
    words = "encode part I (0 to N-1) of N alone; the same command without it joins the parts"
    add("--shard", metavar="I/N", help=words)


def _layers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1 or len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of different layers like 1,2,3")
    return numbers


def run(args: argparse.Namespace) -> int:
    """Reads, decodes, encodes, splits, writes. Returns the exit code.

    Raises:
        AudioLLMError: a corpus, a model or a folder cannot be used.
    """
    settings = Settings.from_env()
    if not args.sources:
        raise DataError("data_say_corpus", names=corpora.NAMES)
    how = plan.choices(args)
    options = corpora.Options(
        args.language,
        args.merge_excited,
        args.speaker_pattern,
        args.audio,
        args.emobox_fold,
        args.label_column,
    )
    sources = [(name, root or corpora.default_root(name)) for name, root in args.sources]
    loaded = [corpora.read(name, root, options) for name, root in sources]
    loaded, left_out = _select(loaded, args)
    if not 0 <= args.copies <= 9 or (args.copies and any(c.encoder for c in loaded)):
        raise DataError("data_copies_option", n=args.copies)
    split([c for corpus in loaded for c in corpus.clips], by=args.split, **how)  # fails before work
    out = args.out or Path("data") / "+".join(dict.fromkeys(corpus.name for corpus in loaded))

    if args.shard:
        _part(Shard.parse(args.shard), loaded, out, args, settings)
        print("When all parts are there, give the same command without --shard.")
        return 0
    if any(corpus.encoder for corpus in loaded):
        encoder, clips, rejected = _copy(loaded, out)
    elif _encode_together(loaded, out, args, settings):
        encoder, clips, rejected = _encode(loaded, out, args, settings)
    else:
        return 0
    clips, copies = without_copies(clips)
    if not clips:
        raise DataError("data_all_rejected", n=len(rejected), first=rejected[0].message)
    parts = split(clips, by=args.split, **how)
    rejected = (*(r for c in loaded for r in c.rejected), *left_out, *rejected, *copies)

    for copy in range(1, args.copies + 1):
        _encode(_training(loaded, parts.clips), out, args, settings, copy)
    statistics = functionals.SIZE if args.functionals and not loaded[0].encoder else 0
    notes = [*(note for corpus in loaded for note in corpus.notes), *parts.notes]
    if args.max_clips:
        notes.append(Message.of("note_trial", n=args.max_clips))
    info = {
        "corpus": "+".join(dict.fromkeys(corpus.name for corpus in loaded)),
        "root": str(sources[0][1]) if len(sources) == 1 else [str(root) for _, root in sources],
        "sources": [_source(name, root, args) for name, root in sources],
        "encoder": asdict(encoder),
        "frames": bool(args.frames and not loaded[0].encoder),
        "functionals": statistics,
        "copies": args.copies,
        "classes": list(labels.ordered(c.label for c in clips)),
        "split": {
            "by": args.split,
            **how,
            "speakers_known": all(c.speaker for c in clips),
            "shared_speakers": sorted(parts.shared),
            "notes": [note.to_dict() for note in notes],
        },
        "command": shlex.join(["python", "-m", "train", *sys.argv[1:]]),
    }
    summary = summarise(parts.clips, rejected)
    write_prepared(out, info, parts.clips, rejected, summary)
    sys.stdout.write(table(summary, notes, out))
    return 0


def _source(name: str, root: str | Path, args: argparse.Namespace) -> dict[str, Any]:
    """What `prepare.json` says of a corpus: where it was read, so that it can be again."""
    source = {"corpus": name, "root": str(root)}
    if args.label_column:
        source["label_column"] = args.label_column
    if name != "emobox":
        return source
    audio = str(args.audio.absolute()) if args.audio else None
    return {**source, "audio": audio, "fold": args.emobox_fold}


def _part(
    shard: Shard, loaded: list[Corpus], out: Path, args: argparse.Namespace, settings: Settings
) -> None:
    """Encodes one part; augmented copies come when the parts are joined and split."""
    if any(corpus.encoder for corpus in loaded):
        raise DataError("data_shard_features")
    folder = shard.folder(out)
    _, clips, rejected = _encode(shard.of(loaded), folder, args, settings)
    print(
        f"Part {shard.number} of {shard.count}: {len(clips)} clips in {folder}, {len(rejected)} "
        "cannot be used."
    )


def _encode_together(
    loaded: list[Corpus], out: Path, args: argparse.Namespace, settings: Settings
) -> bool:
    """Encodes a part of a corpus in each process of `accelerate launch`; whether this process is
    the one that joins them, as a process alone is. What is encoded later the first does alone."""
    from audiollm.model import checkpoint
    from train import parallel

    args.device = parallel.join(checkpoint.pick_device(args.device or settings.device), PATIENCE)
    number, count = parallel.rank(), parallel.count()
    if count > 1:
        if not (out / FEATURES).exists():
            own = argparse.Namespace(**{**vars(args), "shard": f"{number}/{count}"})
            _part(Shard(number, count), loaded, out, own, settings)
        parallel.leave()
    return number == 0


def _select(
    loaded: list[Corpus], args: argparse.Namespace
) -> tuple[list[Corpus], tuple[Rejected, ...]]:
    """The corpora without the classes and beyond the number that the command leaves out."""
    classes: set[str] | None = None
    if args.classes is not None:
        try:
            classes = {labels.canonical(word) for word in args.classes.split(",")}
        except ValueError as error:
            raise DataError("data_classes_option", error=error) from None
        present = {clip.label for corpus in loaded for clip in corpus.clips}
        if unknown := classes - present:
            known = labels.ordered(present)
            raise DataError("data_classes_unknown", unknown=sorted(unknown), known=known)
    left_out: list[Rejected] = []
    selected: list[Corpus] = []
    for corpus in loaded:
        clips = corpus.clips
        if classes is not None:
            left_out += [
                Rejected.of(c.path, "reject_class", label=c.label)
                for c in clips
                if c.label not in classes
            ]
            clips = tuple(c for c in clips if c.label in classes)
        if args.max_clips is not None:
            clips = sample(clips, args.max_clips, args.seed)
        if clips:
            selected.append(replace(corpus, clips=clips))
    if not selected:
        raise DataError("evaluate_max_clips", n=args.max_clips)
    return selected, tuple(left_out)


def sample(clips: Sequence[Clip], most: int, seed: int) -> tuple[Clip, ...]:
    """At most so many clips, the classes and the speakers of each in turn, in the given order."""
    rng = random.Random(seed)  # noqa: S311
    queues: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, clip in enumerate(clips):
        queues[clip.label][clip.speaker].append(index)
    rounds = []
    for order, label in enumerate(sorted(queues)):
        for number, speaker in enumerate(rng.sample(sorted(queues[label]), len(queues[label]))):
            members = rng.sample(queues[label][speaker], len(queues[label][speaker]))
            rounds += [(turn, number, order, index) for turn, index in enumerate(members)]
    indices = sorted(index for *_, index in sorted(rounds)[: max(0, most)])
    return tuple(clips[index] for index in indices)


def _training(loaded: list[Corpus], clips: Sequence[Clip]) -> list[Corpus]:
    """The corpora with their training clips alone."""
    paths = {clip.path for clip in clips if clip.split == "train"}
    parts = [replace(c, clips=tuple(k for k in c.clips if k.path in paths)) for c in loaded]
    return [corpus for corpus in parts if corpus.clips]


def _encode(
    loaded: list[Corpus], out: Path, args: argparse.Namespace, settings: Settings, copy: int = 0
) -> tuple[EncoderRef, tuple[Clip, ...], tuple[Rejected, ...]]:
    """Cues and features of sound, or of its augmented copies, by the frozen encoder."""
    from audiollm import encoder as encoders
    from audiollm import hub
    from audiollm.model import checkpoint
    from train.data.extract import ExtractConfig, extract

    device = checkpoint.pick_device(args.device or settings.device)
    encoder = encoders.load(
        args.encoder,
        settings,
        device,
        layers=args.layers,
        statistics=STATISTICS[args.statistics] if args.statistics else "",
    )
    config = ExtractConfig(
        frames=args.frames,
        functionals=args.functionals,
        batch_seconds=args.batch_seconds or (600.0 if device.startswith("cuda") else 60.0),
        max_seconds=args.max_seconds,
        workers=args.workers or min(8, os.cpu_count() or 1),
    )
    if not args.shard:
        shards.gather(out, encoder.fingerprint)
    ref = encoder.ref()
    folder = hub.locate(ref.id, settings, files=hub.ENCODER_FILES, kind="encoder")
    if folder == Path(ref.id).expanduser().resolve():
        ref = replace(ref, id=str(folder))  # a folder is found from any other folder too
    return ref, *extract(loaded, encoder, out, config, settings, copy)


def _copy(
    loaded: list[Corpus], out: Path
) -> tuple[EncoderRef, tuple[Clip, ...], tuple[Rejected, ...]]:
    """Ready-made utterance features into the store; their hash is used in place of the sound's."""
    import hashlib

    from train.corpora.original import load

    if len(loaded) > 1 or loaded[0].encoder is None:
        raise DataError("data_features_joined")
    clips = []
    with FeatureWriter(out / FEATURES, loaded[0].encoder.fingerprint) as writer:
        for clip in loaded[0].clips:
            vector = load(Path(clip.path))
            clips.append(replace(clip, id=hashlib.sha256(vector.tobytes()).hexdigest()))
            if clips[-1].id not in writer.store:
                writer.add(clips[-1].id, utterance=vector)
    return loaded[0].encoder, tuple(clips), ()
