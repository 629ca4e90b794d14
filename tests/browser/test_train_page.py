"""A whole training in a real browser: from the bundled recordings to a model that answers."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from audiollm.labelling.store import LabelStore
from audiollm.texts import text
from tests.browser.conftest import Served, Visit
from tests.browser.test_analyse_page import CHINESE, FILE, answer

pytestmark = [pytest.mark.browser, pytest.mark.long]
NAME = "learned"
WHOLE = 1_800_000  # ms for all of it: minutes alone on the machine, more beside other jobs


def open_train(page: Page, language: str = "en") -> None:
    page.get_by_role("tab", name=text("tab_train", language)).click()  # type: ignore[arg-type]


def sees_what_came_of_it(page: Page, home: Path) -> None:
    """How it does beside the one in use, what it gets wrong, and the report."""
    expect(page.locator("#job-result h3")).to_contain_text("tiny")
    expect(page.locator("#confusion .hm image")).to_be_attached()
    expect(page.locator("#reliability .js-line").first).to_be_attached()
    with page.expect_download() as report:
        page.click("#report-get")
    assert report.value.suggested_filename == f"{NAME}-report.html"
    assert "<h1>" in report.value.path().read_text(encoding="utf-8")
    page.locator("#wrong-list label").first.click()
    expect(page.locator("#wrong-about b")).to_have_count(2)
    expect(page.locator("#wrong-sound")).to_be_visible()
    page.click("#wrong-send")
    expect(page.locator("#wrong-about")).to_contain_text(text("wrong_sent", "en"))
    assert len(LabelStore(home).tasks()) == 1


def test_from_recordings_to_a_model_that_answers(
    studio: Served, visit: Visit, tmp_path: Path, clip: Path
) -> None:
    page = visit(at=studio.url)
    open_train(page)
    expect(page.locator("#train-data")).to_contain_text("Speakers")
    expect(page.locator("#job-detail")).to_contain_text(text("jobs_none", "en"))

    page.fill("#train-name input, #train-name textarea", "../up")
    expect(page.locator("#train-message .error")).to_contain_text("'../up'")
    page.fill("#train-name input, #train-name textarea", NAME)
    page.get_by_text(text("train_more", "en"), exact=True).click()
    for field, value in (("clips", 48), ("max-steps-1", 4), ("max-steps-2", 4), ("batch-size", 4)):
        page.fill(f"#train-{field} input", str(value))
    expect(page.locator("#train-commands textarea")).to_have_value(
        re.compile(r"--max-clips 48.*\n.*--max-steps 4 --batch-size 4.*\n.*--max-steps 4", re.S)
    )
    page.click("#train-start")
    expect(page.locator("#job-detail")).to_contain_text(text("job_running", "en"))
    expect(page.locator("#job-detail progress")).to_be_visible()
    expect(page.locator("#train-name input, #train-name textarea")).to_have_value(f"{NAME}-2")
    expect(page.locator("#train-message .error")).to_have_count(0)  # the name is not its own rival

    page.reload()  # and a second page, in Chinese on a phone
    page.wait_for_selector("#about .about b", state="attached")
    open_train(page)
    expect(page.locator("#job-detail")).to_contain_text(NAME)
    other = visit("zh-CN", 390, studio.url)
    open_train(other, "zh")
    running_or_done = "|".join(text(key, "zh") for key in ("job_running", "job_done"))
    expect(other.locator("#job-detail")).to_contain_text(re.compile(running_or_done))
    expect(other.locator("#train-tab h2").first).to_contain_text(re.compile(CHINESE))
    other.wait_for_function("document.documentElement.scrollWidth <= 390")
    other.close()

    expect(page.locator("#job-detail")).to_contain_text(text("job_done", "en"), timeout=WHOLE)
    expect(page.locator("#job-result table").first).to_contain_text(NAME)
    expect(page.locator("#curves .js-line").first).to_be_attached()

    sees_what_came_of_it(page, tmp_path / "home")
    page.click("#promote")  # after four steps it is worse than the one that ships
    expect(page.locator("#job-message .error")).to_contain_text("On the same")
    expect(page.locator("#job-message .error")).to_contain_text("it is worse")
    page.click("#promote-anyway")
    expect(page.locator("#job-message")).to_contain_text(text("promoted", "en", name=NAME))
    page.get_by_role("tab", name=text("tab_analyse", "en")).click()
    expect(page.locator("#about .about b")).to_contain_text(NAME)
    page.set_input_files(FILE, clip)
    assert len(answer(page)) > 10

    open_train(page)
    page.click("#roll-back")
    page.get_by_role("tab", name=text("tab_analyse", "en")).click()
    expect(page.locator("#about .about b")).to_contain_text("tiny")
    assert (tmp_path / "home" / "models" / NAME / "audiollm.json").is_file()
