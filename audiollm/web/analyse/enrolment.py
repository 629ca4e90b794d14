"""The recordings that a visitor has enrolled as their speaker baseline, in memory alone."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from audiollm.model.distance import OTHER_VOICE
from audiollm.model.speaker import SpeakerBaseline, together

if TYPE_CHECKING:
    from audiollm.predictor import Predictor

MOST = 64  # recordings: of more, the mean hardly changes


@dataclass(frozen=True, eq=False)
class Candidate:
    """A recording in which another speaker was detected."""

    path: str
    speech: SpeakerBaseline


@dataclass(eq=False)
class Enrolment:
    """Features of one visitor's recordings, by the paths of these."""

    model: str  # id of the model whose features they are
    seen: float  # when the visitor has last asked for something, s
    clips: dict[str, SpeakerBaseline] = field(default_factory=dict)
    question: Candidate | None = None
    left_out: set[str] = field(default_factory=set)  # paths of recordings of other speakers
    forgotten: bool = False  # because another model is active

    def others(self, path: str = "") -> SpeakerBaseline | None:
        """The baseline for a recording: all but itself."""
        return together(clip for name, clip in self.clips.items() if name != path)

    def is_other(self, predictor: "Predictor", path: str, speech: SpeakerBaseline | None) -> bool:
        """Whether another speaker is detected in a recording. Not where the visitor has said that
        it is theirs, nor while the baseline is too short."""
        baseline = self.others(path)
        if path in self.clips or speech is None or baseline is None or not baseline.usable:
            return False
        apart = predictor.apart(speech, baseline)
        return apart is not None and apart > OTHER_VOICE

    def offer(self, predictor: "Predictor", path: str, speech: SpeakerBaseline | None) -> None:
        """Adds the recording; where another speaker is detected, the visitor is asked first."""
        if self.is_other(predictor, path, speech):
            if speech and path not in self.left_out:
                self.question = Candidate(path, speech)
        elif speech:
            self.question = None
            self.add(path, speech)

    def add(self, path: str, speech: SpeakerBaseline) -> None:
        self.clips[path] = speech
        self.forgotten = False
        while len(self.clips) > MOST:
            self.clips.pop(next(iter(self.clips)))
