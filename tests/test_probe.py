"""The control: a linear probe on synthetic features of synthetic speakers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audiollm.errors import DataError
from train.probe import fit_probe, probe_prepared

CLASSES = ("angry", "happy", "neutral", "sad")
SIZE = 12


def _features(clips: int, seed: int = 0, noise: float = 0.6) -> tuple[np.ndarray, list[str]]:
    """Four classes along four axes, on features of very different scale."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, clips)
    x = rng.normal(0, noise, (clips, SIZE))
    x[np.arange(clips), y] += 1.5
    return x * np.logspace(-3, 3, SIZE) + 5, [CLASSES[i] for i in y]


def test_probe_learns_and_orders_probabilities_by_classes() -> None:
    x, y = _features(200)
    other, truth = _features(100, seed=1)
    backwards = CLASSES[::-1]
    probe = fit_probe(x, y, *_features(60, seed=2), backwards)
    table = probe.predict_proba(other)
    assert table.shape == (100, 4) and np.allclose(table.sum(1), 1)
    assert probe.predict(other) == [backwards[i] for i in table.argmax(1)]
    assert np.mean([a == b for a, b in zip(probe.predict(other), truth, strict=True)]) > 0.75


def test_validation_chooses_the_penalty() -> None:
    x, y = _features(60, noise=2.0)
    weak = fit_probe(x, y, x, y, CLASSES).strength  # measured on itself: as little as possible
    honest = fit_probe(x, y, *_features(300, seed=3, noise=2.0), CLASSES).strength
    assert weak > honest


def test_folds_between_speakers_where_nothing_is_held_out() -> None:
    x, y = _features(90)
    groups = [f"speaker {i % 3}" for i in range(90)]
    by_speaker = fit_probe(x, y, None, None, CLASSES, groups=groups)
    other, truth = _features(60, seed=1)
    assert np.mean(np.array(by_speaker.predict(other)) == truth) > 0.7


def test_folds_without_speakers_are_the_same_every_time() -> None:
    x, y = _features(30)
    first, second = (fit_probe(x, y, None, None, CLASSES).predict_proba(x) for _ in range(2))
    assert np.array_equal(first, second)


def test_class_without_training_clips_gets_zero() -> None:
    x, y = _features(100)
    rows = [i for i, label in enumerate(y) if label != "happy"]
    probe = fit_probe(x[rows], [y[i] for i in rows], x, y, CLASSES)
    table = probe.predict_proba(x)
    assert (table[:, 1] == 0).all() and np.allclose(table.sum(1), 1)


def test_two_speakers_of_one_class_each() -> None:
    x, y = _features(40)
    y = ["angry"] * 20 + ["sad"] * 20
    groups = ["a"] * 20 + ["b"] * 20  # every fold would leave one class
    assert set(fit_probe(x, y, None, None, CLASSES, groups=groups).predict(x)) <= {"angry", "sad"}


def test_wrong_input_is_refused() -> None:
    x, _ = _features(4)
    with pytest.raises(DataError, match="two or more"):
        fit_probe(x, ["sad"] * 4, None, None, CLASSES)
    with pytest.raises(DataError, match="bored"):
        fit_probe(x, ["bored", "sad", "sad", "sad"], None, None, CLASSES)


def _prepared(sizes: dict[str, int], functionals: bool = True) -> Any:
    """What train/dataset.py gives: clips by split, and a store of their features."""
    clips: dict[str, list[Any]] = {}
    store = {}
    for seed, (name, count) in enumerate(sizes.items()):
        x, y = _features(count, seed) if count else (np.zeros((0, SIZE)), [])
        clips[name] = []
        for i in range(count):
            clip = SimpleNamespace(id=f"{name}{i}", label=y[i], speaker=f"{name} {i % 6}")
            clips[name].append(clip)
            # The first half of the features tells angry from happy, the rest neutral from sad.
            store[clip.id] = SimpleNamespace(
                utterance=x[i, :2].astype(np.float32),
                functionals=x[i, 2:].astype(np.float32) if functionals else None,
            )
    return SimpleNamespace(
        split=clips.__getitem__, store=SimpleNamespace(get=store.__getitem__), classes=CLASSES
    )


def test_prepared_folder_gives_each_kind_alone_and_both() -> None:
    reports = probe_prepared(_prepared({"train": 200, "valid": 60, "test": 60}))
    assert list(reports) == ["utterance", "functionals", "both"]
    assert reports["both"].ua.value > reports["utterance"].ua.value + 0.1
    assert reports["both"].ua.value > reports["functionals"].ua.value
    assert reports["both"].n == 60 and reports["both"].ua.unit == "speakers"
    assert reports["both"].nll is not None


def test_prepared_folder_without_functionals_or_validation() -> None:
    prepared = _prepared({"train": 120, "valid": 0, "test": 40}, functionals=False)
    assert list(probe_prepared(prepared)) == ["utterance"]


def test_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match="test split holds no clips"):
        probe_prepared(_prepared({"train": 20, "valid": 4, "test": 0}))


def test_probe_is_judged_by_the_clips_and_classes_that_are_asked_for() -> None:
    prepared = _prepared({"train": 120, "valid": 40, "test": 40})
    clips = [c for c in prepared.split("test") if c.label in ("angry", "sad")][:9]
    report = probe_prepared(prepared, "test", clips=clips, classes=("sad", "angry"))["both"]
    assert (report.n, report.classes) == (9, ("sad", "angry"))
    known = (*CLASSES, "surprised")  # an answer that no clip has
    assert probe_prepared(prepared, "test", classes=known)["both"].classes == known
