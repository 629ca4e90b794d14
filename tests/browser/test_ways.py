"""The ways people come to the page: any file, a microphone, the dark, the keyboard, plain HTTP."""

import base64
import io
import re
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile
import soxr
from PIL import Image
from playwright.sync_api import JSHandle, Page, expect

from audiollm.labels import EMOTIONS
from audiollm.texts import text
from tests.browser.conftest import ANSWER, HAS_MODEL, Profile, Served, Visit, serve
from tests.browser.test_analyse_page import CHINESE, CLEAR, FILE, answer
from tests.conftest import encode

pytestmark = pytest.mark.browser
expect.set_options(timeout=ANSWER)

# file ending, FFmpeg container and codec, sample rate, channels
KINDS = [
    ("wav", "wav", "pcm_s16le", 16000, 1),
    ("wav", "wav", "pcm_s24le", 48000, 2),
    ("flac", "flac", "flac", 44100, 1),
    ("mp3", "mp3", "libmp3lame", 44100, 2),
    ("m4a", "ipod", "aac", 44100, 1),
    ("mp4", "mp4", "aac", 48000, 1),  # as Safari records
    ("ogg", "ogg", "vorbis", 44100, 1),
    ("opus", "ogg", "libopus", 48000, 1),
    ("webm", "webm", "libopus", 48000, 1),
    ("aiff", "aiff", "pcm_s16be", 44100, 1),
]
ERROR = ".notice.error"
DROP = "#sound button:has(input[type=file])"
LARGEST = 2.5 * 2**30  # bytes that the server may ever have held
LONG_WAIT = 900_000  # ms until its first windows are heard
PATIENCE = 5  # looks of 2 s each: the rest of the way takes longer


def test_every_kind_of_sound_file_gets_an_answer(visit: Visit, clip: Path) -> None:
    voice, rate = soundfile.read(clip, dtype="float32")
    page = visit()
    known = {e.en for e in EMOTIONS}
    said = {}
    for ending, container, codec, wanted, channels in KINDS:
        samples = np.repeat(soxr.resample(voice, rate, wanted)[:, None], channels, axis=1)
        sent = sound_file(samples.clip(-1, 1), container, codec, wanted)
        name = f"{codec}.{ending}"
        mime = {"webm": "video/webm", "m4a": "audio/mp4", "mp4": "video/mp4"}.get(
            ending, f"audio/{ending}"
        )
        if ending == "m4a":  # this one is dropped on the page
            page.dispatch_event(DROP, "drop", {"dataTransfer": dragged(page, name, mime, sent)})
        else:
            page.set_input_files(FILE, {"name": name, "mimeType": mime, "buffer": sent})
        page.locator(f".analysis p:not(.growing), {ERROR}").first.wait_for()
        assert page.locator(ERROR).count() == 0, f"{name}: {page.inner_text(ERROR)}"
        answer(page)
        said[name] = page.inner_text(".headline b >> nth=0").split()[0].lower()
        page.click(CLEAR)
        expect(page.locator(".waiting")).to_be_visible()
        expect(page.locator(".headline")).to_be_hidden()
    assert set(said.values()) <= known
    assert len(set(list(said.values())[:3])) == 1, said  # nothing is lost in the first kinds
    # a browser need not be able to play every kind
    faults: list[str] = page.faults  # type: ignore[attr-defined]
    faults[:] = [fault for fault in faults if "play" not in fault.lower()]


def dragged(page: Page, name: str, mime: str, content: bytes) -> JSHandle:
    """A file that hangs at the mouse."""
    return page.evaluate_handle(
        """([name, type, content]) => {
          const dragged = new DataTransfer();
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          dragged.items.add(new File([bytes], name, { type }));
          return dragged;
        }""",
        [name, mime, base64.b64encode(content).decode()],
    )


def sound_file(samples: np.ndarray, container: str, codec: str, rate: int) -> bytes:
    """A file's bytes from samples [N, channels]; Vorbis, which PyAV lacks, by libsndfile."""
    if codec != "vorbis":
        return encode(samples, container, codec, rate)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="OGG", subtype="VORBIS")
    return file.getvalue()


# Counts what a recording opens, so that it can be seen whether all is closed again
COUNTED = """(() => {
  window.opened = [];
  const Original = AudioContext;
  window.AudioContext = class extends Original {
    constructor(...given) { super(...given); opened.push(this); }
  };
})()"""
ALL_CLOSED = "opened.length > 0 && opened.every((context) => context.state === 'closed')"
METER = ".recording-level [role=meter]"


def test_the_level_moves_while_the_microphone_hears_a_voice(visit: Visit) -> None:
    page = visit(width=390)
    page.evaluate(COUNTED)
    meter = page.locator(METER)
    expect(meter).to_have_count(0)
    page.click("#sound .record-button")
    expect(meter).to_be_visible()
    expect(meter).to_have_attribute("aria-label", "Recording level")
    page.wait_for_function(
        "(() => { const meter = document.querySelector('.recording-level [role=meter]');"
        " const bar = meter.firstChild.getBoundingClientRect().width;"
        " (window.seen ??= new Set()).add(meter.ariaValueNow);"
        " return seen.size > 4 && bar > 0.2 * meter.getBoundingClientRect().width; })()"
    )
    expect(page.locator(".recording-level time")).to_have_text(re.compile("0:0[1-9]"))
    expect(page.locator("#sound time:visible")).to_have_count(1)
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
    page.click("#sound .stop-button")
    expect(meter).to_have_count(0)
    page.wait_for_function(ALL_CLOSED)
    assert len(answer(page)) > 10


# A microphone that hears a tone of `volume`, which the test sets
TONE = """MediaDevices.prototype.getUserMedia = async () => {
  const context = new AudioContext(), tone = context.createOscillator();
  const loudness = context.createGain(), heard = context.createMediaStreamDestination();
  tone.connect(loudness).connect(heard);
  loudness.gain.value = 0;
  tone.start();
  window.volume = loudness.gain;
  return heard.stream;
}"""


def test_the_level_is_true_and_warns_of_full_scale(visit: Visit, profile: Profile) -> None:
    person = profile(color_scheme="dark")
    person.add_init_script(TONE)
    page = visit(profile=person)
    page.locator("#language label", has_text="中文").click()
    expect(page.locator("h1")).to_have_text(text("heading", "zh"))
    page.click("#sound .record-button")
    page.evaluate(COUNTED)  # from now on; the tone's own stays open
    meter = page.locator(METER)
    expect(meter).to_have_attribute("aria-label", "录音音量")
    expect(meter).to_have_attribute("aria-valuenow", "0")  # nobody speaks
    page.evaluate("volume.value = 0.1")  # -20 dBFS on a scale from -60
    expect(meter).to_have_attribute("aria-valuenow", re.compile("6[5-9]"))
    colour = f"getComputedStyle(document.querySelector('{METER} i')).backgroundColor"
    calm = page.evaluate(colour)
    page.evaluate("volume.value = 1.1")
    page.wait_for_function(f"{colour} !== '{calm}'")
    expect(page.locator(".recording-level strong")).to_have_text(text("clipping", "zh"))
    expect(meter).to_have_attribute("aria-valuenow", "100")
    page.evaluate("volume.value = 0.1")
    page.wait_for_function(f"{colour} === '{calm}'")
    expect(page.locator(".recording-level strong")).to_have_text("")
    page.click("#sound .stop-button")
    expect(meter).to_have_count(0)


# Every text that is seen: [text, contrast with what is behind it, which of the places it is in]
CONTRASTS = """(places) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, behind(element.parentElement));
  };
  const opacity = (element) =>
    element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
  const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const skipped = ".aloud, script, style, option, :disabled";
  const seen = { visibilityProperty: true, opacityProperty: true };
  const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const said = texts.currentNode.textContent.trim(), element = texts.currentNode.parentElement;
    const { width, height } = element.getBoundingClientRect();
    if (!said || width <= 1 || height <= 1) continue;
    if (element.closest(skipped) || !element.checkVisibility(seen)) continue;
    const style = getComputedStyle(element), ground = behind(element);
    const colour = rgba(element instanceof SVGElement ? style.fill : style.color);
    colour[3] *= opacity(element);
    const [dim, bright] = [light(over(colour, ground)), light(ground)].sort((a, b) => a - b);
    found.push([said, (bright + 0.05) / (dim + 0.05), places.filter((p) => element.closest(p))]);
  }
  return { found, ground: light(behind(document.querySelector("h1"))) };
}"""
PLACES = (
    *("h1", "#intro", ".headline b", ".analysis p", ".cues th", ".cues td", ".honest"),
    *("#analyse", "button.example", ".actions button", "#figure text", "#course text"),
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_and_is_drawn(
    scheme: Any, visit: Visit, profile: Profile, clip: Path, tmp_path: Path
) -> None:
    voice, rate = soundfile.read(clip)
    long = tmp_path / "long.wav"
    soundfile.write(long, np.concatenate([voice, np.zeros(rate), voice]), rate)
    page = visit(profile=profile(color_scheme=scheme))
    page.set_input_files(FILE, long)
    answer(page)
    page.locator("#course .scatterlayer .js-fill").nth(1).wait_for(state="attached")
    expect(page.locator("#course-hint")).to_contain_text(text("course_steps", "en", length=2))
    seen = page.evaluate(CONTRASTS, list(PLACES))
    assert seen["ground"] < 0.02 if scheme == "dark" else seen["ground"] > 0.9
    assert {place for _, _, places in seen["found"] for place in places} == set(PLACES)
    assert [
        (said, round(contrast, 2)) for said, contrast, _ in seen["found"] if contrast < 4.5
    ] == []
    for figure, hues in (("#figure", 1), ("#course", 2)):
        picture = Image.open(io.BytesIO(page.locator(figure).screenshot())).convert("HSV")
        assert len(strong_hues(picture)) >= hues, figure


def strong_hues(picture: Image.Image) -> set[int]:
    """Which of 12 hues colour at least 200 pixels of an HSV picture well."""
    hue, saturation, value = np.moveaxis(np.asarray(picture, dtype=int), 2, 0)
    strong = hue[(saturation > 70) & (value > 90)] * 12 // 256
    return {int(h) for h in np.unique(strong) if (strong == h).sum() >= 200}


LOOK = """(element) => [element, element.closest("label, .wrap-inner") ?? element]
  .map(getComputedStyle).map((style) => [style.outline, style.boxShadow].join()).join()"""

MOVED = """(before) => before.isConnected
  && before !== document.body && before !== document.activeElement"""


def tab_to(page: Page, wanted: str, key: str = "Tab") -> None:
    """Press Tab until the focus is on `wanted`; on the way it must be seen where it is.

    A player has several stops of its own.
    """
    for _ in range(40):
        before: JSHandle = page.evaluate_handle("document.activeElement")
        here = page.evaluate(LOOK, before)
        page.keyboard.press(key)
        if page.evaluate(MOVED, before):
            said = page.evaluate("(before) => before.outerHTML", before)
            assert page.evaluate(LOOK, before) != here, f"the focus cannot be seen: {said[:200]}"
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
            return
    pytest.fail(f"the keyboard does not get to {wanted}")


def test_the_keyboard_is_enough(visit: Visit, profile: Profile) -> None:
    page = visit(profile=profile())
    tab_to(page, "button.example")
    page.keyboard.press("Enter")
    assert not re.search(CHINESE, answer(page))
    tab_to(page, "button[data-take=json]")
    with page.expect_download():
        page.keyboard.press("Space")
    tab_to(page, "#language input", "Shift+Tab")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("h1")).to_have_text(text("heading", "zh"))
    expect(page.locator(".analysis h2")).to_have_text(text("analysis", "zh"))
    assert re.search(CHINESE, answer(page))
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).to_have_text(text("heading", "en"))
    expect(page.locator("html")).to_have_attribute("lang", "en")
    tab_to(page, "#analyse")
    page.keyboard.press("Space")
    assert answer(page)


def test_the_keyboard_reaches_the_start_of_a_training(visit: Visit) -> None:
    page = visit(at="?tab=train")
    expect(page.locator("#train-start")).to_be_enabled()
    page.locator("#train-tab-button").focus()
    tab_to(page, "#train-source input")
    for key in ("ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#train-upload button")).to_be_visible()
    expect(page.locator("#train-start")).to_be_disabled()
    tab_to(page, "#train-upload button")
    tab_to(page, "#train-commands button")


@pytest.mark.slow
@pytest.mark.skipif(not HAS_MODEL, reason="no model is bundled")
@pytest.mark.parametrize("seconds", [1200, pytest.param(3600, marks=pytest.mark.long)])
def test_who_leaves_in_the_middle_of_a_long_file_keeps_nobody_waiting(
    visit: Visit, clip: Path, server: Served, tmp_path: Path, seconds: int
) -> None:
    voice, rate = soundfile.read(clip, dtype="int16")
    said = np.concatenate([voice, np.zeros(rate, np.int16)])
    long = tmp_path / "long.flac"
    soundfile.write(long, np.tile(said, seconds * rate // len(said)), rate)
    page = visit()
    page.set_input_files(FILE, long, timeout=LONG_WAIT)
    # a fifth of the way is the measuring; from then on the model hears windows
    page.wait_for_function(
        "(document.querySelector('#notice progress')?.value ?? 0) > 0.3", timeout=LONG_WAIT
    )
    page.close()
    busy = psutil.Process(server.process)
    for _ in range(PATIENCE):  # with nobody there the rest is not encoded
        before = sum(busy.cpu_times()[:2])
        time.sleep(2)
        if sum(busy.cpu_times()[:2]) - before < 0.6:
            break
    else:
        pytest.fail("the worker goes on with what nobody waits for")
    other = visit()
    other.set_input_files(FILE, clip)
    assert answer(other)
    status = Path(f"/proc/{server.process}/status")
    if status.exists():  # on Linux
        peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert peak
        assert int(peak[1]) * 1024 < LARGEST


def test_a_page_that_shows_nothing_new_lets_the_processor_rest(
    profile: Profile, visit: Visit
) -> None:
    """Gradio's loading indicator asked for 60 frames a second for as long as the page was open."""
    person = profile()
    person.add_init_script(
        "const asks = requestAnimationFrame; window.frames_asked = 0;"
        "window.requestAnimationFrame = (f) => { window.frames_asked++; return asks(f); };"
    )
    page = visit(profile=person)
    rests = (
        "() => new Promise((done) => { const before = frames_asked;"
        " setTimeout(() => done(frames_asked - before < 20), 1000); })"
    )
    page.wait_for_function(rests, polling=500)


def test_fonts_and_programs_come_from_the_page_itself(
    visit: Visit, address: str, clip: Path
) -> None:
    page = visit()
    page.set_input_files(FILE, clip)
    answer(page)
    fetched = page.evaluate("performance.getEntries().map((entry) => entry.name)")
    written = page.evaluate(
        "[...document.querySelectorAll('script[src], link[href]')].map((e) => e.src || e.href)"
    )
    fonts = page.evaluate(
        "[...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]"
        ".filter((rule) => rule instanceof CSSFontFaceRule)"
        ".map((rule) => [rule.style.getPropertyValue('src'), sheet.href || location.href]))"
    )
    urls = [url for url in (*fetched, *written) if re.match(r"\w+://", url)]
    assert len(urls) > 5
    assert [url for url in urls if not url.startswith(address + "/")] == []
    for source, sheet in fonts:
        assert sheet.startswith(address + "/")
        assert not re.search(r"url\([\"']?(https?:)?//(?!127\.0\.0\.1)", source), source


def own_address() -> str:
    """Under which others in the network reach this machine; "" without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: only the route is looked up
        except OSError:
            return ""
        found: str = probe.getsockname()[0]
    return "" if found.startswith("127.") else found


def test_without_https_the_page_says_why_there_is_no_microphone(
    visit: Visit, clip: Path, tmp_path: Path
) -> None:
    host = own_address()
    if not host:
        pytest.skip("this machine has no address besides 127.0.0.1")
    with serve(clip, tmp_path, fake=True, host=host) as served:
        page = visit(at=served.url)
        assert not page.evaluate("isSecureContext")
        expect(page.locator("#insecure")).to_have_text(text("insecure", "en"))
        expect(page.locator("#insecure")).to_be_in_viewport()
        expect(page.locator("#sound .record-button")).to_be_hidden()
        page.set_input_files(FILE, clip)  # what it advises works
        assert answer(page)
        expect(page.locator("#again")).to_be_hidden()
        page.click("button[data-take=copy]")  # there is no navigator.clipboard here
        expect(page.locator("button[data-take=copy]")).to_have_class("done")
        page.close()
    secure = visit()
    expect(secure.locator("#insecure")).to_be_hidden()
