"""What commands that are started by their module (`python -m bench.loop`) have in common."""

import argparse
import sys
from collections.abc import Callable, Sequence

from audiollm.errors import AudioLLMError
from audiollm.settings import terminal_language
from audiollm.texts import console


def main(
    name: str,
    about: str,
    configure: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None = None,
) -> int:
    """Parses the arguments and runs; an error of ours becomes one sentence and exit code 1."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}", description=about.split("\n", maxsplit=1)[0]
    )
    configure(parser)

    def attempt() -> int:
        try:
            return run(parser.parse_args(argv))
        except AudioLLMError as error:
            print(error.in_language(terminal_language()), file=sys.stderr)
            return 1

    return console.run(attempt)
