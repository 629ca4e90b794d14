"""Files with odd names or contents, and a slow network, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ANSWER, Served, Visit, serve
from tests.browser.test_analyse_page import CLEAR, FILE, answer

pytestmark = pytest.mark.browser
expect.set_options(timeout=ANSWER)
NAMES = (
    "Ünï 录音 🎤 100%.flac",
    "a'b\"<b>&amp;#?.flac",
    "x" * 240 + ".flac",
    "no ending",
    ".flac",
    "../../up.flac",
)
SLOW = {"offline": False, "latency": 300, "downloadThroughput": 1e5, "uploadThroughput": 1e5}
ERROR = ".notice.error"


@pytest.fixture(scope="module")
def own(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(clip, tmp_path_factory.mktemp("networks"), fake=True) as served:
        yield served


def test_files_whose_name_or_length_is_odd(visit: Visit, clip: Path, own: Served) -> None:
    page = visit(at=own.url)
    content = clip.read_bytes()
    for name in NAMES:
        page.set_input_files(FILE, {"name": name, "mimeType": "", "buffer": content})
        page.locator(f".analysis p:not(.growing), {ERROR}").first.wait_for()
        assert page.locator(ERROR).count() == 0, f"{name}: {page.inner_text(ERROR)}"
        page.click(CLEAR)
        expect(page.locator(".waiting")).to_be_visible()
    for short in (b"", content[:100], content[: len(content) // 2]):
        page.set_input_files(FILE, {"name": "short.flac", "mimeType": "", "buffer": short})
        expect(page.locator(ERROR)).to_contain_text("short.flac")
        page.click(CLEAR)
        expect(page.locator(".waiting")).to_be_visible()
    page.set_input_files(FILE, clip)
    assert answer(page)
    page.faults.clear()  # type: ignore[attr-defined]  # the browser cannot play half a file either


def test_a_slow_network_is_enough(visit: Visit, clip: Path, own: Served) -> None:
    page = visit(at=own.url, width=390)
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", SLOW)
    page.reload()
    page.wait_for_selector("#about .about b", state="attached")
    page.set_input_files(FILE, clip)
    assert answer(page)
    assert page.locator(ERROR).count() == 0
