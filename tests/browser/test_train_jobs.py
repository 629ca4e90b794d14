"""A running job in a real browser: where it is shown, and how it is stopped."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, expect

from audiollm.jobs.job import Step
from audiollm.jobs.queue import Jobs
from audiollm.texts import text
from tests.browser.conftest import ANSWER, Visit, end, serve
from tests.browser.test_train_page import open_train

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# a job that says a hundred lines and goes on until it is killed
PRINTS, SLEEPS = "for i in range(100): print(i, flush=True)", "import time; time.sleep(3600)"
TALKS = ("timeit", "-n1", "-r1", PRINTS, SLEEPS)
AT_END = """(log => log.scrollTop + log.clientHeight > log.scrollHeight - 5)(
    document.querySelector("#job-log textarea"))"""
# in px, below the button
NEAR = """(() => {
  const [start, shown] = ["#train-start", "#job-detail"].map((part) =>
    document.querySelector(part).getBoundingClientRect());
  return 0 < shown.y - start.y && shown.y - start.y < 400 && Math.abs(shown.x - start.x) < 400;
})()"""


def test_a_job_stands_where_it_was_started_and_both_ways_to_stop_it_ask(
    clip: Path, visit: Visit, tmp_path: Path
) -> None:
    jobs = Jobs(tmp_path / "home")
    with serve(clip, tmp_path, fake=True) as served:
        jobs.add("talks", "cpu", [Step("stage 1", TALKS, tmp_path / "run" / "metrics.json")])
        try:
            page = visit(at=served.url)
            open_train(page)
            log = page.locator("#job-log textarea")
            expect(log).to_have_value(re.compile(r"\b99\b"), timeout=ANSWER)
            page.wait_for_function(AT_END)
            page.wait_for_function(NEAR)  # once all parts have come, which move each other

            asked: list[str] = []

            def answer(dialog: Dialog) -> None:
                asked.append(dialog.message)
                dialog.accept() if len(asked) == 3 else dialog.dismiss()

            page.on("dialog", answer)
            for button in ("#job-stop", "#job-kill"):
                page.click(button)
            assert asked == [text(f"job_{what}_sure", "en") for what in ("stop", "kill")]
            (job,) = jobs.all()
            assert job.state == "running"
            page.click("#job-kill")
            stopped = text("job_stopped", "en")
            expect(page.locator("#job-detail")).to_contain_text(stopped, timeout=ANSWER)
            page.close()
        finally:
            end(jobs)
