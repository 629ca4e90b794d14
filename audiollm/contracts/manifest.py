"""What a model is made of, as frozen dataclasses that go to JSON and back. No torch here.

`Manifest` is the content of `audiollm.json`, the file that makes a folder a model: it holds
everything needed to use the weights beside it.
"""

from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

from audiollm.contracts.options import check, option
from audiollm.errors import ConfigError
from audiollm.labels import LANGUAGES, Language

FORMAT_VERSION = 1
MANIFEST_NAME = "audiollm.json"
PROJECTOR_NAME = "projector.safetensors"
PROBE_NAME = "probe.safetensors"
# What the code before and behind a model works at; kept in its folder for other programs
SAMPLE_RATE = 16000  # Hz
FRAME_RATE = 50.0  # Hz
# A folder may come from anywhere: far above every real model, far below what fills a memory
MAX_SIZE, MAX_FUNCTIONALS, MAX_UTTERANCE_TOKENS = 65_536, 100_000, 256

PromptStyle = Literal["chat", "original"]
EncoderKind = Literal["emotion2vec", "whisper"]
Statistics = Literal["mean", "mean_std"]  # std: population standard deviation
MAX_CLASSES = 256
MAX_LAYERS = 64  # of an encoder


@dataclass(frozen=True)
class EncoderRef:
    """Which frozen encoder makes a model's features: referred to, never copied."""

    id: str  # preset name, hub id or folder
    width: int = option(MISSING, "channels of a frame, over all layers", low=1, high=MAX_SIZE)
    fingerprint: str = ""  # sha256 of all that decides features; "" where only these are known
    frames_per_second: float = option(FRAME_RATE, "fixed", low=FRAME_RATE, high=FRAME_RATE)
    kind: EncoderKind = "emotion2vec"
    # whisper: whose outputs make a frame, numbered from 1
    layers: tuple[int, ...] = option((), "of a whisper encoder", low=1, high=MAX_LAYERS)
    statistics: Statistics = "mean"  # over time, of the utterance features

    def __post_init__(self) -> None:
        check(self)
        if not self.id:
            raise ConfigError("option_empty", name="id")
        several = len(set(self.layers)) < len(self.layers)
        wrong = (self.kind == "whisper") != bool(self.layers)
        if several or wrong or (self.layers and self.width % len(self.layers)):
            layers = str(self.layers)
            raise ConfigError("option_layers", kind=self.kind, layers=layers, width=self.width)

    @property
    def utterance_width(self) -> int:
        """Numbers of an utterance's features."""
        return self.width * (2 if self.statistics == "mean_std" else 1)

    @property
    def options(self) -> str:
        """What `prepare` is told to make the same features."""
        words = [f"--encoder {self.id}"]
        if self.layers:
            words.append(f"--layers {','.join(map(str, self.layers))}")
        if self.layers or self.statistics != "mean":
            words.append(f"--statistics {self.statistics.replace('_', '-')}")
        return " ".join(words)


@dataclass(frozen=True)
class ProjectorConfig:
    """Audio features -> LLM embeddings.

    `frames` pools 50 Hz frames to `tokens_per_second`; `utterance` turns the statistics of the
    utterance into `utterance_tokens`. `functionals` > 0 adds one token of measured acoustic
    statistics. With `baseline` the projector takes either the features as they are, or what they
    differ by from the mean of the same speaker's other clips.
    """

    # width of a frame, or with utterance pooling of the utterance's features
    input_size: int = option(MISSING, "width of the input", low=1, high=MAX_SIZE)
    output_size: int = option(MISSING, "width of the LLM", low=1, high=MAX_SIZE)
    pooling: Literal["frames", "utterance"] = option("frames", "what makes the tokens")
    tokens_per_second: float = option(4.0, "with pooling of frames", above=0, high=FRAME_RATE)
    utterance_tokens: int = option(1, "of an utterance", low=1, high=MAX_UTTERANCE_TOKENS)
    hidden_size: int = option(512, "width of the hidden layer", low=1, high=MAX_SIZE)
    functionals: int = option(0, "measured statistics", low=0, high=MAX_FUNCTIONALS)
    baseline: bool = False  # utterance pooling: may be given a speaker baseline
    dropout: float = option(0.1, "behind the hidden layer", low=0, below=1)
    # what is done to standardised features while training, lest a few of them decide
    noise: float = option(0.0, "standard deviation of what is added", low=0, high=10)
    input_dropout: float = option(0.0, "of the encoder's features", low=0, below=1)
    functionals_dropout: float = option(0.0, "of the functionals", low=0, below=1)
    output_norm: bool = True  # bring audio tokens to the scale of the LLM's own embeddings
    limit: float = 6.0  # standardised features are clipped to +- this

    def __post_init__(self) -> None:
        check(self)
        if self.baseline and self.pooling != "utterance":
            raise ConfigError("option_choice", name="pooling", choices="utterance", value="frames")


@dataclass(frozen=True)
class Calibration:
    """Class log-likelihoods z -> softmax(z / T + shift), fitted on other speakers.

    T = temperature * exp(slope * u), where u in [0, 1] says how far the clip's features are from
    the training data (`distance`): 0 up to a distance of 0.9, 1 from 1.2 on.
    """

    temperature: float = option(1.0, "of a clip like the training data", above=0)
    shift: dict[str, float] = field(default_factory=dict)
    fitted_on: str = ""  # which data and split, "" when not fitted
    slope: float = option(0.0, "growth of the log temperature with distance", low=0, high=10)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Calibrations:
    """Of the answers of one model."""

    calibration: Calibration = field(default_factory=Calibration)
    baseline_calibration: Calibration | None = None  # of answers that rest on a speaker baseline


@dataclass(frozen=True)
class Manifest:
    """Content of `audiollm.json`."""

    name: str
    encoder: EncoderRef
    projector: ProjectorConfig
    labels: tuple[str, ...]  # ordered class names
    languages: tuple[Language, ...] = option(LANGUAGES, "of the texts")
    prompt: PromptStyle = "chat"
    first_tokens: bool = False  # classes are scored by first tokens, without cues
    prose: bool = False  # the LLM writes analyses from facts; else they are composed
    questions: bool = False  # the LLM follows instructions, so people may ask it freely
    sample_rate: int = option(SAMPLE_RATE, "fixed", low=SAMPLE_RATE, high=SAMPLE_RATE)
    calibration: Calibration = field(default_factory=Calibration)
    baseline_calibration: Calibration | None = None  # of answers that rest on a speaker baseline
    training: dict[str, Any] = field(default_factory=dict)  # data, split, speakers, commands
    metrics: dict[str, Any] = field(default_factory=dict)  # as `evaluate` wrote them, short form
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ConfigError("model_format", found=self.format_version, known=FORMAT_VERSION)
        check(self)
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ConfigError("option_classes", labels=self.labels)
        if len(self.labels) > MAX_CLASSES:
            raise ConfigError("option_many_classes", n=len(self.labels), most=MAX_CLASSES)
        if not self.languages:
            raise ConfigError("option_empty", name="languages")
