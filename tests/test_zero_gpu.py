"""ZeroGPU without its package: a function in a forked process, as `spaces.GPU` runs it."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from audiollm import audio
from audiollm.audio.windows import LONGEST
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from audiollm.web import zero_gpu
from tests import tiny
from tests.conftest import voiced


class Forked:
    """Its arguments and its result are pickled; what it raises is known by name alone."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.methods: list[str] = []

    def __call__(self, id: str, settings: Settings, method: str, arguments: Any) -> Any:
        self.methods.append(method)
        fork = multiprocessing.get_context("fork")
        given, answers = fork.SimpleQueue(), fork.SimpleQueue()

        def work() -> None:
            try:
                answers.put((self.function(*given.get()), ""))
            except Exception as error:
                answers.put((None, type(error).__name__))

        process = fork.Process(target=work)
        process.start()
        given.put((id, settings, method, arguments))
        answer, failure = answers.get()
        process.join()
        if failure:
            raise RuntimeError(failure)
        return answer


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, str]:
    place = tmp_path_factory.mktemp("zero")
    settings = Settings(home=place, device="cpu")
    folder = str(tiny.model_folder(place, settings))
    return Predictor.load(folder, settings), folder


def test_answers_come_from_the_other_process(
    loaded: tuple[Predictor, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, id = loaded
    forked = Forked(zero_gpu._compute)
    monkeypatch.setattr(zero_gpu, "compute", forked)
    monkeypatch.setattr(zero_gpu, "DEVICE", "cpu")
    away = zero_gpu.wrapped(here, id)
    sound = audio.from_array(voiced(1.0), 16000)
    reported: list[Any] = []
    answer = away.stream(sound, "en", reported.append)
    assert reported == [answer]
    assert answer.probabilities == pytest.approx(here.predict([sound])[0].probabilities, abs=1e-4)
    long = audio.from_array(voiced(LONGEST + 2), 16000)
    line, expected = away.timeline(long), here.timeline(long)
    assert line is not None and expected is not None
    assert line.probabilities == pytest.approx(expected.probabilities, abs=1e-4, nan_ok=True)
    assert forked.methods == ["predict", "timeline"]
    assert zero_gpu._loaded == {}  # nothing of it here
    assert away.card == here.card


def test_where_no_gpu_is_granted_the_cpu_answers(
    loaded: tuple[Predictor, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, id = loaded

    def refuse(*_: Any) -> Any:
        raise RuntimeError("the quota is used up")

    monkeypatch.setattr(zero_gpu, "compute", refuse)
    away = zero_gpu.wrapped(here, id)
    sound = audio.from_array(voiced(1.0), 16000)
    assert away.predict([sound])[0].label == here.predict([sound])[0].label
    assert away.classify([sound])[0].label == here.predict([sound])[0].label


def test_without_the_package_nothing_changes(
    loaded: tuple[Predictor, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(zero_gpu, "compute", None)
    assert zero_gpu.wrapped(loaded[0], loaded[1]) is cast(Any, loaded[0])
    env = {"SPACE_ID": "ann/app", "AUDIOLLM_HOME": str(tmp_path)}
    assert Settings.from_env({**env, "SPACES_ZERO_GPU": "true"}).device == "cpu"
    assert Settings.from_env(env).device == "auto"
