"""The small LLM of the bundled model: tokenizer and initial weights.

Shapes: V tokens of the vocabulary, H width.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from audiollm.audio.prosody import LEVELS, REFERENCES
from audiollm.labels import EMOTIONS, prompt_word
from train.tiny.lexicon import SlotDrawer, cue_hints, every_word, hints
from train.tiny.synthetic import CLASSES, TOKENIZER, draw_example

MARKERS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
SIMILARITY = 0.8  # of queries and keys at the start: a token attends to similar tokens first
RESIDUAL = 0.1  # scale of each layer's output at the start: embeddings pass through
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' "
    "+ message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Recipe:
    """Size and training of the LLM. The schedule follows `steps`, or `seconds` without them."""

    seconds: float = 1000.0
    steps: int | None = None
    seed: int = 0
    vocabulary: int = 2048
    width: int = 192
    depth: int = 4
    heads: int = 3
    hidden: int = 376
    batch: int = 16
    rate: float = 2.5e-3  # peak learning rate
    weight_decay: float = 0.02


class _Verbatim:
    """A tokenizer whose tokens are the texts themselves, which gives the parts of a prompt."""

    def __call__(self, text: str, **_: Any) -> dict[str, list[str]]:
        return {"input_ids": [text]}


def texts(count: int, seed: int) -> Iterator[str]:
    """Parts of generated prompts and answers, then all words that a slot can hold."""
    rng = np.random.default_rng([seed, TOKENIZER])
    verbatim = _Verbatim()
    slots = SlotDrawer(lambda word: (len(word),))  # slots are not read here
    for _ in range(count):
        example = draw_example(verbatim, slots, rng).example
        for part in (*example.head, *example.tail, *example.answer):
            text = cast(str, part)
            for marker in MARKERS:
                text = text.replace(marker, "")
            yield text
    for word in every_word():
        yield from [word] * max(1, count // 500)
    for emotion in EMOTIONS:  # class words come first: they are one token in any sentence
        yield from [prompt_word(emotion.name, "zh"), emotion.en, f" {emotion.en}"] * max(
            1, count // 10
        )


def build_tokenizer(vocabulary: int, seed: int, count: int = 3000) -> Any:
    """Byte-level BPE with ChatML markers, as a tokenizer that `AutoTokenizer` opens."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    raw = Tokenizer(models.BPE())
    apart = Regex(
        "|".join(prompt_word(e.name, "zh") for e in EMOTIONS)
    )  # Chinese has no spaces around its words
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(apart, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken(m, normalized=False, special=True) for m in MARKERS],
        show_progress=False,
    )
    raw.train_from_iterator(texts(count, seed), trainer)
    learnt: Any = json.loads(raw.to_str())["model"]
    # the class that AutoTokenizer takes for a Qwen2 folder, whatever the folder says: it brings
    # its own splitting, which gives the same tokens, as no merge was learnt across words
    return Qwen2Tokenizer(
        vocab=learnt["vocab"],
        merges=cast(Any, [tuple(pair) for pair in learnt["merges"]]),
        eos_token="<|im_end|>",  # noqa: S106
        pad_token="<|endoftext|>",  # noqa: S106
        extra_special_tokens=["<|im_start|>"],
        chat_template=CHATML,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )


def build_llm(tokenizer: Any, recipe: Recipe) -> Any:
    """A Qwen2 of 1.8 million parameters in which hints of one class start as neighbours."""
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(recipe.seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=recipe.hidden,
        num_hidden_layers=recipe.depth,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        initializer_range=0.05,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        use_cache=True,
    )
    llm: Any = Qwen2ForCausalLM(config)
    llm.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    arrange_embeddings(llm.get_input_embeddings().weight.data, tokenizer)
    for layer in llm.model.layers:
        arrange_attention(layer.self_attn, recipe.width // recipe.heads)
        layer.mlp.down_proj.weight.data *= RESIDUAL
    return llm


@torch.no_grad()
def arrange_embeddings(table: Tensor, tokenizer: Any) -> None:
    """Similar tokens start as neighbours: hints of a class, hints of a cue level and the words for
    it, a word with and without a space or a capital. table: [V, H]."""
    std = float(table.std())
    groups = [set(hints(name)) for name in CLASSES]
    for reference in REFERENCES:
        for level in LEVELS:
            zh = reference.name("zh") + reference.word(level, "zh")
            groups.append({zh, *cue_hints(reference.cue, level)})
    plain: dict[str, set[str]] = defaultdict(set)
    for i in range(len(table)):
        spelled = tokenizer.decode([i])
        plain[spelled.strip().lower()].add(spelled)
    groups += [spellings for name, spellings in plain.items() if name and len(spellings) > 1]
    vocabulary = tokenizer.get_vocab()
    for group in groups:
        shared = torch.randn(table.shape[1]) * 1.4 * std
        spellings = {s for word in group for s in plain.get(word.lower(), {word})}
        for spelled in spellings:
            pieces = tokenizer.tokenize(spelled)
            if len(pieces) == 1:
                table[vocabulary[pieces[0]]] += shared
    table *= std / table.pow(2).mean(-1, keepdim=True).sqrt().clamp_min(1e-6)


@torch.no_grad()
def arrange_attention(attention: Any, size: int) -> None:
    """Attention starts by copying similar tokens (mimetic initialisation, Trockman & Kolter 2023).

    Keys equal queries, and the output inverts the values. size: width of a head.
    """
    query, key, value, out = (getattr(attention, f"{n}_proj").weight.data for n in "qkvo")
    width = query.shape[1]
    for k in range(len(key) // size):
        rows = slice(k * size, (k + 1) * size)
        basis = torch.linalg.qr(torch.randn(width, size))[0].T  # [size, H], orthonormal rows
        key[rows] = 0.3 * key[rows] + SIMILARITY * basis
        query[rows] = 0.3 * query[rows] + SIMILARITY * basis
    basis = torch.linalg.qr(torch.randn(width, width))[0][: len(value)]
    value.copy_(0.3 * value + 0.5 * basis)
    out.copy_(RESIDUAL * (0.3 * out + 2 * basis.T[:, : out.shape[1]]))
