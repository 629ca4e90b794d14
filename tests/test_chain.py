"""The README's chain on the bundled corpus: every command, and better than chance at the end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CHANCE = 1 / 7

CHAIN = """
train prepare --corpus emodb --out data
train fit --stage 1 --data data --out first --epochs 4 --evaluations 2
train fit --stage 2 --data data --from first --out second --epochs 2 --evaluations 2
train merge --run second --out model
train evaluate --model model --data data --out evaluation --record
"""


@pytest.mark.long
def test_from_recordings_to_an_analysis(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "AUDIOLLM_DEVICE": "cpu"}

    def call(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    for line in CHAIN.strip().splitlines():
        call(*line.split())
    result = json.loads((tmp_path / "evaluation" / "result.json").read_text())
    assert result["metrics"]["failures"] == 0
    assert result["data"]["speakers"] == ["emodb-10", "emodb-13"]
    # clearly above chance on speakers that it did not see, not only by luck
    assert result["metrics"]["ua"]["low"] > 1.5 * CHANCE
    examples = sorted((ROOT / "assets" / "examples").glob("*.flac"))
    out = call("audiollm", *map(str, examples), "--model", "model", "--json", "--language", "zh")
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == len(examples)
    assert all(sum(line["probabilities"].values()) == pytest.approx(1) for line in lines)
