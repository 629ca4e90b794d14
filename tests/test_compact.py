"""Weights in bfloat16 under float32 arithmetic: the numbers are those of float32 weights."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.nn import functional as F

from audiollm.model import compact, precision
from audiollm.model.llm import load_llm
from audiollm.settings import Settings
from tests import tiny


@pytest.fixture
def pair() -> tuple[Any, Any]:
    """(an LLM of float32 weights that bfloat16 can hold, the same compact)."""
    whole = tiny.llm().bfloat16()
    small = copy.deepcopy(whole)
    compact.compact(small)
    return whole.float(), small


@pytest.mark.parametrize("block", [7, 64, 10**6])
@pytest.mark.parametrize("bias", [True, False])
def test_products_and_gradients_are_those_of_float32_weights(
    block: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "BLOCK", block)
    torch.manual_seed(0)
    layer = nn.Linear(16, 37, bias=bias)
    layer.weight.data = layer.weight.data.bfloat16()
    whole = layer.weight.detach().float()
    x = torch.randn(2, 3, 16, requires_grad=True)
    found = compact.CompactLinear(layer)(x)
    expected = F.linear(x, whole, layer.bias)
    torch.testing.assert_close(found, expected)
    wanted = torch.randn(2, 3, 37)
    (one,) = torch.autograd.grad((found * wanted).sum(), x)
    (two,) = torch.autograd.grad((expected * wanted).sum(), x)
    torch.testing.assert_close(one, two)


def test_an_llm_answers_as_with_float32_weights(pair: tuple[Any, Any]) -> None:
    whole, small = pair
    ids = torch.randint(5, 60, (2, 9))
    with torch.inference_mode():
        torch.testing.assert_close(small(ids).logits, whole(ids).logits, atol=1e-4, rtol=1e-4)
    assert small.lm_head.weight is small.get_input_embeddings().weight  # tied, as before
    stored = sum(p.numel() * p.element_size() for p in small.parameters())
    assert stored < 0.6 * sum(p.numel() * p.element_size() for p in whole.parameters())
    assert precision.describe(small) != precision.describe(whole) == "float32"


def test_generation_from_one_row_follows_closely(pair: tuple[Any, Any]) -> None:
    """A single row is rounded to bfloat16."""
    ids = torch.tensor([[6]])
    with torch.inference_mode():
        a, b = (model(ids).logits.log_softmax(-1) for model in pair)
    assert float((a - b).abs().max()) < 0.1


def test_lora_on_it_learns_in_float32(pair: tuple[Any, Any]) -> None:
    small = get_peft_model(pair[1], LoraConfig(r=2, target_modules=["q_proj", "down_proj"]))
    learned = [p for p in small.parameters() if p.requires_grad]
    assert learned and all(p.dtype == torch.float32 for p in learned)
    small(torch.randint(5, 60, (1, 4))).logits.sum().backward()
    assert any(float(p.grad.abs().sum()) > 0 for p in learned if p.grad is not None)


@pytest.mark.parametrize(
    ("wanted", "stored", "width", "small"),
    [
        ("auto", "bfloat16", 1, True),
        ("auto", "float32", 1, False),
        ("auto", "bfloat16", 10**6, False),  # a narrow LLM, such as the bundled one
        ("float32", "bfloat16", 1, False),
    ],
)
def test_large_llms_that_are_stored_in_bfloat16_are_kept_so(
    wanted: Any,
    stored: str,
    width: int,
    small: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "MEASURED_WIDTH", width)
    monkeypatch.setattr(precision, "bfloat16_gain", lambda: 0.5)
    tiny.llm().to(getattr(torch, stored)).save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    llm, _ = load_llm(str(tmp_path), Settings(precision=wanted), "cpu")
    assert compact.is_compact(llm) == small
    assert llm.get_input_embeddings()(torch.tensor([3])).dtype == torch.float32
