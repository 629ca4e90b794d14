"""`python -m train fit`: stage 1 trains the projector, stage 2 the projector and LoRA."""

import argparse
import logging
import math
import random
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from audiollm.contracts.fit import (
    METRICS_NAME,
    PROGRESS_NAME,
    RUN_NAME,
    STOP_NAME,
    STOPPED,
    FitConfig,
)
from audiollm.contracts.manifest import PROJECTOR_NAME
from audiollm.contracts.prepared import write_json
from audiollm.errors import ConfigError, DataError
from audiollm.settings import Settings
from train.data.dataset import Prepared, load_prepared
from train.fit import runs
from train.fit.options import check_reports, check_resume, configure, explicit_options, plan
from train.fit.runs import Run

if TYPE_CHECKING:
    from audiollm.model.projector import Features

__all__ = ["build", "configure", "fit", "plan", "run"]

log = logging.getLogger("train.fit.fit")

MEASURED_BASELINE = 8  # clips of a speaker baseline
MEASURED_CLIPS = 2000  # the standardising constants are measured on so many training clips,
MEASURED_FRAMES = 200  # on so many frames of each, and on so many in all: memory stays bounded
MEASURED_IN_ALL = 200_000


def run(args: argparse.Namespace) -> int:
    from audiollm.model import checkpoint
    from train import parallel

    settings = Settings.from_env()
    device = parallel.join(checkpoint.pick_device(settings.device))
    settings = replace(settings, device=device)
    planned, prepared = _resumed(args) if "resume" in args else _new(args, settings)
    if parallel.is_first():
        (planned.folder / STOP_NAME).unlink(missing_ok=True)  # of an earlier start
    measured = fit(planned, prepared, settings)
    parallel.leave()
    if parallel.is_first():
        _print(planned, measured)
    return 0 if measured else STOPPED


def _resumed(args: argparse.Namespace) -> tuple[Run, Prepared]:
    from train import parallel

    check_resume(args)
    planned = runs.read(Path(args.resume))
    check_reports(planned.config.report_to)
    prepared = load_prepared(Path(planned.config.data))
    runs.check_data(planned, prepared)
    before, now = planned.info.get("processes", 1), parallel.count()
    if before != now:
        raise ConfigError("fit_processes", run=planned.folder, known=before, now=now)
    return planned, prepared


def _new(args: argparse.Namespace, settings: Settings) -> tuple[Run, Prepared]:
    from train import parallel

    options = explicit_options(args)
    if not options.get("stage") or not options.get("data"):
        raise ConfigError("fit_nothing_asked")
    prepared = load_prepared(Path(options["data"]))
    planned = plan(args, prepared, settings)
    if (planned.folder / RUN_NAME).exists():
        raise DataError("fit_run_exists", run=shlex.quote(str(planned.folder)))
    parallel.wait()  # until every process has seen that there was none
    if parallel.is_first():
        runs.write(planned)
    return planned, prepared


def _print(planned: Run, measured: dict[str, float]) -> None:
    if not measured:
        folder = shlex.quote(str(planned.folder))
        print(f"{planned.folder}: stopped, continue with --resume {folder}")
    elif "eval_ua" not in measured:
        print(f"{planned.folder}: {measured['step']} steps, no validation clips")
    else:
        print(
            f"{planned.folder}: validation UA {measured['eval_ua']:.3f}, "
            f"WA {measured['eval_wa']:.3f}, loss {measured['eval_loss']:.3f}"
        )


def fit(planned: Run, prepared: Prepared, settings: Settings) -> dict[str, float]:
    """Trains, or goes on training, one stage; returns the best evaluation.

    Where the data has no validation clips, the last weights count and only their step is
    returned; nothing where the run was stopped.
    """
    import torch
    from transformers import ProgressCallback, set_seed

    from audiollm.model import checkpoint
    from audiollm.model.compact import is_compact
    from train import parallel
    from train.fit.auxiliary import pretrain
    from train.fit.callbacks import ProgressBar, ProgressFile, StopFile, tensorboard
    from train.fit.examples import ExampleDataset, one_a_clip, pairs
    from train.fit.trainer import AudioTrainer

    set_seed(planned.config.seed)
    if parallel.is_first():
        _log_to(planned.folder / "log.txt")
    device = checkpoint.pick_device(settings.device)
    model, tokenizer, planned = build(planned, prepared, settings, device)
    half = model.causal_lm.dtype == torch.bfloat16 and not is_compact(model.causal_lm)
    prompt = runs.prompt(planned, tokenizer)
    train, valid = prepared.split("train"), prepared.split("valid")
    config = planned.config
    data = ExampleDataset(
        prepared,
        pairs(train, planned.classes, config, config.per_clip, config.seed),
        prompt,
        config.class_token_weight,
        config.label_smoothing,
        config.baseline,
        config.seed,
        config.auxiliary_by,
    )
    even = replace(config, balance=False)
    checked = pairs(valid, planned.classes, even, 1, config.seed + 1) if valid else []
    stop = StopFile(planned.folder / STOP_NAME)
    trainer = AudioTrainer(
        model=model,
        args=_arguments(planned, len(data), device, half, validates=bool(valid)),
        train_dataset=data,
        eval_dataset=ExampleDataset(prepared, checked, prompt) if valid else None,
        prompt=prompt,
        valid=[(clip, prepared.store.get(clip.id)) for clip in valid],
        callbacks=[
            ProgressFile(planned.folder / PROGRESS_NAME),  # first: it finds a full disk
            *tensorboard(planned.folder),
            stop,
        ],
    )
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(ProgressBar)
    log.info(
        "stage %d: %d instructions from %d clips, %d validation clips, %s, device %s",
        config.stage,
        len(data),
        len(train),
        len(valid),
        config,
        device,
    )
    start = runs.last_checkpoint(planned)
    if start is not None:
        log.info("resuming from %s", start)
    else:
        epochs = config.pretraining_epochs
        pretrain(model, one_a_clip(data), epochs, config.seed, config.stage == 1)
    if parallel.rank():  # each drops other units; the first goes on as one alone does
        set_seed(config.seed + parallel.rank())
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    if stop.obeyed:
        return {}
    best = _best(trainer.state.log_history) or {"step": float(trainer.state.global_step)}
    if parallel.is_first():
        _keep(planned, model, best)
    return best


def load_frozen(id: str, settings: Settings, device: str, *, short: bool) -> tuple[Any, Any]:
    """(LLM without gradients of its own, tokenizer) for training; `short`: on rows of a few tokens.

    Frozen weights may be coarse; what is trained stays in float32 and autocast does the rest.
    """
    import torch

    from audiollm.model.llm import load_llm

    llm, tokenizer = load_llm(id, settings, device)
    llm.config.use_cache = False
    llm.requires_grad_(False)
    if short and device == "cpu" and llm.dtype == torch.bfloat16:
        # the gradient of torch's fused attention would be most of a step; long rows need its memory
        llm.set_attn_implementation("eager")
    return llm, tokenizer


def build(planned: Run, prepared: Prepared | None, settings: Settings, device: str) -> Any:
    """(model, tokenizer, run) at the start of its stage: what is trained requires gradients.

    With `prepared`, the standardising constants of stage 1 are measured on its training clips.
    """
    from audiollm.model import checkpoint
    from train import parallel
    from train.fit.auxiliary import TrainingLLM, groups
    from train.fit.teacher import fit_teacher

    config = planned.config
    llm, tokenizer = load_frozen(config.llm, settings, device, short=config.class_only == 1)
    width = llm.get_input_embeddings().weight.shape[1]
    planned = replace(planned, projector=replace(planned.projector, output_size=width))
    if prepared is not None and parallel.is_first():
        runs.write(planned)
    model = cast(TrainingLLM, TrainingLLM.build(llm, planned.projector))
    if prepared is not None:
        group_of = groups(prepared.split("train"), config.auxiliary_by)
        prompt = runs.prompt(planned, tokenizer)
        class_of = {group: planned.classes.index(label) for (_, label), group in group_of.items()}
        model.add_head(
            [class_of[i] for i in range(len(class_of))],
            [prompt.class_words(name) for name in planned.classes],
            config.auxiliary,
            config.distillation,
            config.auxiliary_head == "embeddings",
        )
        if config.distillation and config.teacher == "probe":
            if planned.projector.pooling != "utterance":
                raise ConfigError("fit_teacher_frames")
            model.teacher = fit_teacher(
                prepared, planned.classes, config.baseline > 0, config.teacher_strength
            )
    model.among_classes = model.keeps_heads = config.class_loss == "classes"
    if config.gain == "fixed":
        model.projector.norm.requires_grad_(False)
    if config.stage == 1:
        if prepared is not None:
            model.projector.fit(_measured(prepared, config.seed, planned.projector.baseline))
    else:
        first = runs.read(Path(config.start), finished=True)
        checkpoint.load_projector(model.projector, first.best)
        model.llm = _with_lora(llm, config)
    return model.to(device), tokenizer, planned


def _measured(prepared: Prepared, seed: int, compared: bool = False) -> "list[Features]":
    """Random training clips, each with frames [T, D] taken evenly from its length.

    So every corpus and speaker of a large folder counts, and memory does not grow with it. Where
    they are `compared`, each comes with a speaker baseline if its speaker has other training clips.
    """
    from train.data.speakers import SpeakerClips

    clips = prepared.split("train")
    speakers = SpeakerClips(prepared.store, clips)
    sample = random.Random(seed).sample(clips, min(MEASURED_CLIPS, len(clips)))  # noqa: S311
    most = min(MEASURED_FRAMES, MEASURED_IN_ALL // max(1, len(sample)))
    return [
        replace(
            _thinned(prepared.store.get(clip.id), most),
            baseline=speakers.fixed(clip, MEASURED_BASELINE if compared else 0),
        )
        for clip in sample
    ]


def _thinned(features: "Features", most: int) -> "Features":
    if features.frames is None or len(features.frames) <= most:
        return features
    rows = np.linspace(0, len(features.frames) - 1, most).round().astype(int)
    return replace(features, frames=features.frames[rows])


def _with_lora(llm: Any, config: FitConfig) -> Any:
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=[
            "q_proj",
            "k_proj",
            "v_proj",
            "o_proj",
            "gate_proj",
            "up_proj",
            "down_proj",
        ],
        task_type="CAUSAL_LM",
    )
    return get_peft_model(llm, lora, autocast_adapter_dtype=True)


def _arguments(planned: Run, examples: int, device: str, half: bool, *, validates: bool) -> Any:
    import torch
    from transformers import TrainingArguments

    from train import parallel

    config = planned.config
    together = config.batch_size * parallel.count()
    per_epoch = math.ceil(math.ceil(examples / together) / config.accumulate)
    steps = config.max_steps if config.max_steps > 0 else math.ceil(per_epoch * config.epochs)
    every = max(1, steps // config.evaluations)
    arguments = TrainingArguments(
        output_dir=str(planned.checkpoints),
        max_steps=steps,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulate,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_steps=int(config.warmup_ratio * steps),
        lr_scheduler_type="cosine",
        eval_strategy="steps" if validates else "no",
        save_strategy="steps",
        eval_steps=every,
        save_steps=every,
        logging_steps=max(1, min(every, steps // 50)),
        save_total_limit=2,
        load_best_model_at_end=validates,
        metric_for_best_model="eval_ua",
        greater_is_better=True,
        seed=config.seed,
        data_seed=config.seed,
        bf16=half,
        use_cpu=device == "cpu",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        report_to=list(config.report_to),
        run_name=planned.folder.name,
        disable_tqdm=False,
    )
    if parallel.count() == 1:  # else one process takes every visible GPU
        arguments._n_gpu = min(1, arguments.n_gpu)
        arguments.__dict__["_setup_devices"] = torch.device(device)
        if device.startswith("cuda") and torch.cuda.is_available():
            torch.cuda.set_device(device)
    return arguments


def _best(history: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The evaluation with the highest UA; loss and UA are logged under the same step.

    Empty where nothing was validated.
    """
    steps: dict[int, dict[str, float]] = {}
    for line in history:
        metrics: dict[str, float] = {
            k: line[k] for k in ("eval_loss", "eval_ua", "eval_wa") if k in line
        }
        if metrics:
            steps.setdefault(line["step"], {"step": line["step"]}).update(metrics)
    return max(steps.values(), key=lambda s: s.get("eval_ua", 0.0), default={})


def _keep(planned: Run, model: Any, best: dict[str, float]) -> None:
    """Writes `best/` under another name and renames it."""
    from audiollm.model import checkpoint

    part = planned.folder / "best.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    checkpoint.save_projector(model.projector, part / PROJECTOR_NAME)
    if planned.config.stage == 2:
        model.llm.save_pretrained(part / "adapter", safe_serialization=True)
    shutil.rmtree(planned.best, ignore_errors=True)
    part.rename(planned.best)
    write_json(planned.folder / METRICS_NAME, best)


def _log_to(path: Path) -> None:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(min(root.level or logging.INFO, logging.INFO))
