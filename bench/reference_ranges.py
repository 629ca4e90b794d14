"""`python -m bench.reference_ranges DIR...`: the ranges of prosody.REFERENCES measured again.

Prints the middle 80 % of every cue over the neutral clips of prepared folders, by register.
"""

import argparse
from pathlib import Path

import numpy as np

from audiollm.audio.prosody import REFERENCES, Cues
from train.data.dataset import load_prepared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="made by `python -m train prepare`")
    clips = [c for f in parser.parse_args().folders for c in load_prepared(f).clips]
    neutral = [Cues.from_dict(c.cues) for c in clips if c.label == "neutral" and c.cues]
    print(f"{'cue':<18}{'register':<10}{'clips':>6}{'10 %':>9}{'90 %':>9}   in the code")
    for reference in REFERENCES:
        for register in ("low", "high"):
            measured = [getattr(c, reference.cue) for c in neutral if c.register == register]
            values = [v for v in measured if v is not None]
            low, high = np.percentile(values, (10, 90))
            print(
                f"{reference.cue:<18}{register:<10}{len(values):>6}{low:>9.2f}{high:>9.2f}   "
                f"{getattr(reference, register)}"
            )


if __name__ == "__main__":
    main()
