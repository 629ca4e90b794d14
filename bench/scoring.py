"""`python -m bench.scoring`: one packed pass over cached instruction against a forward a class.

Qwen2.5-0.5B shape, random weights, nine classes, clips of about 3 s.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from audiollm.labels import EMOTIONS
from audiollm.model import precision
from audiollm.model.audio_llm import AudioLLM
from audiollm.model.checkpoint import pick_device
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt
from audiollm.model.scoring import Scorer
from bench import shapes
from tests import tiny

CLASSES = tuple(e.name for e in EMOTIONS[:9])


def clips(count: int) -> list[Features]:
    random = np.random.default_rng(0)
    lengths = random.integers(100, 200, count)
    frames = [random.standard_normal((n, 768)).astype(np.float32) for n in lengths]
    return [Features(f.mean(0), f) for f in frames]


@torch.inference_mode()
def straightforward(model: AudioLLM, prompt: Prompt, batch: list[Features]) -> torch.Tensor:
    """Every clip and every class a full forward with logits at every position."""
    rows = []
    for clip in batch:
        layout = prompt.layout("en")
        row = []
        for name in prompt.classes:
            word = prompt.label(name, "en")
            merged = model.merge([layout.head], [clip], [(*layout.tail, *word)])
            log_p = model.logits(model.hidden(merged)).float().log_softmax(-1)[0]
            start = merged.embeds.shape[1] - len(word)
            row.append(torch.stack([log_p[start + j - 1, t] for j, t in enumerate(word)]).sum())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median time of a call, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    device = pick_device(args.device)
    dtype = precision.pick(device, width=shapes.WIDTH)
    model = shapes.audio_llm(dtype).to(device)
    prompt = Prompt(tiny.tokenizer(), CLASSES)
    batch = clips(args.batch)
    none = [None] * len(batch)
    scorer = Scorer(model, prompt)
    naive = straightforward(model, prompt, batch)
    packed = scorer.score(batch, none, "en")
    slow = seconds(lambda: straightforward(model, prompt, batch), args.repeats) / len(batch)
    one = seconds(lambda: scorer.score(batch[:1], none[:1], "en"), args.repeats)
    many = seconds(lambda: scorer.score(batch, none, "en"), args.repeats) / len(batch)
    print(f"{device}, {dtype}, {torch.get_num_threads()} threads")
    print(f"{'way':<44}{'seconds a clip':>16}{'ratio':>8}")
    for name, value in [
        ("a full forward for each class", slow),
        ("one packed pass, instruction cached", one),
        (f"the same, {len(batch)} clips together", many),
    ]:
        print(f"{name:<44}{value:>16.3f}{slow / value:>8.1f}")
    print(f"largest difference: {(naive - packed).abs().max():.2g} nats")


if __name__ == "__main__":
    main()
