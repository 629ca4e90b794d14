"""How long the page takes to be there: `python -m bench.startup`.

`app.py` opens the page at once and loads the model behind it. The straightforward way loads the
model first and then opens the page; both start in a fresh process, in turns. Seconds until the
page answers, and until the model has, medians over the rounds.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 180.0  # s
AFTER_THE_MODEL = """
import sys
from audiollm.predictor import Predictor
from audiollm.settings import Settings
ready = Predictor.load("tiny", Settings.from_env())
from audiollm.ui import services
services._loader = lambda *_: lambda: ready
import app
app.main(sys.argv[1:])
"""
WAYS = {"model behind the page": ["app.py"], "model first": ["-c", AFTER_THE_MODEL]}


def start(program: list[str]) -> tuple[float, float]:
    """(seconds until the page answers, seconds until its model is loaded) of a fresh process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *program, "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        with httpx.Client(base_url=url, timeout=LIMIT, trust_env=False) as client:
            while True:
                try:
                    client.get("/").raise_for_status()
                    break
                except httpx.TransportError as error:
                    if process.poll() is not None or time.monotonic() - began > LIMIT:
                        raise SystemExit("The page did not start.") from error
                    time.sleep(0.02)
            there = time.monotonic() - began
            event = client.post("/gradio_api/call/model", json={"data": []}).json()["event_id"]
            client.get(f"/gradio_api/call/model/{event}").raise_for_status()  # waits for the model
            return there, time.monotonic() - began
    finally:
        process.terminate()
        process.wait(timeout=LIMIT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    with tqdm(total=args.rounds * len(WAYS), unit="start") as bar:
        for _ in range(args.rounds):
            for name, program in WAYS.items():
                found[name].append(start(program))
                bar.update()
    medians = {
        name: [statistics.median(column) for column in zip(*times, strict=True)]
        for name, times in found.items()
    }
    slow = medians["model first"]
    print("| way | page, s | of it | model, s | of it |\n|---|---|---|---|---|")
    for name, (page, model) in medians.items():
        print(
            f"| {name} | {page:.1f} | {page / slow[0]:.2f} | {model:.1f} | {model / slow[1]:.2f} |"
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
