"""The resident engine on a complete small model: batches, windows, streams, files."""

import json
import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController

from audiollm import audio, predictor
from audiollm.analysis import claims, composition
from audiollm.analysis.facts import Facts, Words
from audiollm.audio import prosody, windows
from audiollm.audio.timeline import Timeline
from audiollm.audio.windows import Progress
from audiollm.errors import AudioLLMError, ConfigError, ModelError
from audiollm.inference import votes
from audiollm.labels import Language, word
from audiollm.model import calibration
from audiollm.predictor import Prediction, Predictor
from audiollm.settings import Settings
from audiollm.web.events import streamed
from tests import tiny
from tests.conftest import voiced
from train.fit import prose as patterns

RATE = audio.SAMPLE_RATE


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("predictor")


@pytest.fixture(scope="module")
def engine(place: Path) -> Predictor:
    settings = Settings(home=place, device="cpu")
    return Predictor.load(str(tiny.model_folder(place, settings)), settings)


def sound(seconds: float, pitch: float = 140) -> audio.Sound:
    return audio.from_array(voiced(seconds, pitch), RATE)


def test_a_prediction_is_complete_and_plain_json(engine: Predictor) -> None:
    answer = engine.predict([sound(2.0)], "en")[0]
    assert answer.label == max(answer.probabilities, key=answer.probabilities.__getitem__)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert tuple(answer.probabilities) == tiny.CLASSES
    assert word(answer.label, "en") in answer.text
    assert answer.seconds == pytest.approx(2.0)
    assert answer.cues is not None
    assert json.loads(json.dumps(answer.to_dict()))["model"] == "test"


def test_a_batch_answers_as_one_by_one(engine: Predictor) -> None:
    sounds = [sound(0.6), sound(3.0, 220), sound(1.4, 90)]
    together = engine.predict(sounds, "zh")
    for alone, answer in zip(sounds, together, strict=True):
        single = engine.predict([alone], "zh")[0]
        assert answer.text == single.text
        for name, p in single.probabilities.items():
            assert answer.probabilities[name] == pytest.approx(p, abs=1e-4)


def test_a_long_sound_is_heard_in_windows(
    engine: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LONGEST", 1.0)
    monkeypatch.setattr(votes, "BATCH_WINDOWS", 2)
    long, short = sound(4.5), sound(0.8)
    answers = engine.predict([long, short, long], "en")
    assert [a.seconds for a in answers] == [4.5, 0.8, 4.5]
    assert answers[0].text == answers[2].text
    assert answers[0].probabilities == pytest.approx(answers[2].probabilities, abs=1e-4)
    assert answers[1].probabilities == pytest.approx(
        engine.predict([short])[0].probabilities, abs=1e-4
    )


def test_silent_windows_have_no_vote(engine: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "LONGEST", 1.0)
    spoken, silence = voiced(1.0), np.zeros(3 * RATE, np.float32)
    padded = audio.from_array(np.concatenate([spoken, silence]), RATE)
    alone = engine.predict([audio.from_array(spoken, RATE)])[0].probabilities
    followed = prosody.track(padded.samples)
    assert len(windows.voting(padded, followed)) == 1
    # the prompt holds the cues of the whole clip, so near, not equal
    assert engine.predict([padded])[0].probabilities == pytest.approx(alone, abs=0.2)
    silent = audio.from_array(silence, RATE)
    assert len(windows.voting(silent, prosody.track(silent.samples))) == 3


def test_windows_weigh_by_their_active_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "LONGEST", 2.0)
    half = np.concatenate([voiced(1.0), np.zeros(RATE, np.float32)])
    clip = audio.from_array(np.concatenate([voiced(2.0), half]), RATE)
    full, part = windows.voting(clip, prosody.track(clip.samples))
    assert 0.3 < full.weight <= 2.0
    assert part.weight == pytest.approx(full.weight / 2, rel=0.3)


def test_every_window_is_given_the_cues_of_the_whole_clip(
    engine: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LONGEST", 1.0)
    given: list[Any] = []
    score = engine._scorer.score

    def record(features: Any, cues: Any, language: Language) -> Any:
        given.extend(cues)
        return score(features, cues, language)

    monkeypatch.setattr(engine._scorer, "score", record)
    answer = engine.predict([sound(3.0)])[0]
    assert len(given) == 3
    assert all(cues is answer.cues for cues in given)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_shown_text_is_what_the_parts_say(engine: Predictor, language: Language) -> None:
    """This LLM writes noise, as a free-text one may: the answer is whole all the same."""
    answer = engine.predict([sound(2.0)], language)[0]
    parts = answer.analysis
    assert parts is not None
    assert answer.cues and [e.value for e in parts.evidence] == [
        getattr(answer.cues, r.cue) for r in prosody.REFERENCES
    ]
    again, text = composition.compose(parts, "", tiny.CLASSES, language)
    assert answer.text == text
    assert again.evidence == parts.evidence
    assert 0 < (parts.voice.voiced if parts.voice else 0) <= 2.0
    plain = json.loads(json.dumps(answer.to_dict()))["analysis"]
    assert plain["label"] == answer.label
    assert plain["certainty"] in ("uncertain", "more likely than not", "likely", "very likely")


class Scripted:
    """Stands in for an LLM: each attempt at a text writes the next of these, in pieces."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, engine: Predictor, texts: list[str]
    ) -> None:
        self.texts, self.asked = texts, list[tuple[str, int, str]]()
        monkeypatch.setattr(engine._writer, "manifest", replace(engine.manifest, prose=True))
        monkeypatch.setattr(engine._scorer, "analysis_context", self.analysis_context)
        monkeypatch.setattr(engine._texts, "stream", self.stream)
        monkeypatch.setattr(engine._texts, "write", self.write)

    def analysis_context(self, line: str, _: Language, seed: int, start: str = "") -> str:
        self.asked.append((line, seed, start))
        return line

    def stream(self, _: str, write: Callable[[str], object]) -> str:
        text = self.texts[(len(self.asked) - 1) % len(self.texts)]
        for i in range(0, len(text), 9):
            write(text[i : i + 9])
        return text

    def write(self, contexts: list[str]) -> list[str]:
        return [self.texts[len(self.asked) - 1] for _ in contexts]


def a_true_text(engine: Predictor, clip: audio.Sound, language: Language) -> tuple[Facts, str]:
    """The facts of the answer to a clip, and a text that is true of them."""
    analysis = engine.predict([clip], language)[0].analysis
    facts = Facts.of(analysis) if analysis else None
    assert facts is not None
    return facts, patterns.write(facts, Words(language, 7), random.Random(7))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_an_llm_writes_from_the_facts_is_shown(
    engine: Predictor, language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = sound(2.0)
    facts, written = a_true_text(engine, clip, language)
    llm = Scripted(monkeypatch, engine, [written])
    steps: list[Any] = []
    answer = engine.stream(clip, language, steps.append)
    assert answer.text == written and answer.analysis and answer.analysis.prose == written
    assert all(answer.text.startswith(step.text) for step in steps)
    engine.stream(clip, language)
    assert llm.asked[0] == llm.asked[1]  # the same sound, the same text
    assert facts.line(Words(language, llm.asked[0][1])) == llm.asked[0][0]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_sentence_that_does_not_hold_is_written_again(
    engine: Predictor, language: Language, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = sound(2.0)
    _, whole = a_true_text(engine, clip, language)
    first = claims.parse(whole, tiny.CLASSES, language)[0].text
    untrue = "它在 8.0 至 9.0 秒。" if language == "zh" else " It rests on 8.0 to 9.0 s. And"
    rest = whole.removeprefix(first).strip()
    llm = Scripted(monkeypatch, engine, [untrue, first + untrue, untrue, rest])
    steps: list[Any] = []
    answer = (
        engine.stream(clip, language, steps.append)
        if streamed
        else engine.predict([clip], language)[0]
    )
    assert answer.text == whole and answer.analysis and answer.analysis.prose == whole
    assert [start for _, _, start in llm.asked] == ["", "", first, first]
    assert len(answer.analysis.dropped) == 3
    assert len({line for line, _, _ in llm.asked}) == 1
    assert len({seed for _, seed, _ in llm.asked}) == 4
    assert all(answer.text.startswith(step.text) for step in steps)


def test_what_never_holds_is_left_out(engine: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = sound(2.0)
    composed = engine.predict([clip], "en")[0]
    llm = Scripted(monkeypatch, engine, ["It rests on 8.0 to 9.0 s. Nobody speaks."] * 4)
    assert engine.stream(clip, "en").text == composed.text
    assert len(llm.asked) == 4


def test_a_sound_of_some_length_is_told_with_its_course(
    engine: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = ((0.0, "sad"), (4.0, "happy"))
    monkeypatch.setattr(predictor.course, "parts", lambda *_: parts)
    answer = engine.predict([sound(7.0)])[0]
    assert answer.analysis and answer.analysis.course == parts
    assert answer.timeline is not None and "timeline" not in answer.to_dict()
    assert "0:04" in answer.text


def test_short_sounds_come_with_a_caution(engine: Predictor) -> None:
    short, long = engine.predict([sound(0.5), sound(3.0)])
    assert short.analysis and "short" in short.analysis.cautions
    assert short.analysis.cautions["short"] in short.text
    assert long.analysis and "short" not in long.analysis.cautions
    hiss = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    noise = engine.predict([audio.from_array(hiss, RATE)])[0]
    assert noise.analysis is not None and noise.analysis.evidence == ()
    assert {"little_voice", "unmeasured"} <= set(noise.analysis.cautions)
    assert "Evidence" not in noise.text


def test_parts_that_sound_different_come_with_a_caution(
    engine: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LONGEST", 1.0)

    def turns(log_likelihoods: np.ndarray, *_: Any) -> np.ndarray:
        table = np.full(log_likelihoods.shape, 0.01)
        for row in range(len(table)):
            table[row, row % 2] = 0.96
        return table

    monkeypatch.setattr(calibration, "apply", turns)
    answer = engine.predict([sound(4.0)])[0]
    assert answer.analysis is not None and answer.analysis.voice is not None
    assert answer.analysis.voice.agreeing == pytest.approx(0.5, abs=0.15)
    assert "mixed" in answer.analysis.cautions


def test_one_persons_files_are_held_against_their_own_voice(
    engine: Predictor, tmp_path: Path
) -> None:
    import soundfile

    paths = []
    for i, pitch in enumerate((200, 205, 210, 290)):
        paths.append(tmp_path / f"{i}.wav")
        soundfile.write(paths[-1], voiced(2.0, pitch), RATE)
    general = [a for _, a in engine.predict_files(paths, "en", batch=3)]
    own = [a for _, a in engine.predict_files(paths, "en", batch=3, same_speaker=True)]
    for before, after in zip(general, own, strict=True):
        assert isinstance(before, Prediction) and isinstance(after, Prediction)
        assert after.probabilities == before.probabilities  # the prompt stays as it was trained
        assert after.analysis is not None and before.analysis is not None
        assert (after.analysis.basis_kind, before.analysis.basis_kind) == ("speaker", "register")
    last = own[-1]
    assert isinstance(last, Prediction) and last.analysis is not None
    assert last.analysis.levels["pitch_hz"] == "high"
    few = [a for _, a in engine.predict_files(paths[:2], "en", same_speaker=True)]
    assert all(isinstance(a, Prediction) and a.analysis for a in few)
    assert {a.analysis.basis_kind for a in few if isinstance(a, Prediction) and a.analysis} == {
        "register"
    }


def written(parts: Iterable[Prediction | Progress]) -> list[Prediction]:
    return [part for part in parts if isinstance(part, Prediction)]


def test_a_long_sound_tells_how_far_it_has_come(
    engine: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LONGEST", 0.5)
    monkeypatch.setattr(votes, "BATCH_WINDOWS", 2)
    silence = np.zeros(round(1.2 * RATE), np.float32)
    clip = audio.from_array(np.concatenate([voiced(1.8), silence]), RATE)
    followed = prosody.track(clip.samples)
    parts: list[Prediction | Progress] = []
    engine.stream(clip, "en", parts.append, followed=followed)
    voting = len(windows.voting(clip, followed))
    assert 2 < voting <= 4
    assert [p for p in parts if isinstance(p, Progress)] == [Progress(2, voting)]
    assert written(parts)[-1] == engine.predict([clip], "en")[0]
    parts.clear()
    engine.stream(sound(0.9), "en", parts.append)
    assert written(parts) == parts
    with pytest.raises(InterruptedError):  # a person who leaves in the middle frees the model
        engine.stream(clip, "en", leave)
    assert engine.predict([sound(0.4)])[0].label


def leave(_: object) -> None:
    raise InterruptedError


@given(st.lists(st.floats(0.1, windows.LONGEST), max_size=60))
def test_batches_hold_every_window_once_and_none_is_too_large(lengths: list[float]) -> None:
    batches = [lengths[batch] for batch in votes.batches(lengths)]
    assert [length for batch in batches for length in batch] == lengths
    for batch in batches:
        assert 0 < len(batch) <= votes.BATCH_WINDOWS
        assert sum(batch) <= votes.BATCH_SECONDS


def test_the_course_of_a_sound_is_that_of_its_windows(
    engine: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(votes, "BATCH_WINDOWS", 2)
    quiet = np.zeros(4 * RATE, np.float32)
    clip = audio.from_array(np.concatenate([voiced(4.0), quiet, voiced(3.0)]), RATE)
    steps: list[Timeline] = []
    whole = engine.timeline(clip, "en", steps.append)
    assert whole is steps[-1]
    assert len(whole.spans) == 10
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert whole.done == 10
    silent = np.isnan(whole.probabilities).any(1)
    assert 1 <= silent.sum() <= 4
    assert all(4 <= t <= 8 for t in whole.centres[silent])
    assert np.nansum(whole.probabilities, 1)[~silent] == pytest.approx(1)
    # a window says what the same piece says as a clip of its own
    a, b = (round(t * RATE) for t in whole.spans[0])
    alone = engine.predict([audio.from_array(clip.samples[a:b], RATE)], "en")[0]
    assert list(alone.probabilities.values()) == pytest.approx(whole.probabilities[0], abs=1e-4)


def test_stream_shows_probabilities_first_and_ends_with_the_whole_text(engine: Predictor) -> None:
    answers: list[Any] = []
    engine.stream(sound(1.0), "en", answers.append)
    assert answers[0].text == ""
    assert sum(answers[0].probabilities.values()) == pytest.approx(1)
    assert answers[-1].text == engine.predict([sound(1.0)], "en")[0].text
    assert all(b.text.startswith(a.text) for a, b in pairwise(answers))


def test_an_abandoned_stream_frees_the_model(engine: Predictor) -> None:
    """A closed page must not block the next visitor."""
    with pytest.raises(InterruptedError):
        engine.stream(sound(1.0), "en", leave)
    assert engine._texts.idle
    assert engine.predict([sound(1.0)])[0].label


def test_a_short_sound_is_answered_in_the_middle_of_a_long_one(
    engine: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LONGEST", 0.5)
    monkeypatch.setattr(votes, "BATCH_WINDOWS", 2)
    short: list[Prediction] = []
    with ThreadPoolExecutor(1) as other:

        def ask_meanwhile(part: Prediction | Progress) -> None:
            if isinstance(part, Progress) and not short:
                short.extend(other.submit(engine.predict, [sound(0.4)], "en").result(timeout=60))

        answer = engine.stream(sound(3.0), "en", ask_meanwhile)
    assert short[0].label
    assert answer == engine.predict([sound(3.0)], "en")[0]


def test_probabilities_do_not_wait_for_somebody_elses_text(engine: Predictor) -> None:
    first: list[Prediction] = []
    with ThreadPoolExecutor(1) as other:

        def ask_meanwhile(part: Prediction | Progress) -> None:
            if isinstance(part, Prediction) and part.text and not first:  # the text has begun
                first.extend(other.submit(engine.classify, [sound(0.5)]).result(timeout=60))

        engine.stream(sound(1.0), "en", ask_meanwhile)
    assert first[0].text == ""


def test_a_slow_reader_keeps_nobody_waiting(engine: Predictor) -> None:
    """The whole answer of another visitor comes while the first browser reads nothing."""
    slow = streamed(partial(engine.stream, sound(1.0), "en"))
    next(slow)
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(engine.stream, sound(0.5), "en").result(timeout=60)
    assert answer.text
    assert list(slow)[-1].text


def test_files_answer_in_order_and_one_bad_file_harms_no_other(
    engine: Predictor, tmp_path: Path
) -> None:
    import soundfile

    good, silent, text = (tmp_path / n for n in ("good.wav", "silent.wav", "text.wav"))
    soundfile.write(good, voiced(1.0), RATE)
    soundfile.write(silent, np.zeros(RATE), RATE)
    text.write_text("not a sound")
    paths = [good, silent, text, tmp_path / "missing.wav", good]
    answers = list(engine.predict_files(paths, "en", batch=3))
    assert [p for p, _ in answers] == paths
    kinds = [isinstance(a, Prediction) for _, a in answers]
    assert kinds == [True, False, False, False, True]
    assert all("\n" not in str(a) for _, a in answers if isinstance(a, AudioLLMError))


def test_a_language_that_was_not_taught_is_refused(engine: Predictor) -> None:
    with pytest.raises(ConfigError, match="de"):
        engine.predict([sound(1.0)], "de")  # type: ignore[arg-type]


def test_the_card_tells_what_answers(engine: Predictor) -> None:
    assert engine.card.device == "cpu"
    assert engine.card.labels == tiny.CLASSES
    assert engine.card.parameters > 1000


def test_numpy_takes_no_cores_from_torch() -> None:
    libraries = [
        library
        for library in ThreadpoolController().lib_controllers
        if Path(library.filepath).parent.name in ("numpy.libs", "scipy.libs")
    ]
    if not libraries:
        pytest.skip("numpy brings no linear algebra of its own here")
    before = [library.num_threads for library in libraries]
    try:
        for library in libraries:
            library.set_num_threads(2)
        predictor._keep_numpy_to_one_thread()
        assert [library.num_threads for library in libraries] == [1] * len(libraries)
    finally:
        for library, count in zip(libraries, before, strict=True):
            library.set_num_threads(count)


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, device="cpu")
    folder = tiny.model_folder(tmp_path, settings)
    weights = tmp_path / "encoder" / "model.safetensors"
    from safetensors.torch import load_file, save_file

    save_file({k: v + 0.01 for k, v in load_file(weights).items()}, weights)
    with pytest.raises(ModelError, match="another version of the encoder"):
        Predictor.load(str(folder), settings)
