"""`python -m train tiny`: the whole recipe of the small model that ships in assets/.

    python -m train tiny --corpora emodb=DIR ased=DIR casia=DIR emovo=DIR nemo=DIR
    python -m train tiny --corpora emodb --out my-assets      # from CC0 speech alone

Every step is a command of this project; a step whose result exists is skipped, so a stopped recipe
continues where it was. No schedule depends on time and every step uses one thread: the same kind of
machine reproduces the weights.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiollm.contracts.fit import RUN_NAME
from audiollm.contracts.prepared import PREPARED
from audiollm.contracts.result import RESULT
from audiollm.errors import DataError
from audiollm.model import checkpoint
from audiollm.settings import ASSETS, Settings
from train.tiny.card import languages, terms, write_card

ENCODER = "whisper-base-front"
LANGUAGE = "--steps 8000"
COPIES = 4  # augmented copies of every training clip
# Chosen by folds; docs/quality.md says what was tried
STAGE_1 = (
    "--max-steps 700 --per-clip 2 --batch-size 32 --learning-rate 2e-3 --weight-decay 0.05 "
    "--pooling utterance --utterance-tokens 1 --hidden-size 256 --dropout 0.5 --noise 0.3 "
    "--input-dropout 0.3 --class-token-weight 10 --label-smoothing 0.1 --auxiliary 1 "
    "--auxiliary-by class --pretraining-epochs 15 --evaluations 2 --baseline 0.5 "
    "--distillation 0.7 --teacher probe"
)
STAGE_2 = (
    "--max-steps 300 --per-clip 2 --batch-size 32 --learning-rate 4e-4 --weight-decay 0.05 "
    "--lora-rank 16 --lora-dropout 0.05 --class-token-weight 10 --label-smoothing 0.1 "
    "--auxiliary 1 --auxiliary-by class --pretraining-epochs 3 --evaluations 2 "
    "--distillation 0.7 --teacher probe"
)
PROBE = "--probe-strength 0.001"
# Speakers of the page's examples: not in the training data
TESTED = ("emodb-10", "emodb-13")

RESULTS = Path("docs/results/protocols.json")

Source = tuple[str, str]  # corpus, folder


@dataclass(frozen=True)
class Recipe:
    """What a model is made with: options of `prepare`, of both stages of `fit`, and of `merge`."""

    encoder: str
    copies: int  # augmented copies of every training clip
    stage_1: str
    stage_2: str
    merge: str


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    words = "what to train on; a name alone is bundled (default: emodb)"
    add("--corpora", nargs="+", default=["emodb"], metavar="NAME[=DIR]", help=words)
    words = "of `python -m train.tiny.protocols` (default: none, answers stay uncalibrated)"
    add("--calibration", type=Path, metavar="FILE", help=words)
    words = "results of the protocols, for the model card"
    add("--protocols", type=Path, default=RESULTS, metavar="FILE", help=words)
    add("--work", default="runs/tiny", metavar="DIR", help="results of the steps")
    add("--out", default=str(ASSETS), metavar="DIR", help="gets tiny/")
    add("--seed", type=int, default=0)


@dataclass(frozen=True)
class Step:
    """One command; done when `result` exists."""

    result: Path
    words: tuple[str, ...]  # after `python -m`


def run(args: argparse.Namespace) -> int:
    work, out = Path(args.work), Path(args.out)
    sources = parse(args.corpora)
    language = work / "language"
    run_steps([pretrain(language, args.seed)])
    testers = [name for name in TESTED if name.partition("-")[0] in dict(sources)]
    tested = ("--test-speakers", ",".join(testers)) if testers else ("--test", "0")
    merged = ("--calibration", str(args.calibration)) if args.calibration else ()
    evaluated = ("--record",) if testers else ()
    run_steps(chain(small(), work, sources, language, args.seed, tested, merged, evaluated))
    publish(work, out, args.protocols if args.calibration else None)
    return 0


def parse(corpora: Sequence[str]) -> list[Source]:
    """`NAME=DIR` or `NAME` -> (name, folder); a name alone stands for the bundled corpus.

    Raises:
        DataError: a corpus that is not bundled has no folder.
    """
    sources = []
    for text in corpora:
        name, _, root = text.partition("=")
        if not root and name != "emodb":
            raise DataError("recipe_not_bundled", name=name)
        sources.append((name, root or near(ASSETS / "emodb")))
    return sources


def run_steps(steps: Iterable[Step], one_thread: bool = True) -> None:
    """Runs the steps that are not done; a fit that was interrupted is resumed.

    Args:
        one_thread: several add up in another order, and Adam makes another model of the last bit.

    Raises:
        DataError: a command failed.
    """
    if one_thread:
        os.environ["OMP_NUM_THREADS"] = "1"
    for step in steps:
        if step.result.exists():
            print(f"done before: {step.result}")
            continue
        words = step.words
        if words[:2] == ("train", "fit") and (step.result.parent / RUN_NAME).is_file():
            words = ("train", "fit", "--resume", str(step.result.parent))
        print(f"$ python -m {shlex.join(words)}", flush=True)
        command = [sys.executable, "-m", *words]
        code = subprocess.run(command, check=False).returncode  # noqa: S603
        if code:
            raise DataError("recipe_step_failed", command=shlex.join(words), exit=code)


def pretrain(folder: Path, seed: int) -> Step:
    """Synthetic pretraining of the LLM; it uses no speech, so every fold may start from it."""
    words = f"train.tiny.language --out {folder} --seed {seed} {LANGUAGE}"
    return Step(folder / "language.json", tuple(words.split()))


def small() -> Recipe:
    """The recipe of the bundled model."""
    return Recipe(ENCODER, COPIES, STAGE_1, STAGE_2, "--name tiny --store float16")


def chain(
    recipe: Recipe,
    work: Path,
    sources: Sequence[Source],
    llm: Path | str,
    seed: int,
    fold: Sequence[str] = (),
    merged: Sequence[str] = (),
    evaluated: Sequence[str] = (),
) -> Iterator[Step]:
    """From speech to an evaluated model, all in the folder `work`.

    `fold` are options of the split, `merged` those of the calibration, `evaluated` those of the
    evaluation. There is no validation split: the recipe is fixed.
    """
    data, model = work / "data", work / "model"
    first, second = work / "stage1", work / "stage2"
    yield prepare(recipe, data, sources, seed, fold)
    yield _train(
        first / "metrics.json",
        f"fit --stage 1 --data {data} --llm {llm} --out {first} --seed {seed} {recipe.stage_1}",
    )
    yield _train(
        second / "metrics.json",
        f"fit --stage 2 --data {data} --from {first} --out {second} --seed {seed} {recipe.stage_2}",
    )
    words = f"merge --run {second} --out {model} {recipe.merge} {PROBE}"
    yield _train(model / "audiollm.json", words, *merged)
    if evaluated or fold[:1] != ("--test",):
        words = f"evaluate --model {model} --data {data} --out {work / 'evaluate'} {PROBE}"
        yield _train(work / "evaluate" / RESULT, words, *evaluated)


def prepare(
    recipe: Recipe, data: Path, sources: Sequence[Source], seed: int, fold: Sequence[str] = ()
) -> Step:
    """Features of all corpora, and of augmented copies of the training clips."""
    options = [word for name, root in sources for word in ("--corpus", name, "--root", root)]
    words = f"prepare --encoder {recipe.encoder} --out {data} --no-frames --no-functionals"
    words += f" --valid 0 --copies {recipe.copies} --seed {seed}"
    return _train(data / PREPARED, words, *options, *fold)


def share_features(first: Path, data: Path) -> None:
    """The features of the folder `first` serve another split too: linked, not computed again."""
    if first != data and not data.exists() and (first / PREPARED).is_file():
        part = data.with_name("data.part")
        shutil.rmtree(part, ignore_errors=True)
        left = shutil.ignore_patterns(PREPARED, ".lock")
        shutil.copytree(first, part, ignore=left, copy_function=_link)
        part.rename(data)


def _link(source: str, target: str) -> None:
    """Shards are never written again; the journal is."""
    if source.endswith(".safetensors"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _train(result: Path, words: str, *more: str) -> Step:
    return Step(result, ("train", *words.split(), *more))


def publish(work: Path, out: Path, protocols: Path | None = None) -> None:
    """Copies the model with a card that names data, figures, terms and limits."""
    from dataclasses import replace

    from audiollm.contracts.manifest import MANIFEST_NAME
    from audiollm.contracts.options import to_json

    target = out / "tiny"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(work / "model", target)
    manifest = checkpoint.read_manifest(target)
    training = manifest.training | {"llm": near(Path(manifest.training["llm"]))}
    corpora = str(training["corpus"]).split("+")
    training |= {"data_languages": languages(corpora), "terms": terms(corpora)}
    results = json.loads(protocols.read_text(encoding="utf-8")) if protocols else {}
    figures = manifest.metrics | ({"protocols": summary(results)} if results else {})
    manifest = replace(manifest, training=training, metrics=figures)
    (target / MANIFEST_NAME).write_text(to_json(manifest), encoding="utf-8")
    record = json.loads((work / "language" / "language.json").read_text(encoding="utf-8"))
    commands = [record["command"], *manifest.training["commands"]]
    write_card(target, manifest, results, commands)
    loaded = checkpoint.load(str(target), Settings.from_env())
    size = sum(p.stat().st_size for p in target.rglob("*") if p.is_file())
    parameters = sum(p.numel() for p in loaded.model.parameters())
    print(f"{target}: {parameters:,} parameters, {size / 1e6:.1f} MB.")


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """The protocols on page and in API: means over corpora of UA and WA without baseline and
    with one of 8 clips, and how often answers are right that say 80 % or more."""
    figures = {}
    for protocol, measured in results["protocols"].items():
        systems = [corpus["systems"] for corpus in measured["corpora"].values()]
        figures[protocol] = {
            key: round(float(np.mean([s[mode][share]["value"] for s in systems])), 4)
            for key, mode, share in (
                ("ua", "0", "ua"),
                ("wa", "0", "wa"),
                ("ua_8", "8", "ua"),
                ("wa_8", "8", "wa"),
            )
        }
        plain = measured["calibration"]["0"]
        figures[protocol] |= {key: plain[key] for key in ("ece", "sure", "share")}
    return figures


def near(path: Path) -> str:
    """The path relative to the working folder, if it is inside: a card shows no private paths."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
