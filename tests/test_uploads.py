"""Uploads can be deleted, and nothing else can."""

from pathlib import Path

import pytest

from audiollm.labels import LANGUAGES
from audiollm.web.said import SaidError
from audiollm.web.services import Services
from audiollm.web.train import actions, kept, upload, uploads
from audiollm.web.train.plan import Plan
from audiollm.web.train.sources import FOLDER
from tests.test_training import serve
from tests.test_unpacking import CLASSES, left, packed


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    monkeypatch.setattr(actions.Jobs, "tick", lambda _: None)  # jobs wait for ever
    return serve(tmp_path)


def test_an_upload_is_listed_and_deleted_with_all_that_is_in_it(
    here: Services, tmp_path: Path
) -> None:
    assert uploads.uploads(here) == []
    one = upload.take(here, packed(tmp_path / "One.zip", CLASSES)).place
    rows: dict[str, bytes | str] = {"all.csv": "file,label\na.wav,sad\n", "a.wav": b"1"}
    table = upload.take(here, packed(tmp_path / "two.zip", rows)).place
    assert [path.name for path in uploads.uploads(here)] == ["One", "two"]
    assert uploads.place_of(one) == one and uploads.place_of(table.parent) == table
    assert uploads.sounds(uploads.named(here, "One")) == 3
    uploads.delete(here, "One")
    assert left(tmp_path) == ["two"]
    with pytest.raises(SaidError, match="One"):
        uploads.delete(here, "One")


@pytest.mark.parametrize("name", ["", ".", "..", "../home", ".lock", ".part-1", "/", None, "link"])
def test_nothing_else_is_deleted(here: Services, tmp_path: Path, name: str | None) -> None:
    upload.take(here, packed(tmp_path / "one.zip", CLASSES))
    (tmp_path / "mine").mkdir()
    place = tmp_path / "home" / "uploads"
    (place / "link").symlink_to(tmp_path / "mine")
    (place / ".part-1").mkdir()
    with pytest.raises(SaidError) as refused:
        uploads.delete(here, name)
    for language in LANGUAGES:
        assert refused.value.in_language(language)
    assert (tmp_path / "mine").is_dir() and left(tmp_path) == [".part-1", "link", "one"]


def test_what_a_job_is_to_read_stays(here: Services, tmp_path: Path) -> None:
    place = upload.take(here, packed(tmp_path / "one.zip", CLASSES)).place
    job = actions.start(here, Plan("x", FOLDER, str(place)))
    upload.take(here, packed(tmp_path / "one-more.zip", CLASSES))
    with pytest.raises(SaidError, match="x is to read one"):
        uploads.delete(here, "one")
    uploads.delete(here, "one-more")
    actions.stop(here, job)
    uploads.delete(here, "one")
    assert left(tmp_path) == []


def test_the_page_asks_before() -> None:
    first, sure = kept.asks("one"), kept.asks("one", "Sure?")
    assert [part["visible"] for part in first] == [True, "hidden", "hidden", "hidden"]
    assert [part["visible"] for part in sure] == ["hidden", True, True, True]
    assert [part["visible"] for part in kept.asks(None)] == ["hidden"] * 4
