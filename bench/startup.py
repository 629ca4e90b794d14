"""How long the page takes to be there: `python -m bench.startup`.

`app.py` opens the page at once and loads the model behind it. The straightforward way loads the
model first and then opens the page; both start in a fresh process, in turns. Seconds until the
page answers, and until the model has, medians over the rounds.
"""

import argparse
import json
import statistics
import time

import httpx
from tqdm import tqdm

from bench.served import STARTUP, served

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
    began = time.monotonic()
    with served(program=program) as url:
        there = time.monotonic() - began
        with httpx.Client(base_url=url, timeout=STARTUP, trust_env=False) as client:
            event = client.post("/gradio_api/call/model", json={"data": []}).json()["event_id"]
            client.get(f"/gradio_api/call/model/{event}").raise_for_status()  # waits for the model
        return there, time.monotonic() - began


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
