"""The settings of the Train page as a file: what is saved comes back, and nothing else comes in."""

import json
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest

from audiollm.errors import AudioLLMError, ConfigError
from audiollm.labels import LANGUAGES
from audiollm.web.said import SaidError
from audiollm.web.train import actions, form, view
from audiollm.web.train.form import Form
from audiollm.web.train.planning import changed
from audiollm.web.train.sources import FOLDER, HUB
from tests.test_training import prepare, serve

HERE = astuple(Form(name="here", seed=7))


def file(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "some.json"
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(raw)
    return path


def settings(**values: Any) -> dict[str, Any]:
    return {form.FORMAT: form.VERSION, **values}


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    here = serve(tmp_path)
    wanted = Form(
        name="声音-1", source=HUB, data_set="user/name", alone=True, epochs_1=2.5, batch=8, clips=9
    )
    said = actions.save(here, astuple(wanted))
    assert json.loads(said)["name"] == "声音-1"
    loaded = actions.load(here, file(tmp_path, said.encode()), HERE)
    assert loaded == wanted
    assert actions.load(here, file(tmp_path, b"\xef\xbb\xbf" + said.encode()), HERE) == wanted


def test_what_a_file_does_not_name_stays_and_only_that_is_updated(tmp_path: Path) -> None:
    loaded = actions.load(serve(tmp_path), file(tmp_path, settings(epochs_2=9)), HERE)
    assert loaded == replace(Form(*HERE), epochs_2=9)
    updates = dict(zip(form.KEYS, changed(HERE, loaded), strict=True))
    assert {key for key, update in updates.items() if "value" in update} == {"epochs_2"}


def test_a_name_that_is_taken_is_not_taken_again(tmp_path: Path) -> None:
    here = serve(tmp_path)
    (tmp_path / "home" / "models" / "mine").mkdir(parents=True)
    loaded = actions.load(here, file(tmp_path, settings(name="mine")), HERE)
    assert loaded.name == "mine-2"


def test_prepared_recordings_must_be_here(tmp_path: Path) -> None:
    here = serve(tmp_path)
    data = prepare(tmp_path / "home" / "data" / "one")
    loaded = actions.load(here, file(tmp_path, settings(source=str(data))), HERE)
    assert loaded.source == str(data)
    strange = prepare(tmp_path / "elsewhere")
    with pytest.raises(SaidError, match=str(strange)):
        actions.load(here, file(tmp_path, settings(source=str(strange))), HERE)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "no settings"),
        (b"\xff\xfe", "no settings"),
        (b"{", "no settings"),
        (b"[" * 50_000, "no settings"),
        ([], "no settings"),
        ({"name": "x"}, "no settings"),
        (b" " * (form.LARGEST + 1), "64 kB"),
        ({form.FORMAT: 2}, "2"),
        ({form.FORMAT: True}, "True"),
        (settings(colour="red"), "'colour'"),
        (settings(__class__="x"), "'__class__'"),
        (settings(**{"x" * 5000: 1}), "'xxx"),
        (settings(batch="16"), "'16'"),
        (settings(batch=True), "True"),
        (settings(batch=1.5), "1.5"),
        (settings(batch=0), "not 0"),
        (settings(alone=1), "alone cannot be 1"),
        (settings(seed=None), "None"),
        (settings(name=["x"]), r"\['x'\]"),
        (settings(name="../up"), "'../up'"),
        (settings(epochs_1=0), "not 0"),
        (b'{"audiollm_settings": 1, "epochs_1": NaN}', "no settings"),
        (b'{"audiollm_settings": 1, "epochs_1": 1e999}', "inf"),
        (settings(device="auto"), "'auto'"),
        (settings(source=FOLDER, folder="/nowhere/at/all"), "/nowhere/at/all"),
        (settings(llm="--resume"), "'--resume'"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path: Path, content: Any, named: str) -> None:
    here = serve(tmp_path)
    with pytest.raises((SaidError, ConfigError), match=named) as refused:
        actions.load(here, file(tmp_path, content), HERE)
    for language in LANGUAGES:
        said = view.explained(refused.value, language)
        assert 10 < len(said) < 300 and "\n" not in said


def test_a_file_that_is_gone_and_settings_that_make_no_plan(tmp_path: Path) -> None:
    here = serve(tmp_path)
    for gone in (None, tmp_path / "gone.json", tmp_path):
        with pytest.raises(SaidError):
            actions.load(here, gone, HERE)
    with pytest.raises(AudioLLMError, match="None"):
        actions.save(here, astuple(Form(batch=None)))  # type: ignore[arg-type]
