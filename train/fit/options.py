"""The command line of `python -m train fit`, derived from `FitConfig`, and the planned run."""

import argparse
import typing
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from audiollm import hub
from audiollm.contracts.fit import OPTIONS, FitConfig, defaults, flag
from audiollm.contracts.manifest import ProjectorConfig
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import ConfigError, DataError
from audiollm.settings import Settings
from train.data.dataset import Prepared
from train.data.speakers import FEWEST
from train.fit import runs
from train.fit.runs import Run

REPORTS = ("trackio", "wandb")  # what `--report-to` may name

_EPILOG = f"""examples:
  python -m train fit --stage 1 --data data/emodb
  python -m train fit --stage 2 --data data/emodb --from runs/emodb-stage1
  python -m train fit --config stage1.json --batch-size 8
  python -m train fit --resume runs/emodb-stage2

--llm is one of {", ".join(hub.LLMS)}, a hub id or a folder.
A file of --config holds options as JSON: {{"stage": 1, "data": "data/emodb", "batch_size": 8}}."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command; options that are left out are absent from the result."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.argument_default = argparse.SUPPRESS
    parser.add_argument(
        "--config", metavar="FILE", help="JSON of the options below; they override it"
    )
    parser.add_argument("--out", metavar="RUN", help="run folder (default: runs/DATA-stageN)")
    words = "continue a stopped run from its last checkpoint; takes no other option"
    parser.add_argument("--resume", metavar="RUN", help=words)
    groups: dict[int, Any] = {
        0: parser,
        1: parser.add_argument_group("projector (stage 1)"),
        2: parser.add_argument_group("LoRA (stage 2)"),
    }
    kinds = typing.get_type_hints(FitConfig)
    for name, option in OPTIONS.items():
        arguments = _arguments(name, kinds[name])
        add = groups[option.stage].add_argument
        if arguments.get("action") == "store_false":
            add(flag(f"no_{name}"), dest=name, help=f"without {option.help}", action="store_false")
            add(flag(name), dest=name, help=argparse.SUPPRESS, action="store_true")
            continue
        add(flag(name), dest=name, help=f"{option.help}{_default(name)}", **arguments)
        for old in option.old:
            add(flag(old), dest=name, help=argparse.SUPPRESS, **arguments)


def _arguments(name: str, kind: Any) -> dict[str, Any]:
    """How argparse reads a value of this type; its range is checked by `FitConfig`."""
    if kind is bool:
        return {"action": "store_false"}
    if typing.get_origin(kind) is tuple:
        return {"nargs": "+", **_arguments(name, typing.get_args(kind)[0])}
    choices = typing.get_args(kind)
    if choices:
        return {"choices": choices, "type": type(choices[0])}
    return {"type": kind, "metavar": OPTIONS[name].unit or ("NAME" if kind is str else "N")}


def _default(name: str) -> str:
    stage = OPTIONS[name].stage or 1
    value = defaults(stage)[name]
    if OPTIONS[name].by_stage:
        one, two = OPTIONS[name].by_stage
        return f" (default: stage 1 {one:g}, stage 2 {two:g})"
    if value in ("", ()) or name == "stage":
        return ""
    return f" (default: {' '.join(value) if isinstance(value, tuple) else value})"


def explicit_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options that were set: by the file of `--config`, then of the command line.

    Raises:
        ConfigError: the file cannot be read, or names an option that does not exist.
    """
    values: dict[str, Any] = {}
    if "config" in args:
        try:
            values = parse_json(Path(args.config).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError("fit_config_file", file=args.config, reason=error) from error
        if not isinstance(values, dict):
            raise ConfigError("fit_config_file", file=args.config, reason="no JSON object")
    return values | {name: value for name, value in vars(args).items() if name in OPTIONS}


def check_resume(args: argparse.Namespace) -> None:
    """
    Raises:
        ConfigError: `--resume` comes with options that it would ignore.
    """
    others = [name for name in vars(args) if name in {*OPTIONS, "config", "out"}]
    if others:
        names = ", ".join(flag(name) for name in others)
        raise ConfigError("fit_resume_options", options=names, run=args.resume)


def plan(args: argparse.Namespace, prepared: Prepared, settings: Settings) -> Run:
    """The run of these arguments, with the values that data and stage 1 decide.

    Raises:
        ConfigError, DataError, ModelError: an option is refused, or does not fit the data.
    """
    from train import parallel

    trained = sorted({clip.label for clip in prepared.split("train")})
    if len(trained) < 2:
        code = "fit_one_class" if trained else "fit_no_clips"
        raise DataError(code, data=prepared.folder, label=trained[0] if trained else "")
    options = explicit_options(args)
    config = FitConfig.of(options)
    check_reports(config.report_to)
    if config.stage == 2:
        config, projector = _from_stage_1(config, options, prepared, settings)
    else:
        config = replace(config, llm=_absolute(config.llm, settings))
        projector = _projector(config, prepared)
    if config.baseline > 0:
        _check_speakers(prepared)
    name = Path(config.data).resolve().name
    config = replace(config, data=str(Path(config.data).resolve()))
    info = runs.provenance(
        device=settings.device,
        corpus=prepared.info["corpus"],
        processes=parallel.count(),
        **runs.pin(prepared),
    )
    folder = Path(getattr(args, "out", f"runs/{name}-stage{config.stage}"))
    return Run(folder, config, prepared.encoder, projector, prepared.classes, info)


def _from_stage_1(
    config: FitConfig, options: dict[str, Any], prepared: Prepared, settings: Settings
) -> tuple[FitConfig, ProjectorConfig]:
    """Stage 2 goes on with the LLM, the projector and the speaker baselines of stage 1."""
    if not config.start:
        raise ConfigError("fit_no_start")
    first = runs.read(Path(config.start), finished=True)
    llm = _absolute(first.config.llm, settings)
    if "llm" in options and _absolute(config.llm, settings) != llm:
        raise ConfigError("fit_other_llm", run=config.start, known=llm, llm=config.llm)
    _check_fits(first, prepared)
    baseline = options.get("baseline", first.config.baseline)
    if baseline and not first.projector.baseline:
        raise ConfigError("fit_no_baseline", run=config.start)
    start = str(Path(config.start).resolve())
    return replace(config, llm=llm, start=start, baseline=baseline), first.projector


def _absolute(id: str, settings: Settings) -> str:
    """The LLM's name, or its absolute path where it is a folder: runs work from anywhere.

    Raises:
        ModelError: there is no such LLM.
    """
    path = hub.locate(id, settings)
    return str(path) if path == Path(id).expanduser().resolve() else id


def _projector(config: FitConfig, prepared: Prepared) -> ProjectorConfig:
    sample = prepared.store.get(prepared.clips[0].id)
    pooling: Any = config.pooling
    if pooling == "auto":
        pooling = "utterance" if sample.frames is None else "frames"
    functionals = sample.functionals if config.functionals else None
    vectors = sample.utterance if pooling == "utterance" or sample.frames is None else sample.frames
    return ProjectorConfig(
        input_size=vectors.shape[-1],
        output_size=1,  # the LLM's width is known when it is loaded
        pooling=pooling,
        functionals=0 if functionals is None else len(functionals),
        baseline=config.baseline > 0,
        tokens_per_second=config.tokens_per_second,
        utterance_tokens=config.utterance_tokens,
        hidden_size=config.hidden_size,
        dropout=config.dropout,
        noise=config.noise,
        input_dropout=config.input_dropout,
        functionals_dropout=config.functionals_dropout,
    )


def _check_fits(first: Run, prepared: Prepared) -> None:
    if Path(first.config.data).resolve() == prepared.folder.resolve():
        runs.check_data(first, prepared)
    if first.classes != prepared.classes:
        before, now = (", ".join(names) for names in (first.classes, prepared.classes))
        raise DataError("fit_other_classes", run=first.folder, known=before, found=now)
    trained, current = first.encoder, prepared.encoder
    one, two = ((e.fingerprint, e.utterance_width) for e in (trained, current))
    if one != two:
        encoders = {"known": trained.options, "found": current.options}
        raise DataError("fit_other_encoder", run=first.folder, **encoders)


def _check_speakers(prepared: Prepared) -> None:
    clips = Counter(clip.speaker for clip in prepared.split("train") if clip.speaker)
    if max(clips.values(), default=0) <= FEWEST:
        raise DataError("fit_few_clips", data=prepared.folder, n=FEWEST)


def check_reports(names: Sequence[str]) -> None:
    """
    Raises:
        ConfigError: a tracker is not known, or not installed.
    """
    for name in names:
        if name not in REPORTS:
            raise ConfigError("fit_tracker_unknown", known=", ".join(REPORTS), name=name)
        if find_spec(name) is None:
            raise ConfigError("fit_tracker_missing", name=name)
