"""`evaluate --texts`: what is counted, which clips are chosen, and that an evaluation holds it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from audiollm.analysis import composition
from audiollm.audio.prosody import Cues
from audiollm.contracts.manifest import EncoderRef, Manifest
from tests import prepared, tiny
from train.data.dataset import Clip, load_prepared
from train.evaluate import texts
from train.evaluate.evaluate import _texts, _texts_summary
from train.fit import instructions

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


def judged(raw: str) -> texts.Checked:
    checked = texts.Checked()
    known = composition.measured(TABLE, CUES, "en")
    checked.add(clip(0, "angry"), raw, known, tiny.CLASSES, "en")
    return checked


def test_a_taught_answer_counts_as_true() -> None:
    found = judged(instructions.analysis("angry", CUES, "en"))
    for tally, cues in ((found.raw, 5), (found.shown, 0)):  # nothing is tried here
        assert (tally.texts, tally.parsed, tally.named) == (1, 1, 1)
        assert (tally.stated, tally.agreeing) == (cues, cues)
    assert found.corrected == found.added == found.dropped == 0


@pytest.mark.parametrize(
    ("raw", "parsed", "named", "agreeing"),
    [
        ("The voice sounds angry. Evidence: pitch low. Intensity: mild.", 1, 1, 0),
        ("The voice sounds sad. Evidence: pitch high. Intensity: moderate.", 1, 0, 1),
        ("Evidence: pitch high. Intensity: moderate.", 0, 1, 1),
        ("The voice sounds angry. Evidence: pitch hi", 0, 1, 0),
        ("", 0, 1, 0),
    ],
)
def test_a_wrong_answer_counts_as_it_is_and_is_shown_right(
    raw: str, parsed: int, named: int, agreeing: int
) -> None:
    found = judged(raw)
    assert (found.raw.parsed, found.raw.named, found.raw.agreeing) == (parsed, named, agreeing)
    assert (found.shown.parsed, found.shown.named) == (1, 1)
    assert found.shown.stated == 0


def test_wrong_statements_are_counted_and_kept_as_examples() -> None:
    found = judged("The voice sounds angry. Evidence: pitch low. Intensity: mild.")
    assert (found.corrected, found.texts_corrected, found.added) == (1, 1, 4)
    assert found.examples[0]["raw"].startswith("The voice")


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


def test_a_models_texts_are_measured_in_both_languages(tmp_path: Path) -> None:
    """An LLM of random weights writes noise; what is shown is whole and true all the same."""
    llm = tiny.audio_llm(seed=3)
    ref = EncoderRef("tiny", tiny.WIDTH)
    manifest = Manifest("test", ref, llm.projector.config, tiny.CLASSES)
    model = SimpleNamespace(model=llm, tokenizer=tiny.tokenizer(), manifest=manifest)
    data = load_prepared(prepared.write(tmp_path / "data", per_class=6))
    found = _texts(model, data, "test", 3)
    assert found["clips"] == 3 and set(found["languages"]) == {"en", "zh"}
    for of in found["languages"].values():
        assert of["shown"]["parsed"]["value"] == of["shown"]["named"]["value"] == 1.0
        counts = of["shown"]["counts"]
        assert counts["agreeing"] == counts["stated"]
        assert of["added"] == 15
    lines = _texts_summary(found)
    assert sum("shown" in line and "1.000" in line for line in lines) == 2
    assert _texts_summary(None) == []
