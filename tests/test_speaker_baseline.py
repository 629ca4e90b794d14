"""Speaker baselines through the engine: of other files, of a recording itself, of one emotion."""

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiollm import audio
from audiollm.__main__ import main, missing
from audiollm.audio import prosody, windows
from audiollm.inference import files, votes
from audiollm.model import speaker
from audiollm.model.speaker import SpeakerBaseline, one_emotion, together
from audiollm.predictor import Prediction, Predictor
from audiollm.settings import Settings
from audiollm.texts import TEXTS, text
from tests import tiny
from tests.conftest import RATE, voiced

LABELS = ("angry", "neutral", "sad")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes a baseline, and five recordings of a voice."""
    folder = tmp_path_factory.mktemp("baseline")
    settings = Settings(home=folder, device="cpu")
    tiny.model_folder(folder, settings, baseline=True, pooling="utterance")
    for i, pitch in enumerate((150, 160, 170, 180, 190)):
        soundfile.write(folder / f"{i}.wav", voiced(1.5, pitch, seed=i), RATE)
    return folder


@pytest.fixture(scope="module")
def engine(place: Path) -> Predictor:
    return Predictor.load(str(place / "model"), Settings(home=place, device="cpu"))


@pytest.fixture
def never_one_emotion(monkeypatch: pytest.MonkeyPatch) -> None:
    """This model of random weights may say the same of all."""
    monkeypatch.setattr(speaker, "ONE_EMOTION", 1.1)


def sound(seconds: float, pitch: float = 150, seed: int = 0) -> audio.Sound:
    return audio.from_array(voiced(seconds, pitch, seed), RATE)


def own(engine: Predictor, clip: audio.Sound) -> SpeakerBaseline:
    found = engine.classify([clip])[0].speech
    assert found
    return found


def answered(engine: Predictor, paths: list[Path], **options: Any) -> Iterator[Prediction]:
    for _, answer in engine.predict_files(paths, "en", **options):
        assert isinstance(answer, Prediction)
        yield answer


# --- the sums


def speech(*rows: tuple[float, ...]) -> SpeakerBaseline:
    return SpeakerBaseline.of(np.ones((len(rows), 4), np.float32), len(rows) * 2.0, np.array(rows))


def test_parts_can_be_taken_out_again() -> None:
    first, second = speech((0.9, 0.1, 0)), speech((0.2, 0.8, 0), (0, 0, 1.0))
    both = together([first, second])
    assert both is not None and both.windows == 3 and both.seconds == 6.0
    assert both.probabilities == pytest.approx([1.1, 0.9, 1.0])
    left = both - first
    assert left.probabilities == pytest.approx(second.probabilities)
    unknown = SpeakerBaseline.of(np.ones((1, 4), np.float32), 2.0)
    assert (both + unknown).probabilities is None and (both - unknown).probabilities is None


def test_a_baseline_of_one_emotion_is_found_and_a_neutral_one_passes() -> None:
    angry, calm, sad = (0.8, 0.1, 0.1), (0.05, 0.9, 0.05), (0.1, 0.1, 0.8)
    assert one_emotion(speech(angry, angry, angry), LABELS) == "angry"
    assert one_emotion(speech(calm, calm, calm), LABELS) == ""
    assert one_emotion(speech(angry, sad, calm), LABELS) == ""
    assert one_emotion(speech((0.7, 0.3, 0)), LABELS) == "angry"
    assert one_emotion(SpeakerBaseline.of(np.ones((3, 4), np.float32), 6.0), LABELS) == ""


# --- other clips of the speaker


@pytest.mark.usefixtures("never_one_emotion")
def test_a_sound_is_compared_with_others_of_its_speaker(engine: Predictor) -> None:
    clip = sound(1.5)
    others = together(own(engine, sound(1.5, pitch, i)) for i, pitch in enumerate((170, 180, 190)))
    plain = engine.predict([clip])[0]
    compared = engine.predict([clip], speakers=[others])[0]
    assert plain.baseline_seconds == 0 and compared.baseline_seconds == 4.5
    assert compared.probabilities != pytest.approx(plain.probabilities, abs=1e-6)
    assert plain.speech and compared.speech
    # what it adds to a baseline is what the model says without one
    said = list(plain.probabilities.values())
    assert plain.speech.probabilities == pytest.approx(said, abs=1e-6)
    assert compared.speech.probabilities == pytest.approx(said, abs=1e-6)
    assert "speech" not in compared.to_dict()
    streamed = engine.stream(clip, speaker=others)
    assert streamed == compared


def test_a_baseline_of_one_emotion_is_not_compared_with(engine: Predictor) -> None:
    clip = sound(1.5)
    others = together(own(engine, sound(1.5, pitch, i)) for i, pitch in enumerate((170, 180, 190)))
    assert others is not None
    sad = np.eye(len(tiny.CLASSES))[tiny.CLASSES.index("sad")] * 3
    answer = engine.predict([clip], speakers=[dataclasses.replace(others, probabilities=sad)])[0]
    assert (answer.baseline_emotion, answer.baseline_seconds) == ("sad", 0.0)
    assert answer.probabilities == pytest.approx(engine.predict([clip])[0].probabilities)
    neutral = np.eye(len(tiny.CLASSES))[tiny.CLASSES.index("neutral")] * 3
    calm = dataclasses.replace(others, probabilities=neutral)
    assert engine.predict([clip], speakers=[calm])[0].baseline_seconds == 4.5


def test_a_text_that_is_read_makes_a_baseline_by_itself(engine: Predictor) -> None:
    silence = np.zeros(8 * RATE, np.float32)
    read = audio.from_array(np.concatenate([voiced(12.0, 150), silence]), RATE)
    assert [piece.seconds for piece in windows.pieces(read)] == [4.0, 4.0, 4.0]
    baseline = engine.speech(read)
    assert baseline is not None and baseline.usable
    assert (baseline.windows, baseline.seconds) == (3, 12.0)
    assert baseline.probabilities is not None and baseline.probabilities.sum() == pytest.approx(3)
    assert engine.speech(audio.from_array(silence, RATE)) is None


# --- files of one speaker


@pytest.mark.usefixtures("never_one_emotion")
def test_each_file_is_compared_with_all_others_and_not_with_itself(
    engine: Predictor, place: Path
) -> None:
    paths = [place / f"{i}.wav" for i in range(5)]
    plain = list(answered(engine, paths, batch=2))
    compared = list(answered(engine, paths, batch=2, same_speaker=True))
    assert [a.baseline_seconds for a in compared] == [6.0] * 5
    sums = [a.speech for a in plain]
    others = together(s for s in sums[1:] if s)
    again = engine.predict([audio.load(paths[0])], speakers=[others])[0]
    assert compared[0].probabilities == pytest.approx(again.probabilities, abs=1e-5)
    assert compared[0].analysis and compared[0].analysis.basis_kind == "speaker"
    few = list(answered(engine, paths[:3], same_speaker=True))
    assert [a.baseline_seconds for a in few] == [0.0] * 3
    for before, after in zip(plain, few, strict=False):
        assert after.probabilities == pytest.approx(before.probabilities, abs=1e-5)


@pytest.mark.usefixtures("never_one_emotion")
def test_a_bad_file_and_one_that_comes_twice_count_once(engine: Predictor, place: Path) -> None:
    (place / "words.wav").write_text("no sound")
    paths = [place / f"{i}.wav" for i in range(4)]
    listed = [*paths, place / "words.wav", paths[0]]
    found = [answer for _, answer in engine.predict_files(listed, "en", same_speaker=True)]
    assert not isinstance(found[4], Prediction)
    seconds = [a.baseline_seconds for a in found if isinstance(a, Prediction)]
    assert seconds == [4.5] * 5


def test_the_first_reading_keeps_sums_and_no_sound(
    engine: Predictor, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    classify = engine.classify

    def counted(sounds: Any, *more: Any) -> list[Prediction]:
        batches.append(len(sounds))
        return classify(sounds, *more)

    monkeypatch.setattr(engine, "classify", counted)
    paths = [place / f"{i}.wav" for i in range(5)]
    load = partial(files.load_speech, settings=engine.settings)
    known = files.speaker(engine, paths, "en", 2, load, str)
    assert batches == [2, 2, 1]
    assert list(known.speech) == paths and known.basis and known.basis.clips == 5
    for part in known.speech.values():
        assert all(
            np.size(v) <= engine.manifest.encoder.utterance_width for v in vars(part).values()
        )
    monkeypatch.setattr(engine, "card", dataclasses.replace(engine.card, baseline=False))
    known = files.speaker(engine, paths, "en", 2, load, str)
    assert len(batches) == 3 and known.whole is None and known.basis is not None


@pytest.mark.slow
def test_the_command_line_says_what_is_missing(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    names = [str(place / f"{i}.wav") for i in range(5)]
    words = ("--model", str(place / "model"), "--same-speaker", "--json")
    for count, limit, said in (
        (2, 1.1, text("same_speaker_few_clips", "en")),
        (3, 1.1, text("same_speaker_few_others", "en")),
        (4, 1.1, ""),
        (4, 0.0, TEXTS["same_speaker_one_emotion"]["en"].split("{")[0]),
    ):
        monkeypatch.setattr(speaker, "ONE_EMOTION", limit)
        monkeypatch.setattr(speaker, "NEUTRAL", "none")
        assert main([*names[:count], *words]) == 0
        out, err = capsys.readouterr()
        assert err.count(said) == 1 if said else err == ""
        rested = [line for line in out.splitlines() if '"baseline_seconds": 4.5' in line]
        assert len(rested) == (count if said == "" else 0)


def test_what_is_missing_is_said_in_chinese(engine: Predictor) -> None:
    answer = engine.predict([sound(1.5)], "zh")[0]
    assert missing(answer, takes_baseline=True) == text("same_speaker_few_clips", "zh")


# --- a recording of its own


@pytest.mark.usefixtures("never_one_emotion")
def test_windows_of_a_long_sound_are_compared_with_the_others(
    engine: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LONGEST", 1.0)
    monkeypatch.setattr(votes, "BATCH_WINDOWS", 2)
    given: list[Any] = []
    score = engine._scorer.score

    def record(clips: Any, *more: Any) -> Any:
        given.extend(clips)
        return score(clips, *more)

    monkeypatch.setattr(engine._scorer, "score", record)
    long = audio.from_array(
        np.concatenate([voiced(1.0, p) for p in (140, 150, 170, 200, 180)]), RATE
    )
    answer = engine.predict([long])[0]
    assert answer.baseline_seconds == 5.0
    plain, compared = given[:5], given[5:]
    assert all(clip.baseline is None for clip in plain)
    features = np.stack([clip.utterance for clip in compared])
    for i, clip in enumerate(compared):
        assert clip.baseline == pytest.approx(np.delete(features, i, 0).mean(0), abs=1e-5)
    given.clear()
    assert engine.predict([sound(3.0)])[0].baseline_seconds == 0
    assert all(clip.baseline is None for clip in given)  # three windows: two are too few


def test_a_long_sound_of_one_emotion_keeps_it(
    engine: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LONGEST", 1.0)
    monkeypatch.setattr(speaker, "ONE_EMOTION", 0.0)
    monkeypatch.setattr(speaker, "NEUTRAL", "none")
    answer = engine.predict([sound(5.0)])[0]
    assert answer.baseline_emotion and answer.baseline_seconds == 0
    assert answer.speech and answer.speech.probabilities is not None
    mean = answer.speech.probabilities / answer.speech.windows
    assert list(answer.probabilities.values()) == pytest.approx(mean, abs=0.05)  # by seconds there


@pytest.mark.usefixtures("never_one_emotion")
def test_a_long_sound_keeps_one_vector_of_features_for_each_window(
    engine: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LONGEST", 0.5)
    long = sound(10.0)
    followed = prosody.track(long.samples)
    voting = [(0, window) for window in windows.voting(long, followed)]
    cues = [prosody.summarise(long.samples, followed)]
    found: Any = engine._classifier._compared(voting, cues, "en", [None], lambda _: None)
    assert len(found.clips) == len(voting) > 10
    assert all(clip.frames is None for clip in found.clips)
    assert all(clip.baseline.shape == clip.utterance.shape for clip in found.clips)


@pytest.mark.usefixtures("never_one_emotion")
def test_the_course_follows_the_baseline(engine: Predictor) -> None:
    clip = sound(5.0)
    others = together(own(engine, sound(1.5, pitch, i)) for i, pitch in enumerate((170, 180, 190)))
    plain = engine.timeline(clip)
    compared = engine.timeline(clip, speaker=others)
    assert plain and compared
    assert not np.allclose(plain.probabilities, compared.probabilities, equal_nan=True)


def test_a_model_without_a_baseline_is_unchanged(place: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, device="cpu")
    engine = Predictor.load(str(tiny.model_folder(tmp_path, settings)), settings)
    assert not engine.card.baseline
    clip = sound(1.5)
    rows = np.ones((4, engine.manifest.encoder.utterance_width), np.float32)
    answer = engine.predict([clip], speakers=[SpeakerBaseline.of(rows, 8.0)])[0]
    assert answer == engine.predict([clip])[0]
    assert (answer.baseline_seconds, answer.baseline_emotion) == (0.0, "")
