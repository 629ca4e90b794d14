"""The settings of the Train page as one value, `Plan`, and the commands that carry it out.

The hyperparameters of both stages are two `FitConfig`s; `KEYS` says which fields of the page set
which of their options. No gradio here.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audiollm import hub
from audiollm.contracts.comparison import VERSUS
from audiollm.contracts.fit import METRICS_NAME, OPTIONS, FitConfig
from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.contracts.options import check, option, options, shown
from audiollm.contracts.prepared import PREPARED
from audiollm.contracts.result import RESULT
from audiollm.errors import ConfigError
from audiollm.jobs.job import Step, check_device
from audiollm.web.train.sources import EMODB, FOLDER, HUB, DataSource, source_of

PRESETS: dict[str, float] = {"quick": 0.25, "balanced": 1.0, "thorough": 3.0}  # times the epochs

USUAL = "balanced"
# part of the page -> the options of `FitConfig` that it shows
SHOWN: dict[str, tuple[str, ...]] = {
    "llm": ("llm",),
    "first": ("epochs", "learning_rate", "batch_size", "lora_rank"),
    "train_more": (
        *("max_steps", "seed", "pooling", "per_clip", "weight_decay", "utterance_tokens"),
        *("tokens_per_second", "hidden_size", "dropout", "input_dropout", "functionals_dropout"),
        *("noise", "label_smoothing", "lora_dropout"),
    ),
}
PER_STAGE = ("epochs", "max_steps", "learning_rate")  # have a field for each stage


def keys(part: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Field of a part of the page -> (option of `FitConfig`, stages in which it is set)."""
    fields: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name in SHOWN[part]:
        if name in PER_STAGE:
            fields |= {f"{name}_{stage}": (name, (stage,)) for stage in (1, 2)}
        else:
            fields[name] = (name, (OPTIONS[name].stage,) if OPTIONS[name].stage else (1, 2))
    return fields


KEYS = {key: target for part in SHOWN for key, target in keys(part).items()}


@dataclass(frozen=True)
class Plan:
    """One model, from recordings to its evaluation.

    Raises:
        ConfigError: a value cannot be used; the message holds it.
    """

    name: str = option("my-model", "name of the model and its folders")
    source: str = option(EMODB, "EMODB, FOLDER, HUB, or the path of a prepared folder")
    folder: str = option("", "FOLDER: the recordings, or a table that lists them")
    data_set: str = option("", "HUB: its id")
    pattern: str = option("", "FOLDER: a regular expression that finds the speaker in a path")
    label_column: str = option("", "FOLDER: the column of a table's labels; empty: found by itself")
    alone: bool = option(False, "FOLDER, HUB: random split, for speakers are unknown")
    all_learn: bool = option(False, "no validation split, where recordings are prepared")
    encoder: str = option(hub.BUNDLED_ENCODER, "with which recordings are prepared")
    device: str = option("cpu", "cpu, mps, cuda or cuda:N")
    clips: int = option(0, "most recordings that are prepared; 0: all", low=0, high=10**9)
    stages: tuple[FitConfig, FitConfig] = (FitConfig(), FitConfig.of({"stage": 2}))
    compared_with: str = ""  # the active model, with which the new one is compared; "": none

    def __post_init__(self) -> None:
        check(self)
        if not re.fullmatch(r"[^\W_][\w.-]{0,59}", self.name) or self.name.endswith("."):
            raise ConfigError("plan_name", value=shown(self.name))
        if self.name in {*hub.LLMS, *hub.ENCODERS}:
            raise ConfigError("plan_name_preset", value=shown(self.name))
        for name, id in (("llm", self.stages[0].llm), ("encoder", self.encoder)):
            if not id.strip() or id.startswith("-") or not id.isprintable():
                raise ConfigError("plan_model", name=name, value=shown(id))
        check_device(self.device)
        if self.unprepared:
            self.data_source()
        else:
            prepared = False
            with suppress(OSError, ValueError):
                prepared = (Path(self.source) / PREPARED).is_file()
            if not prepared:
                raise ConfigError("plan_not_prepared", value=shown(self.source))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Plan":
        """From the values of the page's fields; what is missing has its default.

        Raises:
            ConfigError: see the class.
        """
        stages = []
        for stage in (1, 2):
            chosen = {
                name: values[key]
                for key, (name, those) in KEYS.items()
                if stage in those and key in values
            }
            config = FitConfig.of({"stage": stage, **chosen})
            stages.append(replace(config, lora_alpha=2 * config.lora_rank))
        own = {name: values[name] for name in OWN if name in values}
        return cls(**own, stages=(stages[0], stages[1]))

    def values(self) -> dict[str, Any]:
        """The values of the page's fields, which `of` reads back."""
        own = {name: getattr(self, name) for name in OWN}
        configured = {
            key: getattr(self.stages[those[0] - 1], name) for key, (name, those) in KEYS.items()
        }
        return {**own, **configured}

    def data_source(self) -> DataSource:
        """The recordings to prepare."""
        return source_of(vars(self))

    @property
    def unprepared(self) -> bool:
        """The first step prepares the recordings."""
        return self.source in (EMODB, FOLDER, HUB)

    @property
    def own_folder(self) -> bool:
        """The prepared folder is named after the model, and holds these recordings alone."""
        return self.source in (FOLDER, HUB)

    def configs(self, home: Path) -> dict[str, FitConfig]:
        """File in the job's folder -> configuration of a stage, all paths absolute."""
        data, _ = self.data_in(home)
        one, two = self.stages
        start = str(home / "runs" / f"{self.name}-stage1")
        llm = _absolute(one.llm)
        return {
            "stage_1.json": replace(one, data=str(data), llm=llm),
            "stage_2.json": replace(two, data=str(data), llm=llm, start=start),
        }

    def files(self, home: Path) -> dict[str, str]:
        """The same as text."""
        configs = self.configs(home).items()
        return {name: json.dumps(config.to_dict(), indent=2) + "\n" for name, config in configs}

    def steps_in(self, home: Path, job: Path | None = None) -> list[Step]:
        """The commands, all paths absolute; data, runs and the model go into the home folder.

        job: folder of a job with the `files`; None: the commands need no file.
        """
        runs, model = home / "runs", home / "models" / self.name
        data, steps = self.data_in(home)
        for stage, (file, config) in enumerate(self.configs(home).items(), start=1):
            run = runs / f"{self.name}-stage{stage}"
            settings = ("--config", str(job / file)) if job else config.arguments()
            words: tuple[str, ...] = ("train", "fit", *settings, "--out", str(run))
            steps.append(Step(f"stage {stage}", words, run / METRICS_NAME))
        merged = ("train", "merge", "--run", str(run), "--out", str(model))
        steps.append(Step("merge", merged, model / MANIFEST_NAME))
        out = runs / f"{self.name}-evaluate"
        evaluated = ("train", "evaluate", "--model", str(model), "--data", str(data), "--record")
        steps.append(Step("evaluate", (*evaluated, "--out", str(out)), out / RESULT))
        if self.compared_with:
            words = ("train", "compare", "--before", _absolute(self.compared_with))
            words = (*words, "--data", str(data), "--answers", str(out / RESULT))
            steps.append(Step("versus", (*words, "--out", str(out / VERSUS)), out / VERSUS))
        return steps

    def data_in(self, home: Path) -> tuple[Path, list[Step]]:
        """The prepared folder, and the step that makes it where it is not there."""
        if not self.unprepared:
            return Path(self.source).resolve(), []
        words = (*self.data_source().words, "--encoder", _absolute(self.encoder))
        parts = [self.name] if self.own_folder else [EMODB]
        if self.encoder != hub.BUNDLED_ENCODER or not self.own_folder:  # earlier ones had another
            parts.append(re.sub(r"[^\w.-]+", "_", self.encoder))
        if self.all_learn and not self.own_folder:
            parts.append("all")
        if self.clips:
            words = (*words, "--max-clips", str(self.clips))
            parts.append(str(self.clips))
        data = home / "data" / "-".join(parts)
        words = ("train", "prepare", *words, "--out", str(data))
        return data, [Step("prepare", words, data / PREPARED)]


OWN = tuple(options(Plan))  # fields of the page that are no hyperparameters


def _absolute(id: str) -> str:
    """A folder's absolute path, any other id as it is: jobs run in the project's folder."""
    try:
        path = Path(id).expanduser()
        return str(path.resolve()) if path.is_dir() else id
    except (OSError, RuntimeError, ValueError):
        return id
