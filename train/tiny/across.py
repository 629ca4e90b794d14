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

from audiollm.errors import DataError
from audiollm.settings import ASSETS
from train import runs
from train.tiny import recipe
from train.tiny.command import main as command
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
        whole = json.loads((place / "evaluate" / "result.json").read_text(encoding="utf-8"))
        found[f"{learnt} to {judged}"] = {
            "notes": whole["notes"],
            "model": whole["metrics"],
            **{f"probe, {kind}": m for kind, m in whole["probes"].items()},
        }
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
    for direction, measured in found.items():
        for name, m in measured.items():
            if name != "notes":
                ua = m["ua"]
                print(
                    f"{direction}, {name}: UA {ua['value']:.3f} [{ua['low']:.3f}, {ua['high']:.3f}]"
                )
    print(path)
    return 0


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
    sys.exit(command("across", __doc__, configure, run))
