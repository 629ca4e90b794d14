"""Weights of a bfloat16 LLM in the layout in which a CPU multiplies them.

Torch brings a weight into oneDNN's blocked layout in every product. With few rows, as in scoring
and generation, that takes as long as the product; here it is done once, at load. The numbers are
the same.

Shapes: I inputs, O outputs.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audiollm.model.llm import read_tensor, tensor_files

_OPS: Any = torch.ops.mkldnn  # what torch.compile uses on a CPU


def supported() -> bool:
    """Whether this CPU, and the oneDNN of this torch, compute in bfloat16."""
    return torch.backends.mkldnn.is_available() and bool(_OPS._is_mkldnn_bf16_supported())


def pack(llm: nn.Module, folder: Path) -> None:
    """Replaces the bfloat16 linear layers, in place, where this CPU computes in bfloat16; from then
    on the LLM cannot be trained or saved. The output layer, which shares its weight with the
    embeddings, stays.

    Args:
        folder: of the LLM. Weights are read from it again, one at a time: those that were loaded
            are pages of its files, which are in memory as soon as they are read.
    """
    if not supported():
        return
    output = llm.get_output_embeddings()  # type: ignore[operator]
    files = tensor_files(folder)
    for name, layer in list(llm.named_modules()):
        if type(layer) is not nn.Linear or layer is output or layer.weight.device.type != "cpu":
            continue
        if layer.weight.dtype == torch.bfloat16:
            weight = layer.weight.detach()
            if path := files.get(f"{name}.weight"):
                stored = read_tensor(path, f"{name}.weight")
                weight = stored if stored.dtype == torch.bfloat16 else weight
            parent, _, own = name.rpartition(".")
            setattr(llm.get_submodule(parent), own, PackedLinear(layer, weight))


class PackedLinear(nn.Module):
    """`nn.Linear` for inference, whose weight is packed."""

    def __init__(self, layer: nn.Linear, weight: Tensor) -> None:
        """weight: bfloat16 [O, I], that of the layer."""
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.bias = layer.bias
        # no parameter: nothing but this product can read the layout
        self._weight = _OPS._reorder_linear_weight(weight)

    def forward(self, input: Tensor) -> Tensor:
        """[..., I] -> [..., O]"""
        result: Tensor = _OPS._linear_pointwise(input, self._weight, self.bias, "none", [], "")
        return result
