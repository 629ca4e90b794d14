"""`python -m bench.loop`: the gain of correcting probable label errors first, on EmoDB.

    python -m bench.loop --language runs/tiny/language --out runs/loop

15 % of the training labels are flipped to another class, drawn by a seed. `label-errors` orders the
training clips; the true label of the first N is given back, N being the number of flips, and so is
that of N clips in random order, the control. Linear probe (several seeds) and LLM (stage 1 of the
recipe, first seed) are trained on the clean, the flipped and the restored labels and tested on
speakers who took no part: every speaker is left out once, in pairs. Only this script knows the
flips. What is done is skipped when the command is run again.

Without --language only the probe is measured. An encoder trained on emotions of EmoDB would know
the true labels: do not use one.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import hub
from audiollm.contracts.prepared import write_json, write_text
from audiollm.labels import ordered
from train.command import main as command
from train.data.dataset import Clip, Prepared, load_prepared
from train.data.rewrite import rewrite
from train.evaluate.paired import draws
from train.fit import runs
from train.fit.merge import score_run
from train.fit.probe import DEFAULT_STRENGTH, features_of, fit_probe
from train.labels.label_errors import label_errors
from train.tiny import recipe

RATE = 0.15  # of the training labels
FOLDS, SEEDS = 4, 4
STEPS = 200  # of stage 1: less than a third of the recipe's
CONDITIONS = ("clean", "flipped", "ordered", "random")
LLM_CONDITIONS = CONDITIONS[:3]  # each takes minutes
# The penalty is the project's where nothing can be held out to choose it by, since wrong labels
# would choose it; beside it, one that every training chooses for itself by folds of its labels.
PROBES: dict[str, float | None] = {"probe": DEFAULT_STRENGTH, "chosen": None}
SHARES = (0.25, 0.5, 1.0, 2.0)  # of the number of flips: so many clips are shown

Record = dict[str, Any]


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    words = "not trained on EmoDB (default: %(default)s)"
    add("--encoder", default=hub.BUNDLED_ENCODER, metavar="ID", help=words)
    add("--language", type=Path, metavar="DIR", help="LLM that stage 1 starts from")
    add("--root", default=str(recipe.ASSETS / "emodb"), metavar="DIR", help="default: bundled")
    add("--folds", type=int, default=FOLDS, help=f"default: {FOLDS}, pairs of speakers")
    add("--seeds", type=int, default=SEEDS, help=f"of flips, for the probe (default: {SEEDS})")
    add("--steps", type=int, default=STEPS, help=f"of stage 1 (default: {STEPS})")
    add("--out", type=Path, required=True, metavar="DIR", help="where the steps leave their work")
    add("--result", type=Path, metavar="FILE", help="default: OUT/result.json")


def run(args: argparse.Namespace) -> int:
    prepared = [_prepared(args, number) for number in range(args.folds)]
    records = {
        kind: [
            cached(args.out / f"{kind}-{seed}-{n}.json", partial(one_probe, p, seed, n, strength))
            for seed in range(args.seeds)
            for n, p in enumerate(prepared)
        ]
        for kind, strength in PROBES.items()
    }
    records["llm"] = []
    for n, p in enumerate(prepared if args.language else []):
        place = args.out / f"llm-{n}"
        records["llm"].append(cached(place / "record.json", partial(llm, args, p, n, place)))
    result = summarise(records)
    result["run"] = {
        **runs.provenance("bench.loop"),
        "stage_1": f"{recipe.STAGE_1} --max-steps {args.steps}",
    }
    write_json(args.result or args.out / "result.json", result)
    print(json.dumps({k: v for k, v in result.items() if k != "run"}, indent=1))
    return 0


def _prepared(args: argparse.Namespace, number: int) -> Prepared:
    """EmoDB with the speakers of one fold to test, all others to train."""
    place = args.out / f"data-{number}"
    recipe.share_features(args.out / "data-0", place)
    words = f"prepare --corpus emodb --encoder {args.encoder} --out {place} --no-frames"
    words += f" --train-on-valid --folds {args.folds} --fold {number}"
    step = recipe.Step(place / "prepare.json", ("train", *words.split(), "--root", args.root))
    recipe.run_steps([step])
    return load_prepared(place)


def cached(path: Path, make: Callable[[], Record]) -> Record:
    """The record in the file, computed where there is none."""
    if not path.is_file():
        write_text(path, json.dumps(make()) + "\n")
        print(f"{path}: done", flush=True)
    record: Record = json.loads(path.read_text(encoding="utf-8"))
    return record


def flipped(clips: Sequence[Clip], classes: Sequence[str], seed: int) -> list[Clip]:
    """The clips, RATE of them with another class than theirs, every other one as likely."""
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(clips), round(RATE * len(clips)), replace=False)
    done = list(clips)
    for i in wrong:
        others = [name for name in classes if name != clips[i].label]
        done[i] = replace(clips[i], label=others[rng.integers(len(others))])
    return done


def scenario(prepared: Prepared, seed: int, fold: int) -> tuple[dict[str, list[Clip]], Record]:
    """(training clips of every condition, what was shown and found).

    The order knows the flipped labels alone; what is given back is the true label of what it
    shows first, also where that was right.
    """
    clean = list(prepared.split("train"))
    bad = flipped(clean, prepared.classes, 100 * fold + seed)
    truth = {clip.id: clip for clip in clean}
    wrong = {old.id for old, new in zip(clean, bad, strict=True) if old.label != new.label}
    queue = {"ordered": [label.clip for label in label_errors(prepared, bad)]}
    shuffled = np.random.default_rng([seed, fold]).permutation(len(clean))
    queue["random"] = [clean[i].id for i in shuffled]
    conditions = {"clean": clean, "flipped": bad}
    for name, order in queue.items():
        shown = set(order[: len(wrong)])
        conditions[name] = [truth[c.id] if c.id in shown else c for c in bad]
    hits = {
        name: [len(wrong & set(order[: round(share * len(wrong))])) for share in SHARES]
        for name, order in queue.items()
    }
    return conditions, {"train": len(clean), "flips": len(wrong), "found": hits}


def one_probe(prepared: Prepared, seed: int, fold: int, strength: float | None) -> Record:
    """A probe's answers after each kind of labels, on the functionals, which are not trained."""
    conditions, record = scenario(prepared, seed, fold)
    test = prepared.split("test")
    x = features_of(prepared, test)["functionals"]
    answers = {}
    for name, clips in conditions.items():
        own = features_of(prepared, clips)["functionals"]
        labels, speakers = [c.label for c in clips], [c.speaker for c in clips]
        learned = fit_probe(
            own, labels, None, None, prepared.classes, groups=speakers, strength=strength
        )
        answers[name] = learned.predict(x)
    return record | _judged(test) | {"answers": answers}


def llm(args: argparse.Namespace, prepared: Prepared, fold: int, place: Path) -> Record:
    """The LLM's answers after stage 1 on each kind of labels, of the first seed."""
    conditions, record = scenario(prepared, 0, fold)
    test = prepared.split("test")
    answers = {}
    for name in LLM_CONDITIONS:
        clips = conditions[name]
        data = rewrite(prepared, [*clips, *test], place / name / "data", {"labels": name})
        stage = place / name / "stage1"
        words = f"fit --stage 1 --data {data.folder} --llm {args.language} --out {stage} --seed 0"
        if (stage / runs.RUN_NAME).is_file():
            words = f"fit --resume {stage}"
        else:
            # the last number of steps counts; functionals are for the probe
            words += f" {recipe.STAGE_1} --max-steps {args.steps} --no-functionals"
        recipe.run_steps([recipe.Step(stage / "metrics.json", ("train", *words.split()))])
        best = score_run(stage, data, "test").argmax(1)
        answers[name] = [data.classes[i] for i in best]
    return record | _judged(test) | {"answers": answers}


def _judged(test: Sequence[Clip]) -> Record:
    return {
        "clips": [clip.id for clip in test],
        "labels": [clip.label for clip in test],
        "speakers": [clip.speaker for clip in test],
    }


def summarise(records: dict[str, list[Record]]) -> Record:
    """Flips found, and UA after each kind of labels with the loss and its recovery."""
    probe = records["probe"]
    flips = sum(record["flips"] for record in probe)
    rows = []
    for i, share in enumerate(SHARES):
        row = {q: sum(r["found"][q][i] for r in probe) / flips for q in ("ordered", "random")}
        rows.append({"shown": share, **row, "times": row["ordered"] / row["random"]})
    return {
        "train": sum(record["train"] for record in probe),
        "flips": flips,
        "found": rows,
        "models": {name: figures(own) for name, own in records.items() if own},
    }


def figures(records: Sequence[Record]) -> Record:
    """UA of every condition over all answers, and paired differences."""

    def joined(key: str) -> list[str]:
        return [value for record in records for value in record[key]]

    names = [name for name in CONDITIONS if name in records[0]["answers"]]
    answers = {name: [a for r in records for a in r["answers"][name]] for name in names}
    of = draws(joined("labels"), answers, joined("speakers"), joined("clips"))
    ua = of.ua
    loss = ua["clean"] - ua["flipped"]
    return {
        "answers": len(joined("labels")),
        "clips": len(set(joined("clips"))),
        "speakers": len(set(joined("speakers"))),
        "classes": ordered(joined("labels")),
        "ua": {name: asdict(of.interval(ua[name])) for name in names},
        "lost": asdict(of.interval(loss)),
        "won": {n: asdict(of.interval(ua[n] - ua["flipped"])) for n in names[2:]},
        "recovered": {n: float(((ua[n] - ua["flipped"]) / loss)[0]) for n in names[2:]},
    }


def main(argv: Sequence[str] | None = None) -> int:
    """0: done; 1: an error is on stderr."""
    return command("bench.loop", __doc__ or "", configure, run, argv)


if __name__ == "__main__":
    sys.exit(main())
