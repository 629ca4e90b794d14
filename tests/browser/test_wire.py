"""A phone that is locked, or a network that comes and goes: the page stays, and goes on.

The connection is cut between the browser and the server, everything at once.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from audiollm.labelling.corrections import Correction, Corrections
from audiollm.labelling.saved import SavedClips
from tests.browser.conftest import ANSWER, Served, Visit, serve
from tests.browser.test_analyse_page import CLEAR, FILE, WRITTEN, answer
from tests.browser.wire import Wire, wired

pytestmark = pytest.mark.browser
expect.set_options(timeout=ANSWER)
OFFLINE, TOLD = "#connection[role=status]", "#connection[role=alert]"
JOIN, UPLOAD, RUN = b"POST /gradio_api/queue/join", b"POST /gradio_api/upload", b"/gradio_api/run/"
SAID, BACK = "#correction [data-said=sad]", "#correction [data-back]"
BEFORE = (
    *(("asked", UPLOAD, 1), ("answered", UPLOAD, 1), ("asked", RUN, 1), ("answered", RUN, 1)),
    *(("asked", JOIN, 1), ("answered", JOIN, 1)),
)
STREAMED = (
    *(("sent", b'"process_starts"', 1), ("sent", b'"process_generating"', 1)),
    *(("sent", b'"process_generating"', 4), ("sent", b'"process_completed"', 1)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wire")


@pytest.fixture(scope="module")
def own(clip: Path, folder: Path) -> Iterator[Served]:
    with serve(clip, folder, fake=True, FAKE_PAUSE="0.3") as served:
        yield served


@pytest.fixture(scope="module")
def wire(own: Served) -> Iterator[Wire]:
    with wired(own.url) as made:
        yield made


@pytest.fixture
def page(visit: Visit, wire: Wire) -> Iterator[Page]:
    """It was never loaded again, and the browser may complain of what it lost."""
    opened = visit(at=wire.url)
    opened.evaluate("window.same = true")
    yield opened
    assert opened.evaluate("window.same")
    opened.close()
    opened.faults.clear()  # type: ignore[attr-defined]


def comes_back(page: Page, wire: Wire) -> None:
    """It says that there is no connection, until there is."""
    assert wire.was_cut.wait(60)
    expect(page.locator(OFFLINE)).to_be_visible()
    wire.restore()
    expect(page.locator(OFFLINE)).to_have_count(0)


@pytest.mark.parametrize("half", [False, True], ids=["whole", "half"])
@pytest.mark.parametrize(
    "places",
    [BEFORE, STREAMED],
    ids=["before", "streamed"],
)
def test_an_analysis_is_answered_wherever_the_connection_is_cut(
    page: Page, wire: Wire, clip: Path, places: Sequence[tuple[str, bytes, int]], half: bool
) -> None:
    for way, mark, times in places:
        wire.cut_at(way, mark, times, half)
        page.set_input_files(FILE, clip)
        comes_back(page, wire)
        assert answer(page), (way, mark)
        expect(page.locator(SAID)).to_be_visible()
        expect(page.locator(TOLD)).to_have_count(0)
        page.click(CLEAR)
        expect(page.locator(".waiting")).to_be_visible()
        expect(page.locator(SAID)).to_have_count(0)


def test_a_clip_is_removed_and_chosen_again_without_a_connection(
    page: Page, wire: Wire, clip: Path
) -> None:
    """Nobody knows in which order the server gets it all."""
    page.set_input_files(FILE, clip)
    assert answer(page)
    expect(page.locator(SAID)).to_be_visible()
    wire.cut()
    page.click(CLEAR)
    expect(page.locator(".waiting")).to_be_visible()
    page.set_input_files(FILE, clip)
    comes_back(page, wire)
    assert answer(page)
    expect(page.locator(SAID)).to_be_visible()


def test_an_answer_stays_and_can_be_corrected_after_the_connection_was_lost(
    page: Page, wire: Wire, clip: Path, folder: Path
) -> None:
    page.set_input_files(FILE, clip)
    said = answer(page)
    expect(page.locator(SAID)).to_be_visible()
    wire.cut()
    expect(page.locator(OFFLINE)).to_be_visible()
    assert answer(page) == said
    page.click(SAID)  # waits
    wire.restore()
    expect(page.locator(BACK)).to_be_visible()
    assert Corrections(folder / "home").all() == {Correction("sad", "angry", "en"): 1}
    page.click(BACK)
    expect(page.locator(SAID)).to_be_visible()
    page.click(CLEAR)
    expect(page.locator(".waiting")).to_be_visible()
    page.set_input_files(FILE, clip)
    assert answer(page) == said


@pytest.mark.parametrize("way", ["asked", "answered"])
def test_what_changes_something_is_not_done_twice_and_the_person_is_told(
    page: Page, wire: Wire, clip: Path, folder: Path, way: str
) -> None:
    page.set_input_files(FILE, clip)
    said = answer(page)
    expect(page.locator(SAID)).to_be_visible()  # asked for after the answer, through the same queue
    page.locator("#keep button").first.click()
    wire.cut_at(way, JOIN)
    page.click("#keep-start")
    assert wire.was_cut.wait(60)
    expect(page.locator(TOLD)).to_be_visible()  # before it is back, or Chromium itself asks again
    wire.restore()
    assert answer(page) == said
    page.click("#keep-start")
    expect(page.locator("#kept-forget")).to_be_visible()
    expect(page.locator(TOLD)).to_have_count(0)
    assert len(SavedClips(folder / "home").all()) == 1
    page.click("#kept-forget")
    expect(page.locator("#kept-forget")).to_be_hidden()
    assert SavedClips(folder / "home").all() == []


def test_what_is_pressed_without_a_connection_is_done_when_it_is_back(
    page: Page, wire: Wire, clip: Path, folder: Path
) -> None:
    page.set_input_files(FILE, clip)
    answer(page)
    expect(page.locator(SAID)).to_be_visible()
    page.locator("#keep button").first.click()
    wire.cut()
    expect(page.locator(OFFLINE)).to_be_visible()
    page.click("#keep-start")
    wire.restore()
    expect(page.locator("#kept-forget")).to_be_visible()
    expect(page.locator(TOLD)).to_have_count(0)
    page.click("#kept-forget")
    expect(page.locator("#kept-forget")).to_be_hidden()


def test_a_page_that_was_hidden_and_is_seen_again_answers(page: Page, clip: Path) -> None:
    """As after the lock of a screen, with a connection that still stands."""
    for _ in range(2):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.set_input_files(FILE, clip)
        assert answer(page)
        expect(page.locator(TOLD)).to_have_count(0)
        expect(page.locator(OFFLINE)).to_have_count(0)
        page.click(CLEAR)
        expect(page.locator(".waiting")).to_be_visible()


def test_the_page_outlives_a_restart_of_the_server(
    visit: Visit, clip: Path, tmp_path: Path
) -> None:
    with serve(clip, tmp_path, fake=True) as served:
        port = int(served.url.rpartition(":")[2])
        page = visit(at=served.url)
        page.evaluate("window.same = true")
        page.set_input_files(FILE, clip)
        said = answer(page)
    expect(page.locator(OFFLINE)).to_be_visible()
    with serve(clip, tmp_path, fake=True, port=port):
        expect(page.locator(OFFLINE)).to_have_count(0)
        assert answer(page) == said
        page.eval_on_selector(WRITTEN, "text => text.classList.add('before')")
        page.click("#analyse")  # the recording may have gone with the server before: it is said
        either = page.locator(f"{TOLD}, {WRITTEN}:not(.before)")
        expect(either.first).to_be_visible()
        page.click(CLEAR)
        expect(page.locator(".waiting")).to_be_visible()
        page.set_input_files(FILE, clip)
        assert answer(page) == said
        assert page.evaluate("window.same")
        page.faults.clear()  # type: ignore[attr-defined]
        page.close()
