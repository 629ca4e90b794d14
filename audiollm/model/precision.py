"""The data type that an LLM computes in."""

import time
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from audiollm.model.compact import is_compact

MEASURED_WIDTH = 512  # of an LLM: a narrower one is fast enough, and answers alike everywhere
FASTER = 1.2  # by how much bfloat16 has to be faster to be chosen
SHAPES = ((64, 896, 4864), (1, 896, 4864))  # rows, in, out: a prompt and a token of Qwen2.5-0.5B
REPEATS = 3


def pick(device: str, setting: str = "auto", width: int = 0) -> torch.dtype:
    """The data type for an LLM on a device.

    Args:
        setting: `Settings.precision`.
        width: of the LLM's embeddings.
    """
    if setting != "auto":
        dtype: Any = getattr(torch, setting)
        return dtype
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device == "cpu" and width >= MEASURED_WIDTH and bfloat16_gain() >= FASTER:
        return torch.bfloat16
    return torch.float32


def keeps(
    device: str, setting: str, width: int, computed: torch.dtype, stored: torch.dtype | None
) -> bool:
    """Whether an LLM's weights stay in bfloat16, as they are stored, under float32 arithmetic.

    Args:
        computed: by `pick`, of the same arguments.
    """
    large = setting == "auto" and device == "cpu" and width >= MEASURED_WIDTH
    return large and computed == torch.float32 and stored == torch.bfloat16


def computed(llm: Any) -> torch.dtype:
    """The data type that a loaded LLM computes in."""
    dtype: torch.dtype = torch.float32 if is_compact(llm) else llm.dtype
    return dtype


def describe(llm: Any) -> str:
    """Of arithmetic and, where they are stored in another one, weights."""
    if is_compact(llm):
        return "float32, weights bfloat16"
    return str(computed(llm)).removeprefix("torch.")


@lru_cache(maxsize=1)
@torch.inference_mode()
def bfloat16_gain() -> float:
    """How many times as fast as in float32 this CPU multiplies the matrices of an LLM in bfloat16.

    CPUs with AMX or AVX512-BF16 gain by it; others convert every number. It takes less than a
    second, once.
    """
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrices = [
            (torch.ones(rows, size, dtype=dtype), torch.ones(out, size, dtype=dtype))
            for rows, size, out in SHAPES
        ]
        seconds[dtype] = sum(_seconds(x, weight) for x, weight in matrices)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def _seconds(x: Tensor, weight: Tensor) -> float:
    """The shortest time of a product, after one to warm up."""
    times = []
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        torch.nn.functional.linear(x, weight)
        times.append(time.perf_counter() - began)
    return min(times[1:])
