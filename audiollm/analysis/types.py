"""The parts of an analysis, as plain frozen values."""

from dataclasses import asdict, dataclass
from typing import Any

from audiollm.analysis.references import Basis
from audiollm.audio.prosody import Level

# An answer rests on what its probability falls by this much without: about as much as the
# probabilities err (ECE)
CARRIES = 0.05
EVERYWHERE = 0.75  # share of a sound from which on no part of it stands out


@dataclass(frozen=True)
class Voice:
    """Seconds of voice in a sound; `agreeing`: share in windows that agree with the answer."""

    active: float  # louder than a pause
    voiced: float  # with a pitch
    agreeing: float = 1.0


@dataclass(frozen=True)
class Evidence:
    """One measured cue beside its usual range, in the words of the answer's language."""

    cue: str
    name: str
    level: Level
    said: str
    value: float
    unit: str
    low: float
    high: float
    # of the class's probability where the cue is brought to the middle of its range; None where it
    # is usual, or was not tried
    fall: float | None = None


@dataclass(frozen=True)
class Occlusion:
    """A part of the sound, in seconds, and by how much the class's probability falls without it."""

    start: float
    end: float
    fall: float


@dataclass(frozen=True)
class Analysis:
    """The parts of an answer's text. Probabilities in [0, 1]."""

    label: str
    certainty: str  # uncertain, more likely than not, likely, very likely
    probability: float
    others: dict[str, float]  # what else it could be, likeliest first
    evidence: tuple[Evidence, ...]  # every measured cue
    cautions: dict[str, str]  # kind -> sentence without its full stop
    basis: Basis | None  # None: no voice to measure
    voice: Voice | None
    prose: str = ""  # the sentences of the LLM that are shown
    dropped: tuple[str, ...] = ()  # those that are not
    warnings: tuple[str, ...] = ()  # the sentences with cautions, as they are shown
    occlusion: tuple[Occlusion, ...] = ()  # () where it was not tried
    course: tuple[tuple[float, str], ...] = ()  # (start in s, class) of two or three parts, or ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def carrying(self) -> tuple[Evidence, ...]:
        """The cues that the answer rests on."""
        return tuple(e for e in self.evidence if e.fall is not None and e.fall >= CARRIES)

    @property
    def decisive(self) -> tuple[tuple[float, float], ...]:
        """(start, end) in seconds of the parts that the answer rests on most; () where it rests on
        none, or on nearly all of the sound."""
        least = max([CARRIES, *(o.fall / 2 for o in self.occlusion)])
        spans: list[tuple[float, float]] = []
        for o in (o for o in self.occlusion if o.fall >= least):
            start = spans.pop()[0] if spans and spans[-1][1] == o.start else o.start
            spans.append((start, o.end))
        whole = sum(o.end - o.start for o in self.occlusion)
        return () if sum(b - a for a, b in spans) > EVERYWHERE * whole else tuple(spans)

    @property
    def basis_kind(self) -> str | None:
        """`register` or `speaker`; None where no cue was measured."""
        return self.basis.kind if self.basis else None

    @property
    def levels(self) -> dict[str, Level]:
        return {e.cue: e.level for e in self.evidence}
