"""Who is trained on and who is tested on: speaker-disjoint splits, folds, leak checks."""

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from audiollm.errors import DataError
from train.corpora import SPLITS, Clip, Rejected
from train.data.plan import Folds, Plan, few, plan_each

By = Literal["auto", "speaker", "given", "random"]
_TRIALS = 200  # random assignments tried for a good one
_CLOSE = 0.05  # of all clips: by how much a side may miss its target in an accepted trial


@dataclass(frozen=True)
class SplitResult:
    """Clips with their side, and what a person should know about the split."""

    clips: tuple[Clip, ...]
    notes: tuple[str, ...] = ()
    shared: frozenset[str] = frozenset()  # speakers on two sides, each declared in a note


@dataclass(frozen=True)
class _Sides:
    """The side of each clip of one corpus, in the order of its clips."""

    sides: list[str]
    notes: tuple[str, ...] = ()
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
    """Puts every clip on the train, valid or test side, each corpus for itself.

    by: `auto` keeps a split that the corpus brings and else makes a speaker-disjoint one;
        `speaker` always makes one; `given` keeps the corpus's own even where speakers stand on
        two sides of it, and says so; `random` ignores speakers.
    folds: K > 0 parts the speakers (with `random`: the clips) into K folds, numbered from 0;
        test is `fold`, valid the next one, or none where `valid` is 0, so that all other folds
        train. K = number of speakers leaves one speaker out. Corpus -> K gives each its own
        number: where `fold` is K or more, all of that corpus trains (and validates).
    train_on_valid: whoever would validate trains too, and the same clips test as without this.
    test_corpus: these corpora test, whole, and nobody of the others does.
    test_speakers: these speakers test, and nobody else does.

    The result depends on the clips and on `seed`, not on the order of the clips.

    Raises:
        DataError: speakers are unknown or too few, a given split leaks, or a number is off.
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
    notes = [f"{corpus}: tests, whole" for corpus in sorted(set(test_corpus))]
    if test_speakers:
        notes.append(f"only {few(set(test_speakers))} test")
    shared: set[str] = set()
    for corpus in sorted(groups):
        part = _split_corpus(corpus, [clips[i] for i in groups[corpus]], plans[corpus], by)
        for index, side in zip(groups[corpus], part.sides, strict=True):
            done[index] = replace(clips[index], split=side)
        notes += part.notes
        shared |= part.shared
    tests = any(plan.test or plan.folds for plan in plans.values())
    notes += _gaps(done, {"train": True, "valid": valid > 0, "test": tests})
    if train_on_valid:
        done = [replace(clip, split="train") if clip.split == "valid" else clip for clip in done]
        notes.append("those who would validate train too, so nobody validates")
    check_leaks(done, allowed=shared)
    return SplitResult(tuple(done), tuple(notes), frozenset(shared))


def _split_corpus(corpus: str, clips: list[Clip], plan: Plan, by: By) -> _Sides:
    if by in ("auto", "given") and not plan.folds and any(c.split for c in clips):
        return _given(corpus, clips, plan, by)
    if by == "given":
        raise DataError(f"{corpus} brings no split of its own: leave --split given away.")
    if by == "random":
        note = f"{corpus}: split at random, so a speaker may stand on two sides and figures flatter"
        sides = _stratified(clips, plan, corpus)
        return _Sides(sides, (note,), _on_two_sides(clips, sides))
    unknown = sum(not c.speaker for c in clips)
    if unknown:
        raise DataError(
            f"{unknown} of {len(clips)} clips of {corpus} do not say who speaks, so speakers "
            "cannot be kept apart: give the speakers in a manifest (or --speaker-pattern), or "
            "accept flattered figures with --split random."
        )
    return _by_speaker(corpus, clips, plan)


def _given(corpus: str, clips: list[Clip], plan: Plan, by: By) -> _Sides:
    """The corpus's own split, completed where it lacks a side."""
    without = sum(not c.split for c in clips)
    sides = [c.split if plan.tests or c.split != "test" else "train" for c in clips]
    if without or "train" not in sides:
        missing = f"{without} of {len(clips)} clips name no split" if without else "no train side"
        raise DataError(
            f"The split that {corpus} brings is incomplete ({missing}): complete it, or make a new "
            "one with --split speaker."
        )
    notes = [f"{corpus}: the split that the corpus brings"]
    if plan.tests and "test" not in sides and "valid" in sides:
        sides = ["test" if side == "valid" else side for side in sides]
        notes.append(f"{corpus}: it has no test side, so its valid side is the test side")
    held: frozenset[str] = frozenset()
    if "valid" not in sides and plan.valid:
        index = [i for i, side in enumerate(sides) if side == "train"]
        part = _held_out(corpus, [clips[i] for i in index], plan)
        for i, side in zip(index, part.sides, strict=True):
            sides[i] = side
        notes += part.notes
        held = part.shared
    shared = _on_two_sides(clips, sides)
    if shared - held and by != "given":
        raise DataError(
            f"The split that {corpus} brings has {few(shared)} on two sides: make a new one with "
            "--split speaker, or keep it with --split given, which is noted in prepare.json."
        )
    if shared - held:
        notes.append(f"{corpus}: {few(shared)} stand on two sides of it, so figures flatter")
    if not all(c.speaker for c in clips):
        notes.append(f"{corpus}: who speaks is unknown, a speaker may stand on two sides")
    return _Sides(sides, tuple(notes), shared)


def _held_out(corpus: str, clips: list[Clip], plan: Plan) -> _Sides:
    """A valid side out of a train side: of other speakers where they are known."""
    speakers = {c.speaker for c in clips}
    only = plan.without_test()
    if len(speakers) > 1 and "" not in speakers:
        note = f"{corpus}: the valid side is held out of train, by speaker"
        where = _assign(_counts(clips), only, only.rng(corpus, "valid"))
        return _Sides([where[c.speaker] for c in clips], (note,))
    sides = _stratified(clips, only, corpus)
    note = f"{corpus}: the valid side is held out of train at random"
    return _Sides(sides, (note,), _on_two_sides(clips, sides))


def _by_speaker(corpus: str, clips: list[Clip], plan: Plan) -> _Sides:
    counts = _counts(clips)
    speakers = sorted(counts)
    if plan.folds:
        if plan.folds > len(speakers):
            raise DataError(
                f"{corpus} has {len(speakers)} speakers, too few for {plan.folds} folds: --folds "
                "can be at most the number of speakers."
            )
        where = _fold_of(counts, plan, plan.rng(corpus, "folds"))
        return _Sides([plan.split_of_fold(where[c.speaker]) for c in clips])
    if len(speakers) == 1:
        return _Sides(["train"] * len(clips), (f"{corpus}: one speaker, all of it in train",))
    if len(speakers) == 2 and plan.valid and plan.test:
        tested = plan.rng(corpus).choice(speakers)
        index = [i for i, c in enumerate(clips) if c.speaker != tested]
        part = _stratified([clips[i] for i in index], plan.without_test(), corpus)
        sides = ["test"] * len(clips)
        for i, side in zip(index, part, strict=True):
            sides[i] = side
        other = clips[index[0]].speaker
        note = (
            f"{corpus}: two speakers only: {tested} is the test side, and the valid side is held "
            f"out of {other}, who is trained on too"
        )
        return _Sides(sides, (note,), frozenset({other}))
    sides_of = _assign(counts, plan, plan.rng(corpus))
    notes: tuple[str, ...] = ()
    if len(speakers) <= 3:
        notes = (f"{corpus}: {len(speakers)} speakers only, so figures are about single persons",)
    return _Sides([sides_of[c.speaker] for c in clips], notes)


def _assign(counts: dict[str, Counter[str]], plan: Plan, rng: random.Random) -> dict[str, str]:
    """Speaker -> side. Of many shuffles, the first in which every class is on every side and the
    sides are close to their targets; else the one that comes nearest: no class untrained, then
    classes on every side, then sizes."""
    total = sum(c.total() for c in counts.values())
    targets = {side: share * total for side, share in (("test", plan.test), ("valid", plan.valid))}
    targets = {side: target for side, target in targets.items() if target > 0}
    owners = Counter(label for c in counts.values() for label in c)
    least = sum(max(0, 1 + len(targets) - n) for n in owners.values())  # gaps of any split
    best: tuple[tuple[int, int, float], dict[str, str]] | None = None
    for _ in range(_TRIALS):
        order = sorted(counts)
        rng.shuffle(order)
        sides = _fill(order, counts, targets)
        held: dict[str, Counter[str]] = {side: Counter() for side in (*targets, "train")}
        for speaker, side in sides.items():
            held[side].update(counts[speaker])
        unlearnt = sum(not held["train"][c] for c in owners)
        missing = sum(not have[c] for have in held.values() for c in owners)
        miss = max((abs(held[k].total() - target) for k, target in targets.items()), default=0.0)
        score = (unlearnt, missing, round(miss / total, 6))
        if best is None or score < best[0]:
            best = (score, sides)
        if not unlearnt and missing == least and score[2] <= _CLOSE:
            break
    return best[1] if best else {}


def _fill(
    order: list[str], counts: dict[str, Counter[str]], targets: dict[str, float]
) -> dict[str, str]:
    """Gives each side speakers while that brings it nearer to its target; the rest trains."""
    sides = dict.fromkeys(order, "train")
    free = list(order)
    for still, (side, target) in zip(range(len(targets), 0, -1), targets.items(), strict=True):
        have = 0
        for speaker in list(free):
            size = counts[speaker].total()
            nearer = not have or abs(have + size - target) < abs(have - target)
            if nearer and len(free) > still:  # one speaker stays for each later side
                sides[speaker] = side
                free.remove(speaker)
                have += size
    return sides


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
    """The side of each clip, every class in the wanted shares, speakers ignored."""
    sides = ["train"] * len(clips)
    strata: dict[str, list[int]] = defaultdict(list)
    for index, clip in enumerate(clips):
        strata[clip.label].append(index)
    for label, members in strata.items():
        members.sort(key=lambda i: (clips[i].id, clips[i].path))
        plan.rng(corpus, label).shuffle(members)
        if plan.folds:
            for position, i in enumerate(members):
                sides[i] = plan.split_of_fold(position % plan.folds)
            continue
        least = 1 if len(members) >= 3 else 0
        test = max(least, round(plan.test * len(members))) if plan.test else 0
        valid = max(least, round(plan.valid * len(members))) if plan.valid else 0
        for i in members[:test]:
            sides[i] = "test"
        for i in members[test : test + valid]:
            sides[i] = "valid"
    return sides


def _counts(clips: Iterable[Clip]) -> dict[str, Counter[str]]:
    """Speaker -> clips of each class."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        counts[clip.speaker][clip.label] += 1
    return dict(counts)


def _on_two_sides(clips: Sequence[Clip], sides: Sequence[str]) -> frozenset[str]:
    where: dict[str, set[str]] = defaultdict(set)
    for clip, side in zip(clips, sides, strict=True):
        if clip.speaker:
            where[clip.speaker].add(side)
    return frozenset(speaker for speaker, on in where.items() if len(on) > 1)


def _gaps(clips: Sequence[Clip], wanted: dict[str, bool]) -> list[str]:
    """Classes that a side lacks, in words. An empty side is an error."""
    held: dict[str, set[str]] = {
        side: {c.label for c in clips if c.split == side} for side in SPLITS
    }
    for side, needed in wanted.items():
        if needed and not held[side]:
            raise DataError(
                f"The {side} side is empty: with {len({c.speaker for c in clips})} speakers there "
                "is nobody to put there; add clips of other speakers, set the share of that side "
                "to 0, or accept flattered figures with --split random."
            )
    classes = set().union(*held.values())
    return [
        f"no clip of {', '.join(sorted(classes - have))} on the {side} side"
        for side, have in held.items()
        if have and classes - have
    ]


def check_leaks(clips: Iterable[Clip], allowed: Collection[str] = ()) -> None:
    """Nobody and no sound stands on two sides.

    allowed: speakers of whom that is known and declared.

    Raises:
        DataError: a speaker or a content hash does.
    """
    clips = list(clips)
    speakers = _on_two_sides(clips, [c.split for c in clips]) - set(allowed)
    if speakers:
        raise DataError(f"{few(speakers)} stand on two sides of the split: split by speaker.")
    sides: dict[str, Clip] = {}
    for clip in clips:
        first = sides.setdefault(clip.id, clip) if clip.id else clip
        if first.split != clip.split:
            raise DataError(
                f"{clip.path} ({clip.split}) is the same sound as {first.path} ({first.split}): "
                "remove one of the two."
            )


def without_copies(clips: Iterable[Clip]) -> tuple[tuple[Clip, ...], tuple[Rejected, ...]]:
    """Keeps the first of identical sounds and rejects the others."""
    first: dict[Hashable, Clip] = {}
    rejected = []
    for clip in clips:
        kept = first.setdefault(clip.id or clip.path, clip)
        if kept is clip:
            continue
        kind = "identical audio" if kept.label == clip.label else "identical audio, other label"
        rejected.append(Rejected(clip.path, f"{kind}: the same sound as {kept.path}"))
    return tuple(first.values()), tuple(rejected)
