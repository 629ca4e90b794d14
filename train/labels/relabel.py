"""`python -m train relabel`: people's labels and the data of a model -> data for its next training.

    python -m train relabel --labels labels.jsonl --model models/mine --data data/mine --out runs/x
    python -m train fit --stage 2 --data runs/x/data --from runs/x/start --out runs/x/stage2
    python -m train merge --run runs/x/stage2 --out models/better
    python -m train compare --before models/mine --after models/better --data runs/x/data

The prepared data are copied with the corrected labels; labelled clips that are not among them are
encoded and added. Test speakers of the model stay in the test split, with their old labels.
"""

import argparse
import json
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiollm import hub
from audiollm.contracts.manifest import PROJECTOR_NAME, Manifest
from audiollm.contracts.prepared import CORRECTED, write_text
from audiollm.errors import DataError, ModelError
from audiollm.model import checkpoint
from audiollm.settings import Settings
from train.corpora import Clip, Corpus
from train.data.dataset import Prepared, load_prepared
from train.data.rewrite import rewrite, share_features
from train.fit import runs
from train.fit.runs import FitConfig, Run
from train.labels.resolve import (
    TEST_SPEAKER,
    UNUSABLE,
    WEIGHT,
    ResolvedLabel,
    left_out,
    left_out_line,
    outcomes,
    resolve,
)

CORPUS = "labelled"  # of clips that are in no corpus


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--labels", type=Path, required=True, metavar="FILE", help="export of the Label page")
    add("--model", required=True, metavar="ID", help="preset or model folder")
    add("--data", type=Path, required=True, metavar="DIR", help="folder made by `prepare`")
    add("--out", type=Path, required=True, metavar="DIR", help="gets data/ and start/")
    words = f"of a clip whose labels agree; other clips weigh 1 (default: {WEIGHT:g})"
    add("--weight", type=float, default=WEIGHT, metavar="W", help=words)


def run(args: argparse.Namespace) -> int:
    settings = Settings.from_env()
    if not 0 < args.weight <= 4:
        raise DataError("relabel_weight", value=args.weight)
    folder = hub.locate(args.model, settings)
    manifest = checkpoint.read_manifest(folder, args.model)
    prepared = load_prepared(args.data)
    resolved = resolve(outcomes(args.labels, settings, prepared.classes), manifest.labels)
    record = relabel(prepared, manifest, *resolved, args.out, args.weight, settings)
    start(folder, manifest, load_prepared(args.out / "data"), args.out)
    print(summary(record))
    words = ["--stage", "2", "--data", f"{args.out}/data", "--from", f"{args.out}/start"]
    print(f"Next: {shlex.join(['python', '-m', 'train', 'fit', *words])}")
    return 0


def relabel(
    prepared: Prepared,
    manifest: Manifest,
    resolved: Sequence[ResolvedLabel],
    left: dict[str, int],
    out: Path,
    weight: float,
    settings: Settings,
) -> dict[str, Any]:
    """Writes `out`/data; returns the record of the labels, which is stored there as CORRECTED.

    Raises:
        DataError: the data have another encoder, or no label is left for training.
        ModelError: the encoder is missing, and new clips must be encoded.
    """
    _check(prepared, manifest)
    tested = test_speakers(prepared, manifest)
    ids = {clip.id for clip in prepared.clips}
    fresh = [v for v in resolved if v.task.id not in ids and v.task.speaker not in tested]
    data = out / "data"
    share_features(prepared, data)
    encoded = _encode(fresh, prepared, data, settings)
    clips, rows, reasons = _merge(prepared, manifest.labels, resolved, encoded, tested, weight)
    reasons.update(left)
    if not rows:
        raise DataError("relabel_nothing", name=manifest.name, reasons=left_out(reasons))
    record = {"labels": rows, "left": dict(reasons), "tested": sorted(tested)}
    classes = list(manifest.labels)
    rewrite(prepared, clips, data, {"classes": classes, "labelled": record["left"]})
    write_text(data / CORRECTED, json.dumps(record, ensure_ascii=False) + "\n")
    return record


def test_speakers(prepared: Prepared, manifest: Manifest) -> set[str]:
    """The test speakers of the model's training, and those of these data."""
    own = manifest.training.get("speakers", {}).get("test", [])
    return {*own, *(clip.speaker for clip in prepared.split("test"))} - {""}


def _check(prepared: Prepared, manifest: Manifest) -> None:
    if manifest.prompt != "chat":
        raise ModelError("relabel_original_project", name=manifest.name)
    expected, here = manifest.encoder, prepared.encoder
    if (expected.fingerprint, expected.width) != (here.fingerprint, here.width):
        raise DataError(
            "relabel_other_encoder",
            name=manifest.name,
            wanted=expected.options,
            folder=prepared.folder,
            found=here.options,
        )


def _encode(
    fresh: Sequence[ResolvedLabel], prepared: Prepared, data: Path, settings: Settings
) -> dict[str, Clip]:
    """Clips that are not in the data, encoded in the same way; by content hash."""
    if not fresh:
        return {}
    from audiollm import encoder as encoders
    from train.data.extract import ExtractConfig, extract

    clips = tuple(
        Clip(v.task.path, v.label, speaker=v.task.speaker, corpus=CORPUS, split="train")
        for v in fresh
    )
    corpus = Corpus(CORPUS, clips)
    config = ExtractConfig(
        frames=bool(prepared.info.get("frames", True)),
        functionals=bool(prepared.info.get("functionals", True)),
        workers=min(8, os.cpu_count() or 1),
    )
    ref, device = prepared.encoder, checkpoint.pick_device(settings.device)
    encoder = encoders.load(ref.id, settings, device, layers=ref.layers, statistics=ref.statistics)
    encoded, _ = extract([corpus], encoder, data, config, settings)
    for copy in range(1, prepared.copies + 1):
        extract([corpus], encoder, data, config, settings, copy)
    return {clip.id: clip for clip in encoded}


def _merge(
    prepared: Prepared,
    classes: Collection[str],
    resolved: Sequence[ResolvedLabel],
    encoded: dict[str, Clip],
    tested: set[str],
    weight: float,
) -> tuple[list[Clip], list[dict[str, Any]], Counter[str]]:
    """Clips for training; one row per label that is used; reason -> labels that are left out."""
    clips: list[Clip] = []
    rows: list[dict[str, Any]] = []
    left: Counter[str] = Counter()
    by_clip = {label.task.id: label for label in resolved}
    for old in prepared.clips:
        clip = replace(old, split="test") if old.speaker in tested else old
        label = by_clip.get(clip.id)
        if label is not None and clip.split == "test":
            left[TEST_SPEAKER] += 1
        elif label is not None:
            clip = _labelled(clip, label, weight)
            rows.append(_row(clip, old.label))
        if clip.label in classes:
            clips.append(clip)
    ids = {clip.id for clip in prepared.clips}
    for id, label in by_clip.items():
        if id in ids:
            continue
        if label.task.speaker in tested:
            left[TEST_SPEAKER] += 1
        elif id not in encoded:
            left[UNUSABLE] += 1
        else:
            clips.append(_labelled(encoded[id], label, weight))
            rows.append(_row(clips[-1], label.task.original))
    return clips, rows, left


def _labelled(clip: Clip, label: ResolvedLabel, weight: float) -> Clip:
    """The clip with its new label; validation clips have a class and no votes."""
    if clip.split != "train":
        return replace(clip, label=label.label)
    votes = {name: round(weight * share, 6) for name, share in label.votes.items()}
    return replace(clip, label=label.label, votes=votes)


def _row(clip: Clip, original: str) -> dict[str, Any]:
    return {
        "clip": clip.id,
        "path": clip.path,
        "side": clip.split,
        "original": original,
        "label": clip.label,
        "votes": clip.votes or {},
    }


def start(folder: Path, manifest: Manifest, prepared: Prepared, out: Path) -> Run:
    """The model as a finished stage 1 for `fit --stage 2 --from`. Its LLM, which contains the LoRA
    of earlier trainings, gets a new one."""
    config = FitConfig(
        stage=1, data=str(prepared.folder.resolve()), llm=str(folder), languages=manifest.languages
    )
    # the training speakers of the model are in its manifest, beside that LLM
    info = {"command": f"the model {manifest.name}", "train_speakers": [], "speakers_known": True}
    run = Run(out / "start", config, prepared.encoder, manifest.projector, manifest.labels, info)
    run.best.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / PROJECTOR_NAME, run.best / PROJECTOR_NAME)
    runs.write(run)
    return run


def summary(record: dict[str, Any]) -> str:
    """The use of the labels, for a terminal."""
    rows = record["labels"]
    new = sum(not row["original"] for row in rows)
    changed = sum(bool(row["original"]) and row["original"] != row["label"] for row in rows)
    used = (
        f"{len(rows)} labelled clips are used for training: {changed} corrected, "
        f"{len(rows) - changed - new} confirmed, {new} new."
    )
    return "\n".join([used, *left_out_line(record["left"])])
