"""Voice activity detection: the network, its spans, and what an emotion is told of."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from audiollm import audio
from audiollm.audio import prosody, speech, vad, windows
from audiollm.errors import ModelError, NoSpeechError
from audiollm.settings import ASSETS
from bench import nonspeech, voices
from tests.conftest import RATE, voiced

SILENCE = np.zeros(RATE, np.float32)
CLIP = audio.load(ASSETS / "emodb" / "audio" / "03a01Nc.flac").samples
# the package's own network, and the difference that another order of adding up makes
PACKAGE = Path((find_spec("silero_vad") or SimpleNamespace(origin="")).origin or "").parent


def test_the_network_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights that torch runs there, in our network: the same probabilities."""
    theirs = torch.jit.load(PACKAGE / "data" / "silero_vad.jit").eval()
    weights = {k.removeprefix("_model."): v.numpy() for k, v in theirs.state_dict().items()}
    ours = {
        "stft_conv.weight": weights["stft.forward_basis_buffer"],
        "final_conv.weight": weights["decoder.decoder.2.weight"],
        "final_conv.bias": weights["decoder.decoder.2.bias"],
    }
    for kind in ("weight", "bias"):
        for i in range(4):
            ours[f"conv{i + 1}.{kind}"] = weights[f"encoder.{i}.reparam_conv.{kind}"]
        for way in ("ih", "hh"):
            ours[f"lstm_cell.{kind}_{way}"] = weights[f"decoder.rnn.{kind}_{way}"]
    monkeypatch.setattr(vad, "load_file", lambda _: ours)
    network = vad._network.__wrapped__()
    monkeypatch.setattr(vad, "_network", lambda: network)
    samples = np.concatenate([CLIP, SILENCE, next(iter(nonspeech.sounds(1)))[1], CLIP[:1000]])
    padded = torch.from_numpy(np.pad(samples, (0, -len(samples) % vad.FRAME)))
    with torch.no_grad():
        wanted = [theirs(frame, RATE).item() for frame in padded.split(vad.FRAME)]
    assert vad.probabilities(samples) == pytest.approx(np.array(wanted), abs=1e-4)


def test_pieces_equal_the_whole() -> None:
    """A long recording is computed a minute at a time."""
    samples = np.tile(np.concatenate([CLIP, SILENCE]), 3)
    whole = vad.probabilities(samples)
    assert len(whole) == -(-len(samples) // vad.FRAME)
    for block in (1, 7, len(whole) - 1):
        assert vad.probabilities(samples, block=block) == pytest.approx(whole, abs=1e-5)


def test_threads_share_the_network() -> None:
    vad._network.cache_clear()
    clips = [voiced(1.0 + i / 7, 110 + 20 * i) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(vad.probabilities, clips))
    for clip, found in zip(clips, together, strict=True):
        assert found == pytest.approx(vad.probabilities(clip), abs=1e-6)


def test_torch_is_left_alone() -> None:
    """The package sets torch to one thread when it is imported; it takes no torch to detect."""
    program = (
        "import sys, numpy\nfrom audiollm.audio import speech\n"
        "speech.detect(numpy.zeros(9000, 'f'))\n"
        "print({'torch', 'silero_vad'} & set(sys.modules))"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stderr


def test_missing_weights_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    vad._network.cache_clear()
    monkeypatch.setattr(vad.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="run `pip install") as caught:
        vad.probabilities(SILENCE)
    assert "请运行" in caught.value.in_language("zh")


# ------------------------------------------------------------------ spans


def apart(found: speech.Spans, seconds: float) -> None:
    """In order, inside the sound, and further apart than a short pause."""
    for start, end in found:
        assert 0 <= start < end <= seconds
    for (_, before), (after, _) in pairwise(found):
        assert after - before > speech.JOINED


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.integers(1, 30)), max_size=20),
    st.floats(0, 0.032),
)
def test_spans_of_any_probabilities(runs: list[tuple[float, int]], less: float) -> None:
    table = np.repeat([p for p, _ in runs] or [0.0], [n for _, n in runs] or [1])
    seconds = len(table) / speech.FRAMES - less
    found = speech.spans(table, seconds)
    apart(found, seconds)
    for start, end in found:
        assert end - start > speech.SHORTEST - 2 / speech.FRAMES
        part = table[round(start * speech.FRAMES) : round(end * speech.FRAMES)]
        assert part.max() > speech.CERTAIN
    assert speech.seconds(found) <= (table > speech.UNCERTAIN).sum() / speech.FRAMES + max(
        0, len(runs)
    ) * (speech.JOINED + speech.PAUSE)


@given(
    arrays.arrays(
        np.float32,
        st.integers(0, 3000),
        elements=st.floats(-1, 1, width=32),
    )
)
def test_any_sound_has_spans(samples: np.ndarray) -> None:
    found = vad.probabilities(samples)
    assert len(found) == -(-len(samples) // vad.FRAME)
    assert ((found >= 0) & (found <= 1)).all()
    apart(speech.detect(samples), len(samples) / RATE)


def test_speech_is_found_between_pauses() -> None:
    start, end = speech.detect(CLIP)[0]
    said = CLIP[round(start * RATE) : round(end * RATE)]
    seconds = len(said) / RATE
    found = speech.detect(np.concatenate([SILENCE, said, SILENCE, said, said]))
    wanted = [(1, 1 + seconds), (2 + seconds, 2 + 3 * seconds)]
    assert np.array(found) == pytest.approx(np.array(wanted), abs=0.2)
    short = np.concatenate([said, SILENCE[: RATE // 10], said])
    assert len(speech.detect(short)) == 1
    assert speech.detect(SILENCE) == speech.detect(SILENCE[:0]) == ()


def test_faint_speech_is_turned_up_and_loud_speech_is_not() -> None:
    loud = speech.detect(CLIP)
    assert speech.detect(CLIP * np.float32(0.003)) == loud
    assert speech._gain(CLIP) == 1.0
    assert speech._gain(SILENCE) == speech.MOST_GAIN
    assert speech._gain(SILENCE[:100]) == 1.0
    # a word after a minute of silence sets the level, the silence does not
    assert speech._gain(np.concatenate([np.tile(SILENCE, 60), CLIP])) == 1.0


def test_a_high_voice_from_the_first_moment_is_found_by_the_second_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The detector's first search finds nothing in it; the spans are those of the sound itself."""
    high = voiced(0.4, 300)
    assert speech.spans(vad.probabilities(high, speech._gain(high)), 0.4) == ()
    found = speech.detect(voiced(1.5, 300)[: round(0.4 * RATE)])
    assert found
    apart(found, 0.4)
    monkeypatch.setattr(speech, "LONGEST", 0.3)
    assert speech.detect(high) == ()


def test_seconds_between_two_times() -> None:
    found = ((1.0, 2.0), (3.0, 5.0))
    assert speech.seconds(found) == 3
    assert speech.seconds(found, 1.5, 3.5) == 1
    assert speech.seconds(found, 2, 3) == speech.seconds((), 0, 9) == 0


# ------------------------------------------------------------------ what is told of it

NOT_SPEECH = ("tone", "sweep", "white noise", "pink noise", "brown noise", "chords", "drums")
MORE = ("clicks", "siren", "engine", "dog", "birds", "wind", "alarm")


@pytest.mark.parametrize("kind", NOT_SPEECH + MORE)
def test_what_is_not_speech_gets_a_reason(kind: str) -> None:
    """They got an emotion: pink noise was fearful, tones were sad."""
    samples = [samples for name, samples in nonspeech.sounds(3) if name == kind]
    assert len(samples) == 3
    for each in samples:
        with pytest.raises(NoSpeechError) as caught:
            audio.require_speech(audio.from_array(each, RATE))
        assert str(caught.value).startswith("No speech detected: ")
        assert caught.value.in_language("zh").startswith("没有检测到语音：")


@pytest.mark.parametrize("voice", voices.VOICES)
def test_every_way_to_use_a_voice_passes(voice: str, speech: np.ndarray) -> None:
    for samples in (speech, CLIP):
        other = voices.VOICES[voice](samples, np.random.default_rng(0))
        audio.require_speech(audio.from_array(other, RATE))


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_speech_in_loud_noise_passes(slope: float) -> None:
    noise = nonspeech.noise(np.random.default_rng(0), len(CLIP), slope)
    noise *= np.sqrt(np.mean(CLIP**2) / np.mean(noise**2))  # 0 dB
    audio.require_speech(audio.from_array((CLIP + noise).astype(np.float32), RATE))


def test_a_sound_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    detect = speech.detect

    def counted(samples: np.ndarray) -> speech.Spans:
        calls.append(len(samples))
        return detect(samples)

    monkeypatch.setattr(speech, "detect", counted)
    monkeypatch.setattr(windows, "LONGEST", 1.0)
    sound = audio.from_array(voiced(3.0), RATE)
    audio.require_speech(sound)
    windows.voting(sound, prosody.track(sound.samples))
    assert windows.has_speech(sound, 0, 2)
    assert calls == [3 * RATE]
    assert replace(sound, samples=SILENCE).speech == ()  # another sound has its own


def test_windows_of_noise_and_music_take_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "LONGEST", 2.0)
    random = np.random.default_rng(0)
    noise = 0.2 * random.standard_normal(2 * RATE).astype(np.float32)
    music = np.resize(nonspeech.chords(random), 2 * RATE).astype(np.float32)
    music *= 0.4 / np.abs(music).max()
    sound = audio.from_array(np.concatenate([noise, voiced(2.0), music]), RATE)
    (voting,) = windows.voting(sound, prosody.track(sound.samples))
    assert voting.samples == pytest.approx(sound.samples[2 * RATE : 4 * RATE])
    assert 1 < voting.weight <= 2
    spoken = [windows.has_speech(sound, *span) for span in ((0, 2), (1, 3), (2, 4), (4, 6))]
    assert spoken == [False, True, True, False]
