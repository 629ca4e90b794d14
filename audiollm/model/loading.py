"""Progress of loading a model, for people who wait for it. No torch here."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiollm import hub
from audiollm.contracts.manifest import MANIFEST_NAME, Manifest
from audiollm.contracts.options import read_json
from audiollm.errors import AudioLLMError
from audiollm.settings import Settings

Step = Literal["program", "llm", "encoder", "trial"]
STEPS: tuple[Step, ...] = ("program", "llm", "encoder", "trial")
# A first guess in seconds, on 2 cores; corrected by how long the steps before have taken here
USUAL: dict[Step, float] = {"program": 5.0, "llm": 2.0, "encoder": 0.5, "trial": 1.0}
AGAIN = 0.1  # s: programs that another model has started already
READING = 300e6  # bytes a second from a disk into memory
DOUBT = 2.0  # s by which the guess counts beside what the steps before have taken
LATE = 0.1  # of a step's guess is left for as long as the step lasts longer than that


@dataclass(frozen=True)
class Came:
    """Progress of loading."""

    step: Step
    share: float | None  # of the whole way; None where its length is not known
    left: float | None  # s
    late: bool = False  # it takes longer than was guessed, as after an installation
    fetched: tuple[int, int] | None = None  # bytes of a download that are here, and of all of it


class Loading:
    """Written by the thread that loads, read by others.

    llm, encoder: bytes of their files; None where they are not on this machine yet, so that
    it is not known how long the download takes.
    """

    def __init__(
        self,
        llm: int | None,
        encoder: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._began: dict[Step, float] = {"program": clock()}
        self._most = 0.0  # largest share so far
        self._known = llm is not None and encoder is not None
        self._fetched = (0, 0)  # by the step
        self._guess = {
            "program": AGAIN if _has_torch() else USUAL["program"],
            "llm": USUAL["llm"] + (llm or 0) / READING,
            "encoder": USUAL["encoder"] + (encoder or 0) / READING,
            "trial": USUAL["trial"] + (llm or 0) / READING,  # its first pass goes through all of it
        }

    @classmethod
    def of(cls, id: str, settings: Settings) -> "Loading":
        """Before `Predictor.load(id, settings)`; a model that is not there is no error here."""
        folder, encoder = hub.here(id, settings), None
        if folder is not None:
            try:
                manifest = read_json(Manifest, folder / MANIFEST_NAME)
                encoder = hub.here(manifest.encoder.id, settings, kind="encoder")
            except AudioLLMError:  # a folder of the original project, or none that opens
                pass
        return cls(_bytes(folder), _bytes(encoder))

    def begin(self, step: Step) -> None:
        """The step before has ended."""
        self._began[step], self._fetched = self._clock(), (0, 0)

    def fetch(self, here: int, whole: int) -> None:
        """So many bytes of a download are here. Called by several threads."""
        self._fetched = here, whole

    def came(self) -> Came:
        began = list(self._began.items())
        step, since = began[-1]
        here, whole = self._fetched
        if here < whole:
            return Came(step, here / whole, None, fetched=(here, whole))
        if not self._known:
            return Came(step, None, None)
        done = [name for name, _ in began[:-1]]
        took, guessed = since - began[0][1], sum(self._guess[name] for name in done)
        pace = (took + DOUBT) / (guessed + DOUBT)
        now = pace * self._guess[step]
        spent = self._clock() - since
        later = STEPS[STEPS.index(step) + 1 :]
        left = max(now - spent, LATE * now) + pace * sum(self._guess[name] for name in later)
        self._most = max(self._most, (took + spent) / (took + spent + left))
        late = spent > 2 * (now + DOUBT)
        return Came(step, self._most, left, late)  # a progress bar must not go back


def _has_torch() -> bool:
    return "torch" in sys.modules


def _bytes(folder: Path | None) -> int | None:
    """Of a model's files."""
    if folder is None:
        return None
    try:
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    except OSError:
        return None
