"""Speaker-disjoint splits, folds and leak checks."""

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from audiollm.contracts.messages import Message
from audiollm.errors import DataError
from train.corpora import SPLITS, Clip, Rejected
from train.data.plan import Folds, Plan, few, plan_each

By = Literal["auto", "speaker", "given", "random"]
_TRIALS = 200  # random assignments tried for a good one
_CLOSE = 0.05  # of all clips: by how much a split may miss its target in an accepted trial


@dataclass(frozen=True)
class SplitResult:
    """Clips with their split, and what a person should know about it."""

    clips: tuple[Clip, ...]
    notes: tuple[Message, ...] = ()
    shared: frozenset[str] = frozenset()  # speakers in two splits, each declared in a note


@dataclass(frozen=True)
class _Part:
    """The split of each clip of one corpus, in the order of its clips."""

    splits: list[str]
    notes: tuple[Message, ...] = ()
    shared: frozenset[str] = frozenset()


def split(
    clips: Sequence[Clip],
    seed: int = 0,
    valid: float = 0.15,
    test: float = 0.2,
    by: By = "auto",
    folds: Folds = 0,
    fold: int = 0,
    train_on_valid: bool = False,
    test_corpus: Collection[str] = (),
    test_speakers: Collection[str] = (),
) -> SplitResult:
    """Puts every clip into the train, valid or test split, each corpus for itself.

    by: `auto` keeps a split that the corpus brings and else makes a speaker-disjoint one;
        `speaker` always makes one; `given` keeps the corpus's own even where speakers are in
        two splits of it, and says so; `random` ignores speakers.
    folds: K > 0 parts the speakers (with `random`: the clips) into K folds, numbered from 0;
        test is `fold`, valid the next one, or none where `valid` is 0, so that all other folds
        train. K = number of speakers leaves one speaker out. Corpus -> K gives each its own
        number: where `fold` is K or more, all of that corpus trains (and validates).
    train_on_valid: whoever would validate trains too, and the same clips test as without this.
    test_corpus: these corpora test, whole, and nobody of the others does.
    test_speakers: these speakers test, and nobody else does.

    The result depends on the clips and on `seed`, not on the order of the clips.

    Raises:
        DataError: speakers are unknown or too few, a given split leaks, all training clips are of
            one class, or a number is off.
    """
    shares = Plan(seed, valid, test)
    plans = plan_each(clips, shares, folds, fold, test_corpus, test_speakers)
    if not isinstance(folds, int):  # these folds take the place of whatever a corpus brings
        clips = [replace(clip, split="") for clip in clips]
    groups: dict[str, list[int]] = defaultdict(list)
    done = list(clips)
    for index, clip in enumerate(clips):
        if clip.corpus in test_corpus or clip.speaker in test_speakers:
            done[index] = replace(clip, split="test")
        else:
            groups[clip.corpus].append(index)
    notes = [Message.of("note_tests_whole", corpus=name) for name in sorted(set(test_corpus))]
    if test_speakers:
        notes.append(Message.of("note_only_test", speakers=few(set(test_speakers))))
    shared: set[str] = set()
    for corpus in sorted(groups):
        part = _split_corpus(corpus, [clips[i] for i in groups[corpus]], plans[corpus], by)
        for index, name in zip(groups[corpus], part.splits, strict=True):
            done[index] = replace(clips[index], split=name)
        notes += part.notes
        shared |= part.shared
    tests = any(plan.test or plan.folds for plan in plans.values())
    notes += _gaps(done, {"train": True, "valid": valid > 0, "test": tests}, by)
    if train_on_valid:
        done = [replace(clip, split="train") if clip.split == "valid" else clip for clip in done]
        notes.append(Message.of("note_no_validation"))
    trained = sorted({clip.label for clip in done if clip.split == "train"})
    if len(trained) == 1:
        raise DataError("data_one_class", label=trained[0])
    check_leaks(done, allowed=shared)
    return SplitResult(tuple(done), tuple(notes), frozenset(shared))


def _split_corpus(corpus: str, clips: list[Clip], plan: Plan, by: By) -> _Part:
    if by in ("auto", "given") and not plan.folds and any(c.split for c in clips):
        return _own_split(corpus, clips, plan, by)
    if by == "given":
        raise DataError("data_no_own_split", corpus=corpus)
    if by == "random":
        note = Message.of("note_random", corpus=corpus)
        splits = _stratified(clips, plan, corpus)
        return _Part(splits, (note,), _in_two_splits(clips, splits))
    unknown = sum(not c.speaker for c in clips)
    if unknown:
        raise DataError("data_unknown_speakers", corpus=corpus, n=unknown, all=len(clips))
    return _by_speaker(corpus, clips, plan)


def _own_split(corpus: str, clips: list[Clip], plan: Plan, by: By) -> _Part:
    """The corpus's own split, completed where one is missing."""
    without = sum(not c.split for c in clips)
    splits = [c.split if plan.tests or c.split != "test" else "train" for c in clips]
    if without:
        raise DataError("data_split_without", corpus=corpus, n=without, all=len(clips))
    if "train" not in splits:
        raise DataError("data_split_no_train", corpus=corpus)
    notes = [Message.of("note_given", corpus=corpus)]
    if plan.tests and "test" not in splits and "valid" in splits:
        splits = ["test" if name == "valid" else name for name in splits]
        notes.append(Message.of("note_valid_tests", corpus=corpus))
    allowed: frozenset[str] = frozenset()
    if "valid" not in splits and plan.valid:
        index = [i for i, name in enumerate(splits) if name == "train"]
        part = _held_out(corpus, [clips[i] for i in index], plan)
        for i, name in zip(index, part.splits, strict=True):
            splits[i] = name
        notes += part.notes
        allowed = part.shared
    shared = _in_two_splits(clips, splits)
    if shared - allowed and by != "given":
        raise DataError("data_split_leaks", corpus=corpus, speakers=few(shared))
    if shared - allowed:
        notes.append(Message.of("note_shared", corpus=corpus, speakers=few(shared)))
    if not all(c.speaker for c in clips):
        notes.append(Message.of("note_speakers_unknown", corpus=corpus))
    return _Part(splits, tuple(notes), shared)


def _held_out(corpus: str, clips: list[Clip], plan: Plan) -> _Part:
    """A valid split out of a train split: of other speakers where they are known."""
    speakers = {c.speaker for c in clips}
    only = plan.without_test()
    if len(speakers) > 1 and "" not in speakers:
        note = Message.of("note_valid_by_speaker", corpus=corpus)
        where = _assign(_counts(clips), only, only.rng(corpus, "valid"))
        return _Part([where[c.speaker] for c in clips], (note,))
    splits = _stratified(clips, only, corpus)
    note = Message.of("note_valid_random", corpus=corpus)
    return _Part(splits, (note,), _in_two_splits(clips, splits))


def _by_speaker(corpus: str, clips: list[Clip], plan: Plan) -> _Part:
    counts = _counts(clips)
    speakers = sorted(counts)
    if plan.folds:
        if plan.folds > len(speakers):
            raise DataError("data_many_folds", corpus=corpus, n=len(speakers), folds=plan.folds)
        where = _fold_of(counts, plan, plan.rng(corpus, "folds"))
        return _Part([plan.split_of_fold(where[c.speaker]) for c in clips])
    if len(speakers) == 1:
        return _Part(["train"] * len(clips), (Message.of("note_one_speaker", corpus=corpus),))
    if len(speakers) == 2 and plan.valid and plan.test:
        tested = plan.rng(corpus).choice(speakers)
        index = [i for i, c in enumerate(clips) if c.speaker != tested]
        part = _stratified([clips[i] for i in index], plan.without_test(), corpus)
        splits = ["test"] * len(clips)
        for i, name in zip(index, part, strict=True):
            splits[i] = name
        other = clips[index[0]].speaker
        note = Message.of("note_two_speakers", corpus=corpus, tested=tested, other=other)
        return _Part(splits, (note,), frozenset({other}))
    split_of = _assign(counts, plan, plan.rng(corpus))
    notes: tuple[Message, ...] = ()
    if len(speakers) <= 3:
        notes = (Message.of("note_few_speakers", corpus=corpus, n=len(speakers)),)
    return _Part([split_of[c.speaker] for c in clips], notes)


def _assign(counts: dict[str, Counter[str]], plan: Plan, rng: random.Random) -> dict[str, str]:
    """Speaker -> split. Of many shuffles, the first in which every class is in every split and the
    splits are close to their targets; else the one that comes nearest: no class untrained, then
    classes in every split, then sizes."""
    total = sum(c.total() for c in counts.values())
    targets = {name: share * total for name, share in (("test", plan.test), ("valid", plan.valid))}
    targets = {name: target for name, target in targets.items() if target > 0}
    owners = Counter(label for c in counts.values() for label in c)
    least = sum(max(0, 1 + len(targets) - n) for n in owners.values())  # gaps of any split
    best: tuple[tuple[int, int, float], dict[str, str]] | None = None
    for _ in range(_TRIALS):
        order = sorted(counts)
        rng.shuffle(order)
        splits = _fill(order, counts, targets)
        filled: dict[str, Counter[str]] = {name: Counter() for name in (*targets, "train")}
        for speaker, name in splits.items():
            filled[name].update(counts[speaker])
        unlearnt = sum(not filled["train"][c] for c in owners)
        missing = sum(not have[c] for have in filled.values() for c in owners)
        miss = max((abs(filled[k].total() - target) for k, target in targets.items()), default=0.0)
        score = (unlearnt, missing, round(miss / total, 6))
        if best is None or score < best[0]:
            best = (score, splits)
        if not unlearnt and missing == least and score[2] <= _CLOSE:
            break
    return best[1] if best else {}


def _fill(
    order: list[str], counts: dict[str, Counter[str]], targets: dict[str, float]
) -> dict[str, str]:
    """Gives each split speakers while that brings it nearer to its target; the rest trains."""
    splits = dict.fromkeys(order, "train")
    free = list(order)
    for still, (name, target) in zip(range(len(targets), 0, -1), targets.items(), strict=True):
        have = 0
        for speaker in list(free):
            size = counts[speaker].total()
            nearer = not have or abs(have + size - target) < abs(have - target)
            if nearer and len(free) > still:  # one speaker stays for each later split
                splits[speaker] = name
                free.remove(speaker)
                have += size
    return splits


def _fold_of(counts: dict[str, Counter[str]], plan: Plan, rng: random.Random) -> dict[str, int]:
    """Speaker -> fold: the largest first, each into the fold that has the fewest clips."""
    order = sorted(counts)
    rng.shuffle(order)
    order.sort(key=lambda s: -counts[s].total())
    sizes = [(0, 0)] * plan.folds  # (speakers, clips): no fold stays without a speaker
    where: dict[str, int] = {}
    for speaker in order:
        empty = [i for i, (speakers, _) in enumerate(sizes) if not speakers]
        fold = empty[0] if empty else min(range(plan.folds), key=lambda i: sizes[i][1])
        where[speaker] = fold
        sizes[fold] = (sizes[fold][0] + 1, sizes[fold][1] + counts[speaker].total())
    return where


def _stratified(clips: list[Clip], plan: Plan, corpus: str) -> list[str]:
    """The split of each clip, every class in the wanted shares, speakers ignored."""
    splits = ["train"] * len(clips)
    strata: dict[str, list[int]] = defaultdict(list)
    for index, clip in enumerate(clips):
        strata[clip.label].append(index)
    for label, members in strata.items():
        members.sort(key=lambda i: (clips[i].id, clips[i].path))
        plan.rng(corpus, label).shuffle(members)
        if plan.folds:
            for position, i in enumerate(members):
                splits[i] = plan.split_of_fold(position % plan.folds)
            continue
        least = 1 if len(members) >= 3 else 0
        test = max(least, round(plan.test * len(members))) if plan.test else 0
        valid = max(least, round(plan.valid * len(members))) if plan.valid else 0
        for i in members[:test]:
            splits[i] = "test"
        for i in members[test : test + valid]:
            splits[i] = "valid"
    return splits


def _counts(clips: Iterable[Clip]) -> dict[str, Counter[str]]:
    """Speaker -> clips of each class."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        counts[clip.speaker][clip.label] += 1
    return dict(counts)


def _in_two_splits(clips: Sequence[Clip], splits: Sequence[str]) -> frozenset[str]:
    where: dict[str, set[str]] = defaultdict(set)
    for clip, name in zip(clips, splits, strict=True):
        if clip.speaker:
            where[clip.speaker].add(name)
    return frozenset(speaker for speaker, on in where.items() if len(on) > 1)


def _gaps(clips: Sequence[Clip], required: dict[str, bool], by: By) -> list[Message]:
    """Classes that a split lacks. An empty split is an error."""
    present: dict[str, set[str]] = {
        name: {c.label for c in clips if c.split == name} for name in SPLITS
    }
    for name, needed in required.items():
        if needed and not present[name]:
            if by == "random":
                raise DataError("data_empty_random", split=name, n=len(clips))
            speakers = len({c.speaker for c in clips})
            raise DataError("data_empty_split", split=name, n=speakers)
    classes = set().union(*present.values())
    return [
        Message.of("note_absent", labels=sorted(classes - have), split=name)
        for name, have in present.items()
        if have and classes - have
    ]


def check_leaks(clips: Iterable[Clip], allowed: Collection[str] = ()) -> None:
    """Nobody and no sound is in two splits.

    allowed: speakers of whom that is known and declared.

    Raises:
        DataError: a speaker or a content hash does.
    """
    clips = list(clips)
    speakers = _in_two_splits(clips, [c.split for c in clips]) - set(allowed)
    if speakers:
        raise DataError("data_leak_speakers", speakers=few(speakers))
    splits: dict[str, Clip] = {}
    for clip in clips:
        first = splits.setdefault(clip.id, clip) if clip.id else clip
        if first.split != clip.split:
            raise DataError(
                "data_leak_sound",
                path=clip.path,
                split=clip.split,
                other=first.path,
                other_split=first.split,
            )


def without_copies(clips: Iterable[Clip]) -> tuple[tuple[Clip, ...], tuple[Rejected, ...]]:
    """Keeps the first of identical sounds and rejects the others."""
    first: dict[Hashable, Clip] = {}
    rejected = []
    for clip in clips:
        original = first.setdefault(clip.id or clip.path, clip)
        if original is clip:
            continue
        code = "reject_copy" if original.label == clip.label else "reject_copy_other_label"
        rejected.append(Rejected.of(clip.path, code, path=original.path))
    return tuple(first.values()), tuple(rejected)
