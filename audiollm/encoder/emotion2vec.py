"""The emotion2vec kind: FunASR's Emotion2vec network, batched. The only import of funasr.

emotion2vec (arXiv 2312.15185): waveform -> convolutions (one frame every 20 ms) -> positional
convolutions -> transformer blocks with ALiBi -> frames [T, D] at 50 Hz. Clips of different
lengths share a batch and still get the frames that each would get alone (`emotion2vec_frames`).

Shapes: B pieces, N samples, T frames, D width.
"""

import contextlib
import hashlib
import importlib.util
import io
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiollm.contracts.manifest import Statistics
from audiollm.encoder import emotion2vec_files as files
from audiollm.encoder.base import Encoder
from audiollm.encoder.emotion2vec_config import base_conf, clean, read_conf, small_conf
from audiollm.encoder.emotion2vec_files import save
from audiollm.encoder.emotion2vec_frames import frame_features, normalise
from audiollm.encoder.emotion2vec_spec import HOP, frame_count, parse_spec, receptive_field
from audiollm.errors import ModelError

__all__ = [
    "Emotion2vecEncoder",
    "base_conf",
    "build_network",
    "frame_features",
    "load",
    "normalise",
    "save",
    "small_conf",
]

_IMPORT_LOCK = threading.Lock()


def build_network(model_conf: Mapping[str, Any]) -> nn.Module:
    """FunASR's `Emotion2vec` with random weights and without its class head, from a configuration
    that is checked first.

    Raises:
        ModelError: the configuration is refused.
    """
    network: nn.Module = _emotion2vec()(model_conf=clean(model_conf), vocab_size=-1)
    return network


class Emotion2vecEncoder(Encoder):
    """A frozen Emotion2vec network; its frames are the output of its last block."""

    kind = "emotion2vec"
    rate = 16000

    def __init__(
        self,
        network: nn.Module,
        conf: Mapping[str, Any],
        id: str,
        *,
        weights: Path | None = None,
        statistics: Statistics = "mean",
        precision: torch.dtype = torch.float32,
    ) -> None:
        """Take `network` as it is.

        Args:
            weights: the file that the network was read from.
        """
        self.conf = clean(conf)
        width: int = self.conf["embed_dim"]
        super().__init__(network, id, width, statistics=statistics, precision=precision)
        self._weights = weights
        self._convolutions = parse_spec(self.conf["modalities"]["audio"]["feature_encoder_spec"])

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of weights file, configuration and statistics."""
        if self._weights is None:
            return ""
        digest = files.fingerprint(self._weights, self.conf)
        if self.statistics == "mean":  # as before there was a choice: older models open
            return digest
        return hashlib.sha256(f"{digest} {self.statistics}".encode()).hexdigest()

    def save(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        save(self.network, self.conf, folder, dtype)

    def _input(self, samples: Tensor) -> Tensor:
        wave = normalise(samples) if self.conf["normalize"] else samples
        return F.pad(wave, (0, max(0, receptive_field(self._convolutions) - wave.numel())))

    def _count(self, length: int) -> int:
        return frame_count(length, self._convolutions)

    def _cut(self, x: Tensor, first: int, last: int) -> Tensor:
        return x[first * HOP : (last - 1) * HOP + receptive_field(self._convolutions)]

    def _frames(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        return frame_features(self.network, x, lengths)[0]


def load(
    folder: Path,
    id: str,
    *,
    statistics: Statistics = "mean",
    precision: torch.dtype = torch.float32,
) -> Emotion2vecEncoder:
    """The encoder in `folder`, on the CPU.

    Raises:
        ModelError: damaged, unsafe, or not an Emotion2vec network.
    """
    conf = read_conf(folder)
    weights = files.weights_path(folder)
    state = files.read_weights(weights)
    with torch.device("meta"):  # shapes only: memory is taken by the weights that are there
        network = build_network(conf)
    files.load_strictly(network, state, weights)
    return Emotion2vecEncoder(
        network,
        conf,
        id,
        weights=weights,
        statistics=statistics,
        precision=precision,
    )


def _emotion2vec() -> type[nn.Module]:
    """FunASR's class, imported once, in half a second instead of fifteen.

    `funasr/__init__.py` imports every model of the toolkit. A package module that was made but
    not executed lets the few files that Emotion2vec needs be imported by themselves. It stays in
    `sys.modules`, and becomes the real package at the first access to anything else (such as
    `funasr.AutoModel`): taking it out would import these files a second time later.
    """
    with _IMPORT_LOCK, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # pydub and funasr miss ffmpeg, which is not used here
        if "funasr" not in sys.modules:
            sys.modules["funasr"] = _unexecuted("funasr")
        from funasr.models.emotion2vec.model import Emotion2vec

        return Emotion2vec


def _unexecuted(name: str) -> ModuleType:
    """The package `name` whose own code runs at the first access to an attribute it lacks."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModelError("encoder_no_funasr")
    module = importlib.util.module_from_spec(spec)
    loader = spec.loader

    def execute(attribute: str) -> Any:
        # Probes such as inspect's for `__warningregistry__` do not need the package.
        if attribute.startswith("__") and attribute != "__version__":
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        del module.__getattr__  # type: ignore[attr-defined]
        loader.exec_module(module)
        return getattr(module, attribute)

    module.__getattr__ = execute  # type: ignore[method-assign]
    return module
