"""The settings of the Train page in a real browser: proposed, saved, loaded; language; sound."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from audiollm.labels import Language
from audiollm.texts import text
from tests.browser.conftest import Visit
from tests.browser.test_analyse_page import CHINESE
from tests.browser.test_train_page import open_train

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# Of the texts beside the bars: whether the picture cuts each off
CUT = """() => {
  const figure = document.querySelector("#train-classes .js-plotly-plot");
  const texts = [...(figure?.querySelectorAll(".textpoint") ?? [])];
  const { right } = figure?.getBoundingClientRect() ?? {};
  return texts.map((each) => each.getBoundingClientRect().right > right);
}"""
COUNT = """() => {
  window.tones = 0;
  const make = AudioContext.prototype.createOscillator;
  AudioContext.prototype.createOscillator = function () { window.tones++; return make.call(this); };
}"""
FITS = """() => {
  const figure = document.querySelector("#train-classes .main-svg");
  const place = document.querySelector("#train-classes");
  return figure && Math.abs(figure.clientWidth - place.clientWidth) < 30;
}"""
RUNS = """(ids) => {
  const place = document.querySelector("#train-running [data-running]");
  place.dataset.running = ids;
}"""


def number(page: Page, field: str) -> Any:
    return page.locator(f"#train-{field} input")


def test_settings_follow_the_data_and_live_in_a_file(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    open_train(page)
    expect(page.locator("#train-fits")).to_have_text(text("fits_few", "en", n=306))
    expect(page.locator("#train-commands textarea")).to_have_value(
        re.compile("--pooling utterance --utterance-tokens 1")
    )
    fields = page.locator("#train-settings input")
    expect(fields).to_have_count(8)
    preset = page.locator("#train-preset input:checked")
    expect(preset).to_have_value("balanced")
    page.locator("#train-preset").get_by_text(text("preset_quick", "en")).click()
    expect(number(page, "epochs-2")).to_have_value("1.4")
    expect(preset).to_have_value("quick")
    page.locator("#train-preset").get_by_text(text("preset_balanced", "en")).click()
    expect(number(page, "epochs-2")).to_have_value("6")
    number(page, "epochs-2").fill("9")
    expect(preset).to_have_count(0)
    page.get_by_text(text("train_more", "en"), exact=True).click()
    number(page, "clips").fill("60")
    expect(page.locator("#train-fits")).to_have_text(text("fits_few", "en", n=45))
    expect(number(page, "epochs-1")).to_have_value("30")
    expect(number(page, "epochs-2")).to_have_value("9")  # a person has set it

    with page.expect_download() as download:
        page.click("#settings-save")
    assert download.value.suggested_filename.endswith(".settings.json")
    saved = json.loads(download.value.path().read_text(encoding="utf-8"))
    one, two = saved["stage_1"], saved["stage_2"]
    assert (saved["clips"], two["epochs"], one["pooling"]) == (60, 9, "utterance")

    def load(**changes: Any) -> None:
        file = tmp_path / "some.json"
        file.write_text(json.dumps(saved | changes))
        with page.expect_file_chooser() as chooser:
            page.click("#settings-load")
        chooser.value.set_files(file)

    load(name="from-a-file", stage_2=two | {"epochs": 3}, stage_1=one | {"dropout": 0.25})
    expect(page.locator("#settings-message")).to_contain_text("from-a-file")
    expect(number(page, "epochs-2")).to_have_value("3")
    expect(number(page, "dropout")).to_have_value("0.25")
    expect(page.locator("#train-commands textarea")).to_have_value(re.compile("--dropout 0.25"))
    load(colour="red")
    expect(page.locator("#settings-message .error")).to_contain_text("'colour'")


def test_a_page_that_learns_its_language_late_says_all_of_it_again(
    visit: Visit, tmp_path: Path
) -> None:
    held: list[Route] = []

    def hold(page: Page) -> None:
        """The first thing that the page asks is its language."""
        page.route("**/run/predict*", lambda r: r.continue_() if held else held.append(r))

    page = visit("zh-CN")
    hold(page)
    page.reload(wait_until="domcontentloaded")
    open_train(page, "zh")
    expect(page.locator("#train-data table")).to_be_visible()
    held[0].continue_()
    expect(page.locator("#train-data th").first).to_have_text(text("data_split", "zh"))
    expect(page.locator("#train-fits")).to_contain_text(re.compile(CHINESE))
    expect(page.locator("#train-estimate")).to_contain_text(re.compile(CHINESE))
    expect(page.locator("#job-detail")).to_contain_text(re.compile(CHINESE))
    for part in ("train-folder", "train-upload", "settings-file", "promote-anyway"):
        expect(page.locator(f"#{part}")).to_be_hidden()
    # the figure is drawn anew while its tab is hidden, and has its width all the same
    page.get_by_role("tab", name=text("tab_analyse", "zh")).click()
    page.locator("#language").get_by_text("English").click()
    expect(page.get_by_role("tab", name=text("tab_train", "en"))).to_be_visible()
    open_train(page)
    page.wait_for_function(FITS)


@pytest.mark.parametrize(
    ("locale", "language", "done"), [("en-US", "en", "Complete"), ("zh-CN", "zh", "完成")]
)
def test_what_is_announced_to_a_screen_reader_is_words(
    visit: Visit, locale: str, language: Language, done: str
) -> None:
    page = visit(locale, at=f"?lang={language}")
    page.evaluate(
        """() => {
            window.said = [];
            new MutationObserver(() => document.querySelectorAll(".sr-only[role=status]").forEach(
                (part) => window.said.push(part.textContent.trim())
            )).observe(document.body, {subtree: true, childList: true, characterData: true});
        }"""
    )
    open_train(page, language)
    page.wait_for_function("done => window.said.includes(done)", arg=done)
    assert not [said for said in page.evaluate("window.said") if "common." in said]


def test_a_training_that_ends_sounds_where_that_is_wanted(visit: Visit) -> None:
    page = visit()
    open_train(page)
    expect(page.locator("#train-running [data-running]")).to_be_attached()
    page.evaluate(COUNT)
    page.evaluate(RUNS, "a b")
    page.evaluate(RUNS, "b")
    assert page.evaluate("window.tones") == 0  # nobody has asked for it
    box = page.locator("#train-sound input")
    box.check()
    assert page.evaluate("window.tones") == 2  # so it will sound
    page.evaluate(RUNS, "b c")  # one begins
    assert page.evaluate("window.tones") == 2
    page.evaluate(RUNS, "c")
    page.wait_for_function("window.tones === 4")
    page.reload()
    page.wait_for_selector("#about .about b", state="attached")
    open_train(page)
    expect(box).to_be_checked()  # remembered
    box.uncheck()


def test_what_is_beside_the_bars_is_whole_on_a_phone(visit: Visit) -> None:
    page = visit(width=390)
    open_train(page)
    page.wait_for_function(f"({CUT})().length")
    assert page.evaluate(CUT) == [False] * 7
