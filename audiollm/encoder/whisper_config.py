"""The shape of a Whisper encoder: the values of config.json that matter, checked.

Of a folder's configuration only these values are taken; everything else, the decoder's above all,
is ignored.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from audiollm.contracts.manifest import Statistics
from audiollm.contracts.plain_json import parse_json
from audiollm.encoder.files import check_number, check_parameters, read_mapping, refused, shown
from audiollm.errors import ModelError

CONFIG_NAME = "config.json"
PREPROCESSOR_NAME = "preprocessor_config.json"
SPECTROGRAM = {"sampling_rate": 16000, "n_fft": 400, "hop_length": 160}  # Hz, samples, samples
MEL_RATE = 100  # mel frames a second; the second convolution halves them
FEATURES_KEY = "audiollm_features"  # in config.json of our own folders: layers and statistics

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
        for name, limits in _RANGES.items():
            check_number(name, getattr(self, name), int, limits)
        if type(self.num_mel_bins) is not int or self.num_mel_bins not in (80, 128):
            raise ModelError("encoder_mel_bins", value=shown(self.num_mel_bins))
        if self.d_model % 2 or self.d_model % self.encoder_attention_heads:
            heads = self.encoder_attention_heads
            raise ModelError("encoder_d_model", value=self.d_model, heads=heads)
        layer = 4 * self.d_model**2 + 2 * self.d_model * self.encoder_ffn_dim
        check_parameters(self.encoder_layers * layer)


def read_conf(folder: Path) -> tuple[WhisperConf, tuple[int, ...], Statistics | Literal[""]]:
    """The encoder's shape, and the layers and statistics that the folder names; empty where it
    names none.

    Raises:
        ModelError: no readable config.json, it does not describe a Whisper model, or
            preprocessor_config.json names another spectrogram than Whisper's.
    """
    path = folder / CONFIG_NAME
    data = read_mapping(path, parse_json, "JSON")
    if data.get("model_type") != "whisper":
        raise ModelError("encoder_not_whisper", path=path)
    with refused(path):
        if (function := data.get("activation_function", "gelu")) != "gelu":
            raise ModelError("encoder_activation", value=shown(function))
        names = WhisperConf.__dataclass_fields__
        if lacking := [n for n in _RANGES if n not in data and n != "max_source_positions"]:
            raise ModelError("encoder_value_missing", name=lacking[0])
        conf = WhisperConf(**{name: data[name] for name in names if name in data})
        layers, statistics = _features(data.get(FEATURES_KEY, {}), conf.encoder_layers)
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


def check_layers(layers: tuple[int, ...], depth: int, id: str = "") -> tuple[int, ...]:
    """
    Raises:
        ModelError: not one or more different layers from 1 to `depth`.
    """
    distinct = layers and len(set(layers)) == len(layers)
    if not distinct or not all(type(n) is int and 1 <= n <= depth for n in layers):
        numbers = ",".join(str(n)[:20] for n in layers[:20]) or "-"
        raise ModelError("encoder_layers", id=id, depth=depth, layers=numbers)
    return layers


def _features(value: Any, depth: int) -> tuple[tuple[int, ...], Statistics | Literal[""]]:
    if not isinstance(value, Mapping):
        raise ModelError("encoder_config_mapping", name=FEATURES_KEY)
    layers, statistics = value.get("layers", []), value.get("statistics", "")
    if not isinstance(layers, list):
        raise ModelError("encoder_layers_list", value=shown(layers))
    if statistics not in ("", *get_args(Statistics)):
        raise ModelError("encoder_statistics", value=shown(statistics))
    return check_layers(tuple(layers), depth) if layers else (), statistics


def _check_spectrogram(path: Path, bins: int) -> None:
    if not path.is_file():
        return
    data = read_mapping(path, parse_json, "JSON")
    for name, expected in (*SPECTROGRAM.items(), ("feature_size", bins)):
        if data.get(name, expected) != expected:
            value = shown(data[name])
            raise ModelError(
                "encoder_spectrogram", path=path, name=name, expected=expected, value=value
            )
