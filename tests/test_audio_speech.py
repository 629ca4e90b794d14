"""What `require_speech` lets through and what it refuses."""

import numpy as np
import pytest

from audiollm import audio
from audiollm.audio import Sound
from audiollm.errors import NoSpeechError
from tests.conftest import RATE, voiced

CLIP = voiced(1.5)


def decibels(samples: np.ndarray, change: float) -> Sound:
    return audio.from_array(samples * np.float32(10 ** (change / 20)), RATE)


def test_speech_is_heard_loud_and_quiet(speech: np.ndarray) -> None:
    for samples in (speech, CLIP):
        for change in (0, -15, -30):
            audio.require_speech(decibels(samples, change))
        audio.require_speech(decibels(samples + np.float32(0.05), 0))  # with a DC offset
    audio.require_speech(decibels(CLIP[: int(0.4 * RATE)], 0))  # one word
    long = np.concatenate([np.zeros(60 * RATE, np.float32), CLIP])
    audio.require_speech(decibels(long, 0))  # a word after a minute of silence


ROOM = np.random.default_rng(0).normal(size=2 * RATE)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (CLIP[: RATE // 20], "lasts 0.05 s"),
        (CLIP[: RATE // 5], "lasts 0.20 s"),
        (np.zeros(2 * RATE), "silent"),
        (np.full(2 * RATE, 0.4), "silent"),
        (np.linspace(-0.5, 0.5, 2 * RATE), "silent"),
        (np.sign(ROOM) / 32768, "faint"),
        (ROOM * 1e-3, "steady background"),
        (np.concatenate([np.zeros(RATE), ROOM * 1e-3]), "steady background"),
        (CLIP * 3e-4, "too faint"),
        (np.eye(1, 2 * RATE, RATE)[0], "silent"),  # a click
        (np.concatenate([np.zeros(RATE), CLIP[1600:3200], np.zeros(RATE)]), "silent"),
    ],
)
def test_no_speech_is_said_not_guessed(samples: np.ndarray, words: str) -> None:
    with pytest.raises(NoSpeechError, match=words) as caught:
        audio.require_speech(audio.from_array(samples, RATE))
    assert str(caught.value).startswith("No speech detected: ")
