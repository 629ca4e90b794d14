"""Rows of `python -m bench`: features of the encoders, and the course of a long recording."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiollm import audio
from audiollm.audio import prosody, windows
from audiollm.encoder import load
from audiollm.model import precision
from audiollm.model.projector import Features
from audiollm.predictor import Predictor
from audiollm.settings import ASSETS, Settings
from bench import shapes
from bench.answering import clip, through_a_file
from bench.rows import Row, Setting, in_turns

CLIPS = 24


def _clips(count: int) -> list[np.ndarray]:
    paths = sorted(Path(ASSETS / "emodb").rglob("*.flac"))
    sample = paths[:: len(paths) // count][:count]
    return [audio.load(path, Settings.from_env()).samples for path in sample]


def _features(plain: Any, ours: Any, name: str, setting: Setting, target: float) -> Row:
    sounds = _clips(CLIPS // 3 if setting.quick else CLIPS)
    repeats = setting.repeats(3)
    slow, fast = in_turns(
        lambda: [through_a_file(plain, sound) for sound in sounds],
        lambda: ours.encode(sounds),
        repeats,
    )
    way = "float32, one clip at a time through a temporary file"
    return Row(
        f"features of a clip, {name}",
        way,
        slow / len(sounds),
        fast / len(sounds),
        "s",
        repeats,
        target,
    )


def emotion2vec(setting: Setting) -> Row:
    plain, ours = shapes.emotion2vec(), shapes.emotion2vec()
    ours.precision = _precision(Settings.from_env())
    return _features(plain, ours, "emotion2vec base", setting, 1.5)


def _precision(settings: Settings) -> torch.dtype:
    """That of the encoder of a model with Qwen2.5-0.5B."""
    return precision.pick("cpu", settings.precision, shapes.WIDTH)


def whisper(setting: Setting) -> Row:
    settings = Settings.from_env()
    plain, ours = (
        load("whisper-base-front", settings, "cpu", kind, statistics="mean_std")
        for kind in (torch.float32, _precision(settings))
    )
    return _features(plain, ours, "Whisper base, three layers", setting, 1.5)


def timeline(setting: Setting) -> Row:
    """The course of a recording by the bundled model."""
    predictor = Predictor.load("tiny", Settings.from_env())
    minutes = 2 if setting.quick else 60
    part = clip(60.0).samples
    samples = np.resize(part, minutes * 60 * audio.SAMPLE_RATE)
    sound = audio.from_array(samples, audio.SAMPLE_RATE)

    def one_at_a_time() -> None:
        for begin, end in windows.course(sound.seconds):
            piece = sound.samples[round(begin * audio.SAMPLE_RATE) : round(end * audio.SAMPLE_RATE)]
            cues = prosody.summarise(piece, prosody.track(piece))
            encoded = through_a_file(predictor._encoder, piece)
            predictor._classifier.score([Features(encoded.utterance)], [cues], "en")

    times = in_turns(one_at_a_time, lambda: predictor.timeline(sound), 1, warm=False)
    work = f"recording of {minutes} min to its course, tiny"
    return Row(work, "a window at a time", *times, "s", 1, 3)
