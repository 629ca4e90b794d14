"""What the log of a command that failed means: one sentence, with what to do."""

import re
from collections.abc import Sequence

GPU_FULL = (
    "The GPU's memory is full: choose fewer examples at once or a smaller language model, end "
    "other programs on it, and press Resume."
)
MEMORY_FULL = (
    "The memory of this machine is full: choose fewer examples at once or a smaller model, "
    "close other programs, and press Resume."
)
UNREACHABLE = (
    "The model hub cannot be reached: connect this machine to the network, or put the model into "
    "the folder models/ of AUDIOLLM_HOME, and press Resume."
)
LOST = "The file {path} is missing: put it back, or prepare the recordings again, and press Resume."

# the last line that one of these is found in decides
_SIGNS = (
    (re.compile(r"CUDA out of memory|CUDA error: out of memory|OutOfMemoryError"), GPU_FULL),
    (re.compile(r"^MemoryError\b|can't allocate memory|Cannot allocate memory"), MEMORY_FULL),
    (
        re.compile(
            r"ConnectionError|ConnectTimeout|MaxRetryError|NameResolutionError|LocalEntryNotFound"
            r"|OfflineModeIsEnabled"
        ),
        UNREACHABLE,
    ),
)
_MISSING = re.compile(r"^FileNotFoundError: .*?'([^']+)'")


def meaning(lines: Sequence[str]) -> str:
    """A sentence for the last lines of a failed command's log; "" where they tell nothing known."""
    for line in reversed(lines):
        if found := _MISSING.search(line):
            return LOST.format(path=found[1])
        for sign, sentence in _SIGNS:
            if sign.search(line):
                return sentence
    return ""
