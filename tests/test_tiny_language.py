"""The small LLM's language: its tokenizer, the drawn examples, and that it learns to read slots."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audiollm.labels import EMOTIONS, LANGUAGES, prompt_word
from audiollm.model.prompt import Kind, Prompt, cue_words
from train.command import main as command
from train.tiny import language, lexicon, network, synthetic
from train.tiny.synthetic import CLASSES, KINDS, Drawn

RECIPE = network.Recipe(steps=30, width=48, depth=2, heads=3, hidden=96, batch=8, rate=8e-3)


@cache
def tokenizer() -> Any:
    return network.build_tokenizer(RECIPE.vocabulary, seed=0, count=300)


@cache
def drawn(count: int = 200) -> list[Drawn]:
    return synthetic.held_out(tokenizer(), count, seed=3)


@pytest.mark.parametrize(
    "text",
    [
        "Which emotion does this voice express: angry, sad? Explain what you hear.",
        "这段声音表达了哪种情感：生气、难过？请说明你听到了什么。",
        "Something that no list foresaw: naïve café, 東京, 🙂.\n",
    ],
)
def test_tokenizer_gives_back_any_text(text: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer().save_pretrained(tmp_path)
    network.build_llm(tokenizer(), RECIPE).config.save_pretrained(tmp_path)  # decides the class
    opened = AutoTokenizer.from_pretrained(tmp_path)
    ids = opened(text, add_special_tokens=False)["input_ids"]
    assert ids == tokenizer()(text, add_special_tokens=False)["input_ids"]
    assert opened.decode(ids) == text
    assert opened.eos_token == "<|im_end|>"
    assert opened.pad_token == "<|endoftext|>"


def test_markers_are_single_tokens_and_the_template_is_chatml() -> None:
    for marker in network.MARKERS:
        assert len(tokenizer()(marker, add_special_tokens=False)["input_ids"]) == 1
    chat = tokenizer().apply_chat_template(
        [{"role": "user", "content": "hello"}], tokenize=False, add_generation_prompt=True
    )
    assert chat == "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"


def test_class_words_are_one_token_wherever_they_stand() -> None:
    ids = Prompt(tokenizer(), CLASSES).ids
    for emotion in EMOTIONS:
        zh = prompt_word(emotion.name, "zh")
        assert len(ids(emotion.en)) == len(ids(f" {emotion.en}")) == len(ids(zh)) == 1
        assert ids(zh)[0] in ids(f"这段声音听起来{zh}吗？")
        assert ids(f" {emotion.en}")[0] in ids(f"Does this voice sound {emotion.en}?")


def test_examples_have_the_product_s_layout() -> None:
    for d in drawn():
        language_ = d.instruction.language
        head = tokenizer().decode(d.example.head)
        tail = tokenizer().decode(d.example.tail)
        answer = tokenizer().decode(d.example.answer)
        assert head.startswith("<|im_start|>user\n")
        assert head.endswith("\n")
        shown = cue_words(d.cues, language_) if d.instruction.shows_cues else ""
        if d.instruction.facts and d.instruction.words:
            shown = d.instruction.facts.line(d.instruction.words)
        assert d.example.with_audio == (d.instruction.facts is None)
        assert tail == f"{shown}<|im_end|>\n<|im_start|>assistant\n"
        assert answer.endswith("<|im_end|>")
        if d.instruction.label:
            assert answer.startswith(prompt_word(d.label, language_))
            assert all(prompt_word(name, language_) in head for name in d.classes)
        assert prompt_word(d.label, language_) in answer or d.instruction.facts


def test_every_kind_and_both_languages_are_drawn() -> None:
    found = {(d.instruction.kind, d.instruction.language) for d in drawn()}
    assert found == {(kind, lang) for kind in KINDS for lang in LANGUAGES}


def test_the_label_can_be_read_from_the_slot() -> None:
    """Counting the weight of each class's hints finds the class of a clear slot."""
    ids = Prompt(tokenizer(), CLASSES).ids
    owner = {ids(w): name for name in CLASSES for w in lexicon.hints(name)}
    clear = [d for d in drawn() if d.clear and d.instruction.label and d.slot.scale]
    hits = 0
    for d in clear:
        mass = dict.fromkeys(d.classes, 0.0)
        for token, weight in zip(d.slot.ids.ravel(), d.slot.weights.ravel(), strict=True):
            name = owner.get((int(token),))
            if name in mass:
                mass[name] += float(weight)
        hits += max(mass, key=mass.__getitem__) == d.label
    assert hits == len(clear) > 20


def test_slots_are_convex_mixtures() -> None:
    for d in drawn():
        assert d.slot.ids.shape == d.slot.weights.shape
        assert 1 <= len(d.slot) < 100
        assert np.allclose(d.slot.weights.sum(1), 1, atol=1e-5)
        assert (d.slot.weights >= 0).all()


def test_evidence_outside_the_list_counts_for_nothing() -> None:
    odds = lexicon.likely({"angry": 0.5, "sad": 0.3, "happy": 0.2}, ("sad", "happy"))
    assert odds == pytest.approx([9 / 13, 4 / 13])


def test_cues_fall_on_all_sides_of_the_reference_ranges() -> None:
    from audiollm.audio.prosody import REFERENCES, levels

    rng = np.random.default_rng(0)
    cues = [synthetic.draw_cues(rng) for _ in range(300)]
    for reference in REFERENCES:
        found = {levels(c).get(reference.cue) for c in cues}
        assert {"mid", "high"} <= found
        assert reference.cue == "pause_share" or "low" in found
    assert any(c.pitch_hz is None for c in cues)


def test_training_lowers_the_loss_and_the_folder_opens(tmp_path: Path) -> None:
    llm = network.build_llm(tokenizer(), RECIPE)
    before = language.examine(llm, tokenizer(), seed=1, count=40)["loss"]
    clock = language.train(llm, tokenizer(), RECIPE, tmp_path)
    assert clock.step == RECIPE.steps
    language.save(llm, tokenizer(), tmp_path)
    opened_tokenizer, opened = language.load(tmp_path)
    figures = language.examine(opened, opened_tokenizer, seed=1, count=40)
    assert figures["loss"] < before - 2
    assert figures["class, all slots"]["n"] > 10
    assert opened.dtype == torch.float32
    assert opened.config.eos_token_id == tokenizer().eos_token_id


def test_a_vocabulary_without_room_for_hints_is_refused() -> None:
    small = network.build_tokenizer(270, seed=0, count=20)
    with pytest.raises(ValueError, match="vocabulary is too small"):
        synthetic.Examples(small, seed=0, batch=4)


def test_kinds_are_those_of_the_product() -> None:
    from typing import get_args

    assert {*KINDS, "free"} == set(get_args(Kind))  # it does not answer free questions


def test_going_on_from_a_folder_without_a_record_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--out", str(tmp_path / "out"), "--start", str(tmp_path)]
    code = command("language", "About.", language.configure, language.run, words)
    assert code == 1
    assert "give --start a folder" in capsys.readouterr().err


def test_the_schedule_follows_the_clock_or_the_steps() -> None:
    timed = language.Clock(network.Recipe(seconds=1e-9))
    assert timed.progress == 1
    counted = language.Clock(network.Recipe(steps=100))
    counted.step = 50
    assert counted.progress == 0.5
    assert 0.4 < counted.rate(0) < 0.7
