"""The configuration of an emotion2vec network, checked.

Configurations have FunASR's own keys, so that the folders we write and the published ones are
read by the same code. A foreign configuration is never handed on: `clean` takes the values that
inference needs, checks each, and fills them into our own copy of the base configuration. FunASR
evaluates the layers' text and OmegaConf interpolates `${...}` strings: neither ever sees text
from outside, only numbers, truth values and layers that we wrote ourselves.
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from audiollm.encoder.emotion2vec_spec import ConvLayers, parse_spec
from audiollm.encoder.files import check_number, check_parameters, read_mapping, refused, shown
from audiollm.errors import ModelError

CONFIG_NAME = "config.yaml"

_SMALL_CONV: ConvLayers = ((192, 400, 160), (192, 3, 2))

_BASE: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("emotion2vec_base.yaml").read_text(encoding="utf-8")
)

# The values that are taken from a given configuration, with their ranges (both ends included).
# Everything else in it is ignored. Rates of dropout matter in training only.
_Ranges = dict[str, tuple[float, float]]
_RATE = (0.0, 0.9)
_SIZES: _Ranges = {
    "depth": (1, 64),
    "num_heads": (1, 64),
    "embed_dim": (8, 4096),
    "mlp_ratio": (0.25, 16.0),
    "norm_eps": (1e-12, 0.1),
}
_RATES: _Ranges = {
    "encoder_dropout": _RATE,
    "post_mlp_drop": _RATE,
    "attention_dropout": _RATE,
    "activation_dropout": _RATE,
    "dropout_input": _RATE,
    "layerdrop": _RATE,
}
_AUDIO_SIZES: _Ranges = {
    "conv_pos_width": (1, 1024),
    "conv_pos_groups": (1, 512),
    "conv_pos_depth": (1, 16),
    "prenet_depth": (0, 32),
    "num_extra_tokens": (0, 64),
    "num_alibi_heads": (1, 64),
    "alibi_scale": (0.0, 100.0),
}
_AUDIO_RATES: _Ranges = {"prenet_layerdrop": _RATE, "prenet_dropout": _RATE}
_FLAGS = ("norm_affine", "layer_norm_first", "normalize")
_AUDIO_FLAGS = (
    "conv_pos_pre_ln",
    "init_extra_token_zero",
    "use_alibi_encoder",
    "learned_alibi_scale",
    "learned_alibi_scale_per_head",
    "learned_alibi_scale_per_layer",
)


def base_conf() -> dict[str, Any]:
    """The `model_conf` of emotion2vec-base: 768 wide, 4 + 8 blocks (arXiv 2312.15185)."""
    return copy.deepcopy(_BASE)


def small_conf(
    width: int = 192,
    depth: int = 3,
    prenet_depth: int = 1,
    heads: int = 3,
    *,
    conv_layers: ConvLayers = _SMALL_CONV,
    mlp_ratio: float = 4.0,
    conv_pos_depth: int = 5,
    conv_pos_width: int = 95,
    conv_pos_groups: int = 16,
    extra_tokens: int = 4,
    layer_norm_first: bool = False,
    dropout: float = 0.1,
    layerdrop: float = 0.0,
) -> dict[str, Any]:
    """A complete `model_conf` for a network of our own, from the few values that matter.

    Args:
        conv_layers: (channels, kernel, stride) each; the strides must multiply to 320 samples.
        conv_pos_width: receptive field of the positional convolutions together, in frames;
            each has the kernel `max(3, conv_pos_width // conv_pos_depth)`.

    Raises:
        ModelError: the values do not make a network.
    """
    conf = base_conf()
    conf.update(
        depth=depth,
        num_heads=heads,
        embed_dim=width,
        mlp_ratio=mlp_ratio,
        layer_norm_first=layer_norm_first,
        encoder_dropout=dropout,
        post_mlp_drop=dropout,
        attention_dropout=dropout,
        layerdrop=layerdrop,
    )
    conf["modalities"]["audio"].update(
        feature_encoder_spec=list(conv_layers),
        conv_pos_depth=conv_pos_depth,
        conv_pos_width=conv_pos_width,
        conv_pos_groups=conv_pos_groups,
        prenet_depth=prenet_depth,
        prenet_dropout=dropout,
        prenet_layerdrop=layerdrop,
        num_extra_tokens=extra_tokens,
        num_alibi_heads=heads,
    )
    return clean(conf)


def clean(conf: Any) -> dict[str, Any]:
    """The same network as `conf` describes, as a complete configuration of checked values.

    The decoder is left out: only self-supervised pretraining uses it.

    Raises:
        ModelError: a value is missing its type or range, or the values do not fit together.
    """
    values = _mapping(conf, "model_conf")
    modalities = _mapping(values.get("modalities", {}), "modalities")
    audio_values = _mapping(modalities.get("audio", {}), "modalities.audio")
    result = base_conf()
    audio = result["modalities"]["audio"]
    for source, target, ranges, flags in (
        (values, result, _SIZES | _RATES, _FLAGS),
        (audio_values, audio, _AUDIO_SIZES | _AUDIO_RATES, _AUDIO_FLAGS),
    ):
        for name in ranges.keys() & source.keys():
            target[name] = check_number(name, source[name], type(target[name]), ranges[name])
        for name in source.keys() & set(flags):
            if not isinstance(source[name], bool):
                raise ModelError("encoder_flag", name=name, value=shown(source[name]))
            target[name] = source[name]
    mode = audio_values.get("extractor_mode", audio["extractor_mode"])
    if mode not in ("default", "layer_norm"):
        raise ModelError("encoder_extractor_mode", value=shown(mode))
    if audio_values.get("learned_alibi"):
        raise ModelError("encoder_learned_alibi")
    layers = parse_spec(audio_values.get("feature_encoder_spec", audio["feature_encoder_spec"]))
    audio.update(
        extractor_mode=mode, feature_encoder_spec=repr(layers), model_depth=result["depth"]
    )
    _check_fit(result, layers)
    return result


def read_conf(folder: Path) -> dict[str, Any]:
    """The checked `model_conf` of a model folder.

    Raises:
        ModelError: no readable config.yaml, or it does not describe an Emotion2vec network.
    """
    path = folder / CONFIG_NAME
    data = read_mapping(path, _parse_yaml, "YAML")
    if data.get("model") != "Emotion2vec":
        raise ModelError("encoder_not_emotion2vec", path=path)
    with refused(path):
        return clean(data.get("model_conf"))


def _parse_yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(text[:80]) from error


def essence(conf: Mapping[str, Any]) -> str:
    """The values of a checked configuration that change the features, as text: an identity."""
    audio = conf["modalities"]["audio"]
    values = {name: conf[name] for name in (*_SIZES, *_FLAGS)}
    values |= {
        name: audio[name]
        for name in (*_AUDIO_SIZES, *_AUDIO_FLAGS, "extractor_mode", "feature_encoder_spec")
    }
    return json.dumps(values, sort_keys=True)


def write_conf(folder: Path, conf: Mapping[str, Any]) -> None:
    """Write `conf` as FunASR lays it out."""
    text = yaml.safe_dump({"model": "Emotion2vec", "model_conf": dict(conf)}, sort_keys=False)
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ModelError("encoder_config_mapping", name=name)
    return value


def _check_fit(conf: Mapping[str, Any], layers: ConvLayers) -> None:
    audio, width = conf["modalities"]["audio"], conf["embed_dim"]
    for name, parts in (
        ("num_heads", conf["num_heads"]),
        ("conv_pos_groups", audio["conv_pos_groups"]),
    ):
        if width % parts:
            raise ModelError("encoder_embed_dim", width=width, name=name, parts=parts)
    if audio["num_alibi_heads"] > conf["num_heads"]:
        alibi, heads = audio["num_alibi_heads"], conf["num_heads"]
        raise ModelError("encoder_alibi_heads", alibi=alibi, heads=heads)
    kernel = max(3, audio["conv_pos_width"] // audio["conv_pos_depth"])
    inputs = (1, *(channels for channels, _, _ in layers))
    check_parameters(
        (conf["depth"] + audio["prenet_depth"]) * (4 + 2 * conf["mlp_ratio"]) * width**2
        + audio["conv_pos_depth"] * width**2 * kernel / audio["conv_pos_groups"]
        + sum(i * c * k for i, (c, k, _) in zip(inputs, layers, strict=False))
        + inputs[-1] * width
    )
