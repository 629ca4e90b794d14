"""What is told of a training that runs or failed, and of what came of it."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from audiollm.errors import DataError
from audiollm.jobs import progress
from audiollm.jobs.job import Step
from audiollm.jobs.runner import REFUSAL_NAME, failure_of
from audiollm.labels import LANGUAGES, word
from audiollm.metrics import report
from audiollm.settings import REFUSAL
from audiollm.texts import from_stored, stored, text
from audiollm.web.train import curves, results_view, view
from tests.test_training import job
from train import corpora
from train.__main__ import main

CLASSES = ("angry", "happy", "sad")


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", stored("job_gpu_full")),
        (
            "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried",
            stored("job_memory_full"),
        ),
        ("MemoryError", stored("job_memory_full")),
        ("requests.exceptions.ConnectionError: HTTPSConnectionPool", stored("job_unreachable")),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/data/a.wav'",
            stored("job_file_missing", path="/data/a.wav"),
        ),
    ],
)
def test_known_failures_are_sentences(said: str, failure: str, tmp_path: Path) -> None:
    lines = [f"{progress.PROMPT}python -m train fit", "Traceback", "  File x", said, ""]
    (tmp_path / "log.txt").write_text("\n".join(lines))
    step = Step("stage 1", ("train", "fit"), tmp_path / "run" / "metrics.json")
    assert failure_of(step, 1, tmp_path) == failure
    for language in LANGUAGES:
        shown = view.failure(job("failed", failure=failure), language)
        assert shown == from_stored(failure, language) != failure


def test_a_command_that_says_itself_what_is_wrong_is_believed(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("MemoryError\nThe model is not here: put it there.\n")
    step = Step("merge", ("train", "merge"), tmp_path / "x.json")
    assert failure_of(step, 2, tmp_path) == "The model is not here: put it there."


def test_what_a_command_refuses_is_told_in_both_languages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REFUSAL, str(tmp_path / REFUSAL_NAME))
    assert main(["look"]) == 2
    step = Step("prepare", ("train", "look"), tmp_path / "x.json")
    failure = failure_of(step, 2, tmp_path)
    for language in LANGUAGES:
        shown = view.failure(job("failed", failure=failure), language)
        assert shown == text("data_say_corpus", language, names=corpora.NAMES)


def test_a_training_whose_gradient_breaks_ends_with_a_sentence(tmp_path: Path) -> None:
    from train.fit.callbacks import ProgressFile

    args: Any = SimpleNamespace(train_batch_size=4, gradient_accumulation_steps=2, world_size=1)
    state: Any = SimpleNamespace(global_step=0, max_steps=10, is_world_process_zero=True)
    told = ProgressFile(tmp_path / "progress.jsonl")
    told.on_train_begin(args, state, None)
    state.global_step = 5
    told.on_log(args, state, None, logs={"loss": 1.0, "grad_norm": 2.0})
    line = progress.lines(tmp_path)[-1]
    assert line["examples_per_second"] > 0 and line["memory"] > 0
    with pytest.raises(DataError) as refused:
        told.on_log(args, state, None, logs={"loss": 0.0, "grad_norm": math.nan})
    assert (refused.value.code, refused.value.values) == ("fit_diverged", {"step": 5})


def test_speed_and_memory_of_the_fit_that_runs_are_told(tmp_path: Path) -> None:
    step = Step("stage 1", ("train", "fit"), tmp_path / "metrics.json")
    found = job(steps=(step,), step=1)
    assert view.pace(found, "en") == []
    line = {"step": 4, "loss": 1.0, "learning_rate": 1e-3, "examples_per_second": 61.2345}
    lines = [{**line, "memory": 640_000_000}, {"step": 4, "eval_loss": 1.0}]
    (tmp_path / "progress.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert view.pace(found, "en") == ["61.2 examples a second, 0.6 GB of memory"]
    assert view.pace(job("stopped", steps=(step,), step=1), "en") == []
    (tmp_path / "progress.jsonl").write_text(json.dumps({**lines[0], "gpu": 2_000_000_000}))
    assert len(view.pace(found, "zh")) == 2
    figure = curves.curves([found], "zh")
    assert [trace.yaxis for trace in figure.data] == ["y2", "y3"]


def test_an_evaluation_is_shown_class_by_class() -> None:
    truth = ["angry"] * 4 + ["happy"] * 4
    answers = ["angry", "angry", "angry", "happy", "sad", "sad", "angry", "happy"]
    table = [[0.8 if c == a else 0.1 for c in CLASSES] for a in answers]
    import numpy as np

    found = report(truth, answers, np.array(table), CLASSES).to_dict()
    result: Any = {"metrics": found, "probes": {"both": found}}
    for language in LANGUAGES:
        shown = results_view.per_class(result, language)
        assert text("result_each", language) in shown
        comma = "、" if language == "zh" else ", "
        assert f"{word('sad', language)} 2{comma}{word('angry', language)} 1" in shown
        for value in (0.75, 0.25):
            low, high = (
                next(c["range"][k] for c in found["per_class"] if c["recall"] == value)
                for k in ("low", "high")
            )
            assert low < value < high
            assert f">{value} <small>[{low:.2f}, {high:.2f}]</small> <progress" in shown
        assert text("result_probe", language, probe="0.50", own="0.50") in shown
        assert text("result_bold", language, ece=f"{found['ece']['value']:.2f}", by="30") in shown
    damaged: Any = {**result, "metrics": {}}
    assert results_view.per_class(damaged, "en") == ""
