"""The resident engine: sound -> `Prediction`. Every answer to a person comes from here."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import audio
from audiollm.analysis import answers, course
from audiollm.analysis.references import Basis
from audiollm.audio import prosody, windows
from audiollm.audio.prosody import Track
from audiollm.audio.sound import Sound
from audiollm.audio.timeline import Timeline
from audiollm.audio.windows import Progress
from audiollm.contracts.manifest import Manifest
from audiollm.errors import AudioError, AudioLLMError, ModelError
from audiollm.hub.clients import Report
from audiollm.inference import files
from audiollm.inference.attribution import explain
from audiollm.inference.classifier import Classifier, ScoredSound
from audiollm.inference.prediction import Card, Prediction
from audiollm.inference.texts import Texts
from audiollm.inference.votes import batches
from audiollm.inference.writing import Writer
from audiollm.labels import Language
from audiollm.model.distance import FeatureDistance
from audiollm.model.loading import Step
from audiollm.model.probe import LinearProbe
from audiollm.model.speaker import SpeakerBaseline, together
from audiollm.settings import Settings

__all__ = ["Card", "Prediction", "Predictor"]


COURSE = 6.0  # s from which on a sound may have parts
MAX_TEXTS, MAX_TEXT = 20, 80  # shown of a manifest, which may come from anywhere


def _texts(value: Any) -> tuple[str, ...]:
    """Short texts of a manifest's list; () where there is none."""
    listed = value if isinstance(value, list) else []
    return tuple(str(text)[:MAX_TEXT] for text in listed[:MAX_TEXTS])


class Predictor:
    """A loaded model, safe to share between threads. One batch of windows is computed at a time and
    beside it one batch of texts is generated, so that probabilities wait neither for the end of a
    long sound nor for a text of another thread. Threads that wait make up the next batch."""

    def __init__(self, loaded: Any, encoder: Any, settings: Settings) -> None:
        from audiollm.model import precision
        from audiollm.model.prompt import Prompt

        self.manifest: Manifest = loaded.manifest
        self.settings = settings
        self._encoder = encoder
        self._probe: LinearProbe | None = loaded.probe
        self._distance: FeatureDistance | None = loaded.distance
        prompt = Prompt.of(loaded.tokenizer, self.manifest)
        self._scorer, self._texts = _engine(loaded.model, prompt, settings)
        self._writer = Writer(self.manifest, self._scorer, self._texts)
        self._classifier = Classifier(self.manifest, encoder, self._scorer, loaded.distance)
        networks = [encoder.network, loaded.model]
        self.card = Card(
            name=self.manifest.name,
            folder=str(loaded.folder),
            device="vLLM" if settings.engine else str(loaded.model.device),
            parameters=sum(p.numel() for n in networks for p in n.parameters()),
            labels=self.manifest.labels,
            languages=self.manifest.languages,
            metrics=self.manifest.metrics,
            data_languages=_texts(self.manifest.training.get("data_languages")),
            terms=str(self.manifest.training.get("terms", ""))[:MAX_TEXT],
            baseline=self.manifest.projector.baseline,
            probe=loaded.probe.classes if loaded.probe else (),
            questions=self.manifest.questions,
            precision=precision.describe(loaded.model.causal_lm),
        )

    @classmethod
    def load(
        cls,
        model: str,
        settings: Settings,
        begin: Callable[[Step], object] = lambda _: None,
        fetch: Report | None = None,
    ) -> "Predictor":
        """Loads a model and the encoder that it refers to, and scores one second of noise.

        `begin` is called with every step, of `loading.STEPS`, when it starts; `fetch` during a
        download, as `hub.locate` does.

        Raises:
            ModelError: a part is missing, or the encoder is not the one the model was trained with.
        """
        import transformers.models.auto.modeling_auto  # noqa: F401 - takes long: not the LLM's step

        from audiollm import encoder
        from audiollm.model import checkpoint, precision
        from audiollm.model.packed import pack

        device = checkpoint.pick_device(settings.device)
        begin("llm")
        with_table = bool(settings.engine)
        loaded = checkpoint.load(model, settings, device, table_alone=with_table, report=fetch)
        ref = loaded.manifest.encoder
        begin("encoder")
        options: dict[str, Any] = {"layers": ref.layers, "statistics": ref.statistics}
        options["report"] = fetch
        if not settings.engine:
            options["precision"] = precision.computed(loaded.model.causal_lm)
        audio_tower = encoder.load(ref.id, settings, device, **options)
        name = loaded.manifest.name
        if ref.fingerprint and audio_tower.fingerprint != ref.fingerprint:
            prints = {"expected": ref.fingerprint[:12], "found": audio_tower.fingerprint[:12]}
            raise ModelError("model_encoder_version", name=name, id=ref.id, **prints)
        if (width := audio_tower.width) != ref.width:
            raise ModelError("model_encoder_width", name=name, expected=ref.width, width=width)
        needs = loaded.manifest.projector
        width = ref.width if needs.pooling == "frames" else ref.utterance_width
        if (expected_width := needs.input_size) != width:
            raise ModelError(
                "model_projector_width", name=name, expected=expected_width, id=ref.id, width=width
            )
        predictor = cls(loaded, audio_tower, settings)
        begin("trial")
        if not settings.engine:
            pack(loaded.model.causal_lm, loaded.folder)
        _keep_numpy_to_one_thread()
        noise = 0.01 * np.random.default_rng(0).standard_normal(audio.SAMPLE_RATE)
        sound = audio.from_array(noise.astype(np.float32), audio.SAMPLE_RATE)
        for language in loaded.manifest.languages:  # fills the instruction caches
            predictor.predict([sound], language)
        return predictor

    def __call__(self, sound: files.AudioInput, language: Language = "en") -> Prediction:
        """The answer to one recording.

        Args:
            sound: a file; or samples [N] or [N, channels] and their rate in Hz, as a pair or as
                {"array": ..., "sampling_rate": ...}.

        Raises:
            AudioError: it cannot be used, or holds no speech.
        """
        return self.predict([files.load_speech(sound, self.settings)], language)[0]

    def predict(
        self,
        sounds: Sequence[Sound],
        language: Language = "en",
        baseline: Basis | None = None,
        speakers: Sequence[SpeakerBaseline | None] = (),
        progress: Callable[[Progress], object] = lambda _: None,
    ) -> list[Prediction]:
        """Answers to a batch of sounds that `audio.require_speech` let pass.

        Args:
            baseline: what is usual for the one person who speaks in all of them, of
                `baseline.by_speaker`; without it the evidence is relative to voices of the
                register.
            speakers: for each sound its speaker's other speech, or None: sums of the `speech` of
                predictions. It counts from `speaker.FEWEST` windows on, where the model takes a
                baseline, unless all of it expresses one emotion; a long sound without one is
                compared with itself.
            progress: called after every batch of windows; what it raises ends the work.
        """
        tracks = [prosody.track(sound.samples) for sound in sounds]
        plain = self._classifier.score_sounds(
            sounds, language, baseline, tracks, speakers, progress
        )
        scored = [
            explain(self._classifier, *each) for each in zip(plain, sounds, tracks, strict=True)
        ]
        scored = [self._with_course(*each) for each in zip(scored, sounds, strict=True)]
        return self._writer.write(scored, sounds)

    def classify(
        self,
        sounds: Sequence[Sound],
        language: Language = "en",
        progress: Callable[[Progress], object] = lambda _: None,
    ) -> list[Prediction]:
        """Answers to a batch of sounds without a text, as soon as the probabilities are there."""
        scored = self._classifier.score_sounds(sounds, language, progress=progress)
        return [answer.prediction for answer in scored]

    def speech(self, sound: Sound, language: Language = "en") -> SpeakerBaseline | None:
        """A recording as a baseline for others of the same speaker: such as a text read aloud, in
        pieces of about `windows.READ` seconds. None where nobody speaks."""
        pieces = windows.pieces(sound)
        answers = self.classify(pieces, language) if pieces else []
        return together(answer.speech for answer in answers if answer.speech)

    def stream(
        self,
        sound: Sound,
        language: Language = "en",
        report: Callable[[Prediction | Progress], object] = lambda _: None,
        baseline: Basis | None = None,
        followed: Track | None = None,
        speaker: SpeakerBaseline | None = None,
    ) -> Prediction:
        """The answer to one sound; `report` gets what is there before it is complete.

        That is the progress of a sound so long that it takes several batches, the probabilities
        with an empty text, then the text as it grows: each text begins with the one before. What
        the answer rests on is measured after the probabilities are reported.

        Args:
            report: must not block: while the text is written it is called in the thread that
                generates the texts of all. What it raises ends the work.
            followed: `prosody.track(sound.samples)` where the caller has it already.
        """
        followed = followed or prosody.track(sound.samples)
        (scored,) = self._classifier.score_sounds(
            [sound], language, baseline, [followed], [speaker], report
        )
        report(scored.prediction)
        scored = explain(self._classifier, scored, sound, followed)
        scored = self._with_course(scored, sound, speaker)
        return self._writer.stream(scored, sound, report)

    def timeline(
        self,
        sound: Sound,
        language: Language = "en",
        report: Callable[[Timeline], object] = lambda _: None,
        speaker: SpeakerBaseline | None = None,
    ) -> Timeline | None:
        """The course of a sound; `report` gets it after every batch of windows as it is filled in.

        Windows in which nobody speaks, by `sound.speech`, stay NaN.

        Args:
            report: raises to end the work.
            speaker: the speaker's speech, such as the `speech` of the answer to a long sound.

        Returns:
            None for a sound of one window.
        """
        spans = windows.course(len(sound.samples) / audio.SAMPLE_RATE)
        if len(spans) == 1:
            return None
        labels = self.manifest.labels
        table = np.full((len(spans), len(labels)), np.nan)
        spoken = [i for i, span in enumerate(spans) if windows.has_speech(sound, *span)]
        line = None
        for batch in batches([spans[i][1] - spans[i][0] for i in spoken]):
            part = spoken[batch]
            edges = [[round(t * audio.SAMPLE_RATE) for t in spans[i]] for i in part]
            pieces = [sound.samples[a:b] for a, b in edges]
            tracks = [prosody.track(piece) for piece in pieces]
            cues = [prosody.summarise(p, t) for p, t in zip(pieces, tracks, strict=True)]
            clips = self._classifier.features(pieces, tracks, [speaker] * len(pieces))
            table[part] = self._classifier.score(clips, cues, language)
            done = part[-1] + 1 if part[-1] != spoken[-1] else len(spans)
            line = Timeline(labels, tuple(spans), table.copy(), done)
            report(line)
        return line

    def probe(self, sound: Sound, followed: Track) -> dict[str, float]:
        """Class probabilities of the linear probe, projector and LLM left out; they sum to 1.

        A long sound is encoded in the windows that vote on the LLM's answer, too.

        Raises:
            ModelError: the model came without a probe.
        """
        if self._probe is None:
            raise ModelError("model_no_probe", name=self.manifest.name)
        total = np.zeros(len(self._probe.classes))
        voting = windows.voting(sound, followed)
        for batch in batches([w.seconds for w in voting]):
            part = voting[batch]
            encoded = self._classifier.encoded([w.samples for w in part])
            table = self._probe.probabilities(np.stack([e.utterance for e in encoded]))
            total += np.array([w.weight for w in part]) @ table
        shares = (float(p) for p in total / total.sum())
        return dict(zip(self._probe.classes, shares, strict=True))

    def apart(self, speech: SpeakerBaseline, baseline: SpeakerBaseline) -> float | None:
        """Distance of a sound from a speaker's baseline: above `distance.OTHER_VOICE` somebody else
        probably speaks. None where the model came without a measure."""
        if self._distance is None:
            return None
        return self._distance.between(speech.mean, baseline.mean)

    def ask(
        self,
        sound: Sound,
        followed: Track,
        question: str,
        language: Language = "en",
        report: Callable[[str], object] = lambda _: None,
    ) -> str:
        """The LLM's answer to a free question about a short sound; `report` gets it as it grows
        and must not block. The prompt holds probabilities and cues, and a sentence that contradicts
        them is left out.

        Raises:
            ModelError: its LLM was not made to follow instructions.
            AudioError: the sound is longer than a window; the question is empty or too long.
        """
        from audiollm.model import generation

        if not self.manifest.questions:
            raise ModelError("model_no_questions", name=self.manifest.name)
        if sound.seconds > windows.LONGEST:
            raise AudioError("question_long_sound", seconds=f"{windows.LONGEST:g}")
        question = generation.checked(question)  # before anything is computed
        cues = prosody.summarise(sound.samples, followed)
        clips = self._classifier.features([sound.samples], [followed])
        (shares,) = self._classifier.score(clips, [cues], language)
        probabilities = dict(zip(self.manifest.labels, map(float, shares), strict=True))
        prefill = partial(
            self._scorer.question_context, clips[0], cues, question, language, probabilities
        )
        context = self._texts.context(prefill)
        raw = ""

        def write(piece: str) -> None:
            nonlocal raw
            raw += piece  # reported also where nothing is to be shown yet: the reader may have left
            report(answers.checked(raw, probabilities, cues, language, done=False))

        return answers.checked(self._texts.stream(context, write), probabilities, cues, language)

    def predict_files(
        self,
        paths: Sequence[Path],
        language: Language = "en",
        batch: int = 8,
        same_speaker: bool = False,
        load: Callable[[Path], Sound] | None = None,
        progress: Callable[[Progress], object] = lambda _: None,
    ) -> Iterator[tuple[Path, Prediction | AudioLLMError]]:
        """Answers in the order of the paths; a file that cannot be used yields its error.

        `load` opens a file and refuses one without speech; `progress` is called after every batch
        of windows, and what it raises ends the work.

        `same_speaker`: one person speaks in all of them, so each is compared with what is usual in
        the others: the evidence and, where the model takes a baseline, the features. The files are
        then read twice.
        """
        load = load or partial(files.load_speech, settings=self.settings)
        return files.answers(self, paths, language, batch, same_speaker, load, progress)

    def _with_course(
        self, answer: ScoredSound, sound: Sound, speaker: SpeakerBaseline | None = None
    ) -> ScoredSound:
        """The answer with its course in words. That of a longer sound is the course of its voting
        windows: to score all others would take too long."""
        if not COURSE <= sound.seconds <= windows.LONGEST:
            return answer
        compared = answer.prediction.baseline_seconds > 0
        line = self.timeline(
            sound, answer.prediction.language, speaker=speaker if compared else None
        )
        if line is None:
            return answer
        parts = course.parts(line.spans, line.probabilities, line.labels)
        analysis = replace(answer.analysis, course=parts)
        prediction = replace(answer.prediction, analysis=analysis, timeline=line)
        return replace(answer, analysis=analysis, prediction=prediction)


def _engine(model: Any, prompt: Any, settings: Settings) -> tuple[Any, Any]:
    """(scorer, texts): of this process, or of the server that the settings name."""
    if settings.engine:
        from audiollm.model.remote import RemoteScorer, RemoteTexts
        from audiollm.model.vllm import Server

        server = Server(settings.engine, settings.engine_key, model.causal_lm.dtype)
        remote = RemoteScorer(model, prompt, server)
        return remote, RemoteTexts(remote)
    from audiollm.model.scoring import Scorer

    scorer = Scorer(model, prompt)
    return scorer, Texts(scorer)


def _keep_numpy_to_one_thread() -> None:
    """An answer needs numpy for a few small products. Further threads of its linear algebra would
    spin while they wait for the next one, on the cores where torch computes meanwhile."""
    from threadpoolctl import ThreadpoolController

    for library in ThreadpoolController().lib_controllers:
        # those in the wheels of numpy and scipy; torch's own is left alone
        folder = Path(library.filepath).parent.name
        if library.user_api == "blas" and folder in ("numpy.libs", "scipy.libs"):
            library.set_num_threads(1)
