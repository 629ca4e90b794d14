"""How long and how much: before a training from earlier ones, while it runs from what it took."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from audiollm.jobs import estimates, memory, progress
from audiollm.jobs.estimates import Work
from audiollm.jobs.queue import Jobs
from audiollm.labels import LANGUAGES
from audiollm.settings import ASSETS, Settings
from audiollm.texts import text
from audiollm.web.train import actions
from audiollm.web.train import estimate as training_estimate
from audiollm.web.train.plan import PRESETS, Plan
from audiollm.web.train.sources import FOLDER
from tests.test_training import job, prepare, serve
from tests.tiny import whisper_hub_folder

HERE = Settings()


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Jobs wait for ever, and ./runs is empty."""
    monkeypatch.setattr(Jobs, "tick", lambda _: None)
    monkeypatch.chdir(tmp_path)


def run(folder: Path, *, stage: int = 1, batch: int = 8, seconds: float = 0.5, **line: Any) -> Path:
    """A run of the bundled model of 40 steps; validation every 20 takes a minute."""
    folder.mkdir(parents=True)
    config = {"stage": stage, "llm": "tiny", "batch_size": batch, "accumulate": 1}
    told = {"config": config, "info": {"device": "cpu"}}
    (folder / "run.json").write_text(json.dumps(told))
    lines: list[dict[str, Any]] = [{"time": 1000.0, "step": 0, "event": "start"}]
    for step in range(10, 41, 10):
        waited = 60.0 * ((step - 1) // 20)
        at = {"time": 1000 + step * seconds + waited, "step": step, "max_steps": 40}
        lines.append({**at, "loss": 1.0, **line})
        if step % 20 == 0:
            lines.append({**at, "time": at["time"] + 60, "eval_loss": 1.0})
    (folder / "progress.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def work(**changes: Any) -> Work:
    tiny = estimates.shape("tiny", HERE)
    assert tiny is not None
    return Work(**{"stage": 1, "device": "cpu", "llm": tiny, "batch": 8, "steps": 100, **changes})


def test_a_models_size_is_read_from_its_configuration_or_its_name(tmp_path: Path) -> None:
    from safetensors import safe_open

    found = estimates.shape("tiny", HERE)
    assert found is not None
    with safe_open(ASSETS / "tiny" / "model.safetensors", "np") as file:
        stored = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118
    assert found.parameters == pytest.approx(stored, rel=0.01)
    settings = Settings(home=tmp_path)
    for name, size in (("qwen2.5-0.5b", 5e8), ("somebody/chat-3B-it", 3e9), ("x/y-135M", 1.35e8)):
        told = estimates.shape(name, settings)
        assert told is not None and told.parameters == pytest.approx(size, rel=0.35)
    for name in ("somebody/unknown", "", "a\0b", str(tmp_path)):
        assert estimates.shape(name, settings) is None
    (tmp_path / "config.json").write_text('{"hidden_size": "many"}')
    assert estimates.shape(str(tmp_path), settings) is None


def test_the_same_work_takes_as_long_as_it_took(tmp_path: Path) -> None:
    run(tmp_path / "a", seconds=0.5)
    run(tmp_path / "b", stage=2, seconds=0.9)
    known = estimates.paces([tmp_path, tmp_path / "nowhere"], HERE)
    assert len(known) == 2
    assert estimates.fit(work(), known) == (pytest.approx(50), "measured")  # without validation
    assert estimates.fit(work(stage=2), known) == (pytest.approx(90), "measured")
    assert estimates.fit(work(batch=16), known) == (pytest.approx(100), "measured")


def test_other_work_is_reckoned_from_it_and_the_rest_is_a_guess(tmp_path: Path) -> None:
    run(tmp_path / "a")
    known = estimates.paces([tmp_path], HERE)
    large = estimates.shape("qwen2.5-0.5b", HERE)
    assert large is not None
    seconds, basis = estimates.fit(work(llm=large), known)
    assert basis == "scaled" and seconds > 50 * 50
    seconds, basis = estimates.fit(work(llm=large, device="cuda:1"), known)
    assert basis == "guessed" and 0 < seconds < 600
    assert estimates.fit(work(), [])[1] == "guessed"


def test_runs_that_cannot_be_read_say_nothing(tmp_path: Path) -> None:
    run(tmp_path / "auto").joinpath("run.json").write_text(
        json.dumps({"config": {"stage": 1, "llm": "tiny", "batch_size": 8}, "info": {}})
    )
    run(tmp_path / "broken").joinpath("run.json").write_text("{")
    run(tmp_path / "short").joinpath("progress.jsonl").write_text('{"step": 0, "event": "start"}')
    assert estimates.paces([tmp_path], HERE) == []


def test_memory_grows_with_the_model_and_the_batch_and_measured_peaks_count(
    tmp_path: Path,
) -> None:
    large = estimates.shape("qwen2.5-3b", HERE)
    assert large is not None
    small, _ = estimates.memory(work())
    assert 3e8 < small < 3e9
    many, gpu = estimates.memory(work(llm=large))
    assert many > 4 * large.parameters and gpu == 0
    assert estimates.memory(work(llm=large, batch=32))[0] > many
    assert estimates.memory(work(llm=large, stage=2, rank=64)) > estimates.memory(work(llm=large))
    gpu = estimates.memory(work(llm=large, device="cuda"))[1]
    assert gpu > 2 * large.parameters
    run(tmp_path / "a", memory=1_234_000_000)
    known = estimates.paces([tmp_path], HERE)
    assert estimates.memory(work(), known) == (1_234_000_000, 0)
    assert estimates.memory(work(batch=99), known) != (1_234_000_000, 0)


def test_what_is_left_follows_what_the_steps_really_took() -> None:
    planned = {"stage 1": 100.0, "stage 2": 50.0, "merge": 10.0}
    assert estimates.remaining(planned, {}, "stage 1", None) == 160
    assert estimates.remaining(planned, {"stage 1": 30.0}, "stage 1", None) == 130
    # a fit says that it takes twice as long as was thought: so will the others
    assert estimates.remaining(planned, {"stage 1": 60.0}, "stage 1", 140.0) == 140 + 120
    slow = {"stage 1": 200.0, "stage 2": 20.0}
    assert estimates.remaining(planned, slow, "stage 2", None) == 80 + 20
    late = {"stage 1": 100.0, "stage 2": 49.9}
    assert estimates.remaining(planned, late, "stage 2", None) == 5 + 10  # never nothing
    assert estimates.remaining(planned, slow, "a step of another time", None) is None


def test_a_jobs_steps_are_timed_over_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "time", lambda: now[0])
    for step, seconds in (("prepare", 30.0), ("stage 1", 20.0), ("stage 1", 15.0)):
        progress.step_began(tmp_path, step)
        now[0] += seconds
        progress.step_ended(tmp_path, step)
    progress.step_began(tmp_path, "stage 2")
    now[0] += 7
    assert progress.step_times(tmp_path) == {"prepare": 30, "stage 1": 35, "stage 2": 7}
    assert progress.step_times(tmp_path / "nowhere") == {}


def test_a_clock_that_is_set_back_gives_no_absurd_times(tmp_path: Path) -> None:
    future = time.time() + 4e9
    line = {"step": 5, "max_steps": 10, "seconds_left": 60, "time": future}
    (tmp_path / progress.PROGRESS_NAME).write_text(json.dumps(line))
    assert progress.fit(tmp_path) == progress.Fit(0.5, 60)
    lines = ({"step": "prepare", "began": future}, {"step": "prepare", "ended": time.time()})
    (tmp_path / "times.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    assert progress.step_times(tmp_path) == {"prepare": 0}


def test_free_memory_is_what_the_container_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = memory.free()
    assert whole is not None and whole > 0
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    for name, content in (
        ("memory.max", "5000000"),
        ("memory.current", "4000000"),
        ("memory.stat", "anon 1\ninactive_file 500000\nfile 2"),
    ):
        (tmp_path / name).write_text(content)
    assert memory.free() == 1_500_000
    (tmp_path / "memory.max").write_text("max")
    assert (memory.free() or 0) > 1_500_000
    assert memory.free("cuda:7") is None


# --- of a plan


def test_a_plan_is_estimated_before_it_starts(tmp_path: Path) -> None:
    here = serve(tmp_path)
    whole = training_estimate.of(here, Plan("x"))
    assert whole is not None and whole.basis == "guessed"
    assert list(whole.seconds) == ["prepare", "stage 1", "stage 2", "merge", "evaluate"]
    assert all(seconds > 0 for seconds in whole.seconds.values())
    few = training_estimate.of(
        here, Plan.of({"name": "x", "clips": 64, "max_steps_1": 8, "max_steps_2": 4})
    )
    assert few is not None and few.whole < whole.whole
    quick, usual, thorough = (
        training_estimate.of(
            here, Plan.of({"name": "x", "epochs_1": 12.0 * times, "epochs_2": 4.0 * times})
        )
        for times in PRESETS.values()
    )
    assert quick is not None and usual is not None and thorough is not None
    assert quick.whole < usual.whole == whole.whole < thorough.whole
    data = prepare(tmp_path / "home" / "data" / "mine")
    known = training_estimate.of(here, Plan("x", str(data)))
    assert known is not None and "prepare" not in known.seconds
    assert training_estimate.of(here, Plan.of({"llm": "somebody/unknown"})) is None
    clips = tmp_path / "clips"
    clips.mkdir()
    assert training_estimate.of(here, Plan("x", FOLDER, str(clips))) is None
    for i in range(30):
        (clips / f"{i}.wav").touch()
    assert training_estimate.of(here, Plan("x", FOLDER, str(clips))) is not None


def test_of_a_whisper_the_layers_that_are_used_are_counted(tmp_path: Path) -> None:
    home = Settings(home=tmp_path)
    front = training_estimate._encoder("whisper-base-front", home)
    assert front == pytest.approx(10.4e6, rel=0.05)
    whisper_hub_folder(tmp_path / "models" / "whisper-base")
    four = training_estimate._encoder(str(tmp_path / "models" / "whisper-base"), home)
    three = training_estimate._encoder("whisper-base", home)  # 1, 2 and 3
    assert 0 < three < four


def test_an_estimate_is_told_with_what_it_rests_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = serve(tmp_path)
    for language in LANGUAGES:
        said = training_estimate.html(here, Plan("x"), language)
        assert text("estimate_guessed", language) in said and "notice" not in said
        said = training_estimate.html(here, Plan.of({"llm": "nobody/knows"}), language)
        assert text("estimate_unknown", language) in said
    run(tmp_path / "home" / "runs" / "old", batch=16, memory=2_000_000_000)
    run(tmp_path / "home" / "runs" / "old2", batch=16, stage=2, memory=2_500_000_000)
    assert text("estimate_measured", "en") in training_estimate.html(here, Plan("x"), "en")
    assert "up to 2.5 GB" in training_estimate.html(here, Plan("x"), "en")
    monkeypatch.setattr(memory, "free", lambda _: 1_000_000_000)
    for language in LANGUAGES:
        told = {"need": "2.5", "free": "1.0", "device": "cpu"}
        said = training_estimate.html(here, Plan("x"), language)
        assert text("estimate_tight", language, **told) in said


def test_a_job_keeps_its_estimate_and_corrects_it(tmp_path: Path) -> None:
    here = serve(tmp_path)
    id = actions.start(here, Plan("x"))
    folder = tmp_path / "home" / "jobs" / id
    planned = json.loads((folder / training_estimate.KEPT).read_text())["seconds"]
    (found,) = actions.jobs(here)
    assert actions.time_left(here, found) is None  # it waits
    runs = job(id=id, seconds_left=planned["stage 1"])
    rest = sum(planned[name] for name in ("stage 2", "merge", "evaluate", "versus"))
    assert actions.time_left(here, runs) == pytest.approx(planned["stage 1"] + rest)
    (folder / training_estimate.KEPT).unlink()
    assert actions.time_left(here, runs) is None
