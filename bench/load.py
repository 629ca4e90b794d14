"""`python -m bench.load`: 200 visitors with 2,000 good and bad sounds, as a browser asks.

The page runs in a process of its own. Each visitor has a session and asks through it for one sound
after the other: upload, place in the queue, event stream. No two sounds are alike: the length of an
answer tells whose it is, and so does the name in a refusal, which must be the sentence that the
decoder gives alone. Printed are what was lost, mixed up or refused a place, the time until an
answer (s), and the memory of the page (MiB) after each tenth; with `--out` as JSON as well.
"""

import argparse
import json
import secrets
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import soundfile

from audiollm import audio
from audiollm.contracts.prepared import write_json
from audiollm.errors import AudioError
from bench.labelling import VOICES
from bench.rows import processor
from bench.served import running
from train.fit import runs

API = "/gradio_api"
BAD = 4  # every so many sounds one cannot be used
LONGEST = 1800.0  # s until an answer; longer is lost
STEP = 16  # samples that each sound is shorter than the one before: 1 ms, as answers are rounded
WARM = 0.5  # share of the requests after which memory is to stay


@dataclass(frozen=True)
class Asked:
    """A sound, and what its answer must say."""

    path: Path
    seconds: float  # of the answer; 0: none
    refusal: str  # sentence; "": none


def sounds(folder: Path, count: int) -> list[Asked]:
    """So many files, no two alike."""
    voice, rate = soundfile.read(sorted(VOICES.glob("*.flac"))[0], dtype="int16")
    voice = np.resize(voice, max(len(voice), count * STEP + rate))
    made = []
    for number in range(count):
        path = folder / f"clip-{number}.wav"
        soundfile.write(path, voice[number * STEP :], rate)
        if number % BAD == 0:
            spoil(path, number // BAD)
        made.append(Asked(path, *expected(path)))
    return made


def spoil(path: Path, kind: int) -> None:
    """Make a file that is refused, in one of several ways."""
    whole = path.read_bytes()
    kinds = (
        whole[: len(whole) // 2],  # cut off
        b"a list, not a sound\n" * 400,
        whole[:12] + bytes(len(whole)),  # no chunks
        b"fLaC" + bytes(2000),
        b"OggS" + whole[4:],
        b"",
        whole[:20] + b"\xff\xff" + whole[22:],  # no such codec
        whole[:44] + bytes(len(whole)),  # silence
    )
    path.write_bytes(kinds[kind % len(kinds)])


def expected(path: Path) -> tuple[float, str]:
    """Seconds of a sound; or the sentence of its refusal."""
    try:
        sound = audio.load(path)
        audio.require_speech(sound)
    except AudioError as error:
        return 0.0, str(error)
    return sound.seconds, ""


class Visitor:
    """One session of a browser."""

    def __init__(self, url: str, function: int) -> None:
        self.client = httpx.Client(base_url=url + API, timeout=LONGEST, trust_env=False)
        self.session, self.function = secrets.token_hex(8), function

    def ask(self, asked: Asked) -> tuple[str, float]:
        """What came of it ("" where all is well), and seconds until then."""
        began = time.monotonic()
        try:
            outcome = self._answer(asked)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            outcome = f"lost: {type(error).__name__}: {error}"
        return outcome, time.monotonic() - began

    def _answer(self, asked: Asked) -> str:
        with asked.path.open("rb") as file:
            sent = self.client.post("/upload", files={"files": file})
        path = sent.raise_for_status().json()[0]
        given = {"path": path, "meta": {"_type": "gradio.FileData"}}
        body = {"data": [given, "en"], "fn_index": self.function, "session_hash": self.session}
        joined = self.client.post("/queue/join", json=body)
        if joined.is_error:
            return f"no place: {joined.status_code}"
        return compared(asked, self._stream(joined.json()["event_id"]))

    def _stream(self, event: str) -> dict[str, Any]:
        """The closing message of an event."""
        answer: dict[str, Any] = {}
        way = {"session_hash": self.session}
        with self.client.stream("GET", "/queue/data", params=way) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:") or "{}")
                if message.get("msg") == "process_completed" and message["event_id"] == event:
                    answer = message
        return answer


def compared(asked: Asked, answer: dict[str, Any]) -> str:
    """ "" where the answer is that of the sound."""
    if not answer:
        return "lost: the stream ended"
    output = answer["output"]
    if asked.refusal:
        return "" if output.get("error") == asked.refusal else f"mixed up: {output}"
    if not answer["success"]:
        return f"refused: {output.get('error')}"
    found = output["data"][0]["seconds"]
    return "" if found == round(asked.seconds, 3) else f"mixed up: {found} for {asked.seconds}"


def memory(process: psutil.Process) -> float:
    """MiB of a process and its children."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def measure(url: str, process: psutil.Process, asked: list[Asked], visitors: int) -> dict[str, Any]:
    """All visitors at once, each with its share of the sounds."""
    config = httpx.get(f"{url}/config", trust_env=False).json()
    (function,) = (d["id"] for d in config["dependencies"] if d["api_name"] == "analyse")
    outcomes: list[tuple[str, float]] = []
    held, lock = [memory(process)], threading.Lock()

    def visit(number: int) -> None:
        visitor = Visitor(url, function)
        for one in asked[number::visitors]:
            outcome = visitor.ask(one)
            with lock:
                outcomes.append(outcome)
                if not len(outcomes) % max(1, len(asked) // 10):
                    held.append(memory(process))
                    print(f"{len(outcomes)} answers, {held[-1]:.0f} MiB", flush=True)

    began = time.monotonic()
    with ThreadPoolExecutor(visitors) as threads:
        list(threads.map(visit, range(visitors)))
    seconds = [s for outcome, s in outcomes if not outcome]
    return {
        "visitors": visitors,
        "requests": len(outcomes),
        "bad": sum(bool(one.refusal) for one in asked),
        "seconds": time.monotonic() - began,
        "failed": Counter(outcome.partition(":")[0] for outcome, _ in outcomes if outcome),
        "outcomes": sorted(outcome for outcome, _ in outcomes if outcome),
        "p50": statistics.median(seconds),
        "p95": statistics.quantiles(seconds, n=20)[-1],
        "memory": held,
        **grown(held),
    }


def grown(held: list[float]) -> dict[str, float]:
    """How much memory grows after the warm-up, as shares: to its end, and to its highest."""
    later = held[round(WARM * (len(held) - 1)) :]
    return {"growth": later[-1] / later[0] - 1, "highest": max(later) / later[0] - 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--requests", type=int, default=2000, help="of all together")
    parser.add_argument("--model", default="tiny", metavar="ID")
    parser.add_argument("--out", type=Path, metavar="FILE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        asked = sounds(Path(place), args.requests)
        with running("--model", args.model, AUDIOLLM_HOME=place) as (url, process):
            found = measure(url, psutil.Process(process.pid), asked, args.visitors)
    print(f"{found['requests']} requests of {found['visitors']} visitors, {found['bad']} bad ones")
    print(f"failed: {dict(found['failed'])}; p50 {found['p50']:.1f} s, p95 {found['p95']:.1f} s")
    print(f"memory after warm-up {found['growth']:+.1%}, at most {found['highest']:+.1%}")
    if args.out:
        about = {"run": runs.provenance("bench.load"), "processor": processor()}
        write_json(args.out, about | {"model": args.model, **found})


if __name__ == "__main__":
    main()
