"""What an answer rests on: changes of the sound that make its class less probable.

Seconds: the encoder's frames of a window are left out (occlusion, Zeiler & Fergus 2014). Cues: the
sound is changed so that one unusual cue lies in the middle of its usual range, and, where the
prompt states cues, the prompt with it. Changing the prompt alone says little: the encoder hears the
cue all the same. All are scored in one batch, calibrated as the sound itself is.

Shapes: F features of frames, S spans.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from audiollm import audio
from audiollm.analysis.references import Basis
from audiollm.analysis.types import Evidence, Occlusion
from audiollm.audio import functionals, resynthesis, windows
from audiollm.audio.prosody import Cues, Track
from audiollm.audio.resynthesis import PERIODS
from audiollm.audio.sound import Sound
from audiollm.encoder.base import over_time
from audiollm.inference.classifier import Classifier, ScoredSound
from audiollm.model.projector import Features

SPAN = 0.5  # s of a window that is left out: two or three syllables
MOST_SPANS = 24  # of a sound; in a longer one they are longer
LEAST_SPANS = 3  # with fewer too little of the sound is left
# s of sound that is encoded for one answer at most, as it takes about 15 ms each on two cores:
# longer sounds have fewer of their unusual cues changed, the most unusual first
ENCODED = 30.0


def explain(
    classifier: Classifier, answer: ScoredSound, sound: Sound, followed: Track
) -> ScoredSound:
    """The answer with what it rests on. That of a sound of several windows is returned as it is:
    its course shows what each of them says."""
    cues, analysis = answer.prediction.cues, answer.analysis
    if sound.seconds > windows.LONGEST or cues is None:
        return answer
    samples, language = sound.samples, answer.prediction.language
    targets = _targets(analysis.evidence, analysis.basis, sound.seconds)
    spans = min(round(sound.seconds / SPAN), MOST_SPANS)
    spans = spans if spans >= LEAST_SPANS else 0
    if not targets and not spans:
        return answer
    pieces = [samples]
    if PERIODS & set(targets):  # what PSOLA changes even where it moves nothing
        pieces.append(resynthesis.psola(samples, followed.f0, np.ones(len(followed.f0))))
    controls = len(pieces)
    for cue, value in targets.items():
        measured = getattr(cues, cue)
        pieces.append(resynthesis.change_cue(samples, followed, cue, measured, value))
    encoded = classifier.encoded(pieces)
    frames = encoded[0].frames
    edges = [round(i * len(frames) / max(spans, 1)) for i in range(spans + 1)]
    base = answer.clip
    statistics = classifier.encoder.statistics
    clips = [_as(base, e.frames, e.utterance, p) for e, p in zip(encoded, pieces, strict=True)]
    for a, b in pairwise(edges):
        rest = np.delete(frames, slice(a, b), 0)
        first, last = (round(edge / len(frames) * len(samples)) for edge in (a, b))
        remaining = np.delete(samples, slice(first, last))
        clips.append(_as(base, rest, over_time(rest, statistics), remaining))
    moved = [replace(cues, **{cue: value}) for cue, value in targets.items()]
    stated: list[Cues] = [cues] * controls + moved + [cues] * (len(clips) - len(pieces))
    distances = np.full(len(clips), np.nan if answer.distance is None else answer.distance)
    table = classifier.score(clips, stated, language, distances)[:, answer.winner]
    falls = {
        cue: round(float(min(table[:controls] if cue in PERIODS else table[:1]) - p), 4)
        for cue, p in zip(targets, table[controls : len(pieces)], strict=True)
    }
    seconds = np.array(edges) / max(len(frames), 1) * len(samples) / audio.SAMPLE_RATE
    falls_of_spans = table[0] - table[len(pieces) :]
    analysis = replace(
        analysis,
        evidence=tuple(replace(e, fall=falls.get(e.cue)) for e in analysis.evidence),
        occlusion=tuple(
            Occlusion(round(float(a), 2), round(float(b), 2), round(float(fall), 4))
            for a, b, fall in zip(seconds[:-1], seconds[1:], falls_of_spans, strict=True)
        ),
    )
    return replace(
        answer, analysis=analysis, prediction=replace(answer.prediction, analysis=analysis)
    )


def _targets(evidence: Sequence[Evidence], basis: Basis | None, seconds: float) -> dict[str, float]:
    """The middle of the usual range for each unusual cue, the most unusual first, as many as the
    length of the sound allows."""
    unusual = [e for e in evidence if basis and e.level != "mid"]
    middles = {e.cue: (e.low + e.high) / 2 for e in unusual}
    unusual.sort(key=lambda e: -abs(e.value - middles[e.cue]) / (e.high - e.low))
    return {e.cue: middles[e.cue] for e in unusual[: max(0, int(ENCODED / seconds) - 2)]}


def _as(base: Features, frames: np.ndarray, utterance: np.ndarray, samples: np.ndarray) -> Features:
    """Features of the same kinds as `base`, compared with the same speaker baseline."""
    return Features(
        utterance=utterance,
        frames=None if base.frames is None else frames,
        functionals=None if base.functionals is None else functionals.measure(samples, None),
        baseline=base.baseline,
    )
