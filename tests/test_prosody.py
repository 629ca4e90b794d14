"""Cues and functionals of sounds whose answer is known."""

import tracemalloc

import numpy as np
import pytest

from audiollm.audio import functionals, prosody

RATE = 16000


def voice(f0: float, seconds: float = 1.0, level: float = 0.3) -> np.ndarray:
    """A buzz with harmonics that fall off like a voice."""
    t = np.arange(int(RATE * seconds)) / RATE
    waves = [np.sin(2 * np.pi * f0 * k * t) / k for k in range(1, 12) if f0 * k < 7500]
    sound = np.sum(waves, axis=0)
    return (level * sound / np.abs(sound).max()).astype(np.float32)


@pytest.mark.parametrize("f0", [80.0, 120.0, 200.0, 330.0, 450.0])
def test_pitch_of_a_steady_voice(f0: float) -> None:
    cues = prosody.measure(voice(f0))
    assert cues.pitch_hz == pytest.approx(f0, rel=0.01)
    assert cues.pitch_range_st == pytest.approx(0, abs=0.3)


def test_a_glide_has_its_range() -> None:
    t = np.arange(2 * RATE) / RATE
    f0 = 120 * 2 ** (t / 2)  # one octave up in two seconds
    waves = [np.sin(2 * np.pi * np.cumsum(f0 * k) / RATE) / k for k in range(1, 8)]
    sound = np.sum(waves, axis=0)
    cues = prosody.measure((0.1 * sound).astype(np.float32))
    assert cues.pitch_range_st == pytest.approx(12 * 0.8, abs=0.7)


def test_noise_has_no_pitch_and_silence_is_all_pause() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert np.isnan(prosody.track(noise).f0).mean() > 0.9
    silent = prosody.measure(np.zeros(RATE, np.float32))
    assert silent.pitch_hz is None
    assert silent.pause_share == 1.0


def test_syllables_and_pauses_are_counted() -> None:
    burst, gap = voice(150, 0.2) * np.hanning(3200), np.zeros(1600)
    sound = np.concatenate([np.concatenate([burst, gap])] * 6).astype(np.float32)
    cues = prosody.measure(sound)
    talking = prosody.track(sound).active.mean() * len(sound) / RATE
    assert cues.tempo_hz == pytest.approx(6 / talking, rel=0.2)
    assert 0.2 < cues.pause_share < 0.5


def babble(seconds: float) -> np.ndarray:
    """Noise and voices of changing pitch and level, none of it periodic in the block length."""
    random = np.random.default_rng(1)
    parts = [
        voice(random.uniform(80, 400), 0.37, random.uniform(0.01, 0.5))
        for _ in range(round(seconds / 0.5))
    ]
    gaps = [0.003 * random.standard_normal(round(0.13 * RATE)) for _ in parts]
    pairs = [np.concatenate(pair) for pair in zip(parts, gaps, strict=True)]
    return np.concatenate(pairs).astype(np.float32)


@pytest.mark.parametrize("block", [1, 7, 200, 999])
def test_blocks_give_the_track_of_the_whole(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    sound = babble(10)
    whole = prosody.track(sound)
    monkeypatch.setattr(prosody, "BLOCK", block)
    parts = prosody.track(sound)
    for name in ("f0", "voicing", "energy_db", "active"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_following_a_long_sound_tells_how_far_it_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prosody, "BLOCK", 300)
    told: list[float] = []
    prosody.track(babble(10), told.append)
    assert len(told) == 3
    assert told == pytest.approx([0.3, 0.6, 0.9], abs=0.01)
    told.clear()
    prosody.track(babble(1), told.append)
    assert told == []


def test_clips_under_half_a_minute_are_one_block() -> None:
    assert prosody.BLOCK > 30 * prosody.TRACK_RATE + 1


def test_brightness_of_a_long_sound_is_that_of_its_parts() -> None:
    sound = babble(40)
    exact = prosody._band_power(sound, len(sound))
    assert prosody.measure(sound).brightness_db == pytest.approx(
        10 * np.log10(exact[1] / exact[0]), abs=0.01
    )


def test_a_longer_sound_needs_hardly_more_memory() -> None:
    sound = np.tile(babble(15), 10)  # all at once it took 590 MB
    tracemalloc.start()
    cues = prosody.measure(sound)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    assert cues.seconds == pytest.approx(150)


def test_cues_survive_json() -> None:
    cues = prosody.measure(voice(200))
    assert prosody.Cues.from_dict(cues.to_dict()).to_dict() == cues.to_dict()


def test_levels_compare_with_the_register_of_the_voice() -> None:
    assert prosody.levels(prosody.measure(voice(160)))["pitch_hz"] == "high"  # low register
    assert prosody.levels(prosody.measure(voice(170)))["pitch_hz"] == "low"  # high register
    assert prosody.levels(prosody.measure(voice(200)))["pitch_hz"] == "mid"


@pytest.mark.parametrize("samples", [0, 1, 50, 400, 16000])
def test_functionals_are_finite_at_any_length(samples: int) -> None:
    for sound in (voice(180, 1.0)[:samples], np.zeros(samples, np.float32)):
        values = functionals.measure(sound)
        assert values.shape == (functionals.SIZE,) == (len(functionals.NAMES),)
        assert np.isfinite(values).all()


def test_gain_moves_only_the_level() -> None:
    quieter = np.float32(0.25) * voice(180)
    loud, quiet = functionals.measure(voice(180)), functionals.measure(quieter)
    moved = [
        name
        for name, a, b in zip(functionals.NAMES, loud, quiet, strict=True)
        if abs(a - b) > 0.02 * max(1.0, abs(a))
    ]
    assert moved == ["level"]
