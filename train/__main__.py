"""`python -m train COMMAND`: from recordings to a model folder."""

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import NamedTuple

from audiollm import __version__
from audiollm.contracts.messages import write_refusal
from audiollm.errors import AudioLLMError
from audiollm.settings import refusal_file, terminal_language
from audiollm.texts import console

_AGAIN = "give the same command again, it continues where it was"


class Command(NamedTuple):
    """A module with `configure(parser)` and `run(args) -> exit code`, imported when chosen."""

    module: str
    help: str
    resume: str = _AGAIN


COMMANDS = {
    "prepare": Command(
        "train.data.prepare",
        "read a corpus, split it by speaker, extract encoder features",
    ),
    "look": Command("train.data.look", "summary of a corpus before it is prepared"),
    "fit": Command(
        "train.fit.fit",
        "train: stage 1 the projector, stage 2 projector and LoRA",
        "continue from its last checkpoint with python -m train fit --resume RUN, the run's folder",
    ),
    "merge": Command(
        "train.fit.merge",
        "merge LoRA into the LLM: one self-contained model folder",
        "give the same command again, it starts anew",
    ),
    "evaluate": Command(
        "train.evaluate.evaluate",
        "test a model on speakers that it was not trained on",
        "give the same command again, it starts anew",
    ),
    "robustness": Command(
        "train.evaluate.robustness",
        "test a model under noise, room and telephone conditions",
        "give the same command again, it starts anew",
    ),
    "label-errors": Command(
        "train.labels.label_errors", "find labels that are probably wrong, worst first"
    ),
    "learning-curve": Command(
        "train.labels.learning_curve", "accuracy as a function of the number of labels"
    ),
    "relabel": Command(
        "train.labels.relabel", "training data with corrected labels, and a run to continue from"
    ),
    "compare": Command(
        "train.evaluate.compare",
        "paired comparison of two models, such as a new one and the active one",
        "give the same command again, it starts anew",
    ),
    "real": Command(
        "train.real",
        "train Qwen2.5 on corpora, from recordings to an evaluated model",
        "give the same command again, it continues",
    ),
    "tiny": Command("train.tiny.recipe", "train the small model that ships with this project"),
}
FORMER_NAMES = {"suspects": "label-errors", "worth": "learning-curve"}
EPILOG = """from recordings to an analysis, with the bundled corpus:
  python -m train prepare --corpus emodb
      recordings -> data/emodb: splits, measured cues, features of the frozen encoder
  python -m train fit --stage 1 --data data/emodb
      -> runs/emodb-stage1: a projector for the frozen LLM
  python -m train fit --stage 2 --data data/emodb --from runs/emodb-stage1
      -> runs/emodb-stage2: projector and LoRA
  python -m train merge --run runs/emodb-stage2 --out models/mine
      -> models/mine: a self-contained model folder
  python -m train evaluate --model models/mine --data data/emodb
      -> metrics on test speakers, and a report
  python -m audiollm --model models/mine FILE...
      -> the analysis of a recording

python -m train COMMAND --help lists the options. A stopped command continues when it is run again;
a stopped fit continues with python -m train fit --resume RUN."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. 0: done; 2: a sentence on stderr says what to do; 130: Ctrl-C."""
    return console.run(partial(_main, argv))


def _main(argv: Sequence[str] | None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    argv[:1] = [FORMER_NAMES.get(name, name) for name in argv[:1]]
    warnings.filterwarnings("ignore", category=FutureWarning)  # of transformers, to its developers
    chosen = argv[0] if argv and argv[0] in COMMANDS else None
    try:
        module, args = _parse(argv, chosen)
        return int(module.run(args))
    except AudioLLMError as error:
        if file := refusal_file():
            with suppress(OSError):  # a full disk: the sentence below has no code
                write_refusal(error, file)
        print(error.in_language(terminal_language()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        resume = COMMANDS[chosen].resume if chosen else _AGAIN
        print(f"\nStopped, finished work is saved: {resume}.", file=sys.stderr)
        return 130


def _parse(argv: list[str], chosen: str | None) -> tuple[ModuleType, argparse.Namespace]:
    """Only the chosen command's module is imported, so that --help comes at once."""
    parser = argparse.ArgumentParser(
        prog="python -m train",
        description="Trains an Audio-LLM for speech emotion recognition.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"audiollm {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    module = importlib.import_module(COMMANDS[chosen].module) if chosen else None
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.help, description=_sentence(command.help))
        if module is not None and name == chosen:
            module.configure(sub)
    args = parser.parse_args(argv)
    if module is None:  # argparse has left already: no command, an unknown one, or --help
        raise AssertionError(argv)
    return module, args


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    sys.exit(main())
