"""How far a model has come while it is loaded, by a clock that the test turns."""

from pathlib import Path

import pytest

from audiollm.labels import LANGUAGES
from audiollm.model import loading
from audiollm.model.loading import READING, STEPS, USUAL, Came, Loading
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from audiollm.texts import text
from audiollm.web import render
from tests import tiny


class Clock:
    """Seconds that pass when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(loading, "_has_torch", lambda: False)
    return Clock()


def test_the_way_is_as_long_as_guessed_where_every_step_is(clock: Clock) -> None:
    load = Loading(llm=int(3 * READING), encoder=0, clock=clock)
    whole = sum(USUAL.values()) + 3 + 3  # its weights are read, and passed through once
    shares = []
    for step, lasts in zip(STEPS, (5.0, 2.0 + 3, 0.5, 1.0 + 3), strict=True):
        if step != STEPS[0]:
            load.begin(step)
        came = load.came()
        assert came.step == step
        assert came.left == pytest.approx(whole - (clock.now - 100))
        clock.now += lasts / 2
        shares.append(load.came().share)
        clock.now += lasts / 2
    assert None not in shares
    assert shares == sorted(shares)  # type: ignore[type-var]
    assert shares[0] == pytest.approx(2.5 / whole)


def test_a_slow_machine_is_expected_to_stay_slow(clock: Clock) -> None:
    load = Loading(llm=0, encoder=0, clock=clock)
    assert not load.came().late
    clock.now += 3 * USUAL["program"]
    late = load.came()
    assert late.left is not None and late.share is not None
    assert 0.5 < late.share < 1
    load.begin("llm")
    usual = sum(USUAL[s] for s in STEPS[1:])
    came = load.came()
    assert came.left is not None and 2 * usual < came.left < 3 * usual
    assert came.share is not None and came.share >= late.share  # a bar does not go back
    clock.now += 1000  # a step that never ends keeps a little of its guess
    came = load.came()
    assert came.left and came.share and came.left > 0 and came.share < 1
    assert came.late
    for language in LANGUAGES:
        step = text(f"step_{came.step}", language)
        assert text("loading_late", language, step=step) in render.loading(came, language)


def test_programs_that_are_there_already_say_little_of_the_rest(clock: Clock) -> None:
    load = Loading(llm=0, encoder=0, clock=clock)
    load._guess["program"] = loading.AGAIN
    clock.now += 0.003
    load.begin("llm")
    left = load.came().left
    assert left == pytest.approx(sum(USUAL[s] for s in STEPS[1:]), rel=0.1)


@pytest.mark.parametrize("id", ["foo/bar--baz", "foo/bar.git", "foo/bar."])
def test_an_id_that_the_hub_does_not_allow_is_no_error_here(id: str, tmp_path: Path) -> None:
    assert Loading.of(id, Settings(home=tmp_path)).came().share is None


def test_nobody_knows_how_long_a_download_takes(clock: Clock, tmp_path: Path) -> None:
    load = Loading.of("nobody/has-this", Settings(home=tmp_path))
    came = load.came()
    assert (came.step, came.share, came.left) == ("program", None, None)


def test_of_a_download_its_bytes_are_told(clock: Clock, tmp_path: Path) -> None:
    load = Loading.of("nobody/has-this", Settings(home=tmp_path))
    load.begin("llm")
    load.fetch(0, 0)  # how much it is, is not known yet
    assert load.came().share is None
    load.fetch(123_400_000, 988_000_000)
    came = load.came()
    assert (came.step, came.share, came.left) == ("llm", pytest.approx(0.125, abs=0.001), None)
    for language in LANGUAGES:
        assert "123.4" in render.loading(came, language)
        assert "988.0 MB" in render.loading(came, language)
    load.fetch(988_000_000, 988_000_000)  # now it is read
    assert load.came().share is None
    load.fetch(1, 2)
    load.begin("encoder")
    assert load.came() == Came("encoder", None, None)


def test_every_step_of_a_real_model_is_told(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, device="cpu")
    folder = str(tiny.model_folder(tmp_path, settings))
    load = Loading.of(folder, settings)
    told = [load.came().step]

    def begin(step: loading.Step) -> None:
        load.begin(step)
        came = load.came()
        told.append(came.step)
        assert came.share is not None and 0 <= came.share < 1

    Predictor.load(folder, settings, begin)
    assert tuple(told) == STEPS
