"""The bundled clips: what their speakers meant stands beside the answer."""

import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from audiollm import audio
from audiollm.audio import prosody
from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.labels import LANGUAGES, Language
from audiollm.predictor import Predictor
from audiollm.settings import ASSETS, Settings
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import actions
from audiollm.web.services import EXAMPLES, MIXED, Services, read_examples
from tests.browser.fake import FakePredictor


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services.start(Settings(home=tmp_path), cast(Any, FakePredictor))


def test_only_the_clip_itself_is_known_to_be_acted(services: Services, tmp_path: Path) -> None:
    for example in read_examples(EXAMPLES):
        copy = shutil.copy(example.path, tmp_path)  # as Gradio makes one
        assert services.acted(str(copy)) == ("" if example.label == MIXED else example.label)
    other = tmp_path / "elsewhere" / example.path.name
    other.parent.mkdir()
    other.write_bytes(b"somebody else's sound under the same name")
    assert services.acted(str(other)) == ""
    assert services.acted(str(tmp_path / "gone" / example.path.name)) == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_where_the_model_is_wrong_about_an_example(
    services: Services, language: Language
) -> None:
    for example in read_examples(EXAMPLES):
        view = list(actions.analyse(services, str(example.path), language))[-1]
        said = render.acted("" if example.label == MIXED else example.label, "angry", language)
        assert said in view.headline  # the model of the test hears anger everywhere
        assert bool(said) == (example.label != MIXED)
        assert f'data-name="{example.path.stem}-emotion"' in view.actions
    wrong = {"en": "wrong", "zh": "错"}[language]
    assert wrong in render.acted("sad", "angry", language)
    assert wrong not in render.acted("sad", "sad", language)


@pytest.mark.skipif(not (ASSETS / "tiny" / MANIFEST_NAME).is_file(), reason="no model is bundled")
def test_the_shipped_model_is_right_about_most_examples() -> None:
    engine = Predictor.load("tiny", Settings(device="cpu"))
    single = [e for e in read_examples(EXAMPLES) if e.label != MIXED]
    sounds = [audio.load(e.path) for e in single]
    answers = [p.label for p in engine.predict(sounds)]
    right = [answer == e.label for answer, e in zip(answers, single, strict=True)]
    assert len(single) == 5 and sum(right) >= 4, answers
    probe = engine.probe(sounds[0], prosody.track(sounds[0].samples))
    assert set(probe) <= set(engine.card.labels) and sum(probe.values()) == pytest.approx(1)


def test_an_estimate_is_given_when_there_is_something_to_go_by() -> None:
    assert text("long_begun", "en") in render.progress(0.01, None, "en")
    assert "about 7 s left" in render.progress(0.3, 7.0, "en")
