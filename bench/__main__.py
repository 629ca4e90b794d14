"""`python -m bench`: the product's work against the straightforward way, one table.

    python -m bench --out docs/results/bench.json                  Qwen2.5-0.5B as random weights
    python -m bench --llm DIR --model DIR                          a real one, and a model of it
    python -m bench --quick                                        one measurement of each, smaller

Every row is measured in a process of its own, both ways in turns on the same clips and weights, so
ratios are from one run; seconds depend on the machine. Rows: bench/rows.py.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from audiollm.contracts.prepared import write_json
from bench import shapes
from bench.rows import ROWS, processor
from train.fit import runs

CLASSES = ("angry", "bored", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")


def measure(row: str, model: Path, llm: Path, quick: bool) -> dict[str, Any]:
    """A row as JSON values; with the reason in the place of figures where it failed."""
    command = [sys.executable, "-m", "bench.rows", row, "--model", str(model), "--llm", str(llm)]
    done = subprocess.run(
        [*command, *(["--quick"] if quick else [])], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"work": row, "failed": done.stderr.strip().splitlines()[-1:]}
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--llm", type=Path, metavar="DIR", help="of the size of Qwen2.5-0.5B")
    parser.add_argument("--model", type=Path, metavar="DIR", help="a model folder of that LLM")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--out", type=Path, metavar="FILE")
    args = parser.parse_args()
    began, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        llm = args.llm or shapes.llm_folder(folder / "llm")
        model = args.model or shapes.model_folder(folder / "model", llm, CLASSES)
        for name in tqdm(args.rows, unit="row"):
            rows.append({"row": name, **measure(name, model, llm, args.quick)})
    print(f"{'':<42}{'straightforward':>16}{'ours':>10}{'ratio':>8}  asked")
    for row in rows:
        if "failed" in row:
            print(f"{row['work']:<42}failed: {row['failed']}")
            continue
        digits = 0 if row["unit"] == "MiB" else 3
        values = f"{row['straightforward']:>16,.{digits}f}{row['ours']:>10,.{digits}f}"
        ratio = row["straightforward"] / row["ours"]
        target = f"{row['target']:g}" if row["target"] else row["limit"] or "-"
        print(f"{row['work']:<42}{values}{ratio:>8.1f}  {target}  {row['note']}")
    if args.out:
        about = {
            "run": runs.provenance("bench"),
            "seconds": round(time.monotonic() - began),
            "cores": os.cpu_count(),
            "processor": processor(),
            "llm": str(args.llm) if args.llm else "the shape of Qwen2.5-0.5B, random weights",
            "rows": rows,
        }
        write_json(args.out, about)


if __name__ == "__main__":
    main()
