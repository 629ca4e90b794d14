"""The answer of a model, and the description of the model: plain frozen values."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from audiollm.analysis.types import Analysis
from audiollm.audio.prosody import Cues
from audiollm.audio.timeline import Timeline
from audiollm.labels import Language
from audiollm.model.speaker import SpeakerBaseline


@dataclass(frozen=True)
class Prediction:
    """The answer to one sound."""

    label: str
    probabilities: dict[str, float]  # class name -> probability, in the model's order, sum 1
    text: str  # the analysis, starting with the class word; "" while it is being written
    language: Language
    model: str
    seconds: float  # of the sound
    cues: Cues | None
    analysis: Analysis | None = None  # the parts of the text; its prose grows with the text
    baseline_seconds: float = 0.0  # of the speaker's other speech that the answer rests on
    baseline_emotion: str = ""  # all of that other speech expresses it: not compared with it
    distance: float | None = None  # from the training data, about 1 inside; None: not measured
    # the features of this sound, for a baseline of others
    speech: SpeakerBaseline | None = field(default=None, compare=False)
    timeline: Timeline | None = field(default=None, compare=False)  # where the text rests on it

    def to_dict(self) -> dict[str, Any]:
        """Plain values. The features are left out: they identify the speaker."""
        plain = asdict(replace(self, speech=None, timeline=None))
        del plain["speech"], plain["timeline"]
        plain["baseline_seconds"] = round(self.baseline_seconds, 1)
        plain["cues"] = self.cues.to_dict() if self.cues else None
        return plain


@dataclass(frozen=True)
class Card:
    """Description of the model that answers."""

    name: str
    folder: str
    device: str
    parameters: int  # encoder, projector and LLM together
    labels: tuple[str, ...]
    languages: tuple[Language, ...]
    metrics: dict[str, Any]  # of `evaluate`, on unseen speakers; {} where not measured
    data_languages: tuple[str, ...] = ()  # of the training data, by ISO 639-1; () where not known
    terms: str = ""  # of the weights, such as CC BY-NC-SA 4.0; "" where not known
    baseline: bool = False  # it can be given a speaker baseline
    probe: tuple[str, ...] = ()  # classes of the linear probe on the encoder, () without one
    questions: bool = False  # it answers free questions
    precision: str = "float32"  # that the LLM computes in
