"""`python -m train compare`: two models on the same clips, with paired intervals.

`--after`: a model before and after it learned from people's labels, on the corrected clips, which
the second was trained on, and on speakers that neither was trained on.

`--answers`: a new model beside the active one. The new one's answers are read from its evaluation,
only the active one is run. Speakers that it was trained on are scored apart.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiollm.contracts.comparison import COMPARED, MODELS, VERSUS, Comparison
from audiollm.contracts.messages import Message, unique
from audiollm.contracts.plain_json import parse_json
from audiollm.contracts.prepared import CORRECTED, Clip, write_json
from audiollm.contracts.result import interval, read_result
from audiollm.errors import AudioLLMError, DataError
from audiollm.labels import ordered
from audiollm.model import calibration
from audiollm.settings import Settings
from train.data.dataset import Prepared, load_prepared
from train.data.seen_speakers import known_voices, voices_recorded
from train.evaluate.paired import paired
from train.fit import runs


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--before", required=True, metavar="ID", help="preset or model folder to compare with")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--after", metavar="DIR", help="model folder that `relabel` led to")
    which.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="instead: result.json of a new model's evaluation, which is not run again",
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
        result = with_active(args.before, args.answers, prepared, settings)
        out = args.out or args.answers.with_name(VERSUS)
    else:
        result = compare(args.before, args.after, prepared, settings)
        out = args.out or args.data.parent / COMPARED
    write_json(out, result)
    print(summary(result))
    print(out)
    return 0


def compare(before: str, after: str, prepared: Prepared, settings: Settings) -> Comparison:
    """Both models on the corrected clips and on speakers that neither was trained on.

    Raises:
        DataError: `relabel` has not made the data, or the models know different classes.
    """
    record = corrections(prepared)
    by_id = {clip.id: clip for clip in prepared.clips}
    trained = trained_on((before, after), settings)
    tested = prepared.split("test")
    changed = [by_id[r["clip"]] for r in record["labels"] if r["label"] != r["original"]]
    clips = changed + [clip for clip in tested if clip.speaker not in trained]
    if not clips:
        raise DataError("evaluate_nothing_to_compare", folder=prepared.folder)
    notes = []
    if gone := {clip.speaker for clip in tested} & trained:
        notes.append(Message.of("note_trained_speakers", speakers=sorted(gone)))
    models, tables = {}, {}
    for name, id in zip(MODELS, (before, after), strict=True):
        models[name], tables[name], more = answers(id, clips, prepared, settings)
        notes += more
    if models["before"]["classes"] != models["after"]["classes"]:
        raise DataError("evaluate_other_classes", before=before, after=after)

    def part(rows: slice) -> Any:
        return paired(clips[rows], {m: tables[m][rows] for m in MODELS}, models["after"]["classes"])

    return {
        "models": models,
        "labels": Counter(_kind(row) for row in record["labels"]),
        "left": record["left"],
        "corrected": part(slice(0, len(changed))),
        "held_out": part(slice(len(changed), None)),
        "notes": [note.to_dict() for note in unique(notes)],
        "run": runs.provenance(),
    }


def with_active(active: str, path: Path, prepared: Prepared, settings: Settings) -> Comparison:
    """The active model and a new one on the clips of an evaluation, by the classes that both know.

    A comparison that cannot be made is a result, too: its note says why.

    Args:
        active: preset or folder.
        answered: the new model's `result.json`.

    Raises:
        DataError: it is none, or belongs to other data.
    """
    new, clips, table, classes = _read_answers(path, prepared)
    result: Comparison = {
        "models": {
            "before": {"name": Path(active).name},
            "after": {**new, "classes": list(classes)},
        },
        "labels": {},
        "left": {},
        "corrected": None,
        "held_out": None,
        "seen": None,
        "notes": [],
        "run": runs.provenance(),
    }
    try:
        about, other, notes = answers(active, clips, prepared, settings, sounds=True)
        trained = trained_on([active], settings)
        shared = [name for name in classes if name in about["classes"]]
        usable = [i for i, clip in enumerate(clips) if clip.label in shared]
        if len({clips[i].label for i in usable}) < 2:
            raise DataError("evaluate_few_shared", name=about["name"], other=new["name"])
    except AudioLLMError as error:
        result["notes"].append(Message.of("note_not_compared", name=active, error=error).to_dict())
        return result
    missing = Counter(clip.label for clip in clips if clip.label not in shared)
    if missing or len(shared) < max(len(classes), len(about["classes"])):
        notes.append(Message.of("note_both_know", n=len(shared)))
        notes += [Message.of("note_without_clips", n=n, label=name) for name, n in missing.items()]
    tables = {
        "before": other[:, [about["classes"].index(name) for name in shared]],
        "after": table[:, [classes.index(name) for name in shared]],
    }

    def part(seen: bool) -> Any:
        rows = [i for i in usable if (clips[i].speaker in trained) == seen]
        return paired([clips[i] for i in rows], {m: tables[m][rows] for m in MODELS}, shared)

    result["held_out"], result["seen"] = part(seen=False), part(seen=True)
    result["models"]["before"] = about
    # speakers that the active model was trained on are scored apart
    result["notes"] = [n.to_dict() for n in notes if n.code != "note_seen_model"]
    return result


def _read_answers(
    path: Path, prepared: Prepared
) -> tuple[dict[str, Any], list[Clip], np.ndarray, Sequence[str]]:
    """(what the new model is, its clips, their probabilities [N, C], the classes)."""
    result = read_result(path)
    by_id = {clip.id: clip for clip in prepared.clips}
    rows = result["clips"]
    classes = ordered({name for row in rows for name in row["probabilities"] or ()})
    nothing = dict.fromkeys(classes, np.nan)
    try:
        table = [[(row["probabilities"] or nothing)[name] for name in classes] for row in rows]
        return dict(result["model"]), [by_id[row["id"]] for row in rows], np.array(table), classes
    except KeyError as error:
        raise DataError(
            "evaluate_other_clips", path=path, folder=prepared.folder, error=error
        ) from error


def trained_on(models: Sequence[str], settings: Settings) -> set[str]:
    """Speakers whom any of the models was trained on, by their manifests."""
    from audiollm import hub
    from audiollm.model import checkpoint

    manifests = [checkpoint.read_manifest(hub.locate(id, settings), id) for id in models]
    return {s for m in manifests for s in m.training.get("speakers", {}).get("train", [])} - {""}


def answers(
    id: str,
    clips: Sequence[Clip],
    prepared: Prepared,
    settings: Settings,
    *,
    sounds: bool = False,
) -> tuple[dict[str, Any], np.ndarray, list[Message]]:
    """(what the model is, its probabilities [N, C], what limits them).

    sounds: where the data were prepared with another encoder, the model encodes the sounds itself;
        NaN where there is no speech.

    Raises:
        DataError: the data were prepared with another encoder.
        ModelError: there is no such model.
    """
    from audiollm.model import checkpoint
    from train.evaluate.evaluate import check_encoder, model_info

    loaded = checkpoint.load(id, settings, checkpoint.pick_device(settings.device))
    manifest = loaded.manifest
    try:
        check_encoder(loaded, prepared)
        table = _from_features(loaded, clips, prepared)
    except DataError:
        if not sounds:
            raise
        table = _from_sounds(id, clips, prepared, settings)
    tested = {clip.speaker for clip in prepared.split("test")}
    notes = known_voices(manifest, tested, settings)
    if not voices_recorded(manifest.training):
        notes.append(Message.of("note_voices_unknown", name=manifest.name))
    about = {**model_info(manifest.name, loaded.folder), "classes": list(manifest.labels)}
    return about, table, notes


def _from_features(loaded: Any, clips: Sequence[Clip], prepared: Prepared) -> np.ndarray:
    """Probabilities [N, C]."""
    from audiollm.model.prompt import Prompt
    from train.fit.trainer import score_clips

    manifest = loaded.manifest
    prompt = Prompt.of(loaded.tokenizer, manifest)
    pairs = [(clip, prepared.store.get(clip.id)) for clip in clips]
    scores = score_clips(loaded.model, prompt, pairs).numpy()
    return calibration.apply(scores, manifest.labels, manifest.calibration)


def _from_sounds(
    id: str, clips: Sequence[Clip], prepared: Prepared, settings: Settings
) -> np.ndarray:
    """The same through the model's own encoder."""
    from tqdm import tqdm

    from audiollm import audio
    from audiollm.predictor import Predictor
    from train.corpora.reopen import opener
    from train.evaluate.robustness import answer

    predictor, find = Predictor.load(id, settings), opener(prepared.info)
    labels = predictor.manifest.labels
    table = np.full((len(clips), len(labels)), np.nan)
    for i, clip in enumerate(tqdm(clips, desc="encoding", unit="clip")):
        probabilities = answer(predictor, audio.load(find(clip), settings).samples)["probabilities"]
        if probabilities is not None:
            table[i] = [probabilities[name] for name in labels]
    return table


def corrections(prepared: Prepared) -> dict[str, Any]:
    """What became of the labels, as `relabel` wrote it.

    Raises:
        DataError: it did not make this folder.
    """
    path = prepared.folder / CORRECTED
    try:
        record: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("evaluate_no_corrections", folder=prepared.folder) from error
    return record


def _kind(row: Mapping[str, Any]) -> str:
    if not row["original"]:
        return "new"
    return "confirmed" if row["label"] == row["original"] else "corrected"


def summary(result: Mapping[str, Any]) -> str:
    """Before and after for a terminal."""
    lines = []
    parts = {"corrected": "corrected clips", "held_out": "held-out speakers"}
    if "seen" in result:
        parts = {"held_out": "new speakers", "seen": "training speakers of the active model"}
    for part, words in parts.items():
        figures = result[part]
        if figures is None:
            lines.append(f"{words}: none")
            continue
        lines.append(f"{words}: {figures['clips']}, {len(figures['speakers'])} known speakers")
        for kind in ("ua", "wa"):
            m = figures[kind]
            before, after = (interval(m[model]) for model in MODELS)
            change = interval(m["change"], "+")
            lines.append(f"  {kind.upper()}  {before} -> {after}, change {change}")
        better = sum(f["after"] == f["label"] for f in figures["flipped"])
        worse = sum(f["before"] == f["label"] for f in figures["flipped"])
        lines.append(f"  {better} answers became right, {worse} wrong")
    return "\n".join([*lines, *(f"Note: {note['text']}" for note in result["notes"])])
