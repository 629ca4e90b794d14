"""`evaluate --texts`: what is counted, which clips are chosen, and that an evaluation holds it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from audiollm.analysis import composition
from audiollm.audio.prosody import Cues
from audiollm.contracts.manifest import EncoderRef, Manifest
from audiollm.inference.prediction import Prediction
from tests import prepared, tiny
from train.data.dataset import Clip, load_prepared
from train.evaluate import texts
from train.evaluate.evaluate import _texts_summary

CUES = Cues(2.0, 341.0, 10.8, -15.0, 20.0, -0.6, 5.3, 0.15)
TABLE = {"angry": 0.9, "fearful": 0.02, "happy": 0.03, "neutral": 0.03, "sad": 0.02}


def clip(number: int, label: str) -> Clip:
    return Clip(
        path=f"{number}.wav",
        label=label,
        speaker="s",
        seconds=2.0,
        language="en",
        corpus="test",
        split="test",
        id=f"{number:064d}",
        cues=CUES.to_dict(),
    )


def answer(raw: str, table: dict[str, float] = TABLE) -> Prediction:
    known = composition.measured(table, CUES, "en")
    parts, text = composition.compose(known, raw, tiny.CLASSES, "en")
    return Prediction(parts.label, table, text, "en", "test", 2.0, CUES, parts)


def judged(raw: str, table: dict[str, float] = TABLE) -> dict[str, Any]:
    checked = texts.Checked("en", tiny.CLASSES)
    checked.add(clip(0, "angry"), answer(raw, table))
    return checked.to_dict()


def test_a_true_text_of_the_llm_is_shown_whole() -> None:
    found = judged("The voice sounds angry.")
    for key in ("written", "shown", "of_llm", "whole", "named_once"):
        assert (found[key]["value"], found[key]["n"]) == (1.0, 1)
    assert found["repeated"]["value"] == 0.0
    assert (found["size"], found["largest"], found["distinct"]) == (4.0, 4, 100.0)


@pytest.mark.parametrize("raw", ["The voice sounds sad. It rests on the low pitch.", ""])
def test_what_is_wrong_counts_as_written_and_is_not_shown(raw: str) -> None:
    found = judged(raw)
    assert (found["written"] or {"value": 0.0})["value"] == 0.0
    assert found["shown"] is None  # of nothing
    assert found["of_llm"]["value"] == 0.0 and found["named_once"]["value"] == 1.0
    assert found["examples"][0]["shown"] == found["examples"][0]["composed"]


def test_wilson_is_wide_at_the_ends() -> None:
    assert texts.wilson(0, 0) is None
    sure = texts.wilson(10, 10)
    assert sure is not None and sure["value"] == sure["high"] == 1.0
    assert sure["low"] == pytest.approx(0.722, abs=1e-3)
    half = texts.wilson(50, 100)
    assert half is not None and (half["low"], half["high"]) == pytest.approx(
        (0.404, 0.596), abs=1e-3
    )


def test_clips_are_spread_over_classes_and_the_same_each_time() -> None:
    clips = [clip(i, "angry" if i < 50 else "sad" if i < 54 else "happy") for i in range(60)]
    chosen = texts.choose(clips, 12)
    counts = [sum(c.label == name for c in chosen) for name in ("angry", "sad", "happy")]
    assert counts == [4, 4, 4]
    assert texts.choose(clips[::-1], 12) == chosen
    assert texts.choose(clips, 12, seed=1) != chosen
    assert len(texts.choose(clips, 1000)) == 60


def test_a_models_texts_are_measured_in_both_languages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An LLM of random weights writes noise; what is shown is whole and true all the same."""
    ref = EncoderRef("tiny", tiny.WIDTH)
    llm = tiny.audio_llm(seed=3)
    manifest = Manifest("test", ref, llm.projector.config, tiny.CLASSES, prose=True)

    def predict(sounds: list[Any], language: str) -> list[Prediction]:
        return [replace(answer("noise."), language="en") for _ in sounds if language]

    predictor: Any = SimpleNamespace(manifest=manifest, settings=None, predict=predict)
    monkeypatch.setattr(texts.audio, "load", lambda *_: None)
    data = load_prepared(prepared.write(tmp_path / "data", per_class=6))
    found = texts.measure(predictor, data, data.split("test"), 3)
    assert found["clips"] + found["lost"] == 3 and set(found["languages"]) == {"en", "zh"}
    lines = _texts_summary(found)
    assert len(lines) == 6
    assert _texts_summary(None) == []
