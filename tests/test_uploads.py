"""Uploads can be deleted, and nothing else can."""

from pathlib import Path

import pytest

from audiollm.errors import DataError
from audiollm.labels import LANGUAGES
from audiollm.texts import text
from audiollm.web.services import Services
from audiollm.web.train import actions, recordings, upload
from audiollm.web.train.plan import Plan
from audiollm.web.train.sources import FOLDER, NamelessError
from tests.codes import coded
from tests.test_training import serve
from tests.test_unpacking import CLASSES, SOUND, left, packed, wav

VOICES: dict[str, bytes | str] = {
    f"{label}/{n}.wav": wav(0.1, 10 * n + len(label))
    for label in ("angry", "sad")
    for n in range(9)
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    monkeypatch.setattr(actions.Jobs, "tick", lambda _: None)  # jobs wait for ever
    return serve(tmp_path)


def test_an_upload_is_listed_and_deleted_with_all_that_is_in_it(
    here: Services, tmp_path: Path
) -> None:
    assert upload.uploads(here) == []
    one = upload.take(here, packed(tmp_path / "One.zip", CLASSES)).path
    rows: dict[str, bytes | str] = {"all.csv": "file,label\na.wav,sad\n", "a.wav": SOUND}
    table = upload.take(here, packed(tmp_path / "two.zip", rows)).path
    assert [path.name for path in upload.uploads(here)] == ["One", "two"]
    assert upload.recordings_of(one) == one and upload.recordings_of(table.parent) == table
    upload.delete(here, "One")
    assert left(tmp_path) == ["two"]
    with pytest.raises(DataError, match="One"):
        upload.delete(here, "One")


def test_without_speakers_the_split_is_random_and_a_refused_upload_unselects(
    here: Services, tmp_path: Path
) -> None:
    path = packed(tmp_path / "one.zip", VOICES)
    taken = recordings.store_upload(here, str(path), "en")
    assert taken["alone"] and taken["folder"] == str(tmp_path / "home" / "uploads" / "one")
    values = Plan("x", FOLDER, taken["folder"]).values()
    with pytest.raises(NamelessError):
        actions.require_startable(here, Plan.of(values))
    actions.require_startable(here, Plan.of({**values, "alone": taken["alone"]}))
    rows = "".join(f"{name},{name.split('/')[0]},{n % 4}\n" for n, name in enumerate(VOICES))
    table = f"file,label,speaker\n{rows}"
    named = packed(tmp_path / "two.zip", {**VOICES, "manifest.csv": table})
    assert not recordings.store_upload(here, str(named), "en")["alone"]
    bad = packed(tmp_path / "bad.zip", dict.fromkeys(CLASSES, b"text"))
    refused = recordings.store_upload(here, str(bad), "en")
    assert (
        refused["folder"] == ""
        and text("upload_undecodable", "en", n=3, all=3) in (refused["message"])
    )


@pytest.mark.parametrize("name", ["", ".", "..", "../home", ".lock", ".part-1", "/", None, "link"])
def test_nothing_else_is_deleted(here: Services, tmp_path: Path, name: str | None) -> None:
    upload.take(here, packed(tmp_path / "one.zip", CLASSES))
    (tmp_path / "mine").mkdir()
    place = tmp_path / "home" / "uploads"
    (place / "link").symlink_to(tmp_path / "mine")
    (place / ".part-1").mkdir()
    with pytest.raises(DataError) as refused:
        upload.delete(here, name)
    for language in LANGUAGES:
        assert refused.value.in_language(language)
    assert (tmp_path / "mine").is_dir() and left(tmp_path) == [".part-1", "link", "one"]


def test_what_a_job_is_to_read_stays(here: Services, tmp_path: Path) -> None:
    place = upload.take(here, packed(tmp_path / "one.zip", VOICES)).path
    job = actions.start(here, Plan("x", FOLDER, str(place), alone=True))
    upload.take(here, packed(tmp_path / "one-more.zip", CLASSES))
    with pytest.raises(DataError, check=coded("upload_used")):
        upload.delete(here, "one")
    upload.delete(here, "one-more")
    actions.act(here, job, "stop")
    upload.delete(here, "one")
    assert left(tmp_path) == []
