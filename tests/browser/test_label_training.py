"""A model is taught people's labels in a real browser: settings, the job, before and after."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from audiollm import audio
from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.contracts.options import to_json
from audiollm.jobs.job import ACTIVE
from audiollm.jobs.queue import Jobs
from audiollm.labelling.store import LabelStore
from audiollm.labelling.tasks import Label, Task
from audiollm.model import checkpoint
from audiollm.settings import Settings
from audiollm.texts import text
from tests import tiny
from tests.browser.conftest import ROOT, Served, Visit, serve
from tests.test_prepare import LABELS, voice

pytestmark = [pytest.mark.browser, pytest.mark.long]
SPEAKERS = 4  # the last one tests
WHOLE = 600_000  # ms: five short commands, on a machine that others use
NAME = "small"


@pytest.fixture
def address() -> str:
    """None: the test has a page of its own."""
    return ""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a small model, the data that it can learn from, and three labels."""
    home, voices = tmp_path / "home", tmp_path / "voices"
    rows, tasks = ["file,label,speaker,split"], []
    for speaker in range(SPEAKERS):
        for number, label in enumerate(LABELS):
            path = voices / f"{label}{speaker}.wav"
            voice(path, 110 + 30 * speaker + 9 * number, seed=10 * speaker + number)
            side = "test" if speaker == SPEAKERS - 1 else "train"
            rows.append(f"{path.name},{label},{speaker},{side}")
            sound = audio.load(path)
            id, seconds = audio.content_hash(sound), sound.seconds
            tasks.append(Task(id, str(path), seconds, "test", "plain", original=label))
    (voices / "manifest.csv").write_text("\n".join(rows) + "\n")
    model = tiny.model_folder(home / "models" / NAME, Settings(home=home, device="cpu"))
    words = ["prepare", "--corpus", "manifest", "--root", str(voices / "manifest.csv")]
    words += ["--encoder", str(model.parent / "encoder"), "--out", str(home / "data" / NAME)]
    subprocess.run(
        [sys.executable, "-m", "train", *words, "--workers", "1"],
        cwd=ROOT,
        env={**os.environ, "AUDIOLLM_DEVICE": "cpu"},
        check=True,
    )
    for file in model.iterdir():  # where the list of models looks for it
        shutil.move(file, model.parent)
    manifest = checkpoint.read_manifest(model.parent)
    (model.parent / MANIFEST_NAME).write_text(to_json(replace(manifest, name=NAME)))
    book = LabelStore(home)
    book.add_tasks(tasks)
    for task, name in zip(tasks, ("sad", "happy", "happy"), strict=False):
        book.add_label(Label(task.id, "Ann", name))
    return home


@pytest.fixture
def own(home: Path, clip: Path) -> Iterator[Served]:
    """A page on that home; no training is left behind."""
    with serve(clip, home.parent, fake=True) as served:
        yield served
    jobs = Jobs(home)
    for job in jobs.all():
        if job.state in ACTIVE:
            jobs.kill(job.id)


def test_from_labels_to_before_and_after(own: Served, visit: Visit, home: Path) -> None:
    page = visit(at=own.url)
    page.get_by_role("tab", name=text("tab_label", "en"), exact=True).click()
    page.locator("#fine-tuning-title > button").first.click()
    commands = page.locator("#fine-tuning-commands textarea")
    # the active model has another encoder: that is an error before anything is started
    other = text("fine_tuning_other_encoder", "en", name="tiny", folder=NAME)
    expect(commands).to_have_value(re.compile(f"^# {re.escape(other)}"))
    page.click("#fine-tuning-start")
    expect(page.locator("#fine-tuning-message .error")).to_contain_text(other)
    assert Jobs(home).all() == []

    page.locator("#fine-tuning-model input").click()
    page.get_by_role("option", name=NAME, exact=True).click()
    page.fill("#fine-tuning-epochs input", "1")
    page.fill("#fine-tuning-weight input[type=number]", "3")
    page.keyboard.press("Tab")
    expect(commands).to_have_value(re.compile(r"relabel .*--weight 3 .*\n.*--epochs 1 .*", re.S))
    shown = commands.input_value()
    page.click("#fine-tuning-start")
    expect(page.locator("#fine-tuning-message")).to_contain_text(
        text("fine_tuning_started", "en", name=f"{NAME}-labelled")
    )
    (job,) = Jobs(home).all()
    assert all(" ".join(step.words) in shown for step in job.steps)

    page.get_by_role("tab", name=text("tab_train", "en")).click()
    expect(page.locator("#job-detail")).to_contain_text(text("job_done", "en"), timeout=WHOLE)
    found = page.locator("#job-result")
    expect(found).to_contain_text(text("fine_tuning_used", "en", corrected=2, confirmed=1, new=0))
    expect(found).to_contain_text(text("fine_tuning_corrected", "en"))
    expect(found).to_contain_text(text("fine_tuning_held_out", "en"))
    compared = json.loads((home / "runs" / f"{NAME}-labelled-improve/compare.json").read_text())
    assert (compared["corrected"]["clips"], compared["held_out"]["clips"]) == (2, len(LABELS))

    page.click("#promote")  # by the same gate as any other model
    expect(page.locator("#job-message")).to_contain_text(
        re.compile("worse|" + re.escape(text("promoted", "en", name=f"{NAME}-labelled")))
    )
    assert (home / "models" / f"{NAME}-labelled" / MANIFEST_NAME).is_file()
    assert checkpoint.read_manifest(home / "models" / NAME).name == NAME  # it is as it was
