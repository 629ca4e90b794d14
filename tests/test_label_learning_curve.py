"""The learning curve of the Label page: measured in a process of its own, stored, shown."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from audiollm.contracts.learning_curve import CURVE, Extrapolation, LearningCurve, Point
from audiollm.labelling.statistics import FEWEST
from audiollm.labelling.tasks import Label, Task
from audiollm.labels import LANGUAGES, Language
from audiollm.web.auth.access import ShutError
from audiollm.web.label import learning_curve
from audiollm.web.label.queue import label_store
from audiollm.web.services import Services
from tests import prepared
from tests.refusals import refused
from tests.test_prepare import voice
from tests.test_training import STRANGER, serve


def interval(value: float, width: float = 0.02) -> dict[str, Any]:
    return {"value": value, "low": value - width, "high": value + width, "unit": "speakers"}


NONE: LearningCurve = {
    "labels": 3,
    "corrected": 3,
    "left": {},
    "clips": 400,
    "speakers": 8,
    "features": "functionals",
    "fewest": FEWEST,
    "points": [],
    "gain": None,
    "ahead": None,
}


def ahead(more: float = 0.03, width: float = 0.02) -> Extrapolation:
    points: list[Point] = [{"labels": n, "ua": interval(0.5 + n / 1000)} for n in (60, 80)]
    return {"labels": 40, "gain": interval(more, width), "points": points}


def found(more: float = 0.03, width: float = 0.02) -> LearningCurve:
    points: list[Point] = [{"labels": n, "ua": interval(0.5 + n / 1000)} for n in (0, 20, 40)]
    return {
        "labels": 40,
        "corrected": 30,
        "left": {"no class": 2, "their speakers judge the model": 1},
        "clips": 400,
        "speakers": 8,
        "features": "functionals",
        "fewest": FEWEST,
        "points": points,
        "gain": interval(0.04),
        "ahead": ahead(more, width),
        "data": "/data/<mine>",
    }


def labelled(services: Services, folder: Path, count: int) -> None:
    """So many clips, each with a sound of its own and a label."""
    known = label_store(services)
    for number in range(count):
        path = folder / f"{number}.wav"
        if not path.exists():
            voice(path, 110 + number, 0.3)
        known.add_tasks([Task(f"{number:064x}", str(path), 0.3, "test", "plain", original="sad")])
        known.add_label(Label(f"{number:064x}", "Ann", "angry"))


@pytest.mark.parametrize(
    ("more", "width", "verdict"),
    [(0.03, 0.02, "yes"), (0.01, 0.02, "unknown"), (0.0, 0.005, "no"), (-0.05, 0.01, "no")],
)
def test_the_sentence_follows_the_interval(more: float, width: float, verdict: str) -> None:
    assert learning_curve.helps(ahead(more, width)) == verdict
    for language in LANGUAGES:
        said = learning_curve.sentence(found(more, width), language)
        low, high = 100 * (more - width), 100 * (more + width)
        assert (
            f"{100 * more:+.1f} [{low:+.1f}, {high:+.1f}]" in said and "+4.0 [+2.0, +6.0]" in said
        )


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_stands_below_it(language: Language) -> None:
    said = learning_curve.html(found(), 43, language)
    assert "<mine>" not in said and "&lt;mine&gt;" in said and "400" in said
    stale = learning_curve.html(found(), 60, language)
    assert stale != said and "60" in stale and "43" in stale
    few = learning_curve.html(NONE, 6, language)
    assert str(FEWEST) in few and "&lt;mine&gt;" not in few
    assert learning_curve.figure(NONE, language) is None


def test_the_curve_meets_what_it_goes_on_from() -> None:
    drawn = learning_curve.figure(found(), "en")
    assert drawn is not None
    band, line, further_band, further = drawn.data
    assert list(line.x) == [0, 20, 40] and list(further.x) == [40, 60, 80]
    assert further.y[0] == line.y[-1]
    assert list(band.x) == [0, 20, 40, 40, 20, 0] and max(band.y) == pytest.approx(0.56)
    assert band.fill == further_band.fill == "toself"


def test_too_few_labels_start_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    services = serve(tmp_path)
    labelled(services, tmp_path, 3)
    with refused("learning_curve_few") as values:
        next(learning_curve.measure(services, "data", "en"))
    assert (values["n"], values["fewest"]) == (3, FEWEST)


def test_strangers_learn_nothing(tmp_path: Path) -> None:
    services = serve(tmp_path, STRANGER)
    for act in (
        lambda: next(learning_curve.measure(services, "data", "en")),
        lambda: learning_curve.last(services),
    ):
        with pytest.raises(ShutError):
            act()


@pytest.mark.slow
def test_it_is_measured_and_kept(tmp_path: Path) -> None:
    services = serve(tmp_path)
    assert learning_curve.last(services) is None
    labelled(services, tmp_path / "voices", FEWEST)
    data = prepared.write(tmp_path / "data")
    begun, *_ = learning_curve.measure(services, str(data), "en")
    assert "<progress" in begun
    last = learning_curve.last(services)
    # these data were measured in another way than a sound is today
    assert last is not None and (last["labels"], sum(last["left"].values())) == (0, FEWEST)
    assert learning_curve.sentence(last, "en") in learning_curve.html(last, FEWEST, "en")
    (services.settings.home / CURVE).write_text("{")
    assert learning_curve.last(services) is None


def instead(monkeypatch: pytest.MonkeyPatch, script: str) -> list[Any]:
    """Another program is started in place of `train learning-curve`; returns what was started."""
    made, whole = [], subprocess.Popen

    def spy(command: list[str], **options: Any) -> Any:
        made.append(whole([command[0], "-c", script], **options))
        return made[-1]

    monkeypatch.setattr(subprocess, "Popen", spy)
    return made


def test_who_looks_away_ends_the_measuring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = serve(tmp_path)
    labelled(services, tmp_path / "voices", FEWEST)
    endless = "import time; print('1 of 9 probes', flush=True); time.sleep(600)"
    made = instead(monkeypatch, endless)
    going = learning_curve.measure(services, "data", "en")
    assert "<progress" in next(going) and 'value="0.111"' in next(going)
    going.close()
    assert made[0].poll() is not None


def test_what_goes_wrong_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = serve(tmp_path)
    labelled(services, tmp_path / "voices", FEWEST)
    instead(monkeypatch, "import sys; print('a warning\\nNo clips.', file=sys.stderr); sys.exit(2)")
    with refused("learning_curve_failed") as values:
        list(learning_curve.measure(services, "data", "en"))
    assert values["reason"] == "No clips."
    assert learning_curve.last(services) is None
