"""Every kind of sound is heard alike; every kind of bad input is one sentence."""

import hashlib
import io
import os
import re
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from audiollm import audio
from audiollm.audio import Sound, decoding, loading
from audiollm.audio import effort as effort_of_a_file
from audiollm.errors import AudioError
from audiollm.settings import Settings
from tests.conftest import RATE, encode, film, vowels

CLIP = vowels(1.5)

# FFmpeg container and codec, sample rate
FFMPEG_FORMATS = [
    *(("wav", f"pcm_{kind}", RATE) for kind in ("u8", "s16le", "s24le", "s32le", "f32le", "f64le")),
    *(("wav", codec, RATE) for codec in ("pcm_alaw", "pcm_mulaw", "adpcm_ima_wav", "adpcm_ms")),
    ("flac", "flac", 44100),
    ("ogg", "libopus", 48000),
    ("ogg", "flac", RATE),
    ("webm", "libopus", 48000),
    ("matroska", "pcm_s16le", RATE),
    ("mp3", "libmp3lame", 44100),
    ("mp2", "mp2", 48000),
    ("ipod", "aac", 44100),  # m4a
    ("ipod", "alac", 44100),
    ("mp4", "libopus", 48000),
    ("mov", "pcm_s16be", 48000),
    ("adts", "aac", 44100),
    ("aiff", "pcm_s16be", 44100),
    ("caf", "pcm_s16le", 44100),
    ("3gp", "libopencore_amrnb", 8000),
    ("amr", "libopencore_amrnb", 8000),
    ("au", "pcm_s16be", RATE),
    ("w64", "pcm_s16le", RATE),
    ("asf", "wmav2", 44100),
]
LIBSNDFILE_FORMATS = [
    ("WAV", "PCM_16"),
    ("WAVEX", "PCM_24"),
    ("WAVEX", "FLOAT"),
    ("WAVEX", "ALAW"),
    ("RF64", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("AIFF", "FLOAT"),
    ("CAF", "ALAC_16"),
]


def at(rate: int, samples: np.ndarray = CLIP) -> np.ndarray:
    """The clip at another rate, by Fourier series."""
    n = round(len(samples) * rate / RATE)
    spectrum = np.fft.rfft(samples)
    return np.fft.irfft(spectrum[: n // 2 + 1], n).astype(np.float32) * (n / len(samples))


def wav(samples: np.ndarray = CLIP, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format="WAV")
    return file.getvalue()


def likeness(sound: Sound, reference: np.ndarray = CLIP) -> float:
    """Greatest normalised correlation of the two over all delays; 1 for equal sounds."""
    n = len(sound.samples) + len(reference)
    cross = np.fft.irfft(np.fft.rfft(sound.samples, n) * np.conj(np.fft.rfft(reference, n)), n)
    return float(cross.max() / np.linalg.norm(sound.samples) / np.linalg.norm(reference))


def check(sound: Sound) -> None:
    assert sound.samples.dtype == np.float32
    assert sound.samples.ndim == 1
    assert np.isfinite(sound.samples).all()
    assert np.abs(sound.samples).max() <= 1
    assert 0 <= sound.clipped <= 1
    assert abs(len(sound.samples) - sound.seconds * RATE) <= 2


def complaint(source: str | Path | bytes, settings: Settings | None = None) -> str:
    """The sentence that refuses the source."""
    with pytest.raises(AudioError) as caught:
        audio.load(source, settings)
    text = str(caught.value)
    assert text.endswith(".")
    assert ". " not in text, "one sentence"
    assert "\n" not in text
    assert "/" not in text, "no path of this machine"
    assert text.startswith(loading._name(source))
    chinese = caught.value.in_language("zh")
    assert re.search("[\u4e00-\u9fff]{4}", chinese)
    assert chinese.endswith("。") and "\n" not in chinese and "/" not in chinese
    assert set(re.findall(r"\d+", text)) == set(re.findall(r"\d+", chinese))  # the same figures
    return text


# ------------------------------------------------------------------ every format


@pytest.mark.parametrize(("container", "codec", "rate"), FFMPEG_FORMATS)
def test_ffmpeg_formats(container: str, codec: str, rate: int) -> None:
    sound = audio.load(encode(at(rate), container, codec, rate))
    check(sound)
    assert sound.seconds == pytest.approx(1.5, abs=0.12)  # lossy codecs pad to whole frames
    assert (sound.source_rate, sound.channels) == (rate, 1)
    assert likeness(sound) > (0.9 if "amr" in codec else 0.96)


@pytest.mark.parametrize(("container", "subtype"), LIBSNDFILE_FORMATS)
def test_libsndfile_formats(container: str, subtype: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, at(48000), 48000, format=container, subtype=subtype)
    sound = audio.load(file.getvalue())
    check(sound)
    assert sound.seconds == pytest.approx(1.5, abs=0.12)
    assert likeness(sound) > 0.98


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 22050, 44100, 96000, 192000])
def test_every_rate_keeps_pitch_and_length(rate: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    sound = audio.load(wav(tone, rate))
    check(sound)
    assert sound.seconds == 1.0
    assert np.abs(np.fft.rfft(sound.samples)).argmax() == pytest.approx(440, abs=1)
    assert np.sqrt(np.mean(sound.samples**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("channels", [1, 2, 5, 8, 24])
def test_channels_are_averaged(channels: int) -> None:
    weights = np.linspace(0.1, 0.9, channels)
    sound = audio.load(wav(CLIP[:, None] * weights))
    assert sound.channels == channels
    np.testing.assert_allclose(sound.samples, CLIP * weights.mean(), atol=2 / 32768)


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [("ogg", "libopus", 48000), ("ipod", "aac", 48000), ("caf", "pcm_s16be", RATE)],
)
def test_eight_channels_that_crash_pyav(container: str, codec: str, rate: int) -> None:
    sound = audio.load(encode(np.repeat(at(rate)[:, None], 8, 1), container, codec, rate))
    assert sound.channels == 8
    assert likeness(sound) > 0.9


def test_sound_track_of_a_film() -> None:
    assert likeness(audio.load(film(CLIP))) > 0.98


def test_content_decides_not_the_ending(tmp_path: Path) -> None:
    path = tmp_path / "voice.mp3"
    path.write_bytes(wav())
    np.testing.assert_allclose(audio.load(path).samples, CLIP, atol=2 / 32768)
    path = tmp_path / "voice.wav"
    path.write_bytes(encode(CLIP, "ogg", "flac"))
    assert likeness(audio.load(str(path))) > 0.99


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_wav_of_a_recorder_that_left_the_length_open(size: int) -> None:
    data = wav()
    at_size = data.index(b"data") + 4
    data = data[:at_size] + struct.pack("<I", size) + data[at_size + 4 :]
    assert len(audio.load(data).samples) == len(CLIP)


def test_flac_of_an_encoder_that_left_the_length_open() -> None:
    data = bytearray(encode(CLIP, "flac", "flac"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    assert len(audio.load(bytes(data)).samples) == len(CLIP)


def test_same_content_same_hash(tmp_path: Path) -> None:
    whole = np.rint(CLIP * 32768).astype("<i2")
    floats = whole / np.float32(32768)
    path = tmp_path / "clip.flac"
    path.write_bytes(encode(floats, "flac", "flac"))
    sounds = [audio.load(s) for s in (wav(whole), encode(floats, "aiff", "pcm_s16be"), path)]
    sounds += [audio.from_array(whole, RATE), audio.from_array(floats, RATE)]
    hashes = {audio.content_hash(s) for s in sounds}
    assert hashes == {hashlib.sha256(whole.tobytes()).hexdigest()}
    assert audio.content_hash(audio.load(wav(whole[:-1]))) not in hashes


def test_clipping_is_counted() -> None:
    assert audio.load(wav(CLIP)).clipped == 0
    wave = np.clip(3 * np.sin(np.arange(RATE) * 0.1), -1, 1)
    expected = np.mean(np.abs(wave) >= 0.98)
    for subtype in ("PCM_16", "PCM_U8", "ULAW"):
        assert audio.load(wav(wave, subtype=subtype)).clipped == pytest.approx(expected, abs=0.02)


def test_floats_beyond_full_scale_are_turned_down() -> None:
    sound = audio.load(wav(8 * CLIP, subtype="FLOAT"))
    check(sound)
    assert likeness(sound) > 0.9999


# ------------------------------------------------------------------ bad input


def test_missing_file(tmp_path: Path) -> None:
    assert "does not exist" in complaint(tmp_path / "no.wav")
    assert "does not exist" in complaint(str(tmp_path / "no" / "no.wav"))


def test_folder_pipe_and_impossible_names(tmp_path: Path) -> None:
    assert "is a folder" in complaint(tmp_path)
    os.mkfifo(tmp_path / "pipe.wav")
    assert "pipe" in complaint(tmp_path / "pipe.wav")
    assert "cannot be opened" in complaint("a\0b.wav")
    assert "cannot be opened" in complaint("a" * 5000 + ".wav")
    (tmp_path / "two\nlines.wav").write_bytes(b"")
    assert complaint(tmp_path / "two\nlines.wav").startswith("two?lines.wav is empty")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "secret.wav"
    path.write_bytes(wav())
    monkeypatch.setattr(Path, "open", refuse)
    assert "may not be read" in complaint(path)


BAD_CONTENT: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: b"", "is empty"),
    ("text", lambda: b"This is no sound.\n" * 99, "is not a sound file"),
    ("utf-16 text", lambda: ("你好, world\n" * 99).encode("utf-16"), "is not a sound file"),
    ("one byte", lambda: b"R", "is not a sound file"),
    ("zeros", lambda: bytes(9999), "is not a sound file"),
    ("picture", lambda: b"\x89PNG\r\n\x1a\n" + bytes(999), "is not a sound file"),
    ("playlist", lambda: b"#EXTM3U\n#EXTINF:1,\nfile:/etc/passwd\n", "is not a sound file"),
    ("header only", lambda: wav()[:20], "is damaged"),
    ("no samples", lambda: wav(np.zeros(0)), "holds no sound"),
    ("silent film", lambda: film(None), "has pictures but no sound"),
    ("nan", lambda: wav(np.full(RATE, np.nan), subtype="FLOAT"), "not numbers"),
    ("infinite", lambda: wav(np.full(RATE, np.inf), subtype="DOUBLE"), "not numbers"),
    ("slow", lambda: wav(rate=2000), "2000 samples a second"),
    ("fast", lambda: wav(rate=384000), "384000 samples a second"),
    ("crowd", lambda: wav(np.zeros((99, 65))), "65 channels"),
    ("strange codec", lambda: encode(CLIP, "wav", "adpcm_yamaha"), "adpcm_yamaha"),
]


@pytest.mark.parametrize(
    ("make", "words"), [b[1:] for b in BAD_CONTENT], ids=[b[0] for b in BAD_CONTENT]
)
def test_bad_content(
    make: Callable[[], bytes], words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "voice.wav"
    path.write_bytes(make())
    assert words in complaint(path)
    assert capfd.readouterr() == ("", "")


CUT = [
    ("wav", "pcm_s16le", RATE),
    ("wav", "adpcm_ima_wav", RATE),
    ("flac", "flac", RATE),
    ("ogg", "libopus", 48000),
    ("webm", "libopus", 48000),
    ("mp3", "libmp3lame", RATE),
    ("ipod", "aac", RATE),
    ("aiff", "pcm_s16be", RATE),
    ("caf", "pcm_s16le", RATE),
    ("3gp", "libopencore_amrnb", 8000),
]


@pytest.mark.parametrize(("container", "codec", "rate"), CUT)
def test_cut_files_are_refused(container: str, codec: str, rate: int) -> None:
    data = encode(at(rate), container, codec, rate)
    assert "cut off" in complaint(data[: int(len(data) * 0.8)])


@pytest.mark.parametrize(("container", "codec", "rate"), CUT)
def test_stumps_are_refused(container: str, codec: str, rate: int) -> None:
    data = encode(at(rate), container, codec, rate)
    text = complaint(data[: int(len(data) * 0.05)])
    assert "cut off" in text or "is not a sound file" in text


def test_a_cut_file_says_how_much_is_there() -> None:
    data = wav()
    assert "declares 1.5 s and it holds 0.75 s" in complaint(data[: 44 + (len(data) - 44) // 2])


def test_two_hours(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "meeting.flac"
    soundfile.write(path, np.zeros(7200 * 4000, np.int16), 4000)
    text = complaint(path, settings)
    assert "lasts 2 h 0 min" in text
    assert "1 h 0 min" in text
    assert "AUDIOLLM_MAX_SECONDS" in text


@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_sound_exactly_as_long_as_the_limit_is_heard(rate: int) -> None:
    """Summed as floats, the lengths of its blocks came to a hair more than 50 seconds."""
    silence = np.zeros(50 * rate, np.int16)
    limit = Settings(max_seconds=50)
    assert audio.from_array(silence, rate, limit).seconds == 50
    assert audio.load(encode(silence / 1.0, "flac", "flac", rate), limit).seconds == 50
    with pytest.raises(AudioError, match="longer than the limit"):
        audio.from_array(np.append(silence, silence[:1]), rate, limit)


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [("ipod", "aac", {}), ("webm", "libopus", {"live": "1"}), ("adts", "aac", {})],
)
def test_too_long_with_and_without_a_declared_length(
    container: str, codec: str, options: dict[str, str]
) -> None:
    data = encode(at(48000), container, codec, 48000, options)
    check(audio.load(data, Settings(max_seconds=1.6)))
    text = complaint(data, Settings(max_seconds=0.5))
    assert "0.50 s" in text
    assert "AUDIOLLM_MAX_SECONDS" in text


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "big.wav"
    path.write_bytes(wav())
    assert "AUDIOLLM_MAX_BYTES" in complaint(path, Settings(max_bytes=1000))
    assert "AUDIOLLM_MAX_BYTES" in complaint(wav(), Settings(max_bytes=1000))


# ------------------------------------------------------------------ decoders


def test_libsndfile_never_sees_adpcm(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = wav()
    ima = encode(CLIP, "wav", "adpcm_ima_wav")
    file = io.BytesIO()
    soundfile.write(file, CLIP, RATE, format="WAVEX", subtype="PCM_16")
    hidden = bytearray(file.getvalue())
    hidden[44:46] = (0x11).to_bytes(2, "little")  # an extensible header that means IMA-ADPCM
    behind = plain[:12] + b"JUNK\4\0\0\0...." + ima[12:]
    tagged = b"ID3\3\0\0\0\0\0\0" + ima  # libsndfile skips such a tag and looks again

    def never(*_: object) -> None:
        raise AssertionError("libsndfile was asked")

    monkeypatch.setattr(soundfile, "SoundFile", never)
    with pytest.raises(AssertionError):
        audio.load(plain)
    assert likeness(audio.load(ima)) > 0.98
    assert likeness(audio.load(behind)) > 0.98
    for data in (bytes(hidden), tagged, b"FORM" + bytes(200), b"RIFX" + plain[4:]):
        complaint(data)


@pytest.mark.parametrize(
    "program",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import time; time.sleep(30)",
        "import sys; sys.stdout.buffer.write(b'\\xff' * 12 + bytes(99))",
        "import sys; sys.stdout.buffer.write(b'\\x80\\x3e\\0\\0\\1\\0')",
        "import sys; sys.stdout.buffer.write(bytes(8) + b'\\2\\0\\0\\0{}')",
    ],
    ids=["crash", "hang", "lie", "stop", "nonsense"],
)
def test_a_decoder_that_fails(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "decoder.py"
    script.write_text(program)
    monkeypatch.setattr(decoding, "_AV_DECODER", script)
    monkeypatch.setattr(decoding, "PATIENCE", 0.5)
    assert "is damaged" in complaint(encode(CLIP, "ipod", "aac"), Settings(max_seconds=5))


SPIN = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), 60))
while True: pass
"""


def test_work_on_a_file_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By processor time, so that a busy machine refuses nothing."""
    monkeypatch.setattr(effort_of_a_file, "EFFORT", 0.0)
    monkeypatch.setattr(effort_of_a_file, "EFFORT_SHARE", 1e-9)
    with pytest.raises(AudioError) as plain:
        audio.load(wav())
    assert plain.value.code == "audio_too_slow"
    script = tmp_path / "decoder.py"
    script.write_text(SPIN)
    monkeypatch.setattr(decoding, "_AV_DECODER", script)
    with pytest.raises(AudioError) as compressed:
        audio.load(encode(CLIP, "ipod", "aac"))
    assert compressed.value.code == "audio_too_slow"


COUNTED = """
import json, struct, sys
print(*sys.argv[2:], file=open(sys.argv[0] + ".log", "a"))
sys.stdout.buffer.write(struct.pack("<III", 16000, 1, 16000) + bytes(64000))
end = {"problem": None, "declared": 1, "reached": 1, "packets": 1, "bad": 0, "spent": SPENT}
text = json.dumps(end).encode()
sys.stdout.buffer.write(struct.pack("<III", 0, 0, len(text)) + text)
"""


@pytest.mark.parametrize("spent", [20.0, float("inf"), 1e9])
def test_work_on_all_tracks_of_a_file_is_limited_together(
    spent: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every track is silent; 32 s are allowed."""
    script = tmp_path / "decoder.py"
    script.write_text(COUNTED.replace("SPENT", f"float('{spent}')"))
    monkeypatch.setattr(decoding, "_AV_DECODER", script)
    with pytest.raises(AudioError) as refused:
        audio.load(encode(CLIP, "matroska", "aac"), Settings(max_seconds=60))
    assert refused.value.code == "audio_too_slow"
    begun = [line.split() for line in (tmp_path / "decoder.py.log").read_text().splitlines()]
    assert begun == ([["32", "0"], ["12", "1"]] if spent == 20 else [["32", "0"]])


def test_a_later_track_that_takes_too_long_ends_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort_of_a_file, "EFFORT", 0.0)
    monkeypatch.setattr(effort_of_a_file, "EFFORT_SHARE", 1 / 60)
    script = tmp_path / "decoder.py"
    spins = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 60))\nwhile True: pass\n"
    code = f"if int(sys.argv[3]):\n    {spins.replace(chr(10), chr(10) + '    ')}\n"
    head, end = COUNTED.replace("SPENT", "0.0").split("sys.stdout", 1)
    script.write_text(f"{head}{code}sys.stdout{end}")
    monkeypatch.setattr(decoding, "_AV_DECODER", script)
    with pytest.raises(AudioError) as refused:
        audio.load(encode(CLIP, "matroska", "aac"), Settings(max_seconds=60))
    assert refused.value.code == "audio_too_slow"
    assert (tmp_path / "decoder.py.log").read_text().count("\n") == 2


def test_a_decoder_whose_reader_waits_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(encode(np.tile(CLIP, 60), "ogg", "libopus", 48000))
        parts = decoding.blocks(cast(BinaryIO, file), "x", 600)
        got = len(next(parts)[0])  # a busy machine starts it late
        monkeypatch.setattr(decoding, "PATIENCE", 1.0)
        time.sleep(2)
        assert got + sum(len(block) for block, _ in parts) >= 60 * len(CLIP)


# ------------------------------------------------------------------ arrays


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8", "uint16", "float64"])
def test_every_sample_type_is_scaled(dtype: str) -> None:
    kind = np.dtype(dtype)
    half = 2.0 ** (8 * kind.itemsize - 1)
    samples = CLIP if kind.kind == "f" else np.rint(CLIP * (half - 1)) + half * (kind.kind == "u")
    sound = audio.from_array(samples.astype(kind), RATE)
    np.testing.assert_allclose(sound.samples, CLIP, atol=1 / 64 if kind.itemsize == 1 else 1e-4)


def test_arrays_that_are_refused() -> None:
    for samples, rate, words in [
        (np.zeros(0), RATE, "0 samples"),
        (np.zeros((0, 2)), RATE, "0 samples"),
        (np.zeros((2, 3, 4)), RATE, "3-D"),
        (np.float32(1), RATE, "0-D"),
        (np.zeros(99, np.int64), RATE, "int64"),
        (np.zeros(99, complex), RATE, "complex"),
        (np.array(["a"]), RATE, "<U1"),
        (np.array([0.0, np.nan]), RATE, "not numbers"),
        (np.array([1e300, 0]), RATE, "not numbers"),
        (np.zeros((2, 9999)), RATE, "9999 channels"),
        (np.zeros(99), 0, "0 samples a second"),
        (np.zeros(99), -8000, "-8000 samples a second"),
    ]:
        with pytest.raises(AudioError, match=words):
            audio.from_array(np.asarray(samples), rate)
    with pytest.raises(AudioError, match="longer than the limit"):
        audio.from_array(CLIP, RATE, Settings(max_seconds=1))


def test_the_given_array_is_left_alone() -> None:
    samples = 4 * CLIP
    before = samples.copy()
    audio.from_array(samples, RATE)
    np.testing.assert_array_equal(samples, before)


SHAPES = st.one_of(
    st.tuples(st.integers(1, 3000)), st.tuples(st.integers(1, 3000), st.integers(1, 9))
)
TYPES = st.sampled_from(["int8", "uint8", "int16", "int32", "float16", "float32", "float64"])


@effort(max_examples=60, deadline=None)
@given(data=st.data(), shape=SHAPES, dtype=TYPES, rate=st.integers(4000, 192000))
def test_any_array_becomes_a_checked_clip(
    data: st.DataObject, shape: tuple[int, ...], dtype: str, rate: int
) -> None:
    samples = data.draw(arrays.arrays(dtype, shape))
    try:
        sound = audio.from_array(samples, rate)
    except AudioError as error:
        finite = (np.abs(samples.astype(np.float64)) < 1e38).all()
        assert not finite or len(samples) * RATE / rate < 1.5, error
        return
    check(sound)
    assert sound.seconds == pytest.approx(shape[0] / rate)


MAGIC = st.sampled_from([b"", b"RIFF\x99\0\0\0WAVEfmt ", b"fLaC", wav()[:40], b"OggS\0\2", b"ID3"])


@effort(max_examples=15, deadline=None)
@given(begin=MAGIC, rest=st.binary(max_size=400))
def test_random_bytes_never_raise_anything_else(begin: bytes, rest: bytes) -> None:
    try:
        check(audio.load(begin + rest, Settings(max_seconds=60)))
    except AudioError as error:
        assert str(error).endswith(".")


@effort(max_examples=12, deadline=None)
@given(
    data=st.sampled_from([wav(), encode(CLIP, "flac", "flac")]),
    places=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=9),
)
def test_changed_bytes_never_raise_anything_else(
    data: bytes, places: list[tuple[float, int]]
) -> None:
    changed = bytearray(data)
    for place, value in places:
        changed[int(len(data) * place**2)] = value  # headers more than the rest
    try:
        check(audio.load(bytes(changed), Settings(max_seconds=60)))
    except AudioError as error:
        assert str(error).endswith(".")


def test_suffixes() -> None:
    assert {".wav", ".flac", ".m4a", ".webm", ".opus", ".mp3"} <= audio.SUFFIXES
    assert all(s == s.lower() and s.startswith(".") for s in audio.SUFFIXES)
