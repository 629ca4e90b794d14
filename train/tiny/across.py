"""The recipe of the small model on one corpus, judged on another: other people, language, rooms.

    python -m train.tiny.encoder --no-emodb --ased DIR --out runs/encoder-ased
    python -m train.tiny.encoder --out runs/encoder-emodb
    python -m train.tiny.across --ased DIR --encoder emodb=runs/encoder-emodb \\
        --encoder ased=runs/encoder-ased --out runs/across

Encoder, projector and LoRA have heard nothing of the corpus that judges them, and no figure of it
chose anything. Judged by the classes that both corpora have.
"""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import metrics
from audiollm.errors import DataError
from audiollm.settings import ASSETS
from train import probe, runs
from train.command import main as command
from train.dataset import load_prepared
from train.tiny import recipe
from train.tiny.folds import check_encoder

DIRECTIONS = (("emodb", "ased"), ("ased", "emodb"))  # trained on, judged on


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--emodb", default=str(ASSETS / "emodb"), metavar="DIR", help="default: the bundled EmoDB")
    add("--ased", required=True, metavar="DIR")
    words = "the encoder that was trained on CORPUS alone; for both"
    add("--encoder", action="append", required=True, metavar="CORPUS=DIR", help=words)
    add("--language", type=Path, default=Path("runs/tiny/language"), metavar="DIR")
    add("--out", type=Path, required=True, metavar="DIR", help="where models and results go")
    add("--result", type=Path, metavar="FILE", help="default: OUT/result.json")
    add("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    encoders = _encoders(args.encoder)
    sources = [("emodb", args.emodb), ("ased", args.ased)]
    recipe.walk([recipe.teach_language(args.language, args.seed)])
    found: dict[str, Any] = {}
    for learnt, judged in DIRECTIONS:
        check_encoder(encoders[learnt], judged)
        place = args.out / f"{learnt}-{judged}"
        sides, shared = ("--test-corpus", judged), ("--shared-classes",)
        steps = recipe.chain(
            place, sources, args.language, encoders[learnt], args.seed, sides, judged=shared
        )
        recipe.walk(steps)
        found[f"{learnt} to {judged}"] = measured(place)
    result = {
        "directions": found,
        "run": {
            "command": shlex.join(["python", "-m", "train.tiny.across", *sys.argv[1:]]),
            "seconds": round(time.monotonic() - began),
            "versions": runs.provenance([], {})["versions"],
        },
    }
    path = args.result or args.out / "result.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for direction, figures in found.items():
        for name, m in figures.items():
            if name != "classes":
                ua = m["ua"]
                print(
                    f"{direction}, {name}: UA {ua['value']:.3f} [{ua['low']:.3f}, {ua['high']:.3f}]"
                )
    print(path)
    return 0


def measured(place: Path) -> dict[str, Any]:
    """Figures of model and probes on the clips of the classes that both sides have.

    A folder of two corpora knows the classes of both, so the model has answers that it never
    heard; those and the clips of such classes are left out here. Keys: `classes`, `model`, and
    one for each linear probe (`metrics.Metrics`).
    """
    prepared = load_prepared(place / "data")
    sides = [{clip.label for clip in prepared.split(side)} for side in ("train", "test")]
    classes = tuple(name for name in prepared.classes if all(name in side for side in sides))
    result = json.loads((place / "evaluate" / "result.json").read_text(encoding="utf-8"))
    rows = [row for row in result["clips"] if row["label"] in classes]
    known = {clip.id: clip for clip in prepared.split("test")}
    clips = [known[row["id"]] for row in rows]
    given = np.array([[row["probabilities"][name] for name in classes] for row in rows])
    tables = {"model": given / given.sum(1, keepdims=True)}
    for kind, table in probe.probe_tables(prepared, clips=clips, classes=classes).items():
        tables[f"probe, {kind}"] = table
    truth, speakers = [clip.label for clip in clips], [clip.speaker for clip in clips]
    found: dict[str, Any] = {"classes": classes}
    for name, table in tables.items():
        answers = [classes[i] for i in table.argmax(1)]
        found[name] = metrics.report(truth, answers, table, classes, speakers).to_dict()
    return found


def _encoders(given: list[str]) -> dict[str, Path]:
    """CORPUS=DIR of both corpora.

    Raises:
        DataError: one is missing, or names another corpus.
    """
    found = {name: Path(folder) for name, _, folder in (text.partition("=") for text in given)}
    wanted = {learnt for learnt, _ in DIRECTIONS}
    if set(found) != wanted:
        raise DataError(
            f"--encoder must be given for {' and '.join(sorted(wanted))}, as CORPUS=DIR, not "
            f"{', '.join(given)}."
        )
    return found


if __name__ == "__main__":
    sys.exit(command("train.tiny.across", __doc__, configure, run))
