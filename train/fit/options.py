"""What `python -m train fit` is asked: its arguments, and the run that they plan."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from audiollm import hub
from audiollm.contracts.manifest import ProjectorConfig
from audiollm.errors import ConfigError, DataError
from audiollm.labels import LANGUAGES
from audiollm.settings import Settings
from train.data.dataset import Prepared
from train.data.speakers import FEWEST
from train.fit import runs
from train.fit.runs import FitConfig, Run

PROJECTOR: dict[str, tuple[Any, str]] = {  # option of ProjectorConfig -> (default, help)
    "tokens_per_second": (4.0, "frames: audio tokens a second"),
    "utterance_tokens": (4, "utterance: audio tokens a clip"),
    "hidden_size": (512, "width of the hidden layer"),
    "dropout": (0.3, "behind the hidden layer"),
    "noise": (0.3, "spread of noise on standardised features while training"),
    "input_dropout": (0.2, "of the encoder's standardised features"),
    "functionals_dropout": (0.2, "of the standardised functionals"),
}

REPORTS = ("trackio", "wandb")  # what `--report-to` may name

_EPILOG = f"""examples:
  python -m train fit --stage 1 --data data/emodb
  python -m train fit --stage 2 --data data/emodb --from runs/emodb-stage1
  python -m train fit --resume runs/emodb-stage2

--llm is one of {", ".join(hub.LLMS)}, a hub id or a folder."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    add = parser.add_argument
    default = FitConfig(stage=1, data="-", llm="tiny")
    add("--stage", type=int, choices=(1, 2), help="1: projector alone; 2: projector and LoRA")
    add("--data", metavar="DIR", help="folder made by `prepare`")
    add("--llm", default=None, metavar="ID", help="stage 1: the LLM (default: tiny)")
    add("--from", dest="start", default="", metavar="RUN", help="stage 2: run folder of stage 1")
    add("--out", metavar="RUN", help="run folder to make (default: runs/DATA-stageN)")
    add("--resume", metavar="RUN", help="continue a stopped run from its last checkpoint")
    add(
        "--epochs",
        type=float,
        default=None,
        help="passes over the data (default: stage 1 12, stage 2 4)",
    )
    numbers: list[tuple[str, type, Any, str]] = [
        ("--max-steps", int, -1, "stop after so many optimiser steps; -1: by epochs"),
        ("--batch-size", int, default.batch_size, "examples on a device at once"),
        ("--accumulate", int, default.accumulate, "batches whose gradients are added up"),
        ("--weight-decay", float, default.weight_decay, "of AdamW"),
        ("--per-clip", int, default.per_clip, "instructions drawn a clip"),
        ("--lead", float, default.lead, "weight of the class word among an answer's tokens"),
        ("--smoothing", float, default.smoothing, "share of its target given to all class words"),
        ("--distillation", float, default.distillation, "share of its target that the head gives"),
        ("--warm-up", int, default.warm_up, "epochs of that head, first; stage 1: and projector"),
        ("--evaluations", int, default.evaluations, "validations and checkpoints in all"),
        ("--seed", int, default.seed, "of weights, order and instructions"),
        ("--lora-rank", int, default.lora_rank, "stage 2: rank of the LoRA matrices"),
        ("--lora-alpha", int, default.lora_alpha, "stage 2: LoRA's scale is alpha / rank"),
        ("--lora-dropout", float, default.lora_dropout, "stage 2: dropout before LoRA"),
    ]
    for name, kind, value, text in numbers:
        add(name, type=kind, default=value, metavar="N", help=f"{text} (default: {value})")
    words = "weight of a linear head's loss beside the LLM's (default: stage 1 1, stage 2 0)"
    add("--auxiliary", type=float, default=None, metavar="N", help=words)
    words = "that head tells the classes of every corpus apart, or of all together"
    add("--auxiliary-by", choices=("corpus", "class"), default="corpus", help=words)
    rates = "peak of the schedule (default: stage 1 1e-3, stage 2 2e-4)"
    words = "share of examples that come with a speaker baseline (default: 0; stage 2: stage 1's)"
    add("--baseline", type=float, default=None, metavar="N", help=words)
    add("--learning-rate", type=float, default=None, metavar="N", help=rates)
    add("--no-balance", action="store_true", help="do not show rarer classes more often")
    words = f"of questions and answers (default: {' '.join(LANGUAGES)})"
    add("--languages", nargs="+", choices=LANGUAGES, default=list(LANGUAGES), help=words)
    words = "trackers to tell besides TensorBoard: trackio, wandb; they must be installed"
    add("--report-to", nargs="+", default=[], metavar="NAME", help=words)
    add = parser.add_argument_group("projector (stage 1)").add_argument
    words = "what becomes tokens (default: frames where the data has them)"
    add("--pooling", choices=("frames", "utterance"), default=None, help=words)
    for key, (value, text) in PROJECTOR.items():
        words = f"{text} (default: {value})"
        add(_flag(key), type=type(value), default=None, metavar="N", help=words)
    words = "leave the token of measured statistics out"
    add("--no-functionals", action="store_true", default=None, help=words)


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def plan(args: argparse.Namespace, prepared: Prepared, settings: Settings) -> Run:
    """The run that the arguments ask for, with what the data decides filled in."""
    check_reports(args.report_to)
    from train.fit import parallel

    stage = args.stage
    name = Path(args.data).resolve().name
    options: dict[str, Any] = {}
    baseline = args.baseline or 0.0
    if stage == 2:
        if not args.start:
            raise ConfigError("Stage 2 starts from a stage 1 run: give it with --from RUN.")
        for key in ("pooling", *PROJECTOR, "no_functionals"):
            if getattr(args, key) is not None:
                raise ConfigError(
                    f"{_flag(key)} shapes the projector, which stage 2 takes from stage 1 as it "
                    f"is: leave {_flag(key)} out, or give it to stage 1."
                )
        first = runs.read(Path(args.start), finished=True)
        llm, projector = _absolute(first.config.llm, settings), first.projector
        if args.llm and _absolute(args.llm, settings) != llm:
            raise ConfigError(
                f"The run {args.start} was made with {first.config.llm}, not {args.llm}."
            )
        _check_fits(first, prepared)
        baseline = first.config.baseline if args.baseline is None else baseline
        if baseline and not projector.baseline:
            raise ConfigError(
                f"The projector of {args.start} takes no speaker baseline: leave --baseline out, "
                "or give it to stage 1."
            )
    else:
        if args.start:
            raise ConfigError("Only stage 2 starts from another run: leave --from out.")
        given = {key: getattr(args, key) for key in PROJECTOR}
        options = {k: PROJECTOR[k][0] if v is None else v for k, v in given.items()}
        projector = replace(_projector(args, prepared, options), baseline=baseline > 0)
        llm = _absolute(args.llm or "tiny", settings)
    if baseline > 0:
        _check_speakers(prepared)
    # a new head in stage 2 would disturb the projector that stage 1 has taught
    epochs, rate, beside = (12.0, 1e-3, 1.0) if stage == 1 else (4.0, 2e-4, 0.0)
    config = FitConfig(
        stage=stage,
        data=str(Path(args.data).resolve()),
        llm=llm,
        start=str(Path(args.start).resolve()) if args.start else "",
        epochs=epochs if args.epochs is None else args.epochs,
        max_steps=args.max_steps,
        batch_size=args.batch_size,
        accumulate=args.accumulate,
        learning_rate=rate if args.learning_rate is None else args.learning_rate,
        weight_decay=args.weight_decay,
        per_clip=args.per_clip,
        balance=not args.no_balance,
        languages=tuple(args.languages),
        lead=args.lead,
        smoothing=args.smoothing,
        auxiliary_by=args.auxiliary_by,
        baseline=baseline,
        distillation=args.distillation,
        warm_up=args.warm_up,
        auxiliary=beside if args.auxiliary is None else args.auxiliary,
        evaluations=args.evaluations,
        lora_rank=args.lora_rank,
        lora_alpha=args.lora_alpha,
        lora_dropout=args.lora_dropout,
        seed=args.seed,
        report_to=tuple(args.report_to),
        projector=options,
    )
    extra = {
        "device": settings.device,
        "corpus": prepared.info["corpus"],
        "processes": parallel.count(),
    }
    info = runs.provenance(sys.argv[1:], {**extra, **runs.pin(prepared)})
    folder = Path(args.out or f"runs/{name}-stage{stage}")
    return Run(folder, config, prepared.encoder, projector, prepared.classes, info)


def _absolute(id: str, settings: Settings) -> str:
    """The LLM's name, or its absolute path where it is a folder: runs work from anywhere.

    Raises:
        ModelError: there is no such LLM.
    """
    place = hub.locate(id, settings)
    return str(place) if place == Path(id).expanduser().resolve() else id


def _projector(
    args: argparse.Namespace, prepared: Prepared, options: dict[str, Any]
) -> ProjectorConfig:
    sample = prepared.store.get(prepared.clips[0].id)
    pooling: Any = args.pooling or ("utterance" if sample.frames is None else "frames")
    measured = 0 if sample.functionals is None or args.no_functionals else len(sample.functionals)
    # the LLM's width is known when it is loaded
    taken = sample.utterance if pooling == "utterance" or sample.frames is None else sample.frames
    return ProjectorConfig(
        input_size=taken.shape[-1],
        output_size=1,
        pooling=pooling,
        functionals=measured,
        **options,
    )


def _check_fits(first: Run, prepared: Prepared) -> None:
    if Path(first.config.data).resolve() == prepared.folder.resolve():
        runs.check_data(first, prepared)
    if first.classes != prepared.classes:
        raise DataError(
            f"The run {first.folder} knows the classes {', '.join(first.classes)}, the data has "
            f"{', '.join(prepared.classes)}: prepare both with the same --classes."
        )
    known, given = first.encoder, prepared.encoder
    if known.fingerprint != given.fingerprint or known.utterance_width != given.utterance_width:
        raise DataError(
            f"The run {first.folder} was made with features of {first.encoder.options}, the data "
            f"has those of another encoder ({prepared.encoder.options}): prepare it again with "
            f"{first.encoder.options}."
        )


def _check_speakers(prepared: Prepared) -> None:
    clips = Counter(clip.speaker for clip in prepared.split("train") if clip.speaker)
    if max(clips.values(), default=0) <= FEWEST:
        raise DataError(
            f"{prepared.folder} has no speaker with more than {FEWEST} training clips: leave "
            "--baseline out, or prepare data that names its speakers."
        )


def check_reports(names: Sequence[str]) -> None:
    """
    Raises:
        ConfigError: a tracker is not known, or not installed.
    """
    for name in names:
        if name not in REPORTS:
            known = " or ".join(REPORTS)
            raise ConfigError(f"--report-to must be {known}, not {name!r}; TensorBoard is always.")
        if find_spec(name) is None:
            raise ConfigError(
                f"--report-to {name} needs the package {name}: run `pip install {name}`, or leave "
                "--report-to out."
            )
