"""The parts of an analysis, as plain frozen values."""

from dataclasses import asdict, dataclass
from typing import Any

from audiollm.analysis.references import Basis
from audiollm.audio.prosody import Level


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


@dataclass(frozen=True)
class Correction:
    """A statement of the LLM that the measurement contradicts; None: not measured."""

    cue: str
    stated: str
    measured: str | None


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
    told: dict[str, Level]  # levels that the prompt states, by register
    prose: str = ""  # the sentence of the LLM that is shown
    dropped: tuple[str, ...] = ()  # those that are not
    corrections: tuple[Correction, ...] = ()
    added: tuple[str, ...] = ()  # cues that the LLM left out

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def basis_kind(self) -> str | None:
        """`register` or `speaker`; None where no cue was measured."""
        return self.basis.kind if self.basis else None

    @property
    def levels(self) -> dict[str, Level]:
        return {e.cue: e.level for e in self.evidence}
