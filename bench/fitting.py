"""Rows of `python -m bench`: training an LLM of the size of Qwen2.5-0.5B.

The straightforward way: float32 weights, one example at a time, padded to 512 tokens, cross-entropy
over all of them. A stronger baseline is what `transformers.Trainer` does with a padding collator: a
batch padded to its longest row, every row whole, logits of every position.
"""

import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from audiollm.audio.prosody import Cues
from audiollm.contracts.fit import FitConfig
from audiollm.contracts.manifest import ProjectorConfig
from audiollm.labels import EMOTIONS, LANGUAGES
from audiollm.model.audio_llm import AudioLLM, Example
from audiollm.model.compact import is_compact
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt
from audiollm.settings import Settings
from bench.rows import Row, Setting, in_turns, peak, peaks
from train import real
from train.fit.auxiliary import TrainingLLM
from train.fit.fit import _with_lora, load_frozen
from train.fit.instructions import answer_ids, draw, layout

CLASSES = tuple(e.name for e in EMOTIONS[:8])
PADDED, BATCH, WIDTH = 512, 16, 3072  # tokens, examples, numbers of an utterance's features
CUES = Cues(2.0, 300.0, 13.0, -20.0, 6.0, -4.0, 6.4, 0.02)


def recipe(stage: int) -> dict[str, str]:
    """Options of a stage, by name (`train/real.py`)."""
    words = (real.REAL.stage_1 if stage == 1 else real.REAL.stage_2).split()
    return dict(pairwise(words))


def examples(prompt: Prompt, stage: int, size: int = BATCH) -> list[Example]:
    """A batch as the recipe draws it."""
    options = recipe(stage)
    shares = float(options["--class-only"]), float(options.get("--questions", 0))
    clips = [(CLASSES[i % len(CLASSES)], CUES) for i in range(size)]
    drawn = draw(clips, CLASSES, stage, LANGUAGES, 1, 0, *shares, scored_cues=False)
    random, batch = np.random.default_rng(0), []
    for (i,) in drawn:
        around = layout(prompt, i, CUES)
        features = Features(random.standard_normal(WIDTH).astype(np.float32))
        choices = tuple(prompt.label(name, i.language)[0] for name in CLASSES) if i.label else ()
        answer = answer_ids(prompt, i)
        batch.append(Example(features, around.head, around.tail, answer, 10.0, choices))
    return batch


def build(llm: Path, stage: int, precision: str) -> tuple[TrainingLLM, Prompt]:
    settings = Settings.from_env(precision=precision)
    short = float(recipe(stage)["--class-only"]) == 1
    frozen, tokenizer = load_frozen(str(llm), settings, "cpu", short=short)
    size = frozen.config.hidden_size
    projector = ProjectorConfig(WIDTH, size, pooling="utterance", hidden_size=256)
    model: Any = TrainingLLM.build(frozen, projector)
    model.among_classes = model.keeps_heads = True
    if stage == 2:
        dropout = float(recipe(2)["--lora-dropout"])
        config = FitConfig(stage=2, data="-", start="-", lora_dropout=dropout)
        model.llm = _with_lora(frozen, config)
    return model.train(), Prompt(tokenizer, CLASSES, languages=LANGUAGES, first_tokens=True)


def step(model: AudioLLM, loss: Callable[[], torch.Tensor]) -> None:
    for parameter in model.parameters():
        parameter.grad = None
    half = model.causal_lm.dtype == torch.bfloat16 and not is_compact(model.causal_lm)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):  # as `fit` does
        value = loss()
    value.backward()  # type: ignore[no-untyped-call]


def whole_rows(model: AudioLLM, batch: Sequence[Example], padded: int = 0) -> torch.Tensor:
    """Cross-entropy over every position of rows padded to the longest, or to `padded`."""
    tails = [e.tail + e.answer for e in batch]
    merged = model.merge([e.head for e in batch], [e.features for e in batch], tails)
    more = max(0, padded - merged.embeds.shape[1])
    embeds = F.pad(merged.embeds, (0, 0, 0, more))
    mask = F.pad(merged.mask, (0, more)).long()
    logits: torch.Tensor = model.llm(inputs_embeds=embeds, attention_mask=mask).logits
    ids = torch.zeros(embeds.shape[:2], dtype=torch.long)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())


def _stage(stage: int, setting: Setting, target: float) -> Row:
    plain, prompt = build(setting.llm, stage, "float32")
    ours, _ = build(setting.llm, stage, "auto")
    batch, size = examples(prompt, stage), int(recipe(stage)["--batch-size"])
    own = examples(prompt, stage, size)
    repeats = setting.repeats(3)
    slow, fast = in_turns(
        lambda: step(plain, lambda: whole_rows(plain, batch[:1], PADDED)),
        lambda: step(ours, lambda: ours(own)["loss"]),
        repeats,
    )
    trainer, again = in_turns(
        lambda: step(plain, lambda: whole_rows(plain, batch)),
        lambda: step(ours, lambda: ours(own)["loss"]),
        1 if setting.quick else 2,
    )
    ratio = trainer / BATCH / (again / size)
    note = f"batches of {size}; against a padding collator with batches of {BATCH}: {ratio:.1f}"
    way = f"one example, padded to {PADDED}, loss over all tokens"
    work = f"stage {stage}, an example, 0.5B"
    return Row(work, way, slow, fast / size, "s", repeats, target, note)


def stage_1(setting: Setting) -> Row:
    return _stage(1, setting, 40)


def stage_2(setting: Setting) -> Row:
    return _stage(2, setting, 15)


def memory(setting: Setting) -> Row:
    """Each way in a process of its own."""
    slow, ours = peaks("bench.fitting", setting.llm)
    way, limit = "float32 weights, whole rows, logits of every position", "4,000 MB at most"
    work = f"memory of stage 2, batches of {recipe(2)['--batch-size']}, 0.5B"
    return Row(work, way, slow, ours, "MiB", 1, 0, limit=limit)


def main() -> None:
    """`python -m bench.fitting ours|straightforward DIR`: peak memory of a step, in MiB."""
    way, llm = sys.argv[1], Path(sys.argv[2])
    model, prompt = build(llm, 2, "auto" if way == "ours" else "float32")
    batch = examples(prompt, 2, int(recipe(2)["--batch-size"]))
    for _ in range(2):  # the second holds gradients besides
        if way == "ours":
            step(model, lambda: model(batch)["loss"])
        else:
            step(model, lambda: whole_rows(model, batch))
    print(peak())


if __name__ == "__main__":
    main()
