"""`python -m bench.visitors`: many visitors at once against one after the other.

The page runs in a process of its own; each visitor asks its API for the bundled examples in turn.
Printed are answers a second, the time until an answer (median and 95th percentile, in seconds), and
how many requests were refused or failed; with `--out` as JSON as well. Both ways use the same
server, so the ratio is that of answering visitors together.
"""

import argparse
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file

from audiollm.contracts.prepared import write_json
from audiollm.web.services import EXAMPLES, MIXED, read_examples
from bench.served import served
from train.fit import runs


def bundled() -> list[Path]:
    """The example clips of one emotion."""
    return [e.path for e in read_examples(EXAMPLES) if e.label != MIXED]


def ask(client: Client, clip: Path) -> tuple[float, str]:
    """Seconds until the answer, and why there is none."""
    began = time.monotonic()
    try:
        client.predict(handle_file(clip), "en", api_name="/analyse")
    except Exception as error:  # a queue that is full, a server that fails
        return time.monotonic() - began, f"{type(error).__name__}: {error}"
    return time.monotonic() - began, ""


def measure(client: Client, clips: list[Path], visitors: int, requests: int) -> dict[str, Any]:
    """All visitors at once, each with so many requests, one after the other."""
    turns = count()

    def visit(_: int) -> list[tuple[float, str]]:
        return [ask(client, clips[next(turns) % len(clips)]) for _ in range(requests)]

    began = time.monotonic()
    with ThreadPoolExecutor(visitors) as threads:
        answers = [a for own in threads.map(visit, range(visitors)) for a in own]
    seconds = [s for s, failure in answers if not failure]
    return {
        "visitors": visitors,
        "requests": len(answers),
        "failed": sorted(failure for _, failure in answers if failure),
        "answers_a_second": len(seconds) / (time.monotonic() - began),
        "median": statistics.median(seconds),
        "p95": statistics.quantiles(seconds, n=20)[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--visitors", type=int, default=32)
    parser.add_argument("--requests", type=int, default=5, help="of each visitor")
    parser.add_argument("--model", default="tiny", metavar="ID")
    parser.add_argument("--out", type=Path, metavar="FILE")
    args = parser.parse_args()
    clips = bundled()
    with served("--model", args.model) as url:
        client = Client(url, verbose=False, max_workers=2 * args.visitors)
        for clip in clips:  # warm
            ask(client, clip)
        alone = measure(client, clips, 1, args.visitors)
        together = measure(client, clips, args.visitors, args.requests)
    ratio = together["answers_a_second"] / alone["answers_a_second"]
    result = {
        "run": runs.provenance("bench.visitors"),
        "model": args.model,
        "one": alone,
        "together": together,
        "ratio": ratio,
    }
    print(f"{'':<14}{'answers/s':>10}{'median':>8}{'p95':>8}{'failed':>8}")
    for figures in (alone, together):
        name = f"{figures['visitors']} at once"
        row = f"{name:<14}{figures['answers_a_second']:>10.2f}{figures['median']:>8.2f}"
        print(row + f"{figures['p95']:>8.2f}{len(figures['failed']):>8}")
    print(f"ratio {ratio:.2f}")
    if args.out:
        write_json(args.out, result)


if __name__ == "__main__":
    main()
