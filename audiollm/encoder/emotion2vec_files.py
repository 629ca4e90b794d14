"""Encoder folders on disk: configuration and weights, read without ever running their content.

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
from audiollm.errors import ModelError

WEIGHTS_NAME = "model.safetensors"
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
    found = sorted(folder.glob("*.pt"))  # emotion2vec_base calls it emotion2vec_base.pt
    if len(found) == 1:
        return found[0]
    raise ModelError(
        f"{folder} holds no encoder weights: put {WEIGHTS_NAME} or {CHECKPOINT_NAME} there."
    )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a weights file as they are stored, under the network's own names.

    Raises:
        ModelError: damaged, not a weights file, or a pickle that wants to run code.
    """
    if path.suffix == ".safetensors":
        try:
            state: dict[str, Tensor] = safetensors.torch.load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} is damaged or no safetensors file: copy it again.") from error
    else:
        state = _unnest(_unpickle(path), path)
    result: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = _strip(key)
        if name.startswith(_UNUSED):
            continue
        if name in result:
            raise ModelError(f"{path} holds the weight {name} twice.")
        result[name] = tensor
    return _upgrade(result)


def load_strictly(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Give a network made on the meta device its weights, float32; `state` is used up.

    Raises:
        ModelError: a weight is missing, unknown, of another shape, or holds no finite numbers.
    """
    wanted = network.state_dict()
    misshapen = {n for n, t in state.items() if n in wanted and t.shape != wanted[n].shape}
    for problem, names in (
        ("it lacks", wanted.keys() - state.keys()),
        ("it holds the unknown", state.keys() - wanted.keys()),
        ("another shape have", misshapen),
    ):
        if names:
            weights = "weights" if len(names) > 1 else "weight"
            raise ModelError(
                f"{path} does not fit its config.yaml: {problem} {len(names)} {weights}, "
                f"{min(names)} first."
            )
    for name in wanted:
        # A copy: what torch mapped from a file would change or vanish with the file.
        tensor = state.pop(name)
        if tensor.layout != torch.strided or not tensor.is_floating_point() or tensor.is_meta:
            raise ModelError(f"{path} is damaged: {name} is no plain tensor of numbers.")
        state[name] = tensor.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if not bool(state[name].isfinite().all()):
            raise ModelError(f"{path} is damaged: {name} holds values that are not finite.")
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
    state = {
        name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in network.state_dict().items()
    }
    safetensors.torch.save_file(state, folder / WEIGHTS_NAME, {"format": "pt"})
    write_conf(folder, clean(conf))


def fingerprint(weights: Path, conf: Mapping[str, Any]) -> str:
    """sha256 of the weights file and of what the configuration does: an encoder's identity."""
    digest = hashlib.sha256(essence(conf).encode())
    with weights.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _unpickle(path: Path) -> Any:
    """Content of a torch checkpoint; only tensors and plain containers are ever built."""
    mapped = zipfile.is_zipfile(path)  # checkpoints from before torch 1.6 are not
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's doubts about pickles that it then refuses
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is not opened: it is damaged or holds more than tensors, and such a file can "
            "run code; take the model from its own hub, or convert it to model.safetensors."
        ) from error
    except Exception as error:  # torch reports damage in many ways
        raise ModelError(f"{path} is damaged or no torch checkpoint: copy it again.") from error


def _unnest(content: Any, path: Path) -> dict[str, Tensor]:
    for nest in _NESTS:
        if isinstance(content, dict) and isinstance(content.get(nest), dict):
            content = content[nest]
    if isinstance(content, dict):
        state = {k: v for k, v in content.items() if isinstance(v, Tensor)}
        if state and all(isinstance(k, str) for k in state):
            return state
    raise ModelError(f"{path} holds no encoder weights.")


def _strip(key: str) -> str:
    for scope in _SCOPES:
        key = key.removeprefix(scope)
    return key


def _upgrade(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Early data2vec 2 checkpoints lack the layer dimension of the ALiBi scale."""
    name = "modality_encoders.AUDIO.alibi_scale"
    if name in state and state[name].dim() == 4:
        state[name] = state[name].unsqueeze(0)
    return state
