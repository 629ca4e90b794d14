"""`python -m bench.kills`: the page and its training are killed (SIGKILL), 20 times each.

The page runs in a process of its own. In every round a person labels through its address, a sound
is uploaded, and a stage 1 of the bundled corpus trains as a job; then the page is killed while a
label is under way, and, once the training has gone on without it, so is the job. Counted are labels
that were acknowledged and are not there, sounds that lie on the disk after the next start, jobs
that ended with the page or could not be resumed, and weights that differ from those of a training
that nobody disturbed; with `--out` as JSON as well.
"""

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import torch
from safetensors.torch import load_file

from audiollm.contracts.prepared import write_json
from audiollm.jobs import identity, progress
from audiollm.jobs.identity import Identity
from audiollm.jobs.job import ACTIVE, IDLE, Step
from audiollm.jobs.queue import Jobs
from audiollm.labelling.store import LabelStore
from bench.labelling import CLASSES, VOICES, queue
from bench.rows import processor
from bench.served import ROOT, running
from train.fit import runs

PERSON = "Ann"
CLIPS = 48  # of the corpus
STEPS, EVERY = 10, 5  # of stage 1 for each kill, and between two checkpoints
PATIENCE = 600.0  # s for whatever is waited for
BEST = "best/projector.safetensors"


class Labeller(threading.Thread):
    """Labels one clip after the other, as fast as the page answers, until the page is gone."""

    def __init__(self, url: str, store: LabelStore) -> None:
        super().__init__(daemon=True)
        self.client = httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False)
        config = self.client.get("/config").json()
        ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        event = [ids["label-wire"], "submit"]
        (self.event,) = (d for d in config["dependencies"] if event in d["targets"])
        self.components = {part["id"]: part for part in config["components"]}
        self.store = store
        self.acknowledged: list[str] = []  # tokens

    def run(self) -> None:
        inputs = [self._value(id) for id in self.event["inputs"]]
        with suppress(httpx.HTTPError):  # the page was killed
            for task in cycle(self.store.tasks()):
                self._label(inputs, task.id)

    def _value(self, id: int) -> Any:
        part = self.components[id]
        is_person = part["props"].get("elem_id") == "label-person" or part["type"] == "textbox"
        return PERSON if is_person else part["props"].get("value")

    def _label(self, inputs: list[Any], task: str) -> None:
        token = secrets.token_hex(16)
        name = CLASSES[len(self.acknowledged) % len(CLASSES)]
        message = {"act": "label", "tab": "bench", "task": task, "person": PERSON, "name": name}
        body = {"fn_index": self.event["id"], "session_hash": "bench", "data": inputs}
        body["event_data"] = {**message, "token": token}
        answer = self.client.post("/gradio_api/run/predict", json=body)
        if token in answer.text.split("data-written=", 1)[-1].split(" data-yours", 1)[0]:
            self.acknowledged.append(token)


def stage(data: Path, run: Path, steps: int) -> Step:
    words = f"train fit --stage 1 --data {data} --out {run} --max-steps {steps} --batch-size 4"
    words += f" --pretraining-epochs 1 --evaluations {steps // EVERY}"
    return Step("stage 1", tuple(words.split()), run / "metrics.json")


def until(true: Callable[[], object], what: str) -> None:
    """
    Raises:
        SystemExit: it did not come true in time.
    """
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.02)


def steps_of(run: Path) -> int:
    steps = progress.curves(run)["step"]
    return int(steps[-1] or 0) if steps else 0


def kill_job(jobs: Jobs, id: str) -> None:
    """Its runner and the training, at once."""
    with jobs.database.read() as db:
        row = db.execute("SELECT runner, child FROM jobs WHERE id=?", (id,)).fetchone()
    for text in row:
        if process := Identity.parse(text):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            until(partial(_is_gone, process), "the end of a killed process")


def _is_gone(process: Identity) -> bool:
    return not identity.is_alive(process)


def left_over(folder: Path, names: set[str]) -> list[str]:
    """Uploaded sounds that lie in the temporary folder, by their names."""
    return [path.name for path in folder.rglob("*") if path.name in names]


class Home:
    """Labels and jobs of a page that is killed again and again, and what was lost."""

    def __init__(self, place: Path, data: Path, kills: int) -> None:
        self.place, self.home, self.temporary = place, place / "home", place / "tmp"
        self.temporary.mkdir()
        self.store, self.jobs = LabelStore(self.home), Jobs(self.home)
        self.store.add_tasks(queue(200))
        self.run = place / "run"
        self.steps = [stage(data, self.run, STEPS * (kills + 1))]
        self.acknowledged: set[str] = set()
        self.uploaded: set[str] = set()
        self.lost = dict.fromkeys(("labels", "sounds", "jobs"), 0)
        self.seconds: list[float] = []  # until the page answers again
        self.job, self.killed = "", 0  # how often the job was

    def round(self, number: int) -> None:
        """The page starts, is used and is killed; so is the job, a little later."""
        began, before = time.monotonic(), steps_of(self.run)
        place = {"AUDIOLLM_HOME": str(self.home), "TMPDIR": str(self.temporary)}
        with running("--model", "tiny", **place) as (url, process):
            self.seconds.append(time.monotonic() - began)
            self.lost["sounds"] += len(left_over(self.temporary, self.uploaded))
            self._upload(url, f"voice-{number}.flac")
            if not self.job:
                self.job = self.jobs.add("killed", "cpu", self.steps)
            elif self._state() == "interrupted":
                self.jobs.resume(self.job)
            labeller = Labeller(url, self.store)
            labeller.start()
            until(lambda: len(labeller.acknowledged) > 5, "labels")
            until(lambda: steps_of(self.run) > before or self._state() == "done", "the training")
            process.kill()
            labeller.join()
        self.acknowledged |= set(labeller.acknowledged)
        stored = {label.token for label in self.store.history(person=PERSON)}
        self.lost["labels"] += len(self.acknowledged - stored)
        steps = steps_of(self.run)
        until(lambda: steps_of(self.run) > steps or self._state() not in ACTIVE, "the training")
        if self._state() in ACTIVE:
            kill_job(self.jobs, self.job)
            self.killed += 1
        self.lost["jobs"] += self._state() not in ("interrupted", "done")

    def _state(self) -> str:
        return self.jobs.look(self.job).state

    def _upload(self, url: str, name: str) -> None:
        self.uploaded.add(name)
        sound = sorted(VOICES.glob("*.flac"))[0].read_bytes()
        files = {"files": (name, sound)}
        httpx.post(f"{url}/gradio_api/upload", files=files, timeout=PATIENCE, trust_env=False)
        assert left_over(self.temporary, {name})

    def finish(self) -> None:
        if self._state() == "interrupted":
            self.jobs.resume(self.job)
        until(lambda: self._state() not in ACTIVE, "the end of the job")
        self.lost["jobs"] += self._state() != "done"


def measure(place: Path, kills: int) -> dict[str, Any]:
    data, whole = place / "data", place / "whole"
    words = f"train prepare --corpus emodb --max-clips {CLIPS} --out {data}".split()
    calm = stage(data, whole, STEPS * (kills + 1)).words
    for each in (words, calm):
        subprocess.run([sys.executable, "-m", *each], cwd=ROOT, check=True, capture_output=True)
    home = Home(place, data, kills)
    try:
        for number in range(kills):
            home.round(number)
            print(f"round {number + 1}: lost {home.lost}", flush=True)
        home.finish()
    finally:
        if home.job and home.jobs.look(home.job).state not in (*IDLE, "done"):
            home.jobs.kill(home.job)
    expected, actual = load_file(whole / BEST), load_file(home.run / BEST)
    same = all(torch.equal(value, actual[key]) for key, value in expected.items())
    return {
        "kills": kills,
        "job_kills": home.killed,
        "labels": len(home.acknowledged),
        "sounds": len(home.uploaded),
        "lost": home.lost,
        "same_weights": same,
        "restart": sorted(home.seconds)[len(home.seconds) // 2],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kills", type=int, default=20, help="of the page, and as many of the job")
    parser.add_argument("--out", type=Path, metavar="FILE")
    args = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "AUDIOLLM_DEVICE": "cpu"}
    with tempfile.TemporaryDirectory() as place:
        figures = measure(Path(place), args.kills)
    print(json.dumps(figures, indent=1))
    if args.out:
        about = {"run": runs.provenance("bench.kills"), "processor": processor()}
        write_json(args.out, about | figures)


if __name__ == "__main__":
    main()
