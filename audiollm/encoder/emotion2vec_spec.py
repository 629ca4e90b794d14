"""The convolutions that turn samples into frames: their layers read safely, their arithmetic.

FunASR writes them as a Python expression, `[(512, 10, 5)] + [(512, 3, 2)] * 4`, and runs `eval`
on it. Here the expression is only read, and FunASR is given a list that we wrote ourselves.
"""

import ast
import math
from collections.abc import Sequence
from typing import Any

from audiollm.encoder.files import shown
from audiollm.errors import ModelError

HOP = 320  # samples at 16 kHz between two frames

ConvLayers = Sequence[tuple[int, int, int]]  # (channels, kernel, stride) of every layer


def parse_spec(spec: Any) -> list[tuple[int, int, int]]:
    """Convolution layers from FunASR's text `[(512, 10, 5)] + [(512, 3, 2)] * 4`, or from a list.

    Only lists, tuples, integers, `+` and `*` are understood; nothing is executed.

    Raises:
        ModelError: anything else stands there, or the layers make no 50 frames a second.
    """
    value = spec
    if isinstance(spec, str):
        try:
            if len(spec) > 1000:
                raise ValueError(spec)
            value = _literal(ast.parse(spec.strip(), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ModelError("encoder_spec_syntax", value=shown(spec)) from error
    sound = isinstance(value, list | tuple) and 1 <= len(value) <= 32
    if not sound or not all(_is_layer(layer) for layer in value):
        raise ModelError("encoder_spec", value=shown(value))
    layers = [(c, k, s) for c, k, s in value]
    if (hop := math.prod(stride for _, _, stride in layers)) != HOP:
        raise ModelError("encoder_strides", hop=hop, expected=HOP)
    return layers


def receptive_field(layers: ConvLayers) -> int:
    """Samples that one frame sees."""
    size, hop = 1, 1
    for _, kernel, stride in layers:
        size += (kernel - 1) * hop
        hop *= stride
    return size


def frame_count(samples: int, layers: ConvLayers) -> int:
    """Frames that the convolutions make of that many samples; 0 or less when it is too short."""
    for _, kernel, stride in layers:
        samples = (samples - kernel) // stride + 1
    return samples


def _literal(node: ast.expr) -> Any:
    """Value of a syntax tree of lists, tuples, integers, list + list and list * integer."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(item) for item in node.elts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        left, right = _literal(node.left), _literal(node.right)
        if isinstance(node.op, ast.Add) and isinstance(left, list) and isinstance(right, list):
            result = left + right
        elif isinstance(left, list) and isinstance(right, int) and 0 <= right <= 32:
            result = left * right
        else:
            raise ValueError(ast.dump(node))
        if len(result) > 32:
            raise ValueError(len(result))
        return result
    raise ValueError(ast.dump(node))


def _is_layer(layer: Any) -> bool:
    return (
        isinstance(layer, list | tuple)
        and len(layer) == 3
        and all(type(n) is int and 1 <= n <= 4096 for n in layer)
    )
