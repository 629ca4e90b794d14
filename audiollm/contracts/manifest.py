"""What a model is made of, as frozen dataclasses that go to JSON and back. No torch here.

`Manifest` is the content of `audiollm.json`, the file that makes a folder a model: it holds
everything needed to use the weights beside it.
"""

import dataclasses
import json
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

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

T = TypeVar("T")
PromptStyle = Literal["chat", "original"]
EncoderKind = Literal["emotion2vec", "whisper"]
Statistics = Literal["mean", "mean_std"]  # std: population standard deviation
MAX_LAYERS = 64  # of an encoder


@dataclass(frozen=True)
class EncoderRef:
    """Which frozen encoder makes a model's features: referred to, never copied."""

    id: str  # preset name, hub id or folder
    width: int  # channels of a frame, over all layers
    fingerprint: str = ""  # sha256 of all that decides features; "" where only these are known
    frames_per_second: float = FRAME_RATE
    kind: EncoderKind = "emotion2vec"
    layers: tuple[int, ...] = ()  # whisper: whose outputs make a frame, numbered from 1
    statistics: Statistics = "mean"  # over time, of the utterance features

    def __post_init__(self) -> None:
        if not self.id:
            raise ConfigError(f"An encoder needs an id, not {self.id!r}.")
        if not 1 <= self.width <= MAX_SIZE:
            raise ConfigError(f"Encoder width must be 1 to {MAX_SIZE}, not {self.width}.")
        if self.frames_per_second != FRAME_RATE:
            raise ConfigError(
                f"An encoder must give {FRAME_RATE:g} frames per second, not "
                f"{self.frames_per_second}."
            )
        if (self.kind == "whisper") != bool(self.layers):
            raise ConfigError(
                f"An encoder of the kind {self.kind} cannot have the layers {self.layers}: whisper "
                "names one or more, emotion2vec none."
            )
        known = all(1 <= n <= MAX_LAYERS for n in self.layers)
        if not known or len(set(self.layers)) < len(self.layers):
            raise ConfigError(
                f"Encoder layers must be different numbers from 1 to {MAX_LAYERS}, not "
                f"{self.layers}."
            )
        if self.layers and self.width % len(self.layers):
            raise ConfigError(
                f"A frame {self.width} wide cannot hold the outputs of {len(self.layers)} layers."
            )

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

    input_size: int  # width of a frame, or with utterance pooling of the utterance's features
    output_size: int  # LLM width
    pooling: Literal["frames", "utterance"] = "frames"
    tokens_per_second: float = 4.0
    utterance_tokens: int = 1
    hidden_size: int = 512
    functionals: int = 0
    baseline: bool = False  # utterance pooling: may be given a speaker baseline
    dropout: float = 0.1
    # what is done to standardised features while training, lest a few of them decide
    noise: float = 0.0  # spread of what is added
    input_dropout: float = 0.0  # share of the encoder's features that is left out
    functionals_dropout: float = 0.0  # share of the functionals that is left out
    output_norm: bool = True  # bring audio tokens to the scale of the LLM's own embeddings
    limit: float = 6.0  # standardised features are clipped to +- this

    def __post_init__(self) -> None:
        for name, least, most in (
            ("input_size", 1, MAX_SIZE),
            ("output_size", 1, MAX_SIZE),
            ("hidden_size", 1, MAX_SIZE),
            ("utterance_tokens", 1, MAX_UTTERANCE_TOKENS),
            ("functionals", 0, MAX_FUNCTIONALS),
        ):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{name} must be {least} to {most}, not {getattr(self, name)}.")
        if self.pooling not in ("frames", "utterance"):
            raise ConfigError(f"pooling must be frames or utterance, not {self.pooling!r}.")
        if self.baseline and self.pooling != "utterance":
            raise ConfigError("A speaker baseline needs pooling utterance, not frames.")
        if not 0 < self.tokens_per_second <= 50:
            raise ConfigError(
                f"tokens_per_second must be above 0 and at most 50, not {self.tokens_per_second}."
            )
        for name in ("dropout", "input_dropout", "functionals_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), not {getattr(self, name)}.")
        if not 0 <= self.noise <= 10:
            raise ConfigError(f"noise must be 0 to 10, not {self.noise}.")


@dataclass(frozen=True)
class Calibration:
    """Class log-likelihoods z -> softmax(z / T + shift), fitted on other speakers.

    T = temperature * exp(slope * u), where u in [0, 1] says how far the clip's features are from
    the training data (`distance`): 0 up to a distance of 0.9, 1 from 1.2 on.
    """

    temperature: float = 1.0
    shift: dict[str, float] = field(default_factory=dict)
    fitted_on: str = ""  # which data and split, "" when not fitted
    slope: float = 0.0  # growth of the log temperature with that distance

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ConfigError(f"temperature must be above 0, not {self.temperature}.")
        if not 0 <= self.slope <= 10:
            raise ConfigError(f"slope must be 0 to 10, not {self.slope}.")


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
    languages: tuple[Language, ...] = LANGUAGES
    prompt: PromptStyle = "chat"
    questions: bool = False  # the LLM follows instructions, so people may ask it freely
    sample_rate: int = SAMPLE_RATE
    calibration: Calibration = field(default_factory=Calibration)
    baseline_calibration: Calibration | None = None  # of answers that rest on a speaker baseline
    training: dict[str, Any] = field(default_factory=dict)  # data, split, speakers, commands
    metrics: dict[str, Any] = field(default_factory=dict)  # as `evaluate` wrote them, short form
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ConfigError(
                f"This model folder has format version {self.format_version}; this program reads "
                f"version {FORMAT_VERSION}: use the release that wrote it."
            )
        if self.sample_rate != SAMPLE_RATE:
            raise ConfigError(f"sample_rate must be {SAMPLE_RATE}, not {self.sample_rate}.")
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ConfigError(f"A model needs two or more different classes, not {self.labels}.")
        if not self.languages or any(lang not in LANGUAGES for lang in self.languages):
            raise ConfigError(f"languages must be some of {LANGUAGES}, not {self.languages}.")


def to_json(config: Any) -> str:
    """A dataclass as indented JSON text, Chinese kept readable."""
    return json.dumps(dataclasses.asdict(config), indent=2, ensure_ascii=False) + "\n"


def from_dict(cls: type[T], data: Any, where: str = "") -> T:
    """A dataclass from plain JSON values, nested, strict about names and types.

    Raises:
        ConfigError: unknown or missing field, or a value that the class refuses.
    """
    where = where or cls.__name__
    if not isinstance(data, dict):
        raise ConfigError(f"{where} must be an object, not {data!r}.")
    hints = typing.get_type_hints(cls)
    names = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(data) - set(names))
    if unknown:
        raise ConfigError(f"{where} has no field {unknown[0]!r}; known: {', '.join(names)}.")
    for name, f in names.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in data:
            raise ConfigError(f"{where} lacks the field {name!r}.")
    values = {name: _value(hints[name], v, f"{where}.{name}") for name, v in data.items()}
    return cls(**values)


def read_json(cls: type[T], path: Path) -> T:
    """A dataclass from a JSON file; errors name the file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid JSON: {error}.") from error
    return from_dict(cls, data, where=path.name)


def _value(kind: Any, value: Any, where: str) -> Any:  # noqa: PLR0911
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return from_dict(typing.cast(type, kind), value, where)
    if origin is Literal:
        if value not in args:
            raise ConfigError(f"{where} must be one of {args}, not {value!r}.")
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _value(next(a for a in args if a is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} must be a list, not {value!r}.")
        return tuple(_value(args[0], v, where) for v in value)
    if kind is Any:
        return value
    if origin is dict and isinstance(value, dict):
        return {name: _value(args[1], v, f"{where}.{name}") for name, v in value.items()}
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(value, where)
    plain = origin or kind
    if not isinstance(value, plain) or (plain is int and isinstance(value, bool)):
        raise ConfigError(f"{where} must be {plain.__name__}, not {value!r}.")
    return value


def _finite(value: float, where: str) -> float:
    """JSON as Python reads it also has NaN, Infinity and integers beyond any float."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConfigError(f"{where} must be a finite number.")
    return number
