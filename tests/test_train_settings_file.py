"""The settings of the Train page as a file: what is saved comes back, and nothing else comes in."""

import json
from pathlib import Path
from typing import Any

import pytest

from audiollm.errors import ConfigError
from audiollm.labels import LANGUAGES
from audiollm.web.train import actions, saved, view
from audiollm.web.train.plan import Plan
from audiollm.web.train.planning import changed
from audiollm.web.train.sources import FOLDER, HUB
from tests.test_training import prepare, serve

HERE = Plan.of({"name": "here", "seed": 7}).values()


def file(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "some.json"
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(raw)
    return path


def settings(**values: Any) -> dict[str, Any]:
    return {saved.FORMAT: saved.VERSION, **values}


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    here = serve(tmp_path)
    values = {"name": "声音-1", "source": HUB, "data_set": "user/name", "alone": True}
    wanted = Plan.of(values | {"epochs_1": 2.5, "epochs_2": 3, "batch_size": 8, "clips": 9})
    content = actions.save(here, wanted.values())
    found = json.loads(content)
    assert found["name"] == "声音-1"
    for number, stage in enumerate(wanted.stages, start=1):
        options = found[f"stage_{number}"]
        assert options.items() <= stage.to_dict().items() and options["epochs"] == stage.epochs
    assert actions.load(here, file(tmp_path, content.encode()), HERE) == wanted
    assert actions.load(here, file(tmp_path, b"\xef\xbb\xbf" + content.encode()), HERE) == wanted


def test_a_file_of_version_1_is_read(tmp_path: Path) -> None:
    old = {"audiollm_settings": 1, "name": "old", "epochs_2": 9.0, "steps_1": 4, "batch": 8}
    old |= {"rate_1": 1e-4, "tokens": 2, "hidden": 64, "smoothing": 0.2, "lora_rank": 4}
    loaded = actions.load(serve(tmp_path), file(tmp_path, old), HERE)
    one, two = loaded.stages
    assert (one.max_steps, one.batch_size, one.learning_rate) == (4, 8, 1e-4)
    assert (one.utterance_tokens, one.tokens_per_second, one.hidden_size) == (2, 2.0, 64)
    assert (two.epochs, two.label_smoothing, two.lora_rank, two.seed) == (9.0, 0.2, 4, 7)


def test_what_a_file_does_not_name_stays_and_only_that_is_updated(tmp_path: Path) -> None:
    content = settings(stage_2={"epochs": 9})
    loaded = actions.load(serve(tmp_path), file(tmp_path, content), HERE)
    assert loaded == Plan.of(HERE | {"epochs_2": 9})
    assert changed(HERE, loaded) == {"epochs_2": 9}


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
    with pytest.raises(ConfigError) as refused:
        actions.load(here, file(tmp_path, settings(source=str(strange))), HERE)
    assert refused.value.values["value"] == str(strange)


BROKEN, KIND, RANGE = "settings_broken", "option_kind", "option_range"


@pytest.mark.parametrize(
    ("content", "code", "named"),
    [
        (b"", BROKEN, ""),
        (b"\xff\xfe", BROKEN, ""),
        (b"{", BROKEN, ""),
        (b"[" * 50_000, BROKEN, ""),
        ([], BROKEN, ""),
        ({"name": "x"}, BROKEN, ""),
        (b" " * (saved.LARGEST + 1), "settings_large", "64"),
        ({saved.FORMAT: 3}, "settings_version", "3"),
        ({saved.FORMAT: True}, "settings_version", "True"),
        (settings(colour="red"), "settings_key", "'colour'"),
        (settings(__class__="x"), "settings_key", "'__class__'"),
        (settings(**{"x" * 5000: 1}), "settings_key", "'xxx"),
        (settings(stage_1=[]), BROKEN, ""),
        (settings(stage_1={"lora_rank": 4}), "settings_key", "'lora_rank'"),
        (settings(stage_1={"stage": 2}), "settings_key", "'stage'"),
        (settings(stage_1={"seed": 1}, stage_2={"seed": 2}), "settings_differ", "seed"),
        (settings(stage_1={"batch_size": "16"}), KIND, "'16'"),
        (settings(batch_size=True), KIND, "True"),
        (settings(batch_size=1.5), KIND, "1.5"),
        (settings(batch_size=0), RANGE, "0"),
        (settings(alone=1), KIND, "alone"),
        (settings(seed=None), KIND, "None"),
        (settings(name=["x"]), KIND, "['x']"),
        (settings(name="../up"), "plan_name", "'../up'"),
        (settings(stage_1={"epochs": 0}), RANGE, "0"),
        (b'{"audiollm_settings": 1, "epochs_1": NaN}', BROKEN, ""),
        (b'{"audiollm_settings": 1, "epochs_1": 1e999}', RANGE, "inf"),
        (b'{"audiollm_settings": 1, "rate": 1}', "settings_key", "'rate'"),
        (settings(device="auto"), "job_device", "'auto'"),
        (settings(source=FOLDER, folder="/nowhere/at/all"), "", "/nowhere/at/all"),
        (settings(stage_1={"llm": "--resume"}), "plan_model", "'--resume'"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(
    tmp_path: Path, content: Any, code: str, named: str
) -> None:
    here = serve(tmp_path)
    with pytest.raises(ConfigError) as refused:
        actions.load(here, file(tmp_path, content), HERE)
    assert refused.value.code == code or not code
    for language in LANGUAGES:
        said = view.explained(refused.value, language)
        assert named in said and 5 < len(said) < 300 and "\n" not in said


def test_a_file_that_is_gone_and_settings_that_make_no_plan(tmp_path: Path) -> None:
    here = serve(tmp_path)
    for gone in (None, tmp_path / "gone.json", tmp_path):
        with pytest.raises(ConfigError) as refused:
            actions.load(here, gone, HERE)
        assert refused.value.code == BROKEN
    with pytest.raises(ConfigError) as refused:
        actions.save(here, HERE | {"batch_size": None})
    assert refused.value.values["value"] == "None"
