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
            wanted = {"weight": [len(classes), width], "bias": [len(classes)]}
            if set(file.keys()) != set(wanted):
                raise ValueError(f"it holds {', '.join(sorted(file.keys()))[:80] or 'nothing'}")
            for name, shape in wanted.items():  # before any memory is taken
                stored = file.get_slice(name)
                if stored.get_dtype() != "F32" or list(stored.get_shape()) != shape:
                    found = f"{stored.get_dtype()} {list(stored.get_shape())}"
                    raise ValueError(f"its {name} is {found}, not F32 {shape}")
            weight, bias = (file.get_tensor(name) for name in wanted)
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError("it holds numbers that are not finite")
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise ModelError("model_probe_damaged", path=path, reason=error) from error
    return LinearProbe(classes, weight, bias)


def _classes(metadata: dict[str, str], labels: Sequence[str]) -> tuple[str, ...]:
    found = parse_json(metadata.get(CLASSES_KEY, "null"))
    known = [name for name in labels if isinstance(found, list) and name in found]
    if len(known) < 2 or found != known:
        shown = str(found)[:80]
        raise ValueError(f"its classes are {shown}, not two or more of {', '.join(labels)}")
    return tuple(known)
