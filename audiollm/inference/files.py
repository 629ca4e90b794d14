"""Files -> answers in their order, a batch at a time: an hour of files is never in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from audiollm import audio
from audiollm.analysis.references import Basis, by_speaker
from audiollm.audio import prosody
from audiollm.audio.sound import Sound
from audiollm.audio.windows import Progress
from audiollm.errors import AudioLLMError
from audiollm.inference.prediction import Card, Prediction
from audiollm.labels import Language
from audiollm.model.speaker import SpeakerBaseline, together
from audiollm.settings import Settings

Load = Callable[[Path], Sound]
# A file; samples and their rate in Hz, as a pair or under `array` and `sampling_rate`
AudioInput = str | PathLike[str] | tuple[NDArray[Any], int] | Mapping[str, Any]
Report = Callable[[Progress], object]


class Engine(Protocol):
    """The part of a `Predictor` that files need."""

    card: Card

    def predict(
        self,
        sounds: Sequence[Sound],
        language: Language,
        baseline: Basis | None,
        speakers: Sequence[SpeakerBaseline | None],
        progress: Report,
    ) -> list[Prediction]: ...

    def classify(
        self, sounds: Sequence[Sound], language: Language, progress: Report
    ) -> list[Prediction]: ...


@dataclass(frozen=True)
class Speaker:
    """What is usual for the one person who speaks in all files."""

    basis: Basis | None = None  # of their cues; None where too few files could be measured
    speech: dict[Path, SpeakerBaseline] = field(default_factory=dict)  # features of each file
    whole: SpeakerBaseline | None = None  # of all of them

    def others(self, path: Path) -> SpeakerBaseline | None:
        """All files but this one."""
        own = self.speech.get(path)
        return self.whole - own if self.whole and own else self.whole


def answers(
    predictor: Engine,
    paths: Sequence[Path],
    language: Language,
    batch: int,
    same_speaker: bool,
    load: Load,
    report: Report,
) -> Iterator[tuple[Path, Prediction | AudioLLMError]]:
    """Answers in the order of the paths; a file that cannot be used yields its error."""
    usual = speaker(predictor, paths, language, batch, load, report) if same_speaker else Speaker()
    for start in range(0, len(paths), batch):
        part = paths[start : start + batch]
        sounds, results = _load_all(load, part)
        if sounds:
            clips, others = list(sounds.values()), [usual.others(path) for path in sounds]
            predictions = predictor.predict(clips, language, usual.basis, others, report)
            results.update(zip(sounds, predictions, strict=True))
        for path in part:
            yield path, results[path]


def speaker(
    predictor: Engine,
    paths: Sequence[Path],
    language: Language,
    batch: int,
    load: Load,
    report: Report,
) -> Speaker:
    """The first reading of one person's files: their cues and, where the model takes a baseline,
    the sums of their features. A file that cannot be used is left out."""
    cues: dict[Path, prosody.Cues] = {}
    speech: dict[Path, SpeakerBaseline] = {}
    for start in range(0, len(paths), batch):
        sounds, _ = _load_all(load, paths[start : start + batch])
        if not predictor.card.baseline:
            cues |= {path: prosody.measure(sound.samples) for path, sound in sounds.items()}
        elif sounds:
            answers = predictor.classify(list(sounds.values()), language, report)
            for path, answer in zip(sounds, answers, strict=True):
                if answer.cues and answer.speech:
                    cues[path], speech[path] = answer.cues, answer.speech
    return Speaker(by_speaker(list(cues.values())), speech, together(speech.values()))


def load_speech(source: AudioInput, settings: Settings) -> Sound:
    """A file, or samples and their rate, with speech in it."""
    if isinstance(source, Mapping):
        source = source["array"], source["sampling_rate"]
    if isinstance(source, tuple):
        sound = audio.from_array(*source, settings)
    else:
        sound = audio.load(Path(source), settings)
    audio.require_speech(sound)
    return sound


def _load_all(
    load: Load, paths: Sequence[Path]
) -> tuple[dict[Path, Sound], dict[Path, Prediction | AudioLLMError]]:
    """The sounds with speech among these files, and the errors of the others."""
    sounds: dict[Path, Sound] = {}
    errors: dict[Path, Prediction | AudioLLMError] = {}
    for path in paths:
        try:
            sounds[path] = load(path)
        except AudioLLMError as error:
            errors[path] = error
    return sounds, errors
