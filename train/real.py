"""`python -m train real`: a Qwen2.5 trained on speech, from recordings to an evaluated model.

    python -m train real --llm qwen2.5-0.5b --corpora emodb ased=DIR casia=DIR --work runs/real

Every step is a command of this project: prepare, fit (both stages), merge, evaluate. A step whose
result exists is skipped and a fit that was interrupted is resumed, so the command can be stopped
and given again. docs/training.md says what each part of the recipe gives, how long it takes and
how much memory. `--folds` runs the recipe on new speakers and new corpora instead
(`train/tiny/protocols.py`), where stage 2 learns classes alone; the linear probe beside it is
fitted on the same clips.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.special import softmax

from audiollm.contracts.options import to_json
from audiollm.contracts.prepared import write_json
from train.data.dataset import load_prepared
from train.fit import runs
from train.tiny import answers, card, protocols, recipe
from train.tiny.answers import Fold
from train.tiny.recipe import Recipe

BOTH = (
    "--per-clip 1 --auxiliary 1 --auxiliary-by class --auxiliary-head embeddings --gain fixed "
    "--class-loss classes --distillation 0.95 --teacher probe"
)
STAGE_2 = f"{BOTH} --pretraining-epochs 0 --learning-rate 4e-4"
REAL = Recipe(
    encoder="whisper-base-front",
    copies=1,
    stage_1=(
        f"{BOTH} --class-only 1 --batch-size 64 --pooling utterance --utterance-tokens 1 "
        "--hidden-size 256 --pretraining-epochs 60 --max-steps 160 --evaluations 4 "
        "--learning-rate 7e-4"
    ),
    stage_2=(
        f"{STAGE_2} --class-only 0.25 --questions 0.9 --class-token-weight 10 --lora-dropout 0 "
        "--batch-size 8 --accumulate 2 --max-steps 240 --evaluations 6"
    ),
    merge="--store bfloat16 --questions",
)
SPEAKER_FOLDS = 3  # a run takes long: each speaker is still tested once
# Texts and free questions are most of the time of stage 2 and in no figure of the folds
FOLDS = replace(
    REAL,
    stage_2=(
        f"{BOTH} --pretraining-epochs 0 --learning-rate 2e-4 --class-only 1 --batch-size 64 "
        "--max-steps 24 --evaluations 2"
    ),
    merge="--store bfloat16",
)


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    words = "the LLM: a preset, hub id or folder"
    add("--llm", default="qwen2.5-0.5b", metavar="ID", help=words)
    words = "what to train on; a name alone is bundled (default: emodb)"
    add("--corpora", nargs="+", default=["emodb"], metavar="NAME[=DIR]", help=words)
    add("--work", type=Path, default=Path("runs/real"), metavar="DIR", help="results of the steps")
    words = "new speakers and new corpora in place of one model; names: some of them alone"
    add("--folds", nargs="*", metavar="FOLD", help=words)
    add("--result", type=Path, metavar="FILE", help="of the folds (default: WORK/folds.json)")
    words = "of the folds, for `merge` (default: a temperature of 1)"
    add("--calibration", type=Path, metavar="FILE", help=words)
    add("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    sources = recipe.parse(args.corpora)
    if args.folds is not None:
        return _folds(args, sources)
    testers = [name for name in recipe.TESTED if name.partition("-")[0] in dict(sources)]
    tested = ("--test-speakers", ",".join(testers)) if testers else ("--test", "0")
    merged = ("--calibration", str(args.calibration)) if args.calibration else ()
    evaluated = ("--record",) if testers else ()
    steps = recipe.chain(REAL, args.work, sources, args.llm, args.seed, tested, merged, evaluated)
    recipe.run_steps(steps, one_thread=False)
    print(args.work / "model")
    return 0


def _folds(args: argparse.Namespace, sources: list[recipe.Source]) -> int:
    began = time.monotonic()
    names = protocols.run_folds(
        FOLDS,
        args.work,
        sources,
        args.llm,
        args.seed,
        args.folds,
        one_thread=False,
        most=SPEAKER_FOLDS,
    )
    result, calibrations = answers.measure([_read(args.work / name, name) for name in names])
    result["folds"] = list(names)
    result["run"] = {
        **runs.provenance("train"),
        "seconds": round(time.monotonic() - began),
        "recipe": {key: getattr(FOLDS, key) for key in ("encoder", "stage_1", "stage_2")},
    }
    path = args.result or args.work / "folds.json"
    write_json(path, result)
    (args.work / protocols.CALIBRATION).write_text(to_json(calibrations), encoding="utf-8")
    print("\n".join(card.figures(result, "Qwen2.5")))
    print(path)
    return 0


def _read(folder: Path, name: str) -> Fold:
    """A fold with the answers of stage 1 beside those of the merged model."""
    from train.fit.merge import score_run

    fold, path = Fold.read(folder, name), folder / "stage1" / "test.json"
    if not path.is_file():
        prepared = load_prepared(folder / "data")
        scores = softmax(score_run(folder / "stage1", prepared, "test"), axis=1).tolist()
        rows = {clip.id: row for clip, row in zip(prepared.split("test"), scores, strict=True)}
        write_json(path, rows)
    rows = json.loads(path.read_text(encoding="utf-8"))
    first = np.array([rows[id] for id in fold.ids])
    return replace(fold, tables={"stage 1": first, **fold.tables})
