"""Folders and databases written by earlier commits open in today's code: tests/fixtures."""

import json
import shutil
from pathlib import Path

import pytest

from audiollm import audio
from audiollm.jobs import progress
from audiollm.labelling.saved import SavedClips
from audiollm.labelling.store import LabelStore
from audiollm.predictor import Predictor
from audiollm.settings import ASSETS, Settings
from tests import tiny
from train.__main__ import main
from train.data.dataset import load_prepared
from train.fit import runs

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(params=["291dd8a", "d8e5a93"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of what a commit wrote, with the absolute paths of a machine that has it here."""
    folder = tmp_path / "written"
    shutil.copytree(FIXTURES / request.param, folder)
    for path in folder.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("/elsewhere/", f"{folder}/"), encoding="utf-8")
    return folder


def test_a_model_folder_gives_the_same_answer(written: Path) -> None:
    expected = json.loads((written / "answer.json").read_text(encoding="utf-8"))
    settings = Settings(home=written / "home", device="cpu")
    clip = audio.load(ASSETS / "examples" / "13a01Fd.flac")
    (found,) = Predictor.load(str(written / "model"), settings).predict([clip], "en")
    assert found.label == expected["label"]
    assert found.probabilities == pytest.approx(expected["probabilities"], abs=1e-6)


def test_a_run_is_read_and_a_stopped_one_resumes(written: Path) -> None:
    whole = runs.read(written / "whole")
    assert whole.config.stage == 1 and whole.metrics()["eval_ua"] > 0
    assert main(["fit", "--resume", str(written / "stopped")]) == 0
    resumed = runs.read(written / "stopped")
    assert (resumed.best / "projector.safetensors").is_file() and resumed.metrics()
    curves = progress.curves(written / "stopped")
    assert {4, 8} <= set(curves["step"]) and curves["step"][-1] == 40
    steps = [step for step in curves["step"] if step]
    assert steps == sorted(set(steps))


def test_prepared_data_is_read(written: Path) -> None:
    data = load_prepared(written / "data")
    assert data.classes == tiny.CLASSES
    assert [len(data.split(name)) for name in ("train", "valid", "test")] == [20, 5, 5]
    features = data.store.get(data.split("train")[0].id)
    assert features.utterance.shape == (tiny.WIDTH,) and features.frames is not None


def test_labels_and_saved_clips_are_read(written: Path) -> None:
    book = LabelStore(written / "home")
    outcomes = {int(o.task.id, 16): o for o in book.outcomes()}
    assert [outcomes[n].final for n in range(5)] == ["angry", "happy", "", "", ""]
    assert outcomes[1].counts == {"sad": 1, "angry": 1} and not outcomes[1].disputed
    assert {o.task.reason for o in outcomes.values()} == {"wrong", "disagreement"}
    assert [(label.name, label.undone) for label in book.history(person="Bo")] == [
        ("angry", False),
        ("fearful", True),
    ]
    (clip,) = SavedClips(written / "home").all()
    assert clip.path.is_file() and clip.answer == {"angry": 1.0}
