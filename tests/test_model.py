"""Training with each head computed once a batch gives the loss and gradients of whole rows."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from audiollm.model.audio_llm import AudioLLM, Example
from audiollm.model.prompt import Prompt
from tests import tiny


def whole_rows(model: AudioLLM, examples: Sequence[Example]) -> torch.Tensor:
    """The plain way: head, audio, tail and answer of every row in one pass."""
    tails = [e.tail + e.answer for e in examples]
    merged = model.merge([e.head for e in examples], [e.features for e in examples], tails)
    log_p = model.logits(model.hidden(merged)).log_softmax(-1)
    found = []
    for i, (example, start) in enumerate(zip(examples, merged.tail_start.tolist(), strict=True)):
        for j, token in enumerate(example.answer):
            found.append(log_p[i, start + len(example.tail) - 1 + j, token])
    return -torch.stack(found).mean()


def batch(style: Any = "chat") -> list[Example]:
    """Three heads of different length over five rows; audio of different length."""
    prompt = Prompt(tiny.tokenizer(), tiny.CLASSES, style)
    made = []
    asked = (("en", "analyse"), ("zh", "analyse"), ("en", "analyse"), ("en", "classify"))
    for i, (language, kind) in enumerate((*asked, ("zh", "analyse"))):
        layout = prompt.layout(language, None, kind)  # type: ignore[arg-type]
        answer = prompt.answer(tiny.CLASSES[i], "x" * i, language)  # type: ignore[arg-type]
        made.append(Example(tiny.features(20 + 30 * i, i), layout.head, layout.tail, answer))
    return made


def with_lora() -> AudioLLM:
    from peft import LoraConfig, get_peft_model

    model = tiny.audio_llm()
    model.llm.requires_grad_(False)
    config = LoraConfig(r=2, target_modules=["q_proj", "k_proj", "v_proj", "down_proj"])
    model.llm = get_peft_model(model.llm, config)  # type: ignore[arg-type]
    for name, weight in model.llm.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.mark.parametrize("style", ["chat", "original"])
@pytest.mark.parametrize("trained", ["projector", "lora"])
def test_loss_and_gradients_are_those_of_whole_rows(style: str, trained: str) -> None:
    model = with_lora() if trained == "lora" else tiny.audio_llm()
    if trained == "projector":
        model.llm.requires_grad_(False)
    losses, gradients = [], []
    for way in (lambda b: model(b)["loss"], lambda b: whole_rows(model, b)):
        model.zero_grad()
        losses.append(way(batch(style)))
        losses[-1].backward()
        found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        gradients.append(found)
    assert abs(losses[0].item() - losses[1].item()) < 1e-5
    assert len(gradients[0]) == len(gradients[1])
    assert len(gradients[0]) == sum(p.requires_grad for p in model.parameters())
    for once, whole in zip(*gradients, strict=True):
        torch.testing.assert_close(once, whole, rtol=1e-4, atol=1e-5)


def test_heads_are_computed_once_and_without_gradient_where_the_llm_is_frozen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny.audio_llm()
    model.llm.requires_grad_(False)
    sizes: list[int] = []
    body = model.causal_lm.model
    whole = body.forward  # type: ignore[union-attr]

    def seen(*args: Any, **kwargs: Any) -> Any:
        sizes.append(len(kwargs["inputs_embeds"]))
        return whole(*args, **kwargs)  # type: ignore[operator]

    monkeypatch.setattr(body, "forward", seen)
    examples = batch()
    heads = model.heads([e.head for e in examples])
    assert sizes == [3]
    assert not any(k.requires_grad or v.requires_grad for k, v in heads.layers)
    assert heads.lengths.tolist() == [len(e.head) for e in examples]
    assert heads.mask.sum(1).tolist() == heads.lengths.tolist()


def test_logits_are_made_at_the_answer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.audio_llm()
    made: list[tuple[int, ...]] = []
    head = model.causal_lm.lm_head
    head.register_forward_hook(lambda *a: made.append(tuple(a[2].shape)))  # type: ignore[operator,union-attr]
    examples = batch()
    loss = model(examples)["loss"]
    assert made == [(sum(len(e.answer) for e in examples), len(tiny.tokenizer()))]
    assert torch.isfinite(loss)
