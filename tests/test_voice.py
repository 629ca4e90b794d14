"""A visitor's own voice on the page: what is kept, for whom, until when, and what is said of it."""

import gc
import re
import weakref
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import gradio as gr
import numpy as np
import pytest
import soundfile

from audiollm.errors import NoSpeechError
from audiollm.labels import LANGUAGES, Language, word
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import actions, speaker_baseline, voice
from audiollm.web.analyse.enrolment import MOST, Enrolment
from audiollm.web.analyse.speaker_baseline import Gain
from audiollm.web.services import ABSENT, Example, Services
from audiollm.web.static import Static
from tests.browser.fake import METRICS, UNSURE, Card, FakePredictor
from tests.conftest import RATE, voiced

ANN, BEN = "page of Ann", "page of Ben"
BASELINES = {"3": {"wa": {"value": 0.75}}, "8": {"wa": {"value": 0.8}}}


def serving(**changes: Any) -> Services:
    card = Card(baseline=True, metrics={**METRICS, "baselines": BASELINES})
    predictor = FakePredictor(**{"card": card, "probabilities": UNSURE, **changes})
    model: Future[Predictor] = Future()
    model.set_result(cast(Predictor, predictor))
    return Services(Settings(), model, active="one")


@pytest.fixture
def services() -> Services:
    return serving()


def recorded(folder: Path, name: str, pitch: float = 150, seconds: float = 2.0) -> str:
    path = folder / f"{name}.wav"
    soundfile.write(path, voiced(seconds, pitch), RATE)
    return str(path)


def said(services: Services, path: str, who: str, language: Language = "en") -> str:
    """What stands below the headline when the recording has been answered."""
    last = list(actions.analyse(services, path, language, who))[-1]
    assert last.answered
    return last.headline


def known(services: Services, who: str, language: Language = "en") -> str:
    shown = voice.state(services, speaker_baseline.enrolment_of(services, who), language)
    return re.sub("<[^>]*>", "", shown)


def available(services: Services) -> bool:
    with gr.Blocks():
        panel = voice.VoicePanel(services, Static())
    return bool(panel.available()[panel.everything]["visible"])


def test_nothing_is_kept_before_it_is_switched_on(services: Services, tmp_path: Path) -> None:
    said(services, recorded(tmp_path, "a"), ANN)
    assert services.enrolments == {}
    assert known(services, ANN) == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_fourth_recording_is_compared_with_three(tmp_path: Path, language: Language) -> None:
    services = serving()
    speaker_baseline.switch(services, ANN, True)
    assert known(services, ANN, language) == text("voice_nothing", language)
    compared = text("voice_compared", language, n=6)
    for i, name in enumerate("abc"):
        assert compared not in said(services, recorded(tmp_path, name, 150 + i), ANN, language)
    assert text("voice_rests", language, n=6) in known(services, ANN, language)
    assert "75%" in known(services, ANN, language) and "71%" in known(services, ANN, language)
    last = recorded(tmp_path, "d")
    assert compared in said(services, last, ANN, language)
    assert text("voice_rests", language, n=8) in known(services, ANN, language)
    # the same again, without itself
    assert compared in said(services, last, ANN, language)
    assert text("voice_rests", language, n=8) in known(services, ANN, language)


def test_state_and_answer_name_the_same_seconds(services: Services, tmp_path: Path) -> None:
    speaker_baseline.switch(services, ANN, True)
    for name, seconds in (("a", 2.4), ("b", 2.5), ("c", 2.56)):  # 7.46: 7.5 in one decimal
        said(services, recorded(tmp_path, name, seconds=seconds), ANN)
    state = known(services, ANN)
    shown = said(services, recorded(tmp_path, "d"), ANN)
    found = [re.search(r"(\d+) s of your speech", each) for each in (state, shown)]
    assert found[0] and found[1] and found[0][1] == found[1][1]


def test_two_pages_know_nothing_of_each_other(services: Services, tmp_path: Path) -> None:
    for who in (ANN, BEN):
        speaker_baseline.switch(services, who, True)
    paths = [recorded(tmp_path, name) for name in "abc"]
    for path in paths:
        said(services, path, ANN)
    assert len(services.enrolments[ANN].clips) == 3
    assert services.enrolments[BEN].clips == {}
    assert "voice" not in said(services, recorded(tmp_path, "d"), BEN)
    speaker_baseline.leave(services, ANN)
    assert list(services.enrolments) == [BEN]
    assert list(services.enrolments[BEN].clips) == [str(tmp_path / "d.wav")]


@pytest.mark.parametrize("way", ["off", "forget", "leave", "model"])
def test_features_are_forgotten_with_everything_that_holds_them(
    services: Services, tmp_path: Path, way: str
) -> None:
    speaker_baseline.switch(services, ANN, True)
    said(services, recorded(tmp_path, "a"), ANN)
    (features,) = services.enrolments[ANN].clips.values()
    gone = weakref.ref(features)
    running = actions.analyse(services, recorded(tmp_path, "b"), "en", ANN)
    next(running)
    del features
    if way == "off":
        speaker_baseline.switch(services, ANN, False)
    elif way == "forget":
        speaker_baseline.forget(services, ANN)
    elif way == "leave":
        speaker_baseline.leave(services, ANN)
    else:
        services.active = "another"
        assert known(services, ANN) == text("voice_changed", "en")
    list(running)  # what was being answered adds nothing to what is known afterwards
    del running
    gc.collect()
    assert gone() is None
    left = services.enrolments.get(ANN)
    assert (left is None) == (way in ("off", "leave"))
    assert left is None or left.clips == {}


def test_whoever_is_not_seen_any_more_is_forgotten(services: Services, tmp_path: Path) -> None:
    """A connection that broke off does not tell that its page was closed."""
    now = 0.0
    services.clock = lambda: now
    for who in (ANN, BEN):
        speaker_baseline.switch(services, who, True)
        said(services, recorded(tmp_path, "a"), who)
    features = weakref.ref(next(iter(services.enrolments[ANN].clips.values())))
    now = ABSENT
    said(services, recorded(tmp_path, "b"), BEN)
    services.look()
    assert set(services.enrolments) == {ANN, BEN}
    now = ABSENT + 1
    services.look()
    assert set(services.enrolments) == {BEN}
    gc.collect()
    assert features() is None
    with gr.Blocks():
        panel = voice.VoicePanel(services, Static())
    assert panel.show(ANN, "en")[panel.switch] is False  # nobody collects, and the page says so


def test_nothing_is_written(services: Services, tmp_path: Path) -> None:
    speaker_baseline.switch(services, ANN, True)
    home = tmp_path / "home"
    services.settings = replace(services.settings, home=home)
    before = sorted(tmp_path.iterdir())
    path = recorded(tmp_path, "a")
    said(services, path, ANN)
    assert sorted(tmp_path.iterdir()) == sorted([*before, Path(path)])
    assert not home.exists()


def test_examples_are_not_the_visitors_voice(services: Services, tmp_path: Path) -> None:
    paths = [recorded(tmp_path, name) for name in "abc"]
    other = recorded(tmp_path, "example")
    services.examples = (Example(Path(other), "angry", {"en": "x", "zh": "x"}),)
    speaker_baseline.switch(services, ANN, True)
    for path in [*paths, other]:
        assert text("voice_compared", "en", n=6) not in said(services, path, ANN)
    assert list(services.enrolments[ANN].clips) == paths


def three(services: Services, folder: Path) -> None:
    speaker_baseline.switch(services, ANN, True)
    for name in "abc":
        said(services, recorded(folder, name), ANN)


def test_another_voice_is_asked_about_and_not_compared(services: Services, tmp_path: Path) -> None:
    three(services, tmp_path)
    other = recorded(tmp_path, "other", pitch=300)
    assert "acted" not in said(services, other, ANN)
    mine = services.enrolments[ANN]
    assert mine.question and mine.question.path == other
    assert other not in mine.clips
    assert not speaker_baseline.decide(services, ANN, "out")
    assert mine.question is None
    said(services, other, ANN)  # nobody asks twice
    assert mine.question is None and other not in mine.clips
    mine.left_out.clear()
    said(services, other, ANN)
    assert speaker_baseline.decide(services, ANN, "mine")  # and now it is compared
    assert text("voice_compared", "en", n=6) in said(services, other, ANN)
    assert len(mine.clips) == 4
    mine.clips.pop(other)
    said(services, other, ANN)
    assert not speaker_baseline.decide(services, ANN, "anew")
    assert list(mine.clips) == [other]
    assert not speaker_baseline.decide(services, ANN, "mine")  # there is no question any more


def test_speech_of_one_emotion_is_not_compared_with(tmp_path: Path) -> None:
    services = serving(probabilities={"angry": 0.9, "neutral": 0.05, "sad": 0.05})
    services.predictor().__dict__["card"] = Card(
        baseline=True, labels=("angry", "neutral", "sad"), metrics={}
    )
    three(services, tmp_path)
    name = word("angry", "en")
    assert known(services, ANN) == text("voice_one_emotion", "en", name=name)
    shown = said(services, recorded(tmp_path, "d"), ANN)
    assert text("voice_not_compared", "en", name=name) in shown


def test_a_text_that_is_read_counts_and_its_sound_goes(services: Services, tmp_path: Path) -> None:
    speaker_baseline.switch(services, ANN, True)
    path = recorded(tmp_path, "read", seconds=16.0)
    speaker_baseline.read(services, ANN, path, "en")
    assert not Path(path).exists()
    assert known(services, ANN).startswith(text("voice_rests", "en", n=16))
    assert text("voice_compared", "en", n=16) in said(services, recorded(tmp_path, "a"), ANN)
    speaker_baseline.read(services, ANN, recorded(tmp_path, "again", seconds=12.0), "en")
    assert services.enrolments[ANN].others(str(tmp_path / "a.wav")).seconds == 12.0  # type: ignore[union-attr]
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(RATE), RATE)
    with pytest.raises(NoSpeechError):
        speaker_baseline.read(services, ANN, str(silent), "en")
    assert not silent.exists()


def test_only_so_many_recordings_are_kept(services: Services) -> None:
    speech = cast(FakePredictor, services.predictor())._speech
    from audiollm import audio

    features = speech(audio.from_array(voiced(1.0), RATE))
    mine = Enrolment("one", 0.0)
    for i in range(MOST + 5):
        mine.add(str(i), features)
    assert len(mine.clips) == MOST and "0" not in mine.clips


def test_figures_that_are_none_are_not_told(services: Services) -> None:
    assert speaker_baseline.gain(services, 3) == Gain("speakers", 3, 0.75, 0.71)
    assert speaker_baseline.gain(services, 20) == Gain("speakers", 8, 0.8, 0.71)
    assert speaker_baseline.gain(services, 2) is None
    protocols = {"new speakers": {"wa": 0.8}, "new corpora": {"wa": 0.47, "wa_8": 0.56}}
    told = serving(card=Card(baseline=True, metrics={"protocols": protocols}))
    assert speaker_baseline.gain(told, 3) == Gain("corpora", 8, 0.56, 0.47)
    for broken in ({}, {"baselines": 3}, {"baselines": {"3": {"wa": {"value": "<b>"}}}}):
        card = Card(baseline=True, metrics={**METRICS, **broken})
        assert speaker_baseline.gain(serving(card=card), 5) is None
    assert available(services)
    assert not available(serving(card=Card()))


def test_a_long_recording_says_that_it_is_its_own_baseline(services: Services) -> None:
    from audiollm import audio

    clip = audio.from_array(voiced(1.0), RATE)
    (first,) = services.predictor().classify([clip], "en")
    answer = replace(first, baseline_seconds=90.0)
    assert text("voice_itself", "en") in render.compared(answer, False, "en")
    assert not speaker_baseline.rests_on(answer, None)
    assert render.compared(first, False, "en") == ""
