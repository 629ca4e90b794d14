"""Every tab has its own address: a reload stays there, the back button leads to the one before."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from audiollm.jobs.job import Step
from audiollm.jobs.queue import Jobs
from audiollm.labels import Language
from audiollm.texts import text
from tests.browser.conftest import ANSWER, Visit, end, serve
from tests.browser.test_train_jobs import TALKS

pytestmark = pytest.mark.browser
expect.set_options(timeout=ANSWER)
NAMED = """[...document.querySelectorAll('#train-classes svg *')]
  .flatMap(part => [...part.attributes])
  .map(one => one.value.match(/url\\(["']?([^"')]+)/)?.[1]).filter(Boolean)"""


def tab(page: Page, name: str, language: Language = "en") -> None:
    page.get_by_role("tab", name=text(f"tab_{name}", language), exact=True).click()


def stands_at(page: Page, name: str) -> None:
    """That tab is open, and the address says so."""
    chosen = page.locator(f"#{name}-tab-button")
    expect(chosen).to_have_attribute("aria-selected", "true")
    expect(page).to_have_url(re.compile(rf"\?.*tab={name}" if name != "analyse" else "^[^=]*$"))


def test_tabs_have_addresses_and_a_running_training_is_there_after_a_reload(
    clip: Path, visit: Visit, tmp_path: Path
) -> None:
    jobs = Jobs(tmp_path / "home")
    with serve(clip, tmp_path, fake=True) as served:
        jobs.add("talks", "cpu", [Step("stage 1", TALKS, tmp_path / "run" / "metrics.json")])
        try:
            page = visit(at=served.url)
            stands_at(page, "analyse")
            tab(page, "train")
            stands_at(page, "train")
            running = page.locator("#job-detail")
            expect(running).to_contain_text("talks")
            page.reload()
            stands_at(page, "train")
            expect(running).to_contain_text("talks")
            expect(page.locator("#train-estimate")).not_to_be_empty()
            tab(page, "label")
            stands_at(page, "label")
            page.go_back()
            stands_at(page, "train")
            page.go_back()
            stands_at(page, "analyse")
            page.go_forward()
            stands_at(page, "train")
            other = visit(at=f"{served.url}/?tab=label&lang=zh&__theme=dark")
            expect(other.locator("h1")).to_have_text(text("heading", "zh"))
            expect(other.locator("#label-person")).to_be_visible()
            tab(other, "train", "zh")
            assert (
                "lang=zh" in other.url and "__theme=dark" in other.url and "tab=train" in other.url
            )
            unknown = visit(at=f"{served.url}/?tab=%22%5D%2C*")
            expect(unknown.locator("#analyse-tab-button")).to_have_attribute(
                "aria-selected", "true"
            )
            for each in (page, other, unknown):
                each.close()
        finally:
            end(jobs)


def test_a_figure_names_its_hatches_without_an_address(visit: Visit) -> None:
    """Tabs change the address, and what was named by the one before is not drawn."""
    page = visit(at="?tab=train")
    page.locator("#train-classes .bars .point").first.wait_for(state="attached")
    named = page.evaluate(NAMED)
    assert named and all(name.startswith("#") for name in named)
