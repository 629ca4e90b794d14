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
from audiollm.texts import text
from audiollm.web import model_host
from audiollm.web.services import Services
from audiollm.web.train import activation, view
from audiollm.web.train.activation import WorseError
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

    monkeypatch.setattr(model_host, "_loader", loader)
    monkeypatch.setattr(
        registry, "entries", lambda _: [registry.Entry(n, n, 1, metrics(n)) for n in table]
    )
    return serve(tmp_path)


def answers(services: Services) -> str:
    return services.predictor().card.name


def test_a_better_model_answers_at_once_and_the_one_before_comes_back(three: Services) -> None:
    assert not activation.can_restore(three)
    with pytest.raises(ModelError) as refused:
        activation.restore(three)
    assert refused.value.code == "restore_none"
    assert activation.activate(three, "better") == "better"
    assert answers(three) == "better"
    assert activation.can_restore(three)
    with pytest.raises(ModelError) as refused:
        activation.activate(three, "better")
    assert refused.value.code == "activate_already"
    assert activation.restore(three) == "tiny"
    assert answers(three) == "tiny"
    assert not activation.can_restore(three)


@pytest.mark.parametrize(
    ("name", "code"), [("worse", "promote_worse"), ("untested", "promote_unmeasured")]
)
def test_a_worse_model_needs_a_second_yes(three: Services, name: str, code: str) -> None:
    with pytest.raises(WorseError) as refused:
        activation.activate(three, name)
    assert answers(three) == "tiny"
    assert refused.value.codes == (code,)
    for language in LANGUAGES:
        said = view.explained(refused.value, language)
        assert said.startswith(text(code, language, name=name, new="0.50", old="0.66"))
        assert said.endswith(text("promote_again", language))
    assert activation.activate(three, name, anyway=True) == name
    assert answers(three) == name
    activation.restore(three)
    assert answers(three) == "tiny"


def test_only_a_listed_model_is_promoted(three: Services) -> None:
    for bad in ("/etc", "", "nothing"):
        with pytest.raises(AudioLLMError) as refused:
            activation.activate(three, bad, anyway=True)
        assert refused.value.code == "activate_no_model"
    assert answers(three) == "tiny"


def test_a_finished_job_shows_its_figures_beside_those_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = serve(tmp_path)
    steps = tuple(Plan("mine").steps_in(tmp_path / "home"))
    done = job("done", name="mine", steps=steps, step=5, share=1.0)
    assert activation.model_of(done) is None
    made = steps[3].result
    made.parent.mkdir(parents=True)
    made.write_text("{}")
    assert view.view(here, done, "en").model == str(made.parent)
    evil = {**METRICS, "data": "<img>", "ua": {"value": 0.5, "low": 0.4, "high": 0.6}}
    monkeypatch.setattr(activation, "metrics_of", lambda _: evil)
    shown = view.view(here, done, "en").result
    assert "0.50 <small>[0.40, 0.60]" in shown and "0.66" in shown and "<img>" not in shown
    used = text("result_in_use", "en", name="")
    assert "report.html" not in shown and used in shown
    here.model = Future()  # another model of the same name answers
    here.model.set_result(FakePredictor(card=Card(name="mine")))  # type: ignore[arg-type]
    shown = view.view(here, done, "en").result
    assert "0.66" in shown and shown.count(used) == 1 and 'row">mine<' in shown
    here.active = str(made.parent)
    assert view.view(here, done, "en").model == ""
    assert view.view(here, done, "en").result.count("<tr>") == 2  # the heads, and itself
    assert activation.metrics_of(tmp_path) == evil
    monkeypatch.undo()
    assert activation.metrics_of(tmp_path) == {}
    assert activation.ua({"ua": {"value": 7}}) is None


def test_a_step_of_another_program_keeps_its_name(tmp_path: Path) -> None:
    other = Step("grind <b>", ("x",), tmp_path / "y")
    found = job(steps=(other,), step=1)
    assert "grind" in view.step(found, "zh")
    assert "<b>" not in view.view(serve(tmp_path), found, "zh").detail.replace("<p><b>", "")
