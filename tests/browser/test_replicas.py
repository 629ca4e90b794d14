"""Two processes of the page on one home, as behind a proxy: clips, labels and jobs are shared."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import expect

from audiollm.jobs.job import Step
from audiollm.jobs.queue import Jobs
from audiollm.labelling.store import LabelStore
from audiollm.texts import text
from tests.browser.conftest import Served, Visit, end, serve
from tests.browser.test_label_page import home, on_screen, press, sit_down  # noqa: F401

pytestmark = pytest.mark.browser


@pytest.fixture
def replicas(home: Path, clip: Path) -> Iterator[list[Served]]:  # noqa: F811
    """Two pages, each in a process of its own, on the same home."""
    with ExitStack() as stack:
        folders = [home.parent / name for name in ("one", "two")]
        for folder in folders:
            folder.mkdir()
        started = [
            stack.enter_context(serve(clip, folder, fake=True, AUDIOLLM_HOME=str(home)))
            for folder in folders
        ]
        yield started
    end(Jobs(home))


def test_two_replicas_share_clips_labels_and_jobs(
    replicas: list[Served],
    visit: Visit,
    home: Path,  # noqa: F811
) -> None:
    pages = {
        person: visit(at=served.url) for person, served in zip(("Ann", "Bo"), replicas, strict=True)
    }
    for person, page in pages.items():
        sit_down(page, person)
    seen: list[str] = []
    for _ in range(4):
        seen += [on_screen(page) for page in pages.values()]
        for page in pages.values():
            press(page, "1")
    assert len(set(seen)) == len(seen)  # nobody gets what somebody labels at the other replica
    assert {label.person for label in LabelStore(home).history()} == {"Ann", "Bo"}

    page = visit(at=replicas[1].url)  # the proxy sends her to the other one: it knows her labels
    sit_down(page, "Ann")
    assert on_screen(page) not in seen

    jobs = Jobs(home)
    words = ("train", "prepare", "--corpus", "emodb", "--out", str(home / "data"))
    id = jobs.add("shared job", "cpu", [Step("prepare", words, home / "data" / "prepare.json")])
    for page in pages.values():
        page.get_by_role("tab", name=text("tab_train", "en"), exact=True).click()
        expect(page.get_by_text(re.compile("shared job")).first).to_be_visible()
    jobs.kill(id)
