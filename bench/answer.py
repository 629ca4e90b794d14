"""`python -m bench.answer`: how soon the probabilities are there, and how soon the text is.

The bundled examples are answered as the page does it: sound file in, views out. The
straightforward way shows an answer when its text is complete; here the probabilities come first.
Medians over clips and rounds, seconds, and their ratio; the model is loaded and warm.
`--browser` measures what a person sees: from the moment a file is chosen in Chromium until the
bars are drawn, upload, queue and drawing included, and how much of that the upload takes.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from audiollm.settings import Settings
from audiollm.web.analyse import actions
from audiollm.web.services import EXAMPLES, MIXED, Services, read_examples

Times = Iterator[tuple[float, float, float]]  # s until (upload, bars, whole text) are there

# Looks at every frame that the browser draws, from the choice of a file on
WATCH = """() => {
  const drawn = (what) => document.querySelector(what)?.checkVisibility();
  document.querySelector("#sound input[type=file]").addEventListener("change", () => {
    const began = performance.now();
    window.bars = window.whole = 0;
    window.uploaded = () => {
      const all = performance.getEntriesByType("resource");
      return (all.findLast(e => e.name.includes("/upload?")).responseEnd - began) / 1000;
    };
    const look = () => {
      const passed = (performance.now() - began) / 1000;
      if (!bars && drawn("#figure .point path")) window.bars = passed;
      if (bars && drawn(".analysis p:not(.growing)")) window.whole = passed;
      else requestAnimationFrame(look);
    };
    look();
  }, true);
}"""


def on_the_server(clips: list[Path], rounds: int, model: str) -> Times:
    services = Services.start(Settings.from_env(model=model))
    services.predictor()
    list(actions.analyse(services, str(clips[0]), "en"))  # imports of the first answer
    for _ in tqdm(range(rounds), unit="round"):
        for clip in clips:
            began = time.monotonic()
            bars = whole = None
            for view in actions.analyse(services, str(clip), "en"):
                if view.answered and bars is None:
                    bars = time.monotonic() - began
                if view.actions and whole is None:
                    whole = time.monotonic() - began
            if bars is None or whole is None:
                raise SystemExit(f"{clip} got no answer.")
            yield 0.0, bars, whole


def in_a_browser(clips: list[Path], rounds: int, model: str) -> Times:
    from playwright.sync_api import sync_playwright

    from bench.served import STARTUP, chromium, served

    with served("--model", model) as url, sync_playwright() as tool:
        page = chromium(tool).new_page()
        page.set_default_timeout(STARTUP * 1000)
        for turn in tqdm(range(-1, rounds), unit="round"):  # the first warms up
            for clip in clips:
                page.goto(url)
                page.wait_for_selector("#about .about b")
                page.wait_for_timeout(1000)  # plotly has drawn its empty figure
                page.evaluate(WATCH)
                page.set_input_files("#sound input[type=file]", clip)
                page.wait_for_function("window.whole > 0")
                page.locator("#course .main-svg").first.wait_for()
                if turn >= 0:
                    yield page.evaluate("uploaded()"), page.evaluate("bars"), page.evaluate("whole")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="tiny", metavar="ID")
    words = "recordings to answer (default: the bundled examples)"
    parser.add_argument("--clips", nargs="+", type=Path, metavar="FILE", help=words)
    parser.add_argument("--browser", action="store_true", help="from the choice of a file on")
    args = parser.parse_args()
    clips = args.clips or [e.path for e in read_examples(EXAMPLES) if e.label != MIXED]
    measure = in_a_browser if args.browser else on_the_server
    uploads, first, whole = zip(*measure(clips, args.rounds, args.model), strict=True)
    soon, late = statistics.median(first), statistics.median(whole)
    place = "in Chromium" if args.browser else "on the server"
    print(f"{len(clips)} clips, {args.rounds} rounds, {place}")
    print(f"{'':<28}{'seconds':>8}{'ratio':>8}")
    print(f"{'text complete':<28}{late:>8.2f}{1:>8.2f}")
    print(f"{'probabilities shown':<28}{soon:>8.2f}{soon / late:>8.2f}")
    if args.browser:
        since = statistics.median(b - u for u, b in zip(uploads, first, strict=True))
        print(f"{'... after the upload ended':<28}{since:>8.2f}{since / late:>8.2f}")
    print(f"{'nine of ten are there after':<28}{statistics.quantiles(first, n=10)[-1]:>8.2f}")


if __name__ == "__main__":
    main()
