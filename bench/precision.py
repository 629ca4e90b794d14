"""`python -m bench.precision --model DIR`: the arithmetic that this machine picks, against float32.

Every bundled clip is scored by both, and by the first also alone where it was in a batch. The
result says on how many clips the likeliest class is the same, and how far log-probabilities and
calibrated probabilities differ.
"""

import argparse
import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from audiollm import audio
from audiollm.audio.sound import Sound
from audiollm.contracts.prepared import write_json
from audiollm.predictor import Predictor
from audiollm.settings import ASSETS, Settings
from bench.rows import processor
from train.fit import runs

BATCH = 16


def table(predictor: Predictor, sounds: Sequence[Sound], batch: int) -> np.ndarray:
    """Probabilities [N, C] of the classes."""
    rows = []
    for start in tqdm(range(0, len(sounds), batch), desc=predictor.card.precision):
        for answer in predictor.classify(sounds[start : start + batch]):
            rows.append(list(answer.probabilities.values()))
    return np.array(rows)


def compare(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Agreement of the likeliest class, and differences of the probabilities [N, C]."""
    logs = np.abs(np.log(np.maximum(one, 1e-9)) - np.log(np.maximum(other, 1e-9)))
    likely = np.maximum(one, other) > 0.01  # of classes that nobody shows, any difference is large
    return {
        "clips": len(one),
        "same": float((one.argmax(1) == other.argmax(1)).mean()),
        "probability_mean": float(np.abs(one - other).mean()),
        "probability_max": float(np.abs(one - other).max()),
        "log_mean": float(logs[likely].mean()),
        "log_max": float(logs[likely].max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", required=True, metavar="ID")
    parser.add_argument("--clips", type=int, default=0, help="so many of them (default: all)")
    parser.add_argument("--out", type=Path, metavar="FILE")
    args = parser.parse_args()
    paths = sorted((ASSETS / "emodb").rglob("*.flac"))
    paths = paths[:: max(1, len(paths) // args.clips) if args.clips else 1]
    sounds = [audio.load(path, Settings.from_env()) for path in paths]
    predictor = Predictor.load(args.model, Settings.from_env())
    batched, alone = table(predictor, sounds, BATCH), table(predictor, sounds[: 4 * BATCH], 1)
    name = predictor.card.precision
    del predictor  # one LLM in memory at a time
    gc.collect()
    exact = table(Predictor.load(args.model, Settings.from_env(precision="float32")), sounds, BATCH)
    rows: dict[str, dict[str, float]] = {
        f"{name} against float32": compare(batched, exact),
        f"{name}, alone against in a batch": compare(alone, batched[: len(alone)]),
    }
    for work, row in rows.items():
        print(work, {key: round(value, 4) for key, value in row.items()})
    if args.out:
        about: dict[str, Any] = {"run": runs.provenance("bench.precision")}
        about |= {"processor": processor(), "cores": os.cpu_count(), "rows": rows}
        write_json(args.out, about)


if __name__ == "__main__":
    main()
