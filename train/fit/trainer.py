"""`transformers.Trainer` for an Audio-LLM: what it feeds, saves and measures."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm
from transformers import Trainer
from transformers.trainer_utils import EvalLoopOutput

from audiollm.model.audio_llm import Example
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt
from audiollm.model.scoring import Scorer
from train import parallel
from train.data.dataset import Clip
from train.fit.examples import ExampleDataset, GroupedBatches, Loader, collate, cues_of

log = logging.getLogger("train.fit.trainer")


class AudioTrainer(Trainer):
    """Saves only what is trained, and measures UA on the validation speakers."""

    def __init__(
        self,
        *args: Any,
        prompt: Prompt,
        valid: Sequence[tuple[Clip, Features]],
        **kwargs: Any,
    ) -> None:
        kwargs["data_collator"] = collate
        super().__init__(*args, **kwargs)
        self.prompt, self.valid = prompt, valid

    def get_train_dataloader(self) -> Loader:
        """This process's share of the batches."""
        data, each = cast(ExampleDataset, self.train_dataset), self.args.train_batch_size
        batches = GroupedBatches(
            data.lengths,
            each * parallel.count(),
            self.args.seed,
            self.args.gradient_accumulation_steps,
            parallel.rank(),
            parallel.count(),
            data.set_epoch,
        )
        return Loader(data, batch_sampler=batches, collate_fn=collate)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Example]:
        """This process's share of the validation examples."""
        data = cast(ExampleDataset, eval_dataset or self.eval_dataset)
        mine = Subset(data, range(parallel.rank(), len(data), parallel.count()))
        return DataLoader(mine, batch_size=self.args.eval_batch_size, collate_fn=collate)

    def evaluation_loop(
        self, dataloader: Any, *_: Any, metric_key_prefix: str = "eval", **__: Any
    ) -> EvalLoopOutput:
        """Mean loss of an answer's token, whatever the batches and however many processes."""
        model = cast(Any, self.model).eval()
        sums = torch.zeros(3, device=self.args.device)  # loss, tokens, examples
        for inputs in dataloader:
            weight = sum(e.weight for e in inputs["examples"])
            with torch.no_grad(), self.compute_loss_context_manager():
                loss = float(model(**inputs)["loss"])
            sums += torch.tensor([weight * loss, weight, len(inputs["examples"])]).to(sums)
        loss, weight, examples = parallel.total(sums).tolist()
        measured = {f"{metric_key_prefix}_loss": loss / weight}
        return EvalLoopOutput(None, None, measured, int(examples))  # type: ignore[arg-type]

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Validation loss, then UA and WA of the class scored most likely."""
        measured = super().evaluate(*args, **kwargs)
        if self.valid:
            extra = _accuracy(self.prompt.classes, self._scores(), [c.label for c, _ in self.valid])
            self.log(dict(extra))
            measured.update(extra)
        return measured

    def _scores(self) -> torch.Tensor:
        """Of the validation clips, [N, C]; every process scores its share."""
        mine = slice(parallel.rank(), None, parallel.count())
        scores = torch.zeros(len(self.valid), len(self.prompt.classes))
        if self.valid[mine]:
            scores[mine] = score_clips(self.model, self.prompt, self.valid[mine])
        return parallel.total(scores.to(self.args.device)).cpu()

    def _save_rng_state(self, output_dir: str) -> None:
        """Everybody's, before the file that makes the checkpoint a whole one is written."""
        super()._save_rng_state(output_dir)
        parallel.wait()

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        from safetensors.torch import save_file

        folder = Path(output_dir or self.args.output_dir)  # type: ignore[arg-type]
        folder.mkdir(parents=True, exist_ok=True)
        save_file(trained_state(self.model), folder / "model.safetensors")

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Checkpoints hold the trained part only: anything else that is missing is an error."""
        missing = set(load_result.missing_keys) & set(trained_state(self.model))
        if missing or load_result.unexpected_keys:
            raise RuntimeError(f"checkpoint does not fit: {sorted(missing)} {load_result}")


def trained_state(model: Any) -> dict[str, torch.Tensor]:
    """The projector, its constants, and every weight of the LLM that is trained."""
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    return {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in model.state_dict().items()
        if name in trained or name.startswith("projector.")
    }


def score_clips(
    model: Any,
    prompt: Prompt,
    clips: Sequence[tuple[Clip, Features]],
    batch_size: int = 32,
    what: str = "",
) -> torch.Tensor:
    """Log-likelihood of every class for every clip, [N, C] float32 on the CPU.

    The languages are those of `prompt`. what: a bar that says "scoring WHAT" shows the progress.
    """
    was_training = model.training
    model.eval()
    scorer = Scorer(model, prompt)  # a fresh one: the weights move during training
    rows = []
    # like lengths together, so that little is padded
    order = sorted(range(len(clips)), key=lambda i: clips[i][0].seconds or 0)
    with tqdm(total=len(order), desc=f"scoring {what}", unit="clip", disable=not what) as bar:
        for start in range(0, len(order), batch_size):
            batch = [clips[i] for i in order[start : start + batch_size]]
            cues = [cues_of(clip) for clip, _ in batch]
            scored = scorer.score([f for _, f in batch], cues, prompt.languages[0])
            rows.append(scored.cpu())
            bar.update(len(batch))
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
