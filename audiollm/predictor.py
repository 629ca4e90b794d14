"""The resident engine: sound -> `Prediction`. Every answer to a person comes from here."""

import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import audio, calibration, functionals, prosody
from audiollm.audio import Sound
from audiollm.config import Manifest
from audiollm.errors import AudioLLMError, ConfigError, ModelError
from audiollm.labels import Language, word
from audiollm.projector import Features
from audiollm.prompt import SEPARATOR
from audiollm.prosody import Cues
from audiollm.settings import Settings

WINDOW_SECONDS = 20.0  # a longer sound is heard in windows of at most this length
BATCH_WINDOWS = 16  # windows that go through the model together


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

    def to_dict(self) -> dict[str, Any]:
        plain = asdict(self)
        plain["cues"] = self.cues.to_dict() if self.cues else None
        return plain


@dataclass(frozen=True)
class Card:
    """What there is to know about the model that answers."""

    name: str
    folder: str
    device: str
    parameters: int  # encoder, projector and LLM together
    labels: tuple[str, ...]
    languages: tuple[Language, ...]
    metrics: dict[str, Any]  # of `evaluate`, on unseen speakers; {} where not measured


class Predictor:
    """A loaded model. Safe to share between threads: one sound or batch is heard at a time."""

    def __init__(self, loaded: Any, encoder: Any, settings: Settings) -> None:
        from audiollm.prompt import Prompt
        from audiollm.scoring import Scorer

        self.manifest: Manifest = loaded.manifest
        self.settings = settings
        self._encoder = encoder
        prompt = Prompt(loaded.tokenizer, self.manifest.labels, self.manifest.prompt)
        self._scorer = Scorer(loaded.model, prompt)
        self._lock = threading.Lock()
        networks = [encoder.network, loaded.model]
        self.card = Card(
            name=self.manifest.name,
            folder=str(loaded.folder),
            device=str(loaded.model.device),
            parameters=sum(p.numel() for n in networks for p in n.parameters()),
            labels=self.manifest.labels,
            languages=self.manifest.languages,
            metrics=self.manifest.metrics,
        )

    @classmethod
    def load(cls, model: str, settings: Settings) -> "Predictor":
        """Loads a model and the encoder that it refers to, and hears one second of noise.

        Raises:
            ModelError: a part is missing, or the encoder is not the one the model was trained with.
        """
        from audiollm import checkpoint, encoder

        device = checkpoint.pick_device(settings.device)
        loaded = checkpoint.load(model, settings, device)
        ref = loaded.manifest.encoder
        heard = encoder.load(ref.id, settings, device)
        if ref.fingerprint and heard.fingerprint != ref.fingerprint:
            raise ModelError(
                f"{loaded.manifest.name} was trained with another version of the encoder {ref.id} "
                f"({ref.fingerprint[:12]}, here is {heard.fingerprint[:12]}): put that in place."
            )
        if heard.width != ref.width:
            raise ModelError(
                f"{loaded.manifest.name} needs an encoder {ref.width} wide, not {heard.width}: "
                "put the encoder that the model was trained with in its place."
            )
        predictor = cls(loaded, heard, settings)
        noise = 0.01 * np.random.default_rng(0).standard_normal(audio.SAMPLE_RATE)
        sound = audio.from_array(noise.astype(np.float32), audio.SAMPLE_RATE)
        for language in loaded.manifest.languages:  # fills the instruction caches
            predictor.predict([sound], language)
        return predictor

    def predict(self, sounds: Sequence[Sound], language: Language = "en") -> list[Prediction]:
        """Answers to a batch of sounds that `audio.require_speech` let pass."""
        with self._lock:
            heard = self._hear(sounds, language)
            rows = [h.row for h in heard]
            winners = [h.winner for h in heard]
            texts: list[str] = []
            for scored, group in _by_batch(heard):
                chosen = [rows[i] for i in group]
                texts += self._scorer.generate(
                    scored, [winners[i] for i in group], language, chosen
                )
        return [
            replace(h.prediction, text=self._whole(h.prediction.label, text, language))
            for h, text in zip(heard, texts, strict=True)
        ]

    def stream(self, sound: Sound, language: Language = "en") -> Generator[Prediction]:
        """The probabilities at once with an empty text, then the text as it grows."""
        with self._lock:
            heard = self._hear([sound], language)[0]
            yield heard.prediction
            text = ""
            for piece in self._scorer.stream(heard.scored, heard.winner, language, heard.row):
                text += piece
                whole = self._whole(heard.prediction.label, text, language)
                yield replace(heard.prediction, text=whole)

    def predict_files(
        self, paths: Sequence[Path], language: Language = "en", batch: int = 8
    ) -> Iterator[tuple[Path, Prediction | AudioLLMError]]:
        """Answers in the order of the paths; a file that cannot be used yields its error."""
        for start in range(0, len(paths), batch):
            results: dict[Path, Prediction | AudioLLMError] = {}
            sounds: dict[Path, Sound] = {}
            for path in paths[start : start + batch]:
                try:
                    sound = audio.load(path, self.settings)
                    audio.require_speech(sound)
                    sounds[path] = sound
                except AudioLLMError as error:
                    results[path] = error
            if sounds:
                answers = self.predict(list(sounds.values()), language)
                results.update(zip(sounds, answers, strict=True))
            for path in paths[start : start + batch]:
                yield path, results[path]

    def _hear(self, sounds: Sequence[Sound], language: Language) -> list["_Heard"]:
        """Scores every sound: windows in batches, then their mean log-likelihood, by length."""
        if language not in self.manifest.languages:
            raise ConfigError(
                f"{self.manifest.name} was not taught {language!r}: use one of "
                f"{', '.join(self.manifest.languages)}."
            )
        cues = [prosody.measure(s.samples) for s in sounds]
        windows = [(i, w) for i, s in enumerate(sounds) for w in _windows(s.samples)]
        scores: list[np.ndarray] = []
        places: list[tuple[Any, int]] = []
        for start in range(0, len(windows), BATCH_WINDOWS):
            part = windows[start : start + BATCH_WINDOWS]
            features = self._features([w for _, w in part])
            known = [
                cues[i] if len(sounds[i].samples) == len(w) else prosody.measure(w) for i, w in part
            ]
            scored = self._scorer.score(features, known, language)
            scores += list(scored.log_likelihoods.float().cpu().numpy())
            places += [(scored, row) for row in range(len(part))]
        return [
            self._answer(
                sounds[i],
                cues[i],
                [j for j, (k, _) in enumerate(windows) if k == i],
                windows,
                scores,
                places,
                language,
            )
            for i in range(len(sounds))
        ]

    def _answer(
        self,
        sound: Sound,
        cues: Cues,
        own: list[int],
        windows: list[tuple[int, np.ndarray]],
        scores: list[np.ndarray],
        places: list[tuple[Any, int]],
        language: Language,
    ) -> "_Heard":
        labels = self.manifest.labels
        lengths = np.array([len(windows[j][1]) for j in own], dtype=float)
        table = calibration.apply(
            np.stack([scores[j] for j in own]), labels, self.manifest.calibration
        )
        mean = (table * lengths[:, None]).sum(0) / lengths.sum()
        winner = int(mean.argmax())
        # the text goes on from the window that sounds most like the winning class
        scored, row = places[own[int(table[:, winner].argmax())]]
        prediction = Prediction(
            label=labels[winner],
            probabilities={
                name: float(p) for name, p in zip(labels, mean / mean.sum(), strict=True)
            },
            text="",
            language=language,
            model=self.manifest.name,
            seconds=round(sound.seconds, 3),
            cues=cues,
        )
        return _Heard(prediction, scored, row, winner)

    def _features(self, windows: Sequence[np.ndarray]) -> list[Features]:
        needs = self.manifest.projector
        encoded = self._encoder.encode(windows)
        return [
            Features(
                utterance=e.utterance,
                frames=e.frames if needs.pooling == "frames" else None,
                functionals=functionals.measure(w) if needs.functionals else None,
            )
            for e, w in zip(encoded, windows, strict=True)
        ]

    def _whole(self, label: str, text: str, language: Language) -> str:
        start = word(label, language) + SEPARATOR[language]
        space = " " if language == "en" and text and not text.startswith(" ") else ""
        return (start + space + text).strip()


@dataclass(frozen=True, eq=False)
class _Heard:
    prediction: Prediction
    scored: Any  # scoring.Scored of the batch that holds the window to go on from
    row: int
    winner: int


def _windows(samples: np.ndarray) -> list[np.ndarray]:
    """samples [N] -> pieces of equal length, none longer than WINDOW_SECONDS."""
    longest = int(WINDOW_SECONDS * audio.SAMPLE_RATE)
    return np.array_split(samples, max(1, -(-len(samples) // longest)))


def _by_batch(heard: Sequence[_Heard]) -> Iterator[tuple[Any, list[int]]]:
    """Runs of neighbours that were scored in the same batch."""
    group: list[int] = []
    for i, h in enumerate(heard):
        if group and heard[group[0]].scored is not h.scored:
            yield heard[group[0]].scored, group
            group = []
        group.append(i)
    if group:
        yield heard[group[0]].scored, group
