"""Answers of two models to the same clips, and how far apart they are.

Differences are paired, with intervals that draw whole speakers again where there are five or more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from audiollm.errors import DataError
from audiollm.model import calibration
from audiollm.settings import Settings
from train.data.dataset import Clip, Prepared
from train.data.seen_speakers import known_voices, voices_recorded
from train.evaluate.paired import draws

MODELS = ("before", "after")


def heard_by(models: Sequence[str], settings: Settings) -> set[str]:
    """Speakers whom any of the models was trained on, as their manifests tell."""
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
    ears: bool = False,
) -> tuple[dict[str, Any], np.ndarray, list[str]]:
    """(what the model is, its probabilities [N, C], what limits them).

    ears: it may hear the sounds itself where the data were prepared with another encoder; NaN
    where it hears no speech.

    Raises:
        DataError: the data were prepared with another encoder.
        ModelError: there is no such model.
    """
    from audiollm.model import checkpoint
    from train.evaluate.evaluate import check_encoder

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
    from audiollm.model.prompt import Prompt
    from train.fit.trainer import score_clips

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
    from train.evaluate.robustness import hear

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
