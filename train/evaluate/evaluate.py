"""`python -m train evaluate`: a model measured on speakers that it was not trained on."""

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from audiollm import metrics
from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.contracts.messages import Message
from audiollm.contracts.options import from_dict, to_json
from audiollm.contracts.prepared import read_rejected, write_json, write_text
from audiollm.contracts.result import (
    REPORT,
    RESULT,
    DataInfo,
    EvaluationResult,
    ModelInfo,
    RunInfo,
    interval,
)
from audiollm.errors import ConfigError, DataError
from audiollm.model import calibration
from audiollm.settings import Settings
from train.data import seen_speakers
from train.data.dataset import Clip, Prepared, load_prepared
from train.data.speakers import COUNTS, Count, with_baselines
from train.evaluate import report
from train.fit import probe, runs


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", required=True, metavar="ID", help="preset or model folder")
    add("--data", required=True, metavar="DIR", help="folder made by `prepare`")
    add("--split", choices=("train", "valid", "test"), default="test")
    add(
        "--shared-classes",
        action="store_true",
        help="score only the classes that both know",
    )
    add("--record", action="store_true", help="write the headline figures into the model's folder")
    add(
        "--texts",
        type=int,
        default=0,
        metavar="N",
        help="also check the written analyses of at most N clips (0: none)",
    )
    add("--batch-size", type=int, default=32)
    add("--probe-strength", type=float, metavar="C", help=probe.STRENGTH_HELP)
    add("--out", metavar="DIR", help="where results go (runs/evaluate-<model>-<data>-<split>)")


def run(args: argparse.Namespace) -> int:
    from audiollm.model import checkpoint

    if args.record and (args.split != "test" or args.shared_classes):
        raise ConfigError("evaluate_record")
    if args.texts < 0:
        raise ConfigError("evaluate_texts", n=args.texts)
    settings = Settings.from_env()
    device = checkpoint.pick_device(settings.device)
    loaded = checkpoint.load(args.model, settings, device)
    prepared = load_prepared(Path(args.data))
    result = evaluate(
        loaded,
        prepared,
        args.split,
        args.shared_classes,
        args.batch_size,
        settings,
        args.probe_strength,
    )
    if args.texts:
        result["texts"] = _texts(args.model, settings, prepared, args.split, args.texts)
    name = f"evaluate-{loaded.manifest.name}-{prepared.folder.resolve().name}-{args.split}"
    out = Path(args.out or f"runs/{name}")
    write_json(out / RESULT, result)
    report.write_html(result, out / REPORT)
    if args.record:
        record(loaded, prepared, settings, result)
    print(summary(result))
    print(f"{out / REPORT}")
    return 0


def evaluate(
    loaded: Any,
    prepared: Prepared,
    split: str,
    shared: bool,
    batch_size: int,
    settings: Settings,
    strength: float | None = None,
) -> EvaluationResult:
    """Scores a split with a loaded model and measures it beside the linear probe.

    A model that takes a speaker baseline is also measured with 3, 8 and all other clips of each
    speaker as baseline, drawn from the split without regard to their labels.

    Raises:
        DataError: the data does not fit the model, or has classes that the model does not know.
    """
    from audiollm.model import precision

    began = time.time()
    manifest = loaded.manifest
    check_encoder(loaded, prepared)
    clips, classes, notes = _choose(prepared, split, manifest.labels, shared)
    counts = COUNTS if manifest.projector.baseline else COUNTS[:1]
    scored = Tables(loaded, prepared, clips, classes, batch_size)
    tables = {str(count): scored(count, split) for count in counts}
    table = tables.pop("0")
    answers = [classes[i] for i in table.argmax(1)]
    truth, speakers = [c.label for c in clips], [c.speaker for c in clips]

    def measure(table: np.ndarray) -> dict[str, Any]:
        return metrics.of_table(truth, table, classes, speakers).to_dict()

    notes += [*_voice_notes(loaded, clips, settings), *_unused(prepared)]
    return {
        "model": model_info(manifest.name, loaded.folder),
        "data": data_info(prepared, split, speakers),
        "run": run_info(loaded.model.device, precision.describe(loaded.model.causal_lm), began),
        "metrics": measure(table),
        "baselines": {count: measure(other) for count, other in tables.items()},
        "probes": _probes(prepared, split, clips, classes, notes, strength),
        "clips": [
            {
                "id": clip.id,
                "path": clip.path,
                "label": clip.label,
                "predicted": answer,
                "probabilities": _by_class(classes, row),
                "baselines": {count: _by_class(classes, t[i]) for count, t in tables.items()},
                "distance": None if scored.distances is None else round(scored.distances[i], 4),
                "speaker": clip.speaker,
                "seconds": clip.seconds,
            }
            for i, (clip, answer, row) in enumerate(zip(clips, answers, table, strict=True))
        ],
        "notes": [note.to_dict() for note in notes],
    }


def model_info(name: str, folder: Path) -> ModelInfo:
    from audiollm.model import checkpoint

    return {"name": name, "folder": str(folder), "hash": checkpoint.fingerprint(folder)}


def data_info(prepared: Prepared, split: str, speakers: Iterable[str]) -> DataInfo:
    return {
        "folder": str(prepared.folder),
        "corpus": str(prepared.info["corpus"]),
        "split": split,
        "speakers": sorted(set(speakers)),
    }


def run_info(device: object, computed: str, began: float) -> RunInfo:
    """The command and what it ran on.

    Args:
        computed: by `precision.describe`.
        began: `time.time()` of the start.
    """
    about = {"device": str(device), "precision": computed}
    return cast(RunInfo, runs.provenance(**about, seconds=round(time.time() - began, 1)))


class Tables:
    """Class probabilities of clips by a loaded model, with speaker baselines or without."""

    def __init__(
        self,
        loaded: Any,
        prepared: Prepared,
        clips: Sequence[Clip],
        classes: Sequence[str],
        batch_size: int,
    ) -> None:
        """classes: the answers that are possible, some of the model's."""
        from audiollm.model.prompt import Prompt

        manifest = loaded.manifest
        self.loaded, self.prepared, self.clips = loaded, prepared, clips
        self.classes, self.batch_size = tuple(classes), batch_size
        self.prompt = Prompt.of(loaded.tokenizer, manifest)
        self.distances: list[float] | None = None
        if loaded.distance is not None:
            rows = np.stack([prepared.store.get(clip.id).utterance for clip in clips])
            self.distances = loaded.distance(rows).tolist()

    def __call__(self, count: Count, what: str) -> np.ndarray:
        """Probabilities [N, C] with baselines of so many other clips of the same speaker."""
        from train.fit.trainer import score_clips

        pairs = with_baselines(self.prepared.store, self.clips, count)
        what = f"{what}, baseline {count}"
        scores = score_clips(self.loaded.model, self.prompt, pairs, self.batch_size, what)
        # before they become probabilities: those of the scored classes could all be 0
        columns = [self.loaded.manifest.labels.index(c) for c in self.classes]
        return calibration.calibrated(
            scores.numpy()[:, columns],
            replace(self.loaded.manifest, labels=self.classes),
            [features.baseline is not None for _, features in pairs],
            None if self.distances is None else np.array(self.distances),
        )


def _by_class(classes: Sequence[str], row: np.ndarray) -> dict[str, float]:
    return {c: round(float(p), 6) for c, p in zip(classes, row, strict=True)}


def _texts(
    model: str, settings: Settings, prepared: Prepared, split: str, count: int
) -> dict[str, Any]:
    """How the written analyses read, of clips whose class the model knows."""
    from audiollm.predictor import Predictor
    from train.evaluate import texts

    predictor = Predictor.load(model, settings)
    usable = [c for c in prepared.split(split) if c.label in predictor.manifest.labels]
    return texts.measure(predictor, prepared, usable, count)


def _choose(
    prepared: Prepared, split: str, trained: tuple[str, ...], shared: bool
) -> tuple[list[Clip], tuple[str, ...], list[Message]]:
    """The clips to score, the classes that are possible answers, and notes for the reader."""
    clips = list(prepared.split(split))
    if not clips:
        raise DataError("evaluate_no_clips", folder=prepared.folder, split=split)
    unknown = Counter(c.label for c in clips if c.label not in trained)
    if not unknown and not shared:
        # a class that the data cannot hold may still be answered: it is then wrong
        return clips, trained, []
    if not shared:
        raise DataError("evaluate_unknown_classes", labels=list(unknown), n=unknown.total())
    usable = [c for c in clips if c.label in trained]
    present = {c.label for c in usable}
    classes = tuple(c for c in trained if c in present)
    if len(classes) < 2:
        raise DataError("evaluate_few_shared", name=prepared.folder, other="the model")
    notes = [Message.of("note_shared_classes", n=len(classes))]
    notes += [Message.of("note_without_clips", n=n, label=name) for name, n in unknown.items()]
    absent = [name for name in trained if name not in present]
    return usable, classes, notes + [Message.of("note_without_answer", label=n) for n in absent]


def _unused(prepared: Prepared) -> list[Message]:
    """A note on recordings that `prepare` could not use; copies and choices are not missed."""
    reasons = [one.reason for one in read_rejected(prepared.folder)]
    unusable = [r for r in reasons if not r.startswith(("identical audio", "class left out"))]
    return [Message.of("note_not_usable", n=len(unusable))] if unusable else []


def _probes(
    prepared: Prepared,
    split: str,
    clips: list[Clip],
    classes: tuple[str, ...],
    notes: list[Message],
    strength: float | None,
) -> dict[str, dict[str, Any]]:
    """Linear probes on the same clips and classes as the model."""
    try:
        probes = probe.probe_prepared(
            prepared, split, clips=clips, classes=classes, strength=strength
        )
    except DataError as error:
        notes.append(Message.of("note_no_probe", error=error))
        return {}
    return {name: m.to_dict() for name, m in probes.items()}


def check_encoder(loaded: Any, prepared: Prepared) -> None:
    """
    Raises:
        DataError: the features are of another encoder than the model's, of other layers or other
            statistics.
    """
    expected, actual = loaded.manifest.encoder, prepared.encoder
    if (expected.width, expected.utterance_width) != (actual.width, actual.utterance_width) or (
        expected.fingerprint and actual.fingerprint and expected.fingerprint != actual.fingerprint
    ):
        options = {"options": expected.options, "found": actual.options}
        name, folder = loaded.manifest.name, prepared.folder
        raise DataError("evaluate_encoder", name=name, folder=folder, **options)


def _voice_notes(loaded: Any, clips: list[Clip], settings: Settings) -> list[Message]:
    """Warnings about speakers that the model or its encoder was trained on."""
    manifest, notes = loaded.manifest, []
    if not all(c.speaker for c in clips):
        notes.append(Message.of("note_test_speakers_unknown"))
    if not seen_speakers.voices_recorded(manifest.training):
        notes.append(Message.of("note_voices_unknown", name=manifest.name))
    return notes + seen_speakers.known_voices(manifest, (c.speaker for c in clips), settings)


def record(
    loaded: Any,
    prepared: Prepared,
    settings: Settings,
    result: EvaluationResult,
) -> None:
    """Puts the headline figures into the model's manifest, for the page that shows the model."""
    clips = list(prepared.split("test"))
    how = prepared.info.get("split", {})
    shared = how.get("by") == "random" or bool(how.get("shared_speakers"))
    probes = {name: {k: p[k] for k in ("ua", "wa")} for name, p in result["probes"].items()}
    headline = {
        **from_dict(metrics.Metrics, result["metrics"]).short(),
        "data": str(prepared.info["corpus"]),
        "split": result["data"]["split"],
        "languages": loaded.manifest.languages,
        "independent": not shared and not _voice_notes(loaded, clips, settings),
        "baselines": {
            name: {k: b[k] for k in ("ua", "wa")} for name, b in result["baselines"].items()
        },
        "probes": probes,
        "notes": [note["text"] for note in result["notes"]],
        "date": result["run"]["date"],
        "command": result["run"]["command"],
    }
    manifest = replace(loaded.manifest, metrics=headline)
    write_text(loaded.folder / MANIFEST_NAME, to_json(manifest))


def summary(result: EvaluationResult) -> str:
    """The headline for a terminal: model, probes, and what limits both."""

    def line(name: str, m: dict[str, Any]) -> str:
        return f"{name:<24}{interval(m['ua']):<24}{interval(m['wa']):<24}{interval(m['ece'])}"

    m = result["metrics"]
    lines = [
        f"{m['n']} clips, {m['speakers']} speakers, {m['failures']} failures",
        f"{'':<24}{'UA (95 % interval)':<24}{'WA':<24}ECE",
        line(result["model"]["name"], m),
        *(line(f"baseline of {name} clips", b) for name, b in result["baselines"].items()),
        *(line(f"linear probe, {name}", p) for name, p in result["probes"].items()),
    ]
    recalls = ", ".join(f"{c['name']} {c['recall']:.2f}" for c in m["per_class"] if c["support"])
    lines += [f"recall: {recalls}", *_texts_summary(result.get("texts"))]
    return "\n".join([*lines, *(f"Note: {note['text']}" for note in result["notes"])])


def _texts_summary(texts: dict[str, Any] | None) -> list[str]:
    """A line for each language."""
    if not texts:
        return []
    lines = [
        f"texts of {texts['clips']} clips (95 % interval)",
        f"{'':<6}{'written agree':<24}{'shown agree':<24}{'of the LLM':<24}class named once",
    ]
    for language, of in texts["languages"].items():
        keys = ("written", "shown", "of_llm", "named_once")
        lines.append(f"{language:<6}{''.join(f'{interval(of[key]):<24}' for key in keys)}")
        lines.append(
            f"{'':<6}{of['distinct']:.0f} distinct sentences in 100 texts, mean length "
            f"{of['size']:.1f}, opening repeated {interval(of['repeated'])}"
        )
    return lines
