"""What the page shows while the microphone records, and how it begins, in a real browser."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web.analyse import live
from tests.browser.conftest import ANSWER, Profile, Visit, serve
from tests.browser.test_analyse_page import FILE, answer
from tests.browser.test_ways import TONE

pytestmark = pytest.mark.browser
expect.set_options(timeout=ANSWER)

RECORD, STOP = "#microphone .record-button", "#microphone .stop-button"
ANSWERS = "performance.getEntriesByName('live').length"
# s, at which the course ends
END = "document.querySelector('#live-course .js-plotly-plot')._fullLayout.xaxis.range[1]"
GROWS = f"before => {END} > before"
# Of the boxes that are painted: how far their edges move, as a share of the window
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
# What shows before there is an answer and goes again
SEEN = """
window.flashed = [];
const look = () => {
  for (const id of ["result", "over-time", "more", "live", "stop", "anew"]) {
    const found = document.getElementById(id);
    if (found?.checkVisibility() && !flashed.includes(id)) flashed.push(id);
  }
  requestAnimationFrame(look);
};
look();
"""


@pytest.fixture(scope="module")
def quick(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page with a model that answers at once."""
    with serve(clip, tmp_path_factory.mktemp("quick"), fake=True) as served:
        yield served.url


def test_bars_and_course_move_while_the_microphone_records(visit: Visit, quick: str) -> None:
    page, other = visit(at=quick), visit(at=quick)
    expect(page.locator("#live")).to_be_hidden()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.click(RECORD)
    expect(page.locator("#live")).to_be_visible()
    expect(page.locator(".recording-level [role=meter]")).to_be_visible()
    expect(page.locator(".waiting")).to_be_hidden()
    expect(page.locator(".live-said.scored .headline b")).to_contain_text("Angry")
    page.locator("#live-figure .point path").first.wait_for()
    page.locator("#live-course .js-fill").first.wait_for(state="attached")
    page.wait_for_function(f"{ANSWERS} >= 3")
    page.wait_for_function(GROWS, arg=page.evaluate(END))  # the course
    begun = page.evaluate("performance.getEntriesByName('live').map((each) => each.startTime)")
    assert min(b - a for a, b in pairwise(begun)) >= 1000 * live.EVERY - 1
    assert not [url for url in asked if "/upload" in url or "/stream" in url]  # no file is made
    page.click(STOP)
    assert len(answer(page)) > 10
    expect(page.locator("#live")).to_be_hidden()
    assert page.eval_on_selector("#sound audio", "sound => sound.duration") > 2  # all of it
    expect(other.locator(".live-said")).to_have_count(0)
    expect(other.locator(".waiting")).to_be_visible()
    page.click("#again")
    expect(page.locator("#live")).to_be_visible()
    expect(page.locator("#live-said")).to_contain_text(text("live_waits", "en"))
    page.click(STOP)


def test_silence_is_told_and_a_pause_sends_nothing(
    visit: Visit, quick: str, profile: Profile
) -> None:
    person = profile()
    person.add_init_script(TONE)
    page = visit(at=quick, profile=person)
    page.locator("#language label", has_text="中文").click()
    page.click(RECORD)
    expect(page.locator(".live-said.silent")).to_have_text(text("live_silent", "zh"))
    page.click("#microphone .pause-button")
    expect(page.locator("#microphone .resume-button")).to_be_visible()
    page.wait_for_timeout(300)  # the last request is answered
    before = page.evaluate(ANSWERS)
    page.wait_for_timeout(3000 * live.EVERY)
    assert page.evaluate(ANSWERS) <= before + 1
    page.click("#microphone .resume-button")
    page.wait_for_function(f"{ANSWERS} > {before + 1}")
    page.click(STOP)


def test_of_a_model_that_cannot_keep_up_the_page_says_so(
    visit: Visit, clip: Path, tmp_path: Path
) -> None:
    with serve(clip, tmp_path, fake=True, FAKE_PASSES="1.5") as served:
        page = visit(at=served.url)
        page.click(RECORD)
        expect(page.locator(".live-said.slow")).to_be_visible()
        expect(page.locator(".live-said .headline")).to_have_count(0)
        page.click(STOP)
        page.close()


@pytest.mark.parametrize(("locale", "width", "height"), [("en-US", 1280, 900), ("zh-CN", 390, 844)])
def test_the_microphone_comes_first_and_the_examples_are_seen(
    visit: Visit, clip: Path, locale: str, width: int, height: int
) -> None:
    page = visit(locale=locale, width=width)
    page.set_viewport_size({"width": width, "height": height})
    record, upload = (page.locator(each).bounding_box() for each in (RECORD, "#upload"))
    assert record and upload
    assert record["height"] >= 60 and record["width"] >= 200
    assert record["y"] + record["height"] < upload["y"]
    for example in page.locator("button.example").all():
        expect(example).to_be_in_viewport(ratio=1)
    expect(page.locator("#analyse")).to_be_hidden()
    expect(page.locator("#again")).to_be_hidden()
    page.set_input_files(FILE, clip)
    answer(page)
    expect(page.locator("#analyse")).to_be_visible()
    heads = page.locator("#cues thead th").all()
    lines = {round(head.evaluate("head => head.getClientRects()[0].height")) for head in heads}
    words = [head.evaluate(LINES) for head in heads]
    assert len(lines) == 1 and words == [1] * len(heads)
    page.wait_for_function(f"document.documentElement.scrollWidth <= {width}")


# In how many lines the text of an element stands
LINES = """(element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size;
}"""


def test_all_tabs_are_as_wide(visit: Visit) -> None:
    page = visit()
    widths = set()
    language: Language = "en"
    for name in ("analyse", "train", "label"):
        page.get_by_role("tab", name=text(f"tab_{name}", language), exact=True).click()
        page.locator(f"#{name}-tab").wait_for()
        page.wait_for_timeout(500)
        widths.add(edges(page, "#top") + edges(page, f"#{name}-tab"))
    assert len(widths) == 1


def edges(page: Page, place: str) -> tuple[int, ...]:
    box = page.locator(place).bounding_box()
    assert box
    return round(box["x"]), round(box["width"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_stands_still_once_it_is_painted(
    visit: Visit, quick: str, profile: Profile, scheme: str
) -> None:
    person = profile(color_scheme=scheme)
    person.add_init_script(SHIFTS)
    person.add_init_script(SEEN)
    page = visit(at=quick, profile=person)
    page.wait_for_timeout(1000)
    assert page.evaluate("flashed") == []
    assert page.evaluate("shifted") < 0.2
