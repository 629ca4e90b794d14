"""An event stream that ends at a bad moment: the page gets its answer all the same.

What a network does to the stream is done in the browser, below the page's own programs.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from audiollm.texts import text
from tests.browser.conftest import ANSWER, Served, Visit, serve
from tests.browser.test_analyse_page import FILE, WRITTEN, answer

pytestmark = pytest.mark.browser
expect.set_options(timeout=ANSWER)

# `window.late`: the end of a stream comes after the next event was accepted.
# `window.cut`: after so many messages the connection breaks off; `window.how` says in which way.
NETWORK = """(() => {
  const real = window.fetch.bind(window);
  let joined = () => {};
  window.late = false; window.cut = 0; window.how = "error"; window.cuts = 0;
  window.fetch = async (target, options) => {
    const address = String(target.url ?? target), control = new AbortController();
    if (address.includes("/heartbeat/")) window.lose = () => control.abort();
    if (!/queue.data|heartbeat/.test(address)) {
      const response = await real(target, options);
      if (address.includes("/queue/join")) setTimeout(joined, 300);
      return response;
    }
    const response = await real(target.url ?? target, { signal: control.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const coder = new TextEncoder();
    const body = new ReadableStream({ async start(out) {
      for (let rest = "";;) {
        const { done, value } = await reader.read().catch((fault) => ({ done: true }));
        if (done) return out.close();
        const messages = (rest + value).split("\\n\\n");
        rest = messages.pop();
        for (const message of messages) {
          if (window.late && message.includes("close_stream"))
            await new Promise((done) => { joined = done; window.held = true; });
          if (window.losing && !--window.losing) window.lose();
          if (window.cut && !--window.cut) {
            control.abort();
            window.cuts++;
            return window.how === "error" ? out.error(new TypeError("network error")) : out.close();
          }
          out.enqueue(coder.encode(message + "\\n\\n"));
        }
      }
    } });
    return new Response(body, { headers: response.headers });
  };
})();"""


@pytest.fixture(scope="module")
def slow(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page whose model takes its time between two pieces of text."""
    with serve(clip, tmp_path_factory.mktemp("slow"), fake=True, FAKE_PAUSE="0.3") as served:
        yield served


@pytest.fixture
def enter(browser: Browser, visit: Visit, slow: Served) -> Iterator[Callable[[], Page]]:
    """Opens the page on that network."""
    made: list[BrowserContext] = []

    def page() -> Page:
        made.append(browser.new_context(locale="en-US"))
        made[-1].add_init_script(NETWORK)
        return visit(at=slow.url, profile=made[-1])

    yield page
    for context in made:
        context.close()


def test_an_event_that_is_accepted_while_the_stream_is_closed_is_answered(
    enter: Callable[[], Page], clip: Path
) -> None:
    page = enter()
    page.evaluate("window.late = true")
    page.set_input_files(FILE, clip)
    first = answer(page)
    page.wait_for_function("window.held")
    page.evaluate("window.late = false")
    page.eval_on_selector(WRITTEN, "text => text.classList.add('before')")
    page.click("#analyse")
    page.wait_for_selector(f"{WRITTEN}:not(.before)")
    assert answer(page) == first


@pytest.mark.parametrize("how", ["error", "end"])
@pytest.mark.parametrize("after", [1, 3])
def test_an_analysis_whose_stream_breaks_off_is_asked_for_again(
    enter: Callable[[], Page], clip: Path, how: str, after: int
) -> None:
    """Before and after the first probabilities."""
    page = enter()
    page.evaluate("([how, after]) => { window.how = how; window.cut = after; }", [how, after])
    page.set_input_files(FILE, clip)
    page.wait_for_function("window.cuts")
    assert answer(page)
    expect(page.get_by_text(text("broken_off", "en"))).to_have_count(0)
    page.faults.clear()  # type: ignore[attr-defined]


def test_a_network_that_always_breaks_off_is_told_of(enter: Callable[[], Page], clip: Path) -> None:
    page = enter()
    page.evaluate("setInterval(() => { window.cut ||= 2; }, 10)")
    page.set_input_files(FILE, clip)
    expect(page.locator("#notice .notice.error")).to_have_text(text("broken_off", "en"))
    page.faults.clear()  # type: ignore[attr-defined]


def test_a_lost_heartbeat_does_not_end_an_answer(enter: Callable[[], Page], clip: Path) -> None:
    """The server takes the page for closed, yet somebody reads on."""
    page = enter()
    page.evaluate("window.losing = 3")
    page.set_input_files(FILE, clip)
    page.wait_for_function("window.losing === 0")
    assert answer(page)


def test_a_queue_that_is_full_is_a_sentence_and_the_next_try_is_answered(
    enter: Callable[[], Page], clip: Path
) -> None:
    page = enter()
    full = {"detail": "Queue is full."}
    page.route("**/queue/join**", lambda route: route.fulfill(status=503, json=full))
    page.set_input_files(FILE, clip)
    expect(page.locator("#notice")).to_contain_text(text("queue_full", "en"))
    page.unroute("**/queue/join**")
    page.click("#analyse")
    assert answer(page)
    page.faults.clear()  # type: ignore[attr-defined]  # the browser reports the 503
