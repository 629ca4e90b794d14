"""The frozen ear: FunASR's Emotion2vec network, batched. The only import of funasr.

emotion2vec (arXiv 2312.15185): waveform -> convolutions (one frame every 20 ms) -> positional
convolutions -> transformer blocks with ALiBi -> frames [T, D] at 50 Hz. Clips of different
lengths share a batch and still get the frames that each would get alone (`encoder_frames`).

Shapes: N samples, T frames, D width, C classes.
"""

import contextlib
import importlib.util
import io
import itertools
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiollm import encoder_files, hub
from audiollm.config import EncoderRef
from audiollm.encoder_config import base_conf, clean, read_conf, small_conf
from audiollm.encoder_files import save
from audiollm.encoder_frames import frame_features, normalise
from audiollm.encoder_spec import FRAME_RATE, HOP, frame_count, parse_spec, receptive_field
from audiollm.errors import ModelError, NoSpeechError
from audiollm.settings import Settings

__all__ = [
    "FRAME_RATE",
    "Encoded",
    "Encoder",
    "base_conf",
    "build_network",
    "frame_features",
    "load",
    "normalise",
    "save",
    "small_conf",
]

_CONTEXT = 50  # frames on each side of a window that are computed and thrown away
_IMPORT_LOCK = threading.Lock()


@dataclass(frozen=True, eq=False)
class Encoded:
    """What the encoder hears in one clip."""

    frames: np.ndarray  # float32 [T, D], 50 a second
    utterance: np.ndarray  # float32 [D], mean over the frames
    probabilities: dict[str, float] | None  # of the encoder's own head, summing to 1


def build_network(model_conf: Mapping[str, Any], classes: int = 0) -> nn.Module:
    """FunASR's `Emotion2vec` with random weights, from a configuration that is checked first.

    Args:
        classes: outputs of the class head; 0 for none.

    Raises:
        ModelError: the configuration is refused.
    """
    network: nn.Module = _emotion2vec()(model_conf=clean(model_conf), vocab_size=classes or -1)
    return network


@dataclass(frozen=True)
class _Piece:
    """Part of a clip that is run at once: all of it, or a window of a long one."""

    clip: int
    wave: Tensor  # [N]
    skip: int  # context frames before the wanted ones
    start: int  # where the wanted frames stand in the clip
    stop: int


class Encoder:
    """A frozen Emotion2vec network, ready to hear."""

    def __init__(
        self,
        network: nn.Module,
        conf: Mapping[str, Any],
        id: str,
        *,
        tokens: Sequence[str] = (),
        weights: Path | None = None,
        precision: torch.dtype = torch.float32,
    ) -> None:
        """Take `network` as it is.

        Args:
            tokens: a class for every output of the head, as tokens.txt names them.
            weights: the file that the network was read from.
            precision: of the arithmetic on a GPU; the features are float32 always.

        Raises:
            ModelError: tokens and head do not fit.
        """
        outputs = network.proj.out_features if network.proj is not None else 0  # type: ignore[union-attr]
        if len(tokens) != outputs:
            raise ModelError(
                f"The encoder {id} has {outputs} class outputs but {len(tokens)} class names in "
                f"{encoder_files.TOKENS_NAME}."
            )
        self.id = id
        self.network = network.eval().requires_grad_(False)
        self.conf = clean(conf)
        self.width: int = self.conf["embed_dim"]
        self.precision = precision
        self._heads = encoder_files.class_names(tokens)
        self.classes: tuple[str, ...] = tuple(dict.fromkeys(c for c in self._heads if c))
        self._weights = weights
        self._layers = parse_spec(self.conf["modalities"]["audio"]["feature_encoder_spec"])

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of weights file and configuration; empty for a network that has no file."""
        return encoder_files.fingerprint(self._weights, self.conf) if self._weights else ""

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def to(self, device: str | torch.device) -> Self:
        self.network.to(device)
        return self

    def ref(self) -> EncoderRef:
        """How a model's manifest refers to this encoder."""
        return EncoderRef(self.id, self.width, self.fingerprint, FRAME_RATE)

    @torch.no_grad()  # not inference_mode: FunASR keeps the ALiBi bias for later training steps
    def encode(
        self,
        sounds: Sequence[np.ndarray],
        *,
        batch_seconds: float | None = None,
        window_seconds: float = 30.0,
    ) -> list[Encoded]:
        """Features of every clip, in the order given.

        Args:
            sounds: float [N] each, mono, 16 kHz.
            batch_seconds: how much sound, padding included, is computed at once. By default 60 on
                a GPU and 15 on a CPU, where larger batches took more time as well as memory.
            window_seconds: a longer clip is heard in overlapping windows of this length, because
                attention needs memory with the square of the time.

        Raises:
            NoSpeechError: a clip has no samples.
        """
        pieces = [p for i, s in enumerate(sounds) for p in self._pieces(i, s, window_seconds)]
        counts = [0] * len(sounds)
        for piece in pieces:
            counts[piece.clip] = max(counts[piece.clip], piece.stop)
        frames = [np.empty((n, self.width), np.float32) for n in counts]
        if batch_seconds is None:
            batch_seconds = 15.0 if self.device.type == "cpu" else 60.0
        for batch in _batches(pieces, int(batch_seconds * HOP * FRAME_RATE)):
            for piece, x in zip(batch, self._run(batch), strict=True):
                wanted = x[piece.skip : piece.skip + piece.stop - piece.start]
                frames[piece.clip][piece.start : piece.stop] = wanted
        return [self._encoded(x) for x in frames]

    def _pieces(self, clip: int, samples: np.ndarray, window_seconds: float) -> Iterator[_Piece]:
        if samples.ndim != 1:
            raise ValueError(f"a clip must be [N] samples, not {list(samples.shape)}")
        if not samples.size:
            raise NoSpeechError("No speech heard: the sound holds no samples.")
        wave = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
        if self.conf["normalize"]:
            wave = normalise(wave)
        field = receptive_field(self._layers)
        if wave.numel() < field:
            wave = F.pad(wave, (0, field - wave.numel()))
        total = frame_count(wave.numel(), self._layers)
        window = max(int(window_seconds * FRAME_RATE), 3 * _CONTEXT)
        if total <= window:
            yield _Piece(clip, wave, 0, 0, total)
            return
        parts = -(-total // (window - 2 * _CONTEXT))
        edges = [round(i * total / parts) for i in range(parts + 1)]
        for start, stop in itertools.pairwise(edges):
            first, last = max(0, start - _CONTEXT), min(total, stop + _CONTEXT)
            part = wave[first * HOP : (last - 1) * HOP + field]
            yield _Piece(clip, part, start - first, start, stop)

    def _run(self, batch: Sequence[_Piece]) -> list[np.ndarray]:
        device = self.device
        waves = nn.utils.rnn.pad_sequence([p.wave for p in batch], batch_first=True).to(device)
        lengths = [p.wave.numel() for p in batch]
        low = device.type == "cuda" and self.precision != torch.float32
        with torch.autocast(device.type, self.precision) if low else contextlib.nullcontext():
            x, _ = frame_features(self.network, waves, lengths)
        return list(x.float().cpu().numpy())

    def _encoded(self, frames: np.ndarray) -> Encoded:
        utterance = frames.mean(axis=0)
        if not self.classes:
            return Encoded(frames, utterance, None)
        head: Any = self.network.proj
        logits = head(torch.from_numpy(utterance).to(self.device)).float().cpu()  # [C]
        used = torch.tensor([c is not None for c in self._heads])
        values = logits.masked_fill(~used, -torch.inf).double().softmax(-1).tolist()
        probabilities = dict.fromkeys(self.classes, 0.0)
        for name, value in zip(self._heads, values, strict=True):
            if name is not None:
                probabilities[name] += value
        return Encoded(frames, utterance, probabilities)


def load(
    id: str, settings: Settings, device: str = "cpu", precision: torch.dtype = torch.float32
) -> Encoder:
    """The encoder called `id`: a preset, a hub id, or a folder.

    Raises:
        ModelError: not found, damaged, unsafe, or not an Emotion2vec network.
    """
    folder = hub.locate(id, settings, files=hub.ENCODER_FILES, kind="encoder")
    conf = read_conf(folder)
    weights = encoder_files.weights_path(folder)
    state = encoder_files.read_weights(weights)
    head = state.get("proj.weight")
    classes = 0 if head is None or head.dim() != 2 else head.size(0)
    with torch.device("meta"):  # shapes only: memory is taken by the weights that are there
        network = build_network(conf, classes)
    encoder_files.load_strictly(network, state, weights)
    tokens = encoder_files.read_tokens(folder) if classes else ()
    encoder = Encoder(network, conf, id, tokens=tokens, weights=weights, precision=precision)
    return encoder.to(device)


def _batches(pieces: Sequence[_Piece], budget: int) -> Iterator[list[_Piece]]:
    """Pieces of similar length together: at most `budget` samples, less than half of it padding."""
    batch: list[_Piece] = []
    for piece in sorted(pieces, key=lambda p: -p.wave.numel()):
        if batch:
            longest = batch[0].wave.numel()
            if longest * (len(batch) + 1) > budget or piece.wave.numel() * 2 <= longest:
                yield batch
                batch = []
        batch.append(piece)
    if batch:
        yield batch


def _emotion2vec() -> type[nn.Module]:
    """FunASR's class, imported once, in half a second instead of fifteen.

    `funasr/__init__.py` imports every model of the toolkit. A package module that was made but
    not executed lets the few files that Emotion2vec needs be imported by themselves. It stays in
    `sys.modules`, and becomes the real package as soon as somebody asks it for anything (such as
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
        raise ModelError("The package funasr is missing: run `pip install -r requirements.txt`.")
    module = importlib.util.module_from_spec(spec)
    loader = spec.loader

    def execute(attribute: str) -> Any:
        # Probes such as inspect's for `__warningregistry__` are not a wish to use the package.
        if attribute.startswith("__") and attribute != "__version__":
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        del module.__getattr__  # type: ignore[attr-defined]
        loader.exec_module(module)
        return getattr(module, attribute)

    module.__getattr__ = execute  # type: ignore[method-assign]
    return module
