"""The rows of `python -m bench`: each is a piece of work, done in the straightforward way and as
the product does it, on the same clips and weights, in the same process, in turns.

    python -m bench.rows ROW --model DIR --llm DIR [--quick]     prints one row as JSON
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

# row -> module and function that measures it
ROWS = {
    "probabilities": "bench.answering:probabilities",
    "text": "bench.answering:text",
    "emotion2vec": "bench.encoding:emotion2vec",
    "whisper": "bench.encoding:whisper",
    "stage-1": "bench.fitting:stage_1",
    "stage-2": "bench.fitting:stage_2",
    "timeline": "bench.encoding:timeline",
    "start": "bench.starting:start",
    "memory-answer": "bench.answering:memory",
    "memory-stage-2": "bench.fitting:memory",
}


@dataclass(frozen=True)
class Row:
    """One piece of work in two ways. Values are medians, in `unit`."""

    work: str
    way: str  # the straightforward way
    straightforward: float
    ours: float
    unit: str  # s or MiB: less is better
    repeats: int
    target: float  # of the ratio; 0: none is asked
    note: str = ""
    limit: str = ""  # of `ours`, where one is asked


@dataclass(frozen=True)
class Setting:
    """What the rows are measured on."""

    model: Path  # a model folder, of the LLM's size
    llm: Path  # the LLM alone
    quick: bool

    def repeats(self, most: int = 5) -> int:
        return 1 if self.quick else most


def in_turns(
    straightforward: Callable[[], object],
    ours: Callable[[], object],
    repeats: int,
    warm: bool = True,
) -> tuple[float, float]:
    """Median seconds of both ways, alternately; with `warm` after one of each, not counted."""
    if warm:
        ours()
        straightforward()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for way, seconds in zip((straightforward, ours), times, strict=True):
            began = time.perf_counter()
            way()
            seconds.append(time.perf_counter() - began)
    return statistics.median(times[0]), statistics.median(times[1])


def peak() -> float:
    """Largest resident memory of this process so far, in MiB."""
    from train.fit import callbacks

    return callbacks.peaks()["memory"] / 2**20


def peaks(module: str, folder: Path) -> tuple[float, float]:
    """Peak memory in MiB of both ways, by `python -m MODULE WAY FOLDER`, a process for each."""
    sizes = []
    for way in ("straightforward", "ours"):
        command = [sys.executable, "-m", module, way, str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        sizes.append(float(done.stdout.split()[-1]))
    return sizes[0], sizes[1]


def processor() -> str:
    """Name and number formats of the CPU; "" where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    fields = dict(line.split("\t", 1)[0:2] for line in lines if "\t" in line)
    name, flags = (fields.get(key, "").strip(": \t") for key in ("model name", "flags"))
    formats = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return ", ".join(filter(None, (name, *formats)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("row", choices=ROWS)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--llm", type=Path, required=True, metavar="DIR")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    module, _, function = ROWS[args.row].partition(":")
    row: Row = getattr(import_module(module), function)(Setting(args.model, args.llm, args.quick))
    print(json.dumps(asdict(row)))


if __name__ == "__main__":
    main()
