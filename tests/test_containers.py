"""Sound files of unusual clocks, tracks or headers: all that FFmpeg decodes is read whole."""

import io
from typing import Literal

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from audiollm import audio
from audiollm.errors import AudioError, NoSpeechError
from audiollm.settings import Settings
from tests.conftest import RATE, encode, track, voiced

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


# ------------------------------------------------------------------ channels and tracks


def is_clip(found: audio.Sound, rate: int) -> bool:
    """Whether the sound is the clip, at whatever level."""
    clip = sound(rate) if rate == RATE else audio.from_array(sound(rate), rate).samples
    heard = found.samples - found.samples.mean()
    n = min(len(clip), len(heard))
    cross = np.fft.irfft(np.fft.rfft(heard, 2 * n) * np.conj(np.fft.rfft(clip, 2 * n)))
    power = np.linalg.norm(heard) * np.linalg.norm(clip)
    audio.require_level(found)
    return bool(np.abs(cross).max() > 0.9 * power)


@effort(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([1.0, -1.0, -0.95, 0.0]), min_size=1, max_size=24), st.data())
def test_channels_that_cancel(gains: list[float], data: st.DataObject) -> None:
    gains[data.draw(st.integers(0, len(gains) - 1))] = 1.0
    offset = data.draw(st.sampled_from([0.0, 0.4]))
    samples = np.outer(sound(RATE), gains) * 0.5
    samples[:, -1] += offset
    found = audio.from_array(samples.astype(np.float32), RATE)
    assert is_clip(found, RATE)
    assert found.channels == len(gains)


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [("wav", "pcm_s16le", RATE), ("flac", "flac", RATE), ("webm", "libopus", 48000)],
)
def test_two_microphones_in_antiphase(container: str, codec: str, rate: int) -> None:
    clip = sound(rate)
    data = encode(np.stack([clip, -clip], axis=1), container, codec, rate)
    assert is_clip(audio.load(data), rate)


@effort(max_examples=15, deadline=None)
@given(
    st.sampled_from([("matroska", "libopus", 48000), ("mp4", "aac", RATE), ("mov", "alac", RATE)]),
    st.integers(1, 3),
    st.data(),
)
def test_a_track_with_sound_is_taken(
    kind: tuple[str, str, int], tracks: int, data: st.DataObject
) -> None:
    container, codec, rate = kind
    spoken = data.draw(st.integers(0, tracks - 1))
    silence = np.zeros(round(SECONDS * rate), np.float32)
    many = [sound(rate) if track == spoken else silence for track in range(tracks)]
    assert is_clip(audio.load(encode(many, container, codec, rate)), rate)


def test_a_track_of_a_known_codec_is_taken() -> None:
    """TTA is none of those that are decoded; AAC is."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        tracks = [track(out, sound(RATE), codec, RATE) for codec in ("tta", "aac")]
        for stream, frame in tracks:
            out.mux([*stream.encode(frame), *stream.encode()])
    assert is_clip(audio.load(file.getvalue()), RATE)
    with pytest.raises(AudioError) as refused:
        audio.load(encode([sound(RATE)] * 2, "matroska", "tta"))
    assert refused.value.code == "audio_codec"


def test_silence_in_all_tracks_is_silence() -> None:
    silence = np.zeros((3 * RATE, 2), np.float32)
    found = audio.load(encode([silence] * 2, "matroska", "pcm_s16le"))
    with pytest.raises(NoSpeechError) as refused:
        audio.require_level(found)
    assert refused.value.code == "audio_silent"


# ------------------------------------------------------------------ headers


# kind of file of libsndfile -> fields that hold a size: after these letters, at this distance, so
# many bytes, byte order, bytes or frames that are no samples
SIZES: dict[str, list[tuple[bytes, int, int, Literal["little", "big"], int]]] = {
    "WAV": [(b"data", 4, 4, "little", 0)],
    "WAVEX": [(b"data", 4, 4, "little", 0)],
    "RF64": [(b"ds64", 16, 8, "little", 0)],
    "AIFF": [(b"SSND", 4, 4, "big", 8), (b"COMM", 10, 4, "big", 0)],
    "AU": [(b".snd", 8, 4, "big", 0)],
}


def understated(data: bytes, share: float, kind: str = "WAV") -> bytes:
    """A file whose header knows only a share of its samples, as of a recorder that crashed."""
    for letters, distance, width, order, more in SIZES[kind]:
        at = data.index(letters) + distance
        size = int((int.from_bytes(data[at : at + width], order) - more) * share) // 4 * 4 + more
        data = data[:at] + size.to_bytes(width, order) + data[at + width :]
    return data


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
@pytest.mark.parametrize(
    "codec", ["pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f32le", "pcm_alaw", "adpcm_ima_wav"]
)
def test_a_wav_that_holds_more_than_it_declares_is_read_whole(codec: str, share: float) -> None:
    data = encode(sound(RATE), "wav", codec)
    found = audio.load(understated(data, share))
    assert found.seconds == pytest.approx(SECONDS, abs=0.1)
    assert is_clip(found, RATE)


@pytest.mark.parametrize(
    "rest",
    [
        *(b"LIST" + bytes([200, 0, 0, 0]) + b"INFOIART" * 25, b"id3 \x10\x27\0\0" + bytes(10000)),
        *(b"\0" + b"junk\x10\x27\0\0" + bytes(range(1, 251)) * 40, bytes(30000)),
        *(b"TAG" + b"x" * 125, b"ID3\x04" + b"y" * 20000, b"bext\0\0\0\x01" + b"z" * 20000),
    ],
)
def test_what_is_no_sound_behind_the_samples_is_left_out(rest: bytes) -> None:
    data = encode(sound(RATE), "wav", "pcm_s16le")
    assert audio.load(data + rest).seconds == pytest.approx(SECONDS, abs=0.01)


@effort(max_examples=25, deadline=None)
@given(
    st.floats(0.05, 1),
    st.sampled_from([b"", b"LIST\x04\0\0\0abcd", b"NAME\0\0\0\x04abcd"]),
    st.sampled_from(sorted(SIZES)),
)
def test_a_file_of_any_declared_size_is_read_whole(share: float, rest: bytes, kind: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, sound(RATE), RATE, format=kind, subtype="PCM_16")
    found = audio.load(understated(file.getvalue(), share, kind) + rest)
    assert found.seconds >= 0.95 * SECONDS - 0.1


@pytest.mark.parametrize("exponent", [b"\x00\x00", b"\x7f\xff", b"\xff\xff"])
def test_an_aiff_of_an_impossible_rate_is_refused(exponent: bytes) -> None:
    file = io.BytesIO()
    soundfile.write(file, sound(RATE), RATE, format="AIFF", subtype="PCM_16")
    data = understated(file.getvalue(), 0.5, "AIFF")
    at = data.index(b"COMM") + 16
    with pytest.raises(AudioError) as refusal:
        audio.load(data[:at] + exponent + data[at + 2 :])
    assert refusal.value.code


# ------------------------------------------------------------------ streams without a length


def frame_of_ogg(seconds: float) -> bytes:
    file = io.BytesIO()
    clip = sound(RATE)[: round(seconds * RATE)]
    soundfile.write(file, clip, RATE, format="OGG", subtype="OPUS")
    return file.getvalue()


@pytest.mark.parametrize("count", [2, 300])
@pytest.mark.parametrize("same", [True, False])
def test_chained_ogg_streams_are_read_whole(count: int, same: bool) -> None:
    """Also where all have the same serial number, as of a file that is put behind itself."""
    data = frame_of_ogg(0.1) * count
    if not same:
        data = b"".join(frame_of_ogg(0.1) for _ in range(count))
    assert audio.load(data).seconds == pytest.approx(0.1 * count, rel=0.01)


@effort(max_examples=15, deadline=None)
@given(st.floats(0.2, 0.99))
def test_an_adts_stream_that_ends_inside_a_frame_is_cut_off(share: float) -> None:
    whole = encode(sound(RATE), "adts", "aac")
    ends = [0]  # of the frames
    while ends[-1] < len(whole):
        head = whole[ends[-1] : ends[-1] + 6]
        ends.append(ends[-1] + (int.from_bytes(head[3:6], "big") >> 5 & 0x1FFF))
    cut = int(share * len(whole))
    assert audio.load(whole).seconds == pytest.approx(SECONDS, abs=0.2)
    assert audio.load(whole + b"TAG" + bytes(125)).seconds == pytest.approx(SECONDS, abs=0.2)
    if cut in ends:
        assert audio.load(whole[:cut]).seconds < SECONDS
        return
    with pytest.raises(AudioError) as refusal:
        audio.load(whole[:cut])
    assert refusal.value.code == "audio_damaged"
