"""Figures and calibrations from the answers of all folds of the protocols.

Shapes: N clips, C classes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiollm import metrics
from audiollm.contracts.manifest import Calibration, Calibrations
from audiollm.errors import DataError
from audiollm.model import calibration, checkpoint, probe
from audiollm.model.checkpoint import PROBE_NAME
from train.data.dataset import Clip, Prepared, load_prepared
from train.data.speakers import COUNTS, Count, with_baselines
from train.fit.probe import fit_probe

SURE = 0.8  # probability from which an answer counts as confident
STRENGTH = 0.001  # inverse L2 penalty of the probe on differences from a baseline
# Added to the fitted slope: an unseen corpus may differ more than these do from each other, and
# underconfidence does less harm than overconfidence
MARGIN = 0.1
LEAST = 1e-6  # probabilities are written with six digits
FITTED_ON = "new speakers and left-out corpora (docs/quality.md)"
Table = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fold:
    """Clips that test in one fold, and what a model of the others answers, uncalibrated."""

    name: str
    classes: tuple[str, ...]  # of all corpora
    trained: tuple[str, ...]  # classes with training clips
    corpus: NDArray[np.str_]  # [N]
    truth: NDArray[np.str_]
    speakers: NDArray[np.str_]
    ids: NDArray[np.str_]
    tables: dict[str, Table]  # clips of a baseline, or `probe` -> probabilities [N, C]
    distances: NDArray[np.float64]  # [N]

    @property
    def protocol(self) -> str:
        return "new corpora" if self.name.startswith("corpus-") else "new speakers"

    @classmethod
    def read(cls, folder: Path, name: str) -> "Fold":
        """A fold of `train.tiny.protocols`.

        Raises:
            DataError: it has a validation split, or its model is calibrated already.
        """
        result = json.loads((folder / "evaluate" / "result.json").read_text(encoding="utf-8"))
        prepared = load_prepared(folder / "data")
        manifest = checkpoint.read_manifest(folder / "model")
        if prepared.split("valid") or manifest.calibration != Calibration():
            raise DataError("recipe_other_settings", folder=folder)
        clips = {clip.id: clip for clip in prepared.split("test")}
        rows = result["clips"]
        by_mode = {"0": [row["probabilities"] for row in rows]}
        compares = manifest.projector.baseline
        for count in map(str, COUNTS[1:] if compares else ()):
            by_mode[count] = [row["baselines"][count] for row in rows]
        classes = prepared.classes
        tables = {
            mode: np.array([[row[c] for c in classes] for row in answers])
            for mode, answers in by_mode.items()
        }
        tables["probe"] = _probed(folder, prepared, [row["id"] for row in rows])
        trained = {clip.label for clip in prepared.split("train")}
        if name.startswith("corpus-"):
            ids = [row["id"] for row in rows]
            for most in COUNTS[2:] if compares else ():
                tables[f"probe, {most}"] = _relative_probe(prepared, ids, most, tables["probe"])
        return cls(
            name=name,
            classes=classes,
            trained=tuple(c for c in classes if c in trained),
            corpus=np.array([clips[row["id"]].corpus for row in rows]),
            truth=np.array([row["label"] for row in rows]),
            speakers=np.array([row["speaker"] for row in rows]),
            ids=np.array([row["id"] for row in rows]),
            tables=tables,
            distances=np.array([row["distance"] for row in rows]),
        )

    def take(self, keep: NDArray[np.bool_]) -> "Fold":
        """The clips [N] that are kept."""
        parts = {key: getattr(self, key)[keep] for key in ("corpus", "truth", "speakers", "ids")}
        tables = {mode: table[keep] for mode, table in self.tables.items()}
        return replace(self, tables=tables, distances=self.distances[keep], **parts)


def _probed(folder: Path, prepared: Prepared, ids: Sequence[str]) -> Table:
    """Probabilities [N, C] of the linear probe that `merge` left beside the model."""
    width = prepared.encoder.utterance_width
    linear = probe.read(folder / "model" / PROBE_NAME, width, prepared.classes)
    rows = np.stack([prepared.store.get(id).utterance for id in ids])
    table = np.zeros((len(ids), len(prepared.classes)))
    table[:, [prepared.classes.index(c) for c in linear.classes]] = linear.probabilities(rows)
    return table


def _relative_probe(prepared: Prepared, ids: Sequence[str], count: Count, plain: Table) -> Table:
    """The same of a probe on differences from a speaker baseline, `plain` for clips without one."""

    def collect(split: str) -> tuple[list[Clip], NDArray[np.float32]]:
        clips, rows = [], []
        for clip, features in with_baselines(prepared.store, prepared.split(split), count):
            if features.baseline is not None:
                clips.append(clip)
                rows.append(features.utterance - features.baseline)
        return clips, np.array(rows)

    trained, rows = collect("train")
    tested, differences = collect("test")
    table = plain.copy()
    if trained and tested:
        labels = [clip.label for clip in trained]
        fitted = fit_probe(rows, labels, None, None, prepared.classes, strength=STRENGTH)
        index = {id: i for i, id in enumerate(ids)}
        table[[index[clip.id] for clip in tested]] = fitted.predict_proba(differences)
    return table


def measure(folds: Sequence[Fold]) -> tuple[dict[str, Any], Calibrations]:
    """Figures of both protocols, and the calibrations fitted on all answers.

    UA and WA are over the classes that the corpus and the training clips share, and answers are
    one of them. Calibration is tested on all trained classes, and for each corpus fitted
    on the answers about the other corpora alone; with one corpus, for each fold on the others.
    """
    protocols: dict[str, Any] = {}
    for protocol in dict.fromkeys(fold.protocol for fold in folds):
        own = [fold for fold in folds if fold.protocol == protocol]
        corpora = {name: _corpus(own, name) for name in _names(own)}
        systems = list(next(iter(corpora.values()))["systems"])
        protocols[protocol] = {
            "corpora": corpora,
            "mean": {
                s: float(np.mean([c["systems"][s]["ua"]["value"] for c in corpora.values()]))
                for s in systems
            },
            "calibration": {
                mode: _calibration(folds, own, mode)
                for mode in (*map(str, COUNTS), "probe")
                if mode in own[0].tables
            },
        }
    plain = _fit(folds, "0", without="")
    compared = _fit(folds, "8", without="") if "8" in folds[0].tables else None
    return {"protocols": protocols}, Calibrations(plain, compared)


def _names(folds: Sequence[Fold]) -> list[str]:
    return list(dict.fromkeys(str(name) for fold in folds for name in fold.corpus))


def _corpus(folds: Sequence[Fold], name: str) -> dict[str, Any]:
    """Figures of every system on one corpus, over all folds in which it tests."""
    parts = [part for fold in folds if len((part := fold.take(fold.corpus == name)).truth)]
    shared = [c for c in parts[0].classes if all(c in p.trained for p in parts)]
    present = {str(label) for part in parts for label in part.truth}
    classes = tuple(c for c in shared if c in present)
    parts = [part.take(np.isin(part.truth, classes)) for part in parts]
    columns = [parts[0].classes.index(c) for c in classes]
    truth = [str(label) for part in parts for label in part.truth]
    speakers = [str(speaker) for part in parts for speaker in part.speakers]
    systems = {}
    for system in parts[0].tables:
        table = np.concatenate([part.tables[system][:, columns] for part in parts])
        table = (table + LEAST) / (table + LEAST).sum(1, keepdims=True)
        report = metrics.of_table(truth, table, classes, speakers)
        systems[system] = {k: report.to_dict()[k] for k in ("n", "speakers", "ua", "wa")}
    return {"classes": classes, "folds": len(parts), "systems": systems}


def _fit(folds: Sequence[Fold], mode: str, without: str) -> Calibration:
    """From the answers of all folds but those about one corpus; every corpus of every protocol
    counts the same."""
    logs, truth, apart, weights = [], [], [], []
    for protocol in dict.fromkeys(fold.protocol for fold in folds):
        own = [fold for fold in folds if fold.protocol == protocol]
        for name in _names(own):
            if name == without:
                continue
            parts = [_trained_only(fold.take(fold.corpus == name)) for fold in own]
            size = sum(len(part.truth) for part in parts)
            for part in parts:
                logs.append(_logs(part, mode))
                truth += [str(label) for label in part.truth]
                apart.append(part.distances)
                weights += [1000 / size] * len(part.truth)
    fitted = calibration.fit(
        np.concatenate(logs),
        truth,
        folds[0].classes,
        fitted_on=FITTED_ON,
        distances=np.concatenate(apart),
        weights=np.array(weights),
    )
    return replace(fitted, slope=fitted.slope + MARGIN)


def _calibration(folds: Sequence[Fold], own: Sequence[Fold], mode: str) -> dict[str, Any]:
    """ECE and the accuracy of confident answers over all corpora of a protocol."""
    fitted_mode = mode if mode in ("0", "probe") else "8"
    truth: list[str] = []
    tables = []
    alone = len(_names(folds)) == 1
    for name in _names(own):
        others = None if alone else _fit(folds, fitted_mode, without=name)
        for fold in own:
            fitted = others or _fit([f for f in folds if f is not fold], fitted_mode, without="")
            part = _trained_only(fold.take(fold.corpus == name))
            truth += [str(label) for label in part.truth]
            tables.append(
                calibration.apply(_logs(part, mode), part.classes, fitted, part.distances)
            )
    table = np.concatenate(tables)
    classes = folds[0].classes
    predicted = [classes[i] for i in table.argmax(1)]
    report = metrics.of_table(truth, table, classes).to_dict()
    right = np.array(predicted) == np.array(truth)
    sure = table.max(1) >= SURE
    return {
        "ece": report["ece"]["value"],
        "nll": report["nll"],
        "sure": float(right[sure].mean()) if sure.any() else None,
        "share": float(sure.mean()),
        "n": len(truth),
    }


def _trained_only(fold: Fold) -> Fold:
    """The clips of the classes that were trained."""
    return fold.take(np.isin(fold.truth, fold.trained))


def _logs(fold: Fold, mode: str) -> Table:
    """Log-probabilities [N, C]; -inf for a class without training clips."""
    logs = np.log(np.maximum(fold.tables[mode], LEAST))
    logs[:, [c not in fold.trained for c in fold.classes]] = -np.inf
    return logs
