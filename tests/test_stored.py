"""Recordings that are stored for labelling: listed with their size, and deleted."""

import shutil
from pathlib import Path

import pytest
import soundfile

from audiollm.errors import DataError
from audiollm.labelling.saved import SavedClips
from audiollm.labelling.store import LabelStore
from audiollm.labelling.tasks import Label
from audiollm.labels import LANGUAGES
from audiollm.web.analyse import saved_clips
from audiollm.web.analyse.saved_clips import Evidence
from audiollm.web.auth.access import ShutError
from audiollm.web.label import transfer
from audiollm.web.label.stored import Stored, delete, describe, stored_places
from audiollm.web.label.transfer import FOLDER, SAVED
from audiollm.web.services import Services
from tests.browser.fake import SURE
from tests.codes import coded
from tests.conftest import RATE, voiced
from tests.test_compare import serve


def sounds(folder: Path, number: int) -> list[str]:
    folder.mkdir()
    paths = [folder / f"{pitch}.wav" for pitch in range(number)]
    for path in paths:
        soundfile.write(path, voiced(1.5, 150 + 40 * int(path.stem)), RATE)
    return [str(path) for path in paths]


def uploaded(made: Services, folder: Path, number: int) -> None:
    list(transfer.gather(made, FOLDER, "", "en", sounds(folder, number)))


def test_what_is_stored_is_listed_with_its_size_and_deleted(tmp_path: Path) -> None:
    made = serve(tmp_path)
    home = made.settings.home
    assert stored_places(made) == []
    uploaded(made, tmp_path / "one", 2)
    uploaded(made, tmp_path / "two", 1)
    (single,) = sounds(tmp_path / "visitor", 1)
    shutil.move(single, kept := str(tmp_path / "kept.wav"))
    SavedClips(home)  # its folder
    assert len(stored_places(made)) == 2  # places without a recording are left out
    assert saved_clips.keep(made, Evidence(kept, "kept", "tiny", SURE), "en").id
    listed = stored_places(made)
    assert [(one.name, one.files) for one in listed] == [
        (SAVED, 1),
        ("clips/0", 2),
        ("clips/0-2", 1),
    ]
    size = sum(path.stat().st_size for path in (home / "clips" / "0").iterdir())
    assert listed[1].size == size
    tasks = len(LabelStore(home).tasks())
    assert delete(made, "clips/0") == 0
    assert not (home / "clips" / "0").exists()
    assert len(LabelStore(home).tasks()) < tasks
    assert delete(made, SAVED) == 0
    assert [one.name for one in stored_places(made)] == ["clips/0-2"]
    with pytest.raises(DataError, check=coded("upload_gone")):
        delete(made, "clips/../runs")


def test_a_recording_with_a_label_stays(tmp_path: Path) -> None:
    made = serve(tmp_path)
    uploaded(made, tmp_path / "one", 3)
    store = LabelStore(made.settings.home)
    first, *others = store.tasks()
    store.add_label(Label(first.id, "Ann", "sad"))
    assert delete(made, "clips/0") == 1
    assert [task.id for task in store.tasks()] == [first.id]
    assert Path(first.path).is_file() and not any(Path(task.path).exists() for task in others)
    assert [one.files for one in stored_places(made)] == [1]


def test_a_visitor_sees_and_deletes_nothing(tmp_path: Path) -> None:
    made = serve(tmp_path, host="0.0.0.0")  # noqa: S104
    with pytest.raises(ShutError):
        stored_places(made)
    with pytest.raises(ShutError):
        delete(made, SAVED)


def test_a_place_is_named_in_both_languages() -> None:
    for language in LANGUAGES:
        assert "1.5" in describe(Stored("clips/voices", 3, 1_500_000), language)
        assert "voices" in describe(Stored("clips/voices", 3, 1_500_000), language)
