"""Recordings that a person brings along, in a real browser: uploaded, seen, heard, prepared."""

import csv
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from audiollm.labels import capital
from audiollm.settings import ASSETS
from audiollm.texts import text
from tests.browser.conftest import Served, Visit
from tests.browser.test_analyse_page import CHINESE
from tests.browser.test_train_page import open_train

pytestmark = [pytest.mark.browser, pytest.mark.long]
SPEAKERS = ("emodb-03", "emodb-08", "emodb-09", "emodb-10")
PREPARED = 600_000  # ms, beside other jobs


def recordings(path: Path) -> Path:
    """A zip as people make one: a folder for each class in a folder, and what nobody needs."""
    table = ASSETS / "emodb" / "manifest.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in ("angry", "sad")]
    with zipfile.ZipFile(path, "w") as made:
        for label in ("angry", "sad"):
            for speaker in SPEAKERS:
                found = [r for r in rows if (r["label"], r["speaker"]) == (label, speaker)]
                for row in found[:3]:
                    name = Path(row["file"]).name
                    made.write(table.parent / row["file"], f"voices/{label}/{speaker}-{name}")
        made.writestr("voices/readme.txt", "hello")
        made.writestr("voices/../../up.flac", "no")
    return path


def choose(page: Page, source: str) -> None:
    page.click("#train-source input")
    page.get_by_role("option", name=source).click()


def asks_who_speaks(page: Page) -> None:
    """Nobody is named: a random split, which can be undone and is proposed again."""
    alone = page.locator("#train-alone input")
    expect(alone).to_be_checked()  # nobody knows who speaks
    expect(page.locator("#train-start")).to_be_enabled()
    alone.uncheck()
    unknown = text("data_nameless", "en", n=24, all=24)
    expect(page.locator("#train-message")).to_contain_text(unknown)
    expect(page.locator("#train-start")).to_be_disabled()
    page.click("#train-split")
    expect(alone).to_be_checked()
    expect(page.locator("#train-start")).to_be_enabled()


def test_an_upload_is_seen_heard_and_prepared(studio: Served, visit: Visit, tmp_path: Path) -> None:
    page = visit(at=studio.url)
    open_train(page)
    expect(page.locator("#train-classes .bars .point").first).to_be_attached()

    expect(page.locator("#train-start")).to_be_enabled()
    choose(page, text("source_folder", "en"))
    expect(page.locator("#train-message")).to_contain_text(text("source_no_folder", "en"))
    expect(page.locator("#train-tab .error")).to_have_count(0)  # nothing was done yet
    expect(page.locator("#train-start")).to_be_disabled()
    page.set_input_files("#train-upload input[type=file]", recordings(tmp_path / "Our voices.zip"))
    expect(page.locator("#data-message")).to_contain_text("Our-voices")
    told = page.inner_text("#data-message")
    assert text("left_kind", "en", n=1) in told and text("left_unsafe", "en", n=1) in told
    expect(page.locator("#train-folder textarea, #train-folder input")).to_have_value(
        str(tmp_path / "home" / "uploads" / "Our-voices")
    )
    asks_who_speaks(page)
    pattern = page.locator("#train-pattern textarea, #train-pattern input")
    pattern.fill(r"(emodb-\d+)")
    pattern.press("Enter")
    expect(page.locator("#train-data table")).to_contain_text(capital(text("split_test", "en")))
    expect(page.locator("#train-alone input")).not_to_be_checked()
    expect(page.locator("#train-data tr").last.locator("td").nth(1)).to_have_text("4")
    unsplit = text("note_random", "en", corpus="Our-voices")  # by speaker, and looked at
    expect(page.locator("#train-data")).not_to_contain_text(unsplit)

    page.click("#player-class input")
    page.get_by_role("option", name="sad").click()
    expect(page.locator("#player-about")).to_contain_text(re.compile("Sad.*emodb-.*flac"))
    expect(page.locator("#player-sound")).to_contain_text("0:0")

    page.click("#train-prepare")
    expect(page.locator("#job-detail b")).to_have_text("my-model")
    expect(page.locator("#job-detail")).to_contain_text(text("job_done", "en"), timeout=PREPARED)
    expect(page.locator("#train-source input")).to_have_value(re.compile("Prepared: my-model"))
    expect(page.locator("#train-data table")).to_contain_text(capital(text("split_test", "en")))
    expect(page.locator("#train-data")).not_to_contain_text(text("data_planned", "en"))
    expect(page.locator("#train-commands textarea")).not_to_have_value(re.compile("train prepare"))
    page.click("#player-next")
    expect(page.locator("#player-about")).to_contain_text("emodb-")

    other = visit("zh-CN", 390, studio.url)  # a second page, in Chinese on a phone
    open_train(other, "zh")
    choose(other, "my-model")
    expect(other.locator("#train-data table")).to_contain_text(text("split_test", "zh"))
    expect(other.locator("#train-data")).to_contain_text(re.compile(CHINESE))
    other.wait_for_function("document.documentElement.scrollWidth <= 390")

    choose(page, text("source_folder", "en"))
    page.click("#upload-kept input")
    page.get_by_role("option", name="Our-voices").click()
    page.click("#upload-delete")  # voices are personal
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#upload-delete")
    expect(page.locator("#data-message")).to_contain_text(
        text("upload_deleted", "en", name="Our-voices")
    )
    expect(page.locator("#upload-kept")).to_be_hidden()
    assert [path.name for path in (tmp_path / "home" / "uploads").iterdir()] == [".lock"]


def test_a_refused_upload_does_not_leave_the_one_before(
    studio: Served, visit: Visit, tmp_path: Path
) -> None:
    page = visit(at=studio.url)
    open_train(page)
    choose(page, text("source_folder", "en"))
    folder = page.locator("#train-folder textarea, #train-folder input")
    page.set_input_files("#train-upload input[type=file]", recordings(tmp_path / "Our voices.zip"))
    expect(folder).to_have_value(re.compile("Our-voices"))
    expect(page.locator("#train-start")).to_be_enabled()
    (tmp_path / "broken.zip").write_bytes(b"PK")
    page.set_input_files("#train-upload input[type=file]", tmp_path / "broken.zip")
    expect(page.locator("#data-message .error")).to_contain_text(
        text("upload_broken", "en", name="broken.zip")
    )
    expect(folder).to_have_value("")
    expect(page.locator("#train-start")).to_be_disabled()
    uploads = sorted(path.name for path in (tmp_path / "home" / "uploads").iterdir())
    assert uploads == [".lock", "Our-voices"]
