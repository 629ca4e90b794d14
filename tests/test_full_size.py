"""Qwen2.5-0.5B and emotion2vec-base shapes with random weights through the same code, on CPU."""

import numpy as np
import pytest
import torch

from audiollm.model.audio_llm import Example
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt
from audiollm.model.scoring import Scorer
from bench import shapes
from tests import tiny
from tests.conftest import voiced


@pytest.mark.slow
def test_full_size_hears_learns_scores_and_writes() -> None:
    encoder = shapes.emotion2vec()
    sounds = [voiced(1.0), voiced(1.6, 200)]
    encoded = encoder.encode(sounds)
    assert [e.frames.shape for e in encoded] == [(49, 768), (79, 768)]
    clips = [Features(e.utterance, e.frames) for e in encoded]
    del encoder

    model = shapes.audio_llm()
    assert 490e6 < sum(p.numel() for p in model.llm.parameters()) < 500e6
    prompt = Prompt(tiny.tokenizer(), tiny.CLASSES)
    model.llm.requires_grad_(False)
    layout = prompt.layout("zh")
    answer = prompt.answer("happy", "声音", "zh")
    loss = model([Example(c, layout.head, layout.tail, answer) for c in clips])["loss"]
    loss.backward()
    gradients = [p.grad for p in model.projector.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert any(g is not None and g.abs().sum() > 0 for g in gradients)

    scorer = Scorer(model, prompt)
    scored = scorer.score(clips, [None, None], "zh")
    assert scored.shape == (2, len(tiny.CLASSES))
    alone = scorer.score(clips[:1], [None], "zh")
    np.testing.assert_allclose(alone[0], scored[0], atol=1e-3)
