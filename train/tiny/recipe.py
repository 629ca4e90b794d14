"""`python -m train tiny`: the whole recipe of the small model that ships in assets/.

Every step is one of this project's own commands, run as a person would; a step whose result is
there is passed over, so a stopped recipe goes on where it was. The test speakers are looked at
once, by the last step.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from audiollm import checkpoint
from audiollm.errors import DataError
from audiollm.settings import ASSETS, Settings
from train.tiny.card import write_card


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--emodb", default=str(ASSETS / "emodb"), metavar="DIR", help="EmoDB (default: bundled)")
    add("--ased", default="", metavar="DIR", help="ASED; without it the model is trained on EmoDB")
    add("--work", default="runs/tiny", metavar="DIR", help="where the steps leave their results")
    add("--out", default=str(ASSETS), metavar="DIR", help="gets encoder/ and tiny/")
    add("--encoder-seconds", type=int, default=1000, help="processor time for the encoder")
    add("--language-seconds", type=int, default=1000, help="time for the LLM to learn its language")
    add("--seed", type=int, default=0)


# Chosen by UA on the validation speakers: 0.64; four audio tokens a second and twice the width
# of the projector gave 0.62.
STAGE_1 = (
    "--epochs 6 --per-clip 2 --batch-size 32 --learning-rate 2e-3 --dropout 0.4 --hidden-size 192 "
    "--tokens-per-second 2 --evaluations 6"
)
STAGE_2 = (
    "--epochs 5 --per-clip 3 --batch-size 32 --learning-rate 1e-3 --weight-decay 0.05 "
    "--lora-rank 16 --evaluations 10"
)


@dataclass(frozen=True)
class Step:
    """One command; done when `result` exists."""

    result: Path
    words: tuple[str, ...]  # after `python -m`


def run(args: argparse.Namespace) -> int:
    work, out = Path(args.work), Path(args.out)
    for step in steps(args, work, out):
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
    publish(work, out)
    return 0


def steps(args: argparse.Namespace, work: Path, out: Path) -> Iterator[Step]:
    """The recipe in order."""
    seed = ("--seed", str(args.seed))
    corpora = [("emodb", args.emodb)] + ([("ased", args.ased)] if args.ased else [])
    roots = [word for name, root in corpora for word in (f"--{name}", root)]
    language, encoder = work / "language", out / "encoder"
    spent = ("--seconds", str(args.encoder_seconds))
    yield Step(
        encoder / "encoder.json",
        ("train.tiny.encoder", *roots, "--out", str(encoder), *spent, *seed),
    )
    spent = ("--seconds", str(args.language_seconds))
    yield Step(
        language / "language.json", ("train.tiny.language", "--out", str(language), *spent, *seed)
    )
    data, first, second = work / "data", work / "stage1", work / "stage2"
    sources = [word for name, root in corpora for word in ("--corpus", name, "--root", root)]
    yield _train(
        data / "prepare.json", f"prepare --encoder {encoder} --out {data}", *sources, *seed
    )
    yield _train(
        first / "metrics.json",
        f"fit --stage 1 --data {data} --llm {language} --out {first} {STAGE_1}",
        *seed,
    )
    yield _train(
        second / "metrics.json",
        f"fit --stage 2 --data {data} --from {first} --out {second} {STAGE_2}",
        *seed,
    )
    model = work / "model"
    yield _train(
        model / "audiollm.json", f"merge --run {second} --out {model} --name tiny --store float16"
    )
    for name, root in corpora:
        own, result = work / f"data-{name}", work / f"evaluate-{name}"
        words = f"prepare --corpus {name} --encoder {encoder} --out {own}"
        yield _train(own / "prepare.json", words, "--root", root, *seed)
        words = f"evaluate --model {model} --data {own} --out {result}"
        yield _train(result / "result.json", words)
    result = work / "evaluate"
    words = f"evaluate --model {model} --data {data} --out {result} --record"
    yield _train(result / "result.json", words)


def _train(result: Path, words: str, *more: str) -> Step:
    return Step(result, ("train", *words.split(), *more))


def publish(work: Path, out: Path) -> None:
    """Copies the model beside its encoder with a card that names data, figures and limits.

    The encoder is then called `tiny`, as it is found in assets/ on any machine.
    """
    from dataclasses import replace

    from audiollm.config import MANIFEST_NAME, to_json

    target = out / "tiny"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(work / "model", target)
    manifest = checkpoint.read_manifest(target)
    manifest = replace(manifest, encoder=replace(manifest.encoder, id="tiny"))
    (target / MANIFEST_NAME).write_text(to_json(manifest), encoding="utf-8")
    results = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(work.glob("evaluate*/result.json"))
    }
    write_card(target, manifest, results, checkpoint.fingerprint(target))
    loaded = checkpoint.load(str(target), Settings.from_env())
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    parameters = sum(p.numel() for p in loaded.model.parameters())
    print(f"{target}: {parameters:,} parameters; {out} holds {size / 1e6:.1f} MB.")
