"""Settings that fit the data: what is proposed, and what of it a person's own settings leave."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from audiollm.labels import LANGUAGES
from audiollm.texts import text
from audiollm.web.train import actions, proposal
from audiollm.web.train.plan import KEYS, OWN, PRESETS, USUAL, Plan
from audiollm.web.train.sources import FOLDER, HUB
from tests.test_training import prepare, serve
from train.fit.options import configure, explicit_options
from train.tiny import recipe


def options(words: str) -> dict[str, Any]:
    """The options of `fit` in a recipe's words."""
    parser = argparse.ArgumentParser()
    configure(parser)
    return explicit_options(parser.parse_args(words.split()))


def test_a_preset_is_marked_as_long_as_its_epochs_stand() -> None:
    values = proposal.first().values()
    offered = {"factor": 1.0, **values}
    assert proposal.preset(values, offered) == USUAL
    assert proposal.preset(values, {**offered, "factor": PRESETS["quick"]}) == "quick"
    assert proposal.preset({**values, "epochs_2": 9.5}, offered) is None
    assert proposal.preset({**values, "max_steps_1": 4}, offered) is None


def test_few_recordings_get_what_makes_the_shipped_model() -> None:
    plan = proposal.first()
    for words, config in zip((recipe.STAGE_1, recipe.STAGE_2), plan.stages, strict=True):
        recipes, proposed = options(words), config.to_dict()
        known = {name for name, those in KEYS.values() if config.stage in those} - {"max_steps"}
        # docs/training.md has what the proposal's own input dropout gives with few recordings
        for name in recipes.keys() & known - {"input_dropout"}:
            assert recipes[name] == proposed[name]
        assert recipes.keys() - known <= {  # the rest are defaults of `fit`
            *("max_steps", "class_token_weight", "auxiliary", "auxiliary_by", "evaluations"),
            *("pretraining_epochs", "baseline", "distillation", "teacher"),
        }


@pytest.mark.parametrize("llm", ["tiny", "qwen2.5-0.5b"])
@pytest.mark.parametrize("device", ["cpu", "mps", "cuda:1"])
def test_every_proposal_makes_a_plan_and_more_data_is_held_back_less(llm: str, device: str) -> None:
    found = [proposal.propose(n, llm, device) for n in (1, 50, 240, 4000, 9000, 10**6)]
    for values in found:
        assert values.keys() <= {*KEYS, *OWN}
        Plan.of({"llm": llm, "device": device, **values})
    for key in ("epochs_1", "epochs_2", "dropout", "input_dropout", "noise", "weight_decay"):
        falls = [values[key] for values in found]
        assert falls == sorted(falls, reverse=True)
    assert found[0]["hidden_size"] < found[-1]["hidden_size"]


def test_a_gpu_takes_more_at_once() -> None:
    for llm in ("tiny", "qwen2.5-3b"):
        cpu, gpu = (
            proposal.propose(10**5, llm, device)["batch_size"] for device in ("cpu", "cuda")
        )
        assert gpu > cpu


def test_passes_follow_the_number_of_recordings() -> None:
    few, more = (proposal.propose(n, "tiny", "cpu") for n in (300, 600))
    assert (few["epochs_1"], more["epochs_1"]) == (16, 8)
    assert proposal.propose(300, "tiny", "cpu", 2.0)["epochs_1"] == 32
    assert proposal.propose(None, "tiny", "cpu") == few | {"epochs_2": 6}


def test_what_a_person_has_set_stays() -> None:
    before = proposal.propose(300, "tiny", "cpu")
    now = proposal.propose(10**5, "tiny", "cpu")
    values = {**Plan().values(), **before, "epochs_1": 7.0, "dropout": None}
    taken = proposal.follow(values, before, now)
    assert "epochs_1" not in taken and "dropout" not in taken
    assert taken["epochs_2"] == now["epochs_2"] and taken["hidden_size"] == 1024
    assert "seed" not in taken
    assert proposal.follow({**Plan().values(), **now}, now, now) == {}


def test_what_is_proposed_follows_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions.Jobs, "tick", lambda _: None)  # jobs wait for ever
    here = serve(tmp_path)
    first = proposal.first()

    def ask(language: Any = "en", **changes: Any) -> tuple[dict[str, Any], str]:
        return actions.propose(here, first.values() | changes, 1.0, language)

    found, said = ask()
    assert {key: found[key] for key in ("name", "device")} == {"name": "my-model", "device": "cpu"}
    assert "306" in said and found["epochs_1"] == first.stages[0].epochs
    assert ask(clips=40)[0]["epochs_1"] == proposal.MOST[0]
    data = prepare(tmp_path / "home" / "data" / "mine")
    assert "about 6 " in ask(source=str(data))[1]
    for unknown in ({"source": HUB, "data_set": "a/b"}, {"source": FOLDER}, {"batch_size": None}):
        values, _ = ask(**unknown)
        assert values["epochs_1"] == first.stages[0].epochs
    for language in LANGUAGES:
        assert text("fits_unknown", language) in ask(language, source=HUB)[1]
    actions.start(here, first)
    assert ask()[0]["name"] == "my-model-2"
