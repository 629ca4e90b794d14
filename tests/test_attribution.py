"""What an answer rests on is what its probability falls without."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audiollm import audio
from audiollm.analysis import composition
from audiollm.analysis.types import Analysis, Occlusion
from audiollm.audio import prosody, resynthesis
from audiollm.encoder.base import Encoded
from audiollm.inference.attribution import explain
from audiollm.inference.classifier import ScoredSound
from audiollm.labels import LANGUAGES, Language
from audiollm.model.projector import Features
from tests.conftest import voiced

RATE = audio.SAMPLE_RATE
CLASSES = ("angry", "sad")
SURE = {"angry": 0.93, "sad": 0.07}
HIGH = prosody.Cues(3.0, 341.0, 8.0, -15.0, 20.0, -0.6, 5.0, 0.02)


class Classifier:
    """Angry where the frames 60 to 89 are heard, and where the cues are as `rests` says."""

    def __init__(self, rests: str = "") -> None:
        self.encoder, self.rests = SimpleNamespace(statistics="mean"), rests
        self.pieces: list[np.ndarray] = []
        self.asked: list[str] = []

    def encoded(self, pieces: list[np.ndarray]) -> list[Encoded]:
        self.pieces = pieces
        self.asked.append("encoded")
        frames = np.zeros((150, 2), np.float32)
        frames[60:90, 0] = 1
        return [Encoded(frames, frames.mean(0)) for _ in pieces]

    def score(self, clips: Any, cues: Any, _: Language, distances: np.ndarray) -> Any:
        assert len(clips) == len(cues) == len(distances)
        self.asked.append("scored")
        heard = np.array([clip.utterance[0] for clip in clips]) / 0.2
        usual = np.array([getattr(c, self.rests, 0) != getattr(HIGH, self.rests, 0) for c in cues])
        p = np.clip(0.9 * np.minimum(heard, 1) - 0.4 * usual, 0, 1)
        return np.stack([p, 1 - p], 1)


def answered(rests: str = "", seconds: float = 3.0) -> tuple[Analysis, Classifier]:
    samples = voiced(seconds, 341.0)
    sound, followed = audio.from_array(samples, RATE), prosody.track(samples)
    known = composition.measured(SURE, HIGH, "en")
    base = Features(np.zeros(2, np.float32))
    prediction: Any = replace(_prediction(), analysis=known)
    scored = ScoredSound(prediction, known, base, 0, 1.0)
    classifier: Any = Classifier(rests)
    return explain(classifier, scored, sound, followed).analysis, classifier


def _prediction() -> Any:
    from audiollm.inference.prediction import Prediction

    return Prediction("angry", SURE, "", "en", "test", 3.0, HIGH)


def test_the_seconds_without_which_the_probability_falls_are_decisive() -> None:
    found, classifier = answered()
    assert classifier.asked == ["encoded", "scored"]  # all in one batch
    assert (found.occlusion[0].start, found.occlusion[0].end) == (0.0, 0.5)
    assert found.occlusion[-1].end == 3.0
    falls = [o.fall for o in found.occlusion]
    assert falls[2] > 0.05 and falls[3] > 0.05  # 1.2 to 1.8 s
    assert max(falls[0], falls[1], falls[4], falls[5]) <= 0
    assert found.decisive == ((1.0, 2.0),)


@pytest.mark.parametrize("cue", ["pitch_hz", "brightness_db"])
def test_only_a_cue_without_which_the_probability_falls_is_evidence(cue: str) -> None:
    found, classifier = answered(cue)
    assert {e.cue for e in found.evidence if e.level != "mid"} == {"pitch_hz", "brightness_db"}
    assert [e.cue for e in found.carrying] == [cue]
    assert len(classifier.pieces) == 4  # as it is, through PSOLA unchanged, and two changes
    text = composition.compose(found, "", CLASSES, "en")[1]
    assert ("high pitch" in text) == (cue == "pitch_hz")
    assert ("bright timbre" in text) == (cue == "brightness_db")
    assert answered("")[0].carrying == ()


def test_a_long_sound_has_fewer_cues_changed() -> None:
    assert len(answered(seconds=12.0)[1].pieces) == 1
    found, classifier = answered(seconds=21.0)
    assert classifier.pieces == [] and found.occlusion == ()


def test_a_short_sound_has_no_parts() -> None:
    assert answered(seconds=1.0)[0].occlusion == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_that_rests_on_nothing_alone_says_so_once_it_was_tried(
    language: Language,
) -> None:
    known = composition.measured(SURE, HIGH, language)
    before = composition.compose(known, "", CLASSES, language)[1]
    tried = replace(known, occlusion=(Occlusion(0, 1, 0.01), Occlusion(1, 2, 0.0)))
    assert composition.compose(tried, "", CLASSES, language)[1] != before
    assert tried.decisive == () and tried.carrying == ()
    everywhere = replace(known, occlusion=(Occlusion(0, 1, 0.2), Occlusion(1, 2, 0.2)))
    assert everywhere.decisive == ()


def test_an_uncertain_answer_has_no_evidence_in_its_text() -> None:
    known = composition.measured({"angry": 0.41, "sad": 0.39}, HIGH, "en")
    tried = replace(
        known,
        evidence=tuple(replace(e, fall=0.2) for e in known.evidence),
        occlusion=(Occlusion(0, 1, 0.2), Occlusion(1, 2, 0.0)),
    )
    assert composition.compose(tried, "", CLASSES, "en")[1] == "Uncertain: angry or sad."


# --- the changed sounds


@pytest.mark.parametrize("wanted", [110.0, 180.0])
def test_pitch_moves_and_timbre_stays(wanted: float) -> None:
    samples = voiced(2.0, 140.0)
    followed = prosody.track(samples)
    before = prosody.summarise(samples, followed)
    assert before.pitch_hz
    after = prosody.measure(
        resynthesis.change_cue(samples, followed, "pitch_hz", before.pitch_hz, wanted)
    )
    assert after.pitch_hz == pytest.approx(wanted, rel=0.1)
    assert after.brightness_db == pytest.approx(before.brightness_db, abs=2.5)
    assert after.seconds == pytest.approx(before.seconds)


def test_timbre_moves_and_pitch_stays() -> None:
    samples = voiced(2.0, 140.0)
    followed = prosody.track(samples)
    before = prosody.summarise(samples, followed)
    wanted = before.brightness_db - 6
    after = prosody.measure(
        resynthesis.change_cue(samples, followed, "brightness_db", before.brightness_db, wanted)
    )
    assert after.brightness_db == pytest.approx(wanted, abs=1.5)
    assert after.pitch_hz == pytest.approx(before.pitch_hz, rel=0.01)


def test_pauses_become_shorter_and_the_rest_slower() -> None:
    quiet = np.zeros(RATE // 2, np.float32)
    samples = np.concatenate([voiced(1.0, 140.0), quiet, voiced(1.0, 150.0)])
    followed = prosody.track(samples)
    before = prosody.summarise(samples, followed)
    shorter = resynthesis.change_cue(samples, followed, "pause_share", before.pause_share, 0.05)
    assert prosody.measure(shorter).pause_share == pytest.approx(0.05, abs=0.03)
    slower = resynthesis.change_cue(samples, followed, "tempo_hz", 6.0, 4.0)
    assert len(slower) == pytest.approx(1.5 * len(samples), rel=0.01)
