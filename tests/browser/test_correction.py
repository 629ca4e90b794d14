"""A wrong answer is corrected by a click, in a real browser; the owner sees what became of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from audiollm.labelling.corrections import Correction, Corrections
from audiollm.labelling.saved import SavedClips
from audiollm.labelling.store import LabelStore
from audiollm.labels import word
from audiollm.texts import text
from tests.browser.conftest import ANSWER, Served, Visit, serve
from tests.browser.test_analyse_page import CLEAR, FILE, answer
from tests.browser.test_label_page import press, sit_down

pytestmark = pytest.mark.browser
expect.set_options(timeout=ANSWER)
SAID, BACK, CONSENT = (f"#correction [data-{what}]" for what in ("said=sad", "back", "consent"))
WORDS = {"said": word("sad", "en"), "answered": word("angry", "en")}  # of the model of fake.py


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("correction")


@pytest.fixture(scope="module")
def own(clip: Path, folder: Path) -> Iterator[Served]:
    """A page of its own home, with the model of fake.py."""
    with serve(clip, folder, fake=True) as served:
        yield served


def heard(page: Page, clip: Path) -> None:
    page.set_input_files(FILE, clip)
    answer(page)
    expect(page.locator(SAID)).to_be_visible()


def test_a_word_is_counted_and_taken_back_and_a_clip_is_suggested(
    own: Served, visit: Visit, clip: Path, folder: Path
) -> None:
    home = folder / "home"
    page = visit(at=own.url)
    heard(page, clip)
    page.click(SAID)
    said = page.locator("#correction")
    expect(said).to_contain_text(text("correct_counted", "en", **WORDS))
    expect(page.locator(BACK)).to_be_focused()
    expect(page.locator(SAID)).to_have_count(0)
    assert Corrections(home).all() == {Correction("sad", "angry", "en"): 1}
    assert SavedClips(home).all() == []
    page.locator("#language label", has_text="中文").click()
    expect(said).to_contain_text(text("correct_undo", "zh"))
    page.click(BACK)
    expect(said).to_contain_text(text("correct_back", "zh"))
    page.locator("#language label", has_text="English").click()
    expect(said).to_contain_text(text("correct_consent", "en"))
    assert Corrections(home).all() == {}
    page.check(CONSENT)
    page.click(SAID)
    expect(said).to_contain_text(text("correct_saved", "en", **WORDS))
    assert [one.suggestion for one in SavedClips(home).all()] == ["sad"]
    page.click(CLEAR)  # what was said of this clip goes with it
    expect(said).to_be_hidden()
    sit_down(page, "Ann")
    suggested = text("label_suggestion", "en", name=word("sad", "en"))
    expect(page.locator(".suggestion")).to_have_count(0)  # until the first choice
    press(page, "1")
    press(page, "ArrowLeft")
    expect(page.locator(".suggestion")).to_have_text(suggested)
    page.locator("#label-progress button").first.click()
    expect(page.locator("#label-report")).to_contain_text(text("correct_title", "en"))
    (outcome,) = LabelStore(home).outcomes()
    assert (outcome.task.suggestion, outcome.final) == ("sad", "angry")
    page.locator("#label-stored button").first.click()
    place = page.locator("#label-places label")
    expect(place).to_have_count(1)
    expect(place).to_contain_text(text("from_saved", "en"))
    place.click()
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#label-delete")
    stays = text("label_deleted_but", "en", n=1)  # it has a label
    expect(page.locator("#label-stored-message")).to_contain_text(stays)
    assert len(SavedClips(home).all()) == 1


def test_two_tabs_of_one_visitor_have_an_answer_each(own: Served, visit: Visit, clip: Path) -> None:
    first, second = visit(at=own.url), visit(at=own.url)
    heard(first, clip)
    heard(second, clip)
    first.click(SAID)
    expect(first.locator(BACK)).to_be_visible()
    expect(second.locator(SAID)).to_be_visible()
    first.close()
    second.click(SAID)
    expect(second.locator(BACK)).to_be_visible()
