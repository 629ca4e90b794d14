"""Commands in processes of their own, alone or as `accelerate launch` starts them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def launch(place: Path, words: str) -> str:
    """`python -m train WORDS` by two processes; what they print."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = (
        f"-m accelerate.commands.launch --multi_gpu --num_processes 2 --main_process_port {port}"
    )
    return call(
        place, f"{start} --num_machines 1 --mixed_precision no --dynamo_backend no -m train {words}"
    )


def call(place: Path, words: str) -> str:
    """`python WORDS` on the CPU, which must succeed; what it prints."""
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "AUDIOLLM_DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, *words.split()],
        cwd=place,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
