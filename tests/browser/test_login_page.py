"""The owner logs in on a host that others reach; a stranger stays outside, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from audiollm.texts import text
from tests.browser.conftest import Served, Visit, serve
from tests.browser.test_analyse_page import FILE, answer
from tests.browser.test_train_page import open_train

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SECRET = "correct horse battery"


@pytest.fixture
def public(clip: Path, tmp_path: Path) -> Iterator[Served]:
    """Reachable for the whole network, with a password."""
    host = "0.0.0.0"  # noqa: S104
    with serve(clip, tmp_path, fake=True, host=host, AUDIOLLM_OWNER=f"ann:{SECRET}") as served:
        yield served


def log_in(page: Page, password: str) -> None:
    page.fill("#train-owner input, #train-owner textarea", "ann")
    page.fill("#train-password input", password)
    page.click("#train-enter")


def test_only_the_owner_gets_in(public: Served, visit: Visit, browser: Browser, clip: Path) -> None:
    page = visit(at=public.url)
    page.set_input_files(FILE, clip)  # whoever analyses needs no login
    assert answer(page)
    open_train(page)
    expect(page.locator("#train-login")).to_contain_text(text("login_password", "en"))
    expect(page.locator("#train-start")).to_have_count(0)

    log_in(page, "wrong password")
    expect(page.locator("#train-login-message")).to_contain_text(text("login_wrong", "en"))
    expect(page.locator("#train-password input")).to_have_value("")
    page.faults.clear()  # type: ignore[attr-defined]  # the browser says that it was refused
    log_in(page, SECRET)
    expect(page.locator("#train-start")).to_be_visible()
    expect(page.locator("#train-data")).to_contain_text("Angry")
    expect(page.locator("#train-login")).to_be_hidden()
    assert not any(SECRET in str(part) for part in page.context.storage_state().values())

    other = browser.new_context(locale="zh-CN")
    stranger = visit(at=public.url, profile=other)
    open_train(stranger, "zh")
    expect(stranger.locator("#train-login")).to_contain_text(text("login_password", "zh"))
    expect(stranger.locator("#train-start")).to_have_count(0)

    page.reload()  # still logged in, and still at this tab
    page.wait_for_selector("#about .about b", state="attached")
    open_train(page)
    expect(page.locator("#train-start")).to_be_visible()
    page.click("#train-leave")
    page.wait_for_selector("#about .about b", state="attached")
    open_train(page)
    expect(page.locator("#train-login")).to_be_visible()
    expect(page.locator("#train-start")).to_have_count(0)


def test_at_the_machine_nobody_is_asked(clip: Path, tmp_path: Path, visit: Visit) -> None:
    with serve(clip, tmp_path, fake=True) as served:
        page = visit(at=served.url)
        open_train(page)
        expect(page.locator("#train-data")).to_contain_text("Angry")
        expect(page.locator("#job-detail")).to_contain_text(text("jobs_none", "en"))
        expect(page.locator("#train-login")).to_be_hidden()
        page.close()
