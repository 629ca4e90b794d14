"""The control: a linear probe on synthetic features of synthetic speakers; the one of a model."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from audiollm.errors import DataError, ModelError
from audiollm.model import probe as probe_file
from audiollm.model.probe import LinearProbe
from train.fit.probe import fit_probe, fit_utterance, probe_prepared

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
    """What train/data/dataset.py gives: clips by split, and a store of their features."""
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


@pytest.mark.parametrize("classes", [CLASSES, CLASSES[::-1], ("sad", "angry")])
def test_folded_it_answers_the_same(classes: tuple[str, ...]) -> None:
    x, y = _features(200)
    rows = [i for i, label in enumerate(y) if label in classes]
    fitted = fit_probe(x[rows], [y[i] for i in rows], None, None, classes)
    plain, other = fitted.folded(), _features(50, seed=1)[0]
    assert (plain.classes, plain.weight.dtype) == (classes, np.float32)
    expected = fitted.predict_proba(other)
    assert plain.probabilities(other) == pytest.approx(expected, abs=1e-4)


def test_a_model_is_given_the_probe_of_its_training_clips() -> None:
    prepared = _prepared({"train": 120, "valid": 40, "test": 40}, functionals=False)
    asked = (*CLASSES, "surprised")  # which nobody has said
    plain = fit_utterance(prepared, asked).folded()
    assert (plain.classes, plain.weight.shape) == (CLASSES, (4, 2))
    alone = _prepared({"train": 120, "valid": 0, "test": 40}, functionals=False)
    assert fit_utterance(alone, CLASSES).strength > 0
    with pytest.raises(DataError, match="two or more"):
        fit_utterance(_prepared({"train": 0, "valid": 0, "test": 4}), CLASSES)


def _plain(classes: tuple[str, ...] = CLASSES[:3]) -> LinearProbe:
    random = np.random.default_rng(0)
    weight, bias = random.standard_normal((len(classes), SIZE)), random.standard_normal(3)
    return LinearProbe(classes, weight.astype(np.float32), bias.astype(np.float32))


def test_a_probe_file_holds_it_whole(tmp_path: Path) -> None:
    made, path = _plain(), tmp_path / "probe.safetensors"
    probe_file.write(made, path)
    read = probe_file.read(path, SIZE, CLASSES)
    assert read.classes == CLASSES[:3]
    assert np.array_equal(read.weight, made.weight) and np.array_equal(read.bias, made.bias)
    huge = np.full((1, SIZE), 1e30)
    assert read.probabilities(huge).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": SIZE + 1}, "weight is"),
        ({"labels": ("bored", "calm")}, "classes are"),
        ({"labels": CLASSES[::-1]}, "classes are"),
        ({"classes": ["angry"]}, "classes are"),
        ({"classes": ["angry", "angry", "happy"]}, "classes are"),
        ({"classes": {"angry": 1}}, "classes are"),
        ({"metadata": {}}, "classes are"),
        ({"metadata": {"classes": "["}}, "probe"),
        ({"bias": np.zeros(4, np.float32)}, "bias is"),
        ({"bias": np.zeros(3, np.float64)}, "bias is F64"),
        ({"bias": np.array([0, np.nan, 0], np.float32)}, "not finite"),
        ({"more": np.zeros(1, np.float32)}, "it holds bias, more, weight"),
    ],
)
def test_a_probe_that_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    made, path = _plain(), tmp_path / "probe.safetensors"
    metadata = {"classes": json.dumps(change.pop("classes", made.classes))}
    metadata = change.pop("metadata", metadata)
    asked = {"width": change.pop("width", SIZE), "labels": change.pop("labels", CLASSES)}
    save_file({"weight": made.weight, "bias": made.bias} | change, path, metadata)
    with pytest.raises(ModelError, match=said) as caught:
        probe_file.read(path, **asked)
    assert "remove the file" in str(caught.value)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ModelError, match="linear probe"):
        probe_file.read(path, SIZE, CLASSES)
