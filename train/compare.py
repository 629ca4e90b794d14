"""`python -m train compare`: a model before and after it was taught people's labels.

Both answer the same clips: the corrected ones, which the second has learned from, and those of
speakers whom neither has heard. Differences are paired, with intervals that draw whole speakers
again where there are five or more.

With `--answers` it holds any new model against the one that is in use: see against.py.
"""

import argparse
import json
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import calibration
from audiollm.errors import DataError
from audiollm.settings import Settings
from train import runs
from train.dataset import Clip, Prepared, load_prepared
from train.heard import known_voices, voices_recorded
from train.paired import draws
from train.relabel import RECORD

MODELS = ("before", "after")


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--before", required=True, metavar="ID", help="preset or model folder that was improved")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--after", metavar="DIR", help="model folder that came of it")
    which.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="instead: result.json of a new model's evaluation, which is not asked again",
    )
    add(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="data/ that `relabel` has made; with --answers, those of the evaluation",
    )
    add("--out", type=Path, metavar="FILE", help="default: compare.json beside the data")


def run(args: argparse.Namespace) -> int:
    prepared, settings = load_prepared(args.data), Settings.from_env()
    if args.answers:
        from train.against import against

        result = against(args.before, args.answers, prepared, settings)
        out = args.out or args.answers.with_name("versus.json")
    else:
        result = compare(args.before, args.after, prepared, settings)
        out = args.out or args.data.parent / "compare.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    part.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(out)
    print(summary(result))
    print(out)
    return 0


def compare(before: str, after: str, prepared: Prepared, settings: Settings) -> dict[str, Any]:
    """What both models say of the corrected clips and of the speakers that nobody has heard.

    Raises:
        DataError: `relabel` has not made the data, or the models know different classes.
    """
    record = labels_of(prepared)
    by_id = {clip.id: clip for clip in prepared.clips}
    changed = [row for row in record["labels"] if row["label"] != row["original"]]
    known = heard_by((before, after), settings)
    tested = prepared.split("test")
    parts = {
        "corrected": [by_id[row["clip"]] for row in changed],
        "held_out": [clip for clip in tested if clip.speaker not in known],
    }
    notes = []
    if gone := {clip.speaker for clip in tested} & known:
        notes.append(f"Left out, since a model was trained on them: {', '.join(sorted(gone))}.")
    clips = [clip for part in parts.values() for clip in part]
    if not clips:
        raise DataError(f"{prepared.folder} has no corrected and no test clips to compare on.")
    models, tables = {}, {}
    for name, id in zip(MODELS, (before, after), strict=True):
        models[name], tables[name], said = answers(id, clips, prepared, settings)
        notes += [n for n in said if n not in notes]
    if models["before"]["classes"] != models["after"]["classes"]:
        raise DataError(f"{before} and {after} know different classes and cannot be compared.")
    classes = models["before"]["classes"]
    cut = len(parts["corrected"])
    rows = {"corrected": slice(0, cut), "held_out": slice(cut, None)}
    return {
        "models": models,
        "labels": Counter(_kind(row) for row in record["labels"]),
        "left": record["left"],
        **{
            name: judged(part, {m: tables[m][rows[name]] for m in MODELS}, classes)
            for name, part in parts.items()
        },
        "notes": notes,
        "run": {
            "command": shlex.join(["python", "-m", "train", *sys.argv[1:]]),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": runs.provenance([], {})["versions"],
        },
    }


def labels_of(prepared: Prepared) -> dict[str, Any]:
    """What became of the labels, as `relabel` wrote it down.

    Raises:
        DataError: it did not make this folder.
    """
    path = prepared.folder / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{prepared.folder} does not say what was corrected: make it with "
            "python -m train relabel."
        ) from error
    return record


def heard_by(models: Sequence[str], settings: Settings) -> set[str]:
    """Speakers whom any of the models was trained on, as their manifests tell."""
    from audiollm import checkpoint, hub

    manifests = [checkpoint.read_manifest(hub.locate(id, settings), id) for id in models]
    return {s for m in manifests for s in m.training.get("speakers", {}).get("train", [])} - {""}


def _kind(row: Mapping[str, Any]) -> str:
    if not row["original"]:
        return "new"
    return "confirmed" if row["label"] == row["original"] else "corrected"


def answers(
    id: str,
    clips: Sequence[Clip],
    prepared: Prepared,
    settings: Settings,
    *,
    ears: bool = False,
) -> tuple[dict[str, Any], np.ndarray, list[str]]:
    """(what the model is, its probabilities [N, C], what limits them).

    ears: it may hear the sounds itself where the data were prepared with another encoder; NaN
    where it hears no speech.

    Raises:
        DataError: the data were prepared with another encoder.
        ModelError: there is no such model.
    """
    from audiollm import checkpoint
    from train.evaluate import check_encoder

    loaded = checkpoint.load(id, settings, checkpoint.pick_device(settings.device))
    manifest = loaded.manifest
    try:
        check_encoder(loaded, prepared)
        table = _scored(loaded, clips, prepared)
    except DataError:
        if not ears:
            raise
        table = _listened(id, clips, prepared, settings)
    tested = {clip.speaker for clip in prepared.split("test")}
    notes = known_voices(manifest, tested, settings)
    if not voices_recorded(manifest.training):
        notes.append(f"It is not known whose voices {manifest.name} was trained on.")
    about = {"name": manifest.name, "folder": str(loaded.folder), "classes": list(manifest.labels)}
    return about | {"hash": checkpoint.fingerprint(loaded.folder)}, table, notes


def _scored(loaded: Any, clips: Sequence[Clip], prepared: Prepared) -> np.ndarray:
    """Probabilities [N, C] from the prepared features."""
    from audiollm.prompt import Prompt
    from train.trainer import score_clips

    manifest = loaded.manifest
    prompt = Prompt(loaded.tokenizer, manifest.labels, manifest.prompt, manifest.languages)
    heard = [(clip, prepared.store.get(clip.id)) for clip in clips]
    scores = score_clips(loaded.model, prompt, heard).numpy()
    return calibration.apply(scores, manifest.labels, manifest.calibration)


def _listened(id: str, clips: Sequence[Clip], prepared: Prepared, settings: Settings) -> np.ndarray:
    """The same from the sounds, through the model's own encoder."""
    from tqdm import tqdm

    from audiollm import audio
    from audiollm.predictor import Predictor
    from train.corpora.reopen import opener
    from train.robustness import hear

    predictor, find = Predictor.load(id, settings), opener(prepared.info)
    labels = predictor.manifest.labels
    table = np.full((len(clips), len(labels)), np.nan)
    for i, clip in enumerate(tqdm(clips, desc="hearing", unit="clip")):
        found = hear(predictor, audio.load(find(clip), settings).samples)["probabilities"]
        if found is not None:
            table[i] = [found[name] for name in labels]
    return table


def judged(
    clips: Sequence[Clip], tables: Mapping[str, np.ndarray], classes: Sequence[str]
) -> dict[str, Any] | None:
    """Both models on the same clips, by `Clip.label`; None where there are none.

    tables: model -> probabilities [N, C]; a row of NaN is no answer, and wrong.
    """
    if not clips:
        return None
    truth = [clip.label for clip in clips]
    answers = {m: [_best(row, classes) for row in tables[m]] for m in MODELS}
    of = draws(truth, answers, [c.speaker for c in clips], [c.id for c in clips])
    measured = {}
    for kind, values in (("ua", of.ua), ("wa", of.wa)):
        measured[kind] = {m: asdict(of.interval(values[m])) for m in MODELS}
        measured[kind]["change"] = asdict(of.interval(values["after"] - values["before"]))
    return {
        "clips": len(clips),
        "speakers": sorted({clip.speaker for clip in clips} - {""}),
        **measured,
        "per_class": [_of_class(name, clips, answers) for name in classes if name in truth],
        "flipped": [
            {
                "clip": clip.id,
                "path": clip.path,
                "speaker": clip.speaker,
                "label": clip.label,
                **{m: answers[m][i] for m in MODELS},
                **{f"p_{m}": round(float(np.nan_to_num(tables[m][i]).max()), 4) for m in MODELS},
            }
            for i, clip in enumerate(clips)
            if answers["before"][i] != answers["after"][i]
        ],
    }


def _best(row: np.ndarray, classes: Sequence[str]) -> str:
    """The most probable class; "" where there was no answer."""
    return "" if np.isnan(row).any() else classes[int(row.argmax())]


def _of_class(
    name: str, clips: Sequence[Clip], answers: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Recall of one class before and after, and its paired change."""
    own = [i for i, clip in enumerate(clips) if clip.label == name]
    given = {m: [answers[m][i] for i in own] for m in MODELS}
    speakers, ids = [clips[i].speaker for i in own], [clips[i].id for i in own]
    of = draws([name] * len(own), given, speakers, ids)
    change = of.interval(of.wa["after"] - of.wa["before"])
    shares = {m: float(of.wa[m][0]) for m in MODELS}
    return {"name": name, "support": len(own), **shares, "change": asdict(change)}


def summary(result: Mapping[str, Any]) -> str:
    """Before and after for a terminal."""

    def cell(i: Mapping[str, Any], sign: str = "") -> str:
        return f"{i['value']:{sign}.3f} [{i['low']:{sign}.3f}, {i['high']:{sign}.3f}]"

    lines = []
    parts = {"corrected": "corrected clips", "held_out": "untouched speakers"}
    if "heard" in result:
        parts = {"held_out": "new speakers", "heard": "speakers that the first has learned from"}
    for part, words in parts.items():
        found = result[part]
        if found is None:
            lines.append(f"{words}: none")
            continue
        lines.append(f"{words}: {found['clips']}, {len(found['speakers'])} known speakers")
        for kind in ("ua", "wa"):
            m = found[kind]
            cells = f"{cell(m['before'])} -> {cell(m['after'])}, change {cell(m['change'], '+')}"
            lines.append(f"  {kind.upper()}  {cells}")
        better = sum(f["after"] == f["label"] for f in found["flipped"])
        worse = sum(f["before"] == f["label"] for f in found["flipped"])
        lines.append(f"  {better} answers became right, {worse} wrong")
    return "\n".join([*lines, *(f"Note: {note}" for note in result["notes"])])
