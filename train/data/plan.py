"""How the clips of each corpus are to be split: shares, folds, or named corpora and speakers."""

import argparse
import random
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from audiollm.contracts.messages import Message
from audiollm.errors import DataError
from train.corpora import Clip

Folds = int | Mapping[str, int]  # K of every corpus, or of each


@dataclass(frozen=True)
class Plan:
    """How one corpus is split."""

    seed: int
    valid: float  # share of its clips
    test: float
    folds: int = 0  # K > 0: parts of its speakers, in place of the share to test
    fold: int = 0  # the one that tests
    tests: bool = True  # False: other corpora are the test split, even where its own split differs

    def __post_init__(self) -> None:
        if not (0 <= self.valid < 1 and 0 <= self.test < 1 and self.valid + self.test < 1):
            raise DataError("data_shares", valid=self.valid, test=self.test)
        least = 3 if self.valid else 2
        if self.folds and self.folds < least:
            raise DataError("data_folds", least=least, folds=self.folds)
        if self.folds and not 0 <= self.fold < self.folds:
            raise DataError("data_fold", last=self.folds - 1, fold=self.fold)

    def rng(self, *what: object) -> random.Random:
        return random.Random(":".join(map(str, (self.seed, *what))))  # noqa: S311

    def without_test(self) -> "Plan":
        return replace(self, test=0.0, folds=0, fold=0, tests=False)

    def split_of_fold(self, number: int) -> str:
        if number == self.fold:
            return "test"
        validates = self.valid > 0 and number == (self.fold + 1) % self.folds
        return "valid" if validates else "train"


def plan_each(
    clips: Collection[Clip],
    shares: Plan,
    folds: Folds = 0,
    fold: int = 0,
    test_corpus: Collection[str] = (),
    test_speakers: Collection[str] = (),
) -> dict[str, Plan]:
    """Corpus -> its plan. `shares` says the rest of it.

    Raises:
        DataError: a name is unknown, a number is off, or two ways to choose who tests are mixed.
    """
    corpora = {clip.corpus for clip in clips}
    if isinstance(folds, int):
        each = dict.fromkeys(corpora, replace(shares, folds=folds, fold=fold))
    else:
        each = _folds_each(corpora, shares, folds, fold)
    if test_corpus:
        _check_corpora(set(test_corpus), corpora, bool(folds))
    if test_speakers:
        _check_speakers(set(test_speakers), clips, bool(folds or test_corpus))
    if test_corpus or test_speakers:
        each = {corpus: plan.without_test() for corpus, plan in each.items()}
    return each


def _folds_each(
    corpora: set[str], shares: Plan, folds: Mapping[str, int], fold: int
) -> dict[str, Plan]:
    """A corpus tests its fold of that number; one that has not so many folds does not test."""
    if unknown := set(folds) - corpora:
        raise DataError("data_folds_unknown", unknown=sorted(unknown), known=sorted(corpora))
    if missing := sorted(corpora - set(folds)):
        raise DataError("data_folds_missing", missing=missing, first=missing[0])
    replace(shares, folds=max(folds.values()), fold=fold)  # some corpus must have this fold
    each = {
        corpus: replace(shares, folds=count, fold=min(fold, count - 1))
        for corpus, count in folds.items()
    }
    return {c: plan if fold < folds[c] else plan.without_test() for c, plan in each.items()}


def _check_corpora(tested: set[str], names: set[str], folds: bool) -> None:
    if unknown := tested - names:
        raise DataError("data_test_corpus", unknown=sorted(unknown), known=sorted(names))
    if tested == names:
        raise DataError("data_test_all")
    if folds:
        raise DataError("data_test_corpus_folds")


def _check_speakers(tested: set[str], clips: Iterable[Clip], mixed: bool) -> None:
    speakers = {clip.speaker for clip in clips if clip.speaker}
    if unknown := tested - speakers:
        known = few(speakers) if speakers else "-"
        raise DataError("data_test_speakers", unknown=few(unknown), known=known)
    if mixed:
        raise DataError("data_test_speakers_mixed")


def few(names: Iterable[str]) -> str | Message:
    """The first three names, and how many more there are."""
    names = sorted(names)
    if len(names) <= 3:
        return ", ".join(names)
    return Message.of("few_speakers", names=names[:3], n=len(names) - 3)


def parse_folds(text: str) -> Folds:
    """The value of --folds: `8`, or `emodb=8,ased=5`.

    Raises:
        argparse.ArgumentTypeError: it is neither.
    """
    if re.fullmatch(r"-?\d{1,9}", text):
        return int(text)
    pairs = [re.fullmatch(r"\s*([^=\s]+)=([1-9]\d{0,8})\s*", part) for part in text.split(",")]
    folds = {pair[1]: int(pair[2]) for pair in pairs if pair}
    if len(folds) < len(pairs):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of folds: give one for all corpora, like 8, or one for each, "
            "like emodb=8,ased=5"
        )
    return folds


def parse_names(text: str) -> list[str]:
    """Names with commas between them.

    Raises:
        argparse.ArgumentTypeError: there is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("give at least one name, like emodb-13")
    return names


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the split."""
    add = parser.add_argument_group("split").add_argument
    add(
        "--split",
        choices=("auto", "speaker", "given", "random"),
        default="auto",
        help="auto: the corpus's own split, else by speaker; speaker: nobody in two splits; given: "
        "the corpus's own even if speakers repeat; random: ignore speakers (default: auto)",
    )
    add("--seed", type=int, default=0, help="another seed, other speakers in each split")
    words = "emobox: train, validate and test as fold K of EmoBox does, numbered from 1"
    add("--emobox-fold", type=int, metavar="K", help=words)
    words = "share of clips in the valid split; 0: none (default: 0.15, with --emobox-fold 0)"
    add("--valid", type=float, metavar="SHARE", help=words)
    words = "train on the validation clips too; the same clips test"
    add("--train-on-valid", action="store_true", help=words)
    add(
        "--test",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="share of clips in the test split (default: 0.2)",
    )
    words = "this whole corpus is the test split; no other is"
    add("--test-corpus", action="append", default=[], metavar="NAME", help=words)
    words = (
        "these speakers, named as in clips.jsonl, are the test split; all others train and valid"
    )
    add("--test-speakers", type=parse_names, default=[], metavar="A,B", help=words)
    words = "part the speakers into K folds instead; or each corpus into its own, emodb=8,ased=5"
    add("--folds", type=parse_folds, default=0, metavar="K", help=words)
    words = "test on fold I, 0 to K-1; a corpus with fewer folds of its own trains"
    add("--fold", type=int, default=0, metavar="I", help=words)


def choices(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `split`, besides --split itself.

    Raises:
        DataError: options that exclude each other, or one of a corpus that is not read.
    """
    fold = args.emobox_fold
    if (args.audio or fold is not None) and all(name != "emobox" for name, _ in args.sources):
        raise DataError("data_emobox_options")
    others = args.folds or args.test_corpus or args.test_speakers
    if fold is not None and (others or args.split in ("speaker", "random")):
        raise DataError("data_emobox_mixed")
    unasked = 0.15 if fold is None else 0.0
    valid = unasked if args.valid is None else args.valid
    names = ("seed", "test", "folds", "fold", "train_on_valid", "test_corpus", "test_speakers")
    return {"valid": valid, **{name: getattr(args, name) for name in names}}
