"""`python -m bench.growth`: how the time grows with length, classes, batch and corpus.

Each sweep is measured at several sizes, the median of three; the slope is that of log seconds over
log size (1: the time grows with the size, 0: it does not). The bundled model; `--out` writes JSON.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import audio
from audiollm.contracts.prepared import write_json
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt
from audiollm.model.scoring import Scorer
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from bench.answering import clip
from bench.scoring import seconds
from tests import prepared
from train.data.dataset import load_prepared
from train.fit import runs

REPEATS = 3
Work = Callable[[], object]
Sweep = Iterable[tuple[int, Work]]


def lengths(predictor: Predictor, quick: bool) -> Sweep:
    """Seconds of a recording -> its probabilities."""
    part = clip(60.0).samples
    for size in (1, 4, 16, 60) if quick else (1, 4, 16, 60, 240, 900, 3600):
        samples = np.resize(part, size * audio.SAMPLE_RATE)
        sound = audio.from_array(samples, audio.SAMPLE_RATE)
        yield size, partial(predictor.classify, [sound])


def classes(predictor: Predictor, quick: bool) -> Sweep:
    """Classes with words of their own -> scores of eight clips."""
    scorer = predictor._scorer
    clips = _features(predictor, 8)
    for size in (4, 16, 64) if quick else (4, 8, 16, 32, 64):
        names = tuple(f"{a}{b}" for a in "bdfglmnprst" for b in "aeiouy")[:size]
        prompt = Prompt(scorer.prompt.tokenizer, names, languages=scorer.prompt.languages)
        larger = Scorer(scorer.model, prompt)
        yield size, partial(larger.score, clips, [None] * 8, "en")


def batches(predictor: Predictor, quick: bool) -> Sweep:
    """Clips in a batch -> their scores."""
    for size in (1, 8, 64) if quick else (1, 2, 4, 8, 16, 32, 64):
        clips = _features(predictor, size)
        yield size, partial(predictor._scorer.score, clips, [None] * size, "en")


def corpora(folder: Path, quick: bool) -> Sweep:
    """Clips of a prepared corpus -> opened, with the features of 100 of them read."""
    for size in (100, 1000) if quick else (100, 1000, 10_000):
        data = prepared.write(folder / str(size), frames=False, per_class=size // 5)
        yield size, partial(_open, data)


def _open(folder: Path) -> None:
    corpus = load_prepared(folder)
    for one in corpus.clips[:: max(1, len(corpus.clips) // 100)]:
        corpus.store.get(one.id)


def _features(predictor: Predictor, count: int) -> list[Features]:
    width = predictor.manifest.projector.input_size
    random = np.random.default_rng(0)
    return [Features(random.standard_normal(width).astype(np.float32)) for _ in range(count)]


def measure(sweep: Sweep) -> dict[str, Any]:
    times_by_size = {size: seconds(work, REPEATS) for size, work in sweep}
    sizes, times = np.log(list(times_by_size)), np.log(list(times_by_size.values()))
    half = len(times_by_size) // 2  # of the larger half: small sizes have costs of their own
    slope = float(np.polyfit(sizes[half:], times[half:], 1)[0]) if len(times_by_size) > 3 else None
    return {"seconds": {str(size): value for size, value in times_by_size.items()}, "slope": slope}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer and smaller sizes")
    parser.add_argument("--out", type=Path, metavar="FILE")
    args = parser.parse_args()
    predictor = Predictor.load("tiny", Settings.from_env())
    with tempfile.TemporaryDirectory() as folder:
        sweeps = {
            "seconds of a recording": lengths(predictor, args.quick),
            "classes, 8 clips": classes(predictor, args.quick),
            "clips in a batch": batches(predictor, args.quick),
            "clips of a corpus, opened": corpora(Path(folder), args.quick),
        }
        rows = {name: measure(sweep) for name, sweep in sweeps.items()}
    for name, row in rows.items():
        times = ", ".join(f"{size}: {value:.3f} s" for size, value in row["seconds"].items())
        slope = "" if row["slope"] is None else f"; slope {row['slope']:.2f}"
        print(f"{name}: {times}{slope}")
    if args.out:
        write_json(args.out, {"run": runs.provenance("bench.growth"), "rows": rows})


if __name__ == "__main__":
    main()
