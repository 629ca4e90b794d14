"""Models on the Analyse page: one is loaded, compared with, asked, and replaced by another."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.settings import ASSETS
from audiollm.texts import text
from tests.browser.conftest import HAS_MODEL, Visit, serve
from tests.browser.test_analyse_page import ANSWER, FILE, answer

pytestmark = pytest.mark.browser
expect.set_options(timeout=ANSWER)

LOADS = 12.0  # s: the page asks every second, a busy one less often
# what the bar of a model that is being loaded has shown, whenever it was
WATCH = """(window.shares = [], setInterval(() => {
  const bar = document.querySelector("#loading progress");
  if (bar) shares.push(bar.value);
}, 50))"""
GREW = "new Set(shares).size > 1 && shares.every((s, i) => s >= (shares[i - 1] ?? 0))"


@pytest.fixture
def two(clip: Path, tmp_path: Path) -> Iterator[str]:
    """A page whose model takes a while to load, and that may choose another, `talker`."""
    if not HAS_MODEL:
        pytest.skip("the bundled model is not there")
    manifest = json.loads((ASSETS / "tiny" / MANIFEST_NAME).read_text())
    other = tmp_path / "home" / "models" / "talker"
    other.mkdir(parents=True)
    shutil.copy(ASSETS / "tiny" / "config.json", other)
    (other / MANIFEST_NAME).write_text(json.dumps({**manifest, "name": "talker"}))
    with serve(clip, tmp_path, fake=True, FAKE_LOADS=str(LOADS)) as served:
        yield served.url


def test_a_model_is_loaded_compared_and_replaced(
    two: str, visit: Visit, clip: Path, tmp_path: Path
) -> None:
    page = visit(at=two)
    expect(page.locator("#about .about b")).to_contain_text("tiny")
    expect(page.locator("#loading")).to_be_hidden()
    expect(page.locator("#keep")).to_be_hidden()  # there is no answer yet
    page.set_input_files(FILE, clip)
    answer(page)

    page.locator("#compare button").first.click()
    page.locator("#rival label", has_text=text("rival_probe", "en")).click()
    page.click("#compare-start")
    expect(page.locator(".verdict.differ")).to_contain_text(text("models_differ", "en"))
    page.locator("#pair .point path").last.wait_for()
    page.click("#send")  # one click
    expect(page.locator("#sent")).to_contain_text(text("is_queued", "en"))
    expect(page.locator("#send")).to_be_hidden()
    page.locator("#rival label", has_text="talker").click()
    page.click("#compare-start")
    expect(page.locator("#verdict progress")).to_be_visible()
    expect(page.locator(".verdict.agree")).to_contain_text("talker")

    expect(page.locator("#ask")).to_be_hidden()  # this model cannot answer
    page.evaluate(WATCH)
    page.locator("#picker input").click()
    page.get_by_role("option", name="talker").click()
    expect(page.locator("#loading progress")).to_be_visible()
    expect(page.locator("#picker input")).to_have_value(re.compile("talker"))
    expect(page.locator("#card")).not_to_contain_text("tiny")  # that answered before
    expect(page.locator("#about .about b")).to_contain_text("talker")
    page.wait_for_function(GREW)
    expect(page.locator("#loading")).to_be_hidden()
    page.locator("#ask button").first.click()
    asked = page.locator("#question textarea, #question input").first
    expect(asked).to_have_attribute("placeholder", text("question_example", "en"))
    asked.fill("Is she tired?")
    page.click("#ask-start")
    expect(page.locator("#reply")).to_contain_text("Is she tired?")
    expect(page.locator("#reply .honest")).to_contain_text(text("unchecked", "en"))

    page.get_by_role("tab", name=text("tab_label", "en"), exact=True).click()
    page.locator("#label-blind").get_by_role("checkbox").uncheck()
    page.fill("#label-person input, #label-person textarea", "Ann")
    expect(page.locator("#label-card .why")).to_contain_text(text("why_probe", "en"))
    made = tmp_path / "home" / "models"  # a training ends meanwhile
    shutil.copytree(made / "talker", made / "later")
    manifest = (made / "later" / MANIFEST_NAME).read_text().replace("talker", "later")
    (made / "later" / MANIFEST_NAME).write_text(manifest)
    page.get_by_role("tab", name=text("tab_analyse", "en")).click()
    page.locator("#picker input").click()
    page.get_by_role("option", name="later").click()
    expect(page.locator("#about .about b")).to_contain_text("later")
