"""Sounds that are not speech, synthesised: what a speech detector must not take for a voice.

Each of KINDS takes a random generator and gives samples [N], float32 at 16 kHz within [-1, 1], 1.5
to 6 s long. What varies (pitch, tempo, level, number) is drawn from the generator, so that a seed
makes the same sounds again.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import signal

RATE = 16000  # Hz
Floats = NDArray[np.float64]
Samples = NDArray[np.float32]
Rng = np.random.Generator

SCALE = (0, 2, 4, 5, 7, 9, 11, 12)  # semitones of a major scale
DTMF = ((697, 770, 852, 941), (1209, 1336, 1477, 1633))  # Hz, of the keys of a telephone


def sounds(each: int, seed: int = 0) -> Iterator[tuple[str, Samples]]:
    """(kind, samples) of `each` sounds of every kind."""
    for number, (kind, make) in enumerate(KINDS.items()):
        for i in range(each):
            rng = np.random.default_rng([seed, number, i])
            wave = make(rng)
            peak = np.abs(wave).max() or 1.0
            yield kind, (wave / peak * rng.uniform(0.1, 0.9)).astype(np.float32)


def _time(rng: Rng) -> Floats:
    return np.arange(int(rng.uniform(1.5, 6) * RATE)) / RATE


def _sine(hertz: Floats | float, time: Floats) -> Floats:
    """A tone whose frequency may glide, [N] or one number."""
    return np.sin(2 * np.pi * np.cumsum(np.broadcast_to(hertz, time.shape)) / RATE)


def noise(rng: Rng, size: int, slope: float) -> Floats:
    """Noise whose amplitude falls with frequency to the power of `slope`."""
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    parts = rng.standard_normal((2, len(hertz)))
    return np.fft.irfft((parts[0] + 1j * parts[1]) / np.maximum(hertz, 20.0) ** slope, size)


def _band(wave: Floats, low: float, high: float) -> Floats:
    return signal.sosfilt(signal.butter(2, (low, high), "bandpass", fs=RATE, output="sos"), wave)


def _put(wave: Floats, part: Floats, second: float) -> None:
    """Adds a part at its place, cut off at the end."""
    start = int(second * RATE)
    part = part[: max(0, len(wave) - start)]
    wave[start : start + len(part)] += part


def _beats(rng: Rng, time: Floats, low: float, high: float, jitter: float = 0.0) -> Iterator[float]:
    """Seconds of events at a steady rate of `low` to `high` Hz."""
    step, now = 1 / rng.uniform(low, high), rng.uniform(0, 0.3)
    while now < time[-1]:
        yield now
        now += step * (1 + jitter * rng.uniform(-1, 1))


def _note(hertz: float, seconds: float, partials: int = 6, decay: float = 2.0) -> Floats:
    """A tone with harmonics and the envelope of a struck string or key."""
    time = np.arange(int(seconds * RATE)) / RATE
    wave = sum(
        np.sin(2 * np.pi * k * hertz * time) / k**1.5
        for k in range(1, partials + 1)
        if k * hertz < RATE / 2
    )
    return wave * np.minimum(time / 0.01, 1) * np.exp(-decay * time)


def _plucked(rng: Rng, hertz: float, seconds: float) -> Floats:
    """A string by Karplus and Strong: noise in a loop that loses its high frequencies."""
    period = int(RATE / hertz)
    burst = np.zeros(int(seconds * RATE))
    burst[:period] = rng.uniform(-1, 1, period)
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1, -0.4975, -0.4975
    return signal.lfilter([1.0], loop, burst)


def _drum(rng: Rng) -> Floats:
    """A bass drum, a snare or a cymbal."""
    time = np.arange(int(0.3 * RATE)) / RATE
    hiss = rng.standard_normal(len(time))
    kind = rng.integers(3)
    if kind == 0:
        return _sine(50 + 80 * np.exp(-30 * time), time) * np.exp(-12 * time)
    if kind == 1:
        return (0.5 * hiss + 0.5 * _sine(190.0, time)) * np.exp(-20 * time)
    return _band(hiss, 5000, 7900) * np.exp(-30 * time)


def tone(rng: Rng) -> Floats:
    time = _time(rng)
    return _sine(float(np.exp(rng.uniform(np.log(80), np.log(6000)))), time)


def sweep(rng: Rng) -> Floats:
    time = _time(rng)
    ends = np.exp(rng.uniform(np.log(60), np.log(7000), 2))
    return _sine(ends[0] * (ends[1] / ends[0]) ** (time / time[-1]), time)


def drone(rng: Rng) -> Floats:
    time, hertz = _time(rng), rng.uniform(50, 300)
    shape = signal.square if rng.integers(2) else signal.sawtooth
    return np.sum([shape(2 * np.pi * hertz * d * time) for d in (1, rng.uniform(1, 1.02))], 0)


def white_noise(rng: Rng) -> Floats:
    return noise(rng, len(_time(rng)), 0.0)


def pink_noise(rng: Rng) -> Floats:
    return noise(rng, len(_time(rng)), 0.5)


def brown_noise(rng: Rng) -> Floats:
    return noise(rng, len(_time(rng)), 1.0)


def chords(rng: Rng) -> Floats:
    time, root = _time(rng), rng.uniform(100, 300)
    wave = np.zeros(len(time))
    for now in _beats(rng, time, 0.7, 2.0):
        base = root * 2 ** (rng.choice(SCALE) / 12)
        for third in (0, rng.choice((3, 4)), 7):
            _put(wave, _note(base * 2 ** (third / 12), 1.5), now)
    return wave


def arpeggio(rng: Rng) -> Floats:
    time, root = _time(rng), rng.uniform(150, 500)
    wave = np.zeros(len(time))
    for now in _beats(rng, time, 3, 8):
        _put(wave, _note(root * 2 ** (rng.choice(SCALE) / 12), 0.5, decay=5), now)
    return wave


def plucked_strings(rng: Rng) -> Floats:
    time, root = _time(rng), rng.uniform(80, 300)
    wave = np.zeros(len(time))
    for now in _beats(rng, time, 1.5, 5):
        _put(wave, _plucked(rng, root * 2 ** (rng.choice(SCALE) / 12), 1.2), now)
    return wave


def drums(rng: Rng) -> Floats:
    time = _time(rng)
    wave = np.zeros(len(time))
    for now in _beats(rng, time, 3, 8):
        _put(wave, _drum(rng) * rng.uniform(0.3, 1), now)
    return wave


def band(rng: Rng) -> Floats:
    """Chords, plucked strings and drums together."""
    parts = [part / np.abs(part).max() for part in (chords(rng), plucked_strings(rng), drums(rng))]
    wave = np.zeros(max(map(len, parts)))
    for part in parts:
        _put(wave, part * rng.uniform(0.4, 1), 0)
    return wave


def clicks(rng: Rng) -> Floats:
    """As of a keyboard, a metronome or a scratched record."""
    time = _time(rng)
    wave = np.zeros(len(time))
    for now in _beats(rng, time, 1, 12, jitter=0.8):
        decay = np.exp(-np.arange(200) / rng.uniform(5, 40))
        _put(wave, rng.standard_normal(200) * decay * rng.uniform(0.2, 1), now)
    return wave


def dtmf(rng: Rng) -> Floats:
    time = _time(rng)
    wave = np.zeros(len(time))
    for now in _beats(rng, time, 2, 6):
        key = np.arange(int(0.1 * RATE)) / RATE
        _put(wave, sum(np.sin(2 * np.pi * rng.choice(row) * key) for row in DTMF), now)
    return wave


def alarm(rng: Rng) -> Floats:
    time = _time(rng)
    beep = signal.square(2 * np.pi * rng.uniform(1, 5) * time) > 0
    return np.sign(_sine(rng.uniform(800, 3500), time)) * beep


def siren(rng: Rng) -> Floats:
    time = _time(rng)
    rate, middle = rng.uniform(0.3, 4), rng.uniform(500, 1000)
    swing = np.sin if rng.integers(2) else signal.square  # wailing, or two tones in turn
    hertz = middle * (1 + rng.uniform(0.1, 0.4) * swing(2 * np.pi * rate * time))
    return np.sum([_sine(k * hertz, time) / k for k in (1, 2, 3, 5)], 0)


def engine(rng: Rng) -> Floats:
    """Firing strokes in a pipe, at a speed that changes a little, and the noise of the intake."""
    time = _time(rng)
    hertz = rng.uniform(20, 90) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * time))
    strokes = sum(_sine(k * hertz, time) * rng.uniform(0.3, 1) / k**0.7 for k in range(1, 25))
    return strokes + rng.uniform(0.3, 2) * _band(rng.standard_normal(len(time)), 100, 1500)


def mains_hum(rng: Rng) -> Floats:
    time, hertz = _time(rng), rng.choice((50.0, 60.0))
    wave = sum(_sine(k * hertz, time) * rng.uniform(0, 1) for k in range(1, 12))
    return wave + 0.1 * rng.standard_normal(len(time))


def dog(rng: Rng) -> Floats:
    """Barks: a short falling tone, rough, with a throat that opens and shuts."""
    time = _time(rng)
    wave = np.zeros(len(time))
    for now in _beats(rng, time, 0.8, 3, jitter=0.3):
        bark = np.arange(int(rng.uniform(0.1, 0.25) * RATE)) / RATE
        share = bark / bark[-1]
        hertz = rng.uniform(300, 700) * (1 + 0.5 * np.sin(np.pi * share))
        rough = sum(_sine(k * hertz, bark) / k for k in range(1, 9))
        rough = rough + rng.uniform(0.5, 2) * rng.standard_normal(len(bark))
        throat = _band(rough, rng.uniform(400, 700), rng.uniform(1500, 3000))
        _put(wave, throat * np.sin(np.pi * share) ** 0.7, now)
    return wave + 1e-3 * rng.standard_normal(len(wave))


def birds(rng: Rng) -> Floats:
    time = _time(rng)
    wave = np.zeros(len(time))
    for now in _beats(rng, time, 2, 8, jitter=0.6):
        chirp = np.arange(int(rng.uniform(0.05, 0.25) * RATE)) / RATE
        share = chirp / chirp[-1]
        hertz = rng.uniform(2000, 5500) * (1 + rng.uniform(-0.3, 0.3) * share)
        hertz = hertz * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(10, 50) * chirp))
        _put(wave, _sine(hertz, chirp) * np.sin(np.pi * share), now)
    return wave + 1e-3 * rng.standard_normal(len(wave))


def wind(rng: Rng) -> Floats:
    """Gusts over a microphone."""
    time = _time(rng)
    gusts = np.interp(time, np.arange(0, 8, 0.7), rng.uniform(0.1, 1, 12))
    return noise(rng, len(time), rng.uniform(0.6, 1.2)) * gusts


def applause(rng: Rng) -> Floats:
    time = _time(rng)
    wave = np.zeros(len(time))
    for now in rng.uniform(0, time[-1], int(rng.uniform(20, 120) * time[-1])):
        clap = rng.standard_normal(400) * np.exp(-np.arange(400) / rng.uniform(20, 80))
        _put(wave, clap * rng.uniform(0.2, 1), now)
    return _band(wave, 500, 5000)


# in this order: a kind's number is part of its seed
_MAKERS = (
    *(tone, sweep, drone, white_noise, pink_noise, brown_noise, chords, arpeggio, plucked_strings),
    *(drums, band, clicks, dtmf, alarm, siren, engine, mains_hum, dog, birds, wind, applause),
)
KINDS: dict[str, Callable[[Rng], Floats]] = {
    make.__name__.replace("_", " ").replace("dtmf", "DTMF"): make for make in _MAKERS
}
