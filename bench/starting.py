"""Row of `python -m bench`: from `python app.py` to a page that answers requests."""

import statistics
import tempfile
import time
from pathlib import Path

from bench.rows import Row, Setting
from bench.served import served

FIRST = """
import runpy, sys
sys.path.insert(0, "")
import funasr, gradio, librosa, peft, plotly, torch, transformers
from audiollm.predictor import Predictor
from audiollm.settings import Settings
Predictor.load("tiny", Settings.from_env())
sys.argv[0] = "app.py"
runpy.run_path("app.py", run_name="__main__")
"""


def start(setting: Setting) -> Row:
    repeats = setting.repeats(3)
    with tempfile.TemporaryDirectory() as folder:
        slow = Path(folder) / "all_first.py"
        slow.write_text(FIRST, encoding="utf-8")
        before, ours = (
            statistics.median(_seconds((name,)) for _ in range(repeats))
            for name in (str(slow), "app.py")
        )
    way, limit = "import and load everything first", "4 s at most"
    return Row("app.py to a page", way, before, ours, "s", repeats, 0, limit=limit)


def _seconds(program: tuple[str, ...]) -> float:
    began = time.monotonic()
    with served(program=program):
        return time.monotonic() - began
