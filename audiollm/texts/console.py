"""Standard output and error of commands: no text ends them, and a closed pipe does so quietly."""

import codecs
import io
import json
import os
import select
import sys
from collections.abc import Callable

CLOSED = 141  # exit code of a command whose reader has left: 128 and the number of SIGPIPE
_ERRORS = "audiollm"  # how `codecs` calls `_replace`
_PLAIN = {"█": "#", "−": "-", "–": "-", "—": "-", "…": "...", "’": "'", "“": '"', "”": '"'}


def run(main: Callable[[], int]) -> int:
    """Runs a command and returns its exit code. Its reader may leave before the end."""
    accept_any_text()
    try:
        code = main()
        if sys.stdout:  # not closed from the start
            sys.stdout.flush()
    except SystemExit:  # of argparse
        if not _is_left():
            raise
    except BrokenPipeError:
        if not _is_left():  # another pipe
            raise
    else:
        return code
    # what is still buffered is dropped, or Python complains when it exits
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return CLOSED


def _is_left() -> bool:
    """Whether nobody reads standard output any more."""
    if not sys.stdout:
        return False
    try:
        sys.stdout.flush()
        if hasattr(select, "poll"):  # without a buffer there is nothing to flush
            pipe = select.poll()
            pipe.register(sys.stdout.fileno(), 0)
            return bool(pipe.poll(0))
    except BrokenPipeError:
        return True
    except io.UnsupportedOperation:  # it is no file
        return False
    return False


def accept_any_text() -> None:
    """What the terminal's encoding lacks (GBK, cp1252), and a file name that is no UTF-8, is
    written as a plain sign or as an escape like \\udcff."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def json_line(content: object) -> str:
    """JSON in one line, to be printed: in ASCII where standard output is not in UTF-8."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return json.dumps(content, ensure_ascii=codecs.lookup(encoding).name != "utf-8")


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    char = error.object[error.start]
    return _PLAIN.get(char) or char.encode("ascii", "backslashreplace").decode(), error.start + 1


codecs.register_error(_ERRORS, _replace)
