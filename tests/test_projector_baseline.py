"""A projector that may be given a speaker baseline, and one that may not."""

import dataclasses
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from audiollm.contracts.manifest import Manifest, ProjectorConfig
from audiollm.contracts.options import from_dict, to_json
from audiollm.errors import ConfigError, ModelError
from audiollm.model.projector import Features, Projector
from tests.codes import coded

WIDTH, OUT = 6, 8


def projector(**options: Any) -> Projector:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "pooling": "utterance",
        "utterance_tokens": 2,
        "hidden_size": 12,
        "baseline": True,
    }
    made = Projector(ProjectorConfig(WIDTH, OUT, **(given | options)))
    given_clips = clips(20, seed=3)
    made.fit(given_clips if made.config.baseline else plain(given_clips))
    return made.eval()


def clips(count: int, seed: int = 0) -> list[Features]:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, 2, WIDTH)).astype(np.float32)
    return [Features(utterance=u, baseline=b) for u, b in rows]


def baseline(clip: Features) -> np.ndarray:
    assert clip.baseline is not None
    return clip.baseline


def plain(given: list[Features]) -> list[Features]:
    return [replace(clip, baseline=None) for clip in given]


@pytest.mark.parametrize("lone", [0, 1, 2, 3])
def test_mixed_batches_equal_single_clips(lone: int) -> None:
    made = projector()
    batch = [replace(c, baseline=None) if i >= lone else c for i, c in enumerate(clips(3))]
    together, lengths = made(batch)
    assert together.shape == (3, 2, OUT) and lengths.tolist() == [2, 2, 2]
    alone = torch.cat([made([clip])[0] for clip in batch])
    torch.testing.assert_close(together, alone)


def test_only_the_difference_counts_where_there_is_a_baseline() -> None:
    made, given = projector(), clips(4)
    moved = [Features(c.utterance + 3, baseline=baseline(c) + 3) for c in given]
    torch.testing.assert_close(made(moved)[0], made(given)[0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(made(plain(moved))[0], made(plain(given))[0])
    assert not torch.allclose(made(plain(given))[0], made(given)[0])


def test_each_network_learns_from_its_own_clips() -> None:
    made = projector().train()
    for batch, learns, rests in (
        (clips(3), "relative.mlp", "mlp."),
        (plain(clips(3)), "mlp.", "relative.mlp"),
    ):
        made.zero_grad()
        made(batch)[0].square().sum().backward()
        grown = {n for n, p in made.named_parameters() if p.grad is not None and p.grad.any()}
        assert any(n.startswith(learns) for n in grown)
        assert not any(n.startswith(rests) for n in grown)


def test_constants_are_measured_on_features_and_on_differences() -> None:
    made, given = projector(), clips(50)
    made.fit([*given, *plain(clips(50, seed=9))])
    state = made.state_dict()
    differences = np.stack([c.utterance - baseline(c) for c in given])
    everybody = np.stack([c.utterance for c in [*given, *clips(50, seed=9)]])
    np.testing.assert_allclose(state["standardise.mean"], everybody.mean(0), atol=1e-6)
    np.testing.assert_allclose(
        state["relative.standardise.mean"], differences.mean(0), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(state["relative.standardise.std"], differences.std(0), rtol=1e-4)


def test_a_baseline_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="baseline is 5 wide, the features are 6"):
        projector()([replace(clips(1)[0], baseline=np.zeros(5, np.float32))])
    without = projector(baseline=False)
    with pytest.raises(ModelError, match="takes no speaker baseline"):
        without(clips(1))
    assert without(plain(clips(1)))[0].shape == (1, 2, OUT)
    with pytest.raises(ConfigError, check=coded("option_choice")):
        ProjectorConfig(WIDTH, OUT, baseline=True)


def test_a_manifest_from_before_baselines_opens_without_one() -> None:
    config = ProjectorConfig(WIDTH, OUT)
    manifest = from_dict(
        Manifest,
        {
            "name": "old",
            "encoder": {"id": "tiny", "width": WIDTH},
            "projector": {k: v for k, v in dataclasses.asdict(config).items() if k != "baseline"},
            "labels": ["angry", "sad"],
            "calibration": {"temperature": 1.5, "shift": {}, "fitted_on": "x"},
        },
    )
    assert not manifest.projector.baseline
    assert manifest.baseline_calibration is None
    assert manifest.calibration.slope == 0
    assert from_dict(Manifest, json.loads(to_json(manifest))) == manifest
    names = Projector(manifest.projector).state_dict()
    assert not any(name.startswith("relative") for name in names)
