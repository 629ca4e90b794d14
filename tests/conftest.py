"""What every test may use: settings in a temporary home, a spoken clip, and sound files."""

import faulthandler
import io
import os
import re
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
import psutil
import pytest
import soxr
from av.audio.stream import AudioStream
from av.container import OutputContainer
from hypothesis import settings as effort

from audiollm.settings import ASSETS, Settings

if TYPE_CHECKING:
    from tests.hub_server import Hub

# before torch is imported: several workers with a thread for every core wait for each other, and
# weights of a run here equal those of a run in a process of its own
os.environ.setdefault("OMP_NUM_THREADS", "1")

# s, about, of a test with that mark, and of any other
COSTS, USUAL = {"long": 90.0, "browser": 20.0, "slow": 15.0}, 0.1
# s after which a test (or its fixtures) fails, on a machine that is busy with other things
LIMITS, LIMIT = {"long": 3600, "browser": 900, "slow": 600}, 300
HANDLE = signal.signal  # a test may have replaced it until its end
# They train, or start the program in a process of its own
SLOW_FILES = {
    *("test_compatibility", "test_fit", "test_fit_baseline", "test_jobs_fit"),
    *("test_parallel", "test_relabel"),
}
SLOW_FIXTURES = {"server"}
RATE = 16000
BIT_RATES = {"aac": 96000, "wmav2": 64000}  # a second, where FFmpeg's own are poor or refused
LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.0", "7.1")  # of 1 to 8 channels


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", type=int, default=1, help="so many times the cases of a property")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files whose tests take longest come first: no worker is left with them at the end."""
    times = config.getoption("--cases")
    for test in {item.obj for item in items if isinstance(item, pytest.Function)}:
        if usual := getattr(test, "_hypothesis_internal_use_settings", None):
            more = effort(usual, max_examples=times * usual.max_examples)
            getattr(test, "__func__", test)._hypothesis_internal_use_settings = more
    costs: defaultdict[Path, float] = defaultdict(float)
    for item in items:
        if item.path.stem in SLOW_FILES or SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
        marked = [COSTS[mark] for mark in COSTS if item.get_closest_marker(mark)]
        costs[item.path] += max(marked, default=USUAL)
    items.sort(key=lambda item: -costs[item.path])  # stable: a file's own order stays


@contextmanager
def _limited(item: pytest.Item) -> Iterator[None]:
    """Fails what takes longer than its limit, wherever it hangs; prints where each thread is."""
    seconds = max((LIMITS[mark] for mark in LIMITS if item.get_closest_marker(mark)), default=LIMIT)
    seconds *= item.config.getoption("--cases")

    def fail(*_: object) -> None:
        faulthandler.dump_traceback(2)
        pytest.fail(f"not done after {seconds} s")

    before = HANDLE(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        HANDLE(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    with _limited(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with _limited(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    with _limited(item):
        return (yield)


EXITING = 20.0  # s in which the process of a job that is done has ended


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Hub"]:
    """Both hubs, at an address of this machine, as a mirror's; empty caches; no models here."""
    from tests import hub_server

    with hub_server.serving() as found:
        hub_server.use(found, monkeypatch, tmp_path)
        yield found


@pytest.fixture(scope="session", autouse=True)
def _no_job_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A job outlives whoever starts it: one that a test forgets would train beside all others."""
    yield
    home = str(tmp_path_factory.getbasetemp())
    found = [each for each in psutil.process_iter(["cmdline"]) if _runs_in(each, home)]
    _, left = psutil.wait_procs(found, timeout=EXITING)
    for process in left:
        process.kill()
    assert not left, [process.info["cmdline"] for process in left]


def _runs_in(process: psutil.Process, home: str) -> bool:
    words = process.info["cmdline"] or []
    return "audiollm.jobs.runner" in words and any(word.startswith(home) for word in words)


def printed_address(process: "subprocess.Popen[str]") -> str:
    """Of the page that a program serves, once it says so, in whatever language."""
    for line in process.stdout or ():
        if found := re.search(r"(http://[^/\s]+/) ", line):  # Gradio names that of its MCP server
            return found[1]
    raise AssertionError("The program stopped before it served the page.")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose home is an empty folder, whatever the environment says."""
    home = tmp_path / "home"
    home.mkdir()
    return Settings(home=home, device="cpu")


@pytest.fixture(scope="session")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a frozen emotion2vec encoder of a few thousand random weights."""
    from tests import tiny

    return tiny.encoder_folder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def speech() -> np.ndarray:
    """A spoken clip of EmoDB, float32 [N] at 16 kHz."""
    from audiollm import audio

    return audio.load(sorted((ASSETS / "emodb" / "audio").iterdir())[0]).samples.copy()


@cache
def _phrase() -> tuple[np.ndarray, float]:
    """What a man says in a bundled clip, without the pauses around it, and his pitch in Hz."""
    from audiollm import audio
    from audiollm.audio import prosody

    clip = audio.load(ASSETS / "emodb" / "audio" / "03a01Nc.flac")
    start, end = clip.speech[0]
    said = clip.samples[round(start * RATE) : round(end * RATE)]
    pitch = prosody.measure(said).pitch_hz
    assert pitch is not None
    return 0.4 * said / np.abs(said).max(), pitch


def voiced(seconds: float, pitch: float = 140.0, seed: int = 0) -> np.ndarray:
    """Speech, float32 [N] at 16 kHz: a bundled phrase at this pitch, again and again.

    Another seed is another sound, by faint noise.
    """
    said, own = _phrase()
    n = round(seconds * RATE)
    moved = soxr.resample(said, RATE, RATE * own / pitch).astype(np.float32)
    noise = np.random.default_rng(seed).normal(size=n) * 1e-3
    return (np.resize(moved, n) + noise).astype(np.float32)


def vowels(seconds: float, pitch: float = 140.0, seed: int = 0) -> np.ndarray:
    """Synthetic syllables, float32 [N] at 16 kHz: a gliding voice with formants and pauses."""
    n = round(seconds * RATE)
    time = np.arange(n) / RATE
    glide = pitch * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * time))  # Hz
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    wave = np.zeros(n)
    for k in range(1, 30):
        hertz = k * pitch
        formants = sum(np.exp(-(((hertz - f) / 180) ** 2)) for f in (600, 1200, 2500))
        wave += (0.05 + formants) / k * np.sin(k * phase)
    syllables = np.clip(np.sin(2 * np.pi * 1.25 * time), 0, None) ** 0.7  # 0.4 s and a pause
    noise = np.random.default_rng(seed).normal(size=n) * 1e-3
    return (0.4 * wave / np.abs(wave).max() * syllables + noise).astype(np.float32)


def encode(  # a sound file of any kind that FFmpeg writes
    samples: np.ndarray | list[np.ndarray],
    container: str,
    codec: str,
    rate: int = RATE,
    options: dict[str, str] | None = None,
    start: float = 0.0,
) -> bytes:
    """A file's bytes from float samples [N] or [N, channels <= 8] at `rate`, or of several tracks.

    `container` and `codec` are FFmpeg's names, `options` the container's; `start`: s on the clock
    of the container when the sound starts.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options or {}) as out:
        tracks = samples if isinstance(samples, list) else [samples]
        streams = [track(out, one, codec, rate) for one in tracks]
        packets = [
            p for stream, frame in streams for p in (*stream.encode(frame), *stream.encode())
        ]
        for packet in packets:
            shift = round(start / packet.time_base) if start else 0
            packet.pts, packet.dts = (packet.pts or 0) + shift, (packet.dts or 0) + shift
        for packet in sorted(packets, key=lambda p: (p.dts or 0) * p.time_base):
            out.mux(packet)
    return file.getvalue()


def track(
    out: OutputContainer, samples: np.ndarray, codec: str, rate: int
) -> tuple[AudioStream, av.AudioFrame]:
    """A new track of a file, and its sound: samples [N] or [N, channels <= 8], not yet encoded."""
    channels = samples[:, None] if samples.ndim == 1 else samples
    layout = LAYOUTS[channels.shape[1] - 1]
    packed = np.ascontiguousarray(channels, dtype=np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    stream = cast(AudioStream, out.add_stream(codec, rate=rate, layout=layout))
    if codec in BIT_RATES:
        stream.bit_rate = BIT_RATES[codec] * channels.shape[1]
    return stream, frame


def film(samples: np.ndarray | None, container: str = "mp4", rate: int = RATE) -> bytes:
    """A short film's bytes: pictures, and AAC sound where samples [N] are given."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        video = out.add_stream("mpeg4", rate=10)
        video.width = video.height = 32
        sound = None if samples is None else out.add_stream("aac", rate=rate, layout="mono")
        for i in range(5):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * i, np.uint8), "rgb24")
            picture.pts = i
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
        if sound is not None and samples is not None:
            frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "flt", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            out.mux([*sound.encode(frame), *sound.encode(None)])
    return file.getvalue()
