"""`transformers.Trainer` for an Audio-LLM: what it feeds, saves and measures."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler, Subset
from transformers import ProgressCallback, Trainer, TrainerCallback
from transformers.trainer_pt_utils import get_length_grouped_indices

from audiollm.model import Example
from audiollm.projector import Features
from audiollm.prompt import Prompt
from audiollm.prosody import Cues
from audiollm.scoring import Scorer
from train.auxiliary import GroupedExample, groups
from train.dataset import Clip, Prepared
from train.features import copy_id
from train.instructions import Instruction, answer_ids

SPOILED = 3  # one example in so many is of a spoiled copy

log = logging.getLogger("train.trainer")


class ExampleDataset(Dataset[Example]):
    """Instructions of clips as token ids around their features.

    Features are read from the store when asked for; text is tokenised once.
    """

    def __init__(
        self,
        prepared: Prepared,
        pairs: Sequence[tuple[Clip, Instruction]],
        prompt: Prompt,
        lead: float = 1.0,
        smoothing: float = 0.0,
    ) -> None:
        self.store = prepared.store
        self.ids = [_heard(prepared, clip, i) for i, (clip, _) in enumerate(pairs)]
        self.clips = [clip.id for clip, _ in pairs]
        known = groups([clip for clip, _ in pairs])
        first = {
            lang: tuple(prompt.label(name, lang)[0] for name in prompt.classes)
            for lang in {instruction.language for _, instruction in pairs}
        }
        # weight, choices and smoothing of the class word, for answers that begin with one
        self.classes = [
            (lead, first[i.language], smoothing) if i.label else (1.0, (), 0.0) for _, i in pairs
        ]
        self.groups = [known[clip.corpus, clip.label] for clip, _ in pairs]
        self.texts: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = []
        self.lengths: list[int] = []
        for clip, i in pairs:
            cues = cues_of(clip) if i.shows_cues else None
            layout = prompt.layout(i.language, cues, i.kind, i.candidate)
            text = (layout.head, layout.tail, answer_ids(prompt, i))
            self.texts.append(text)
            # a second of sound weighs as much as a few tokens of text
            self.lengths.append(sum(map(len, text)) + int(4 * (clip.seconds or 0)))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Example:
        features = self.store.get(self.ids[index])
        return GroupedExample(
            features, *self.texts[index], *self.classes[index], self.groups[index]
        )


def one_a_clip(data: ExampleDataset) -> Subset[Example]:
    """The first example of every clip, still read from the store when asked for."""
    first: dict[str, int] = {}
    for i, clip in enumerate(data.clips):
        first.setdefault(clip, i)
    return Subset(data, list(first.values()))


def _heard(prepared: Prepared, clip: Clip, turn: int) -> str:
    """Whose features an example takes: every third those of a spoiled copy, if there are any."""
    if not prepared.copies or clip.split != "train" or turn % SPOILED:
        return clip.id
    return copy_id(clip.id, 1 + turn // SPOILED % prepared.copies)


def _collate(batch: list[Example]) -> dict[str, list[Example]]:
    return {"examples": batch}


def cues_of(clip: Clip) -> Cues | None:
    return Cues.from_dict(clip.cues) if clip.cues else None


class GroupedSampler(Sampler[int]):
    """Examples of like length in one batch; the order depends on seed and epoch alone.

    So a resumed run sees the same batches as one that was never stopped.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = list(lengths), batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch, generator=generator))


class AudioTrainer(Trainer):
    """Saves only what is trained, and measures UA on the validation speakers."""

    def __init__(
        self,
        *args: Any,
        prompt: Prompt,
        valid: Sequence[tuple[Clip, Features]],
        **kwargs: Any,
    ) -> None:
        kwargs["data_collator"] = _collate
        super().__init__(*args, **kwargs)
        self.prompt, self.valid = prompt, valid

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:  # noqa: ARG002
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return GroupedSampler(self.train_dataset.lengths, batch, self.args.seed)  # type: ignore[union-attr]

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any
    ) -> tuple[torch.Tensor, None, None]:
        with torch.no_grad(), self.compute_loss_context_manager():
            return model(**inputs)["loss"].detach(), None, None

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Validation loss, then UA and WA of the class scored most likely."""
        measured = super().evaluate(*args, **kwargs)
        if self.valid:
            scores = score_clips(self.model, self.prompt, self.valid)
            extra = _accuracy(self.prompt.classes, scores, [c.label for c, _ in self.valid])
            self.log(dict(extra))
            measured.update(extra)
        return measured

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        from safetensors.torch import save_file

        folder = Path(output_dir or self.args.output_dir)  # type: ignore[arg-type]
        folder.mkdir(parents=True, exist_ok=True)
        save_file(trained_state(self.model), folder / "model.safetensors")

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Checkpoints hold the trained part only: anything else that is missing is an error."""
        lost = set(load_result.missing_keys) & set(trained_state(self.model))
        if lost or load_result.unexpected_keys:
            raise RuntimeError(f"checkpoint does not fit: {sorted(lost)} {load_result}")


def trained_state(model: Any) -> dict[str, torch.Tensor]:
    """The projector, its constants, and every weight of the LLM that is trained."""
    wanted = {name for name, p in model.named_parameters() if p.requires_grad}
    return {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in model.state_dict().items()
        if name in wanted or name.startswith("projector.")
    }


def score_clips(
    model: Any,
    prompt: Prompt,
    clips: Sequence[tuple[Clip, Features]],
    batch_size: int = 32,
    progress: Any = None,
) -> torch.Tensor:
    """Log-likelihood of every class for every clip, [N, C] float32 on the CPU.

    `prompt` says in which languages the model is asked.
    """
    was_training = model.training
    model.eval()
    scorer = Scorer(model, prompt)  # a fresh one: the weights move during training
    rows = []
    # like lengths together, so that little is padded
    order = sorted(range(len(clips)), key=lambda i: clips[i][0].seconds or 0)
    for start in range(0, len(order), batch_size):
        batch = [clips[i] for i in order[start : start + batch_size]]
        cues = [cues_of(clip) for clip, _ in batch]
        rows.append(
            scorer.score([f for _, f in batch], cues, prompt.languages[0]).log_likelihoods.cpu()
        )
        if progress is not None:
            progress.update(len(batch))
    model.train(was_training)
    scores = torch.empty(len(clips), len(prompt.classes))
    scores[order] = torch.cat(rows).float()
    return scores


def _accuracy(
    classes: Sequence[str], scores: torch.Tensor, truth: Sequence[str]
) -> dict[str, float]:
    right: dict[str, list[bool]] = {}
    for label, best in zip(truth, scores.argmax(1).tolist(), strict=True):
        right.setdefault(label, []).append(classes[best] == label)
    recalls = [sum(r) / len(r) for r in right.values()]
    hits = sum(sum(r) for r in right.values())
    return {"eval_ua": sum(recalls) / len(recalls), "eval_wa": hits / len(truth)}


class ProgressBar(ProgressCallback):
    """tqdm with the last figures behind it, instead of a line for each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[str, str] = {}

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        wanted = {"loss": "loss", "eval_loss": "valid loss", "eval_ua": "valid UA"}
        for key, name in wanted.items():
            if logs and key in logs:
                self.shown[name] = f"{logs[key]:.3f}"
        if state.is_world_process_zero and self.training_bar is not None:
            self.training_bar.set_postfix(self.shown)


class ProgressFile(TrainerCallback):
    """One JSON line in `progress.jsonl` each time something was measured."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.began, self.first = time.time(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.began, self.first = time.time(), state.global_step
        self._write(state, {"event": "start"})

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        self._write(state, dict(logs or {}))
        log.info("step %d: %s", state.global_step, logs)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._write(state, {"event": "end"})

    def _write(self, state: Any, values: dict[str, Any]) -> None:
        done = state.global_step - self.first
        left = state.max_steps - state.global_step
        line = {
            "time": round(time.time(), 1),
            "step": state.global_step,
            "max_steps": state.max_steps,
            "seconds_left": round((time.time() - self.began) / done * left, 1) if done else None,
            **{k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()},
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class StopFile(TrainerCallback):
    """Saves and stops at the end of the step in which somebody has put the file there.

    A signal would come in the middle of a step, or of writing a checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.obeyed = path, False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if state.global_step < state.max_steps and self.path.exists():
            self.obeyed = control.should_save = control.should_training_stop = True
            log.info("asked to stop at step %d", state.global_step)
