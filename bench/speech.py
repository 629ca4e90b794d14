"""`python -m bench.speech`: what the check for speech misses, and what it takes for speech.

Every sound goes through `audio.require_speech`, as on the page. Misses are counted on real clips:
all of them as they are, and `--clips` of each folder under noise and as other kinds of voice
(`bench.voices`). False alarms are counted on synthesised sounds (`bench.nonspeech`). A table is
printed and the figures go to docs/results/speech.json.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from audiollm import audio
from audiollm.audio import speech
from audiollm.contracts.prepared import write_json
from audiollm.errors import NoSpeechError
from audiollm.settings import ASSETS
from bench import nonspeech, quality, tables
from bench.nonspeech import Rng, Samples
from bench.voices import VOICES
from train.command import main as command
from train.data.conditions import CONDITIONS
from train.fit import runs

NOISES = ("white", "pink", "babble")
SNRS = (20, 10, 5, 0)  # dB, of the mean power of the whole clip
TALKERS = 6  # of the babble


def passes(samples: Samples) -> bool:
    try:
        audio.require_speech(audio.from_array(samples, audio.SAMPLE_RATE))
    except NoSpeechError:
        return False
    return True


def spoken(samples: Samples, others: Sequence[Samples], rng: Rng) -> Iterator[tuple[str, Samples]]:
    """(condition, samples) of a clip; `others` talk in the babble."""
    babble = np.sum([np.resize(o, len(samples)) / _level(o) for o in others], 0)
    white, pink = (nonspeech.noise(rng, len(samples), slope) for slope in (0.0, 0.5))
    for name, noise in zip(NOISES, (white, pink, babble), strict=True):
        scaled = noise * (_level(samples) / _level(noise))
        for snr in SNRS:
            yield f"{name} noise, {snr} dB", (samples + scaled * 10 ** (-snr / 20)).astype("f")
    yield "30 dB fainter", samples * np.float32(10 ** (-30 / 20))
    for name in ("telephone", "small room"):
        yield name, CONDITIONS[name](samples, rng)
    for name, change in VOICES.items():
        yield name, change(samples, rng)


def _level(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples**2, dtype=np.float64))) + 1e-9


def sound_files(root: Path) -> list[Path]:
    """In order of their names.

    Raises:
        SystemExit: there are none.
    """
    paths = audio.sound_files(root)
    if not paths:
        raise SystemExit(f"{root} holds no sound files: name a folder of clips with --root.")
    return paths


def misses(root: Path, most: int, seed: int) -> dict[str, dict[str, int]]:
    """Condition -> how many clips of a folder were missed, of how many."""
    paths = sound_files(root)
    rng = np.random.default_rng(seed)
    sample = {int(i) for i in rng.choice(len(paths), min(most, len(paths)), replace=False)}
    counts: dict[str, dict[str, int]] = {}

    def count(condition: str, samples: Samples) -> None:
        row = counts.setdefault(condition, {"missed": 0, "clips": 0})
        row["clips"] += 1
        row["missed"] += not passes(samples)

    for i, path in enumerate(tqdm(paths, desc=root.name, unit="clip")):
        samples = audio.load(path).samples
        count("as it is", samples)
        if i in sample:
            rng = np.random.default_rng([seed, i])
            others = [audio.load(paths[k]).samples for k in rng.choice(len(paths), TALKERS)]
            for condition, changed in spoken(samples, others, rng):
                count(condition, changed)
    return counts


def alarms(each: int, seed: int) -> dict[str, dict[str, int]]:
    """Kind -> how many sounds were taken for speech, of how many."""
    counts: dict[str, dict[str, int]] = {}
    for kind, samples in tqdm(
        nonspeech.sounds(each, seed), total=each * len(nonspeech.KINDS), unit="sound"
    ):
        row = counts.setdefault(kind, {"alarms": 0, "sounds": 0})
        row["sounds"] += 1
        row["alarms"] += passes(samples)
    return counts


def speed(samples: Samples, times: int = 20) -> float:
    """Milliseconds of one core in which 4 s of a sound are searched: the median."""
    samples = np.resize(samples, 4 * audio.SAMPLE_RATE)
    took = []
    for _ in range(times):
        began = time.process_time()  # what others do on this machine does not count
        speech.detect(samples)
        took.append(1000 * (time.process_time() - began))
    return round(float(np.median(took)), 1)


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--root", type=Path, action="append", help="folder of clips, may be given again")
    add("--clips", type=int, default=10**6, help="of each folder under noise; all by default")
    add("--each", type=int, default=20, help="synthesised sounds of each kind")
    add("--seed", type=int, default=7, help="0 to 3 chose the thresholds")
    add("--result", type=Path, default=quality.RESULTS / "speech.json")


def run(args: argparse.Namespace) -> int:
    roots = args.root or [ASSETS / "emodb"]
    voice = audio.load(sound_files(roots[0])[0]).samples
    noise = nonspeech.noise(np.random.default_rng(args.seed), len(voice), 0.5)
    result: dict[str, Any] = {
        **runs.provenance("bench.speech"),
        "milliseconds_for_4_s": {
            "speech": speed(voice),
            "pink noise": speed((0.1 * noise / _level(noise)).astype(np.float32)),
        },
        "alarms": alarms(args.each, args.seed),
        "misses": {root.name: misses(root, args.clips, args.seed) for root in roots},
    }
    write_json(args.result, result)
    print(quality.markdown(tables.speech(result)))
    print(f"Milliseconds for 4 s: {result['milliseconds_for_4_s']}")
    return 0


if __name__ == "__main__":
    sys.exit(command("bench.speech", __doc__ or "", configure, run))
