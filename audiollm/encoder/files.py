"""Encoder folders on disk: what both kinds share in reading them, bounded and checked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from audiollm.errors import ModelError

WEIGHTS_NAME = "model.safetensors"
MAX_CONFIG_BYTES = 1_000_000
MAX_PARAMETERS = 2_000_000_000  # emotion2vec+ large has 0.3e9, the encoder of large-v3 0.6e9


def read_mapping(path: Path, parse: Callable[[str], Any], kind: str) -> dict[str, Any]:
    """The names and values of a configuration file.

    Args:
        parse: raises ValueError (or RecursionError) for what it cannot parse.
        kind: of the file, such as JSON.

    Raises:
        ModelError: missing, too large, not parsed, or no names and values.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ModelError("encoder_config_large", path=path)
        data = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError("encoder_config_unreadable", path=path, reason=error.strerror) from error
    except (ValueError, RecursionError) as error:
        raise ModelError("encoder_config_syntax", path=path, kind=kind) from error
    if not isinstance(data, dict):
        raise ModelError("encoder_config_mapping", name=path)
    return data


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """Adds the path of a configuration to the errors of its values."""
    try:
        yield
    except ModelError as error:
        raise ModelError("encoder_config_refused", path=path, reason=error) from error


def check_number(
    name: str, value: Any, kind: type[int] | type[float], limits: tuple[float, float]
) -> Any:
    """The value as `kind`.

    Raises:
        ModelError: another type, or outside the limits, both included.
    """
    sound = type(value) is int or (type(value) is float and kind is float)
    if not sound or not limits[0] <= value <= limits[1]:
        code = "encoder_whole_number" if kind is int else "encoder_number"
        low, high = (f"{limit:g}" for limit in limits)
        raise ModelError(code, name=name, low=low, high=high, value=shown(value))
    return kind(value)


def check_parameters(count: float) -> None:
    """
    Raises:
        ModelError: a network of so many parameters is not meant.
    """
    if count > MAX_PARAMETERS:
        most = MAX_PARAMETERS // 10**9
        raise ModelError("encoder_parameters", billions=f"{count / 1e9:.1f}", most=most)


def check_tensors(
    path: Path, stored: Mapping[str, Sequence[int]], expected: Mapping[str, Sequence[int]]
) -> None:
    """Checks the shapes of a weights file, before any memory is taken.

    Raises:
        ModelError: a tensor is missing or has another shape.
    """
    if lacking := sorted(expected.keys() - stored.keys()):
        raise ModelError("encoder_lacks", path=path, count=len(lacking), name=lacking[0])
    for name, shape in expected.items():
        if tuple(stored[name]) != tuple(shape):
            shapes = {"found": list(stored[name]), "expected": list(shape)}
            raise ModelError("encoder_shape", path=path, name=name, **shapes)


def as_float32(path: Path, name: str, tensor: Tensor) -> Tensor:
    """A copy in float32: what is mapped from a file would change or vanish with the file.

    Raises:
        ModelError: no plain tensor of floating-point numbers, or not all finite.
    """
    if tensor.layout != torch.strided or not tensor.is_floating_point() or tensor.is_meta:
        raise ModelError("encoder_not_numbers", path=path, name=name)
    copy = tensor.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if not bool(copy.isfinite().all()):
        raise ModelError("encoder_not_finite", path=path, name=name)
    return copy


def write_weights(path: Path, state: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Write tensors as they are named, stored as `dtype`."""
    tensors = {n: t.detach().to("cpu", dtype).contiguous() for n, t in state.items()}
    safetensors.torch.save_file(tensors, path, {"format": "pt"})


def shown(value: Any) -> str:
    """A value of a file as a message holds it."""
    return repr(str(value)[:80])
