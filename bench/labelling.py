"""`python -m bench.labelling`: from a key on the Label page until the next clip can be played.

The page runs in a process of its own with a queue of bundled voices; Chromium presses a key, waits
as long as somebody listens, and presses the next. Printed are milliseconds; with `--out` as JSON.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from audiollm.contracts.prepared import write_json
from audiollm.labelling.store import LabelStore
from audiollm.labelling.tasks import REASONS, Task
from audiollm.texts import text
from bench.served import ROOT, STARTUP, chromium, served
from train.fit import runs

VOICES = ROOT / "assets" / "emodb" / "audio"
CLASSES = ("angry", "bored", "disgusted", "fearful", "happy", "neutral", "sad")
CARD = "#label-card .clip[data-task]"
# From a key until a sound of another clip can be played
PRESS = """key => new Promise((done) => {
  const task = () => document.querySelector("#label-card .clip")?.dataset.task;
  const before = task(), begun = performance.now();
  const look = () => {
    const sound = document.querySelector("#label-card audio");
    const there = task() && task() !== before && sound?.getAttribute("src");
    if (there && sound.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA)
      done(performance.now() - begun);
    else requestAnimationFrame(look);
  };
  const pressed = { key, code: "Digit" + key, bubbles: true };
  document.body.dispatchEvent(new KeyboardEvent("keydown", pressed));
  look();
})"""


def queue(clips: int) -> list[Task]:
    """So many clips with answers; few files are enough, for each clip is decoded when it comes."""
    paths = sorted(VOICES.glob("*.flac"))
    shares = [2.0**-n for n in range(1, len(CLASSES) + 1)]
    return [
        Task(
            id=f"{number:064x}",
            path=str(paths[number % len(paths)]),
            seconds=2.0,
            source="bench",
            reason=REASONS[number % len(REASONS)],
            score=1 - number / clips,
            original=CLASSES[number % len(CLASSES)],
            model="tiny",
            answer=dict(zip(CLASSES, shares, strict=True)),
        )
        for number in range(clips)
    ]


def measure(page: Page, presses: int, pause: float) -> list[float]:
    """Milliseconds of each key; `pause`: seconds of listening before it."""
    page.get_by_role("tab", name=text("tab_label", "en"), exact=True).click()
    page.fill("#label-person input, #label-person textarea", "Ann")
    page.wait_for_selector(f"{CARD} svg")
    page.locator("#label-intro").click()
    times = []
    for number in range(presses):
        page.wait_for_timeout(1000 * pause)
        times.append(float(page.evaluate(PRESS, str(number % len(CLASSES) + 1))))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--clips", type=int, default=2000, help="in the queue")
    parser.add_argument("--presses", type=int, default=60, help="keys that are measured")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds of listening to a clip")
    parser.add_argument("--out", type=Path, help="JSON file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, sync_playwright() as tool:
        home = Path(place)
        LabelStore(home).add_tasks(queue(args.clips))
        with served("--model", "tiny", home=home) as url:
            browser = chromium(tool)
            page = browser.new_page(locale="en-US")
            page.set_default_timeout(STARTUP * 1000)
            page.goto(url)
            page.wait_for_selector("#about .about b")
            times = measure(page, args.presses, args.pause)
            browser.close()
    figures: dict[str, Any] = {
        "run": runs.provenance("bench.labelling"),
        "queued": args.clips,
        "presses": args.presses,
        "median_ms": round(statistics.median(times)),
        "p95_ms": round(statistics.quantiles(times, n=20)[-1]),
    }
    print("\n".join(f"{name} {figures[name]}" for name in figures if name != "run"))
    if args.out:
        write_json(args.out, figures)


if __name__ == "__main__":
    main()
