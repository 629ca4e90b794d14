"""The recipe of the small encoder: targets, distortions, learning, resuming, what is written."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from audiollm import encoder
from audiollm.errors import DataError
from audiollm.settings import ASSETS, Settings
from tests.conftest import voiced
from train import corpora, splits
from train.augment import distort
from train.command import main as command
from train.tiny import augment, targets
from train.tiny import encoder as recipe_module
from train.tiny.augment import Voice
from train.tiny.learner import FILTERS, Learner, Recipe, Sampler

RATE = targets.SAMPLE_RATE
CLASSES = ("angry", "sad")


def voice(
    hertz: float, seconds: float = 1.0, label: str = "sad", speaker: str = "a", corpus: str = "x"
) -> Voice:
    """A tone that pulses softly; an angry one is bright, its harmonics fall more slowly."""
    time = np.arange(int(seconds * RATE)) / RATE
    fall = 0.2 if label == "angry" else 1.5
    tone = sum(np.sin(2 * np.pi * hertz * k * time) / k**fall for k in range(1, 16))
    tone *= 0.1 * (1.2 + np.sin(2 * np.pi * 3 * time))
    return Voice.of(tone.astype(np.float32), label, speaker, corpus)


def voices() -> list[Voice]:
    """Angry is high and bright, sad low and dull: three speakers in each of two corpora."""
    return [
        voice((base + shift) * factor, label=label, speaker=f"{corpus}-{speaker}", corpus=corpus)
        for label, factor in (("angry", 2.0), ("sad", 1.0))
        for corpus, shift in (("x", 0.0), ("y", 3.0))
        for speaker, base in (("a", 105.0), ("b", 120.0), ("c", 112.0))
    ]


def narrow_conf() -> dict[str, Any]:
    return encoder.small_conf(
        width=48,
        depth=1,
        prenet_depth=1,
        heads=2,
        conv_layers=[(48, 400, 160), (48, 3, 2)],
        conv_pos_depth=1,
        conv_pos_width=5,
        extra_tokens=1,
    )


def learner(recipe: Recipe) -> Learner:
    torch.manual_seed(0)
    made = Learner(encoder.build_network(narrow_conf(), len(CLASSES)), 48, CLASSES, recipe)
    made.prepare(voices())
    return made


QUICK = Recipe(
    hear_batch=4, feel_batch=8, crop_seconds=0.4, hear_rate=4e-3, feel_rate=1.5e-3, dropout=0.0
)


def test_targets_of_a_tone() -> None:
    cut = augment.crop(voice(200.0), RATE // 2, np.random.default_rng(0))
    assert cut.pitch.shape == cut.voiced.shape == (targets.frame_count(RATE // 2),)
    assert cut.voiced.mean() > 0.9
    heard = targets.PITCH_CENTRE * 2 ** cut.pitch[cut.voiced > 0]
    np.testing.assert_allclose(heard, 200.0, rtol=0.02)

    measure = targets.FrameTargets()
    clean = torch.from_numpy(cut.samples)[None]
    measure.fit(clean)
    aims = measure(clean, torch.from_numpy(cut.pitch)[None], torch.from_numpy(cut.voiced)[None])
    assert aims.shape == (1, targets.frame_count(RATE // 2), targets.SIZE)
    assert torch.isfinite(aims).all()
    loudest = int(measure.spectrum(clean)[0, :, : targets.MELS].mean(0).argmax())
    points = targets.mel_points(targets.MELS + 2, 60.0, 7600.0)
    assert points[loudest] < 200.0 < points[loudest + 2]


def test_frames_are_those_of_the_network() -> None:
    network = encoder.build_network(narrow_conf(), 0).eval()
    for samples in (targets.FIELD, 8000, 12345):
        frames = network(torch.zeros(1, samples), mask=False, features_only=True)["x"]
        assert frames.shape[1] == targets.frame_count(samples) == len(targets.centres(samples))


def test_speed_moves_pitch_and_short_clips_start_over() -> None:
    cut = augment.crop(voice(200.0, seconds=0.4), RATE, np.random.default_rng(0), speed=1.1)
    assert cut.samples.shape == (RATE,)
    heard = targets.PITCH_CENTRE * 2 ** cut.pitch[cut.voiced > 0]
    assert np.median(heard) == pytest.approx(220.0, rel=0.02)


@pytest.mark.parametrize("seed", range(8))
def test_distortion_keeps_shape_and_finiteness(seed: int) -> None:
    clean = augment.crop(voice(150.0), 9001, np.random.default_rng(0)).samples
    heard = distort(clean, np.random.default_rng(seed))
    assert heard.shape == clean.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert abs(heard.mean()) < 1e-3
    assert heard.std() == pytest.approx(1.0, abs=1e-3)
    again = distort(clean, np.random.default_rng(seed))
    np.testing.assert_array_equal(heard, again)


def test_silence_makes_no_nan() -> None:
    silent = Voice.of(np.zeros(RATE, np.float32), "sad", "a", "x")
    rng = np.random.default_rng(0)
    cut = augment.crop(silent, 8000, rng)
    assert np.isfinite(distort(cut.samples, rng)).all()


def test_mask_hides_about_the_share() -> None:
    mask = augment.span_mask((64, 200), 0.3, 10, np.random.default_rng(0))
    assert mask.shape == (64, 200)
    assert 0.2 < mask.mean() < 0.35


def test_balanced_draw() -> None:
    many = [voice(100.0, 0.1, "sad", "x-a", "x")] * 50 + [voice(200.0, 0.1, "angry", "x-b", "x")]
    drawn = Sampler(many).draw(400, "feel", np.random.default_rng(0))
    assert 150 < sum(v.label == "angry" for v in drawn) < 250


def test_learning_lowers_both_losses() -> None:
    made, sampler = learner(QUICK), Sampler(voices())
    before = made.network.get_parameter(FILTERS).clone()
    hear = [made.step(sampler, i, "hear", 0.3)["frames"] for i in range(20)]
    assert np.mean(hear[-5:]) < 0.8 * np.mean(hear[:5])
    feel = [made.step(sampler, 20 + i, "feel", 0.3)["emotion"] for i in range(20)]
    assert np.mean(feel[-5:]) < 0.8 * np.mean(feel[:5])
    assert torch.equal(before, made.network.get_parameter(FILTERS))  # the filters stay


def test_a_resumed_learner_takes_the_same_step() -> None:
    one, sampler = learner(QUICK), Sampler(voices())
    one.step(sampler, 0, "feel", 0.1)
    other = learner(QUICK)
    other.restore(copy.deepcopy(one.state()))
    assert one.step(sampler, 1, "feel", 0.2) == other.step(sampler, 1, "feel", 0.2)
    for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert one.average is not None
    assert other.average is not None
    for a, b in zip(one.average.parameters(), other.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_schedule_has_two_phases() -> None:
    recipe = Recipe(steps=100, hear_share=0.4)
    assert recipe.phase(0) == ("hear", 0.0)
    assert recipe.phase(20) == ("hear", 0.5)
    assert recipe.phase(70) == ("feel", 0.5)
    assert recipe.rate("feel", 0.06) == pytest.approx(recipe.feel_rate)
    assert recipe.rate("feel", 1.0) == pytest.approx(0.02 * recipe.feel_rate)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_module, "WIDTH", 48)
    monkeypatch.setattr(recipe_module, "model_conf", narrow_conf)


def speech() -> recipe_module.Speech:
    sides: dict[str, list[Voice]] = {"train": [], "valid": [], "test": []}
    for v in voices():
        sides[{"a": "train", "b": "valid", "c": "test"}[v.speaker[-1]]].append(v)
    return recipe_module.Speech(sides, {"x": "", "y": ""})


@pytest.mark.usefixtures("narrow")
def test_run_writes_an_encoder_that_loads(tmp_path: Path) -> None:
    quick = Recipe(steps=30, hear_batch=4, feel_batch=4, crop_seconds=0.5)
    run = recipe_module.Run(tmp_path / "run", speech(), quick)
    run.train()
    record = recipe_module.export(run, tmp_path / "out", "test")
    loaded = encoder.load(str(tmp_path / "out"), Settings())
    assert loaded.classes == CLASSES
    assert record["fingerprint"] == loaded.fingerprint
    assert json.loads((tmp_path / "out" / recipe_module.RECORD).read_text()) == record
    assert record["test"]["x"]["n"] == 2
    heard = loaded.encode([voice(200.0).waveform()])[0]
    assert heard.probabilities is not None
    assert sum(heard.probabilities.values()) == pytest.approx(1.0)

    again = recipe_module.Run(tmp_path / "run", speech(), quick)  # a finished run stays finished
    assert again.step == run.step
    with pytest.raises(DataError, match="other settings"):
        recipe_module.Run(tmp_path / "run", speech(), Recipe(steps=2))


def test_speech_is_parted_as_prepare_does(tmp_path: Path) -> None:
    rows = ["file,label,speaker,seconds"]
    for number, v in enumerate(voices()):
        soundfile.write(tmp_path / f"{number}.wav", voiced(1.0, seed=number), RATE)
        rows.append(f"{number}.wav,{v.label},{v.speaker},1.0")
    soundfile.write(tmp_path / "copy.wav", voiced(1.0), RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    rows += ["copy.wav,angry,x-a,1.0", "silent.wav,sad,x-b,1.0"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    speech = recipe_module.read_speech({"emodb": tmp_path}, seed=3)
    assert sum(map(len, speech.sides.values())) == len(voices())
    clips = corpora.read("emodb", tmp_path).clips
    parted = splits.split([c for c in clips if Path(c.path).stem.isdigit()], 3).clips
    for side in corpora.SPLITS:
        assert speech.speakers()[side] == sorted({c.speaker for c in parted if c.split == side})


def test_a_missing_corpus_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--emodb", str(tmp_path / "no"), "--out", str(tmp_path / "out")]
    code = command("encoder", "About.", recipe_module.configure, recipe_module.run, words)
    assert code == 1
    assert "does not exist" in capsys.readouterr().err


def test_size_of_the_shipped_network() -> None:
    network: nn.Module = encoder.build_network(recipe_module.model_conf(), 7)
    assert 2 * sum(p.numel() for p in network.parameters()) < 4.4e6


def test_the_shipped_encoder_is_the_recorded_one() -> None:
    folder = ASSETS / "encoder"
    loaded = encoder.load(str(folder), Settings())
    record = json.loads((folder / recipe_module.RECORD).read_text(encoding="utf-8"))
    assert loaded.fingerprint == record["fingerprint"]
    assert list(loaded.classes) == record["classes"]
    sides = [set(record["speakers"][side]) for side in ("train", "valid", "test")]
    assert len(set.union(*sides)) == sum(map(len, sides))
    heard = loaded.encode([voice(200.0).waveform()])[0]
    assert np.isfinite(heard.frames).all()
    assert heard.probabilities is not None
    assert sum(heard.probabilities.values()) == pytest.approx(1.0)
