"""Weights that stay in bfloat16, as they were published, under float32 arithmetic.

A CPU without bfloat16 instructions computes in float32. The weights of an LLM are not copied to
float32 for that: each product converts a block of rows at a time, small enough for the processor's
cache, so that half of the memory is needed and half of it is read. The products are those of
float32 weights; a single row, as in generation, is rounded to bfloat16 first, which is faster.

Shapes: N rows, I inputs, O outputs.
"""

import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK = 1_000_000  # numbers converted at once: 4 MB
_local = threading.local()


def compact(llm: nn.Module) -> None:
    """Replaces the linear layers and embeddings, whose weights are bfloat16, in place; what else is
    learned, such as norms and biases, becomes float32. No gradient of the weights is made."""
    llm.requires_grad_(False)
    for module in list(llm.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear:
                setattr(module, name, CompactLinear(child))
            elif type(child) is nn.Embedding:
                setattr(module, name, CompactEmbedding(child))
    compacted = (m for m in llm.modules() if isinstance(m, CompactLinear | CompactEmbedding))
    ids = {id(module.weight) for module in compacted}
    for parameter in llm.parameters():
        if id(parameter) not in ids:
            parameter.data = parameter.data.float()


def is_compact(llm: nn.Module) -> bool:
    return any(isinstance(module, CompactLinear) for module in llm.modules())


class CompactLinear(nn.Linear):
    """`nn.Linear` in float32 with a frozen bfloat16 weight."""

    def __init__(self, layer: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, input: Tensor) -> Tensor:
        """[..., I] -> [..., O]"""
        flat = input.float().reshape(-1, self.in_features)
        if len(flat) == 1 and not (torch.is_grad_enabled() and flat.requires_grad):
            out = F.linear(flat.bfloat16(), self.weight).float()
        else:
            out = _Product.apply(flat, self.weight)  # type: ignore[no-untyped-call]
        out = out.view(*input.shape[:-1], self.out_features)
        return out if self.bias is None else out + self.bias


class CompactEmbedding(nn.Embedding):
    """`nn.Embedding` that gives float32, with a frozen bfloat16 weight."""

    def __init__(self, layer: nn.Embedding) -> None:
        nn.Module.__init__(self)
        for name in ("num_embeddings", "embedding_dim", "padding_idx", "max_norm", "norm_type"):
            setattr(self, name, getattr(layer, name))
        self.scale_grad_by_freq, self.sparse = layer.scale_grad_by_freq, layer.sparse
        self.weight = layer.weight

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).float()


class _Product(torch.autograd.Function):
    """x [N, I] times the transpose of a bfloat16 weight [O, I] -> [N, O]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        out = x.new_empty(len(x), len(weight))
        for start, block in _blocks(weight):
            out[:, start : start + len(block)] = x @ block.T
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grad,), (weight,) = grads, ctx.saved_tensors
        product = grad.new_zeros(len(grad), weight.shape[1])
        for start, block in _blocks(weight):
            product.addmm_(grad[:, start : start + len(block)], block)
        return product, None


def _blocks(weight: Tensor) -> Iterator[tuple[int, Tensor]]:
    """(first row, rows in float32) of a weight; a block is valid until the next."""
    rows = max(1, BLOCK // weight.shape[1])
    size = min(rows, len(weight)) * weight.shape[1]
    scratch = getattr(_local, "scratch", None)  # of this thread
    if scratch is None or scratch.numel() < size or scratch.device != weight.device:
        with torch.inference_mode(False):
            scratch = _local.scratch = torch.empty(size, device=weight.device)
    for start in range(0, len(weight), rows):
        part = weight[start : start + rows]
        block = scratch[: part.numel()].view_as(part)
        yield start, block.copy_(part)
