"""Packed weights give the same numbers, where the CPU has a use for them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from audiollm.model import packed
from audiollm.model.llm import load_llm
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from tests import prepared, tiny


@torch.inference_mode()
@pytest.mark.parametrize("stored", [True, False], ids=["from its file", "from memory"])
def test_an_llm_gives_the_same_numbers_with_packed_weights(tmp_path: Path, stored: bool) -> None:
    folder = prepared.llm_folder(tmp_path / "llm") or tmp_path / "llm"
    llm, _ = load_llm(str(folder), Settings(home=tmp_path, precision="bfloat16"))
    if stored:  # in the type that is computed in: then the file is read again
        llm.save_pretrained(folder)
        llm, _ = load_llm(str(folder), Settings(home=tmp_path, precision="bfloat16"))
    ids = torch.arange(12).view(2, 6)
    before = llm(input_ids=ids).logits
    packed.pack(llm, folder)
    assert torch.equal(llm(input_ids=ids).logits, before)
    layers = [m for m in llm.modules() if isinstance(m, packed.PackedLinear)]
    count = 7 * llm.config.num_hidden_layers if packed.supported() else 0
    assert len(layers) == count
    assert type(llm.get_output_embeddings()) is torch.nn.Linear


def test_a_model_in_bfloat16_hears_in_bfloat16_and_counts_its_parameters(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    model = tiny.model_folder(tmp_path, settings)
    plain = Predictor.load(str(model), settings)
    low = Predictor.load(str(model), replace(settings, precision="bfloat16"))
    assert plain._encoder.precision == torch.float32
    assert low._encoder.precision == torch.bfloat16
    assert low.card.parameters == plain.card.parameters
    assert low.card.precision == "bfloat16"


def test_a_float32_llm_stays_as_it_is(tmp_path: Path) -> None:
    folder = prepared.llm_folder(tmp_path / "llm") or tmp_path / "llm"
    llm, _ = load_llm(str(folder), Settings(home=tmp_path))
    packed.pack(llm, folder)
    assert not any(isinstance(m, packed.PackedLinear) for m in llm.modules())
