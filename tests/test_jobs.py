"""Jobs outlive whoever started them, never run twice, and say truly how they are."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from audiollm import database
from audiollm.errors import ConfigError
from audiollm.jobs import identity, progress
from audiollm.jobs.identity import Identity, identify
from audiollm.jobs.queue import LINES, Job, JobError, Jobs, Step
from audiollm.labelling.saved import SavedClips
from audiollm.texts import stored
from tests.codes import coded

ROOT = Path(__file__).parent.parent
SCRIPT = """
import os, pathlib, signal, sys, time
result, what, *more = sys.argv[1:]
result = pathlib.Path(result)
with result.with_suffix(".calls").open("a") as file:
    file.write(f"{os.getpid()}\\n")
with result.with_name("marks").open("a") as file:
    file.write(f"begin {result.stem}\\n")
if what == "wait":  # for a file
    while not result.with_suffix(".go").exists():
        time.sleep(0.01)
elif what == "say":
    print(*more[1:], file=sys.stderr)
    sys.exit(int(more[0]))
elif what == "die":
    os.kill(os.getpid(), signal.SIGKILL)
elif what == "bars":
    for i in range(200):
        print(f"{i}%", end="\\r", flush=True)
    print()
    for i in range(100):
        print("line", i, flush=True)
print(os.environ["AUDIOLLM_DEVICE"], os.environ["AUDIOLLM_HOME"])
with result.with_name("marks").open("a") as file:
    file.write(f"end {result.stem}\\n")
if what != "nothing":
    result.write_text("done")
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """Jobs whose steps are calls of SCRIPT; none of them is left behind."""
    (tmp_path / "script_of_test.py").write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = Jobs(tmp_path / "home")
    yield made
    for job in made.all():
        with suppress(JobError):
            if job.state == "waiting":
                made.stop(job.id)
    for job in made.all():
        with suppress(JobError):
            made.kill(job.id)


def step(folder: Path, name: str, *words: str) -> Step:
    result = folder / name
    return Step(name, ("script_of_test", str(result), *(words or ("make",))), result)


def until(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def ended(jobs: Jobs, id: str, seconds: float = 60) -> Job:
    until(lambda: jobs.look(id).state not in ("waiting", "running", "stopping"), seconds)
    return jobs.look(id)


def calls(step: Step) -> list[int]:
    path = step.result.with_suffix(".calls")
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def running(jobs: Jobs, step: Step) -> int:
    """Waits until the step's process runs; its pid."""
    until(lambda: calls(step))
    return calls(step)[-1]


def row(jobs: Jobs, id: str) -> dict[str, str]:
    with jobs.database.write() as db:
        return dict(db.execute("SELECT * FROM jobs WHERE id=?", (id,)).fetchone())


def write(jobs: Jobs, id: str, **values: str) -> None:
    with jobs.database.write() as db:
        for name, value in values.items():
            db.execute(f"UPDATE jobs SET {name}=? WHERE id=?", (value, id))  # noqa: S608


def silent(jobs: Jobs, id: str) -> None:
    """As if the runner had not been heard of for long."""
    os.utime(jobs.folder(id) / "heartbeat", (0, 0))


def test_a_plan_is_walked_to_its_end(jobs: Jobs, tmp_path: Path) -> None:
    steps = [step(tmp_path, "one"), step(tmp_path, "two"), step(tmp_path, "three")]
    (tmp_path / "two").write_text("there already")
    id = jobs.add("my plan", "cuda", steps)
    job = ended(jobs, id)
    assert (job.state, job.share, job.failure, job.seconds_left) == ("done", 1.0, "", None)
    assert (job.name, job.device, job.steps) == ("my plan", "cuda:0", tuple(steps))
    assert (job.step, len(calls(steps[0])), calls(steps[1]), len(calls(steps[2]))) == (3, 1, [], 1)
    words = f"$ python -m script_of_test {tmp_path / 'one'} make"
    assert job.log[:2] == (words, f"cuda:0 {tmp_path / 'home'}")
    assert f"done before: {tmp_path / 'two'}" in job.log
    with pytest.raises(JobError, check=coded("job_not_resumable")):
        jobs.resume(id)


def test_a_job_outlives_who_started_it(jobs: Jobs, tmp_path: Path) -> None:
    """Another program adds it and ends; this one finds it and its child in a session apart."""
    one = step(tmp_path, "one", "wait")
    code = (
        "import sys; from pathlib import Path; from audiollm.jobs.queue import Jobs, Step; "
        "home, result, *words = sys.argv[1:]; "
        "Jobs(Path(home)).add('far', 'cpu', [Step('one', tuple(words), Path(result))])"
    )
    words = [sys.executable, "-c", code, str(jobs.home), str(one.result), *one.words]
    subprocess.run(words, cwd=ROOT, check=True)
    pid = running(jobs, one)
    (job,) = jobs.all()
    assert job.state == "running"
    assert os.getsid(pid) == Identity.parse(row(jobs, job.id)["runner"]).pid != os.getsid(0)  # type: ignore[union-attr]
    one.result.with_suffix(".go").touch()
    assert ended(jobs, job.id).state == "done"


def test_one_job_a_device_in_order(jobs: Jobs, tmp_path: Path) -> None:
    """Who finishes starts the next, though nobody looks; another device is free."""
    steps = [step(tmp_path, name, "wait") for name in "abc"]
    ids = [jobs.add(s.name, "cpu", [s]) for s in steps]
    other = step(tmp_path, "other", "wait")
    jobs.add("other", "cuda:1", [other])
    running(jobs, steps[0])
    running(jobs, other)
    assert [job.state for job in jobs.all()] == ["running", "waiting", "waiting", "running"]
    for s in (steps[2], steps[0], steps[1]):
        s.result.with_suffix(".go").touch()
    until(lambda: all(s.result.exists() for s in steps))
    marks = [m for m in (tmp_path / "marks").read_text().splitlines() if "other" not in m]
    assert marks == [f"{word} {name}" for name in "abc" for word in ("begin", "end")]
    assert ended(jobs, ids[2]).state == "done"


def test_two_jobs_never_write_the_same_result(jobs: Jobs, tmp_path: Path) -> None:
    same = step(tmp_path, "same", "wait")
    first, second = (jobs.add(device, device, [same]) for device in ("cpu", "mps"))
    running(jobs, same)
    jobs.tick()
    assert jobs.look(second).state == "waiting"
    same.result.with_suffix(".go").touch()
    assert [ended(jobs, id).state for id in (first, second)] == ["done", "done"]
    assert len(calls(same)) == 1


def test_processes_that_look_at_once_start_one_runner(jobs: Jobs, tmp_path: Path) -> None:
    one, two = step(tmp_path, "one", "wait"), step(tmp_path, "two", "wait")
    id, next_id = jobs.add("first", "cpu", [one]), jobs.add("next", "cpu", [two])
    running(jobs, one)
    jobs.kill(id)  # tick() inside starts the next one
    jobs.kill(next_id)
    two.result.with_suffix(".calls").unlink(missing_ok=True)
    write(jobs, next_id, state="waiting")
    code = "import sys; from pathlib import Path; from audiollm.jobs.queue import Jobs; "
    code += "jobs = Jobs(Path(sys.argv[1])); print(flush=True); sys.stdin.read(); jobs.tick()"
    words = [sys.executable, "-c", code, str(jobs.home)]
    pipe = subprocess.PIPE
    many = [subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe) for _ in range(4)]
    for process in many:
        assert process.stdout and process.stdout.readline()
    for process in many:
        assert process.stdin
        process.stdin.close()
    assert [process.wait() for process in many] == [0] * 4
    for process in many:
        assert process.stdout
        process.stdout.close()
    running(jobs, two)
    two.result.with_suffix(".go").touch()
    job = ended(jobs, next_id)
    assert (job.state, len(calls(two))) == ("done", 1)
    assert sum("script_of_test" in line for line in job.log) <= 2  # before and after the kill


def test_a_runner_that_nobody_started_ends(jobs: Jobs, tmp_path: Path) -> None:
    one = step(tmp_path, "one", "wait")
    id = jobs.add("job", "cpu", [one])
    running(jobs, one)
    words = [sys.executable, "-m", "audiollm.jobs.runner", str(jobs.home), id]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "belongs to another process" in done.stdout
    assert (jobs.look(id).state, len(calls(one))) == ("running", 1)


def test_a_killed_runner_is_found_out_and_its_child_does_not_stay(
    jobs: Jobs, tmp_path: Path
) -> None:
    one, two = step(tmp_path, "one"), step(tmp_path, "two", "wait")
    id = jobs.add("job", "cpu", [one, two])
    child = identify(running(jobs, two))
    until(lambda: row(jobs, id)["child"] == str(child))
    runner_of = Identity.parse(row(jobs, id)["runner"])
    assert runner_of
    os.kill(runner_of.pid, signal.SIGKILL)
    until(lambda: jobs.look(id).state == "interrupted")
    assert jobs.look(id).failure == stored("job_gone")
    assert row(jobs, id)["state"] == "interrupted"  # written back
    assert not identity.is_alive(child)
    two.result.with_suffix(".go").touch()
    jobs.resume(id)
    assert ended(jobs, id).state == "done"
    assert (len(calls(one)), len(calls(two))) == (1, 2)


def test_who_waits_is_started_when_the_runner_before_it_is_gone(jobs: Jobs, tmp_path: Path) -> None:
    one, two = step(tmp_path, "one", "wait"), step(tmp_path, "two")
    id, next_id = jobs.add("first", "cpu", [one]), jobs.add("next", "cpu", [two])
    running(jobs, one)
    gone = Identity.parse(row(jobs, id)["runner"])
    assert gone
    os.killpg(gone.pid, signal.SIGKILL)
    until(lambda: not identity.is_alive(gone))
    jobs.tick()
    assert ended(jobs, next_id).state == "done"
    assert jobs.look(id).state == "interrupted"


def test_a_pid_that_somebody_else_has_now_is_not_the_job(jobs: Jobs, tmp_path: Path) -> None:
    id = jobs.add("job", "cpu", [step(tmp_path, "one")])
    ended(jobs, id)
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        who = identify(stranger.pid)
        assert identity.is_alive(who)
        old = str(replace(who, start=str(int(who.start) - 1)))
        for act in (jobs.stop, jobs.kill):
            write(jobs, id, state="running", runner=old, child=old)
            with pytest.raises(JobError, check=coded("job_not_running")):
                act(id)
        assert stranger.poll() is None
        assert not identity.is_alive(replace(who, start="1"))
    finally:
        stranger.kill()
        stranger.wait()
    assert not identity.is_alive(who)


def test_a_zombie_does_not_live() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    who = identify(process.pid)
    until(lambda: not identity.is_alive(who))
    assert process.wait() == 0  # it was there until now


def test_where_a_process_cannot_be_read_its_heartbeat_counts(jobs: Jobs, tmp_path: Path) -> None:
    """Another container on the same folder, or a system that says nothing about processes."""
    one = step(tmp_path, "one", "wait")
    id = jobs.add("job", "cpu", [one])
    running(jobs, one)
    mine = row(jobs, id)["runner"]
    who = Identity.parse(mine)
    assert who
    write(jobs, id, runner=str(replace(who, scope="elsewhere")))
    until(lambda: time.time() - progress.last_heartbeat(jobs.folder(id)) < 2)
    assert jobs.look(id).state == "running"
    with pytest.raises(JobError, check=coded("job_elsewhere")):
        jobs.kill(id)
    write(jobs, id, runner=mine)
    os.kill(who.pid, signal.SIGSTOP)  # it cannot say that it lives
    silent(jobs, id)
    assert jobs.look(id).state == "running"  # it is seen to live
    write(jobs, id, runner=str(replace(who, scope="elsewhere")))
    assert jobs.look(id).state == "interrupted"
    os.killpg(who.pid, signal.SIGKILL)


def test_a_process_that_may_not_be_inspected_is_known_by_its_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    who = identify(os.getpid())

    def refuse(pid: int) -> None:
        raise psutil.AccessDenied(pid)

    monkeypatch.setattr(psutil, "Process", refuse)
    assert identify(who.pid).start == ""
    assert identity.is_alive(who, heartbeat=time.time() - 1)
    assert not identity.is_alive(who, heartbeat=time.time() - 60)


def test_identities_of_earlier_versions_are_recognised() -> None:
    """They held field 22 of /proc/PID/stat, and Unix time where there is no /proc."""
    who = identify(os.getpid())
    assert Identity.parse(str(who)) == who
    unix = f"{psutil.Process().create_time():.2f}"
    assert identity.is_alive(replace(who, start=unix))
    assert not identity.is_alive(replace(who, start="1.00"))
    stat = Path("/proc/self/stat")
    if stat.exists():
        fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        assert who.start == fields[19]


def test_the_heartbeat_is_heard_while_a_step_runs(jobs: Jobs, tmp_path: Path) -> None:
    one = step(tmp_path, "one", "wait")
    id = jobs.add("job", "cpu", [one])
    running(jobs, one)
    for _ in range(2):
        silent(jobs, id)
        until(lambda: time.time() - progress.last_heartbeat(jobs.folder(id)) < 5, 20)
    assert identity.HEARTBEAT_INTERVAL <= 2 < identity.HEARTBEAT_LIMIT < 10


def test_stop_then_resume_at_the_end_of_the_queue(jobs: Jobs, tmp_path: Path) -> None:
    one, two = step(tmp_path, "one", "wait"), step(tmp_path, "two", "wait")
    id, next_id = jobs.add("first", "cpu", [one]), jobs.add("next", "cpu", [two])
    running(jobs, one)
    jobs.stop(id)
    assert jobs.look(id).state in ("stopping", "stopped")
    job = ended(jobs, id)
    assert (job.state, job.failure) == ("stopped", "")
    assert any("KeyboardInterrupt" in line for line in job.log)  # as by Ctrl-C
    with pytest.raises(JobError, check=coded("job_not_running")):
        jobs.stop(id)
    running(jobs, two)
    jobs.resume(id)
    assert [(job.id, job.state) for job in jobs.all()] == [(next_id, "running"), (id, "waiting")]
    jobs.stop(id)  # who waits is only taken out
    assert jobs.look(id).state == "stopped"
    jobs.resume(id)
    for s in (one, two):
        s.result.with_suffix(".go").touch()
    assert [ended(jobs, i).state for i in (next_id, id)] == ["done", "done"]


def test_a_stop_that_nobody_asked_for_is_an_interruption(jobs: Jobs, tmp_path: Path) -> None:
    """The machine shuts down: everybody gets SIGTERM."""
    one = step(tmp_path, "one", "wait")
    id = jobs.add("job", "cpu", [one])
    running(jobs, one)
    who = Identity.parse(row(jobs, id)["runner"])
    assert who
    os.kill(who.pid, signal.SIGTERM)
    assert ended(jobs, id).state == "interrupted"


def test_kill_ends_everything_now_and_the_next_begins(jobs: Jobs, tmp_path: Path) -> None:
    one, two = step(tmp_path, "one", "wait"), step(tmp_path, "two")
    id, next_id = jobs.add("first", "cpu", [one]), jobs.add("next", "cpu", [two])
    child = identify(running(jobs, one))
    who = Identity.parse(row(jobs, id)["runner"])
    jobs.kill(id)
    assert not identity.is_alive(child)
    assert not identity.is_alive(who)
    assert jobs.look(id).state == "stopped"
    assert ended(jobs, next_id).state == "done"


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        (("say", "2", "The folder x is not prepared."), "The folder x is not prepared."),
        (("say", "1", "OSError: [Errno 28] No space left on device"), stored("job_disk_full")),
        (("say", "1", "ValueError: odd"), stored("job_bug", step="one", line="ValueError: odd")),
        (("die",), stored("job_signal", step="one", signal="SIGKILL")),
        (("nothing",), "job_no_result"),
    ],
)
def test_a_failure_has_a_code_or_the_sentence_of_its_command(
    jobs: Jobs, tmp_path: Path, words: tuple[str, ...], failure: str
) -> None:
    two = step(tmp_path, "two")
    id = jobs.add("job", "cpu", [step(tmp_path, "one", *words), two])
    job = ended(jobs, id)
    assert (job.state, job.step, job.share) == ("failed", 1, 0.0)
    assert failure in job.failure
    assert "\n" not in job.failure
    assert not calls(two)


def test_a_disk_that_filled_up_is_said_though_nothing_could_be_written(
    jobs: Jobs, tmp_path: Path
) -> None:
    one = step(tmp_path, "one", "wait")
    id = jobs.add("job", "cpu", [one])
    running(jobs, one)
    with (jobs.folder(id) / "log.txt").open("a") as log:
        log.write("OSError: [Errno 28] No space left on device\n")
    who = Identity.parse(row(jobs, id)["runner"])
    assert who
    with sqlite3.connect(jobs.database.path) as db:
        db.execute(
            "CREATE TRIGGER no_room BEFORE UPDATE ON jobs "
            "BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END"  # as it then does
        )
    os.killpg(who.pid, signal.SIGKILL)
    until(lambda: jobs.look(id).state == "interrupted")
    assert jobs.look(id).failure == stored("job_disk_full")
    with pytest.raises(JobError, check=coded("job_database")):
        jobs.resume(id)
    with sqlite3.connect(jobs.database.path) as db:
        db.execute("DROP TRIGGER no_room")


def test_only_what_does_not_run_is_removed(jobs: Jobs, tmp_path: Path) -> None:
    one, two = step(tmp_path, "one", "wait"), step(tmp_path, "two")
    id, next_id = jobs.add("first", "cpu", [one]), jobs.add("next", "cpu", [two])
    with pytest.raises(JobError, check=coded("job_still_runs")):
        jobs.remove(id)
    jobs.remove(next_id)
    one.result.with_suffix(".go").touch()
    ended(jobs, id)
    jobs.remove(id)
    assert jobs.all() == []
    assert one.result.exists()
    assert not list((jobs.home / "jobs").iterdir())
    with jobs.database.write() as db:
        assert db.execute("SELECT COUNT(*) FROM steps").fetchone()[0] == 0
    for act in (jobs.look, jobs.stop, jobs.kill, jobs.resume, jobs.remove):
        with pytest.raises(JobError, check=coded("job_unknown")):
            act(id)


@pytest.mark.parametrize("device", ["auto", "gpu", "cuda:", "cpu; rm"])
def test_a_queue_needs_a_real_device(jobs: Jobs, tmp_path: Path, device: str) -> None:
    with pytest.raises(ConfigError, check=coded("job_device")):
        jobs.add("job", device, [step(tmp_path, "one")])
    with pytest.raises(JobError, check=coded("job_no_steps")):
        jobs.add("job", "cpu", [])
    assert jobs.all() == []


def test_the_log_is_short_and_bars_are_one_line(jobs: Jobs, tmp_path: Path) -> None:
    job = ended(jobs, jobs.add("job", "cpu", [step(tmp_path, "one", "bars")]))
    assert len(job.log) == LINES
    assert job.log[-2] == "line 99"
    lines = progress.tail(jobs.folder(job.id) / "log.txt")
    assert "199%" in lines
    assert "198%" not in lines


def test_how_far_a_fit_is(jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    run.mkdir()
    one = step(tmp_path, "one")
    train = Step("stage 1", ("train", "fit", "--stage", "1"), run / "metrics.json")
    assert (one.run, one.command) == (None, one.words)
    assert (train.run, train.command) == (run, train.words)
    (run / "run.json").write_text("{}")
    assert train.command == ("train", "fit", "--resume", str(run))
    monkeypatch.setattr(Jobs, "tick", lambda _: None)
    id = jobs.add("job", "cpu", [one, train])
    me = str(identify(os.getpid()))
    write(jobs, id, state="running", runner=me, step="1")
    assert (jobs.look(id).share, jobs.look(id).seconds_left) == (0.5, None)
    line = {"time": time.time(), "step": 5, "max_steps": 10, "seconds_left": 100.0, "loss": 1.0}
    (run / "progress.jsonl").write_text(json.dumps(line) + '\n{"time": 17')
    job = jobs.look(id)
    assert (job.step, job.share) == (2, 0.75)
    assert job.seconds_left is not None
    assert 60 < job.seconds_left <= 100
    write(jobs, id, state="stopped", runner="")
    assert (jobs.look(id).share, jobs.look(id).seconds_left) == (0.75, None)


def test_a_database_of_the_first_version_gets_its_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", database.MIGRATIONS[:1])
        database.Database(tmp_path)
    with sqlite3.connect(tmp_path / "audiollm.db") as db:
        values = ("x", "x.flac", 1.0, "kept", "tiny", "{}", "", "{}", "2026-01-01")
        db.execute("INSERT INTO kept VALUES (?,?,?,?,?,?,?,?,?)", values)
    assert Jobs(tmp_path).all() == []
    assert [clip.id for clip in SavedClips(tmp_path).all()] == ["x"]
