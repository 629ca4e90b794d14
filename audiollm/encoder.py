"""The frozen ear: FunASR's Emotion2vec network, batched. The only import of funasr.

emotion2vec (arXiv 2312.15185): waveform -> convolutions (one frame every 20 ms) -> positional
convolutions -> transformer blocks with ALiBi -> frames [T, D] at 50 Hz. FunASR runs one clip at
a time. Here clips of different lengths share a batch and still get the frames that each would
get alone, because every clip is normalised over its own samples, padding is set to zero before
every positional convolution (they ignore the padding mask), and attention does not see it.

Shapes: B clips, N samples, T frames, D width, H heads, C classes.
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
from audiollm.encoder_config import (
    FRAME_RATE,
    HOP,
    base_conf,
    clean,
    frame_count,
    parse_spec,
    read_conf,
    receptive_field,
    small_conf,
)
from audiollm.encoder_files import save
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


def frame_features(
    network: nn.Module, waves: Tensor, samples: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Frames of a batch of clips, each as if it were alone; differentiable, honours `train()`.

    Args:
        waves: [B, N], each clip normalised over its own samples (`normalise`), then padded.
        samples: how many of the N samples belong to each clip.

    Returns:
        frames [B, T, D], and a bool mask [B, T] that is True where a frame belongs to its clip.
    """
    parts: Any = network
    conf, audio = parts.cfg, parts.modality_encoders["AUDIO"]
    layers = audio.feature_enc_layers
    counts = torch.tensor([frame_count(n, layers) for n in samples], device=waves.device)

    if conf.modalities.audio.extractor_mode == "layer_norm":
        x = audio.local_features(waves)  # [B, N] -> [B, T, D]; a frame sees its own samples only
    else:  # group norm runs over time: padding would change every frame
        alone = [audio.local_features(w[None, :n])[0] for w, n in zip(waves, samples, strict=True)]
        x = nn.utils.rnn.pad_sequence(alone, batch_first=True)
    keep = torch.arange(x.size(1), device=x.device) < counts[:, None]  # [B, T]
    padded = not bool(keep.all())

    x = x * keep[..., None] if padded else x
    x = x + _positions(audio.relative_positional_encoder, x, keep if padded else None)

    extra = audio.modality_cfg.num_extra_tokens
    if extra:
        x = torch.cat([audio.extra_tokens.expand(x.size(0), -1, -1), x], dim=1)  # [B, E + T, D]
    mask = F.pad(~keep, (extra, 0)) if padded else None
    bias, scales = _alibi(audio, x.size(1) - extra, x.device)  # [1, H, E + T, E + T]
    depth = len(audio.context_encoder.blocks)
    x = audio.context_encoder(x, mask, bias, None if scales is None else scales[:depth])
    x = parts.dropout_input(x)
    for i, block in enumerate(parts.blocks):
        if network.training and torch.rand(()) < conf.layerdrop:
            continue
        scaled = bias if bias is None or scales is None else bias * scales[depth + i]
        x, _ = block(x, mask, scaled)
    if parts.norm is not None:
        x = parts.norm(x)
    return x[:, extra:], keep


def _positions(encoder: nn.Sequential, x: Tensor, keep: Tensor | None) -> Tensor:
    """FunASR's positional convolutions [B, T, D] -> [B, T, D] with zeros beyond each clip.

    Each of them ends in a layer norm, which makes padding non-zero again; alone, a clip has the
    convolution's own zero padding there.
    """
    if isinstance(encoder[0], nn.LayerNorm):  # conv_pos_pre_ln
        x, encoder = encoder[0](x), encoder[1]  # type: ignore[assignment]
    x = x.transpose(1, 2)  # [B, D, T]
    for block in encoder[1:-1]:  # between two transpositions
        x = block(x if keep is None else x * keep[:, None])
    return x.transpose(1, 2)


def _alibi(audio: Any, frames: int, device: torch.device) -> tuple[Tensor | None, Tensor | None]:
    """Attention bias [1, H, E + T, E + T], and its scale per block where the network has one.

    Asked for one clip and broadcast: FunASR keeps what it was asked for, batch times time
    squared, and would hold the largest batch times the longest clip.
    """
    if audio.get_alibi_bias is None:
        return None, None
    cfg = audio.modality_cfg
    bias = audio.get_alibi_bias(
        batch_size=1,
        time_steps=frames,
        heads=cfg.num_alibi_heads,
        dtype=torch.float32,
        device=device,
    )
    scales = audio.alibi_scale.clamp_min(0)  # [1 or blocks, 1, H or 1, 1, 1]
    if scales.size(0) == 1:
        bias, scales = bias * scales[0], None
    return F.pad(bias, (cfg.num_extra_tokens, 0, cfg.num_extra_tokens, 0)), scales


def normalise(wave: Tensor) -> Tensor:
    """A clip [N] with zero mean and unit variance over all of its own samples."""
    return F.layer_norm(wave, wave.shape)


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
        batch_seconds: float = 60.0,
        window_seconds: float = 30.0,
    ) -> list[Encoded]:
        """Features of every clip, in the order given.

        Args:
            sounds: float [N] each, mono, 16 kHz.
            batch_seconds: how much sound, padding included, is computed at once.
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
        if not self._heads:
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
    _load_strictly(network, state, weights)
    tokens = encoder_files.read_tokens(folder) if classes else ()
    encoder = Encoder(network, conf, id, tokens=tokens, weights=weights, precision=precision)
    return encoder.to(device)


def _load_strictly(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    wanted = network.state_dict()
    for problem, names in (
        ("lacks", wanted.keys() - state.keys()),
        ("holds the unknown", state.keys() - wanted.keys()),
        (
            "has another shape for",
            {k for k, v in wanted.items() if k in state and v.shape != state[k].shape},
        ),
    ):
        if names:
            raise ModelError(
                f"{path} does not fit its config.yaml: it {problem} {len(names)} "
                f"weight{'s' if len(names) > 1 else ''}, {min(names)} first."
            )
    network.load_state_dict(state, assign=True)


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
