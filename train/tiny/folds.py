"""The whole recipe of the small model, once for each group of speakers left out.

    python -m train.tiny.encoder --no-emodb --ased DIR --out runs/encoder-ased
    python -m train.tiny.folds --corpus emodb --folds 8 --encoder runs/encoder-ased \\
        --out runs/folds-emodb

Projector and LoRA are trained anew in every fold, on all other speakers; nobody validates: the
last weights count, and the temperature is what the answers of all other folds ask for. The encoder
is trained once, on another corpus: it has heard nobody of this one. The linear probe learns from
the same clips of the same folds. What the command finds is written as JSON.
"""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from audiollm import calibration, checkpoint, metrics
from audiollm.errors import DataError
from audiollm.settings import ASSETS
from train import probe, runs
from train.command import main as command
from train.dataset import load_prepared
from train.tiny import recipe


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--corpus", choices=("emodb", "ased"), default="emodb", help="default: emodb")
    add("--root", default=str(ASSETS / "emodb"), metavar="DIR", help="default: the bundled EmoDB")
    add("--encoder", type=Path, required=True, metavar="DIR", help="trained on another corpus")
    add("--folds", type=int, default=8, help="EmoDB as bundled has 8 speakers (default: 8)")
    add("--language", type=Path, default=Path("runs/tiny/language"), metavar="DIR")
    add("--out", type=Path, required=True, metavar="DIR", help="where folds leave their results")
    add("--result", type=Path, metavar="FILE", help="default: OUT/result.json")
    add("--only", type=int, nargs="+", metavar="I", help="these folds only, without a result")
    add("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    sources = [(args.corpus, args.root)]
    check_encoder(args.encoder, args.corpus)
    recipe.walk([recipe.teach_language(args.language, args.seed)])
    for number in args.only or range(args.folds):
        place = args.out / f"fold{number}"
        fold = ("--folds", str(args.folds), "--fold", str(number))
        recipe.share_features(args.out / "fold0" / "data", place / "data")
        recipe.walk(recipe.chain(place, sources, args.language, args.encoder, args.seed, fold))
    if args.only:
        return 0
    result = gather(args.out, args.folds)
    result["run"] = {
        "command": shlex.join(["python", "-m", "train.tiny.folds", *sys.argv[1:]]),
        "corpus": args.corpus,
        "seconds": round(time.monotonic() - began),
        "recipe": {name: getattr(recipe, name) for name in ("ENCODER", "STAGE_1", "STAGE_2")},
        "versions": runs.provenance([], {})["versions"],
    }
    path = args.result or args.out / "result.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(result))
    print(path)
    return 0


def check_encoder(folder: Path, corpus: str) -> None:
    """Refuses an encoder that was trained on the corpus that it shall be judged on.

    Raises:
        DataError: it was, or nobody wrote down what it was trained on.
    """
    path = folder / "encoder.json"
    try:
        heard = json.loads(path.read_text(encoding="utf-8"))["speakers"]["train"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} does not say whom the encoder was trained on: make it with "
            "python -m train.tiny.encoder."
        ) from error
    known = [name for name in heard if name.startswith(f"{corpus}-")]
    if known:
        raise DataError(
            f"{folder} was trained on {', '.join(known[:3])} of {corpus}: give --encoder one that "
            "was trained on another corpus, or no fold is independent."
        )


def gather(out: Path, folds: int) -> dict[str, Any]:
    """Figures over the clips of all folds, each clip judged by the model that never heard it.

    Keys: `folds` (figures of each); `temperature` that all folds together ask for, without the
    speakers on whom the shipped model is judged; `model` (at the temperature of all other folds),
    `uncalibrated`, and one for each linear probe (`metrics.Metrics`).

    Raises:
        DataError: somebody validated a fold, or its model has a temperature already.
    """
    truth: list[str] = []
    speakers: list[str] = []
    tables: dict[str, list[np.ndarray]] = {}
    each = []
    classes: tuple[str, ...] = ()
    for number in range(folds):
        place = out / f"fold{number}"
        judged = json.loads((place / "evaluate" / "result.json").read_text(encoding="utf-8"))
        prepared = load_prepared(place / "data")
        classes = prepared.classes
        manifest = checkpoint.read_manifest(place / "model")
        if prepared.split("valid") or manifest.calibration.temperature != 1:
            raise DataError(
                f"{place} was made with validation speakers or a temperature: give another --out."
            )
        clips = {clip.id: clip for clip in prepared.split("test")}
        rows = judged["clips"]
        truth += [row["label"] for row in rows]
        speakers += [row["speaker"] for row in rows]
        given = np.array([[row["probabilities"][c] for c in classes] for row in rows])
        tables.setdefault("uncalibrated", []).append(given / given.sum(1, keepdims=True))
        learned = probe.probe_tables(prepared, clips=[clips[row["id"]] for row in rows])
        for kind, probabilities in learned.items():
            tables.setdefault(f"probe, {kind}", []).append(probabilities)
        each.append(
            {
                "fold": number,
                "speakers": judged["data"]["speakers"],
                "n": judged["metrics"]["n"],
                "ua": judged["metrics"]["ua"]["value"],
                "wa": judged["metrics"]["wa"]["value"],
                "model": judged["model"]["hash"],
            }
        )
    sizes = [row["n"] for row in each]
    calibrated = recalibrated(tables["uncalibrated"], sizes, truth, classes)
    free = [i for i, speaker in enumerate(speakers) if speaker not in recipe.TESTED]
    logs = np.log(np.maximum(np.concatenate(tables["uncalibrated"])[free], 1e-12))
    temperature = calibration.fit(logs, [truth[i] for i in free], classes).temperature
    result: dict[str, Any] = {"classes": classes, "folds": each, "temperature": temperature}
    for name, parts in {"model": calibrated, **tables}.items():
        joined = np.concatenate(parts)
        answers = [classes[i] for i in joined.argmax(1)]
        result[name] = metrics.report(truth, answers, joined, classes, speakers).to_dict()
    return result


def recalibrated(
    tables: list[np.ndarray], sizes: list[int], truth: list[str], classes: tuple[str, ...]
) -> list[np.ndarray]:
    """Each fold's probabilities [N, C] at the temperature that all other folds ask for.

    So nobody of a fold takes part in choosing its temperature.
    """
    logs = [np.log(np.maximum(rows, 1e-12)) for rows in tables]
    labels = np.split(np.array(truth), np.cumsum(sizes)[:-1])
    done = []
    for number, rows in enumerate(logs):
        others = [i for i in range(len(logs)) if i != number]
        fitted = calibration.fit(
            np.concatenate([logs[i] for i in others]),
            [str(label) for i in others for label in labels[i]],
            classes,
        )
        done.append(calibration.apply(rows, classes, fitted))
    return done


def table(result: dict[str, Any]) -> str:
    """The figures of model and probes for a terminal."""

    def cell(interval: dict[str, float]) -> str:
        return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"

    first = result["model"]
    lines = [
        f"{first['n']} clips, {first['speakers']} speakers, {len(result['folds'])} folds",
        f"{'':<40}{'UA (95 % interval)':<24}{'WA':<24}{'ECE':<24}NLL",
    ]
    for name, m in result.items():
        if isinstance(m, dict) and "ua" in m:
            cells = "".join(f"{cell(m[key]):<24}" for key in ("ua", "wa", "ece"))
            lines.append(f"{name:<40}{cells}{m['nll']:.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(command("train.tiny.folds", __doc__, configure, run))
