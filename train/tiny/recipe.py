"""`python -m train tiny`: the whole recipe of the small model that ships in assets/.

Every step is one of this project's own commands, run as a person would; a step whose result is
there is passed over, so a stopped recipe goes on where it was. Nothing follows the clock and
every step computes with one thread: the same kind of machine makes the same weights again.
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

from audiollm import checkpoint
from audiollm.errors import DataError
from audiollm.settings import ASSETS, Settings
from train.tiny.card import write_card

# Chosen on the validation speakers of seed 0; `python -m bench.ablations` changes one at a time.
ENCODER = "--steps 240"
LANGUAGE = "--steps 4500"
STAGE_1 = (
    "--max-steps 544 --per-clip 2 --batch-size 32 --learning-rate 2e-3 --weight-decay 0.05 "
    "--pooling utterance --utterance-tokens 1 --hidden-size 192 --dropout 0.5 --noise 0.3 "
    "--input-dropout 0.5 --functionals-dropout 0.2 --lead 10 --smoothing 0.1 --auxiliary 1 "
    "--warm-up 60 --evaluations 8"
)
STAGE_2 = (
    "--max-steps 204 --per-clip 2 --batch-size 32 --learning-rate 1e-4 --weight-decay 0.05 "
    "--lora-rank 16 --lora-dropout 0.1 --lead 10 --smoothing 0.1 --evaluations 4"
)
# Test speakers of seed 0, who judge the shipped model: they take no part in its temperature.
TESTED = {"emodb-10", "emodb-13"} | {f"ased-{n}" for n in (26, 30, 32, 33, 36, 48, 52, 54, 60, 65)}
# What the answers to all others ask for in the folds of both corpora, clip by clip (1.02 for ASED,
# 1.13 for EmoDB in docs/results/folds-*.json): of many more people than the few who validate.
TEMPERATURE = 1.05
ASKED_BY = "the folds of EmoDB and ASED without the test speakers (docs/quality.md)"

Source = tuple[str, str]  # corpus, folder


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--emodb", default=near(ASSETS / "emodb"), metavar="DIR", help="EmoDB (default: bundled)")
    add("--ased", default="", metavar="DIR", help="ASED; without it the model is trained on EmoDB")
    add("--work", default="runs/tiny", metavar="DIR", help="where the steps leave their results")
    add("--out", default=str(ASSETS), metavar="DIR", help="gets encoder/ and tiny/")
    add("--seed", type=int, default=0)


@dataclass(frozen=True)
class Step:
    """One command; done when `result` exists."""

    result: Path
    words: tuple[str, ...]  # after `python -m`


def run(args: argparse.Namespace) -> int:
    work, out = Path(args.work), Path(args.out)
    sources = [("emodb", args.emodb)] + ([("ased", args.ased)] if args.ased else [])
    language = work / "language"
    encoder = work / "encoder"
    walk([teach_ear(encoder, sources, args.seed), teach_language(language, args.seed)])
    asked = ("--temperature", f"{TEMPERATURE}", "--fitted-on", ASKED_BY)
    walk(chain(work, sources, language, encoder, args.seed, calibrated=asked))
    for name, root in sources:  # the same speakers are tested, one corpus at a time
        data, result = work / f"data-{name}", work / f"evaluate-{name}"
        share_features(work / "data", data)
        walk([hear(data, [(name, root)], encoder, args.seed)])
        walk([judge(work / "model", data, result)])
    publish(work, out)
    return 0


def walk(steps: Iterable[Step]) -> None:
    """Takes the steps that are not done.

    Raises:
        DataError: a command failed; what it said stands above.
    """
    # several threads add up in another order, and Adam makes another model of the last bit
    os.environ["OMP_NUM_THREADS"] = "1"
    for step in steps:
        if step.result.exists():
            print(f"done before: {step.result}")
            continue
        print(f"$ python -m {shlex.join(step.words)}", flush=True)
        code = subprocess.run([sys.executable, "-m", *step.words], check=False).returncode  # noqa: S603
        if code:
            raise DataError(
                f"The step `python -m {shlex.join(step.words)}` stopped with code {code}: mend "
                "what it says and give the recipe again, it goes on there."
            )


def teach_ear(place: Path, sources: Sequence[Source], seed: int) -> Step:
    """The encoder learns to hear the train speakers of the corpora."""
    words = f"train.tiny.encoder --out {place} --run {place}-run --seed {seed} {ENCODER}"
    roots = [word for name, root in sources for word in (f"--{name}", root)]
    return Step(place / "encoder.json", (*words.split(), *roots))


def teach_language(place: Path, seed: int) -> Step:
    """The LLM learns its language; it hears nobody, so every fold may start from it."""
    words = f"train.tiny.language --out {place} --seed {seed} {LANGUAGE}"
    return Step(place / "language.json", tuple(words.split()))


def chain(
    work: Path,
    sources: Sequence[Source],
    language: Path,
    encoder: Path,
    seed: int,
    fold: Sequence[str] = (),
    calibrated: Sequence[str] = (),
    judged: Sequence[str] = ("--record",),
) -> Iterator[Step]:
    """From sound to a judged model, all in the folder `work`.

    `fold` are options of the split, `calibrated` those of the temperature, `judged` those of the
    evaluation. Nobody validates.
    """
    data, model = work / "data", work / "model"
    first, second = work / "stage1", work / "stage2"
    yield hear(data, sources, encoder, seed, fold)
    yield _train(
        first / "metrics.json",
        f"fit --stage 1 --data {data} --llm {language} --out {first} --seed {seed} {STAGE_1}",
    )
    yield _train(
        second / "metrics.json",
        f"fit --stage 2 --data {data} --from {first} --out {second} --seed {seed} {STAGE_2}",
    )
    words = f"merge --run {second} --out {model} --name tiny --store float16"
    yield _train(model / "audiollm.json", words, *calibrated)
    yield judge(model, data, work / "evaluate", *judged)


def hear(
    data: Path, sources: Sequence[Source], encoder: Path, seed: int, fold: Sequence[str] = ()
) -> Step:
    named = [word for name, root in sources for word in ("--corpus", name, "--root", root)]
    words = f"prepare --encoder {encoder} --out {data} --no-frames --copies 2 --seed {seed}"
    words += " --train-on-valid"
    return _train(data / "prepare.json", words, *named, *fold)


def share_features(first: Path, data: Path) -> None:
    """What the folder `first` has heard need not be heard again for another split or choice."""
    if first != data and not data.exists() and (first / "prepare.json").is_file():
        part = data.with_name("data.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(first, part, ignore=shutil.ignore_patterns("prepare.json"))
        part.rename(data)


def judge(model: Path, data: Path, result: Path, *more: str) -> Step:
    words = f"evaluate --model {model} --data {data} --out {result}"
    return _train(result / "result.json", words, *more)


def _train(result: Path, words: str, *more: str) -> Step:
    return Step(result, ("train", *words.split(), *more))


def publish(work: Path, out: Path) -> None:
    """Copies model and encoder with a card that names data, figures and limits.

    The encoder is then called `tiny`, as it is found in assets/ on any machine.
    """
    from dataclasses import replace

    from audiollm.config import MANIFEST_NAME, to_json

    for name, made in (("encoder", work / "encoder"), ("tiny", work / "model")):
        shutil.rmtree(out / name, ignore_errors=True)
        shutil.copytree(made, out / name)
    target = out / "tiny"
    manifest = checkpoint.read_manifest(target)
    training = manifest.training | {"llm": near(Path(manifest.training["llm"]))}
    manifest = replace(manifest, encoder=replace(manifest.encoder, id="tiny"), training=training)
    (target / MANIFEST_NAME).write_text(to_json(manifest), encoding="utf-8")
    results = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(work.glob("evaluate*/result.json"))
    }
    records = [work / "encoder" / "encoder.json", work / "language" / "language.json"]
    commands = [json.loads(path.read_text(encoding="utf-8"))["command"] for path in records]
    commands += manifest.training["commands"]
    write_card(target, manifest, results, checkpoint.fingerprint(target), commands)
    loaded = checkpoint.load(str(target), Settings.from_env())
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    parameters = sum(p.numel() for p in loaded.model.parameters())
    print(f"{target}: {parameters:,} parameters; {out} holds {size / 1e6:.1f} MB.")


def near(path: Path) -> str:
    """The path as seen from here: a card tells no stranger where its maker keeps files."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
