"""Sounds -> class probabilities: encoder, projector and LLM, window by window, batch by batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from audiollm import audio
from audiollm.analysis import composition, course
from audiollm.analysis.references import Basis
from audiollm.analysis.types import Analysis, Voice
from audiollm.audio import functionals, prosody, windows
from audiollm.audio.prosody import Cues, Track
from audiollm.audio.sound import Sound
from audiollm.audio.windows import Progress, Window
from audiollm.contracts.manifest import Manifest
from audiollm.errors import ConfigError
from audiollm.inference.microbatch import Call, MicroBatch
from audiollm.inference.prediction import Prediction
from audiollm.inference.votes import BATCH_SECONDS, BATCH_WINDOWS, Votes, batches
from audiollm.labels import Language
from audiollm.model import calibration
from audiollm.model.distance import FeatureDistance
from audiollm.model.projector import Features
from audiollm.model.speaker import FEWEST, SpeakerBaseline, one_emotion, together

if TYPE_CHECKING:
    from torch import Tensor

    from audiollm.encoder.base import Encoded


_Windows: TypeAlias = tuple[Sequence[Features], Sequence[Cues]]


@dataclass(frozen=True, eq=False)
class ScoredSound:
    """The answer to a sound before its text."""

    prediction: Prediction
    analysis: Analysis  # before the LLM writes
    clip: Features  # of its first window
    winner: int
    distance: float | None = None  # from the training data, of a sound of one window


@dataclass(frozen=True, eq=False)
class _Compared:
    """Windows with the baselines that they are compared with. W windows, S sounds, C classes."""

    clips: list[Features]  # [W]; [] where the model takes no baseline
    plain: np.ndarray  # [W, C] probabilities without a baseline; NaN: not compared
    seconds: list[float]  # [S] of the speech that the answer rests on
    emotions: list[str]  # [S] that all of that speech expresses, so that it is left out; or ""


class Classifier:
    """The networks of a model. Encoder and LLM each compute one batch of windows at a time, of all
    threads that wait for it."""

    def __init__(
        self, manifest: Manifest, encoder: Any, scorer: Any, distance: FeatureDistance | None
    ) -> None:
        self.manifest, self.encoder, self.scorer = manifest, encoder, scorer
        self._distance = distance
        self.encodes: MicroBatch[Sequence[np.ndarray], list[Encoded]] = MicroBatch(self._encode)
        self.scores: MicroBatch[_Windows, Tensor] = MicroBatch(self._score)

    def score_sounds(
        self,
        sounds: Sequence[Sound],
        language: Language,
        baseline: Basis | None = None,
        followed: Sequence[Track] = (),
        speakers: Sequence[SpeakerBaseline | None] = (),
        progress: Callable[[Progress], object] = lambda _: None,
    ) -> list[ScoredSound]:
        """Scores every sound: the mean of its windows' probabilities, by their seconds of speech.

        No lock is held while `progress` is called.
        """
        if language not in self.manifest.languages:
            name, languages = self.manifest.name, ", ".join(self.manifest.languages)
            raise ConfigError("model_language", name=name, given=language, known=languages)
        labels = self.manifest.labels
        followed = followed or [prosody.track(s.samples) for s in sounds]
        cues = [prosody.summarise(s.samples, t) for s, t in zip(sounds, followed, strict=True)]
        voting = [(i, w) for i, s in enumerate(sounds) for w in windows.voting(s, followed[i])]
        others = speakers or [None] * len(sounds)
        compared = self._compared(voting, cues, language, others, progress)
        votes = [Votes.of(len(labels)) for _ in sounds]
        first: dict[int, Features] = {}
        for batch in batches([w.seconds for _, w in voting]):
            if batch.start:
                done = (len(voting) + batch.start) // 2 if compared.clips else batch.start
                progress(Progress(done, len(voting)))
            part = voting[batch]
            clips = compared.clips[batch] or self.features(*_sounds(part))
            # the cues of the whole clip: the text quotes what the person is shown
            table = self.score(clips, [cues[i] for i, _ in part], language)
            plain = np.where(np.isnan(compared.plain[batch]), table, compared.plain[batch])
            distances = self._distances(clips)
            for row, ((i, window), clip) in enumerate(zip(part, clips, strict=True)):
                own = SpeakerBaseline.of(clip.utterance[None], window.seconds, plain[[row]])
                votes[i].add_features(own, float(distances[row]))
                votes[i].add(window, table[row])
                first.setdefault(i, clip)
        answers = []
        for i, (sound, vote) in enumerate(zip(sounds, votes, strict=True)):
            voice = Voice(
                active=float(followed[i].active.sum() / prosody.TRACK_RATE),
                voiced=float((~np.isnan(followed[i].f0)).sum() / prosody.TRACK_RATE),
                agreeing=vote.agreeing,
            )
            probabilities = {n: float(p) for n, p in zip(labels, vote.probabilities, strict=True)}
            analysis = composition.measured(probabilities, cues[i], language, voice, baseline)
            parts = course.parts(vote.spans, np.stack(vote.rows), labels)
            analysis = replace(analysis, course=parts)
            prediction = Prediction(
                label=labels[vote.winner],
                probabilities=probabilities,
                text="",
                language=language,
                model=self.manifest.name,
                seconds=round(sound.seconds, 3),
                cues=cues[i],
                analysis=analysis,
                baseline_seconds=compared.seconds[i],
                baseline_emotion=compared.emotions[i],
                distance=vote.distance,
                speech=vote.speech,
            )
            far = vote.distances[0] if len(vote.distances) == 1 else None
            answers.append(ScoredSound(prediction, analysis, first[i], vote.winner, far))
        return answers

    def _compared(
        self,
        voting: Sequence[tuple[int, Window]],
        cues: Sequence[Cues],
        language: Language,
        speakers: Sequence[SpeakerBaseline | None],
        progress: Callable[[Progress], object],
    ) -> "_Compared":
        """What the windows are compared with, where the model takes a baseline.

        A window of a long sound without a baseline of its own is compared with the others. What is
        to be compared is scored without a baseline first, and is left so where all of the baseline
        expresses one emotion.
        """
        labels, sounds = self.manifest.labels, range(len(speakers))
        plain = np.full((len(voting), len(labels)), np.nan)
        compared = _Compared([], plain, [0.0] * len(speakers), [""] * len(speakers))
        if not self.manifest.projector.baseline:
            return compared
        clips = compared.clips
        baselines = [speaker if speaker and speaker.usable else None for speaker in speakers]
        rows = [[row for row, (i, _) in enumerate(voting) if i == sound] for sound in sounds]
        compares = [bool(baselines[i]) or len(rows[i]) > FEWEST for i in sounds]
        for batch in batches([w.seconds for _, w in voting]):
            if batch.start:
                progress(Progress(batch.start // 2, len(voting)))
            clips += self.features(*_sounds(voting[batch]))
            part = [row for row in range(*batch.indices(len(voting))) if compares[voting[row][0]]]
            if part:
                window_cues = [cues[voting[row][0]] for row in part]
                plain[part] = self.score([clips[row] for row in part], window_cues, language)
        for i in (i for i in sounds if compares[i]):
            own = {
                row: SpeakerBaseline.of(
                    clips[row].utterance[None], voting[row][1].seconds, plain[[row]]
                )
                for row in rows[i]
            }
            whole = baselines[i] or together(own.values())
            if whole is None:
                continue
            compared.emotions[i] = one_emotion(whole, labels)
            if not compared.emotions[i]:
                compared.seconds[i] = whole.seconds
                for row in rows[i]:
                    others = whole if baselines[i] else whole - own[row]
                    clips[row] = replace(clips[row], baseline=others.mean)
        return compared

    def score(
        self,
        clips: Sequence[Features],
        cues: Sequence[Cues],
        language: Language,
        distances: np.ndarray | None = None,
    ) -> np.ndarray:
        """Calibrated probabilities [B, C] of B windows; by `distances` [B] from the training data
        instead of their own, if given."""
        apart = self._distances(clips) if distances is None else distances
        scored = self.scores((clips, cues), len(clips) / BATCH_WINDOWS, language)
        logs = scored.float().cpu().numpy()
        return calibration.calibrated(
            logs, self.manifest, [c.baseline is not None for c in clips], apart
        )

    def _score(self, calls: "Sequence[Call[_Windows, Tensor]]") -> None:
        """The windows of several calls as one batch."""
        clips = [clip for call in calls for clip in call.item[0]]
        cues = [each for call in calls for each in call.item[1]]
        language: Any = calls[0].key
        scored, end = self.scorer.score(clips, cues, language), 0
        for call in calls:
            start, end = end, end + len(call.item[0])
            call.finish(scored[start:end])

    def encoded(self, pieces: Sequence[np.ndarray]) -> "list[Encoded]":
        """The encoder's features of pieces of sound."""
        seconds = sum(map(len, pieces)) / audio.SAMPLE_RATE
        return self.encodes(pieces, seconds / BATCH_SECONDS)

    def _encode(self, calls: "Sequence[Call[Sequence[np.ndarray], list[Encoded]]]") -> None:
        encoded, end = self.encoder.encode([piece for call in calls for piece in call.item]), 0
        for call in calls:
            start, end = end, end + len(call.item)
            call.finish(encoded[start:end])

    def _distances(self, clips: Sequence[Features]) -> np.ndarray:
        """From the training data, [B]; NaN where the model came without a measure."""
        if self._distance is None:
            return np.full(len(clips), np.nan)
        return self._distance(np.stack([clip.utterance for clip in clips]))

    def features(
        self,
        pieces: Sequence[np.ndarray],
        tracks: Sequence[Track | None],
        speakers: Sequence[SpeakerBaseline | None] = (),
    ) -> list[Features]:
        """The projector's input for B pieces of sound.

        `tracks` are `prosody.track` of the pieces, None where it is not known yet.
        """
        needs = self.manifest.projector
        encoded = self.encoded(pieces)
        means = [_mean(s) for s in speakers] if needs.baseline and speakers else []
        return [
            Features(
                utterance=e.utterance,
                frames=e.frames if needs.pooling == "frames" else None,
                functionals=functionals.measure(p, t) if needs.functionals else None,
                baseline=mean,
            )
            for e, p, t, mean in zip(
                encoded, pieces, tracks, means or [None] * len(pieces), strict=True
            )
        ]


def _sounds(part: Sequence[tuple[int, Window]]) -> tuple[list[np.ndarray], list[Track | None]]:
    return [w.samples for _, w in part], [w.followed for _, w in part]


def _mean(speaker: SpeakerBaseline | None) -> np.ndarray | None:
    """Features of a baseline [U]; None of too little speech."""
    return speaker.mean if speaker and speaker.usable else None
