"""The recipe of the small model on speakers and on corpora that it was not trained on.

    python -m train.tiny.protocols --corpora emodb=DIR ased=DIR casia=DIR emovo=DIR nemo=DIR \\
        --out runs/protocols --result docs/results/protocols.json

(a) New speakers: speakers of every corpus are left out in turn, one fold after the other; all
others of all corpora train. (b) New corpora: each corpus is left out whole, the others train.
Projector and LoRA are trained anew in every fold, without a validation split. The linear probe is
fitted on the same clips. The calibrations fitted on the answers of all folds are written, too, for
`merge --calibration`.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from audiollm.contracts.options import to_json
from audiollm.contracts.prepared import write_json
from audiollm.errors import DataError
from train.command import main as command
from train.fit import runs
from train.tiny import answers, card, recipe
from train.tiny.answers import Fold
from train.tiny.recipe import Recipe, Source

CALIBRATION = "calibration.json"
FOLDS = {"emodb": 8, "ased": 5, "casia": 3, "emovo": 6, "nemo": 7}  # 5 of ASED's 54 speakers


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    words = "corpora of the folds; a name alone is bundled"
    add("--corpora", nargs="+", required=True, metavar="NAME=DIR", help=words)
    add("--language", type=Path, default=Path("runs/tiny/language"), metavar="DIR")
    add("--out", type=Path, required=True, metavar="DIR", help="results of the folds")
    add("--result", type=Path, metavar="FILE", help="default: OUT/protocols.json")
    add("--only", nargs="+", metavar="FOLD", help="these folds only, without a result")
    add("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    sources = recipe.parse(args.corpora)
    recipe.run_steps([recipe.pretrain(args.language, args.seed)])
    small = recipe.small()
    folds = run_folds(small, args.out, sources, args.language, args.seed, args.only or ())
    if args.only:
        return 0
    result, calibrations = answers.measure([Fold.read(args.out / name, name) for name in folds])
    result["run"] = {
        **runs.provenance("train.tiny.protocols"),
        "seconds": round(time.monotonic() - began),
        "recipe": {key.upper(): getattr(small, key) for key in ("encoder", "stage_1", "stage_2")},
    }
    path = args.result or args.out / "protocols.json"
    write_json(path, result)
    (args.out / CALIBRATION).write_text(to_json(calibrations), encoding="utf-8")
    print("\n".join(card.figures(result)))
    print(f"{path}\n{args.out / CALIBRATION}")
    return 0


def run_folds(
    base: Recipe,
    out: Path,
    sources: Sequence[Source],
    llm: Path | str,
    seed: int,
    only: Sequence[str] = (),
    one_thread: bool = True,
    most: int = max(FOLDS.values()),
) -> Sequence[str]:
    """Runs a recipe on folds, on all unless `only` names some; returns their names. The speakers of
    a corpus are in `most` parts at most.

    Every fold is a folder of `out` with a model and an evaluation; they share the features.
    """
    first = recipe.prepare(base, out / "data", sources, seed, ("--test", "0"))
    recipe.run_steps([first], one_thread)
    folds = dict(plan([name for name, _ in sources], most))
    names = only or tuple(folds)
    if unknown := set(names) - set(folds):
        raise DataError("recipe_no_fold", fold=", ".join(sorted(unknown)), known=", ".join(folds))
    for name in names:
        recipe.share_features(out / "data", out / name / "data")
        steps = recipe.chain(base, out / name, sources, llm, seed, folds[name])
        recipe.run_steps(steps, one_thread)
    return names


def plan(
    corpora: Sequence[str], most: int = max(FOLDS.values())
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name of the fold, options of `prepare`) of both protocols."""
    parts = {name: min(FOLDS.get(name, 5), most) for name in corpora}
    counts = ",".join(f"{name}={count}" for name, count in parts.items())
    for i in range(max(parts.values())):
        yield f"speakers-{i}", ("--folds", counts, "--fold", str(i))
    if len(corpora) > 1:
        for name in corpora:
            yield f"corpus-{name}", ("--test-corpus", name)


if __name__ == "__main__":
    sys.exit(command("train.tiny.protocols", __doc__, configure, run))
