"""What must not lose a training: a dead page, a killed job, a full disk; Stop, and who waits.

The jobs are real fits of the small model on the bundled EmoDB, held in the middle by SIGSTOP so
that nothing depends on who is faster.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect
from safetensors.torch import load_file

from audiollm.jobs import identity, progress
from audiollm.jobs.identity import Identity
from audiollm.jobs.job import Step
from audiollm.jobs.queue import ROOT, Jobs
from audiollm.texts import text
from tests.browser.conftest import HAS_MODEL, Visit, end, serve
from tests.browser.test_train_page import WHOLE, open_train
from tests.test_jobs import row, until
from train.fit import runs

pytestmark = [pytest.mark.browser, pytest.mark.long]
SOON = 10_000  # ms in which the page shows that a job was killed
LONG = WHOLE // 1000  # s
BEST = "best/projector.safetensors"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 bundled recordings, heard once for all tests of this file."""
    if not HAS_MODEL:
        pytest.skip("the bundled model is not there")
    folder = tmp_path_factory.mktemp("crashes") / "data"
    call("train", "prepare", "--corpus", "emodb", "--max-clips", "48", "--out", str(folder))
    return folder


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """The jobs of the page whose folder is `tmp_path`; none is left behind."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = Jobs(tmp_path / "home")
    yield made
    end(made)


def call(*words: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "AUDIOLLM_DEVICE": "cpu"}
    subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, env=environment, check=True, capture_output=True
    )


def stage(data: Path, run: Path, steps: int) -> Step:
    """A short stage 1, with a checkpoint every other step."""
    words = f"train fit --stage 1 --data {data} --out {run} --max-steps {steps} --batch-size 4"
    words += f" --pretraining-epochs 1 --evaluations {steps // 2}"
    return Step("stage 1", tuple(words.split()), run / "metrics.json")


def steps_of(run: Path) -> int:
    """How far a run's curves go."""
    known = progress.curves(run)["step"]
    return int(known[-1] or 0) if known else 0


def child(jobs: Jobs, id: str) -> Identity:
    """The process that computes."""
    found = Identity.parse(row(jobs, id)["child"])
    assert found
    return found


def hold(jobs: Jobs, id: str, run: Path, step: int) -> Identity:
    """The fit's process, stopped when it has come to `step`."""
    until(lambda: steps_of(run) >= step, LONG)
    who = child(jobs, id)
    os.kill(who.pid, signal.SIGSTOP)
    return who


def shows(page: Page, key: str, timeout: float = WHOLE) -> None:
    expect(page.locator("#job-detail")).to_contain_text(text(key, "en"), timeout=timeout)


def test_neither_a_dead_page_nor_a_killed_job_loses_anything(
    clip: Path, data: Path, jobs: Jobs, visit: Visit, tmp_path: Path
) -> None:
    """The page is killed: the job goes on, a new page shows it. The job is killed: the page says
    so soon, and Resume ends with the weights of a run that nobody disturbed."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    call(*stage(data, whole, 16).words)
    with serve(clip, tmp_path, fake=False) as served:
        id = jobs.add("survivor", "cpu", [stage(data, run, 16)])
        who = hold(jobs, id, run, 1)
        page = visit(at=served.url)
        open_train(page)
        shows(page, "job_running")
        page.close()
        os.kill(served.process, signal.SIGKILL)
    died = steps_of(run)
    os.kill(who.pid, signal.SIGCONT)
    who = hold(jobs, id, run, died + 2)
    assert steps_of(run) < 16

    with serve(clip, tmp_path, fake=False) as served:
        page = visit(at=served.url)
        open_train(page)
        expect(page.locator("#job-detail")).to_contain_text("survivor")
        shows(page, "job_running")
        leader = Identity.parse(row(jobs, id)["runner"])
        assert leader
        os.killpg(leader.pid, signal.SIGKILL)  # runner and child
        shows(page, "job_interrupted", SOON)
        until(lambda: not identity.is_alive(who))
        expect(page.locator("#job-detail .error")).to_contain_text(text("job_gone", "en"))
        page.click("#job-resume")
        shows(page, "job_done")
        page.close()
    expected, found = load_file(whole / BEST), load_file(run / BEST)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert (run / "metrics.json").read_text() == (whole / "metrics.json").read_text()


def test_stop_saves_and_who_waits_comes_in_order(
    clip: Path, data: Path, jobs: Jobs, visit: Visit, tmp_path: Path
) -> None:
    made = {name: tmp_path / name for name in ("one", "two", "three")}
    with serve(clip, tmp_path, fake=False) as served:
        ids = [jobs.add(name, "cpu", [stage(data, run, 6)]) for name, run in made.items()]
        who = hold(jobs, ids[0], made["one"], 1)
        page = visit(at=served.url)
        open_train(page)
        listed = page.locator("#jobs")
        expect(listed).to_contain_text(f"one: {text('job_running', 'en')}")
        for name in ("two", "three"):
            expect(listed).to_contain_text(f"{name}: {text('job_waiting', 'en')}")
        listed.get_by_text("one:").click()
        expect(page.locator("#job-detail")).to_contain_text("one")
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("#job-stop")
        shows(page, "job_stopping")
        os.kill(who.pid, signal.SIGCONT)
        shows(page, "job_stopped")
        last = runs.last_checkpoint(runs.read(made["one"]))
        assert last is not None
        assert int(last.name.rpartition("-")[2]) == steps_of(made["one"])
        assert not (made["one"] / BEST).exists()
        page.click("#job-resume")  # behind the two that wait
        shows(page, "job_done")
        for name in made:
            expect(listed).to_contain_text(f"{name}: {text('job_done', 'en')}")
        page.close()
    first, second, third = (times(made[name]) for name in ("one", "two", "three"))
    assert first[0] < second[0] <= second[1] <= third[0] <= third[1] <= first[1]


def times(run: Path) -> tuple[float, float]:
    """When a run was first and last heard of, Unix time."""
    lines = progress.tail(run / "progress.jsonl")
    known = [line["time"] for line in progress._parsed(lines)]
    return known[0], known[-1]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MB, as a home folder's parent."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command to make a small disk with")
    if done.returncode:
        pytest.skip(f"a small disk may not be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(path: Path) -> None:
    """Until the disk has not a byte left."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_leaves_the_last_checkpoint_and_a_sentence(
    clip: Path,
    data: Path,
    small: Path,
    visit: Visit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    jobs, run = Jobs(small / "home"), small / "run"
    try:
        with serve(clip, small, fake=False) as served:
            id = jobs.add("crowded", "cpu", [stage(data, run, 8)])
            who = hold(jobs, id, run, 3)  # a checkpoint is made at 2
            page = visit(at=served.url)
            open_train(page)
            shows(page, "job_running")
            fill(small / "ballast")
            os.kill(who.pid, signal.SIGCONT)
            expect(page.locator("#job-detail .error")).to_contain_text(
                text("job_disk_full", "en"), timeout=WHOLE
            )
            last = runs.last_checkpoint(runs.read(run))
            assert last is not None
            assert load_file(last / "model.safetensors")
            assert not (run / "metrics.json").exists()
            (small / "ballast").unlink()
            page.click("#job-resume")
            shows(page, "job_done")
            page.close()
        assert load_file(run / BEST)
    finally:
        end(jobs)
