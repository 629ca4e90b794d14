"""What training adds to the model's loss: weights of the class word, noise, an auxiliary head."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from audiollm.model.audio_llm import AudioLLM, Example
from audiollm.model.projector import Standardiser
from audiollm.model.prompt import Prompt
from tests import tiny
from tests.prepared import write
from train.corpora import Clip
from train.data.dataset import load_prepared
from train.fit.auxiliary import SMOOTHING, GroupedExample, TrainingLLM, groups
from train.fit.examples import ExampleDataset
from train.fit.instructions import Instruction

WORDS = [(3,), (4, 5), (6,)]  # ids of three class words


def examples(class_token_weight: float = 1.0) -> list[Example]:
    ids = tiny.tokenizer()("angry pitch high")["input_ids"]
    return [
        GroupedExample(
            tiny.features(40 + i, i),
            tuple(ids),
            (ids[0],),
            tuple(ids[: 2 + i]),
            class_token_weight,
            group=i,
        )
        for i in range(3)
    ]


def taught(weight: float) -> TrainingLLM:
    model = TrainingLLM.build(tiny.llm(), tiny.audio_llm().projector.config)
    assert isinstance(model, TrainingLLM)
    model.add_head([0, 1, 2], WORDS, weight)
    return model


@pytest.mark.parametrize("class_token_weight", [0.0, 1.0, 7.0])
def test_the_class_word_counts_by_its_weight(class_token_weight: float) -> None:
    model = tiny.audio_llm()
    alone = []
    for example in examples():
        merged = model.merge([example.head], [example.features], [example.tail + example.answer])
        first = int(merged.tail_start[0]) + len(example.tail) - 1
        logits = model.logits(model.hidden(merged)[0, first : first + len(example.answer)])
        alone.append(F.cross_entropy(logits, torch.tensor(example.answer), reduction="none"))
    total = sum(class_token_weight * losses[0] + losses[1:].sum() for losses in alone)
    weight = sum(class_token_weight + len(losses) - 1 for losses in alone)
    found = model(examples(class_token_weight))["loss"]
    assert float(found) == pytest.approx(float(total / weight), rel=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_a_smoothed_class_word_is_shared_by_all_class_words(share: float) -> None:
    model = tiny.audio_llm()
    choices = (5, 9, 14)
    total, weight = torch.zeros(()), 0.0
    for example in examples(3.0):
        merged = model.merge([example.head], [example.features], [example.tail + example.answer])
        first = int(merged.tail_start[0]) + len(example.tail) - 1
        logits = model.logits(model.hidden(merged)[0, first : first + len(example.answer)])
        target = F.one_hot(torch.tensor(example.answer), logits.shape[1]).float()
        target[0] *= 1 - share
        target[0, list(choices)] += share / len(choices)
        losses = F.cross_entropy(logits, target, reduction="none")
        total += 3.0 * losses[0] + losses[1:].sum()
        weight += 3.0 + len(losses) - 1
    mixed = [replace(e, choices=choices, smoothing=share) for e in examples(3.0)]
    assert float(model(mixed)["loss"]) == pytest.approx(float(total / weight), rel=1e-4)


def test_only_answers_that_begin_with_a_class_word_are_smoothed(tmp_path: Path) -> None:
    prepared = load_prepared(write(tmp_path / "data"))
    prompt = Prompt(tiny.tokenizer(), prepared.classes)
    clip = prepared.split("train")[0]
    named = Instruction("classify", "zh", clip.label, "")
    asked = Instruction("yes_no", "zh", "", "是。", clip.label)
    data = ExampleDataset(prepared, [(clip, named), (clip, asked)], prompt, 4.0, 0.2)
    words = tuple(prompt.label(name, "zh")[0] for name in prompt.classes)
    assert (data[0].choices, data[0].smoothing, data[0].class_token_weight) == (words, 0.2, 4.0)
    assert (data[1].choices, data[1].smoothing, data[1].class_token_weight) == ((), 0.0, 1.0)


def test_the_auxiliary_loss_counts_while_training_only() -> None:
    model = taught(2.0)
    plain, auxiliary = tiny.audio_llm(), model.auxiliary
    plain.load_state_dict(model.state_dict(), strict=False)
    assert auxiliary is not None
    torch.nn.init.zeros_(auxiliary.weight)
    torch.nn.init.zeros_(auxiliary.bias)
    for module in model.modules():  # dropout would draw twice
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    before = float(plain(examples())["loss"])
    assert float(model.eval()(examples())["loss"]) == pytest.approx(before, rel=1e-5)
    # a head that knows nothing costs the logarithm of the number of groups
    found = float(model.train()(examples())["loss"])
    assert found == pytest.approx(before + 2.0 * math.log(3), rel=1e-4)


def test_the_auxiliary_head_learns_the_groups_through_the_projector() -> None:
    torch.manual_seed(0)
    model = taught(1.0).train()
    model.llm.requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=0.01)
    losses = []
    for _ in range(60):
        loss = AudioLLM.forward(model, examples())["loss"]
        both = model(examples())["loss"]
        optimizer.zero_grad()
        both.backward()
        optimizer.step()
        losses.append(float(both - loss))
    least = -(1 - SMOOTHING) * math.log(1 - SMOOTHING * 2 / 3)
    assert losses[0] > 0.8
    assert least < sum(losses[-5:]) / 5 < 0.6


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_the_head_gives_a_share_of_the_class_words_target(share: float) -> None:
    model = tiny.audio_llm()
    found = [replace(e, choices=(5, 9, 14), answer=(9, *e.answer[1:])) for e in examples(3.0)]
    soft = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0], [0.3, 0.3, 0.4]])
    total, weight = torch.zeros(()), 0.0
    for example, row in zip(found, soft, strict=True):
        merged = model.merge([example.head], [example.features], [example.tail + example.answer])
        first = int(merged.tail_start[0]) + len(example.tail) - 1
        logits = model.logits(model.hidden(merged)[0, first : first + len(example.answer)])
        target = F.one_hot(torch.tensor(example.answer), logits.shape[1]).float()
        target[0] *= 1 - share
        target[0, list(example.choices)] += share * row
        losses = F.cross_entropy(logits, target, reduction="none")
        total += 3.0 * losses[0] + losses[1:].sum()
        weight += 3.0 + len(losses) - 1
    audio = model.projector([e.features for e in found])
    loss = float(model.loss(found, audio, soft, share))
    assert loss == pytest.approx(float(total / weight), rel=1e-4)


def test_groups_of_a_class_add_up_in_what_the_head_says() -> None:
    model = taught(0.0)
    model.add_head([0, 2, 2, 0], WORDS, 1.0)
    assert model.auxiliary is not None
    torch.nn.init.zeros_(model.auxiliary.weight)
    odds = torch.tensor([0.1, 0.2, 0.3, 0.4])
    with torch.no_grad():
        model.auxiliary.bias.copy_(odds.log())
    found = model.class_probabilities(*model.projector([e.features for e in examples()]))
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.0, 0.5]] * 3))


def test_mixed_tokens_keep_their_lengths() -> None:
    """The head averages over a row, so what lies beyond its length must stay 0."""
    torch.manual_seed(0)
    model, seen = taught(0.0), []
    model.add_head([0, 1, 2], WORDS, 1.0, 0.5)
    inner = model.class_probabilities

    def watched(tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        seen.append((tokens, lengths))
        return inner(tokens, lengths)

    model.class_probabilities = watched  # type: ignore[method-assign]
    model.train()(
        [replace(e, features=tiny.features(40 + 100 * i, i)) for i, e in enumerate(examples())]
    )
    tokens, lengths = seen[0]
    assert len(set(lengths.tolist())) > 1
    for row, length in zip(tokens, lengths.tolist(), strict=True):
        assert not row[length:].any() and row[:length].all()


def test_the_llm_learns_what_the_head_says() -> None:
    """The head knows nothing, so an LLM that is taught by it alone comes to say nothing either."""
    torch.manual_seed(0)
    model = TrainingLLM.build(tiny.llm(), tiny.audio_llm().projector.config).train()
    assert isinstance(model, TrainingLLM)
    model.add_head([0, 1, 2], WORDS, 1e-9, 1.0)
    assert model.auxiliary is not None
    torch.nn.init.zeros_(model.auxiliary.weight)
    torch.nn.init.zeros_(model.auxiliary.bias)
    choices = (5, 9, 14)
    found = [
        replace(e, choices=choices, answer=(c,)) for e, c in zip(examples(), choices, strict=True)
    ]
    optimizer = torch.optim.Adam(model.llm.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        model(found)["loss"].backward()
        optimizer.step()
    model.eval()
    merged = model.merge(
        [e.head for e in found], [e.features for e in found], [e.tail for e in found]
    )
    rows = [int(s) + len(e.tail) - 1 for s, e in zip(merged.tail_start, found, strict=True)]
    logits = model.logits(model.hidden(merged)[range(3), rows])
    torch.testing.assert_close(
        logits.softmax(-1)[:, list(choices)].detach(), torch.full((3, 3), 1 / 3), atol=0.05, rtol=0
    )


def test_without_weight_there_is_no_head() -> None:
    model = taught(0.0)
    assert model.auxiliary is None
    assert not any("auxiliary" in name for name in model.state_dict())


def test_groups_are_numbered_by_corpus_and_class() -> None:
    clips = [
        Clip(path="", label=label, speaker="", seconds=1.0, language="", corpus=corpus)
        for corpus, label in (("b", "sad"), ("a", "sad"), ("a", "angry"), ("b", "sad"))
    ]
    assert groups(clips) == {("a", "angry"): 0, ("a", "sad"): 1, ("b", "sad"): 2}
    assert groups(clips, "class") == {("a", "angry"): 0, ("a", "sad"): 1, ("b", "sad"): 1}


def test_noise_is_added_while_training_only() -> None:
    layer = Standardiser(64, limit=6.0, noise=0.5)
    x = torch.zeros(500, 64)
    assert torch.equal(layer.eval()(x), x)
    assert float(layer.train()(x).std()) == pytest.approx(0.5, rel=0.02)


def test_features_are_left_out_while_training_only() -> None:
    layer = Standardiser(64, limit=6.0, dropout=0.25)
    x = torch.ones(500, 64)
    assert torch.equal(layer.eval()(x), x)
    found = layer.train()(x)
    assert float((found == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float(found.mean()) == pytest.approx(1, abs=0.03)  # what is left weighs more


def test_a_head_of_embeddings_moves_tokens_towards_the_words_of_their_classes() -> None:
    """The LLM understands its own words, so it starts from tokens that it can read."""
    model = TrainingLLM.build(tiny.llm(), tiny.audio_llm().projector.config)
    assert isinstance(model, TrainingLLM)
    model.add_head([0, 1, 2], WORDS, 1.0, embedded=True)
    assert model.auxiliary is not None and not model.auxiliary.weight.requires_grad
    words = torch.stack([model.embed(word).mean(0) for word in WORDS]).detach()

    def nearest() -> list[int]:
        tokens, lengths = model.projector.eval()([e.features for e in examples()])
        mean = tokens.sum(1) / lengths[:, None]
        return F.cosine_similarity(mean[:, None], words[None], dim=-1).argmax(1).tolist()

    optimizer = torch.optim.AdamW(model.projector.parameters(), lr=0.01)
    for _ in range(60):
        tokens, lengths = model.projector.train()([e.features for e in examples()])
        optimizer.zero_grad()
        model.group_loss(examples(), tokens, lengths).backward()
        optimizer.step()
    assert nearest() == [0, 1, 2]


def test_tokens_start_in_the_span_of_the_class_words() -> None:
    """Nothing but these words is in them before the LLM takes part; their scale is kept."""
    model = TrainingLLM.build(tiny.llm(), tiny.audio_llm().projector.config)
    before, _ = model.projector.eval()([e.features for e in examples()])
    model.add_head([0, 1, 2], WORDS, 1.0, embedded=True)  # type: ignore[operator]
    tokens, _ = model.projector.eval()([e.features for e in examples()])
    words = torch.stack([model.embed(word).mean(0) for word in WORDS]).detach()
    found = tokens.reshape(-1, tokens.shape[-1])
    left = found - found @ torch.linalg.pinv(words) @ words
    assert float(left.abs().max()) < 1e-4 < float(found.abs().max())
    sizes = [float(t.norm(dim=-1).mean()) for t in (tokens, before)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def test_heads_of_a_frozen_llm_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = TrainingLLM.build(tiny.llm(), tiny.audio_llm().projector.config)
    assert isinstance(model, TrainingLLM)
    heads = [(5, 6, 7), (8, 9), (5, 6, 7)]
    expected = model.heads(heads)  # not frozen
    model.llm.requires_grad_(False)
    model.keeps_heads = True
    passes: list[object] = []
    model.causal_lm.model.register_forward_hook(lambda *a: passes.append(a))  # type: ignore[union-attr,operator]
    for _ in range(2):
        found = model.heads(heads)
    assert len(passes) == 2  # one for each of the two heads
    assert torch.equal(found.lengths, expected.lengths)
    keep = expected.mask[:, None, :, None]
    for now, known in zip(found.layers, expected.layers, strict=True):
        for a, b in zip(now, known, strict=True):
            torch.testing.assert_close(a * keep, b.detach() * keep, atol=1e-5, rtol=1e-5)


def test_the_class_token_may_be_a_choice_among_the_class_words() -> None:
    """The loss is that of the softmax which scoring takes; a rise of all other logits is free."""
    model = tiny.audio_llm()
    batch = examples()
    audio = model.projector([e.features for e in batch])
    choices = (5, 6, 7)
    ends = [replace(e, answer=(5 + i % 3,), choices=choices) for i, e in enumerate(batch)]
    tails = [e.tail for e in ends]
    with torch.no_grad():
        merged = model.merge([e.head for e in ends], [e.features for e in ends], tails)
        hidden = model.hidden(merged)[range(len(ends)), merged.lengths - 1]
        logits = model.logits(hidden)
    rows = [each[list(choices)].log_softmax(-1) for each in logits]
    wanted = [-row[i % 3] for i, row in enumerate(rows)]
    found = model.loss(ends, audio, among=True)
    assert float(found) == pytest.approx(float(torch.stack(wanted).mean()), rel=1e-4)
    assert float(model.loss(ends, audio)) > float(found)  # over the vocabulary


def test_a_class_word_is_known_in_every_language_of_the_prompt() -> None:
    tokenizer = tiny.tokenizer()
    prompt = Prompt(tokenizer, tiny.CLASSES, languages=("en", "zh"))
    ids = prompt.class_words("angry")
    assert (
        tokenizer.decode(ids).split()
        == tokenizer.decode([*prompt.ids(" angry"), *prompt.ids("生气")]).split()
    )
