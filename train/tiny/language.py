"""Trains the small LLM of the embedded default on the product's own prompts, before any sound.

    python -m train.tiny.language --out runs/tiny-language --seconds 1000

Words that hint at emotions stand where audio tokens will stand, plainly or mixed in embedding
space. The LLM learns to read graded evidence from that place, so that in stage 1, where it is
frozen, a projector can tell it something; and to copy measured cues into its answer.
"""

import argparse
import json
import logging
import math
import shlex
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import TrainerCallback

from audiollm.audio.prosody import LEVELS, REFERENCES
from audiollm.errors import ModelError
from audiollm.labels import EMOTIONS
from audiollm.model.audio_llm import AudioLLM, Example
from audiollm.model.projector import Projector
from audiollm.model.prompt import Prompt
from train.command import main as command
from train.tiny.drills import (
    CLASSES,
    TOKENIZER,
    Drawn,
    Examples,
    SlotReader,
    draw_example,
    held_out,
)
from train.tiny.lexicon import SlotDrawer, cue_hints, every_word, hints

MARKERS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
ALIKE = 0.8  # of queries and keys at the start: a token looks at its like first
QUIET = 0.1  # of what layers add at the start: embeddings pass through
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' "
    "+ message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
RECORD = "language.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How the LLM is made. The schedule follows the clock, or `steps` where they are given."""

    seconds: float = 1000.0
    steps: int | None = None
    seed: int = 0
    vocabulary: int = 1720
    width: int = 192
    depth: int = 4
    heads: int = 3
    hidden: int = 376
    batch: int = 16
    rate: float = 2.5e-3  # peak learning rate
    weight_decay: float = 0.02


# --- tokenizer and model ------------------------------------------------------------------------


class _Verbatim:
    """A tokenizer whose tokens are the texts themselves: shows what a prompt is made of."""

    def __call__(self, text: str, **_: Any) -> dict[str, list[str]]:
        return {"input_ids": [text]}


def texts(count: int, seed: int) -> Iterator[str]:
    """Generated prompts and answers, every part apart, then all words that a slot can hold."""
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
        yield from [emotion.zh, emotion.en, f" {emotion.en}"] * max(1, count // 10)


def build_tokenizer(vocabulary: int, seed: int, count: int = 3000) -> Any:
    """Byte-level BPE with ChatML markers, as a tokenizer that `AutoTokenizer` opens."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    raw = Tokenizer(models.BPE())
    apart = Regex("|".join(e.zh for e in EMOTIONS))  # Chinese has no spaces around its words
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
        layer.mlp.down_proj.weight.data *= QUIET
    return llm


@torch.no_grad()
def arrange_embeddings(table: Tensor, tokenizer: Any) -> None:
    """Tokens that mean one thing start as neighbours: hints of a class, hints of a cue's level
    and the words for it, a word with and without a space or a capital. table: [V, H]."""
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
    known = tokenizer.get_vocab()
    for group in groups:
        shared = torch.randn(table.shape[1]) * 1.4 * std
        spellings = {s for word in group for s in plain.get(word.lower(), {word})}
        for spelled in spellings:
            pieces = tokenizer.tokenize(spelled)
            if len(pieces) == 1:
                table[known[pieces[0]]] += shared
    table *= std / table.pow(2).mean(-1, keepdim=True).sqrt().clamp_min(1e-6)


@torch.no_grad()
def arrange_attention(attention: Any, size: int) -> None:
    """Attention starts by looking for what is alike and copying it (mimetic initialisation,
    Trockman & Kolter 2023): keys equal queries, and the output undoes the values.

    size: width of a head. Small parts stay random.
    """
    query, key, value, out = (getattr(attention, f"{n}_proj").weight.data for n in "qkvo")
    width = query.shape[1]
    for k in range(len(key) // size):
        place = slice(k * size, (k + 1) * size)
        basis = torch.linalg.qr(torch.randn(width, size))[0].T  # [size, H], orthonormal rows
        key[place] = 0.3 * key[place] + ALIKE * basis
        query[place] = 0.3 * query[place] + ALIKE * basis
    basis = torch.linalg.qr(torch.randn(width, width))[0][: len(value)]
    value.copy_(0.3 * value + 0.5 * basis)
    out.copy_(QUIET * (0.3 * out + 2 * basis.T[:, : out.shape[1]]))


def with_slots(llm: Any) -> AudioLLM:
    """The product's own model, with slots for sounds: merging and loss are the product's."""
    return AudioLLM(llm, cast(Projector, SlotReader(llm.get_input_embeddings())))


# --- training -----------------------------------------------------------------------------------


class Clock(TrainerCallback):
    """How far the training is, 0 to 1; stops it at 1 and shows it."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.step, self.started = recipe, 0, time.monotonic()
        self.ended: float | None = None
        self.bar = tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}{postfix}")

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.started

    @property
    def progress(self) -> float:
        if self.recipe.steps:
            return min(1.0, self.step / self.recipe.steps)
        return min(1.0, self.seconds / self.recipe.seconds)

    def rate(self, _: int) -> float:
        """Factor on the peak rate: warm-up over 4 %, then a cosine to 1 %."""
        if self.progress < 0.04:
            return 0.02 + 0.98 * self.progress / 0.04
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (self.progress - 0.04) / 0.96))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.step = state.global_step
        self.bar.update(min(100.0, 100 * self.progress) - self.bar.n)
        control.should_training_stop = self.progress >= 1

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        if logs and "loss" in logs:
            self.bar.set_postfix(step=state.global_step, loss=f"{float(logs['loss']):.3f}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.bar.close()
        self.ended = time.monotonic()


def _collate(examples: list[Example]) -> dict[str, list[Example]]:
    return {"examples": examples}


def train(llm: Any, tokenizer: Any, recipe: Recipe, scratch: Path) -> Clock:
    """Teaches `llm` in place. `scratch`: a folder for the Trainer, which saves nothing there."""
    from transformers import Trainer, TrainingArguments

    model = with_slots(llm).train()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": recipe.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=recipe.rate,
        betas=(0.9, 0.98),
    )
    clock = Clock(recipe)
    arguments = TrainingArguments(
        output_dir=str(scratch),
        max_steps=recipe.steps or 10_000_000,
        per_device_train_batch_size=recipe.batch,
        logging_steps=25,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        remove_unused_columns=False,
        accelerator_config={"dispatch_batches": False},
        seed=recipe.seed,
        max_grad_norm=1.0,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Examples(tokenizer, recipe.seed, recipe.batch),
        data_collator=_collate,
        callbacks=[clock],
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, clock.rate)),
    )
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    trainer.train()
    llm.eval()
    return clock


# --- examination --------------------------------------------------------------------------------


@torch.inference_mode()
def read(model: AudioLLM, drawn: Sequence[Drawn]) -> tuple[list[list[int]], float]:
    """Greedy token at every answer position, given the true ones before it; mean loss per token.

    An answer that is right at every position is what greedy generation would write.
    """
    answers: list[list[int]] = [[] for _ in drawn]
    loss, tokens = 0.0, 0
    order = sorted(range(len(drawn)), key=lambda i: len(drawn[i].example) + len(drawn[i].slot))
    for start in range(0, len(order), 32):
        rows = order[start : start + 32]
        examples = [drawn[i].example for i in rows]
        merged = model.merge(
            [e.head for e in examples],
            [e.features for e in examples],
            [e.tail + e.answer for e in examples],
        )
        hidden = model.hidden(merged)
        for k, (i, e) in enumerate(zip(rows, examples, strict=True)):
            first = int(merged.tail_start[k]) + len(e.tail) - 1
            logits = model.logits(hidden[k, first : first + len(e.answer)])  # [L, V]
            answers[i] = logits.argmax(-1).tolist()
            loss += float(nn.functional.cross_entropy(logits, torch.tensor(e.answer)) * len(e))
            tokens += len(e)
    return answers, loss / tokens


def examine(llm: Any, tokenizer: Any, seed: int, count: int = 2000) -> dict[str, Any]:
    """Shares of right answers on held-out examples, each with the number it is a share of."""
    drawn = held_out(tokenizer, count, seed)
    answers, loss = read(with_slots(llm), drawn)
    right: dict[str, list[bool]] = defaultdict(list)
    for d, said in zip(drawn, answers, strict=True):
        true, kind, language = list(d.example.answer), d.instruction.kind, d.instruction.language
        if d.instruction.label:
            size = len(Prompt(tokenizer, d.classes).label(d.label, language))
            hit = said[:size] == true[:size]
            right["class, all slots"].append(hit)
            if d.clear:
                slots = "mixed" if d.slot.scale else "word"
                right["class, clear slots"].append(hit)
                right[f"class, clear {slots} slots"].append(hit)
                right[f"class, clear slots, {language}"].append(hit)
        if kind == "yes_no" and d.clear:
            right["yes or no, clear slots"].append(said[0] == true[0])
            right["yes or no with the class, clear slots"].append(said == true)
        elif kind == "intensity":
            right["intensity"].append(said == true)
        elif kind in ("analyse", "describe") and d.cues is not None:
            stop = "。" if language == "zh" else "."
            rest = d.instruction.text.partition(stop)[2]
            if rest:
                size = len(tokenizer(rest, add_special_tokens=False)["input_ids"]) + 1
                name = "evidence, exact" if kind == "analyse" else "description, exact"
                right[name].append(said[-size:] == true[-size:])
    shares = {n: {"share": round(float(np.mean(v)), 4), "n": len(v)} for n, v in right.items()}
    return {"loss": round(loss, 4), **dict(sorted(shares.items()))}


# --- command ------------------------------------------------------------------------------------


def save(llm: Any, tokenizer: Any, out: Path) -> None:
    """Writes the folder, float16 on disk."""
    out.mkdir(parents=True, exist_ok=True)
    llm.half().save_pretrained(out)
    tokenizer.save_pretrained(out)


def load(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and LLM of a folder, as every other user of it opens them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    llm = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    return AutoTokenizer.from_pretrained(folder), llm


def _commit() -> str:
    """Commit of the working tree, empty outside a clone."""
    asked = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return asked.stdout.strip()


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="LLM folder to write")
    parser.add_argument("--seconds", type=float, default=Recipe.seconds, help="training time")
    parser.add_argument("--steps", type=int, help="train so many steps, whatever time they take")
    parser.add_argument("--start", type=Path, help="go on from this folder of an earlier run")
    parser.add_argument("--rate", type=float, default=Recipe.rate, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=Recipe.seed)


def run(args: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    recipe = Recipe(seconds=args.seconds, steps=args.steps, seed=args.seed, rate=args.rate)
    started = {}
    if args.start is None:
        tokenizer = build_tokenizer(recipe.vocabulary, recipe.seed)
        llm = build_llm(tokenizer, recipe)
    else:
        if not (args.start / RECORD).is_file():
            raise ModelError(
                f"{args.start} holds no {RECORD}: give --start a folder that this command wrote."
            )
        tokenizer, llm = load(args.start)
        started = json.loads((args.start / RECORD).read_text(encoding="utf-8"))
    log.info("%d tokens, %d parameters", len(tokenizer), llm.num_parameters())
    clock = train(llm, tokenizer, recipe, args.out)
    save(llm, tokenizer, args.out)
    tokenizer, llm = load(args.out)
    figures = examine(llm, tokenizer, recipe.seed)
    record = {
        "command": shlex.join(["python", "-m", "train.tiny.language", *sys.argv[1:]]),
        "commit": _commit(),
        "recipe": asdict(recipe),
        "parameters": llm.num_parameters(),
        "steps": clock.step,
        "seconds": round(clock.seconds, 1),
        "held_out": figures,
        "start": started,  # record of the run that this one went on from
    }
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (args.out / RECORD).write_text(text, encoding="utf-8")
    log.info("%s", json.dumps(figures, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(command("train.tiny.language", __doc__, configure, run))
