"""Encoder folders on disk: weights and class names, read without ever running their content.

config.yaml          `model: Emotion2vec` and `model_conf`, FunASR's keys
model.safetensors    the weights (float16 or float32), preferred; or
model.pt             FunASR's checkpoint, opened with `weights_only=True`
tokens.txt           one class a line, in the order of the head's outputs
"""

import hashlib
import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from audiollm import labels
from audiollm.encoder_config import write_conf
from audiollm.errors import ModelError

WEIGHTS_NAME = "model.safetensors"
CHECKPOINT_NAME = "model.pt"
TOKENS_NAME = "tokens.txt"

_NESTS = ("state_dict", "model_state_dict", "model")
_SCOPES = ("module.", "d2v_model.")
# Parts of a checkpoint that only pretraining uses.
_TRAINING_ONLY = (
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
    """Tensors of a weights file under the network's own names, float32.

    Raises:
        ModelError: damaged, not a weights file, or a pickle that wants to run code.
    """
    if path.suffix == ".safetensors":
        try:
            state: Any = safetensors.torch.load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} is damaged or no safetensors file: copy it again.") from error
    else:
        state = _unnest(_unpickle(path), path)
    result: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = _strip(key)
        if name.startswith(_TRAINING_ONLY):
            continue
        if name in result:
            raise ModelError(f"{path} holds the weight {name} twice.")
        result[name] = tensor.float() if tensor.is_floating_point() else tensor
    return _upgrade(result)


def read_tokens(folder: Path) -> tuple[str, ...]:
    """Lines of tokens.txt as they stand; empty when the encoder has no such file.

    Raises:
        ModelError: the file cannot be read as text.
    """
    path = folder / TOKENS_NAME
    if not path.is_file():
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read as UTF-8 text.") from error
    return tuple(line.strip() for line in lines if line.strip())


def class_names(tokens: Sequence[str]) -> tuple[str | None, ...]:
    """Canonical class of every token; None for the outputs that FunASR calls `unuse...`.

    Raises:
        ModelError: a token cannot be a class name.
    """
    try:
        return tuple(None if t.startswith("unuse") else labels.canonical(t) for t in tokens)
    except ValueError as error:
        raise ModelError(f"{TOKENS_NAME} is refused: {error}.") from error


def save(
    network: torch.nn.Module,
    conf: Mapping[str, Any],
    classes: Sequence[str],
    folder: Path,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write an encoder folder that `encoder.load` reads.

    Args:
        conf: what the network was built from (`encoder_config.clean` or `small_conf`).
        classes: names of the head's outputs in order; empty without a head.
        dtype: of the weights on disk, float32 or float16.

    Raises:
        ModelError: the number of classes is not that of the head.
    """
    outputs = network.proj.out_features if network.proj is not None else 0  # type: ignore[union-attr]
    if len(classes) != outputs:
        raise ModelError(f"The encoder's head has {outputs} outputs, not {len(classes)} classes.")
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in network.state_dict().items()
    }
    safetensors.torch.save_file(state, folder / WEIGHTS_NAME, {"format": "pt"})
    write_conf(folder, conf)
    (folder / TOKENS_NAME).write_text("".join(f"{c}\n" for c in classes), encoding="utf-8")


def fingerprint(weights: Path, conf: Mapping[str, Any]) -> str:
    """sha256 of the weights file and the checked configuration: the identity of an encoder."""
    digest = hashlib.sha256(json.dumps(conf, sort_keys=True).encode())
    with weights.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _unpickle(path: Path) -> Any:
    """Content of a torch checkpoint; only tensors and plain containers are ever built."""
    try:
        # Checkpoints from before torch 1.6 are no zip files and cannot be mapped.
        return torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than tensors and is not opened, because such a file can run "
            "code: take the model from its own hub, or convert it to model.safetensors."
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
