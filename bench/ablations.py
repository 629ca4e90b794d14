"""Ablations of the recipe: one setting of a stage changed at a time.

    python -m train prepare --encoder whisper-base-front --corpus emodb --root assets/emodb \\
        --copies 2 --out runs/ablations/data
    python -m bench.ablations --data runs/ablations/data --llm runs/tiny/language \\
        --out runs/ablations

Every row trains on the training speakers and is tested on the validation speakers, in the order of
`VARIANTS`; a row that is done is skipped. `--data` needs validation speakers, frames and
functionals, which `prepare` makes by default. Writes OUT/result.json.
"""

import argparse
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import metrics
from audiollm.contracts.manifest import Calibration
from audiollm.contracts.prepared import write_json
from audiollm.contracts.result import interval
from audiollm.model import calibration
from train.command import main as command
from train.data.dataset import Prepared, load_prepared
from train.data.speakers import Count
from train.fit import merge, probe, runs
from train.tiny.recipe import STAGE_1, STAGE_2, Step, run_steps


@dataclass(frozen=True)
class Variant:
    """A stage of the recipe with other options in folder of its own; "" takes an option out.

    Stage 2 starts from the recipe's own stage 1.
    """

    name: str
    options: dict[str, str]
    stage: int = 1

    def words(self) -> list[str]:
        own = (STAGE_1 if self.stage == 1 else STAGE_2).split()
        options = dict(zip(own[::2], own[1::2], strict=True))
        if self.stage == 1:
            options["--no-functionals"] = " "  # as the recipe prepares its data
        options |= self.options
        return [
            w for key, value in options.items() if value != "" for w in (key, *shlex.split(value))
        ]


COMPARED = 8  # clips of a speaker baseline
FRAMES = {"--pooling": "frames", "--utterance-tokens": "", "--baseline": ""}
VARIANTS = (
    Variant("the recipe", {}),
    Variant("no pretraining", {"--pretraining-epochs": "0"}),
    Variant(
        "no auxiliary head, so no pretraining", {"--pretraining-epochs": "0", "--auxiliary": "0"}
    ),
    Variant("class token weighs as any other", {"--class-token-weight": "1"}),
    Variant("class token not smoothed", {"--label-smoothing": "0"}),
    Variant("no noise on features", {"--noise": "0"}),
    Variant("hidden layer's dropout 0.1", {"--dropout": "0.1"}),
    Variant("encoder's features never left out", {"--input-dropout": "0"}),
    Variant("projector 512 wide", {"--hidden-size": "512"}),
    Variant("4 utterance tokens", {"--utterance-tokens": "4"}),
    Variant("frames, 2 tokens a second", FRAMES | {"--tokens-per-second": "2"}),
    Variant("a token of functionals", {"--no-functionals": ""}),
    Variant("never a speaker baseline", {"--baseline": ""}),
    Variant("a speaker baseline in 3 of 4 examples", {"--baseline": "0.75"}),
    Variant("asked in English alone", {"--languages": "en"}),
    Variant("asked in Chinese alone", {"--languages": "zh"}),
    Variant("stage 2 of the recipe", {}, 2),
    Variant("stage 2, LoRA rank 4", {"--lora-rank": "4", "--lora-alpha": "8"}, 2),
    Variant("stage 2, LoRA rank 64", {"--lora-rank": "64", "--lora-alpha": "128"}, 2),
    Variant("stage 2, rate 5e-4", {"--learning-rate": "5e-4"}, 2),
)


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="prepared folder")
    add("--llm", required=True, metavar="DIR", help="the LLM after its language stage")
    add("--out", type=Path, default=Path("runs/ablations"), metavar="DIR")
    add("--only", type=int, nargs="+", metavar="I", help="these rows, numbered from 0")
    add("--seed", type=int, default=0)


def measure(table: np.ndarray, prepared: Prepared) -> dict[str, Any]:
    """UA, WA, NLL of probabilities [N, C] of the validation clips."""
    clips, classes = prepared.split("valid"), prepared.classes
    truth, speakers = [c.label for c in clips], [c.speaker for c in clips]
    return metrics.of_table(truth, table, classes, speakers).short()


def scored(folder: Path, prepared: Prepared, count: Count = 0) -> dict[str, Any]:
    """The same of a run. count: clips of a speaker baseline."""
    scores = merge.score_run(folder, prepared, "valid", count)
    return measure(calibration.apply(scores, prepared.classes, Calibration()), prepared)


def run(args: argparse.Namespace) -> int:
    prepared = load_prepared(args.data)
    rows: list[dict[str, Any]] = []
    for number, variant in enumerate(VARIANTS):
        if args.only and number not in args.only:
            continue
        folder = args.out / f"{number:02d}"
        start = ["--llm", args.llm] if variant.stage == 1 else ["--from", str(args.out / "00")]
        words = ["train", "fit", "--stage", str(variant.stage), "--data", str(args.data), *start]
        words += ["--out", str(folder), "--seed", str(args.seed), *variant.words()]
        run_steps([Step(folder / "metrics.json", tuple(words))])
        rows.append({"name": variant.name, "options": variant.options})
        rows[-1] |= scored(folder, prepared)
        if runs.read(folder).projector.baseline:
            rows[-1]["compared"] = scored(folder, prepared, COMPARED)["ua"]
        print(line(rows[-1]), flush=True)
    for kind, table in probe.probe_tables(prepared, "valid").items():
        rows.append({"name": f"linear probe, {kind}", "options": {}} | measure(table, prepared))
        print(line(rows[-1]))
    result = {
        "rows": rows,
        "recipe": [STAGE_1, STAGE_2],
        **runs.provenance("bench.ablations"),
    }
    write_json(args.out / "result.json", result)
    return 0


def line(row: dict[str, Any]) -> str:
    """One row for a terminal."""
    ua, wa = interval(row["ua"]), interval(row["wa"])
    compared = f"  {row['compared']['value']:.3f}" if "compared" in row else ""
    return f"{row['name']:<40}{ua:<24}{wa:<24}{row['nll']:.3f}{compared}"


if __name__ == "__main__":
    sys.exit(command("bench.ablations", __doc__, configure, run))
