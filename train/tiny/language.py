"""Trains the small LLM of the bundled model on synthetic examples, before any sound.

    python -m train.tiny.language --out runs/tiny-language --seconds 1000

The slot of the audio tokens holds hints of emotions and cues, as words or mixed in embedding space.
The LLM is trained to classify that evidence and to copy measured cues into its answer, so that in
stage 1, where it is frozen, the gradient reaches the projector through it.
"""

import argparse
import json
import logging
import math
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from tqdm import tqdm
from transformers import TrainerCallback

from audiollm.analysis import claims, prose
from audiollm.contracts.prepared import write_json
from audiollm.errors import ModelError
from audiollm.model.audio_llm import AudioLLM, Example, stated
from audiollm.model.projector import Projector
from audiollm.model.prompt import Prompt
from audiollm.model.scoring import Scorer
from train.command import main as command
from train.fit import runs
from train.tiny.network import Recipe, build_llm, build_tokenizer
from train.tiny.synthetic import CLASSES, Drawn, Examples, SlotReader, held_out

RECORD = "language.json"

log = logging.getLogger(__name__)


def with_slots(llm: Any) -> AudioLLM:
    """The Audio-LLM with slots in place of sounds: the same merging and loss."""
    return AudioLLM(llm, cast(Projector, SlotReader(llm.get_input_embeddings())))


# --- training -----------------------------------------------------------------------------------


class Clock(TrainerCallback):
    """Progress of the training, 0 to 1; stops it at 1 and shows a bar."""

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
        """Factor on the peak rate: linear warmup over 4 %, then a cosine to 1 %."""
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
    """Trains `llm` in place. `scratch`: a folder for the Trainer, which writes nothing there."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

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
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    llm.eval()
    return clock


# --- evaluation ---------------------------------------------------------------------------------


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
        audio = stated(examples, model.projector([e.features for e in examples]))
        merged = model.join(
            [e.head for e in examples], audio, [e.tail + e.answer for e in examples]
        )
        hidden = model.hidden(merged)
        for k, (i, e) in enumerate(zip(rows, examples, strict=True)):
            first = int(merged.tail_start[k]) + len(e.tail) - 1
            logits = model.logits(hidden[k, first : first + len(e.answer)])  # [L, V]
            answers[i] = logits.argmax(-1).tolist()
            loss += float(nn.functional.cross_entropy(logits, torch.tensor(e.answer)) * len(e))
            tokens += len(e)
    return answers, loss / tokens


def reports(llm: Any, tokenizer: Any, drawn: Sequence[Drawn]) -> list[bool]:
    """Whether each sentence that it writes from facts agrees with them."""
    agreements: list[bool] = []
    scorer = Scorer(with_slots(llm), Prompt(tokenizer, CLASSES))
    for instruction in (d.instruction for d in drawn):
        facts, words, language = instruction.facts, instruction.words, instruction.language
        if facts is None or words is None:
            continue
        texts: dict[int, str | BaseException] = {}
        context = scorer.analysis_context(facts.line(words), language, words.seed)
        scorer.write([context], [str], texts.__setitem__)
        for sentence in claims.parse(str(texts[0]), CLASSES, language):
            claimed = prose.read(sentence.text, CLASSES, language)
            agreements.append(claimed.agree(facts, language))
    return agreements


def examine(llm: Any, tokenizer: Any, seed: int, count: int = 2000) -> dict[str, Any]:
    """Shares of right answers on held-out examples, each with the number it is a share of."""
    drawn = held_out(tokenizer, count, seed)
    answers, loss = read(with_slots(llm), drawn)
    right: dict[str, list[bool]] = defaultdict(list)
    for d, answer in zip(drawn, answers, strict=True):
        true, kind, language = list(d.example.answer), d.instruction.kind, d.instruction.language
        if d.instruction.label:
            size = len(Prompt(tokenizer, d.classes).label(d.label, language))
            hit = answer[:size] == true[:size]
            right["class, all slots"].append(hit)
            if d.clear:
                slots = "mixed" if d.slot.scale else "word"
                right["class, clear slots"].append(hit)
                right[f"class, clear {slots} slots"].append(hit)
                right[f"class, clear slots, {language}"].append(hit)
        if kind == "yes_no" and d.clear:
            right["yes or no, clear slots"].append(answer[0] == true[0])
            right["yes or no with the class, clear slots"].append(answer == true)
        elif kind in ("analyse", "describe") and d.cues is not None:
            stop = "。" if language == "zh" else "."
            rest = d.instruction.text.partition(stop)[2]
            if rest:
                size = len(tokenizer(rest, add_special_tokens=False)["input_ids"]) + 1
                name = f"cues of kind {kind}, exact"
                right[name].append(answer[-size:] == true[-size:])
    right["sentences from facts"] = reports(llm, tokenizer, drawn[: count // 8])
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
            raise ModelError("recipe_no_start", folder=args.start, file=RECORD)
        tokenizer, llm = load(args.start)
        started = json.loads((args.start / RECORD).read_text(encoding="utf-8"))
    log.info("%d tokens, %d parameters", len(tokenizer), llm.num_parameters())
    clock = train(llm, tokenizer, recipe, args.out)
    save(llm, tokenizer, args.out)
    tokenizer, llm = load(args.out)
    figures = examine(llm, tokenizer, recipe.seed)
    record = {
        **runs.provenance("train.tiny.language"),
        "recipe": asdict(recipe),
        "parameters": llm.num_parameters(),
        "steps": clock.step,
        "seconds": round(clock.seconds, 1),
        "held_out": figures,
        "start": started,  # record of the run that this one went on from
    }
    write_json(args.out / RECORD, record)
    log.info("%s", json.dumps(figures, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(command("train.tiny.language", __doc__, configure, run))
