"""Labels that were made wrong are found first."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import prepared
from tests.refusals import refused
from train.__main__ import main
from train.corpora import Clip
from train.data.dataset import load_prepared
from train.labels import label_errors

CLASSES = ("angry", "happy", "neutral", "sad")
SIZE = 12


def _clips(count: int = 160, seed: int = 0) -> tuple[list[Clip], np.ndarray, set[str]]:
    """Clips of eight speakers along one axis a class; every eighth has a wrong label."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, count)
    x = rng.normal(0, 0.5, (count, SIZE))
    x[np.arange(count), truth] += 2
    clips, wrong = [], set()
    for i, c in enumerate(truth):
        label = CLASSES[c]
        if i % 8 == 0:
            label = CLASSES[(c + rng.integers(1, 4)) % 4]
            wrong.add(f"id{i}")
        clips.append(Clip(path=f"{i}.wav", label=label, speaker=f"s{i % 7}", id=f"id{i}"))
    return clips, x, wrong


def test_wrong_labels_come_first() -> None:
    clips, x, wrong = _clips()
    labels, speakers = [c.label for c in clips], [c.speaker for c in clips]
    table = label_errors.out_of_fold(x, labels, speakers, CLASSES)
    assert table.shape == (160, 4) and np.allclose(table.sum(1), 1)
    found = label_errors.ranked(clips, table, CLASSES)
    assert sorted(s.clip for s in found) == sorted(c.id for c in clips)
    first = [s.clip for s in found[: len(wrong)]]
    assert len(wrong & set(first)) >= 0.8 * len(wrong)  # at random it would be 1 in 8
    likely = {s.clip for s in found if s.likely}
    assert len(likely & wrong) >= 0.5 * len(wrong) and len(likely - wrong) < 0.05 * len(clips)


def test_nobody_is_judged_by_who_has_heard_them(monkeypatch: pytest.MonkeyPatch) -> None:
    clips, x, _ = _clips(56)
    speakers = np.array([clip.speaker for clip in clips])
    x[:, 0] = np.arange(len(clips))  # says whose features these are
    heard: list[set[str]] = []
    asked: list[set[str]] = []

    class Spy:
        def predict_proba(self, given: np.ndarray) -> np.ndarray:
            asked.append(set(speakers[given[:, 0].astype(int)]))
            return np.full((len(given), 4), 0.25)

    def fit(given: np.ndarray, *_: object, **__: object) -> Spy:
        heard.append(set(speakers[given[:, 0].astype(int)]))
        return Spy()

    monkeypatch.setattr(label_errors, "fit_probe", fit)
    label_errors.out_of_fold(x, [clip.label for clip in clips], speakers.tolist(), CLASSES)
    assert sorted(map(len, asked)) == [1] * 7 and set().union(*asked) == set(speakers)
    assert all(not known & own for known, own in zip(heard, asked, strict=True))


def test_the_count_follows_the_thresholds_of_the_classes() -> None:
    """`happy` is answered with 0.4 where it is right, so 0.45 of it outweighs 0.5 of `angry`."""
    clips = [Clip(path="", label=label, id=str(i)) for i, label in enumerate("aahh")]
    clips = [replace(c, label={"a": "angry", "h": "happy"}[c.label]) for c in clips]
    table = np.array([[0.9, 0.1], [0.5, 0.45], [0.6, 0.4], [0.6, 0.4]])
    found = {s.clip: s for s in label_errors.ranked(clips, table, ("angry", "happy"))}
    assert [found[i].likely for i in "0123"] == [False, True, False, False]
    assert [s.clip for s in label_errors.ranked(clips, table, ("angry", "happy"))] == list("2310")
    assert found["2"].suggested == "angry" and found["2"].confidence == 0.4


def test_without_speakers_clips_are_left_out_and_one_speaker_is_refused(tmp_path: Path) -> None:
    folder = prepared.write(tmp_path / "data")
    data = load_prepared(folder)
    unknown = [replace(clip, speaker="") for clip in data.clips]
    assert len(label_errors.label_errors(data, unknown, "both")) == len(unknown)
    alone = [clip for clip in data.clips if clip.speaker == "test-0"]
    with refused("labels_one_speaker"):
        label_errors.label_errors(data, alone)
    with refused("label_errors_no_clips"):
        label_errors.label_errors(data, [])


def test_the_command_writes_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = prepared.write(tmp_path / "data")
    table = folder / "clips.jsonl"
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    wrong = next(row for row in rows if row["split"] == "train" and row["label"] == "sad")
    wrong["label"] = "angry"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "deep" / "suspects.jsonl"
    assert main(["label-errors", "--data", str(folder), "--out", str(out)]) == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(found) == sum(row["split"] == "train" for row in rows)
    assert found[0]["clip"] == wrong["id"]
    assert (found[0]["label"], found[0]["suggested"]) == ("angry", "sad")
    assert f"angry -> sad?  {wrong['path']}" in capsys.readouterr().out
