"""The data type that an LLM computes in."""

from pathlib import Path

import pytest
import torch

from audiollm.errors import ConfigError
from audiollm.model import precision
from audiollm.model.llm import load_llm
from audiollm.settings import Settings
from tests import prepared
from train.fit.fit import load_frozen


@pytest.fixture
def gain(monkeypatch: pytest.MonkeyPatch) -> object:
    def of(value: float) -> None:
        monkeypatch.setattr(precision, "bfloat16_gain", lambda: value)

    return of


@pytest.mark.parametrize(
    ("value", "width", "wanted", "expected"),
    [
        (3.0, 896, "auto", torch.bfloat16),
        (1.1, 896, "auto", torch.float32),
        (3.0, 128, "auto", torch.float32),
        (3.0, 896, "float32", torch.float32),
        (0.5, 128, "bfloat16", torch.bfloat16),
    ],
)
def test_a_cpu_computes_in_what_is_faster_or_set(
    gain: object, value: float, width: int, wanted: str, expected: torch.dtype
) -> None:
    gain(value)  # type: ignore[operator]
    assert precision.pick("cpu", wanted, width) == expected


def test_the_gain_is_measured() -> None:
    precision.bfloat16_gain.cache_clear()
    assert 0 < precision.bfloat16_gain() < 1000
    assert precision.bfloat16_gain() == precision.bfloat16_gain()


def test_an_llm_is_loaded_in_the_precision_of_the_settings(tmp_path: Path) -> None:
    folder = prepared.llm_folder(tmp_path / "llm") or tmp_path / "llm"
    for wanted in ("float32", "bfloat16"):
        settings = Settings(home=tmp_path, precision=wanted)
        llm, _ = load_llm(str(folder), settings)
        assert llm.dtype == getattr(torch, wanted)
    llm, _ = load_llm(str(folder), settings, dtype=torch.float32)
    assert llm.dtype == torch.float32


def test_another_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({"AUDIOLLM_PRECISION": "float16"})
    assert caught.value.code == "setting_value" and "float16" in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "short", "attention"),
    [
        ("bfloat16", True, "eager"),
        ("bfloat16", False, "sdpa"),
        ("float32", True, "sdpa"),
    ],
)
def test_training_on_short_rows_avoids_a_slow_gradient(
    tmp_path: Path, wanted: str, short: bool, attention: str
) -> None:
    folder = prepared.llm_folder(tmp_path / "llm") or tmp_path / "llm"
    llm, _ = load_frozen(str(folder), Settings(home=tmp_path, precision=wanted), "cpu", short=short)
    assert llm.config._attn_implementation == attention
    assert not any(p.requires_grad for p in llm.parameters())
