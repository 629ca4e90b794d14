"""Frames of a batch of clips of different lengths, each clip as if it were alone.

FunASR runs one clip at a time; padding would change the features (ddlBoJack/emotion2vec issues
37 and 63). Here every clip is normalised over its own samples, padding is set to zero before
every positional convolution (they ignore the padding mask), and attention does not see it. The
network's own layers do the arithmetic; nothing of FunASR is patched, and its import is in
`emotion2vec`.

Shapes: B clips, N samples, T frames, E extra tokens, D width, H heads.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiollm.encoder.emotion2vec_spec import frame_count


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
    for block in list(encoder.children())[1:-1]:  # between two transpositions
        x = block(x if keep is None else x * keep[:, None])
    return x.transpose(1, 2)


def _alibi(audio: Any, frames: int, device: torch.device) -> tuple[Tensor | None, Tensor | None]:
    """Attention bias [1, H, E + T, E + T], and its scale per block where the network has one.

    Computed for one clip and broadcast: FunASR caches the result, batch times time squared, and
    would hold the largest batch times the longest clip.
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
