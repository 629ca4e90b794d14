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
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audiollm.errors import DataError
from audiollm.settings import Settings
from train.data.dataset import RECORD, Prepared, load_prepared
from train.evaluate.against import against
from train.evaluate.answers import MODELS, answers, heard_by, judged
from train.fit import runs


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


def _kind(row: Mapping[str, Any]) -> str:
    if not row["original"]:
        return "new"
    return "confirmed" if row["label"] == row["original"] else "corrected"


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
