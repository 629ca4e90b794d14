"""Where recordings, and files that are handed out, lie for as long as the page is served."""

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from audiollm.jobs.identity import Identity, identify, is_alive, this_scope

PREFIX = "audiollm-"
OWNER = "process"  # file in a folder: the identity of the process that made it
FILES = "files"  # folder in a folder: all the rest
HOUR = 3600.0  # s: no page keeps a recording for longer
SWEEP, PARTIAL = 300.0, 3000.0  # s between two looks, and of an upload that broke off


def exit_when_stopped() -> None:
    """The program ends in order at Ctrl+C and SIGTERM, so that its folder goes as well."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: sys.exit(0))


@contextmanager
def folder() -> Iterator[None]:
    """A folder that only this user may enter; it goes, with all that is in it, at the end.

    Folders of processes that were killed go first. Gradio reads the variable when it is imported:
    import it inside.
    """
    sweep(Path(tempfile.gettempdir()))
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix=PREFIX) as path:
        files = Path(path) / FILES
        files.mkdir(mode=0o700)
        (Path(path) / OWNER).write_text(str(identify(os.getpid())), encoding="utf-8")
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = str(files)
        over = threading.Event()
        threading.Thread(target=_sweep_uploads, args=(files, over), daemon=True).start()
        try:
            yield
        finally:
            over.set()
            tempfile.tempdir = before


def sweep(place: Path) -> None:
    """Deletes what processes of this user that were killed have left in a temporary folder.

    Whether a process of another container or boot still runs is not known here: of its folder, and
    of one that does not say whose it is, the files that are older than an hour go.
    """
    for directory in place.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if directory.is_symlink() or not directory.is_dir() or not _own(directory):
                continue
            owner = _owner(directory)
            if owner is None or owner.scope != this_scope():
                _delete_old(directory)
            elif not is_alive(owner):
                shutil.rmtree(directory, ignore_errors=True)


def _sweep_uploads(files: Path, over: threading.Event) -> None:
    """Gradio deletes uploads that are complete; what arrived of one that broke off lies beside the
    folders of those."""
    while not over.wait(SWEEP):
        delete_partial(files)


def delete_partial(files: Path) -> None:
    """Deletes the files right in a folder that nothing was written to for `PARTIAL` seconds."""
    for path in files.iterdir():
        with suppress(OSError):
            if path.is_file() and _age(path) > PARTIAL:
                path.unlink()


def _age(path: Path) -> float:
    """Seconds since a file was written; as many where the clock was set back since."""
    return abs(time.time() - path.lstat().st_mtime)


def _own(path: Path) -> bool:
    user = getattr(os, "getuid", None)  # Windows: every user has another temporary folder
    return user is None or path.lstat().st_uid == user()


def _owner(directory: Path) -> Identity | None:
    try:
        return Identity.parse((directory / OWNER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _delete_old(directory: Path) -> None:
    for place, _, names in os.walk(directory):  # without the targets of links
        for name in names:
            path = Path(place) / name
            if name != OWNER and _age(path) > HOUR:
                path.unlink()
