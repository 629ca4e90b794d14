"""`python -m train robustness`: a model under noise, in a room and on a telephone.

Shapes: N samples of a sound, or clips; C classes; U resampled units (speakers or clips).
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from audiollm import audio, metrics
from audiollm.audio import prosody
from audiollm.contracts.messages import Message
from audiollm.contracts.prepared import write_json
from audiollm.contracts.result import RESULT, DataInfo, ModelInfo, RunInfo, interval
from audiollm.errors import AudioError, DataError, NoSpeechError
from audiollm.settings import Settings
from train.corpora import Clip
from train.corpora.reopen import opener
from train.data import prepare, seen_speakers
from train.data.conditions import CONDITIONS, Samples, degrade
from train.data.dataset import Prepared, load_prepared
from train.evaluate.evaluate import data_info, model_info, run_info
from train.evaluate.paired import Draws, draws

if TYPE_CHECKING:
    from audiollm.predictor import Predictor


class Answer(TypedDict):
    """The answer to one clip under one condition."""

    predicted: str | None  # None: no answer, `error` says why; it counts as wrong
    probabilities: dict[str, float] | None
    error: str | None


class Result(TypedDict):
    """What the command writes as result.json."""

    model: ModelInfo
    data: DataInfo
    run: RunInfo
    conditions: dict[str, dict[str, Any]]  # name -> Metrics.to_dict()
    change: dict[str, dict[str, Any]]  # name -> Interval of UA minus UA of clean, as a dict
    probe: dict[str, dict[str, Any]]  # of the linear probe: name -> {ua, change}; {} without one
    # id, path, label, speaker, seconds, answers: condition -> Answer, with the probe's class
    clips: list[dict[str, Any]]
    lost: list[dict[str, str]]  # path and reason: clips without sound, in none of the figures
    notes: list[dict[str, Any]]  # `Message.to_dict()`: what a reader must know


def answer(predictor: "Predictor", samples: Samples) -> Answer:
    """What the Analyse page would answer to these samples. [N] -> probabilities of C classes."""
    try:
        sound = audio.from_array(samples, audio.SAMPLE_RATE, predictor.settings)
        audio.require_speech(sound)
    except NoSpeechError as error:
        return {"predicted": None, "probabilities": None, "error": str(error)}
    (first,) = predictor.classify([sound], predictor.manifest.languages[0])
    return {"predicted": first.label, "probabilities": first.probabilities, "error": None}


def probed(predictor: "Predictor", samples: Samples) -> str | None:
    """The class that the linear probe gives these samples [N], which hold speech; None without a
    probe."""
    if not predictor.card.probe:
        return None
    sound = audio.from_array(samples, audio.SAMPLE_RATE, predictor.settings)
    shares = predictor.probe(sound, prosody.track(sound.samples))
    return max(shares, key=shares.__getitem__)


def measure(
    predictor: "Predictor", prepared: Prepared, split: str, most: int | None = None
) -> Result:
    """Every condition on the clips of a split, at most `most` of them.

    Raises:
        DataError: no clip, no class that the model knows, or not one sound that can be opened.
    """
    from tqdm import tqdm

    began, classes = time.time(), predictor.manifest.labels
    open_clip = opener(prepared.info)
    clips, notes = _choose(prepared, split, classes, most)
    rows: list[dict[str, Any]] = []
    lost: list[dict[str, str]] = []
    with tqdm(total=len(clips) * len(CONDITIONS), unit="sound", desc="Scoring") as bar:
        for clip in clips:
            try:
                sound = audio.load(open_clip(clip), predictor.settings)
                if audio.content_hash(sound) != clip.id:
                    raise DataError("evaluate_changed", file=Path(clip.path).name)
            except (AudioError, DataError) as error:
                lost.append({"path": clip.path, "reason": str(error)})
                bar.update(len(CONDITIONS))
                continue
            fields = {k: getattr(clip, k) for k in ("id", "path", "label", "speaker", "seconds")}
            rows.append({**fields, "answers": {}})
            for name in CONDITIONS:
                samples = degrade(sound.samples, name, clip.id)
                scored = answer(predictor, samples)
                other = probed(predictor, samples) if scored["predicted"] else None
                rows[-1]["answers"][name] = {**scored, "probe": other}
                bar.update()
    if not rows:
        raise DataError("evaluate_no_audio", n=len(lost), error=lost[0]["reason"])
    if lost:
        notes.insert(0, Message.of("note_no_audio", n=len(lost), all=len(clips)))
    tables = {name: _metrics(rows, name, classes) for name in CONDITIONS}
    speakers = {row["speaker"] for row in rows}
    notes += _voice_notes(predictor, speakers)
    device = predictor.card.device
    return {
        "model": model_info(predictor.card.name, Path(predictor.card.folder)),
        "data": data_info(prepared, split, speakers),
        "run": run_info(device, predictor.card.precision, began),
        "conditions": {name: m.to_dict() for name, m in tables.items()},
        "change": {name: asdict(change) for name, change in changes(rows).items()},
        "probe": _probe(rows) if predictor.card.probe else {},
        "clips": rows,
        "lost": lost,
        "notes": [note.to_dict() for note in notes],
    }


def changes(rows: Sequence[dict[str, Any]]) -> dict[str, metrics.Interval]:
    """Condition -> UA under it minus UA of the clean sound, on the same clips.

    Both come from the same draws of speakers (or clips), so what is hard about a voice in either
    drops out: the interval is narrower than the two of UA suggest.
    """
    of = _draws(rows, "predicted")
    return {n: of.interval(of.ua[n] - of.ua["clean"]) for n in of.ua if n != "clean"}


def _probe(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    of = _draws(rows, "probe")
    return {
        name: {
            "ua": asdict(of.interval(ua)),
            "change": asdict(of.interval(ua - of.ua["clean"])) if name != "clean" else None,
        }
        for name, ua in of.ua.items()
    }


def _draws(rows: Sequence[dict[str, Any]], key: str) -> Draws:
    """UA under every condition, of the classes that the answers have under `key`."""
    names = list(rows[0]["answers"])
    answers = {name: [r["answers"][name][key] or "" for r in rows] for name in names}
    truth, speakers, ids = ([row[field] for row in rows] for field in ("label", "speaker", "id"))
    return draws(truth, answers, speakers, ids)


def _metrics(
    rows: Sequence[dict[str, Any]], condition: str, classes: tuple[str, ...]
) -> metrics.Metrics:
    answers = [row["answers"][condition] for row in rows]
    table = np.full((len(rows), len(classes)), np.nan)  # [N, C]
    for i, answer in enumerate(answers):
        if answer["probabilities"]:
            table[i] = [answer["probabilities"][name] for name in classes]
    truth, speakers = [row["label"] for row in rows], [row["speaker"] for row in rows]
    return metrics.report(truth, [a["predicted"] for a in answers], table, classes, speakers)


def _choose(
    prepared: Prepared, split: str, classes: Sequence[str], most: int | None
) -> tuple[list[Clip], list[Message]]:
    """The clips to score, and what a reader must know of the choice."""
    candidates = prepared.split(split)
    clips = [clip for clip in candidates if clip.label in classes]
    unknown = Counter(clip.label for clip in candidates if clip.label not in classes)
    notes = [Message.of("note_without_clips", n=n, label=name) for name, n in unknown.items()]
    if most is not None and most < 1:
        raise DataError("evaluate_max_clips", n=most)
    if not clips:
        raise DataError("evaluate_no_known_clips", folder=prepared.folder, split=split)
    if most is not None and most < len(clips):
        notes.append(Message.of("note_some_clips", n=most, all=len(clips)))
        clips = list(prepare.sample(clips, most, seed=0))
    return clips, notes


def _voice_notes(predictor: "Predictor", speakers: set[str]) -> list[Message]:
    """Warnings about voices that the model, or its encoder, was or may have been trained on."""
    notes = seen_speakers.known_voices(predictor.manifest, speakers, predictor.settings)
    if "" in speakers or not seen_speakers.voices_recorded(predictor.manifest.training):
        notes.append(Message.of("note_voices_may_be_known"))
    return notes


# ------------------------------------------------------------------ command


def table(result: Result) -> str:
    """The result as a person reads it in a terminal."""

    def cell(i: dict[str, Any] | None, sign: str = "") -> str:
        star = " *" if i and sign and not i["low"] <= 0 <= i["high"] else ""
        return interval(i, sign, digits=2) + star

    first = result["conditions"]["clean"]
    present = [c["name"] for c in first["per_class"] if c["support"]]
    lines = [["", "UA (95 % interval)", "change of UA", "WA", "ECE", "no answer", "linear probe"]]
    recalls = [["recall", *present]]
    for name, m in result["conditions"].items():
        moved = cell(result["change"].get(name), "+")
        figures = [cell(m["ua"]), moved, cell(m["wa"]), cell(m["ece"]), str(m["failures"])]
        probe = result["probe"].get(name)
        figures.append(cell(probe["ua"]) if probe else "-")
        lines.append([name, *figures])
        by_class = {c["name"]: c["recall"] for c in m["per_class"]}
        recalls.append([name, *(f"{by_class[label]:.2f}" for label in present)])
    lost = [f"Lost: {gone['path']}: {gone['reason']}" for gone in result["lost"]]
    return "\n".join(
        [
            f"{result['model']['name']} on {result['data']['corpus']}, {result['data']['split']}: "
            f"{first['n']} clips, {first['speakers'] or '?'} speakers; chance is "
            f"{1 / len(first['classes']):.2f}; intervals resample {first['ua']['unit']}",
            "",
            *_columns(lines),
            "* differs from clean: the interval of the change does not hold 0",
            "",
            *_columns(recalls),
            *([""] if result["notes"] else []),
            *(f"Note: {note['text']}" for note in result["notes"]),
            *lost,
        ]
    )


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    add = parser.add_argument
    add("--model", required=True, metavar="ID", help="preset or model folder")
    add("--data", required=True, metavar="DIR", help="folder made by `prepare`")
    add("--split", choices=("train", "valid", "test"), default="test")
    add("--max-clips", type=int, metavar="N", help="at most N clips, for a trial")
    add("--out", metavar="DIR", help="where results go (runs/robustness-<model>-<data>-<split>)")


def run(args: argparse.Namespace) -> int:
    """Measures and writes. Returns the exit code.

    Raises:
        AudioLLMError: the model or the data cannot be used.
    """
    from audiollm.predictor import Predictor

    prepared = load_prepared(Path(args.data))
    opener(prepared.info)  # fails before the model is loaded
    predictor = Predictor.load(args.model, Settings.from_env())
    result = measure(predictor, prepared, args.split, args.max_clips)
    name = f"robustness-{result['model']['name']}-{prepared.folder.resolve().name}-{args.split}"
    out = Path(args.out or f"runs/{name}")
    write_json(out / RESULT, result)
    print(table(result))
    print(f"{out / RESULT}")
    return 0
