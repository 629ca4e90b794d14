"""`python -m audiollm.deploy space|model|labels`: this program and its results on the hub."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from audiollm.deploy import repositories, space, tree
from audiollm.deploy.calls import Call, full_name, run
from audiollm.errors import AudioLLMError
from audiollm.jobs.temporary import PREFIX  # the next start of the page deletes what a kill leaves
from audiollm.labelling.store import LabelStore
from audiollm.settings import Settings, terminal_language
from audiollm.texts import console, text

ROOT = Path(__file__).parents[2]
EPILOG = """examples:
  python -m audiollm.deploy space emotion --dry-run        checks the files, prints every call
  python -m audiollm.deploy space emotion --secret AUDIOLLM_OWNER --public
  python -m audiollm.deploy model models/mine --to ann/mine --license cc-by-4.0
  python -m audiollm.deploy labels --to ann/labels

Log in first: hf auth login, or HF_TOKEN. What is new is private without --public. A command may be
repeated: it creates what is missing and updates the rest."""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m audiollm.deploy",
        description="Puts the program, a model or people's labels on the Hugging Face hub.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("space", help="the program as a Space").add_argument
    add("to", metavar="NAME", help="of the Space: name, or user/name")
    add("--hardware", default="", metavar="H", help="cpu-basic, t4-small, zero-a10g, ...")
    add(
        "--sleep", type=int, metavar="S", help="seconds without visitors until it sleeps; -1: never"
    )
    add("--variable", action="append", default=[], metavar="NAME=VALUE", help="everybody sees it")
    words = "environment variable of this machine that the Space gets as a secret"
    add("--secret", action="append", default=[], metavar="NAME", help=words)
    words = "for labels, jobs and models (default: NAME-data; none: they go with each restart)"
    add("--bucket", default="", metavar="B", help=words)
    add = commands.add_parser("model", help="a model folder").add_argument
    add("folder", type=Path, metavar="DIR", help="made by `python -m train merge`")
    add("--to", required=True, metavar="USER/NAME", help="the repository")
    add("--license", default="", metavar="L", help="of the weights, as the hub names it")
    add = commands.add_parser("labels", help="labelled clips as a data set").add_argument
    add("--to", required=True, metavar="USER/NAME", help="the repository")
    for command in commands.choices.values():
        command.add_argument(
            "--public", action="store_true", help="everybody may see it, from now on"
        )
        words = "print the calls and make none; needs no network"
        command.add_argument("--dry-run", action="store_true", help=words)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """0: done; 1: something here must be changed first, or the hub refused; 2: wrong arguments."""
    return console.run(partial(_main, argv))


def _main(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    try:
        home = Settings.from_env().home
        with tempfile.TemporaryDirectory(prefix=PREFIX) as place:
            return _deploy(args, home, Path(place) / "dataset")
    except AudioLLMError as error:
        print(error.in_language(terminal_language()), file=sys.stderr)
        return 1


def _deploy(args: argparse.Namespace, home: Path, place: Path) -> int:
    language = terminal_language()
    if args.command == "space" and (problems := tree.problems(ROOT)):
        for problem in problems:
            print(problem.in_language(language), file=sys.stderr)
        return 1
    name = full_name(args.to, ask=not args.dry_run)
    calls = _calls(args, name, home, place)
    for call in calls:
        print(call, flush=True)
    if args.dry_run:
        print(text("deploy_dry", language), file=sys.stderr)
        return 0
    done = run(calls)
    if args.command == "model":
        command = f"python -m audiollm FILE --model {name}@{done.oid}"
        print(text("deploy_use", language, command=command))
    else:
        print(text("deploy_done", language, url=done.repo_url))
    return 0


def _calls(args: argparse.Namespace, name: str, home: Path, place: Path) -> list[Call]:
    if args.command == "model":
        return repositories.model_calls(args.folder, name, licence=args.license, public=args.public)
    if args.command == "labels":
        outcomes = LabelStore(home).outcomes()
        return repositories.label_calls(outcomes, place, name, public=args.public)
    bucket = args.bucket or f"{name}-data"
    if args.bucket and "/" not in bucket:
        bucket = f"{name.partition('/')[0]}/{bucket}"
    options = space.SpaceOptions(
        hardware=args.hardware,
        sleep=args.sleep,
        bucket="" if args.bucket == "none" else bucket,
        variables=tuple(args.variable),
        secrets=tuple(args.secret),
        public=args.public,
    )
    return space.calls(name, ROOT, options)


if __name__ == "__main__":
    sys.exit(main())
