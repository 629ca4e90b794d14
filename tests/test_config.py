"""Configuration from JSON is untrusted: names, types, sizes."""

from pathlib import Path
from typing import Any

import pytest

from audiollm.contracts.manifest import Calibration, EncoderRef, Manifest, ProjectorConfig
from audiollm.contracts.options import from_dict, read_json
from audiollm.errors import ConfigError

PLAIN: dict[str, Any] = {
    "name": "m",
    "encoder": {"id": "tiny", "width": 16},
    "projector": {"input_size": 16, "output_size": 32},
    "labels": ["happy", "sad"],
}


def test_a_manifest_keeps_free_form_records() -> None:
    extra = {"metrics": {"ua": {"value": 0.5}, "data": "x"}, "training": {"clips": [1, None]}}
    manifest = from_dict(Manifest, PLAIN | extra)
    assert manifest.metrics == extra["metrics"]
    assert manifest.training == extra["training"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_size", 10**12),
        ("input_size", 65_537),
        ("output_size", 65_537),
        ("utterance_tokens", 257),
        ("functionals", 100_001),
        ("hidden_size", 0),
        ("functionals", -1),
        ("limit", float("nan")),
        ("limit", 10**400),
        ("tokens_per_second", float("inf")),
    ],
)
def test_projector_sizes_are_bounded(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        from_dict(ProjectorConfig, PLAIN["projector"] | {name: value})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sample_rate": 8000}, "8000"),
        ({"encoder": {"id": "tiny", "width": 10**12}}, "width"),
        ({"encoder": {"id": "tiny", "width": 16, "frames_per_second": 25}}, "25"),
        ({"calibration": {"shift": {"sad": "big"}}}, "calibration.shift.sad"),
        ({"calibration": {"shift": {"sad": float("nan")}}}, "calibration.shift.sad"),
        ({"calibration": {"shift": [1]}}, "calibration.shift"),
        ({"calibration": {"temperature": float("inf")}}, "temperature"),
        ({"labels": "sad"}, "labels"),
    ],
)
def test_a_manifest_is_checked(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        from_dict(Manifest, PLAIN | change)


def test_whole_numbers_become_floats() -> None:
    assert from_dict(Calibration, {"temperature": 2, "shift": {"sad": 1}}) == Calibration(
        2.0, {"sad": 1.0}
    )
    assert from_dict(EncoderRef, {"id": "x", "width": 4, "frames_per_second": 50}).width == 4


def test_json_nested_beyond_reason_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "audiollm.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="not valid JSON"):
        read_json(Manifest, path)
