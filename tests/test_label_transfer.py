"""Clips into the queue of the Label page, labels into files and back."""

# ruff: noqa: F811  (fixtures of another file)

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile

from audiollm import audio
from audiollm.labelling import sources
from audiollm.labelling.saved import SavedClips
from audiollm.labelling.store import LabelStore
from audiollm.labelling.tasks import Label
from audiollm.texts import text
from audiollm.web.label import queue, transfer
from audiollm.web.services import Services
from tests.browser.fake import SURE
from tests.conftest import voiced
from tests.refusals import refused
from tests.test_labelling import services, voice  # noqa: F401  (fixtures)
from tests.test_labelling_store import task
from tests.test_unpacking import packed


def evaluated(folder: Path, voice: Path) -> Path:
    rows = [
        ("a", "sad", {"angry": 0.9, "sad": 0.1}),  # confident and wrong
        ("b", "sad", {"angry": 0.45, "sad": 0.55}),  # nearly a tie
        ("c", "sad", {"angry": 0.01, "sad": 0.99}),  # right
    ]
    result = {
        "model": {"name": "tiny"},
        "data": {"corpus": "emodb"},
        "metrics": {},
        "clips": [
            {
                "id": id * 64,
                "path": str(voice),
                "label": label,
                "predicted": max(answer, key=lambda k: answer[k]),
                "probabilities": answer,
                "speaker": "emodb-03",
                "seconds": 1.0,
            }
            for id, label, answer in rows
        ],
    }
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result))
    return folder / "result.json"


def test_the_mistakes_of_an_evaluation_and_a_random_share(tmp_path: Path, voice: Path) -> None:
    path = evaluated(tmp_path / "runs" / "e", voice)
    assert sources.evaluations([tmp_path / "runs"]) == [path]
    found = sources.from_evaluation(path, share=0)
    assert [(t.id[0], t.reason) for t in found.tasks] == [("a", "wrong"), ("b", "tie")]
    assert (found.skipped, found.tasks[0].original, found.tasks[0].predicted) == (1, "sad", "angry")
    every = sources.from_evaluation(path, share=1)
    assert [t.reason for t in every.tasks] == ["random"] * 3
    path.write_text("{}")
    with refused("label_no_evaluation"):
        sources.from_evaluation(path)


def test_clips_from_everywhere(services: Services, voice: Path, tmp_path: Path) -> None:
    home = services.settings.home
    evaluated(home / "runs" / "mine", voice)
    SavedClips(home).add(
        audio.from_array(voiced(1.2), 16000),
        "disagreement",
        "tiny",
        SURE,
        "tiny: encoder",
        {"sad": 1.0},
    )
    error: dict[str, Any] = {"clip": "5" * 64, "path": str(voice), "speaker": "s", "label": "sad"}
    error |= {"suggested": "angry", "confidence": 0.02, "likely": True}
    error["note"] = "ends no line: \u2028"
    lines = [
        json.dumps(error, ensure_ascii=False),
        json.dumps(error | {"clip": "6" * 64, "likely": False}),
    ]
    (home / "runs" / "mine" / "label-errors.jsonl").write_text("\n".join(lines))
    folder = tmp_path / "voices"
    folder.mkdir()
    for name in ("a.flac", "b.flac"):
        soundfile.write(folder / name, voiced(1.0, 150.0, len(name)), 16000)
    (folder / "broken.wav").write_text("no sound")
    known = dict(transfer.source_choices(services, "en"))
    assert set(known.values()) >= {transfer.SAVED, transfer.FOLDER}
    for words, id in known.items():
        if str(services.settings.home) in id or id in (transfer.SAVED, transfer.FOLDER):
            *_, last = transfer.gather(services, id, str(folder), "en")
            assert "new clips" in last, words
    found = {t.source: t for t in LabelStore(home).tasks()}
    assert found["mine"].reason == "label_error" and found["mine"].score == pytest.approx(0.98)
    assert found["analyse"].reason == "disagreement"
    assert found["voices"].reason in ("disagreement", "random") and found["voices"].answer == SURE
    assert found["voices"].id == audio.content_hash(audio.load(found["voices"].path))
    assert "tiny, emodb" in found
    with refused("label_no_source"):
        next(transfer.gather(services, "/etc/passwd", "", "en"))


@pytest.mark.parametrize("format", ["csv", "jsonl", "folder", "dataset", "studio"])
def test_what_is_given_can_be_taken(
    services: Services, voice: Path, format: str, tmp_path: Path
) -> None:
    book = LabelStore(services.settings.home)
    with refused("label_nothing_to_export"):
        transfer.export_labels(services, format)
    book.add_tasks([replace(task(0), path=str(voice), id=audio.content_hash(audio.load(voice)))])
    book.add_label(Label(book.tasks()[0].id, "Ann", "sad"))
    path = transfer.export_labels(services, format)
    assert transfer.import_labels(services, path, "Bo") == {"tasks": 1, "new": 0, "labels": 0}
    assert book.outcomes()[0].final == "sad"
    place = services.settings.home / transfer.CLIPS
    assert not list(place.glob("labels*"))  # its sounds were there already
    empty = Services(replace(services.settings, home=tmp_path / "empty"), services.model)
    assert transfer.import_labels(empty, path, "Bo") == {"tasks": 1, "new": 1, "labels": 1}
    (clip,) = queue.clips(empty, [book.tasks()[0].id], "en").values()
    assert "error" not in clip


def test_uploaded_clips_are_stored_and_added(
    services: Services, voice: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.wav"
    soundfile.write(other, voiced(1.5), 16000)
    zipped = packed(tmp_path / "more.zip", {"a/b.wav": other.read_bytes(), "notes.txt": "x"})
    files = [str(voice), str(zipped)]
    *_, added = transfer.gather(services, transfer.FOLDER, "", "en", files)
    assert text("label_added", "en", new=2, known=0, skipped=0, unusable=0) in added
    for file in (voice, zipped):
        file.unlink()  # Gradio's copies do not stay
    tasks = LabelStore(services.settings.home).tasks()
    found = queue.clips(services, [task.id for task in tasks], "en")
    assert len(found) == 2 and not any("error" in one for one in found.values())
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK")
    with refused("upload_broken"):
        next(transfer.gather(services, transfer.FOLDER, "", "en", [str(broken)]))


def test_sounds_of_one_name_in_an_upload_are_all_kept(services: Services, tmp_path: Path) -> None:
    files = []
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "take.wav")
        soundfile.write(files[-1], voiced(1.0, 120.0 + 40 * len(files)), 16000)
    kept = transfer.store_uploads(services, [str(file) for file in files])
    assert {path.read_bytes() for path in kept.iterdir()} == {f.read_bytes() for f in files}
