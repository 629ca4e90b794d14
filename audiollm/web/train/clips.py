"""One recording of those that one may train on, to listen to. No gradio here.

Nobody names a file: the clip is drawn from what the recordings' own list holds, and is decoded
here, so what reaches the browser is sound and nothing else.
"""

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from audiollm import audio
from audiollm.errors import DataError
from audiollm.jobs.queue import ROOT
from audiollm.settings import Settings
from audiollm.web.auth.access import opened
from audiollm.web.said import SaidError
from audiollm.web.services import Services
from audiollm.web.train.look import Heard, Insight

LONGEST = 120.0  # s
PATIENCE = 120  # s until a data set has given the sound of a row


def draw(found: Insight, label: str = "", last: str = "") -> Heard:
    """A clip of a class, or of any where it is "", and another one than the last where it can be.

    Args:
        last: path of the clip before.

    Raises:
        SaidError: there is none.
    """
    members = [clip for clip in found.heard if label in ("", clip.label)]
    others = [clip for clip in members if clip.path != last]
    if not members:
        raise SaidError("hear_none")
    return random.choice(others or members)  # noqa: S311


def sound(services: Services, found: Insight, clip: Heard) -> tuple[int, np.ndarray]:
    """Sample rate in Hz and int16 samples [N] of a clip.

    Raises:
        ShutError: see `opened`.
        AudioError: it cannot be decoded, or is longer than `LONGEST`.
        DataError: it is not among these recordings, or its sound is gone.
    """
    settings = opened(services)
    if clip not in found.heard:
        raise DataError(f"{clip.path} is not among these recordings.")
    return load(settings, found.place if found.prepared else None, clip.path, clip.id)


def load(settings: Settings, prepared: Path | None, path: str, id: str) -> tuple[int, np.ndarray]:
    """Sample rate in Hz and int16 samples [N] of a clip of a list that this program made.

    prepared: the folder that knows where the sound lies, where it is no file.

    Raises:
        AudioError: it cannot be decoded, or is longer than `LONGEST`.
        DataError: its sound is gone.
    """
    row = prepared is not None and not Path(path).is_file()
    source = _row(prepared, id) if row and prepared else Path(path)
    limit = min(LONGEST, settings.max_seconds)
    made = audio.load(source, replace(settings, max_seconds=limit))
    return audio.SAMPLE_RATE, np.rint(made.samples * 32767).astype(np.int16)


def _row(folder: Path, id: str) -> bytes:
    """The sound of a clip that lies in a data set."""
    command = [sys.executable, "-m", "train", "look", "--data", str(folder), "--clip", id]
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=ROOT, capture_output=True, timeout=PATIENCE, check=True
        )
    except subprocess.TimeoutExpired:
        raise SaidError("look_slow", place=folder) from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise DataError(said[-1] if error.returncode == 2 and said else str(error)) from None
    return done.stdout
