"""`python -m bench.live`: answers while the microphone records, and uploads beside them.

The page runs in a process of its own. One speaker: Chromium, whose microphone plays the bundled
examples one after the other; the lag is the time from the last sample sent until the page
is painted with its answer. Four speakers: requests of the same form and pace without a browser,
as each has a computer of their own, while a visitor uploads the examples, alone and beside them.
Printed are seconds; with `--out` as JSON as well.
"""

import argparse
import base64
import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile
from gradio_client import Client
from playwright.sync_api import sync_playwright

from audiollm.audio import SAMPLE_RATE
from audiollm.contracts.prepared import write_json
from audiollm.web.analyse.live import EVERY, SECONDS
from bench.answering import clip
from bench.served import STARTUP, chromium, served
from bench.visitors import ask, bundled
from train.fit import runs

HEARD = 30.0  # s of sound of the examples, again and again
WIRE = "live-wire"  # id of the component that sends
# Of answers: whoever is told that the model is too slow is told so at once
LAGS = """performance.getEntriesByName("live")
  .filter((each) => /scored|silent/.test(each.detail)).map((each) => each.duration / 1000)"""
TOLD = "document.querySelector('.live-said.slow')"


def one(url: str, samples: np.ndarray, answers: int) -> list[float]:
    """Lag of the answers to one speaker, in the browser."""
    with tempfile.TemporaryDirectory() as place, sync_playwright() as tool:
        voice = Path(place) / "voice.wav"
        soundfile.write(voice, samples, SAMPLE_RATE, subtype="PCM_16")
        browser = chromium(
            tool,
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={voice}",
        )
        page = browser.new_page(locale="en-US")
        page.set_default_timeout(STARTUP * 1000)
        page.goto(url)
        page.wait_for_selector("#about .about b")
        page.click("#microphone .record-button")
        page.wait_for_function(f"{TOLD} || {LAGS}.length > {answers}")
        page.click("#microphone .stop-button")
        lags: list[float] = page.evaluate(LAGS)
        browser.close()
    return lags[1 : answers + 1]  # the browser loads the program of the figures with the first


def speak(
    url: str, samples: np.ndarray, name: str, ends: threading.Event
) -> list[tuple[str, float]]:
    """The pace of a page that records: state and seconds of each request, until `ends`."""
    config = httpx.get(f"{url}/config", trust_env=False, timeout=STARTUP).json()
    wire = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == WIRE)
    event = next(d for d in config["dependencies"] if [wire, "submit"] in d["targets"])
    answers, start = [], time.monotonic()
    with httpx.Client(trust_env=False, timeout=STARTUP) as client:
        while not ends.is_set():
            began = time.monotonic()
            last = round((began - start + SECONDS) * SAMPLE_RATE)
            piece = np.take(samples, range(last - round(SECONDS * SAMPLE_RATE), last), mode="wrap")
            coded = base64.b64encode((piece * 32767).astype("<i2").tobytes()).decode()
            message = {"rate": SAMPLE_RATE, "end": last / SAMPLE_RATE, "pcm": coded}
            body = {
                "data": [None, "en"],
                "event_data": message,
                "fn_index": event["id"],
                "session_hash": name,
            }
            answer = client.post(f"{url}/gradio_api/run/predict", json=body)
            html = json.dumps(answer.json()["data"][0])
            states = ("scored", "silent", "busy", "slow", "loading")
            state = next((s for s in states if f"live-said {s}" in html), "failed")
            answers.append((state, time.monotonic() - began))
            ends.wait(max(0.0, began + EVERY - time.monotonic()))
    return answers


def uploads(client: Client, clips: Sequence[Path], count: int) -> list[float]:
    """Seconds until the answers to uploads, one after the other.

    Raises:
        SystemExit: one failed.
    """
    answers = [ask(client, clips[number % len(clips)]) for number in range(count)]
    if failed := next((why for _, why in answers if why), ""):
        raise SystemExit(failed)
    return [seconds for seconds, _ in answers]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """
    Raises:
        SystemExit: there are none.
    """
    if len(seconds) < 2:
        raise SystemExit("Nothing was answered live: the model is too slow on this machine.")
    return {
        "answers": len(seconds),
        "median": statistics.median(seconds),
        "p95": statistics.quantiles(seconds, n=20)[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--answers", type=int, default=40, help="to the one speaker")
    parser.add_argument("--speakers", type=int, default=4, help="at once, beside uploads")
    parser.add_argument("--uploads", type=int, default=20)
    parser.add_argument("--model", default="tiny", metavar="ID")
    parser.add_argument("--out", type=Path, metavar="FILE")
    args = parser.parse_args()
    samples, clips, ends = clip(HEARD).samples, bundled(), threading.Event()
    with served("--model", args.model) as url:
        client = Client(url, verbose=False)
        uploads(client, clips, len(clips))  # warm
        lags = one(url, samples, args.answers)
        alone = uploads(client, clips, args.uploads)
        with ThreadPoolExecutor(args.speakers) as threads:
            speakers = [
                threads.submit(speak, url, samples, f"speaker-{n}", ends)
                for n in range(args.speakers)
            ]
            beside = uploads(client, clips, args.uploads)
            ends.set()
            requests = [each for speaker in speakers for each in speaker.result()]
    answered = [seconds for state, seconds in requests if state in ("scored", "silent")]
    result: dict[str, Any] = {
        "run": runs.provenance("bench.live"),
        "model": args.model,
        "every": EVERY,
        "one": spread(lags),
        "speakers": args.speakers,
        "together": spread(answered),
        "states": Counter(state for state, _ in requests),
        "uploads": {"alone": spread(alone), "beside": spread(beside)},
    }
    rows = {"one speaker": lags, f"{args.speakers} speakers": answered}
    for name, times in (rows | {"upload alone": alone, "upload beside them": beside}).items():
        figures = spread(times)
        print(f"{name:<20}{figures['median']:>8.2f}{figures['p95']:>8.2f}  of {figures['answers']}")
    print(dict(result["states"]))
    if args.out:
        write_json(args.out, result)


if __name__ == "__main__":
    main()
