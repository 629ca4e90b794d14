"""Sound files of unusual clocks, tracks or headers: all that FFmpeg decodes is read whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from audiollm import audio
from audiollm.errors import AudioError
from audiollm.settings import Settings
from tests.conftest import RATE, encode, voiced

SECONDS = 3.0
# FFmpeg container and codec, sample rate, options
CONTAINERS: list[tuple[str, str, int, dict[str, str]]] = [
    ("webm", "libopus", 48000, {}),
    ("webm", "libopus", 48000, {"live": "1"}),
    ("matroska", "aac", RATE, {}),
    ("matroska", "pcm_s16le", RATE, {}),
    ("mp4", "aac", RATE, {}),
    ("mp4", "aac", RATE, {"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
    ("mov", "pcm_s16le", RATE, {}),
    ("ogg", "libopus", 48000, {}),
    ("ogg", "flac", RATE, {}),
    ("asf", "wmav2", RATE, {}),
    ("avi", "pcm_s16le", RATE, {}),
]
NAMED = [kind for kind in CONTAINERS if "live" not in kind[3]]  # they declare a length


def sound(rate: int) -> np.ndarray:
    """The same clip at any rate. [N]"""
    times = np.arange(round(SECONDS * rate)) / rate
    clip = voiced(SECONDS)
    return np.interp(times, np.arange(len(clip)) / RATE, clip).astype(np.float32)


# ------------------------------------------------------------------ clocks


@effort(max_examples=25, deadline=None)
@given(
    st.sampled_from(CONTAINERS),
    st.sampled_from([0.0, 0.3, 4.0, 59.9, 7200.0]),
    st.integers(1, 2),
    st.integers(1, 2),
)
def test_a_clock_that_starts_anywhere(
    kind: tuple[str, str, int, dict[str, str]], start: float, channels: int, tracks: int
) -> None:
    container, codec, rate, options = kind
    one = np.repeat(sound(rate)[:, None], channels, axis=1)
    many = [one] * (1 if container == "avi" else tracks)
    data = encode(many, container, codec, rate, options, start)
    found = audio.load(data, Settings(max_seconds=SECONDS + 0.5))
    assert found.seconds == pytest.approx(SECONDS, abs=0.15)
    assert found.channels == one.shape[1]


@pytest.mark.parametrize("start", [0.0, 4.0, 1800.0])
@pytest.mark.parametrize(("container", "codec", "rate", "options"), NAMED)
def test_a_cut_file_is_refused_whenever_it_starts(
    container: str, codec: str, rate: int, options: dict[str, str], start: float
) -> None:
    data = encode(sound(rate), container, codec, rate, options, start)
    with pytest.raises(AudioError) as found:
        audio.load(data[: int(len(data) * 0.7)])
    assert found.value.code in ("audio_cut_off", "audio_damaged")


@pytest.mark.parametrize("start", [0.0, 4.0])
@pytest.mark.parametrize(("container", "codec", "rate", "options"), CONTAINERS)
def test_a_long_sound_is_refused_whenever_it_starts(
    container: str, codec: str, rate: int, options: dict[str, str], start: float
) -> None:
    data = encode(sound(rate), container, codec, rate, options, start)
    with pytest.raises(AudioError) as found:
        audio.load(data, Settings(max_seconds=SECONDS - 0.5))
    assert found.value.code in ("audio_too_long", "audio_over_limit")
