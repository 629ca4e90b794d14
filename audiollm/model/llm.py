"""The LLM of a folder: whole, or its table of embeddings where a server computes the rest.

No remote code and no pickle: a folder's weights are safetensors.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from audiollm import hub
from audiollm.errors import ModelError
from audiollm.model import precision
from audiollm.model.compact import compact
from audiollm.settings import Settings


class EmbeddingTable(nn.Module):
    """What is left of an LLM whose layers a server computes."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.table = nn.Embedding.from_pretrained(weight)

    @property
    def dtype(self) -> torch.dtype:
        return self.table.weight.dtype

    def get_input_embeddings(self) -> nn.Embedding:
        return self.table


def load_llm(
    id: str, settings: Settings, device: str = "cpu", dtype: torch.dtype | None = None
) -> tuple[Any, Any]:
    """(LLM, tokenizer) by preset name, hub id or folder; no remote code, safetensors only.

    It is returned on the CPU, in `dtype`; by default in what suits the `device` it will be on: see
    `precision.pick`. A large one that was stored in bfloat16 and will be computed in float32 on a
    CPU keeps its weights as they are stored (`compact`).

    Raises:
        ModelError: not found, damaged, or with other tensors than its configuration describes.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = hub.locate(id, settings)
    local: Any = {"local_files_only": True, "trust_remote_code": False}
    with _damaged(folder), quiet():
        small = False
        if dtype is None:
            conf = AutoConfig.from_pretrained(folder, **local)
            width = getattr(conf, "hidden_size", 0)
            dtype = precision.pick(device, settings.precision, width)
            stored = getattr(conf, "dtype", None)
            small = precision.keeps(device, settings.precision, width, dtype, stored)
            dtype = torch.bfloat16 if small else dtype
        opened: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            attn_implementation="sdpa",
            output_loading_info=True,
            **local,
        )
        llm, report = opened
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    _require_whole(folder, report)
    if small:
        compact(llm)
    return llm.eval(), tokenizer


def load_table(folder: Path) -> tuple[EmbeddingTable, Any]:
    """(the LLM's table of embeddings alone, tokenizer) of a folder, as stored.

    Raises:
        ModelError: damaged.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    local: Any = {"local_files_only": True, "trust_remote_code": False}
    with _damaged(folder), quiet():
        with torch.device("meta"):
            conf = AutoConfig.from_pretrained(folder, **local)
            shape = AutoModelForCausalLM.from_config(conf)
        table = shape.get_input_embeddings().weight
        name = next(name for name, p in shape.named_parameters() if p is table)
        if path := tensor_files(folder).get(name):
            tokenizer = AutoTokenizer.from_pretrained(folder, **local)
            return EmbeddingTable(read_tensor(path, name)).eval(), tokenizer
    raise ModelError("model_missing_keys", folder=folder, name=name, count=1)


def tensor_files(folder: Path) -> dict[str, Path]:
    """The safetensors file of every tensor of a folder."""
    files: dict[str, Path] = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            files |= dict.fromkeys(file.keys(), path)
    return files


def read_tensor(path: Path, name: str) -> Tensor:
    """One tensor of a file, as stored."""
    with safe_open(path, "pt") as file:
        tensor: Tensor = file.get_tensor(name)
    return tensor


def _require_whole(folder: Path, report: dict[str, Any]) -> None:
    """Refuses missing tensors, which transformers would initialise at random, and unknown ones."""
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        names = sorted(k if isinstance(k, str) else str(k[0]) for k in report[kind])
        if names:
            raise ModelError(f"model_{kind}", folder=folder, name=names[0], count=len(names))


@contextmanager
def _damaged(folder: Path) -> Iterator[None]:
    """transformers raises many kinds of errors for a damaged folder."""
    try:
        yield
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelError("model_llm_damaged", folder=folder, reason=reason) from error


@contextmanager
def quiet() -> Iterator[None]:
    """transformers' own loading bars and warnings stay out of a command's output."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
