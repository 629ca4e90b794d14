"""`python -m bench.heads`: a training step with a frozen LLM, heads once a batch or in every row.

Qwen2.5-0.5B shape with random weights, or a folder: `--llm FOLDER`. The figures are ratios
within one run; the loss and the projector's gradient are the same on both ways.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from audiollm.contracts.manifest import ProjectorConfig
from audiollm.model.audio_llm import AudioLLM, Example
from audiollm.model.checkpoint import load_llm, pick_device
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt
from audiollm.settings import Settings
from bench import shapes
from bench.scoring import seconds
from tests import tiny

CLASSES = ("angry", "happy", "neutral", "sad", "surprised")


def examples(prompt: Prompt, count: int) -> list[Example]:
    """Stage 1 pairs, English and Chinese in turn."""
    random = np.random.default_rng(0)
    made = []
    for i in range(count):
        language = prompt.languages[i % len(prompt.languages)]
        layout = prompt.layout(language)
        answer = prompt.answer(CLASSES[i % len(CLASSES)], "", language)
        sound = Features(random.standard_normal(768).astype(np.float32))
        made.append(Example(sound, layout.head, layout.tail, answer))
    return made


def whole_rows(model: AudioLLM, batch: list[Example], everywhere: bool) -> torch.Tensor:
    """The same loss with the head in every row; logits `everywhere` or at the answer alone."""
    tails = [e.tail + e.answer for e in batch]
    merged = model.merge([e.head for e in batch], [e.features for e in batch], tails)
    hidden = model.hidden(merged)
    target = torch.full(hidden.shape[:2], -100)
    for row, example, start in zip(target, batch, merged.tail_start.tolist(), strict=True):
        first = start + len(example.tail) - 1
        row[first : first + len(example.answer)] = torch.tensor(example.answer)
    hidden, target = hidden.flatten(0, 1), target.flatten().to(hidden.device)
    if not everywhere:
        hidden, target = hidden[target >= 0], target[target >= 0]
    return F.cross_entropy(model.logits(hidden).float(), target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm", default="", metavar="FOLDER", help="default: random weights")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    device, dtype = pick_device(args.device), getattr(torch, args.dtype)
    llm, tokenizer = shapes.qwen(dtype), tiny.tokenizer()
    if args.llm:
        llm, tokenizer = load_llm(args.llm, Settings.from_env(), dtype)
    llm.requires_grad_(False)
    width = llm.get_input_embeddings().weight.shape[1]
    shape = ProjectorConfig(768, width, pooling="utterance", utterance_tokens=4, dropout=0.0)
    model = AudioLLM.build(llm, shape).to(device)
    batch = examples(Prompt(tokenizer, CLASSES, languages=("en", "zh")), args.batch)
    losses: dict[str, torch.Tensor] = {}

    def step(name: str, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
        def work() -> None:
            model.projector.zero_grad()
            losses[name] = loss()
            losses[name].backward()  # type: ignore[no-untyped-call]

        return work

    ways = {
        "head in every row, logits everywhere": lambda: whole_rows(model, batch, True),
        "head in every row, logits at the answer": lambda: whole_rows(model, batch, False),
        "head once a batch, logits at the answer": lambda: model(batch)["loss"],
    }
    times = {name: seconds(step(name, way), args.repeats) for name, way in ways.items()}
    slow = next(iter(times.values()))
    print(f"{device}, {dtype}, {torch.get_num_threads()} threads, batch {args.batch}")
    print(f"{'way':<44}{'clips/s':>10}{'ratio':>8}")
    for name, value in times.items():
        print(f"{name:<44}{args.batch / value:>10.2f}{slow / value:>8.1f}")
    found = [x.item() for x in losses.values()]
    print(f"largest difference of the loss: {max(found) - min(found):.2g}")


if __name__ == "__main__":
    main()
