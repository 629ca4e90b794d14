"""What cues are relative to: neutral speech of the voice's register, or the speaker's own clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from audiollm.audio.prosody import REFERENCES, REGISTER_HZ, Cues, Level, Reference
from audiollm.labels import Language
from audiollm.texts import text

PITCH = next(r for r in REFERENCES if r.cue == "pitch_hz")

# Share of a range's width by which a cue leaves it before it counts as unusual: the same clip with
# 5 ms less, faint noise (30 dB) or 10 bits measures that much differently in 1 of 10 clips (melody)
# or more often (tempo and pauses: 1 of 4).
MARGIN = 0.1
SPEAKER_CLIPS = 3  # with voice: fewer say nothing of what is usual for a person


@dataclass(frozen=True)
class Basis:
    """What cues are relative to: voices of a register, or the speaker's own clips."""

    kind: Literal["register", "speaker"]
    register: Literal["low", "high"]
    ranges: dict[str, tuple[float, float]]  # cue -> lowest and highest usual value
    clips: int = 0  # of the speaker

    def level(self, cue: str, value: float) -> Level:
        low, high = self.ranges[cue]
        margin = MARGIN * (high - low)
        if self._undecided(cue, value):
            return "mid"
        return "low" if value < low - margin else "high" if value > high + margin else "mid"

    def describe(self, reference: Reference, value: float, language: Language) -> str:
        """The level in words."""
        if self._undecided(reference.cue, value):
            return text("between_registers", language)
        level = self.level(reference.cue, value)
        if self.kind == "speaker" and level == "mid":  # `few` pauses are not what is meant then
            return text("as_usual", language)
        return reference.word(level, language)

    def _undecided(self, cue: str, value: float) -> bool:
        """Whether a pitch is too high to be usual for low voices and too low for high ones: its
        level would hang on the side of `REGISTER_HZ` that it happens to fall on."""
        return cue == PITCH.cue and self.kind == "register" and PITCH.low[1] < value < PITCH.high[0]


def by_register(cues: Cues | None) -> Basis | None:
    """The stated ranges of the voice's register; None where there is no pitch to tell it from."""
    if cues is None or cues.pitch_hz is None:
        return None
    return Basis("register", cues.register, {r.cue: getattr(r, cues.register) for r in REFERENCES})


def by_speaker(clips: Sequence[Cues]) -> Basis | None:
    """A speaker's own median, with half the width of the stated range to either side.

    None with fewer than `SPEAKER_CLIPS` clips in which every cue could be measured.
    """
    whole = [c for c in clips if all(getattr(c, r.cue) is not None for r in REFERENCES)]
    if len(whole) < SPEAKER_CLIPS:
        return None
    middle = {r.cue: median(getattr(c, r.cue) for c in whole) for r in REFERENCES}
    register: Literal["low", "high"] = "low" if middle["pitch_hz"] < REGISTER_HZ else "high"
    half = {r.cue: (getattr(r, register)[1] - getattr(r, register)[0]) / 2 for r in REFERENCES}
    ranges = {cue: (m - half[cue], m + half[cue]) for cue, m in middle.items()}
    ranges["pause_share"] = (max(0.0, ranges["pause_share"][0]), ranges["pause_share"][1])
    return Basis("speaker", register, ranges, len(whole))
