"""What answers rest on: how long it takes to find out, and what is found.

    python -m bench.evidence --clips 20 --out runs/evidence.json

For clips of assets/emodb and the bundled model: seconds (and CPU seconds) after the probabilities,
how often a cue or a part of the clip carries the answer, and where a changed cue arrives.
"""

import argparse
import csv
import random
import time
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import audio
from audiollm.audio import prosody, resynthesis
from audiollm.contracts.prepared import write_json
from audiollm.inference.attribution import explain
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from bench.rows import processor
from train.fit import runs

CLIPS = Path(__file__).parent.parent / "assets" / "emodb"


def measure(predictor: Predictor, path: Path, label: str) -> dict[str, Any]:
    """One clip, as plain values."""
    sound = audio.load(path, predictor.settings)
    followed = prosody.track(sound.samples)
    (scored,) = predictor._classifier.score_sounds([sound], "en", None, [followed])
    began, cpu = time.perf_counter(), time.process_time()
    analysis = explain(predictor._classifier, scored, sound, followed).analysis
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    moved = {}
    for e in analysis.evidence:
        if e.fall is not None:
            middle = (e.low + e.high) / 2
            samples = resynthesis.change_cue(sound.samples, followed, e.cue, e.value, middle)
            after = getattr(prosody.measure(samples), e.cue)
            moved[e.cue] = {"value": e.value, "wanted": middle, "after": after, "fall": e.fall}
    return {
        "file": path.name,
        "label": label,
        "answer": analysis.label,
        "probability": round(analysis.probability, 3),
        "seconds": round(sound.seconds, 2),
        "took": round(took, 3),
        "cpu": round(cpu, 3),
        "cues": moved,
        "carrying": [e.cue for e in analysis.carrying],
        "decisive": analysis.decisive,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.evidence", description=__doc__)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = list(csv.DictReader((CLIPS / "manifest.csv").open(encoding="utf-8")))
    random.Random(5).shuffle(rows)  # noqa: S311 - reproducible draw, no secret
    predictor = Predictor.load("tiny", Settings.from_env(device="cpu"))
    clips = [measure(predictor, CLIPS / r["file"], r["label"]) for r in rows[: args.clips]]
    took, cpu = ([clip[key] for clip in clips] for key in ("took", "cpu"))
    result = {
        "run": runs.provenance("bench.evidence"),
        "processor": processor(),
        "clips": clips,
        "measured": len(clips),
        "median_s": float(np.median(took)),
        "p95_s": float(np.percentile(took, 95)),
        "median_cpu_s": float(np.median(cpu)),
        "with_cues": sum(bool(clip["carrying"]) for clip in clips),
        "with_seconds": sum(bool(clip["decisive"]) for clip in clips),
    }
    print({key: value for key, value in result.items() if key not in ("run", "clips")})
    if args.out:
        write_json(args.out, result)


if __name__ == "__main__":
    main()
