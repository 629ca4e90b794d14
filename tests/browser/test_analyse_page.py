"""A visitor's way through the Analyse page, in a real browser."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from playwright.sync_api import Page, expect

from audiollm.labels import EMOTIONS, ordered, title
from audiollm.settings import ASSETS, Settings
from audiollm.texts import text
from tests.browser.conftest import ANSWER, HAS_MODEL, Visit

pytestmark = pytest.mark.browser
expect.set_options(timeout=ANSWER)

FILE = "#sound input[type=file]"
WRITTEN = ".analysis p:not(.growing)"
CHINESE = "[\u4e00-\u9fff]"
SETTINGS = """async () => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const [track] = stream.getAudioTracks();
  const { autoGainControl, echoCancellation, noiseSuppression } = track.getSettings();
  track.stop();
  return { autoGainControl, echoCancellation, noiseSuppression };
}"""
TITLES_FIT = """() => {  // no title of a figure is cut off at its right edge
  const shown = [...document.querySelectorAll(".annotation-text")].filter(t => t.checkVisibility());
  const right = part => part.getBoundingClientRect().right;
  return shown.length && shown.every(t => right(t) <= right(t.closest(".js-plotly-plot")));
}"""
CLEAR = '#sound button[aria-label="Clear"]'


def answer(page: Page) -> str:
    """The finished text, when it is there."""
    page.locator("#figure .point path").last.wait_for()  # the likeliest; the least may be nothing
    page.wait_for_selector(WRITTEN)
    return page.inner_text(WRITTEN)


def drawn(page: Page) -> list[tuple[float, str]]:
    """Width of every bar in px, and the text at its end, from the bottom up."""
    found: list[list[Any]] = page.eval_on_selector_all(
        "#figure .point",
        "points => points.map(p => [p.querySelector('path').getBBox().width,"
        " p.querySelector('text').textContent])",
    )
    return [(width, said) for width, said in found]


def test_uploaded_clip_gets_bars_and_text_that_fit_a_phone(visit: Visit, clip: Path) -> None:
    page = visit()
    expect(page.locator(".waiting")).to_be_visible()
    page.set_input_files(FILE, clip)
    assert len(answer(page)) > 10
    bars = drawn(page)
    assert len(bars) >= 2
    shares = [(width, float(said.strip("<>%")) / 100) for width, said in bars]
    scale = shares[-1][0] / shares[-1][1]
    assert scale > 200
    for width, share in shares:  # the text is rounded to a percent
        assert width == pytest.approx(share * scale, abs=0.012 * scale)
    assert sum(share for _, share in shares) == pytest.approx(1, abs=0.1)  # each rounded
    best = page.inner_text(".headline b >> nth=0")
    assert bars[-1][1] in best
    assert best.split()[0].lower() in {e.en for e in EMOTIONS}
    expect(page.locator("#cues tbody tr")).to_have_count(5)
    colour = page.eval_on_selector("#figure text", "t => getComputedStyle(t).fill")
    assert colour == page.evaluate("getComputedStyle(document.body).color")
    page.check("#order input")
    fixed = [title(name, "en") for name in ordered(e.name for e in EMOTIONS)]
    page.wait_for_function(
        "order => { const drawn = [...document.querySelectorAll('#figure .ytick text')]"
        ".map(t => t.textContent).reverse();"
        " const wanted = order.filter(name => drawn.includes(name));"
        " return drawn.length > 1 && drawn.join() === wanted.join(); }",
        arg=fixed,
    )
    page.set_viewport_size({"width": 360, "height": 800})
    page.wait_for_function("document.documentElement.scrollWidth <= 360")


def test_recorded_voice_gets_an_answer_by_itself(visit: Visit) -> None:
    page = visit()
    given = page.evaluate(SETTINGS)  # what makes a call pleasant would change the cues
    assert not any(given.values()) and len(given) == 3
    page.click("#sound .record-button")
    page.wait_for_timeout(2000)
    page.click("#sound .stop-button")
    assert len(answer(page)) > 10
    page.click("#again")
    expect(page.locator(".recording-level")).to_be_visible()
    expect(page.locator("#result")).to_be_hidden()
    page.wait_for_timeout(1500)
    page.click("#sound .stop-button")
    assert len(answer(page)) > 10


def test_bad_files_get_a_sentence_and_the_page_goes_on(visit: Visit, clip: Path) -> None:
    page = visit()
    shown = page.locator(".notice.error")
    # browsers call WebM a video: its content is judged all the same, and in our words
    for name, kind in (("notes.wav", "audio/wav"), ("memo.webm", "video/webm")):
        words = b"These are words, not sound.\n" * 50
        page.set_input_files(FILE, {"name": name, "mimeType": kind, "buffer": words})
        expect(shown).to_contain_text(name)
        assert "Traceback" not in page.inner_text("body")
        expect(page.locator(".headline")).to_be_hidden()
        page.faults.clear()  # type: ignore[attr-defined]  # the browser cannot play it either
        page.click(CLEAR)
        expect(page.locator(".waiting")).to_be_visible()
    expect(page.locator("#analyse")).to_be_hidden()  # there is nothing to analyse
    most = page.evaluate("audiollm.most")
    assert most == Settings().max_bytes
    page.evaluate("audiollm.most = 10000")  # a file above the limit is not even sent
    page.set_input_files(FILE, clip)
    expect(page.locator(".refused-file")).to_have_text(
        text("too_large", "en", size=f"{clip.stat().st_size / 1e6:.2f}", most="0.01")
    )
    expect(page.locator(".waiting")).to_be_visible()
    page.evaluate(f"audiollm.most = {most}")
    page.set_input_files(FILE, clip)
    assert answer(page)
    expect(shown).to_have_count(0)


def test_chinese_browser_gets_a_chinese_page_that_fits_a_phone(visit: Visit, clip: Path) -> None:
    page = visit(locale="zh-CN", width=390)
    expect(page.locator("h1")).to_have_text(text("heading", "zh"))
    page.set_input_files(FILE, clip)
    answer(page)
    expect(page.locator(".headline b").first).to_be_in_viewport()
    # a word of English can only be a name: of a model, a device, a corpus, a licence
    shown = page.inner_text("body")
    names = {
        "English",
        "CPU",
        "GPU",
        "EmoDB",
        "ASED",
        "JSON",
        "CSV",
        *("CC", "BY-NC-SA"),
        page.inner_text(".about b").split("，")[0],
    }
    words = set(re.findall(r"[A-Za-z][A-Za-z.\-]+", shown)) - names
    assert not words
    named = page.eval_on_selector_all("#sound button", "all => all.map(one => one.ariaLabel ?? '')")
    assert len([name for name in named if name]) >= 2
    assert not any(re.search("[A-Za-z]", name) for name in named)
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
    page.wait_for_function(TITLES_FIT)


def test_choosing_chinese_turns_the_page_and_the_answer(visit: Visit, clip: Path) -> None:
    page = visit()
    page.set_input_files(FILE, clip)
    answer(page)
    page.locator("#language label", has_text="中文").click()
    expect(page.locator("h1")).to_have_text(text("heading", "zh"))
    expect(page.locator(".analysis h2")).to_have_text(text("analysis", "zh"))
    assert re.search(CHINESE + "{4}", answer(page))
    expect(page.locator("#about")).to_contain_text(text("honest", "zh"))
    expect(page.locator('#sound button[aria-label="清除"]')).to_be_visible()
    page.reload()  # the choice is remembered
    expect(page.locator("h1")).to_have_text(text("heading", "zh"))
    page.evaluate("localStorage.clear()")


def test_example_answers_at_a_click(visit: Visit) -> None:
    page = visit()
    examples = page.locator("button.example")
    if HAS_MODEL and not examples.count():
        pytest.skip("no example clips are bundled")
    expect(page.locator("#again")).to_be_hidden()
    examples.first.click()
    assert answer(page)
    expect(page.locator(CLEAR)).to_be_visible()  # the clip is there to be played
    page.click("#again")  # one's own voice instead
    expect(page.locator(".recording-level")).to_be_visible()
    page.wait_for_timeout(1500)
    page.click("#sound .stop-button")
    assert answer(page)


def test_a_recording_is_followed_over_time_and_taken_along(
    visit: Visit, clip: Path, tmp_path: Path
) -> None:
    voice, rate = soundfile.read(clip)
    long = tmp_path / "long.wav"
    soundfile.write(long, np.concatenate([voice, np.zeros(rate), voice, voice]), rate)
    seconds = soundfile.info(long).duration
    page = visit()
    page.set_input_files(FILE, long)
    answer(page)
    shown = page.locator("#course .js-plotly-plot")
    expect(page.locator("#course-hint")).to_contain_text(text("course_steps", "en", length=2))
    areas = page.locator("#course .scatterlayer .js-fill")
    areas.nth(1).wait_for(state="attached")
    expect(page.locator("#course .heatmaplayer image")).to_have_count(1)
    shown.scroll_into_view_if_needed()
    box = shown.bounding_box()
    assert box
    left, width = page.evaluate(
        "(() => { const a = document.querySelector('#course .js-plotly-plot')._fullLayout.xaxis;"
        " return [a._offset, a._length]; })()"
    )
    shown.click(position={"x": left + width / 2, "y": box["height"] / 2})
    page.wait_for_function(f"document.querySelector('#sound audio').currentTime > {0.45 * seconds}")
    place = "parseFloat(document.querySelector('#course .cursor').style.left)"
    before = page.evaluate(place)
    assert before == pytest.approx(left + width / 2, abs=0.2 * width)
    page.wait_for_function(f"{place} > {before} + 5")  # it follows the sound
    page.wait_for_function("document.querySelector('#course .cursor').dataset.likeliest")
    told = page.locator("#course .cursor").get_attribute("data-likeliest") or ""
    assert re.fullmatch(rf"({'|'.join(e.en for e in EMOTIONS)}) \d+%", told, re.IGNORECASE)
    page.evaluate("document.querySelector('#sound audio').pause()")
    taken = {}
    for way in ("json", "csv", "png"):
        with page.expect_download() as saved:
            page.click(f"button[data-take={way}]")
        taken[way] = Path(saved.value.path()).read_bytes()
    whole = json.loads(taken["json"])
    assert sum(whole["probabilities"].values()) == pytest.approx(1)
    assert len(whole["course"]) == taken["csv"].decode("utf-8-sig").count("\n") - 2
    assert taken["png"].startswith(b"\x89PNG")
    assert len(taken["png"]) > 5000
    page.set_viewport_size({"width": 360, "height": 800})
    page.wait_for_function("document.documentElement.scrollWidth <= 360")
    page.wait_for_function(TITLES_FIT)


def test_an_answer_is_compared_asked_about_and_kept(visit: Visit, clip: Path) -> None:
    page = visit()
    page.set_input_files(FILE, clip)
    answer(page)
    for fold in ("#compare", "#keep", "#card"):
        page.locator(f"{fold} button").first.click()
    page.locator("#rival label", has_text=text("rival_probe", "en")).click()
    expect(page.locator("#second")).to_be_hidden()
    page.click("#compare-start")
    page.locator("#pair .point path").last.wait_for()
    page.locator("#pair .point").nth(3).wait_for(state="attached")
    expect(page.locator(".verdict li")).to_have_count(2)
    page.locator("#rival label", has_text=text("rival_clip", "en")).click()
    page.set_input_files("#other input[type=file]", clip)
    page.locator("#other audio, #other button[aria-label=Clear]").first.wait_for()
    page.click("#compare-start")
    expect(page.locator(".verdict")).to_contain_text(text("clips_agree", "en"))
    expect(page.locator("#verdict tbody tr")).to_have_count(5)
    if HAS_MODEL:
        expect(page.locator("#ask")).to_be_hidden()  # the bundled model cannot answer
    expect(page.locator("#card h1")).to_be_visible()
    page.click("#keep-start")
    expect(page.locator("#kept")).to_contain_text(text("is_queued", "en"))
    page.locator("#language label", has_text="中文").click()  # it can still be taken back
    expect(page.locator("#kept")).to_contain_text(text("is_kept", "zh"))
    page.locator("#language label", has_text="English").click()
    expect(page.locator("#kept")).to_contain_text(text("is_kept", "en"))
    page.click("#kept-forget")
    expect(page.locator("#kept")).to_contain_text(text("is_forgotten", "en"))
    page.click(CLEAR)  # what was said of this clip goes with it
    expect(page.locator("#more")).to_be_hidden()
    page.set_input_files(FILE, clip)
    answer(page)
    expect(page.locator(".verdict")).to_have_count(0)


def test_a_link_opens_an_example_in_a_language(visit: Visit) -> None:
    page = visit(at="/?example=1&lang=zh")
    expect(page.locator("h1")).to_have_text(text("heading", "zh"))
    assert re.search(CHINESE, answer(page))


def test_a_long_answer_in_the_old_language_does_not_come_back(
    visit: Visit, clip: Path, endless: str
) -> None:
    page = visit(at=endless)
    page.set_input_files(FILE, clip)
    expect(page.locator("#notice progress")).to_be_visible()
    page.evaluate(
        """() => {
          const place = document.querySelector("#notice");
          window.said = [];
          new MutationObserver(() => said.push(place.innerText))
            .observe(place, { childList: true, subtree: true, characterData: true });
        }"""
    )
    page.locator("#language label", has_text="中文").click()
    page.wait_for_timeout(3000)  # the run before ends meanwhile
    said = ["zh" if re.search(CHINESE, each) else "en" for each in page.evaluate("said")]
    assert "zh" in said and "en" not in said[said.index("zh") :]
    page.locator("#language label", has_text="English").click()
    page.evaluate("localStorage.clear()")


def test_the_picture_shows_what_the_page_shows(visit: Visit) -> None:
    page = visit()
    page.set_input_files(FILE, ASSETS / "examples" / "turns.flac")
    answer(page)
    page.locator("#course .point, #course .fills").first.wait_for(state="attached")
    page.wait_for_timeout(500)  # the course is drawn
    with page.expect_download() as saved:
        page.click("button[data-take=png]")
    assert saved.value.suggested_filename == "turns-emotion.png"
    image = Image.open(saved.value.path()).convert("RGB")
    graph = page.locator("#figure .js-plotly-plot").bounding_box()
    assert graph
    assert image.height > 2 * graph["height"] + 400  # the course stands below
    # colour where the bars are: they are hatched, as the answer is uncertain
    middles: list[list[float]] = page.eval_on_selector_all(
        "#figure .point path",
        "paths => paths.map(p => p.getBoundingClientRect()).filter(b => b.width > 16)"
        ".map(b => [b.left + b.width / 2, b.top + b.height / 2])",
    )
    assert len(middles) >= 2
    for x, y in middles:
        left, top = 2 * (x - graph["x"]), 2 * (y - graph["y"] + 40)
        piece = np.asarray(image.crop((left - 8, top - 8, left + 8, top + 8)), float)
        assert np.ptp(piece.mean((0, 1))) > 10 or np.abs(piece.mean() - 249) > 20


def test_a_long_recording_can_be_stopped_and_left(visit: Visit, clip: Path, endless: str) -> None:
    page = visit(at=endless)
    page.set_input_files(FILE, clip)
    expect(page.locator("#notice progress")).to_be_visible()
    expect(page.locator("#stop")).to_have_text(text("stop", "en"))
    page.click("#stop")
    expect(page.locator("#notice")).to_contain_text(text("stopped", "en"))
    expect(page.locator("#stop")).to_be_hidden()
    page.click("#analyse")
    expect(page.locator("#notice progress")).to_be_visible()
    page.close()  # in the middle: nobody waits for an end that never comes
    other = visit(at=endless)
    other.set_input_files(FILE, clip)
    expect(other.locator("#notice progress")).to_be_visible()


def test_visitors_see_nothing_of_each_other_and_are_served_at_once(
    visit: Visit, clip: Path
) -> None:
    first = visit()
    first.set_input_files(FILE, clip)
    answer(first)
    second = visit(locale="zh-CN")
    expect(second.locator(".waiting")).to_be_visible()
    expect(second.locator(".headline b")).to_have_count(0)
    expect(second.locator(CLEAR)).to_have_count(0)
    assert clip.name not in second.content()
    first.click("#analyse")
    second.set_input_files(FILE, clip)
    assert re.search(CHINESE, answer(second))
    assert not re.search(CHINESE, answer(first))
