"""The learning curve: predictions on other speakers, extrapolated by a power law."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audiollm.audio import functionals
from audiollm.labelling.formats import write_jsonl
from audiollm.labelling.tasks import Label, Outcome, Task
from audiollm.settings import Settings
from tests import prepared, tiny
from tests.refusals import refused
from tests.test_prepare import voice
from train.__main__ import main
from train.data.dataset import load_prepared
from train.fit.probe import Probe
from train.labels import learning_curve
from train.labels.learning_curve import Material
from train.labels.resolve import TEST_SPEAKER, UNUSABLE, ResolvedLabel

CLASSES = ("angry", "happy", "neutral", "sad")


def _material(labels: int, *, wrong: bool = True, clips: int = 120) -> Material:
    """Clips of six speakers along one axis a class; people know the truth of the first `labels`,
    and half of all labels are wrong where `wrong`."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, clips)
    x = rng.normal(0, 0.9, (clips, 8))
    x[np.arange(clips), truth] += 2
    # wrong in the same way, so that a probe cannot see through it
    old = [CLASSES[(c + (wrong and i // 6 % 2)) % 4] for i, c in enumerate(truth)]
    speakers = tuple(f"s{i % 6}" for i in range(clips))
    return Material(
        x=x,
        old=tuple(old),
        new=tuple(CLASSES[c] for c in truth[:labels]),
        weights=(2.0,) * labels,
        groups=speakers,
        speakers=speakers,
        ids=tuple(f"c{i}" for i in range(clips)),
        kind="functionals",
        left={},
    )


def test_labels_that_help_are_seen_to_help_and_the_curve_goes_on() -> None:
    steps: list[tuple[int, int]] = []
    found = learning_curve.learning_curve(_material(108), CLASSES, lambda *step: steps.append(step))
    assert (found["labels"], found["corrected"], found["speakers"]) == (108, 54, 6)
    assert [point["labels"] for point in found["points"]] == [0, 27, 54, 81, 108]
    assert steps == [(n, 100) for n in range(1, 101)]  # 5 folds of 1 + 3 x 6 + 1 probes
    gain, ahead = found["gain"], found["ahead"]
    assert gain is not None and ahead is not None
    assert gain["low"] > 0.1 and gain["low"] < gain["value"] < gain["high"]
    assert gain["unit"] == "speakers"
    assert ahead["labels"] == 108
    assert [point["labels"] for point in ahead["points"]] == [135, 162, 189, 216]
    ends = ahead["points"][-1]["ua"]["value"] - found["points"][-1]["ua"]["value"]
    assert ends == pytest.approx(ahead["gain"]["value"])
    width = [p["ua"]["high"] - p["ua"]["low"] for p in ahead["points"]]
    assert width == sorted(width)  # the further, the less is known


def test_labels_that_only_confirm_promise_nothing() -> None:
    found = learning_curve.learning_curve(_material(80, wrong=False), CLASSES)
    assert found["corrected"] == 0 and found["ahead"] and found["gain"]
    assert found["ahead"]["gain"]["low"] <= 0.01
    assert abs(found["gain"]["value"]) < 0.05


def test_too_few_labels_make_no_curve() -> None:
    found = learning_curve.learning_curve(_material(learning_curve.FEWEST - 1), CLASSES)
    assert (found["points"], found["gain"], found["ahead"]) == ([], None, None)
    assert "20 or more" in learning_curve.summary(found)
    assert (
        len(learning_curve.learning_curve(_material(learning_curve.FEWEST), CLASSES)["points"]) == 5
    )


def test_nobody_is_judged_by_who_has_heard_them(monkeypatch: pytest.MonkeyPatch) -> None:
    given = _material(40)
    given.x[:, 7] = np.arange(120)  # says whose features these are
    speakers, heard, asked = np.array(given.speakers), [], []
    whole = learning_curve.fit_probe

    def fit(x: np.ndarray, *args: object, **options: object) -> Probe:
        heard.append(set(speakers[x[:, 7].astype(int)]))
        made = whole(x, *args, **options)  # type: ignore[arg-type]
        ask = made.predict

        def predict(x: np.ndarray) -> list[str]:
            asked.append(set(speakers[x[:, 7].astype(int)]))
            return ask(x)

        object.__setattr__(made, "predict", predict)
        return made

    monkeypatch.setattr(learning_curve, "fit_probe", fit)
    learning_curve.learning_curve(given, CLASSES)
    assert len(heard) == len(asked) == 100
    assert all(not known & own for known, own in zip(heard, asked, strict=True))


def test_one_speaker_alone_judges_nothing() -> None:
    given = replace(_material(40), groups=("s0",) * 120)
    with refused("labels_one_speaker"):
        learning_curve.learning_curve(given, CLASSES)


@pytest.mark.parametrize("power", learning_curve.POWERS)
def test_a_curve_is_continued_by_its_own_power(power: float) -> None:
    sizes = [0, 10, 20, 40]
    ua = {size: np.full(5, 0.4 + 0.02 * size**power) for size in sizes}
    goes_on = learning_curve.power_law(sizes, ua)
    assert goes_on(80) == pytest.approx(np.full(5, 0.02 * 80**power))


def _folder(tmp_path: Path) -> Path:
    return prepared.write(tmp_path / "data", per_class=30)


def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounds have as many functionals as the data of the tests."""
    monkeypatch.setattr(functionals, "measure", lambda samples: samples[: tiny.FUNCTIONALS])


def test_who_is_tested_takes_no_part_and_new_clips_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_prepared(_folder(tmp_path))
    clips = {clip.split: clip for clip in data.clips}
    sound = tmp_path / "new.wav"
    voice(sound, 120)

    def resolved(id: str, path: str, speaker: str) -> ResolvedLabel:
        task = Task(id, path, 1.0, "t", "plain", speaker=speaker)
        return ResolvedLabel(task, data.classes[0], {data.classes[0]: 0.5})

    given = [
        resolved(clips["train"].id, "/a.wav", "test-0"),
        resolved(clips["test"].id, "/b.wav", "test-5"),
        resolved("new of one who tests", "/c.wav", "test-5"),
        resolved("gone", "/d.wav", "somebody"),
        resolved("new", str(sound), ""),
    ]
    found = learning_curve.material(data, given, {"no_class": 2}, Settings())
    # these data were measured in another way than a sound is now
    assert found.left == {"no_class": 2, TEST_SPEAKER: 2, UNUSABLE: 2}
    _measured(monkeypatch)
    found = learning_curve.material(data, given, {"no_class": 2}, Settings())
    assert found.left == {"no_class": 2, TEST_SPEAKER: 2, UNUSABLE: 1}
    assert found.ids[:2] == (clips["train"].id, "new") and found.old[1] == ""
    assert found.groups[1] == "new"
    assert found.weights == (1.0, 1.0)  # half of the people said so, each label counts double
    assert len(found.ids) == 1 + sum(clip.split != "test" for clip in data.clips)
    assert "test-5" not in found.speakers


def test_the_command_writes_the_curve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path)
    outcomes = []
    for number in range(learning_curve.FEWEST + 1):
        path = tmp_path / f"{number}.wav"
        voice(path, 110 + number, 0.3)
        task = Task("x", str(path), 1.0, "t", "plain", speaker=f"new-{number % 3}")
        said = Label("x", "Ann", tiny.CLASSES[number % 2] if number else "unclear")
        outcomes.append(Outcome(task, (said,)))
    write_jsonl(outcomes, tmp_path / "labels.jsonl")
    words = ["learning-curve", "--labels", str(tmp_path / "labels.jsonl"), "--data", str(folder)]
    assert main(words) == 0
    assert "0 labels are too few" in capsys.readouterr().out
    _measured(monkeypatch)
    assert main([*words, "--out", str(tmp_path / "learning_curve.json")]) == 0
    assert "Expected gain by 20 more" in capsys.readouterr().out
    found = json.loads((tmp_path / "learning_curve.json").read_text())
    assert (found["labels"], found["corrected"], found["left"]) == (20, 0, {"no_class": 1})
    assert [point["labels"] for point in found["points"]] == [0, 5, 10, 15, 20]
