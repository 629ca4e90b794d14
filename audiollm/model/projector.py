"""Audio features -> LLM embeddings: a two-layer MLP over pooled frames, or over the utterance.

Shapes: B clips, T frames at 50 Hz, D frame width, U utterance width (D, or 2 D with the standard
deviations), N audio tokens, F functionals, H LLM width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from audiollm.contracts.manifest import ProjectorConfig
from audiollm.errors import ModelError


@dataclass(frozen=True, eq=False)
class Features:
    """What is known of a clip."""

    utterance: NDArray[np.float32]  # [U]
    frames: NDArray[np.float32] | None = None  # [T, D]
    functionals: NDArray[np.float32] | None = None  # [F]
    baseline: NDArray[np.float32] | None = None  # [U] mean over other clips of the same speaker


class Standardiser(nn.Module):
    """(x - mean) / std with constants measured once on the training speakers, clipped to +-`limit`.

    While training, normal noise of spread `noise` is added and a share `dropout` of the features
    is set to the mean. Input and output: [..., size].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, size: int, limit: float, noise: float = 0.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.limit, self.noise, self.dropout = limit, noise, dropout
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def fit(self, rows: NDArray[np.float32]) -> None:
        """rows: [N, size]."""
        self.mean.copy_(torch.from_numpy(rows.mean(0)))
        self.std.copy_(torch.from_numpy(np.maximum(rows.std(0), 1e-4)))

    def forward(self, x: Tensor) -> Tensor:
        x = ((x - self.mean) / self.std).clamp(-self.limit, self.limit)
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        return F.dropout(x, self.dropout, self.training)


class Projector(nn.Module):
    """Features of a batch -> audio tokens in the LLM's embedding space.

    `frames` pooling averages windows of 50 Hz frames to `tokens_per_second`; `utterance` turns
    the utterance's statistics into `utterance_tokens`. With `functionals`, one more token follows.

    With `baseline` there are two networks: one for the utterance's features as they are, one for
    their difference from a speaker baseline, which serves the clips that come with one.
    """

    def __init__(self, config: ProjectorConfig, embedding_scale: float = 1.0) -> None:
        """`embedding_scale`: root mean square of the LLM's embeddings, where tokens start."""
        super().__init__()
        self.config = config
        expand = config.utterance_tokens if config.pooling == "utterance" else 1
        self.standardise = Standardiser(
            config.input_size, config.limit, config.noise, config.input_dropout
        )
        width = config.output_size * expand
        self.mlp = _mlp(config.input_size, config.hidden_size, width, config)
        self.relative: nn.ModuleDict | None = None
        if config.baseline:
            self.relative = nn.ModuleDict(
                {
                    "standardise": Standardiser(
                        config.input_size, config.limit, config.noise, config.input_dropout
                    ),
                    "mlp": _mlp(config.input_size, config.hidden_size, width, config),
                }
            )
        self.functionals: nn.ModuleDict | None = None
        if config.functionals:
            self.functionals = nn.ModuleDict(
                {
                    "standardise": Standardiser(
                        config.functionals, config.limit, config.noise, config.functionals_dropout
                    ),
                    "mlp": _mlp(config.functionals, config.hidden_size, config.output_size, config),
                }
            )
        self.norm: nn.Module = nn.Identity()
        if config.output_norm:
            self.norm = nn.RMSNorm(config.output_size, eps=1e-6)
            nn.init.constant_(self.norm.weight, embedding_scale)

    def fit(self, clips: Sequence[Features]) -> None:
        """Measures the standardising constants on training clips; those of the differences from a
        speaker baseline on the clips that come with one.

        Raises:
            ModelError: a clip lacks the features that this projector was made for.
        """
        self._check(clips)
        whole = self.config.pooling == "utterance"
        rows: list[Any] = [c.utterance[None] if whole else c.frames for c in clips]
        self.standardise.fit(np.concatenate(rows))
        differences = [c.utterance - c.baseline for c in clips if c.baseline is not None]
        if self.relative is not None and differences:
            self.relative["standardise"].fit(np.stack(differences))  # type: ignore[operator]
        if self.functionals is not None:
            measured = [c.functionals for c in clips if c.functionals is not None]
            self.functionals["standardise"].fit(np.stack(measured))  # type: ignore[operator]

    def restrict(self, basis: Tensor) -> None:
        """Projects the output layers on the span of `basis` [C, H], at their old scale; their
        biases become 0."""
        directions = torch.linalg.qr(basis.T)[0]  # [H, C], orthonormal
        size, count = directions.shape
        layers = [part[-1] for part in self.modules() if isinstance(part, nn.Sequential)]
        for layer in cast(list[nn.Linear], layers):
            rows = layer.weight.view(-1, size, layer.in_features)  # [N, H, hidden]
            rows = (size / count) ** 0.5 * (directions @ (directions.T @ rows))
            layer.weight.copy_(rows.view_as(layer.weight))
            layer.bias.zero_()

    def forward(self, clips: Sequence[Features]) -> tuple[Tensor, Tensor]:
        """Features of B clips -> tokens [B, N, H] padded with zeros on the right, lengths [B].

        Raises:
            ModelError: a clip lacks the features that this projector was made for.
        """
        self._check(clips)
        if self.config.pooling == "utterance":
            tokens, lengths = self._from_utterances(clips)
        else:
            tokens, lengths = self._from_frames(clips)
        if self.functionals is not None:
            measured = self._tensor(np.stack([c.functionals for c in clips]))  # type: ignore[misc]
            for part in ("standardise", "mlp"):
                measured = self.functionals[part](measured)  # [B, F] -> [B, H]
            tokens = torch.cat([tokens, tokens.new_zeros(len(clips), 1, tokens.shape[-1])], 1)
            tokens = tokens.index_put(
                (torch.arange(len(clips), device=tokens.device), lengths), measured.to(tokens.dtype)
            )
            lengths = lengths + 1
        tokens = self.norm(tokens)
        keep = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        return tokens * keep[..., None], lengths

    def _from_utterances(self, clips: Sequence[Features]) -> tuple[Tensor, Tensor]:
        utterance = self._tensor(np.stack([c.utterance for c in clips]))  # [B, U]
        x = self.mlp(self.standardise(utterance))
        if self.relative is not None and any(c.baseline is not None for c in clips):
            mean = [np.zeros_like(c.utterance) if c.baseline is None else c.baseline for c in clips]
            has_baseline = torch.tensor([c.baseline is not None for c in clips], device=x.device)
            difference = self.relative["standardise"](utterance - self._tensor(np.stack(mean)))
            x = torch.where(has_baseline[:, None], self.relative["mlp"](difference), x)
        count = self.config.utterance_tokens
        x = x.view(len(clips), count, self.config.output_size)  # [B, N * H] -> [B, N, H]
        return x, torch.full((len(clips),), count, device=x.device)

    def _from_frames(self, clips: Sequence[Features]) -> tuple[Tensor, Tensor]:
        pooled = [self._pool(c.frames) for c in clips if c.frames is not None]
        lengths = torch.tensor([len(p) for p in pooled], device=self.device)
        x = np.zeros((len(pooled), max(map(len, pooled)), self.config.input_size), np.float32)
        for row, p in zip(x, pooled, strict=True):
            row[: len(p)] = p
        return self.mlp(self.standardise(self._tensor(x))), lengths  # [B, N, D] -> [B, N, H]

    def _pool(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """frames [T, D] -> [N, D]: means of N equal windows, N from the tokens per second."""
        count = max(1, math.ceil(len(frames) * self.config.tokens_per_second / 50 - 1e-6))
        edges = np.linspace(0, len(frames), count + 1)
        starts = np.floor(edges[:-1]).astype(int)
        ends = np.maximum(np.ceil(edges[1:]).astype(int), starts + 1)
        total = np.concatenate([np.zeros((1, frames.shape[1])), np.cumsum(frames, 0, np.float64)])
        return ((total[ends] - total[starts]) / (ends - starts)[:, None]).astype(np.float32)

    def _tensor(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(self.device)

    @property
    def device(self) -> torch.device:
        return self.standardise.mean.device

    def _check(self, clips: Sequence[Features]) -> None:
        config = self.config
        for clip in clips:
            features = clip.frames if config.pooling == "frames" else clip.utterance
            if features is None or not len(features):
                raise ModelError("model_needs_frames")
            if (width := features.shape[-1]) != config.input_size:
                raise ModelError("model_feature_width", expected=config.input_size, width=width)
            if clip.baseline is not None and clip.baseline.shape != clip.utterance.shape:
                widths = {"baseline": clip.baseline.shape[-1], "width": clip.utterance.shape[-1]}
                raise ModelError("model_baseline_width", **widths)
            if clip.baseline is not None and not config.baseline:
                raise ModelError("model_no_baseline")
            measured = 0 if clip.functionals is None else clip.functionals.shape[-1]
            if config.functionals and measured != config.functionals:
                raise ModelError(
                    "model_functionals", expected=config.functionals, measured=measured
                )


def _mlp(size_in: int, hidden: int, size_out: int, config: ProjectorConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(size_in, hidden),
        nn.GELU(),
        nn.Dropout(config.dropout),
        nn.Linear(hidden, size_out),
    )
