"""The resident engine: sound -> `Prediction`. Every answer to a person comes from here."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import analysis, audio, calibration, functionals, prosody, windows
from audiollm.analysis import Analysis, Voice
from audiollm.audio import Sound
from audiollm.baseline import Basis, by_speaker
from audiollm.config import Manifest
from audiollm.distance import FeatureDistance
from audiollm.errors import AudioError, AudioLLMError, ConfigError, ModelError
from audiollm.labels import Language
from audiollm.loading import Step
from audiollm.probe import LinearProbe
from audiollm.projector import Features
from audiollm.prosody import Cues, Track
from audiollm.settings import Settings
from audiollm.speaker import SpeakerBaseline, together
from audiollm.steps import drained
from audiollm.timeline import Timeline
from audiollm.windows import Progress, Window

NUMPYS = ("numpy.libs", "scipy.libs")  # where their wheels keep their linear algebra
BATCH_WINDOWS = 16  # windows that go through the model together, and
BATCH_SECONDS = 4 * windows.LONGEST  # of sound: more is no faster, and whoever stops it waits


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
    distance: float | None = None  # from the training data, about 1 inside; None: not measured
    speech: SpeakerBaseline | None = None  # the features of this sound, for a baseline

    def to_dict(self) -> dict[str, Any]:
        """Plain values. The features are left out: they tell who speaks."""
        plain = asdict(replace(self, speech=None))
        del plain["speech"]
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
    training: dict[str, Any] = field(default_factory=dict)  # data, its languages, terms
    baseline: bool = False  # it can be given a speaker baseline
    probe: tuple[str, ...] = ()  # classes of the linear probe on the encoder, () without one
    questions: bool = False  # it may be asked in free words


class Predictor:
    """A loaded model. Safe to share between threads: one batch of windows is heard at a time, and
    beside it one text is written. So nobody's probabilities wait for the end of a long sound, or of
    somebody else's text."""

    def __init__(self, loaded: Any, encoder: Any, settings: Settings) -> None:
        from audiollm.prompt import Prompt
        from audiollm.scoring import Scorer

        self.manifest: Manifest = loaded.manifest
        self.settings = settings
        self._encoder = encoder
        self._probe: LinearProbe | None = loaded.probe
        self._distance: FeatureDistance | None = loaded.distance
        prompt = Prompt(
            loaded.tokenizer,
            self.manifest.labels,
            self.manifest.prompt,
            self.manifest.languages,
        )
        self._scorer = Scorer(loaded.model, prompt)
        self._lock = threading.Lock()  # to hear
        self._pen = threading.Lock()  # to write
        networks = [encoder.network, loaded.model]
        self.card = Card(
            name=self.manifest.name,
            folder=str(loaded.folder),
            device=str(loaded.model.device),
            parameters=sum(p.numel() for n in networks for p in n.parameters()),
            labels=self.manifest.labels,
            languages=self.manifest.languages,
            metrics=self.manifest.metrics,
            training=self.manifest.training,
            baseline=self.manifest.projector.baseline,
            probe=loaded.probe.classes if loaded.probe else (),
            questions=self.manifest.questions,
        )

    @classmethod
    def load(
        cls, model: str, settings: Settings, begin: Callable[[Step], object] = lambda _: None
    ) -> "Predictor":
        """Loads a model and the encoder that it refers to, and hears one second of noise.

        `begin` is told every step of the way, of `loading.STEPS`.

        Raises:
            ModelError: a part is missing, or the encoder is not the one the model was trained with.
        """
        import transformers.models.auto.modeling_auto  # noqa: F401 - takes long: not the LLM's step

        from audiollm import checkpoint, encoder

        device = checkpoint.pick_device(settings.device)
        begin("llm")
        loaded = checkpoint.load(model, settings, device)
        ref = loaded.manifest.encoder
        begin("encoder")
        heard = encoder.load(ref.id, settings, device, layers=ref.layers, statistics=ref.statistics)
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
        needs = loaded.manifest.projector
        given = ref.width if needs.pooling == "frames" else ref.utterance_width
        if needs.input_size != given:
            raise ModelError(
                f"{loaded.manifest.name}: the projector takes features {needs.input_size} wide, "
                f"the encoder {ref.id} gives {given}; the parts come from different models."
            )
        predictor = cls(loaded, heard, settings)
        begin("trial")
        _keep_numpy_to_one_thread()
        noise = 0.01 * np.random.default_rng(0).standard_normal(audio.SAMPLE_RATE)
        sound = audio.from_array(noise.astype(np.float32), audio.SAMPLE_RATE)
        for language in loaded.manifest.languages:  # fills the instruction caches
            predictor.predict([sound], language)
        return predictor

    def predict(
        self,
        sounds: Sequence[Sound],
        language: Language = "en",
        baseline: Basis | None = None,
        speakers: Sequence[SpeakerBaseline | None] = (),
    ) -> list[Prediction]:
        """Answers to a batch of sounds that `audio.require_speech` let pass.

        Args:
            baseline: what is usual for the one person who speaks in all of them, of
                `baseline.by_speaker`; without it the evidence is relative to voices of the
                register.
            speakers: for each sound its speaker's other speech, or None: sums of the `speech` of
                predictions. It counts from `speaker.FEWEST` windows on, where the model takes a
                baseline; a long sound without one is compared with itself.
        """
        heard = drained(self._hear(sounds, language, baseline, speakers=speakers))
        texts: list[str] = []
        for scored, group in _by_batch(heard):
            winners, rows = [heard[i].winner for i in group], [heard[i].row for i in group]
            with self._pen:
                texts += self._scorer.generate(scored, winners, language, rows)
        return [self._written(h, text) for h, text in zip(heard, texts, strict=True)]

    def stream(
        self,
        sound: Sound,
        language: Language = "en",
        baseline: Basis | None = None,
        followed: Track | None = None,
        speaker: SpeakerBaseline | None = None,
    ) -> Generator[Prediction | Progress]:
        """The probabilities with an empty text, then the text as it grows.

        Before that, how far it has come, if the sound is so long that it takes several batches.
        Every text begins with the one before: no sentence is shown that is later taken back.
        `followed` is `prosody.track(sound.samples)` where the caller has it already.
        """
        tracks = [followed] if followed else ()
        found = yield from self._hear([sound], language, baseline, tracks, [speaker])
        heard = found[0]
        yield heard.prediction
        raw, shown = "", ""
        with (
            self._pen,
            closing(self._scorer.stream(heard.scored, heard.winner, language, heard.row)) as pieces,
        ):
            for piece in pieces:
                raw += piece
                growing = self._written(heard, raw, done=False)
                if growing.text != shown:
                    shown = growing.text
                    yield growing
        yield self._written(heard, raw.strip())

    def timeline(
        self,
        sound: Sound,
        followed: Track,  # noqa: ARG002 - as the other ways to ask about a sound take it
        language: Language = "en",
        speaker: SpeakerBaseline | None = None,
    ) -> Generator[Timeline]:
        """The course of a sound, again after every batch of windows as it is filled in.

        `speaker`: the speaker's speech, such as the `speech` of the answer to a long sound.

        Windows in which nobody speaks, by `sound.speech`, stay NaN.
        A sound of one window has no course: nothing comes.
        """
        spans = windows.course(len(sound.samples) / audio.SAMPLE_RATE)
        if len(spans) == 1:
            return
        labels = self.manifest.labels
        table = np.full((len(spans), len(labels)), np.nan)
        spoken = [i for i, span in enumerate(spans) if windows.has_speech(sound, *span)]
        for batch in _batches([spans[i][1] - spans[i][0] for i in spoken]):
            part = spoken[batch]
            edges = [[round(t * audio.SAMPLE_RATE) for t in spans[i]] for i in part]
            pieces = [sound.samples[a:b] for a, b in edges]
            tracks = [prosody.track(piece) for piece in pieces]
            cues = [prosody.summarise(p, t) for p, t in zip(pieces, tracks, strict=True)]
            clips = self._features(pieces, tracks, [speaker] * len(pieces))
            table[part] = self._score(clips, cues, language)[1]
            heard = part[-1] + 1 if part[-1] != spoken[-1] else len(spans)
            yield Timeline(labels, tuple(spans), table.copy(), heard)

    def probe(self, sound: Sound, followed: Track) -> dict[str, float]:
        """Class probabilities of the linear probe, projector and LLM left out; they sum to 1.

        A long sound is heard in the windows that vote on the LLM's answer, too.

        Raises:
            ModelError: the model came without a probe.
        """
        if self._probe is None:
            raise ModelError(
                f"The encoder of {self.manifest.name} tells no emotions by itself: compare with "
                "another recording or model."
            )
        total = np.zeros(len(self._probe.classes))
        voting = windows.voting(sound, followed)
        for batch in _batches([w.seconds for w in voting]):
            part = voting[batch]
            with self._lock:
                heard = self._encoder.encode([w.samples for w in part])
            table = self._probe.probabilities(np.stack([e.utterance for e in heard]))
            total += np.array([w.weight for w in part]) @ table
        named = zip(self._probe.classes, total / total.sum(), strict=True)
        return {name: float(p) for name, p in named}

    def apart(self, speech: SpeakerBaseline, baseline: SpeakerBaseline) -> float | None:
        """How far a sound is from a speaker's baseline: above `distance.OTHER_VOICE` somebody else
        probably speaks. None where the model came without a measure."""
        if self._distance is None:
            return None
        return self._distance.between(speech.mean, baseline.mean)

    def ask(
        self, sound: Sound, followed: Track, question: str, language: Language = "en"
    ) -> Generator[str]:
        """What the LLM says to a free question about a short sound, growing.

        Raises:
            ModelError: its LLM was not made to follow instructions.
            AudioError: the sound is longer than a window; the question is empty or too long.
        """
        if not self.manifest.questions:
            raise ModelError(
                f"{self.manifest.name} was taught to name emotions and cannot answer questions: "
                "choose a model made from an instruction-tuned LLM (docs/training.md says how)."
            )
        if sound.seconds > windows.LONGEST:
            raise AudioError(
                f"Questions are answered about {windows.LONGEST:g} s of sound or less: choose a "
                "shorter recording.",
                f"只能就不超过 {windows.LONGEST:g} 秒的录音提问：请选择更短的录音。",
            )
        cues = prosody.summarise(sound.samples, followed)
        said = ""
        (clip,) = self._features([sound.samples], [followed])
        with self._pen, closing(self._scorer.ask(clip, cues, question, language)) as pieces:
            for piece in pieces:
                said += piece
                yield said

    def predict_files(
        self,
        paths: Sequence[Path],
        language: Language = "en",
        batch: int = 8,
        same_speaker: bool = False,
    ) -> Iterator[tuple[Path, Prediction | AudioLLMError]]:
        """Answers in the order of the paths; a file that cannot be used yields its error.

        `same_speaker`: one person speaks in all of them, so the evidence is relative to what is
        usual for this person. The files are then read twice.
        """
        baseline = self.baseline(paths) if same_speaker else None
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
                answers = self.predict(list(sounds.values()), language, baseline)
                results.update(zip(sounds, answers, strict=True))
            for path in paths[start : start + batch]:
                yield path, results[path]

    def baseline(self, paths: Sequence[Path]) -> Basis | None:
        """What is usual for the one person who speaks in these files; None where too few can be
        measured. A file that cannot be used is left out."""
        cues = []
        for path in paths:
            with suppress(AudioLLMError):
                sound = audio.load(path, self.settings)
                audio.require_speech(sound)
                cues.append(prosody.measure(sound.samples))
        return by_speaker(cues)

    def _hear(
        self,
        sounds: Sequence[Sound],
        language: Language,
        baseline: Basis | None = None,
        followed: Sequence[Track] = (),
        speakers: Sequence[SpeakerBaseline | None] = (),
    ) -> Generator[Progress, None, list["_Heard"]]:
        """Scores every sound: the mean of its windows' probabilities, by their seconds of speech.

        Of what was scored only the rows that a text may go on from are kept, at most one for
        each class of a sound, so that memory does not grow with the length of the sound.
        """
        if language not in self.manifest.languages:
            raise ConfigError(
                f"{self.manifest.name} was not taught {language!r}: use one of "
                f"{', '.join(self.manifest.languages)}."
            )
        labels = self.manifest.labels
        followed = followed or [prosody.track(s.samples) for s in sounds]
        cues = [prosody.summarise(s.samples, t) for s, t in zip(sounds, followed, strict=True)]
        voting = [(i, w) for i, s in enumerate(sounds) for w in windows.voting(s, followed[i])]
        clips = yield from self._compared(voting, speakers or [None] * len(sounds))
        sums = np.zeros((len(sounds), len(labels)))
        distances = np.full(len(voting), np.nan)
        speech: list[SpeakerBaseline | None] = [None] * len(sounds)
        rested = [0.0] * len(sounds)  # on so many seconds of a baseline
        votes = np.zeros_like(sums)  # seconds heard as each class
        best: list[dict[int, _Place]] = [{} for _ in sounds]
        for batch in _batches([w.seconds for _, w in voting]):
            if batch.start:
                done = batch.start if not clips else (len(voting) + batch.start) // 2
                yield Progress(done, len(voting))
            part = voting[batch]
            given = clips[batch] or self._features(*_sounds(part))
            # the cues of the whole clip: the text quotes what the person is shown
            scored, table = self._score(given, [cues[i] for i, _ in part], language)
            distances[batch] = self._distances(given)
            for (i, window), clip in zip(part, given, strict=True):
                own = SpeakerBaseline.of(clip.utterance[None], window.seconds)
                speech[i] = together(filter(None, (speech[i], own)))
                if clip.baseline is not None:
                    other = speakers[i] if speakers else None
                    rested[i] = other.seconds if other else sounds[i].seconds
            for row, (i, window) in enumerate(part):
                sums[i] += window.weight * table[row]
                votes[i, table[row].argmax()] += window.weight
                for c, p in enumerate(table[row]):
                    if c not in best[i] or p > best[i][c].probability:
                        best[i][c] = _Place(float(p), scored, row)
            _keep_best(best, scored, len(part))
        answers = []
        for i, sound in enumerate(sounds):
            probabilities = sums[i] / sums[i].sum()
            winner = int(probabilities.argmax())
            voice = Voice(
                active=float(followed[i].active.sum() / prosody.TRACK_RATE),
                voiced=float((~np.isnan(followed[i].f0)).sum() / prosody.TRACK_RATE),
                agreeing=float(votes[i, winner] / votes[i].sum()),
            )
            named = {n: float(p) for n, p in zip(labels, probabilities, strict=True)}
            known = analysis.measured(named, cues[i], language, voice, baseline)
            prediction = Prediction(
                label=labels[winner],
                probabilities=named,
                text="",
                language=language,
                model=self.manifest.name,
                seconds=round(sound.seconds, 3),
                cues=cues[i],
                analysis=known,
                baseline_seconds=round(rested[i], 1),
                distance=_mean_of(distances, [row for row, (s, _) in enumerate(voting) if s == i]),
                speech=speech[i],
            )
            # the text goes on from the window that sounds most like the winning class
            place = best[i][winner]
            answers.append(_Heard(prediction, known, place.scored, place.row, winner))
        return answers

    def _written(self, heard: "_Heard", raw: str, done: bool = True) -> Prediction:
        """The answer with the text that is shown for what the LLM wrote after the class."""
        language = heard.prediction.language
        parts, text = analysis.compose(heard.known, raw, self.manifest.labels, language, done)
        return replace(heard.prediction, text=text, analysis=parts)

    def _compared(
        self,
        voting: Sequence[tuple[int, Window]],
        speakers: Sequence[SpeakerBaseline | None],
    ) -> Generator[Progress, None, list[Features]]:
        """Features of all windows, with their baselines; [] where the model takes none.

        A window of a long sound without a baseline of its own is compared with the others.
        """
        if not self.card.baseline:
            return []
        clips: list[Features] = []
        for batch in _batches([w.seconds for _, w in voting]):
            if batch.start:
                yield Progress(batch.start // 2, len(voting))
            clips += self._features(*_sounds(voting[batch]))
        own = [
            SpeakerBaseline.of(clip.utterance[None], window.seconds)
            for clip, (_, window) in zip(clips, voting, strict=True)
        ]
        for i, given in enumerate(speakers):
            rows = [row for row, (sound, _) in enumerate(voting) if sound == i]
            whole = together(own[row] for row in rows)
            for row in rows:
                others = given or (whole - own[row] if whole else None)
                clips[row] = replace(clips[row], baseline=_mean(others))
        return clips

    def _score(
        self, clips: Sequence[Features], cues: Sequence[Cues], language: Language
    ) -> tuple[Any, np.ndarray]:
        """(`scoring.Scored`, calibrated probabilities [B, C]) of B windows."""
        with self._lock:
            scored = self._scorer.score(clips, cues, language)
            logs = scored.log_likelihoods.float().cpu().numpy()
        return scored, calibration.calibrated(
            logs, self.manifest, [c.baseline is not None for c in clips], self._distances(clips)
        )

    def _distances(self, clips: Sequence[Features]) -> np.ndarray:
        """From the training data, [B]; NaN where the model came without a measure."""
        if self._distance is None:
            return np.full(len(clips), np.nan)
        return self._distance(np.stack([clip.utterance for clip in clips]))

    def _features(
        self,
        pieces: Sequence[np.ndarray],
        tracks: Sequence[Track | None],
        speakers: Sequence[SpeakerBaseline | None] = (),
    ) -> list[Features]:
        """What the projector takes of B pieces of sound.

        `tracks` are `prosody.track` of the pieces, None where it is not known yet.
        """
        needs = self.manifest.projector
        with self._lock:
            encoded = self._encoder.encode(pieces)
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


def _mean_of(values: np.ndarray, rows: Sequence[int]) -> float | None:
    """Of these rows; None where nothing was measured."""
    mean = float(np.mean(values[rows]))
    return round(mean, 3) if np.isfinite(mean) else None


def _mean(speaker: SpeakerBaseline | None) -> np.ndarray | None:
    """Features of a baseline [U]; None of too little speech."""
    return speaker.mean if speaker and speaker.usable else None


def _keep_numpy_to_one_thread() -> None:
    """An answer needs numpy for a few small products. The further threads of its linear algebra
    would wait for the next one by spinning, on the cores where torch computes meanwhile."""
    from threadpoolctl import ThreadpoolController

    for library in ThreadpoolController().lib_controllers:
        # what comes with numpy and scipy; torch's own is left alone
        if library.user_api == "blas" and Path(library.filepath).parent.name in NUMPYS:
            library.set_num_threads(1)


@dataclass(frozen=True, eq=False)
class _Heard:
    prediction: Prediction
    known: Analysis  # before the LLM writes
    scored: Any  # scoring.Scored of the batch that holds the window to go on from
    row: int
    winner: int


@dataclass(eq=False)
class _Place:
    """The window that sounds most like one class: where its scores and its cache are."""

    probability: float
    scored: Any
    row: int


def _keep_best(best: Sequence[dict[int, _Place]], scored: Any, rows: int) -> None:
    """Lets go of the rows of a batch that are nobody's best, and their keys and values."""
    places = [p for found in best for p in found.values() if p.scored is scored]
    kept = sorted({p.row for p in places})
    if len(kept) < rows:
        taken = scored.take(kept) if kept else None
        for place in places:
            place.scored, place.row = taken, kept.index(place.row)


def _batches(seconds: Sequence[float]) -> Iterator[slice]:
    """Neighbours among windows of these lengths that go through the model together."""
    start = 0
    for end in range(1, len(seconds) + 1):
        full = end - start == BATCH_WINDOWS or sum(seconds[start : end + 1]) > BATCH_SECONDS
        if full or end == len(seconds):
            yield slice(start, end)
            start = end


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
