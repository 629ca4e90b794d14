"""`python -m bench.answer`: how soon the probabilities are there, and how soon the text is.

The bundled examples are answered as the page does it: sound file in, views out. The
straightforward way shows an answer when its text is complete; here the probabilities come first.
Medians over clips and rounds, seconds, and their ratio; the model is loaded and warm.
"""

import argparse
import statistics
import time

from tqdm import tqdm

from audiollm.settings import Settings
from audiollm.ui.analyse import actions
from audiollm.ui.services import Services


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="tiny", metavar="ID")
    args = parser.parse_args()
    services = Services.start(Settings.from_env(model=args.model))
    services.predictor()
    clips = [e.path for e in services.examples if e.label != "mixed"]
    list(actions.analyse(services, str(clips[0]), "en"))  # imports of the first answer
    first, whole = [], []
    for _ in tqdm(range(args.rounds), unit="round"):
        for clip in clips:
            began = time.monotonic()
            bars = text = None
            for view in actions.analyse(services, str(clip), "en"):
                if view.answered and bars is None:
                    bars = time.monotonic() - began
                if view.actions and text is None:
                    text = time.monotonic() - began
            if bars is None or text is None:
                raise SystemExit(f"{clip} got no answer.")
            first.append(bars)
            whole.append(text)
    soon, late = statistics.median(first), statistics.median(whole)
    print(f"{len(clips)} clips, {args.rounds} rounds, on {services.predictor().card.device}")
    print(f"{'':<28}{'seconds':>8}{'ratio':>8}")
    print(f"{'text complete':<28}{late:>8.2f}{1:>8.2f}")
    print(f"{'probabilities shown':<28}{soon:>8.2f}{soon / late:>8.2f}")


if __name__ == "__main__":
    main()
