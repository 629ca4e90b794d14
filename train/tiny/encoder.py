"""Trains the small encoder that ships in `assets/encoder`.

    python -m train.tiny.encoder --emodb DIR --ased DIR --out assets/encoder

An Emotion2vec network of 2.1 million parameters learns to hear (frame targets), then to tell
emotions apart. It sees the train speakers only, of the same split or fold that `python -m train
prepare` makes; the valid speakers stop it, the test speakers are looked at once, at the end.
"""

import argparse
import json
import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from audiollm import audio, encoder, labels, metrics
from audiollm.encoder import emotion2vec
from audiollm.errors import AudioError, DataError
from audiollm.settings import ASSETS, Settings
from train import corpora, splits
from train.command import main as command
from train.tiny.augment import Voice
from train.tiny.learner import Learner, Phase, Recipe, Sampler, probabilities

WIDTH = 192
CORPORA = ("emodb", "ased")
CHECKPOINT = "last.pt"
RECORD = "encoder.json"
EXAMINATIONS = 6  # of the valid speakers, evenly over the second phase
SAVE_SECONDS = 60.0
LOG_STEPS = 20
EVENT_FILE = "progress.jsonl"

log = logging.getLogger(__name__)


def model_conf() -> dict[str, Any]:
    """2.1 million parameters, 4.3 MB in float16."""
    return emotion2vec.small_conf(
        width=WIDTH,
        depth=3,
        prenet_depth=1,
        heads=4,
        conv_layers=[(192, 400, 160), (192, 3, 2)],
        conv_pos_depth=3,
        conv_pos_width=57,
        extra_tokens=4,
    )


@dataclass(frozen=True, eq=False)
class Speech:
    """All clips in memory, by side of the split."""

    sides: dict[str, list[Voice]]  # train | valid | test
    roots: dict[str, str]  # corpus -> folder

    @property
    def classes(self) -> tuple[str, ...]:
        return labels.ordered(v.label for voices in self.sides.values() for v in voices)

    def speakers(self) -> dict[str, list[str]]:
        return {side: sorted({v.speaker for v in vs}) for side, vs in self.sides.items()}


def read_speech(roots: dict[str, Path], seed: int, folds: int = 0, fold: int = 0) -> Speech:
    """Decode every clip of the corpora and part them by speaker, exactly as `prepare` does:
    clips without speech and copies are left out first.

    Raises:
        AudioLLMError: a corpus cannot be read or split.
    """
    sides: dict[str, list[Voice]] = {side: [] for side in corpora.SPLITS}
    for name, root in roots.items():
        corpus = corpora.read(name, root)
        heard: list[corpora.Clip] = []
        voices: dict[str, Voice] = {}
        for clip in tqdm(corpus.clips, desc=f"reading {name}", unit="clip", mininterval=2):
            try:
                sound = audio.load(corpus.open(clip))
                audio.require_speech(sound)
            except AudioError as error:
                log.warning("%s is left out: %s", clip.path, error)
                continue
            heard.append(replace(clip, id=audio.content_hash(sound)))
            if heard[-1].id not in voices:
                voices[heard[-1].id] = Voice.of(sound.samples, clip.label, clip.speaker, name)
        kept, copies = splits.without_copies(heard)
        for copy in copies:
            log.warning("%s is left out: %s", copy.path, copy.reason)
        for clip in splits.split(kept, seed, folds=folds, fold=fold).clips:
            sides[clip.split].append(voices[clip.id])
    return Speech(sides, {name: str(root) for name, root in roots.items()})


def examine(network: nn.Module, voices: Sequence[Voice], classes: Sequence[str]) -> dict[str, Any]:
    """Short metrics of the network's own head on whole clips, for each corpus."""
    result: dict[str, Any] = {}
    for corpus in sorted({v.corpus for v in voices}):
        part = [v for v in voices if v.corpus == corpus]
        scores = probabilities(network, part)
        answers = [classes[i] for i in scores.argmax(1)]
        measured = metrics.report(
            [v.label for v in part], answers, scores, classes, [v.speaker for v in part]
        )
        result[corpus] = measured.short()
    return result


def mean_ua(examined: dict[str, Any]) -> float:
    return float(np.mean([figures["ua"]["value"] for figures in examined.values()]))


class Run:
    """A training run in a folder: it goes on from its last checkpoint after a stop."""

    def __init__(self, folder: Path, speech: Speech, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.folder, self.speech, self.recipe = folder, speech, recipe
        network = emotion2vec.build_network(model_conf(), len(speech.classes))
        self.learner = Learner(network, WIDTH, speech.classes, recipe)
        self.sampler = Sampler(speech.sides["train"])
        self.commits = [_commit()]  # one for each part of the run
        self.step = 0
        self.seconds = 0.0  # of the processor, training and examinations
        self.wall_seconds = 0.0
        self.examined = 0
        self.best: dict[str, Any] = {"ua": -1.0}  # ua, step, valid, weights
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).is_file():
            self._resume()
        else:
            self.learner.prepare(speech.sides["train"])

    def train(self) -> None:
        """Go on until the steps of the recipe are done."""
        saved = self.seconds
        sums: dict[str, list[float]] = {}
        with tqdm(total=self.recipe.steps, initial=self.step, unit="step") as bar:
            while self.step < self.recipe.steps:
                began, began_wall = time.process_time(), time.monotonic()
                phase, progress = self.recipe.phase(self.step)
                for name, loss in self.learner.step(
                    self.sampler, self.step, phase, progress
                ).items():
                    sums.setdefault(name, []).append(loss)
                self.step += 1
                bar.update()
                if phase == "feel" and progress >= (self.examined + 1) / (EXAMINATIONS + 1):
                    self._examine(progress)
                self.seconds += time.process_time() - began
                self.wall_seconds += time.monotonic() - began_wall
                if self.step % LOG_STEPS == 0:
                    self._event(phase, sums)
                    bar.set_postfix({k: f"{np.mean(v):.3f}" for k, v in sums.items()})
                    sums = {}
                if self.seconds - saved > SAVE_SECONDS:
                    self._save()
                    saved = self.seconds
        self._examine(1.0)
        self._save()

    def _examine(self, progress: float) -> None:
        """Look at the valid speakers; keep the averaged weights if they are the best so far."""
        self.examined = int(progress * (EXAMINATIONS + 1))
        network = self.learner.average
        if network is None:
            return
        valid = examine(network, self.speech.sides["valid"], self.speech.classes)
        self._write({"step": self.step, "seconds": round(self.seconds, 1), "valid": valid})
        if mean_ua(valid) > self.best["ua"]:
            weights = {k: v.clone() for k, v in network.state_dict().items()}
            self.best = {
                "ua": mean_ua(valid),
                "step": self.step,
                "valid": valid,
                "weights": weights,
            }

    def _event(self, phase: Phase, sums: dict[str, list[float]]) -> None:
        losses = {name: round(float(np.mean(values)), 4) for name, values in sums.items()}
        self._write({"step": self.step, "seconds": round(self.seconds, 1), "phase": phase} | losses)

    def _write(self, event: dict[str, Any]) -> None:
        with (self.folder / EVENT_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def events(self) -> list[dict[str, Any]]:
        lines = (self.folder / EVENT_FILE).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def _identity(self) -> str:
        """What must not change between the parts of one run."""
        return json.dumps([asdict(self.recipe), self.speech.speakers(), model_conf()])

    def _save(self) -> None:
        state = {
            "identity": self._identity(),
            "commits": self.commits,
            "step": self.step,
            "seconds": self.seconds,
            "wall_seconds": self.wall_seconds,
            "examined": self.examined,
            "best": self.best,
            "learner": self.learner.state(),
        }
        part = self.folder / (CHECKPOINT + ".part")
        torch.save(state, part)
        part.replace(self.folder / CHECKPOINT)

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        state = torch.load(path, weights_only=True)
        if state["identity"] != self._identity():
            raise DataError(
                f"{path} belongs to a run with other settings or data: give another --run folder."
            )
        self.commits = state["commits"] + self.commits
        self.step, self.seconds = state["step"], state["seconds"]
        self.wall_seconds = state["wall_seconds"]
        self.examined, self.best = state["examined"], state["best"]
        self.learner.restore(state["learner"])
        log.info("goes on at step %d, %.0f s", self.step, self.seconds)


def export(run: Run, out: Path, command: str) -> dict[str, Any]:
    """Write the best weights as an encoder folder, measure what was written, and record it all."""
    network = run.learner.network
    network.load_state_dict(run.best["weights"])
    emotion2vec.save(network, model_conf(), run.speech.classes, out, torch.float16)
    loaded = encoder.load(str(out), Settings())
    sides = run.speech.sides
    events = [e for e in run.events() if e["step"] <= run.step]
    record = {
        "fingerprint": loaded.fingerprint,
        "parameters": sum(p.numel() for p in network.parameters()),
        "classes": list(run.speech.classes),
        "command": command,
        "commits": list(dict.fromkeys(run.commits)),
        "recipe": asdict(run.recipe),
        "data": {
            corpus: {
                side: sum(v.corpus == corpus for v in voices) for side, voices in sides.items()
            }
            for corpus in run.speech.roots
        },
        "speakers": run.speech.speakers(),
        "steps": run.step,
        "processor_seconds": round(run.seconds, 1),
        "wall_seconds": round(run.wall_seconds, 1),
        "epochs": _epochs(events, run.recipe, len(sides["train"])),
        "losses": {
            phase: next((e for e in reversed(events) if e.get("phase") == phase), None)
            for phase in ("hear", "feel")
        },
        "stopped_at_step": run.best["step"],
        "valid": examine(loaded.network, sides["valid"], run.speech.classes),
        "test": examine(loaded.network, sides["test"], run.speech.classes),
    }
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (out / RECORD).write_text(text, encoding="utf-8")
    return record


def _epochs(events: list[dict[str, Any]], recipe: Recipe, clips: int) -> dict[str, float]:
    """Crops drawn in each phase over the number of training clips."""
    hear = max((e["step"] for e in events if e.get("phase") == "hear"), default=0)
    feel = max((e["step"] for e in events), default=0) - hear
    return {
        "hear": round(hear * recipe.hear_batch / clips, 1),
        "feel": round(feel * recipe.feel_batch / clips, 1),
    }


def _commit() -> str:
    """Commit of the working tree, empty outside a clone."""
    asked = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        cwd=ASSETS.parent,
    )
    return asked.stdout.strip()


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--emodb", type=Path, default=ASSETS / "emodb", help="folder of EmoDB")
    parser.add_argument("--no-emodb", dest="emodb", action="store_const", const=None)
    parser.add_argument("--ased", type=Path, help="folder of ASED; left out without it")
    parser.add_argument("--out", type=Path, required=True, help="encoder folder to write")
    parser.add_argument("--run", type=Path, default=Path("runs/tiny-encoder"), help="run folder")
    parser.add_argument(
        "--steps",
        type=int,
        default=Recipe.steps,
        help="of training, about a second each (default: %(default)d)",
    )
    parser.add_argument("--folds", type=int, default=0, help="part the speakers into K folds")
    parser.add_argument("--fold", type=int, default=0, help="leave this fold out, 0 to K-1")
    parser.add_argument("--seed", type=int, default=Recipe.seed)


def run(args: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    roots = {name: root for name in CORPORA if (root := getattr(args, name)) is not None}
    speech = read_speech(roots, args.seed, args.folds, args.fold)
    training = Run(args.run, speech, Recipe(steps=args.steps, seed=args.seed))
    training.train()
    record = export(
        training, args.out, shlex.join(["python", "-m", "train.tiny.encoder", *sys.argv[1:]])
    )
    for side in ("valid", "test"):
        for corpus, figures in record[side].items():
            log.info("%s %s: UA %.3f, n %d", corpus, side, figures["ua"]["value"], figures["n"])
    return 0


if __name__ == "__main__":
    sys.exit(command("train.tiny.encoder", __doc__, configure, run))
