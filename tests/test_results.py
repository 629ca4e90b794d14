"""What came of a training: pictures, the report, its mistakes to hear and to send to Label."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiollm.contracts.result import confidences, mistakes, probability
from audiollm.errors import DataError
from audiollm.jobs.job import Job
from audiollm.jobs.queue import Jobs
from audiollm.labelling.store import LabelStore
from audiollm.labels import LANGUAGES, Language, title
from audiollm.metrics import figures, report
from audiollm.texts import text
from audiollm.web.auth.access import ShutError
from audiollm.web.services import Services
from audiollm.web.train import actions, results, view
from audiollm.web.train.plan import Plan
from tests.conftest import voiced
from tests.test_training import STRANGER, reachable, serve

CLASSES = ("angry", "happy", "sad")
# label, answer, probability of the answer
ANSWERS: tuple[tuple[str, str | None, float], ...] = (
    ("angry", "angry", 0.9),
    ("angry", "happy", 0.5),
    ("happy", "happy", 0.7),
    ("happy", "angry", 0.8),
    ("sad", None, 0.0),
    ("sad", "sad", 0.6),
)


def evaluation(folder: Path, place: Path) -> None:
    """A `result.json` over six sounds, and its report."""
    clips, table = [], []
    for i, (label, answer, share) in enumerate(ANSWERS):
        path = folder / f"<{i}>.wav"
        soundfile.write(path, voiced(1.0, 100 + 20 * i), 16000)
        rest = (1 - share) / (len(CLASSES) - 1)
        shares = {c: share if c == answer else rest for c in CLASSES} if answer else None
        table.append([shares[c] for c in CLASSES] if shares else [np.nan] * len(CLASSES))
        clips.append(
            {"id": f"clip{i}", "path": str(path), "label": label, "predicted": answer}
            | {"probabilities": shares, "speaker": "a<b", "seconds": 1.0}
        )
    truth, answers = [a[0] for a in ANSWERS], [a[1] for a in ANSWERS]
    found = report(truth, answers, np.array(table), CLASSES).to_dict()
    about = {
        "model": {"name": "mine", "folder": "", "hash": ""},
        "data": {"folder": str(folder), "corpus": "emodb"},
    }
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"metrics": found, "probes": {}, "clips": clips, **about}))
    place.with_name("report.html").write_text("<html>the report</html>")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """A page whose only training is done."""
    monkeypatch.setattr(Jobs, "tick", lambda _: None)
    monkeypatch.chdir(tmp_path)
    made = serve(tmp_path)
    actions.start(made, Plan("mine"))
    (job,) = actions.jobs(made)
    evaluation(tmp_path, place_of(job))
    with Jobs(made.settings.home).database.write() as db:
        db.execute("UPDATE jobs SET state='done'")
    return made


def place_of(job: Job) -> Path:
    """The evaluation's `result.json`."""
    return next(step.result for step in job.steps if step.name == "evaluate")


def id_of(services: Services) -> str:
    return actions.jobs(services)[0].id


def test_the_most_confident_mistakes_come_first(here: Services) -> None:
    found = view.evaluation_of(actions.jobs(here)[0])
    assert found is not None
    wrong = mistakes(found["clips"])
    assert [one["id"] for one in wrong] == ["clip3", "clip1", "clip4"]
    assert probability(wrong[1], "angry") == pytest.approx(0.25)
    assert len(confidences(found["clips"])) == 5
    for language in LANGUAGES:
        words, silent = results.line(wrong[0], language), results.line(wrong[-1], language)
        assert "80" in words
        assert title("happy", language) in words and title("angry", language) in words
        assert text("wrong_silent", language) in silent


def test_pictures_are_plain_lists_in_both_languages(here: Services) -> None:
    found = view.evaluation_of(actions.jobs(here)[0])
    assert found is not None
    metrics, claims = found["metrics"], confidences(found["clips"])
    for language in LANGUAGES:
        confusion = figures.confusion(metrics, language, "title")
        (heat,) = confusion.data
        classes = [title(name, language) for name in CLASSES]
        assert list(heat.x) == [*classes, text("judged_no_answer", language)]
        assert list(heat.y) == classes
        assert [list(row) for row in heat.text] == [
            ["1", "1", "", ""],
            ["1", "1", "", ""],
            ["", "", "1", "1"],
        ]
        assert list(heat.z[0]) == [0.5, 0.5, 0, 0]
        reliability = figures.reliability(metrics, claims, language, "title")
        _, true, often = reliability.data
        bins = metrics["reliability"]
        assert list(true.y) == [one["accuracy"] for one in bins] and bins
        assert sum(often.y) == 5 and often.y[9] == 1
        for figure in (confusion, reliability):
            assert "bdata" not in str(figure.to_json())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wrong_answer_is_played(here: Services, language: Language) -> None:
    shown = results.playback(here, id_of(here), "clip3", language)
    rate, samples = shown["sound"]["value"]
    assert (rate, len(samples), samples.dtype) == (16000, 16000, np.int16)
    about = shown["about"]["value"]
    assert f"<b>{title('happy', language)}</b>" in about and "&lt;3&gt;.wav" in about
    assert "80" in about and "10" in about and shown["send"]["visible"] is True
    shown = results.playback(here, id_of(here), "clip0", language)  # that was right
    assert text("wrong_gone", language) in shown["about"]["value"]
    assert shown["send"]["visible"] == "hidden"


def test_a_mistake_is_sent_to_label_once(here: Services) -> None:
    for key in ("wrong_sent", "wrong_known"):
        assert text(key, "en") in results.send_message(here, id_of(here), "clip3", "en")
    (task,) = LabelStore(here.settings.home).tasks()
    assert (task.id, task.original, task.predicted, task.reason) == (
        "clip3",
        "happy",
        "angry",
        "wrong",
    )
    assert text("wrong_gone", "zh") in results.send_message(here, "nothing", "clip3", "zh")


def test_a_sound_that_is_gone_is_a_sentence(here: Services) -> None:
    found = view.evaluation_of(actions.jobs(here)[0])
    assert found is not None
    for one in mistakes(found["clips"]):
        Path(one["path"]).unlink()
    with pytest.raises(DataError):
        results.sound(here, id_of(here), "clip3")
    for path in Path(found["data"]["folder"]).glob("*.wav"):
        path.unlink()
    assert "error" in results.send_message(here, id_of(here), "clip3", "en")


def test_the_report_is_handed_out_as_a_copy(here: Services) -> None:
    path = Path(results.report(here, id_of(here), "../我的 model"))
    assert path.name == ".._我的_model-report.html"
    assert path.read_text() == "<html>the report</html>"
    assert here.settings.home not in path.parents
    with pytest.raises(DataError):
        results.report(here, "nothing", "x")


def test_what_is_shown_of_a_job(here: Services) -> None:
    (job,) = actions.jobs(here)
    parts = results.now(here, job, "en")
    shown: dict[str, dict[str, Any]] = {name: fields() for name, (fields, _) in parts.items()}
    assert shown["confusion"]["visible"] and shown["reliability"]["visible"]
    assert Path(shown["report"]["value"]).is_file()
    assert "3 of 6 recordings" in shown["summary"]["value"]
    assert len(shown["wrong"]["choices"]) == 3 and shown["sound"]["value"] is None

    def marks(language: Language) -> list[str]:
        return [repr(mark) for _, mark in results.now(here, job, language).values()]

    assert marks("en") == marks("en")  # nothing is new
    assert marks("en") != marks("zh")
    tested_ = place_of(job)
    tested_.with_name("report.html").unlink()
    assert results.now(here, job, "en")["report"][0]()["visible"] == "hidden"
    tested_.write_text("{}")
    for missing in (job, None):
        assert results.now(here, missing, "en") == {}


def test_strangers_play_and_send_nothing(tmp_path: Path) -> None:
    there = serve(tmp_path, STRANGER)
    handlers = {"lay_out", "connect", "now", "playback", "send_message"}  # the last two are below
    known = [f for f in reachable(results) if f.__name__ not in handlers]
    assert {f.__name__ for f in known} == {"sound", "send", "report"}
    for function in known:
        with pytest.raises(ShutError):
            function(there, "job", "clip")
    for language in LANGUAGES:
        assert text("refused", language) in results.send_message(there, "job", "clip", language)
        shown = results.playback(there, "job", "clip", language)
        assert text("refused", language) in shown["about"]["value"]
    assert not (tmp_path / "home").exists()
