"""What each condition does to a sound, measured on the sound."""

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import signal

from tests.conftest import RATE, voiced
from train.data import conditions
from train.data.conditions import CONDITIONS, RT60, Samples, degrade

sounds = arrays.arrays(
    np.float32,
    st.integers(1, 3000),
    elements=st.floats(-1, 1, width=32, allow_subnormal=False),
    fill=st.just(np.float32(0)),
)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def white(seconds: float = 4.0) -> Samples:
    return (0.1 * generator(7).standard_normal(int(seconds * RATE))).astype(np.float32)


def decibels(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


@pytest.mark.parametrize("name", CONDITIONS)
@given(samples=sounds)
@effort(deadline=None, max_examples=40)
def test_length_type_and_finiteness_are_kept(name: str, samples: Samples) -> None:
    before = samples.copy()
    after = degrade(samples, name, "clip")
    assert (after.shape, after.dtype) == (samples.shape, np.float32)
    assert np.isfinite(after).all()
    assert (samples == before).all()  # the caller hears it again under the next condition


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("size", [1, 2, 3, 159, 160, 5001])
def test_silence_stays_silent(name: str, size: int) -> None:
    assert not degrade(np.zeros(size, np.float32), name, "clip").any()


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_clip_is_always_degraded_alike_and_two_clips_differently(name: str) -> None:
    samples = voiced(1.0)
    once, again, other = (degrade(samples, name, clip) for clip in ("a", "a", "b"))
    np.testing.assert_array_equal(once, again)
    random = name.startswith(("noise", "small room"))
    assert np.array_equal(once, other) != random
    assert np.array_equal(once, samples) == (name == "clean")


@given(
    snr=st.floats(-10, 40),
    gain=st.floats(1e-3, 1),
    offset=st.floats(-0.2, 0.2),
    size=st.integers(100, 20000),
    seed=st.integers(0, 99),
)
@example(snr=33.5, gain=0.001953125, offset=0.125, size=100, seed=0)  # too faint for float32
@effort(deadline=None, max_examples=60)
def test_noise_has_the_level_that_was_asked_for(
    snr: float, gain: float, offset: float, size: int, seed: int
) -> None:
    samples = (gain * voiced(1.3)[:size] + offset).astype(np.float32)
    added = conditions.noisy(samples, generator(seed), snr).astype(np.float64) - samples
    voice = samples.astype(np.float64)
    assume(np.mean(added**2) > (300 * np.spacing(np.abs(samples).max())) ** 2)  # float32 holds it
    # an offset is no voice: the noise is measured against what moves
    assert decibels(voice.var() / np.mean(added**2)) == pytest.approx(snr, abs=0.1)


def test_noise_is_pink() -> None:
    noise = conditions.noisy(white(), generator(), 0.0) - white()
    hertz, power = signal.welch(noise, RATE, nperseg=4096)
    octaves = [power[(hertz >= f) & (hertz < 2 * f)].sum() for f in (125, 250, 500, 1000, 2000)]
    # as much power in every octave
    assert max(octaves) / min(octaves) < 1.2


def test_a_telephone_passes_its_band_alone() -> None:
    samples = white()
    hertz, before = signal.welch(samples, RATE, nperseg=4096)
    _, after = signal.welch(conditions.telephone(samples, generator()), RATE, nperseg=4096)
    low, high = conditions.BAND
    outside = (hertz < low) | (hertz > high)
    assert decibels(after[outside].sum() / before[outside].sum()) < -20
    for region in ((hertz < 0.8 * low), (hertz > 1.1 * high)):
        assert decibels(after[region].sum() / before[region].sum()) < -35
    inside = (hertz > 1.05 * low) & (hertz < 0.95 * high)
    assert decibels(after[inside].sum() / before[inside].sum()) == pytest.approx(0, abs=1)


@pytest.mark.parametrize("seed", range(5))
def test_a_room_rings_for_its_time_and_as_loud_as_the_voice(seed: int) -> None:
    clap = np.zeros(RATE, np.float32)
    clap[100] = 1
    heard = conditions.room(clap, generator(seed)).astype(np.float64)
    assert np.abs(heard[:100]).max() < 1e-6
    assert heard[100] == pytest.approx(1)
    assert np.abs(heard[101 : 100 + int(conditions.FIRST_ECHO * RATE)]).max() < 1e-6
    echo = heard[101:]
    assert np.sum(echo**2) == pytest.approx(1, abs=1e-3)
    # Schroeder 1965: energy that is still to come; T20, from -5 to -25 dB
    left = 10 * np.log10(np.maximum(np.cumsum(echo[::-1] ** 2)[::-1] / np.sum(echo**2), 1e-12))
    start, stop = (int(np.argmax(left < level)) for level in (-5, -25))
    assert 3 * (stop - start) / RATE == pytest.approx(RT60, rel=0.15)


def test_quiet_is_20_db_down() -> None:
    samples = voiced(1.0)
    after = conditions.quiet(samples, generator())
    assert decibels(np.mean(after**2) / np.mean(samples**2)) == pytest.approx(-20, abs=1e-3)
