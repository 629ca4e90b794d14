"""`FitConfig`: every hyperparameter of `python -m train fit`, declared once, in this file.

The command line is derived from it; `fit --config FILE`, a run folder's run.json and the settings
of the Train page hold its JSON form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from audiollm.contracts.options import Option, check, known_only, option, options
from audiollm.errors import ConfigError
from audiollm.labels import LANGUAGES, Language

RUN_NAME = "run.json"  # in a run folder: configuration, command, versions, data
PROGRESS_NAME = "progress.jsonl"  # a line each time something was measured
METRICS_NAME = "metrics.json"  # the best evaluation; there is none before the run has finished
STOP_NAME = "stop"  # put into a run folder, it saves a checkpoint and stops
STOPPED = 75  # exit code of a run that was stopped so
REFUSED = 2  # exit code of a command whose last line on stderr is its error message

Stage = Literal[1, 2]
Target = Literal["corpus", "class"]  # of the auxiliary head: classes of each corpus, or of all
Teacher = Literal["head", "probe"]
Head = Literal["learned", "embeddings"]  # weights of the auxiliary head
ClassLoss = Literal["vocabulary", "classes"]  # what the class token's softmax goes over
Gain = Literal["learned", "fixed"]  # of the norm of the audio tokens
Pooling = Literal["auto", "utterance", "frames"]


@dataclass(frozen=True)
class FitConfig:
    """Everything that decides the outcome of a stage.

    Raises:
        ConfigError: a value is refused; the message holds it.
    """

    stage: Stage = option(1, "1: projector alone; 2: projector and LoRA")
    data: str = option("", "prepared folder", unit="DIR")
    llm: str = option("tiny", "the LLM of stage 1: a preset, hub id or folder", unit="ID")
    start: str = option("", "run folder of stage 1", stage=2, word="from", unit="RUN")
    epochs: float = option(
        12.0, "epochs over the data", above=0, high=10_000, step=1, by_stage=(12.0, 4.0)
    )
    max_steps: int = option(
        0, "optimiser steps in place of epochs; 0: as many as the epochs have", low=-1, high=10**7
    )
    batch_size: int = option(16, "examples in a batch, on each device", low=1, high=4096)
    accumulate: int = option(1, "batches whose gradients are added up", low=1, high=4096)
    learning_rate: float = option(
        1e-3, "peak of the schedule", above=0, high=1, step=1e-5, by_stage=(1e-3, 2e-4)
    )
    weight_decay: float = option(0.01, "of AdamW", low=0, high=10, step=0.01)
    warmup_ratio: float = option(
        0.05, "share of the steps in which the rate rises", low=0, below=1, old=("warmup",)
    )
    per_clip: int = option(2, "instructions drawn for each clip", low=1, high=100)
    balance: bool = option(True, "more instructions for clips of rarer classes")
    languages: tuple[Language, ...] = option(LANGUAGES, "of questions and answers")
    class_token_weight: float = option(
        10.0, "weight of the class token in the loss; 1 for others", low=0, high=1e4, old=("lead",)
    )
    class_loss: ClassLoss = option(
        "vocabulary", "softmax of the class token: over the vocabulary, or the class words alone"
    )
    label_smoothing: float = option(
        0.1,
        "share of the class token's target that all classes get alike",
        low=0,
        below=1,
        step=0.05,
        old=("smoothing",),
    )
    auxiliary: float = option(
        1.0, "weight of the auxiliary head's loss", low=0, high=1e4, by_stage=(1.0, 0.0)
    )
    auxiliary_by: Target = option("corpus", "classes of that head: of every corpus, or of all")
    auxiliary_head: Head = option(
        "learned", "weights of that head: learned, or the LLM's embeddings of the class words"
    )
    distillation: float = option(
        0.0, "share of the class token's target that the auxiliary head gives", low=0, below=1
    )
    teacher: Teacher = option(
        "head", "of distillation: the auxiliary head, or linear probes on the utterance features"
    )
    teacher_strength: float = option(
        0.003, "inverse L2 penalty of the probes of that teacher", above=0, high=1e6, step=0.001
    )
    pretraining_epochs: int = option(
        60,
        "epochs of the auxiliary head before the LLM is trained, in stage 1 with the projector",
        low=0,
        high=10_000,
        old=("warm_up",),
    )
    baseline: float = option(
        0.0, "share of examples with a speaker baseline; stage 2: that of stage 1", low=0, below=1
    )
    class_only: float = option(
        0.0, "share of examples that end after the class word: they cost a fifth", low=0, high=1
    )
    questions: float = option(
        0.0, "share of the other examples that are free questions", low=0, high=1, stage=2
    )
    evaluations: int = option(10, "validations and checkpoints in all", low=1, high=10_000)
    seed: int = option(0, "of weights, order and instructions", low=0, high=2**31 - 1)
    report_to: tuple[str, ...] = option((), "trackers besides TensorBoard: trackio, wandb")
    pooling: Pooling = option(
        "auto", "what becomes audio tokens; auto: frames where the data has them", stage=1
    )
    utterance_tokens: int = option(
        4, "audio tokens of a clip, with pooling utterance", low=1, high=256, stage=1
    )
    tokens_per_second: float = option(
        4.0, "audio tokens of a second, with pooling frames", above=0, high=50, step=1, stage=1
    )
    hidden_size: int = option(512, "width of the hidden layer", low=1, high=65_536, stage=1)
    dropout: float = option(0.3, "behind the hidden layer", low=0, below=1, step=0.05, stage=1)
    noise: float = option(
        0.3, "of the standardised features, while training", low=0, high=10, step=0.05, stage=1
    )
    input_dropout: float = option(
        0.2, "of the encoder's standardised features", low=0, below=1, step=0.05, stage=1
    )
    functionals_dropout: float = option(
        0.2, "of the standardised functionals", low=0, below=1, step=0.05, stage=1
    )
    functionals: bool = option(True, "a token of measured statistics", stage=1)
    gain: Gain = option(
        "learned", "norm of the audio tokens: learned, or fixed at that of the LLM's embeddings"
    )
    lora_rank: int = option(16, "rank of the LoRA matrices", low=1, high=1024, stage=2)
    lora_alpha: int = option(32, "the scale is alpha / rank", low=1, high=65_536, stage=2)
    lora_dropout: float = option(
        0.05, "before the LoRA matrices", low=0, below=1, step=0.05, stage=2
    )

    def __post_init__(self) -> None:
        check(self)
        if not self.languages:
            raise ConfigError("option_choice", name="languages", choices=LANGUAGES, value="()")
        if self.distillation and not self.auxiliary:
            raise ConfigError("fit_distillation", value=self.distillation)
        if self.teacher == "probe" and self.auxiliary_by != "class":
            raise ConfigError("fit_teacher")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "FitConfig":
        """From JSON values; an option that they do not name has the default of the stage.

        Raises:
            ConfigError: a name is unknown or of the other stage, or a value is refused.
        """
        known_only(cls, values)
        stage = values.get("stage", 1)
        for name in values:
            if OPTIONS[name].stage not in (0, stage):
                raise ConfigError("fit_other_stage", option=flag(name), stage=stage)
        return cls(**{**(defaults(stage) if stage in (1, 2) else {}), **values})

    @classmethod
    def of_run(cls, values: Mapping[str, Any]) -> "FitConfig":
        """From a run.json, which may be of an earlier version.

        Raises:
            ConfigError: see `of`.
        """
        if "projector" not in values:
            return cls.of(values)
        now = {old: name for name, declared in OPTIONS.items() for old in declared.old}
        renamed = {now.get(name, name): value for name, value in values.items()}
        renamed |= {"auxiliary": 0.0} if "auxiliary" not in renamed else {}
        renamed |= renamed.pop("projector")
        stage = renamed.get("stage")
        others = {name for name, declared in OPTIONS.items() if declared.stage not in (0, stage)}
        return cls.of({name: value for name, value in renamed.items() if name not in others})

    def to_dict(self) -> dict[str, Any]:
        """The options of its stage as JSON values, which `of` reads back."""
        return {
            name: list(value) if isinstance(value := getattr(self, name), tuple) else value
            for name, declared in OPTIONS.items()
            if declared.stage in (0, self.stage)
        }

    def arguments(self) -> tuple[str, ...]:
        """The same as arguments of `python -m train fit`; defaults are left out."""
        words: list[str] = ["--stage", str(self.stage)]
        usual = defaults(self.stage)
        for name, value in self.to_dict().items():
            if name == "stage" or getattr(self, name) == usual[name]:
                continue
            if isinstance(value, bool):
                words.append(flag(name) if value else flag(f"no_{name}"))
            else:
                values = value if isinstance(value, list) else [value]
                words += [flag(name), *(v if isinstance(v, str) else f"{v:.12g}" for v in values)]
        return tuple(words)


OPTIONS: dict[str, Option] = options(FitConfig)


def defaults(stage: int) -> dict[str, Any]:
    """Every option of a stage with its default; the number of the stage, too."""
    plain = {f.name: f.default for f in fields(FitConfig)}
    return {
        name: declared.by_stage[stage - 1] if declared.by_stage else plain[name]
        for name, declared in OPTIONS.items()
        if declared.stage in (0, stage)
    } | {"stage": stage}


def flag(name: str) -> str:
    """`batch_size` -> `--batch-size`."""
    word = OPTIONS[name].word if name in OPTIONS else ""
    return "--" + (word or name).replace("_", "-")
