"""A linear probe on the encoder's features: a classifier without projector and LLM.

`python -m train merge` fits it on the clips that the model was trained on. Its standardisation is
folded into weight and bias, so a model folder holds it as two plain tensors. No torch here.

Shapes: N clips, U numbers of an utterance's features, C classes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from audiollm.contracts.plain_json import parse_json
from audiollm.errors import ModelError

CLASSES_KEY = "classes"  # in the file's metadata: a JSON list, the order of the rows


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """Utterance features -> softmax(weight x + bias)."""

    classes: tuple[str, ...]  # those with training clips, in the model's order
    weight: np.ndarray  # float32 [C, U]
    bias: np.ndarray  # float32 [C]

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """[N, U] -> float64 [N, C], rows summing to 1."""
        logits = features.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def write(probe: LinearProbe, path: Path) -> None:
    """Writes the two tensors, and the classes as metadata."""
    tensors = {"weight": probe.weight, "bias": probe.bias}
    tensors = {k: np.ascontiguousarray(t, np.float32) for k, t in tensors.items()}
    save_file(tensors, path, {CLASSES_KEY: json.dumps(probe.classes)})


def read(path: Path, width: int, labels: Sequence[str]) -> LinearProbe:
    """The probe in a file.

    Args:
        width: of the encoder's utterance features, as the manifest says.
        labels: of the model, in order.

    Raises:
        ModelError: damaged, or not of this encoder and these classes.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            classes = _classes(file.metadata() or {}, labels)
            shapes = {"weight": [len(classes), width], "bias": [len(classes)]}
            if set(file.keys()) != set(shapes):
                raise ValueError(f"it holds {', '.join(sorted(file.keys()))[:80] or 'nothing'}")
            for name, shape in shapes.items():  # before any memory is taken
                tensor = file.get_slice(name)
                if tensor.get_dtype() != "F32" or list(tensor.get_shape()) != shape:
                    actual = f"{tensor.get_dtype()} {list(tensor.get_shape())}"
                    raise ValueError(f"its {name} is {actual}, not F32 {shape}")
            weight, bias = (file.get_tensor(name) for name in shapes)
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError("it holds numbers that are not finite")
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise ModelError("model_probe_damaged", path=path, reason=error) from error
    return LinearProbe(classes, weight, bias)


def _classes(metadata: dict[str, str], labels: Sequence[str]) -> tuple[str, ...]:
    value = parse_json(metadata.get(CLASSES_KEY, "null"))
    classes = [name for name in labels if isinstance(value, list) and name in value]
    if len(classes) < 2 or value != classes:
        known = ", ".join(labels)
        raise ValueError(f"its classes are {str(value)[:80]}, not two or more of {known}")
    return tuple(classes)
