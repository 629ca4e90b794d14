"""A training and a model that answers on one GPU: who asks for room, who makes it, who comes back.

There is no GPU here: how much memory is free, and where a model sits, is told by the test.
"""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile

from audiollm.errors import ModelError
from audiollm.jobs import gpu_memory, memory
from audiollm.jobs.job import Step
from audiollm.jobs.queue import NEED, Jobs
from audiollm.jobs.runner import Runner
from audiollm.labels import LANGUAGES
from audiollm.model.loading import Loading
from audiollm.settings import Settings
from audiollm.texts import text
from audiollm.web import model_host
from audiollm.web.analyse import actions as analyse
from audiollm.web.model_host import AwayError
from audiollm.web.services import Services
from audiollm.web.train import actions, estimate
from audiollm.web.train.plan import Plan
from tests.browser.fake import Card, FakePredictor
from tests.conftest import voiced

GPU = "cuda:0"
NEEDED = 8_000_000_000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Jobs, "tick", lambda _: None)
    return tmp_path / "home"


def job(home: Path, state: str = "running", device: str = GPU) -> str:
    """A job that needs 8 GB; its runner is this very process."""
    known = Jobs(home)
    step = Step("grind", ("x",), home / "made")
    id = known.add("grinding", device, [step], need=NEEDED)
    become(home, id, state)
    return id


def become(home: Path, id: str, state: str) -> None:
    me = str(Runner(Jobs(home), id).me) if state == "running" else ""
    with Jobs(home).database.write() as db:
        db.execute("UPDATE jobs SET state=?, runner=? WHERE id=?", (state, me, id))


class Machine:
    """A GPU of 10 GB, and a page whose model takes 6 of them."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.loaded: list[str] = []  # devices, in order
        self.small = False  # the machine cannot hold the model without its GPU
        self.full = False  # nor can the GPU

        def loader(id: str, given: Settings, _: Loading) -> Callable[[], FakePredictor]:
            def load() -> FakePredictor:
                device = "cpu" if given.device == "cpu" else GPU
                if self.small if device == "cpu" else self.full:
                    raise MemoryError
                self.loaded.append(device)
                return FakePredictor(card=Card(name=id, device=device))

            return load

        monkeypatch.setattr(model_host, "_loader", loader)
        self.home, self.given = home, Settings(home=home, device="cuda", **settings)
        self.services = self.start()

    def start(self) -> Services:
        """The program, started now."""
        self.services = Services.start(self.given, examples=self.home)
        return self.settled()

    def settled(self) -> Services:
        self.services.model.exception(timeout=10)
        return self.services

    def look(self) -> Services:
        self.services.look()
        return self.settled()

    def free(self, device: str) -> int:
        """What is free, after the page has had its look."""
        assert device == GPU
        self.look()
        there = not self.services.model.exception() and self.services.predictor().card.device == GPU
        return 4_000_000_000 if there else 10_000_000_000


def asks(machine: Machine, id: str, **more: Any) -> tuple[bool, list[str]]:
    """The job's runner asks for room; what it says."""
    said: list[str] = []
    options: dict[str, Any] = {"free": machine.free, "interval": 0, "timeout": 5, **more}
    folder = Jobs(machine.home).folder(id)
    return gpu_memory.wait_for_memory(folder, GPU, said.append, lambda: True, **options), said


def test_the_model_makes_room_and_comes_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(home, monkeypatch)
    id = job(home)
    assert machine.look().away == ""  # it runs, and has not asked
    found, said = asks(machine, id)
    assert found and "4.0 GB are free" in said[0] and "10.0 GB" in said[1]
    assert (machine.services.away, machine.loaded) == ("grinding", [GPU, "cpu"])
    note = json.loads((Jobs(home).folder(id) / gpu_memory.REQUEST).read_text())
    assert (note["device"], note["need"]) == (GPU, NEEDED)
    machine.look()
    assert machine.loaded == [GPU, "cpu"]  # once is enough
    become(home, id, "done")
    assert machine.look().away == ""
    assert machine.loaded == [GPU, "cpu", GPU]


@pytest.mark.parametrize("state", ["stopped", "failed", "interrupted"])
def test_it_comes_back_whatever_became_of_the_training(
    home: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    machine = Machine(home, monkeypatch)
    id = job(home)
    asks(machine, id)
    next_ = job(home, "waiting")
    become(home, id, state)
    assert machine.look().away == "grinding"  # somebody else is next
    Jobs(home).remove(next_)
    assert machine.look().away == ""
    assert machine.loaded[-1] == GPU


def test_a_restart_in_between_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(home, monkeypatch)
    id = job(home)
    asks(machine, id)
    machine.loaded.clear()
    machine.start()
    assert (machine.services.away, machine.loaded) == ("grinding", ["cpu"])
    become(home, id, "done")
    machine.look()
    assert (machine.services.away, machine.loaded) == ("", ["cpu", GPU])
    machine.loaded.clear()
    machine.start()
    assert (machine.services.away, machine.loaded) == ("", [GPU])


def test_a_model_that_is_chosen_meanwhile_stays_away_too(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(home, monkeypatch)
    id = job(home)
    asks(machine, id)
    machine.services.switch("other")
    machine.settled()
    with machine.services.another("third") as third:
        assert third.model.result().card.device == "cpu"
    assert machine.services.predictor().card.device == "cpu"
    become(home, id, "done")
    machine.look()
    assert machine.services.predictor().card.name == "other"
    assert machine.services.predictor().card.device == GPU


def test_who_cannot_answer_on_the_processor_says_so_and_comes_back(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(home, monkeypatch)
    machine.small = True
    id = job(home)
    assert asks(machine, id)[0]
    assert isinstance(machine.services.model.exception(), AwayError)
    for language in LANGUAGES:
        assert text("away_busy", language) in analyse.about(machine.services, language)
    with pytest.raises(ModelError, match="automatically"):
        machine.services.predictor()
    become(home, id, "done")
    machine.look()
    assert machine.services.predictor().card.device == GPU


def test_a_gpu_that_stays_full_is_tried_again_later(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(home, monkeypatch)
    id = job(home)
    asks(machine, id)
    machine.full = True
    become(home, id, "done")
    machine.look()
    assert machine.services.away == "grinding"
    assert machine.services.predictor().card.device == "cpu"
    machine.full = False
    machine.look()
    assert machine.services.away == "grinding"  # not at once
    machine.services._retry_at = 0
    machine.look()
    assert (machine.services.away, machine.services.predictor().card.device) == ("", GPU)


def test_nobody_moves_where_there_is_room_or_another_gpu(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(home, monkeypatch)
    id = job(home)
    for free in (NEEDED, None):
        assert asks(machine, id, free=lambda _, free=free: free) == (True, [])
    found, said = asks(machine, id, free=lambda _: 1, timeout=0)
    assert not found and "all the same" in said[-1]  # and its note is there
    with Jobs(home).database.write() as db:
        db.execute("UPDATE jobs SET device='cuda:1'")
    machine.look()
    assert machine.loaded == [GPU]
    (Jobs(home).folder(id) / NEED).write_text("0")
    assert asks(machine, id) == (True, [])
    assert not (Jobs(home).folder(id) / gpu_memory.REQUEST).exists()  # that was of an earlier start
    (Jobs(home).folder(id) / NEED).unlink()
    assert asks(machine, id) == (True, [])


def test_a_job_that_is_asked_to_stop_waits_no_longer(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Jobs(home).folder(job(home))
    began = time.monotonic()
    assert not gpu_memory.wait_for_memory(
        folder, GPU, lambda _: None, lambda: False, free=lambda _: 1
    )
    assert time.monotonic() - began < gpu_memory.TIMEOUT / 2


def test_a_page_on_the_processor_never_looks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> FakePredictor:
        return FakePredictor()

    found = Services.start(Settings(home=home), load=load, examples=home)  # type: ignore
    found.predictor()
    monkeypatch.setattr(gpu_memory, "requesting_job", lambda *_: pytest.fail("it looked"))
    found.look()
    assert not home.exists() and found.gpu == ""
    assert (
        model_host.gpu_of(Settings(device="mps")) == model_host.gpu_of(Settings(device="cpu")) == ""
    )
    assert model_host.gpu_of(Settings(device="cuda:1")) == "cuda:1"


def test_visitors_are_told(home: Path, monkeypatch: pytest.MonkeyPatch, clip: str) -> None:
    machine = Machine(home, monkeypatch)
    for language in LANGUAGES:
        assert text("away_slow", language) not in analyse.about(machine.services, language)
    asks(machine, job(home))
    for language in LANGUAGES:
        assert text("away_slow", language) in analyse.about(machine.services, language)
        first = next(analyse.analyse(machine.services, clip, language, "me"))
        assert text("away_first", language) in first.notice


@pytest.fixture
def clip(tmp_path: Path) -> str:
    path = tmp_path / "clip.wav"
    soundfile.write(path, voiced(1.5), 16000)
    return str(path)


def test_before_the_start_a_person_reads_that_the_model_will_move(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(home, monkeypatch)
    monkeypatch.setattr(memory, "free", lambda device: 1000 if device != "cpu" else None)
    for device, told in (("cuda", True), ("cuda:1", False), ("cpu", False)):
        plan = replace(Plan("x"), device=device)
        for language in LANGUAGES:
            said = estimate.html(machine.services, plan, language)
            assert (text("estimate_gpu_memory", language) in said) == told
            assert ("error" in said) == (device != "cpu")


def test_a_plan_brings_its_need_along(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(home, monkeypatch)
    for device in ("cpu", "cuda"):
        plan = Plan(f"on-{device}", device=device)
        found = estimate.of(machine.services, plan)
        id = actions.start(machine.services, plan)
        assert found is not None
        assert int((Jobs(home).folder(id) / NEED).read_text()) == int(found.gpu)
        assert (found.gpu > 0) == (device == "cuda")
    assert estimate.on_gpu(machine.services, "tiny", GPU) > 1e8
    assert estimate.on_gpu(machine.services, "tiny", "cpu") == 0


def test_memory_is_asked_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        calls.append(command)
        return type("Done", (), {"stdout": b"123\n"})

    monkeypatch.setattr(subprocess, "run", run)
    assert memory.free_by_subprocess("cuda:1") == 123
    assert calls[0][-1] == "cuda:1"
    monkeypatch.setattr(memory, "free", len)
    assert memory.free_by_subprocess("cpu") == 3

    def fails(*_: Any, **__: Any) -> Any:
        raise subprocess.CalledProcessError(1, "torch")

    monkeypatch.setattr(subprocess, "run", fails)
    assert memory.free_by_subprocess("cuda:1") is None


def test_the_runner_asks_before_its_first_step(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = job(home)
    asked: list[tuple[Path, str]] = []

    def make(folder: Path, device: str, *_: Any) -> bool:
        asked.append((folder, device))
        return True

    monkeypatch.setattr(gpu_memory, "wait_for_memory", make)
    runner = Runner(Jobs(home), id)
    monkeypatch.setattr(runner, "_run_steps", lambda _: ("done", ""))
    for name in ("AUDIOLLM_DEVICE", "AUDIOLLM_HOME", "PYTHONUNBUFFERED", "TQDM_MININTERVAL"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert runner.run() == 0
    assert asked == [(Jobs(home).folder(id), GPU)]
    assert runner._heartbeat() and (Jobs(home).folder(id) / "heartbeat").exists()
