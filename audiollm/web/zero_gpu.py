"""ZeroGPU: this process has no GPU. What computes is sent to one that has, call by call.

`spaces.GPU` runs a function in a forked process and pickles arguments and result. So an answer
comes as a whole, and calls share no batch. The model of this process, on the CPU, answers where no
GPU is granted. Without the package `spaces` nothing is sent.
"""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from audiollm.analysis.references import Basis
from audiollm.audio.prosody import Track
from audiollm.audio.sound import Sound
from audiollm.audio.timeline import Timeline
from audiollm.inference.prediction import Prediction
from audiollm.labels import Language
from audiollm.model.speaker import SpeakerBaseline
from audiollm.predictor import Predictor
from audiollm.settings import Settings

LOG = logging.getLogger(__name__)
DEVICE = "cuda"  # of the other process
_HOME = os.getpid()
_loaded: dict[str, Predictor] = {}  # in the other process: the model of the last call


def _compute(id: str, settings: Settings, method: str, arguments: dict[str, Any]) -> Any:
    """Calls a method of the model `id` there."""
    if os.getpid() != _HOME:
        import torch

        torch.set_num_threads(1)  # OpenMP's threads do not survive the fork
    if id not in _loaded:
        _loaded.clear()
        _loaded[id] = Predictor.load(id, replace(settings, device=DEVICE))
    return getattr(_loaded[id], method)(**arguments)


compute: Callable[..., Any] | None = None
with suppress(ImportError):
    from spaces import GPU

    compute = GPU(_compute)  # before the page is served, or a ZeroGPU Space ends itself


def wrapped(predictor: Predictor, id: str) -> Predictor:
    """The model `id`, loaded on the CPU; its answers come from a GPU where that is possible."""
    return ZeroGpuPredictor(predictor, id) if compute else predictor


class ZeroGpuPredictor(Predictor):
    """A model that is loaded on the CPU, and whose answers are computed on a GPU."""

    def __init__(self, loaded: Predictor, id: str) -> None:
        vars(self).update(vars(loaded))
        self._id = id

    def predict(
        self,
        sounds: Sequence[Sound],
        language: Language = "en",
        baseline: Basis | None = None,
        speakers: Sequence[SpeakerBaseline | None] = (),
        progress: Callable[[Any], object] = lambda _: None,
    ) -> list[Prediction]:
        arguments = {"sounds": sounds, "language": language, "baseline": baseline}
        return self._send("predict", {**arguments, "speakers": speakers}, progress=progress)

    def classify(
        self,
        sounds: Sequence[Sound],
        language: Language = "en",
        progress: Callable[[Any], object] = lambda _: None,
    ) -> list[Prediction]:
        arguments = {"sounds": sounds, "language": language}
        return self._send("classify", arguments, progress=progress)

    def stream(
        self,
        sound: Sound,
        language: Language = "en",
        report: Callable[[Any], object] = lambda _: None,
        baseline: Basis | None = None,
        followed: Track | None = None,  # noqa: ARG002 - the other process follows it itself
        speaker: SpeakerBaseline | None = None,
    ) -> Prediction:
        (answer,) = self.predict([sound], language, baseline, [speaker], report)
        report(answer)
        return answer

    def timeline(
        self,
        sound: Sound,
        language: Language = "en",
        report: Callable[[Timeline], object] = lambda _: None,
        speaker: SpeakerBaseline | None = None,
    ) -> Timeline | None:
        arguments = {"sound": sound, "language": language, "speaker": speaker}
        return self._send("timeline", arguments, report=report)

    def _send(self, method: str, arguments: dict[str, Any], **reports: Any) -> Any:
        """`reports`: what is called meanwhile, here alone."""
        try:
            assert compute is not None  # noqa: S101
            return compute(self._id, self.settings, method, arguments)
        except Exception as error:  # no GPU left today, too long a sound, or the sound is at fault
            LOG.warning("the GPU did not answer (%s): the CPU does", type(error).__name__)
            return getattr(Predictor, method)(self, **arguments, **reports)
