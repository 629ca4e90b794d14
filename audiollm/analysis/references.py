"""What cues are relative to: neutral speech of the voice's register, or the speaker's own clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from audiollm.audio.prosody import REFERENCES, REGISTER_HZ, Cues, Level

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
        return "low" if value < low else "high" if value > high else "mid"


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


def between_registers(cues: Cues) -> bool:
    """Whether the pitch is too high to be usual for low voices and too low for high ones.

    Its level then hangs on the side of `REGISTER_HZ` that it happens to fall on.
    """
    pitch = next(r for r in REFERENCES if r.cue == "pitch_hz")
    return cues.pitch_hz is not None and pitch.low[1] < cues.pitch_hz < pitch.high[0]
