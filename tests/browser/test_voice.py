"""A visitor's own voice on the page, in a real browser: collected, used, asked about, forgotten."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, expect

from audiollm.labels import Language
from audiollm.texts import text
from tests.browser.conftest import ANSWER, HAS_MODEL, Visit, serve
from tests.conftest import RATE, voiced

pytestmark = pytest.mark.browser
expect.set_options(timeout=ANSWER)

FILE = "#sound input[type=file]"
KNOWN, COMPARED = "#voice-state", "#headline .acted"


@pytest.fixture(scope="module")
def adapts(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The page with a model that takes a baseline and is not sure, and the folder that it uses."""
    folder = tmp_path_factory.mktemp("voice")
    with serve(clip, folder, fake=True, FAKE_BASELINE="1", FAKE_UNSURE="1") as served:
        yield served.url, folder


def record(page: Page, place: str, again: bool, seconds: float = 2.5) -> None:
    if again:
        page.click("#again")
        page.locator(".recording-level").wait_for()
    else:
        page.click(f"{place} .record-button")
    page.wait_for_timeout(1000 * seconds)
    page.click(f"{place} .stop-button")


def answered(page: Page) -> None:
    page.wait_for_selector(".analysis p:not(.growing)")


def seconds(page: Page) -> int:
    found = re.search(r"(\d+) ?[s秒]", page.inner_text(KNOWN))
    return int(found[1]) if found else 0


def knows(page: Page, least: int) -> None:
    """Waits until so many seconds of the voice are known."""
    page.wait_for_function(
        "([place, least]) => +(document.querySelector(place)?.innerText.match(/\\d+/)?.[0] ?? 0)"
        " >= least",
        arg=[KNOWN, least],
    )


@pytest.mark.parametrize(("locale", "language"), [("en-US", "en"), ("zh-CN", "zh")])
def test_three_recordings_make_a_baseline_and_forget_ends_it(
    visit: Visit,
    adapts: tuple[str, Path],
    clip: Path,
    tmp_path: Path,
    locale: str,
    language: Language,
) -> None:
    page = visit(locale=locale, at=adapts[0], width=390)
    switch = page.locator("#voice-switch input")
    expect(switch).not_to_be_checked()
    expect(page.locator("#voice-consent")).to_contain_text(text("voice_consent", language))
    expect(page.locator("#voice-buttons")).to_be_hidden()
    switch.check()
    expect(page.locator(KNOWN)).to_have_text(text("voice_nothing", language))
    spoken, rate = soundfile.read(clip)
    for number in range(2):  # each of another length: the same sound again counts once
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, spoken[: len(spoken) - 4000 * number], rate)
        page.set_input_files(FILE, path)
        answered(page)
        knows(page, 2 * (number + 1) - 1)
        page.click('#sound button[aria-label="Clear"], #sound button[aria-label="清除"]')
        expect(page.locator(".waiting")).to_be_visible()
    before = seconds(page)
    record(page, "#sound", again=False)
    answered(page)
    knows(page, before + 1)  # how much was recorded depends on how busy the machine is
    total = seconds(page)
    expect(page.locator(KNOWN)).to_contain_text(text("voice_rests", language, n=total))
    record(page, "#sound", again=True, seconds=3.2)
    expect(page.locator(COMPARED)).to_have_text(text("voice_compared", language, n=total))
    knows(page, total + 1)
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
    page.locator("#language label", has_text="English" if language == "zh" else "中文").click()
    other: Language = "en" if language == "zh" else "zh"
    expect(page.locator(KNOWN)).to_contain_text(text("voice_rests", other, n=seconds(page)))
    page.click("#voice-forget")
    expect(page.locator(KNOWN)).to_have_text(text("voice_nothing", other))
    page.evaluate("localStorage.clear()")
    page.reload()  # another page: nothing is on, nothing is known
    page.wait_for_selector("#about .about b", state="attached")
    expect(page.locator("#voice-switch input")).not_to_be_checked()
    expect(page.locator(KNOWN)).to_be_hidden()


def test_a_text_is_read_aloud_and_two_pages_are_apart(
    visit: Visit, adapts: tuple[str, Path], clip: Path
) -> None:
    page, other = visit(at=adapts[0]), visit(at=adapts[0])
    for each in (page, other):
        each.check("#voice-switch input")
    page.click("#voice-read")
    expect(page.locator("#voice-text")).to_contain_text(text("voice_text", "en"))
    before = {path for path in adapts[1].rglob("*") if path.is_file()}
    record(page, "#voice-sound", again=False, seconds=4)
    knows(page, 1)
    expect(page.locator("#voice-reading")).to_be_hidden()
    assert {path for path in adapts[1].rglob("*") if path.is_file()} == before
    other.set_input_files(FILE, clip)
    answered(other)
    knows(other, 1)
    assert seconds(other) != seconds(page)
    expect(other.locator(COMPARED)).to_have_count(0)


def test_another_voice_is_asked_about(
    visit: Visit, adapts: tuple[str, Path], tmp_path: Path
) -> None:
    page = visit(at=adapts[0])
    page.check("#voice-switch input")
    for number in range(3):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, voiced(2.0, 150, number), RATE)
        page.set_input_files(FILE, path)
        answered(page)
        knows(page, 2 * (number + 1))
        page.click('#sound button[aria-label="Clear"]')
        expect(page.locator(".waiting")).to_be_visible()
    soundfile.write(tmp_path / "other.wav", voiced(2.0, 300), RATE)
    page.set_input_files(FILE, tmp_path / "other.wav")
    expect(page.locator("#voice-asks")).to_contain_text(text("voice_other", "en"))
    expect(page.locator(COMPARED)).to_have_count(0)
    assert seconds(page) == 6
    page.click("#voice-mine")
    expect(page.locator(COMPARED)).to_have_text(text("voice_compared", "en", n=6))
    knows(page, 8)
    expect(page.locator("#voice-asks")).to_be_hidden()


@pytest.mark.skipif(not HAS_MODEL, reason="the bundled model is not there")
def test_the_bundled_model_adapts(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    page.check("#voice-switch input")
    soundfile.write(tmp_path / "a.wav", np.tile(voiced(2.0), 2), RATE)
    page.set_input_files(FILE, tmp_path / "a.wav")
    answered(page)
    knows(page, 4)
    page.uncheck("#voice-switch input")
    expect(page.locator(KNOWN)).to_be_hidden()
