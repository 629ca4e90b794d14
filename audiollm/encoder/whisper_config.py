"""What a Whisper encoder is made of: the values of config.json that matter, checked. No torch here.

Of a folder's configuration only these values are taken; everything else, the decoder's above all,
is ignored.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from audiollm.contracts.manifest import Statistics
from audiollm.errors import ModelError

CONFIG_NAME = "config.json"
PREPROCESSOR_NAME = "preprocessor_config.json"
SPECTROGRAM = {"sampling_rate": 16000, "n_fft": 400, "hop_length": 160}  # Hz, samples, samples
MEL_RATE = 100  # mel frames a second; the second convolution halves them
FEATURES_KEY = "audiollm_features"  # in config.json of our own folders: layers and statistics

_MAX_CONFIG_BYTES = 1_000_000
_MAX_PARAMETERS = 2_000_000_000  # the encoder of large-v3 has 0.6e9
_RANGES = {
    "d_model": (8, 4096),
    "encoder_layers": (1, 64),
    "encoder_attention_heads": (1, 64),
    "encoder_ffn_dim": (1, 16384),
    "max_source_positions": (150, 1500),  # a window and its context; 30 s
}


@dataclass(frozen=True)
class WhisperConf:
    """The encoder's shape, under the names of transformers' `WhisperConfig`."""

    d_model: int  # channels of a layer
    encoder_layers: int  # that are there
    encoder_attention_heads: int
    encoder_ffn_dim: int
    num_mel_bins: int = 80
    max_source_positions: int = 1500  # frames that are encoded at once, at most

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ModelError(
                    f"Encoder {name} must be a whole number from {least} to {most}, not "
                    f"{str(value)[:80]!r}."
                )
        if type(self.num_mel_bins) is not int or self.num_mel_bins not in (80, 128):
            raise ModelError(
                f"Encoder num_mel_bins must be 80 or 128, not {str(self.num_mel_bins)[:80]!r}."
            )
        if self.d_model % 2 or self.d_model % self.encoder_attention_heads:
            raise ModelError(
                f"Encoder d_model {self.d_model} must be even and a multiple of "
                f"encoder_attention_heads {self.encoder_attention_heads}."
            )
        layer = 4 * self.d_model**2 + 2 * self.d_model * self.encoder_ffn_dim
        if self.encoder_layers * layer > _MAX_PARAMETERS:
            raise ModelError(
                f"The encoder would have {self.encoder_layers * layer / 1e9:.1f} billion "
                f"parameters; at most {_MAX_PARAMETERS // 10**9} billion are accepted."
            )


def read_conf(folder: Path) -> tuple[WhisperConf, tuple[int, ...], Statistics | Literal[""]]:
    """The encoder's shape, and the layers and statistics that the folder names; empty where it
    names none.

    Raises:
        ModelError: no readable config.json, it does not describe a Whisper model, or
            preprocessor_config.json asks for another spectrogram than Whisper's.
    """
    path = folder / CONFIG_NAME
    data = _read(path)
    if data.get("model_type") != "whisper":
        raise ModelError(f"{path} does not describe a Whisper model (model_type: whisper).")
    try:
        if data.get("activation_function", "gelu") != "gelu":
            shown = str(data["activation_function"])[:80]
            raise ModelError(f"Encoder activation_function must be gelu, not {shown!r}.")
        names = WhisperConf.__dataclass_fields__
        if lacking := [n for n in _RANGES if n not in data and n != "max_source_positions"]:
            raise ModelError(f"It lacks {lacking[0]}.")
        conf = WhisperConf(**{name: data[name] for name in names if name in data})
        layers, statistics = _features(data.get(FEATURES_KEY, {}), conf.encoder_layers)
    except ModelError as error:
        raise ModelError(f"{path} is refused: {error}") from error
    _check_spectrogram(folder / PREPROCESSOR_NAME, conf.num_mel_bins)
    return conf, layers, statistics


def write_conf(
    folder: Path, conf: WhisperConf, layers: tuple[int, ...], statistics: Statistics
) -> None:
    """Write `conf` as transformers lays it out, with the layers and statistics to be used."""
    values: dict[str, Any] = {"model_type": "whisper", "activation_function": "gelu"}
    features = {"layers": list(layers), "statistics": statistics}
    values |= asdict(conf) | {FEATURES_KEY: features}
    (folder / CONFIG_NAME).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def check_layers(layers: tuple[int, ...], depth: int, where: str) -> tuple[int, ...]:
    """
    Raises:
        ModelError: not one or more different layers from 1 to `depth`.
    """
    known = layers and len(set(layers)) == len(layers)
    if not known or not all(type(n) is int and 1 <= n <= depth for n in layers):
        shown = ",".join(str(n)[:20] for n in layers[:20]) or "none"
        raise ModelError(
            f"{where} has the layers 1 to {depth}: name one or more, each once, not {shown}."
        )
    return layers


def _features(value: Any, depth: int) -> tuple[tuple[int, ...], Statistics | Literal[""]]:
    if not isinstance(value, Mapping):
        raise ModelError(f"{FEATURES_KEY} must hold layers and statistics.")
    layers, statistics = value.get("layers", []), value.get("statistics", "")
    if not isinstance(layers, list):
        raise ModelError(f"{FEATURES_KEY}: layers must be a list, not {str(layers)[:80]!r}.")
    if statistics not in ("", *get_args(Statistics)):
        raise ModelError(f"{FEATURES_KEY}: there are no statistics {str(statistics)[:80]!r}.")
    return check_layers(tuple(layers), depth, "The encoder") if layers else (), statistics


def _check_spectrogram(path: Path, bins: int) -> None:
    if not path.is_file():
        return
    data = _read(path)
    for name, wanted in (*SPECTROGRAM.items(), ("feature_size", bins)):
        if data.get(name, wanted) != wanted:
            raise ModelError(f"{path}: {name} must be {wanted}, not {str(data[name])[:80]!r}.")


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise ModelError(f"{path} is too large to be an encoder configuration.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not a valid JSON file.") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path} must hold names and values.")
    return data
