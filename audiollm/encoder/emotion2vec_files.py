"""Emotion2vec folders on disk: configuration and weights, read without running their content.

config.yaml          `model: Emotion2vec` and `model_conf`, FunASR's keys
model.safetensors    the weights (float16 or float32), preferred; or
model.pt             FunASR's checkpoint, opened with `weights_only=True`
"""

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from audiollm.encoder.emotion2vec_config import clean, essence, write_conf
from audiollm.encoder.files import WEIGHTS_NAME, as_float32, check_tensors, write_weights
from audiollm.errors import ModelError

CHECKPOINT_NAME = "model.pt"

_NESTS = ("state_dict", "model_state_dict", "model")
_SCOPES = ("module.", "d2v_model.")
# Parts of a checkpoint that features do not need: those of pretraining, and the class head.
_UNUSED = (
    "proj.",
    "modality_encoders.AUDIO.decoder.",
    "shared_decoder.",
    "recon_proj.",
    "ema.",
    "_ema",
    "loss_scale",
)


def weights_path(folder: Path) -> Path:
    """The weights file of an encoder folder: safetensors first, else the one checkpoint.

    Raises:
        ModelError: there is none, or several checkpoints and none is called model.pt.
    """
    for name in (WEIGHTS_NAME, CHECKPOINT_NAME):
        if (folder / name).is_file():
            return folder / name
    checkpoints = sorted(folder.glob("*.pt"))  # emotion2vec_base calls it emotion2vec_base.pt
    if len(checkpoints) == 1:
        return checkpoints[0]
    raise ModelError("encoder_no_weights_file", folder=folder)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a weights file as they are stored, under the network's own names.

    Raises:
        ModelError: damaged, not a weights file, or a pickle that would run code.
    """
    if path.suffix == ".safetensors":
        try:
            state: dict[str, Tensor] = safetensors.torch.load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelError("encoder_damaged", path=path) from error
    else:
        state = _unnest(_unpickle(path), path)
    result: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = key
        for scope in _SCOPES:
            name = name.removeprefix(scope)
        if name.startswith(_UNUSED):
            continue
        if name in result:
            raise ModelError("encoder_twice", path=path, name=name)
        result[name] = tensor
    return _upgrade(result)


def load_strictly(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Give a network made on the meta device its weights, float32; `state` is used up.

    Raises:
        ModelError: a weight is missing, unknown, of another shape, or holds no finite numbers.
    """
    expected = network.state_dict()
    if unknown := sorted(state.keys() - expected.keys()):
        raise ModelError("encoder_unknown", path=path, count=len(unknown), name=unknown[0])
    shapes = {name: tensor.shape for name, tensor in expected.items()}
    check_tensors(path, {name: tensor.shape for name, tensor in state.items()}, shapes)
    for name in expected:
        state[name] = as_float32(path, name, state.pop(name))
    network.load_state_dict(state, assign=True)


def save(
    network: nn.Module,
    conf: Mapping[str, Any],
    folder: Path,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write an encoder folder that `encoder.load` reads.

    Args:
        conf: what the network was built from (`emotion2vec_config.clean` or `small_conf`).
        dtype: of the weights on disk, float32 or float16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder / WEIGHTS_NAME, network.state_dict(), dtype)
    write_conf(folder, clean(conf))


def fingerprint(weights: Path, conf: Mapping[str, Any]) -> str:
    """sha256 of the weights file and of what the configuration does: an encoder's identity."""
    digest = hashlib.sha256(essence(conf).encode())
    with weights.open("rb") as file:
        return hashlib.file_digest(file, lambda: digest).hexdigest()


def _unpickle(path: Path) -> Any:
    """Content of a torch checkpoint; only tensors and plain containers are ever built."""
    mapped = zipfile.is_zipfile(path)  # checkpoints from before torch 1.6 are not
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's doubts about pickles that it then refuses
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise ModelError("encoder_unsafe", path=path) from error
    except Exception as error:  # torch reports damage in many ways
        raise ModelError("encoder_damaged", path=path) from error


def _unnest(content: Any, path: Path) -> dict[str, Tensor]:
    for nest in _NESTS:
        if isinstance(content, dict) and isinstance(content.get(nest), dict):
            content = content[nest]
    if isinstance(content, dict):
        state = {k: v for k, v in content.items() if isinstance(v, Tensor)}
        if state and all(isinstance(k, str) for k in state):
            return state
    raise ModelError("encoder_none", path=path)


def _upgrade(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Early data2vec 2 checkpoints lack the layer dimension of the ALiBi scale."""
    name = "modality_encoders.AUDIO.alibi_scale"
    if name in state and state[name].dim() == 4:
        state[name] = state[name].unsqueeze(0)
    return state
