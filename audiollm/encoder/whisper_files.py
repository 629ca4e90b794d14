"""Weights of a Whisper encoder on disk: safetensors alone, read as far as they are needed.

A folder of our own holds the tensors of the first layers under the names of transformers'
`WhisperEncoder`; the hub's hold the whole model, under `model.encoder.`. Positions are not read:
they are sinusoids, made by code.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from audiollm.errors import ModelError

WEIGHTS_NAME = "model.safetensors"

_SCOPES = ("", "encoder.", "model.encoder.")
_FIRST = "conv1.weight"  # every encoder has it
_KINDS = ("F16", "BF16", "F32", "F64")


def read_weights(path: Path, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """The tensors named in `shapes`, float32; the file's others are not looked at.

    Raises:
        ModelError: damaged, not a safetensors file, or a tensor is missing, of another shape, no
            floating-point numbers, or not finite.
    """
    try:
        with safe_open(path, framework="pt") as file:
            held = set(file.keys())
            scope = _scope(path, held)
            if lacking := sorted(n for n in shapes if scope + n not in held):
                weights = "weights" if lacking[1:] else "weight"
                raise ModelError(
                    f"{path} does not fit its config.json: it lacks {len(lacking)} {weights}, "
                    f"{scope}{lacking[0]} first."
                )
            for name, shape in shapes.items():  # before any memory is taken
                _check(path, scope + name, file.get_slice(scope + name), shape)
            # A copy: what is mapped from a file would change or vanish with the file.
            state = {n: file.get_tensor(scope + n).to(torch.float32, copy=True) for n in shapes}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or no safetensors file: copy it again.") from error
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise ModelError(f"{path} is damaged: {scope}{name} holds values that are not finite.")
    return state


def write_weights(path: Path, state: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Write tensors as they are named, stored as `dtype`."""
    tensors = {n: t.detach().to("cpu", dtype).contiguous() for n, t in state.items()}
    safetensors.torch.save_file(tensors, path, {"format": "pt"})


def _scope(path: Path, held: set[str]) -> str:
    """What stands before the encoder's names in this file."""
    found = [scope for scope in _SCOPES if scope + _FIRST in held]
    if len(found) != 1:
        number = "several encoders" if found else "no Whisper encoder"
        raise ModelError(f"{path} holds {number}: take the model from its own hub.")
    return found[0]


def _check(path: Path, name: str, stored: Any, shape: torch.Size) -> None:
    if tuple(stored.get_shape()) != tuple(shape):
        raise ModelError(
            f"{path} does not fit its config.json: {name} is {list(stored.get_shape())}, not "
            f"{list(shape)}."
        )
    if stored.get_dtype() not in _KINDS:
        raise ModelError(f"{path} is damaged: {name} is no plain tensor of numbers.")
