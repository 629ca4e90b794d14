"""A new model takes the place of the one in use, or does not, and can be taken back."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from audiollm.errors import AudioLLMError, ModelError
from audiollm.jobs.job import Step
from audiollm.labels import LANGUAGES
from audiollm.model import registry
from audiollm.texts import TEXTS, text
from audiollm.web import services as of_page
from audiollm.web.services import Services
from audiollm.web.train import actions, view
from audiollm.web.train.actions import WorseError
from audiollm.web.train.plan import Plan
from tests.browser.fake import METRICS, Card, FakePredictor
from tests.test_training import job, serve


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """`tiny` answers with UA 0.66; `better`, `worse` and `untested` could."""
    table = {"tiny": 0.66, "better": 0.7, "worse": 0.5, "untested": None}

    def metrics(name: str) -> dict[str, Any]:
        value = table[name]
        return {} if value is None else {**METRICS, "ua": {**METRICS["ua"], "value": value}}  # type: ignore

    def loader(id: str, *_: object) -> Callable[[], FakePredictor]:
        return lambda: FakePredictor(card=Card(name=id, metrics=metrics(id)))

    monkeypatch.setattr(of_page, "_loader", loader)
    monkeypatch.setattr(
        registry, "entries", lambda _: [registry.Entry(n, n, 1, metrics(n)) for n in table]
    )
    return serve(tmp_path)


def answers(services: Services) -> str:
    return services.predictor().card.name


def test_a_better_model_answers_at_once_and_the_one_before_comes_back(three: Services) -> None:
    assert not actions.can_roll_back(three)
    with pytest.raises(ModelError, match="go back"):
        actions.roll_back(three)
    assert actions.promote(three, "better") == "better"
    assert answers(three) == "better"
    assert actions.can_roll_back(three)
    with pytest.raises(ModelError, match="already"):
        actions.promote(three, "better")
    assert actions.roll_back(three) == "tiny"
    assert answers(three) == "tiny"
    assert not actions.can_roll_back(three)


@pytest.mark.parametrize(("name", "key"), [("worse", "promote_worse"), ("untested", "_unmeasured")])
def test_a_worse_model_needs_a_second_yes(three: Services, name: str, key: str) -> None:
    with pytest.raises(WorseError) as refused:
        actions.promote(three, name)
    assert answers(three) == "tiny"
    for language in LANGUAGES:
        said = view.explained(refused.value, language)
        lead = TEXTS["promote_worse" if key == "promote_worse" else "promote_unmeasured"][language]
        assert said.startswith(lead.format(name=name, new="0.50", old="0.66"))
        assert said.endswith(text("promote_again", language))
    assert actions.promote(three, name, anyway=True) == name
    assert answers(three) == name
    actions.roll_back(three)
    assert answers(three) == "tiny"


def test_only_a_listed_model_is_promoted(three: Services) -> None:
    for bad in ("/etc", "", "nothing"):
        with pytest.raises(AudioLLMError, match="There is no model"):
            actions.promote(three, bad, anyway=True)
    assert answers(three) == "tiny"


def test_a_finished_job_shows_its_figures_beside_those_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = serve(tmp_path)
    steps = tuple(Plan("mine").steps_in(tmp_path / "home"))
    done = job("done", name="mine", steps=steps, step=5, share=1.0)
    assert actions.model_of(done) is None
    made = steps[3].result
    made.parent.mkdir(parents=True)
    made.write_text("{}")
    assert view.view(here, done, "en").model == str(made.parent)
    evil = {**METRICS, "data": "<img>", "ua": {"value": 0.5, "low": 0.4, "high": 0.6}}
    monkeypatch.setattr(actions, "metrics_of", lambda _: evil)
    shown = view.view(here, done, "en").result
    assert "0.50 <small>[0.40, 0.60]" in shown and "0.66" in shown and "<img>" not in shown
    assert "report.html" not in shown and "answers now" in shown
    here.model = Future()  # another model of the same name answers
    here.model.set_result(FakePredictor(card=Card(name="mine")))  # type: ignore[arg-type]
    shown = view.view(here, done, "en").result
    assert "0.66" in shown and shown.count("answers now") == 1 and 'row">mine<' in shown
    here.using = str(made.parent)
    assert view.view(here, done, "en").model == ""
    assert view.view(here, done, "en").result.count("<tr>") == 2  # the heads, and itself
    assert actions.metrics_of(tmp_path) == evil
    monkeypatch.undo()
    assert actions.metrics_of(tmp_path) == {}
    assert actions.ua({"ua": {"value": 7}}) is None


def test_a_step_of_another_program_keeps_its_name(tmp_path: Path) -> None:
    other = Step("grind <b>", ("x",), tmp_path / "y")
    found = job(steps=(other,), step=1)
    assert "grind" in view.step(found, "zh")
    assert "<b>" not in view.view(serve(tmp_path), found, "zh").detail.replace("<p><b>", "")
