"""The linear teacher of distillation: its probabilities, and mixed features."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audiollm.model.probe import LinearProbe
from audiollm.model.projector import Features
from tests import prepared
from train.data.dataset import Prepared, load_prepared
from train.data.speakers import with_baselines
from train.fit.teacher import PLAIN, RELATIVE, SPREAD, LinearTeacher, Readout, fit_teacher, mixed


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("teacher") / "data"
    prepared.write(folder, frames=False, per_class=12)
    return load_prepared(folder)


def test_it_knows_its_training_clips_with_and_without_a_baseline(data: Prepared) -> None:
    classes = data.classes
    teacher = fit_teacher(data, classes, baseline=True, strength=0.003)
    pairs = with_baselines(data.store, data.split("train"), "all")
    clips = [f if i % 2 else replace(f, baseline=None) for i, (_, f) in enumerate(pairs)]
    table = teacher(clips)
    assert table.shape == (len(clips), len(classes))
    torch.testing.assert_close(table.sum(1), torch.ones(len(clips)))
    answers = [classes[int(i)] for i in table.argmax(1)]
    truth = [clip.label for clip, _ in pairs]
    assert np.mean([a == t for a, t in zip(answers, truth, strict=True)]) > 0.9
    for i, clip in enumerate(clips):  # one by one as in a batch
        torch.testing.assert_close(teacher([clip])[0], table[i])


def test_probes_of_classes_and_of_corpora_have_their_weights() -> None:
    def sure_of(group: int) -> Readout:
        bias = np.where(np.arange(2) == group, 50, -50).astype(np.float32)
        return Readout(LinearProbe(("a", "b"), np.zeros((2, 3), np.float32), bias), np.eye(2))

    pair = (sure_of(0), sure_of(1))
    rows = np.zeros(3, np.float32)
    table = LinearTeacher(pair, pair)([Features(rows), Features(rows, baseline=rows)])
    torch.testing.assert_close(table, torch.tensor([PLAIN, RELATIVE]))


def test_a_class_without_training_clips_has_no_probability(data: Prepared) -> None:
    classes = (*data.classes, "calm")
    table = fit_teacher(data, classes, baseline=False, strength=0.003)(
        [data.store.get(data.clips[0].id)]
    )
    assert table[0, -1] == 0 and float(table.sum()) == pytest.approx(1)


def test_features_are_mixed_among_those_of_their_kind() -> None:
    torch.manual_seed(0)
    rows = np.eye(6, dtype=np.float32)
    clips = [
        Features(utterance=row, baseline=10 * row if i < 3 else None) for i, row in enumerate(rows)
    ]
    found = mixed(clips)
    moved = 0
    for i, (before, after) in enumerate(zip(clips, found, strict=True)):
        assert (after.baseline is None) == (before.baseline is None)
        assert after.utterance is not None and after.utterance.dtype == np.float32
        group = slice(0, 3) if i < 3 else slice(3, 6)
        others = np.delete(after.utterance, range(*group.indices(6)))
        assert not others.any()
        assert 1 - SPREAD <= after.utterance[i] <= 1 + SPREAD
        assert float(after.utterance.sum()) == pytest.approx(1)
        moved += after.utterance[i] != 1
        if after.baseline is not None:
            np.testing.assert_allclose(after.baseline, 10 * after.utterance, rtol=1e-5)
    assert moved
