"""`python -m train merge`: LoRA into the LLM, and one model folder."""

import argparse
import gc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiollm import hub
from audiollm.contracts.manifest import MANIFEST_NAME, Calibration, Calibrations, Manifest
from audiollm.contracts.options import read_json
from audiollm.errors import DataError, ModelError
from audiollm.model import distance
from audiollm.model.probe import LinearProbe
from audiollm.settings import Settings
from train.data.dataset import Prepared, load_prepared
from train.data.seen_speakers import voices_recorded
from train.data.speakers import Count, with_baselines
from train.fit import probe, runs

if TYPE_CHECKING:
    import torch

MAX_DRIFT = 0.05  # nats: a class's log-likelihood may move so much by merging and storing
CALIBRATED_ON = 8  # clips of a speaker baseline
MEASURED = 20_000  # most training clips that the distance is fitted on
CHECKED = 200  # about so many training clips check the merge where no clip validates
MAX_MARGIN = 0.1  # nats: an answer that was ahead by more must not change


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--run", required=True, metavar="RUN", help="finished run folder, usually of stage 2")
    add("--out", required=True, metavar="DIR", help="model folder to write")
    add("--name", default="", help="name of the model (default: the folder's name)")
    add(
        "--store",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="how the LLM's weights are stored; merging itself is done in float32",
    )
    either = parser.add_mutually_exclusive_group().add_argument
    words = "calibrations as JSON, as `python -m train.tiny.protocols` writes them"
    either("--calibration", type=Path, metavar="FILE", help=words)
    words = "of the probabilities (default: fitted on the validation speakers)"
    either("--temperature", type=float, metavar="T", help=words)
    words = "with --temperature: what it was fitted on, for the manifest"
    add("--fitted-on", default="", metavar="TEXT", help=words)
    add("--probe-strength", type=float, metavar="C", help=probe.STRENGTH_HELP)
    words = "the LLM follows instructions: the page offers free questions about a clip"
    add("--questions", action="store_true", help=words)


def run(args: argparse.Namespace) -> int:
    finished = runs.read(Path(args.run), finished=True)
    prepared = load_prepared(Path(finished.config.data))
    runs.check_data(finished, prepared)
    calibrations = None
    if args.calibration is not None:
        calibrations = read_json(Calibrations, args.calibration)
    elif args.temperature is not None:
        scaled = Calibration(temperature=args.temperature, fitted_on=args.fitted_on)
        calibrations = Calibrations(scaled)
    out = Path(args.out)
    checked = merge(
        finished,
        prepared,
        out,
        args.name,
        args.store,
        calibrations,
        questions=args.questions,
        strength=args.probe_strength,
    )
    print(
        f"{args.out}: merged; on {checked['clips']} {checked['split']} clips the largest drift of "
        f"a class log-likelihood is {checked['drift']:.2g} nats, {checked['flips']} labels changed."
    )
    return 0


def merge(
    finished: runs.Run,
    prepared: Prepared,
    out: Path,
    name: str,
    store: str,
    calibrations: Calibrations | None = None,
    *,
    questions: bool = False,
    strength: float | None = None,
) -> dict[str, Any]:
    """Writes the model folder and compares it, as loaded again, with the unmerged model.

    A linear probe on the encoder's features and the distance from them, both fitted on the
    training clips, go into the folder, too.

    Args:
        given: calibrations; None: temperatures fitted on the validation speakers. Without
            validation clips the probabilities stay uncalibrated, and the comparison is made on
            training clips.
        questions: for the manifest.
        strength: inverse penalty of the probe.

    Raises:
        ModelError: the stored model answers differently from the trained one.
        DataError: there are no clips to compare on.
    """
    import torch

    from audiollm.model import checkpoint

    checkpoint.check_target(out)  # before anything is computed
    settings = Settings.from_env()
    split = "valid" if prepared.split("valid") else "train"
    clips = prepared.split(split)
    if split == "train":
        clips = clips[:: 1 + len(clips) // CHECKED]  # of every corpus and speaker
    if not clips:
        raise DataError("merge_no_clips", data=prepared.folder)
    loaded_clips = [(clip, prepared.store.get(clip.id)) for clip in clips]
    model, tokenizer = load_run(finished, settings, torch.float32)
    prompt = runs.prompt(finished, tokenizer)
    before = _scores(model, prompt, loaded_clips, "before merging")
    if finished.config.stage == 2:
        model.llm = model.llm.merge_and_unload(safe_merge=True)
    model.causal_lm.config.use_cache = True
    fitted = calibrations or Calibrations()
    if calibrations is None and split == "valid":
        fitted = _fitted(model, prompt, prepared, finished, before)
    manifest = Manifest(
        name=name or out.name,
        encoder=finished.encoder,
        projector=finished.projector,
        labels=finished.classes,
        languages=finished.config.languages,
        prose=finished.config.stage == 2 and finished.config.class_only < 1,
        questions=questions,
        first_tokens=prompt.first_tokens,
        calibration=fitted.calibration,
        baseline_calibration=fitted.baseline_calibration,
        training=_training(finished, prepared, settings),
    )
    part = out.with_name(out.name + ".unchecked")
    linear = _probe(prepared, finished.classes, strength)
    measure = _distance(prepared)
    checkpoint.save(part, model, tokenizer, manifest, store, linear, measure)
    del model  # one LLM in memory at a time
    gc.collect()
    # what merging and storing changed, and not what arithmetic in bfloat16 would
    exact = replace(settings, device="cpu", precision="float32")
    loaded = checkpoint.load(str(part), exact)
    after = _scores(loaded.model, prompt, loaded_clips, "after merging")
    drift, flips = compare(before, after, store)
    checked = {"split": split, "clips": len(clips), "drift": drift, "flips": flips, "store": store}
    training = {**manifest.training, "merge": checked}
    manifest = replace(manifest, training=training)
    checkpoint.save(out, loaded.model, tokenizer, manifest, store, loaded.probe, loaded.distance)
    checkpoint.remove(part)
    return checked


def _fitted(
    model: Any, prompt: Any, prepared: Prepared, finished: runs.Run, plain: np.ndarray
) -> Calibrations:
    """Temperatures from the validation speakers; `plain`: their log-likelihoods [N, C]."""
    from audiollm.model import calibration

    clips = prepared.split("valid")
    truth = [clip.label for clip in clips]
    where = f"{prepared.info['corpus']} validation speakers"
    first = calibration.fit(plain, truth, finished.classes, fitted_on=where)
    if not finished.projector.baseline:
        return Calibrations(first)
    compared = with_baselines(prepared.store, clips, CALIBRATED_ON)
    scores = _scores(model, prompt, compared, "with speaker baselines")
    second = calibration.fit(scores, truth, finished.classes, fitted_on=where)
    return Calibrations(first, second)


def _distance(prepared: Prepared) -> distance.FeatureDistance:
    """From the training clips, at most `MEASURED` of them."""
    clips = prepared.split("train")
    clips = clips[:: 1 + len(clips) // MEASURED]
    rows = np.stack([prepared.store.get(clip.id).utterance for clip in clips])
    return distance.fit(rows, [c.corpus for c in clips], [c.speaker for c in clips])


def _probe(
    prepared: Prepared, classes: Sequence[str], strength: float | None
) -> LinearProbe | None:
    """The probe of the model folder; None, and a printed line, where it cannot be fitted."""
    try:
        return probe.fit_utterance(prepared, classes, strength).folded()
    except DataError as error:
        print(f"The model gets no linear probe: {error}")
        return None


def compare(before: np.ndarray, after: np.ndarray, store: str) -> tuple[float, int]:
    """(largest drift in nats, changed answers) of log-likelihoods [N, C] by merging and storing.

    Raises:
        ModelError: the drift is beyond its limit, or, in float32, a clear answer changed.
    """
    drift = float(np.abs(before - after).max())
    changed = before.argmax(1) != after.argmax(1)
    best = np.sort(before, axis=1)
    clear = changed & (best[:, -1] - best[:, -2] > MAX_MARGIN)
    if store == "float32" and clear.any():
        raise ModelError("merge_differs", clips=int(clear.sum()))
    limit = MAX_DRIFT if store == "float32" else 10 * MAX_DRIFT
    if not drift <= limit:
        raise ModelError("merge_drift", drift=f"{drift:.3g}", limit=limit)
    return drift, int(changed.sum())


def load_run(
    finished: runs.Run, settings: Settings, dtype: "torch.dtype | None" = None
) -> tuple[Any, Any]:
    """(unmerged model with the best weights of a run, tokenizer) on the CPU.

    `dtype`: of the LLM; None for what suits this machine.
    """
    from audiollm.model import checkpoint
    from audiollm.model.audio_llm import AudioLLM
    from audiollm.model.llm import load_llm

    llm, tokenizer = load_llm(finished.config.llm, settings, dtype=dtype)
    model = AudioLLM.build(llm, finished.projector)
    checkpoint.load_projector(model.projector, finished.best)
    if finished.config.stage == 2:
        from peft import PeftModel

        model.llm = PeftModel.from_pretrained(llm, str(finished.adapter))
    return model.eval(), tokenizer


def score_run(run: Path, prepared: Prepared, split: str, count: Count = 0) -> np.ndarray:
    """Log-likelihoods [N, C] that the best weights of a finished run give a split of the data.

    `count`: clips of a speaker baseline.
    """
    finished = runs.read(run, finished=True)
    model, tokenizer = load_run(finished, Settings.from_env())
    prompt = runs.prompt(finished, tokenizer)
    clips = with_baselines(prepared.store, prepared.split(split), count)
    return _scores(model, prompt, clips, split)


def _scores(model: Any, prompt: Any, clips: Sequence[Any], what: str) -> np.ndarray:
    from train.fit.trainer import score_clips

    return score_clips(model, prompt, clips, what=what).numpy()


def _training(finished: runs.Run, prepared: Prepared, settings: Settings) -> dict[str, Any]:
    """Data, speakers and commands of the training, for the manifest.

    The training speakers are those of all stages and of the LLM that stage 1 started from.
    """
    commands = [str(prepared.info.get("command", ""))]
    stages = [finished]
    if finished.config.start:
        stages.insert(0, runs.read(Path(finished.config.start)))
    commands += [stage.info.get("command", "") for stage in stages]
    commands.append(runs.provenance()["command"])
    splits = {
        split: sorted({clip.speaker for clip in prepared.split(split)} - {""})
        for split in ("train", "valid", "test")
    }
    trained = [_train_speakers(stage, finished, prepared) for stage in stages]
    path = hub.locate(finished.config.llm, settings)
    before: dict[str, Any] = {}
    if (path / MANIFEST_NAME).is_file():
        before = read_json(Manifest, path / MANIFEST_NAME).training
        trained.append((before.get("speakers", {}).get("train", []), voices_recorded(before)))
    splits["train"] = sorted({speaker for speakers, _ in trained for speaker in speakers})
    return {
        "corpus": prepared.info["corpus"],
        "clips": {split: len(prepared.split(split)) for split in splits},
        "speakers": splits,
        "base_speakers": sorted(before.get("speakers", {}).get("train", [])),
        "speakers_known": all(recorded for _, recorded in trained),
        "commands": commands,
        "validation": finished.metrics(),
        "llm": finished.config.llm,
    }


def _train_speakers(
    stage: runs.Run, finished: runs.Run, prepared: Prepared
) -> tuple[Sequence[str], bool]:
    """(training speakers of a stage, whether all are known); older runs did not record them."""
    if "train_speakers" in stage.info:
        return stage.info["train_speakers"], bool(stage.info.get("speakers_known"))
    same = Path(stage.config.data).resolve() == Path(finished.config.data).resolve()
    try:
        pinned = runs.pin(prepared if same else load_prepared(Path(stage.config.data)))
    except DataError:  # the folder is gone
        return (), False
    return pinned["train_speakers"], pinned["speakers_known"]
