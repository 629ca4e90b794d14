"""`python -m train relabel`: people's labels and a model's data -> what the model is taught next.

    python -m train relabel --labels labels.jsonl --model models/mine --data data/mine --out runs/x
    python -m train fit --stage 2 --data runs/x/data --from runs/x/start --out runs/x/stage2
    python -m train merge --run runs/x/stage2 --out models/better
    python -m train compare --before models/mine --after models/better --data runs/x/data

The old data are kept, with the corrected labels in place of theirs; clips that were not among them
are heard and added. Nobody whom the model is tested on is taught, whatever people said of them.
"""

import argparse
import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audiollm import hub
from audiollm.contracts.fit import FitConfig
from audiollm.contracts.manifest import PROJECTOR_NAME, Manifest
from audiollm.errors import DataError, ModelError
from audiollm.model import checkpoint
from audiollm.settings import Settings
from train.corpora import Clip, Corpus
from train.data.dataset import RECORD, Prepared, load_prepared
from train.data.rewrite import rewrite, share_features
from train.fit import runs
from train.fit.runs import Run
from train.labels.verdicts import Verdict, outcomes, verdicts

CORPUS = "labelled"  # of clips that were in no corpus
TESTED = "their speakers judge the model"
UNHEARD = "no speech could be heard in them"
WEIGHT = 2.0  # of a clip on which people agree; a clip of the old data weighs 1


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--labels", type=Path, required=True, metavar="FILE", help="as the Label page exports them")
    add("--model", required=True, metavar="ID", help="preset or model folder to be improved")
    add("--data", type=Path, required=True, metavar="DIR", help="folder made by `prepare`")
    add("--out", type=Path, required=True, metavar="DIR", help="gets data/ and start/")
    words = f"of a clip that people agree on, beside 1 of any other (default: {WEIGHT:g})"
    add("--weight", type=float, default=WEIGHT, metavar="W", help=words)


def run(args: argparse.Namespace) -> int:
    settings = Settings.from_env()
    if not 0 < args.weight <= 4:
        raise DataError(f"--weight must be above 0 and at most 4, not {args.weight:g}.")
    place = hub.locate(args.model, settings)
    manifest = checkpoint.read_manifest(place, args.model)
    prepared = load_prepared(args.data)
    found = verdicts(outcomes(args.labels, settings, prepared.classes), manifest.labels)
    record = relabel(prepared, manifest, *found, args.out, args.weight, settings)
    start(place, manifest, load_prepared(args.out / "data"), args.out)
    print(summary(record))
    print(f"Next: python -m train fit --stage 2 --data {args.out}/data --from {args.out}/start")
    return 0


@dataclass(frozen=True)
class _Merged:
    """The clips to go on with, and what became of the labels."""

    clips: list[Clip]
    labels: list[dict[str, Any]]
    left: Counter[str]


def relabel(
    prepared: Prepared,
    manifest: Manifest,
    given: Sequence[Verdict],
    left: dict[str, int],
    out: Path,
    weight: float,
    settings: Settings,
) -> dict[str, Any]:
    """Writes `out`/data; returns what became of the labels, which is kept there as RECORD.

    Raises:
        DataError: the data was heard with another encoder, or nothing is left to be taught.
        ModelError: the encoder is not there, where new clips must be heard.
    """
    _check(prepared, manifest)
    tested = tested_speakers(prepared, manifest)
    known = {clip.id for clip in prepared.clips}
    fresh = [v for v in given if v.task.id not in known and v.task.speaker not in tested]
    data = out / "data"
    share_features(prepared, data)
    heard = _hear(fresh, prepared, data, settings)
    merged = _merge(prepared, manifest.labels, {v.task.id: v for v in given}, heard, tested, weight)
    merged.left.update(left)
    if not merged.labels:
        reasons = "; ".join(f"{n} clips: {why}" for why, n in merged.left.items())
        raise DataError(f"None of the labels can be taught to {manifest.name} ({reasons}).")
    record = {"labels": merged.labels, "left": dict(merged.left), "tested": sorted(tested)}
    classes = list(manifest.labels)
    rewrite(prepared, merged.clips, data, {"classes": classes, "labelled": record["left"]})
    (data / RECORD).write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    return record


def tested_speakers(prepared: Prepared, manifest: Manifest) -> set[str]:
    """Who judges the model: the test side of its training, and that of these data."""
    own = manifest.training.get("speakers", {}).get("test", [])
    return {*own, *(clip.speaker for clip in prepared.split("test"))} - {""}


def _check(prepared: Prepared, manifest: Manifest) -> None:
    if manifest.prompt != "chat":
        raise ModelError(
            f"{manifest.name} was made by the original project and cannot be taught further: "
            "train a model with `python -m train fit` first."
        )
    known, here = manifest.encoder, prepared.encoder
    if (known.fingerprint, known.width) != (here.fingerprint, here.width):
        raise DataError(
            f"{manifest.name} takes the features of {known.options}, {prepared.folder} was "
            f"prepared with {here.options}: prepare it again with {known.options}."
        )


def _hear(
    fresh: Sequence[Verdict], prepared: Prepared, data: Path, settings: Settings
) -> dict[str, Clip]:
    """Clips that are not among the data, heard as those were; by content hash."""
    if not fresh:
        return {}
    from audiollm import encoder as encoders
    from train.data.extract import Wanted, extract

    clips = tuple(
        Clip(
            path=v.task.path,
            label=v.label,
            speaker=v.task.speaker,
            corpus=CORPUS,
            split="train",
        )
        for v in fresh
    )
    corpus = Corpus(CORPUS, clips)
    info = prepared.info
    wanted = Wanted(
        frames=bool(info.get("frames", True)),
        functionals=bool(info.get("functionals", True)),
        workers=min(8, os.cpu_count() or 1),
    )
    ref, device = prepared.encoder, checkpoint.pick_device(settings.device)
    encoder = encoders.load(ref.id, settings, device, layers=ref.layers, statistics=ref.statistics)
    heard, _ = extract([corpus], encoder, data, wanted, settings)
    for copy in range(1, prepared.copies + 1):
        extract([corpus], encoder, data, wanted, settings, copy)
    return {clip.id: clip for clip in heard}


def _merge(
    prepared: Prepared,
    classes: Collection[str],
    given: dict[str, Verdict],
    heard: dict[str, Clip],
    tested: set[str],
    weight: float,
) -> _Merged:
    clips: list[Clip] = []
    rows: list[dict[str, Any]] = []
    left: Counter[str] = Counter()
    for old in prepared.clips:
        clip = replace(old, split="test") if old.speaker in tested else old
        said = given.get(clip.id)
        if said is not None and clip.split == "test":
            left[TESTED] += 1
        elif said is not None:
            clip = _taught(clip, said, weight)
            rows.append(_row(clip, old.label))
        if clip.label in classes:
            clips.append(clip)
    known = {clip.id for clip in prepared.clips}
    for id, verdict in given.items():
        if id in known:
            continue
        if verdict.task.speaker in tested:
            left[TESTED] += 1
        elif id not in heard:
            left[UNHEARD] += 1
        else:
            clip = _taught(heard[id], verdict, weight)
            clips.append(clip)
            rows.append(_row(clip, verdict.task.original))
    return _Merged(clips, rows, left)


def _taught(clip: Clip, said: Verdict, weight: float) -> Clip:
    """The clip with what people said; who validates has one class and no votes."""
    if clip.split != "train":
        return replace(clip, label=said.label)
    votes = {name: round(weight * share, 6) for name, share in said.votes.items()}
    return replace(clip, label=said.label, votes=votes)


def _row(clip: Clip, original: str) -> dict[str, Any]:
    return {
        "clip": clip.id,
        "path": clip.path,
        "side": clip.split,
        "original": original,
        "label": clip.label,
        "votes": clip.votes or {},
    }


def start(place: Path, manifest: Manifest, prepared: Prepared, out: Path) -> Run:
    """The model as a finished stage 1, from which `fit --stage 2 --from` goes on.

    Its LLM, into which an earlier LoRA was merged, gets a new one.
    """
    config = FitConfig(
        stage=1, data=str(prepared.folder.resolve()), llm=str(place), languages=manifest.languages
    )
    # whom the model has heard stands in its manifest, which is beside that LLM
    info = {"command": f"the model {manifest.name}", "train_speakers": [], "speakers_known": True}
    run = Run(out / "start", config, prepared.encoder, manifest.projector, manifest.labels, info)
    run.best.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(place / PROJECTOR_NAME, run.best / PROJECTOR_NAME)
    runs.write(run)
    return run


def summary(record: dict[str, Any]) -> str:
    """What became of the labels, for a terminal."""
    rows = record["labels"]
    new = sum(not row["original"] for row in rows)
    changed = sum(bool(row["original"]) and row["original"] != row["label"] for row in rows)
    lines = [
        f"{len(rows)} labelled clips are taught: {changed} corrected, "
        f"{len(rows) - changed - new} confirmed, {new} new."
    ]
    lines += [f"{n} are left out: {why}." for why, n in sorted(record["left"].items())]
    return "\n".join(lines)
