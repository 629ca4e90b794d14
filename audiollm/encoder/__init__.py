"""Frozen encoders: sound -> frames at 50 Hz and utterance features. Two kinds, one interface.

`emotion2vec` (FunASR's network, config.yaml) and `whisper` (the first layers of a Whisper
encoder, config.json); the folder's content says which.
"""

from collections.abc import Sequence
from typing import Literal

import torch

from audiollm import hub
from audiollm.contracts.manifest import FRAME_RATE, Statistics
from audiollm.encoder import emotion2vec, whisper
from audiollm.encoder.base import Encoded, Encoder
from audiollm.errors import ModelError
from audiollm.hub.clients import Report
from audiollm.settings import Settings

__all__ = ["FRAME_RATE", "Encoded", "Encoder", "load"]


def load(
    id: str,
    settings: Settings,
    device: str = "cpu",
    precision: torch.dtype = torch.float32,
    layers: Sequence[int] = (),
    statistics: Statistics | Literal[""] = "",
    report: Report | None = None,
) -> Encoder:
    """The encoder called `id`: a preset, a hub id, or a folder.

    Args:
        precision: of the arithmetic; that of the LLM that reads the features.
        layers: whisper: whose outputs make a frame, numbered from 1. By default those of the
            preset, else those that the folder names, else the one at half the depth.
        statistics: over time, for the utterance. By default those of the preset or the folder,
            else mean and standard deviation for whisper and the mean for emotion2vec.
        report: progress of a download; see `hub.locate`.

    Raises:
        ModelError: not found, damaged, unsafe, of neither kind, or without these layers.
    """
    folder = hub.locate(id, settings, files=hub.ENCODER_FILES, kind="encoder", report=report)
    preset = hub.preset(id)
    chosen = tuple(layers) or preset.layers
    over_time = statistics or preset.statistics
    encoder: Encoder
    if hub.encoder_kind(folder) == "whisper":
        encoder = whisper.load(folder, id, layers=chosen, statistics=over_time, precision=precision)
    elif chosen:
        raise ModelError("encoder_no_layers", id=id)
    else:
        encoder = emotion2vec.load(folder, id, statistics=over_time or "mean", precision=precision)
    return encoder.to(device)
