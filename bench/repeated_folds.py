"""`python -m bench.repeated_folds`: LLM against linear probe, repeated stratified folds.

    python -m bench.repeated_folds --features DIR --llm FOLDER --repeats 2 --out runs/chiser5

DIR holds the original project's train.json, valid.json and features/. Every repeat cuts all of
their clips anew into folds (test: one, validation: the next, training: the others), and every
fold goes through `prepare`, `fit` (both stages), `merge` and `evaluate`. Checkpoints, temperature
and the probe's penalty are chosen on validation clips alone. What is done is skipped when the
command is run again.

Shapes: M answers (a clip has one in each repeat), N clips, C classes.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from audiollm import metrics
from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.contracts.options import read_json
from audiollm.contracts.prepared import write_json, write_text
from audiollm.errors import DataError
from audiollm.model import calibration
from train.data.dataset import Prepared, load_prepared
from train.fit import runs
from train.fit.probe import fit_probe

# Options of fit, the same in every fold.
BOTH = "--languages en --per-clip 1 --class-token-weight 5 --batch-size 8"
PROJECTOR = "--utterance-tokens 2 --dropout 0.5 --input-dropout 0.5 --noise 0.3"
STAGE_1 = (
    f"{BOTH} --auxiliary 1 --evaluations 2 {PROJECTOR} --pretraining-epochs 80 --max-steps 80 "
    "--learning-rate 1e-3"
)
STAGE_2 = (
    f"{BOTH} --auxiliary 0 --evaluations 3 --max-steps 60 --learning-rate 3e-4 --lora-dropout 0.1"
)
REPLICATES = 2000  # of the bootstrap of differences

Runner = Callable[[list[str]], None]


@dataclass(frozen=True)
class Plan:
    """What decides the figures; a folder of results belongs to one plan."""

    features: str
    llm: str
    folds: int = 5
    stage_1: str = STAGE_1
    stage_2: str = STAGE_2


def commands(plan: Plan, place: Path, repeat: int, fold: int) -> list[tuple[Path, list[str]]]:
    """(file that shows that it is done, arguments of `python -m train`) of every step."""
    data, first, second, model, test = (
        str(place / name) for name in ("data", "stage1", "stage2", "model", "test")
    )
    splits = f"--split random --seed {repeat} --folds {plan.folds} --fold {fold}"
    listed = [
        ("data/prepare.json", f"prepare --corpus original {splits}", "--root", plan.features),
        ("stage1/metrics.json", f"fit --stage 1 {plan.stage_1}", "--data", data, "--llm", plan.llm),
        ("stage2/metrics.json", f"fit --stage 2 {plan.stage_2}", "--data", data, "--from", first),
        (f"model/{MANIFEST_NAME}", "merge", "--run", second),
        ("test/result.json", "evaluate", "--model", model, "--data", data),
    ]
    return [
        (place / done, [*words.split(), *rest, "--out", out])
        for (done, words, *rest), out in zip(
            listed, (data, first, second, model, test), strict=True
        )
    ]


def one_fold(
    plan: Plan, out: Path, repeat: int, fold: int, run: Runner, tick: Callable[[str], object]
) -> dict[str, Any]:
    """The record of a fold: answers of stage 1, stage 2 and probe to every test clip."""
    place = out / f"repeat{repeat}-fold{fold}"
    record = place / "fold.json"
    steps = commands(plan, place, repeat, fold)
    for done, argv in steps:
        tick(f"repeat {repeat} fold {fold}: {argv[0]} {argv[2] if argv[0] == 'fit' else ''}")
        if record.is_file() or done.is_file():
            continue
        started = done.parent / runs.RUN_NAME
        again = argv[0] == "fit" and started.is_file()
        run(["fit", "--resume", str(done.parent)] if again else argv)
    tick(f"repeat {repeat} fold {fold}: stage 1 and probe")
    if not record.is_file():
        write_text(record, json.dumps(_record(place, repeat, fold)) + "\n")
    fold_record: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return fold_record


def _record(place: Path, repeat: int, fold: int) -> dict[str, Any]:
    from audiollm.contracts.manifest import Manifest
    from train.fit.merge import score_run

    prepared = load_prepared(place / "data")
    result = json.loads((place / "test" / "result.json").read_text(encoding="utf-8"))
    names = prepared.classes
    table = [[c["probabilities"][n] for n in names] for c in result["clips"]]
    best = score_run(place / "stage1", prepared, "test").argmax(1)
    first = {c.id: names[i] for c, i in zip(prepared.split("test"), best, strict=True)}
    probe, heated = _probe(prepared)
    return {
        "repeat": repeat,
        "fold": fold,
        "classes": names,
        "clips": {split: len(prepared.split(split)) for split in ("train", "valid", "test")},
        "seconds": {stage: _seconds(place / stage) for stage in ("stage1", "stage2")},
        "validation": {s: runs.read(place / s).metrics() for s in ("stage1", "stage2")},
        "temperature": read_json(Manifest, place / "model" / MANIFEST_NAME).calibration.temperature,
        "id": [c["id"] for c in result["clips"]],
        "label": [c["label"] for c in result["clips"]],
        "stage1": [first[c["id"]] for c in result["clips"]],
        "stage2": table,
        "probe": probe.tolist(),
        "probe_with_temperature": heated.tolist(),
    }


def _probe(prepared: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [N, C] of the test clips by the project's probe, plain and with the
    temperature that the validation clips ask for, as the LLM has it."""
    x, y = {}, {}
    for split in ("train", "valid", "test"):
        clips = prepared.split(split)
        x[split] = np.stack([prepared.store.get(c.id).utterance for c in clips])
        y[split] = [c.label for c in clips]
    names = prepared.classes
    probe = fit_probe(x["train"], y["train"], x["valid"], y["valid"], names)
    logs = {split: np.log(np.maximum(probe.predict_proba(x[split]), 1e-12)) for split in x}
    fitted = calibration.fit(logs["valid"], y["valid"], names)
    return np.exp(logs["test"]), calibration.apply(logs["test"], names, fitted)


def _seconds(run: Path) -> float:
    """Wall seconds of training by `progress.jsonl`."""
    lines = (run / "progress.jsonl").read_text(encoding="utf-8").strip().split("\n")
    times = [json.loads(line)["time"] for line in lines]
    return round(times[-1] - times[0], 1)


def summarise(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures over all answers, their 95 % intervals resampling clips, and every fold's own."""
    names = tuple(records[0]["classes"])
    ids = [i for r in records for i in r["id"]]
    truth = [label for r in records for label in r["label"]]
    tables = {
        key: np.array([row for r in records for row in r[key]], dtype=float)
        for key in ("stage2", "probe", "probe_with_temperature")
    }
    for key, table in tables.items():
        tables[key] = table / table.sum(1, keepdims=True)
    answers = {key: [names[i] for i in table.argmax(1)] for key, table in tables.items()}
    answers["stage1"] = [a for r in records for a in r["stage1"]]
    figures = {}
    for key, predicted in sorted(answers.items()):
        # every clip is a unit of its own, in all repeats
        report = metrics.report(truth, predicted, tables.get(key), names, ids).short()
        for value in report.values():
            if isinstance(value, dict):
                value["unit"] = "clips"
        figures[key] = {k: v for k, v in report.items() if k not in ("failures", "speakers")}
    hits = {key: np.equal(predicted, truth).astype(float) for key, predicted in answers.items()}
    row = np.arange(len(truth)), np.array([names.index(t) for t in truth])
    costs = {key: -np.log(np.maximum(table[row], 1e-12)) for key, table in tables.items()}
    folds = []
    for r in records:
        mine = {k: [names[i] for i in np.argmax(r[k], 1)] for k in ("stage2", "probe")}
        mine["stage1"] = r["stage1"]
        wa = {k: float(np.equal(v, r["label"]).mean()) for k, v in sorted(mine.items())}
        columns = ("repeat", "fold", "clips", "seconds", "validation", "temperature")
        folds.append({**{k: r[k] for k in columns}, "wa": wa})
    return {
        "answers": len(truth),
        "clips": len(set(ids)),
        "figures": figures,
        "differences": {
            "wa: stage 2 - stage 1": paired(hits["stage2"] - hits["stage1"], ids),
            "wa: stage 2 - probe": paired(hits["stage2"] - hits["probe"], ids),
            "nll: stage 2 - probe": paired(costs["stage2"] - costs["probe"], ids),
            "nll: stage 2 - probe with temperature": paired(
                costs["stage2"] - costs["probe_with_temperature"], ids
            ),
        },
        "folds": folds,
    }


def paired(differences: np.ndarray, ids: Sequence[str]) -> dict[str, float]:
    """Mean of differences [M] and its 95 % bootstrap interval over clips, not over answers."""
    units = np.unique(np.array(ids), return_inverse=True)[1]
    total, count = np.bincount(units, differences), np.bincount(units)
    drawn = np.random.default_rng(0).integers(0, len(total), (REPLICATES, len(total)))
    means = total[drawn].sum(1) / count[drawn].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"value": float(differences.mean()), "low": float(low), "high": float(high)}


def _check(plan: Plan, out: Path) -> None:
    """Results of another plan are not mixed with these."""
    path = out / "plan.json"
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != asdict(plan):
            raise DataError("recipe_other_settings", folder=out)
        return
    write_json(path, asdict(plan))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--features", required=True, metavar="DIR", help="train.json beside it")
    parser.add_argument("--llm", required=True, metavar="ID", help="folder, preset or hub id")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--results", type=Path, metavar="FILE", help="default: OUT/results.json")
    parser.add_argument("--stage-1", default=STAGE_1, metavar="'...'", help="arguments of fit")
    parser.add_argument("--stage-2", default=STAGE_2, metavar="'...'", help="arguments of fit")
    args = parser.parse_args()
    plan = Plan(args.features, args.llm, args.folds, args.stage_1, args.stage_2)
    _check(plan, args.out)
    log = args.out / "log.txt"

    def run(argv: list[str]) -> None:
        with log.open("ab") as file:
            subprocess.run(
                [sys.executable, "-m", "train", *argv], stderr=file, stdout=file, check=True
            )

    records = []
    with tqdm(total=args.repeats * args.folds * 6, unit="step") as bar:

        def tick(what: str) -> None:
            bar.set_description(what)
            bar.update()

        for repeat in range(args.repeats):
            for fold in range(args.folds):
                records.append(one_fold(plan, args.out, repeat, fold, run, tick))
                summary = {
                    **runs.provenance("bench.repeated_folds"),
                    "plan": asdict(plan),
                    "complete": len(records) == args.repeats * args.folds,
                    **summarise(records),
                }
                write_json(args.results or args.out / "results.json", summary)
    print(args.results or args.out / "results.json")


if __name__ == "__main__":
    main()
