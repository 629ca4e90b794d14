"""The files below a folder, those behind symbolic links too."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from audiollm.audio.loading import SUFFIXES

LOG = logging.getLogger(__name__)
_Place = tuple[int, int]  # device and inode of a folder


def sound_files(folder: Path) -> list[Path]:
    """Every file that is named like sound, sorted. One that cannot be read (a link to nothing) is
    listed too, so that whoever opens it reports it."""
    return sorted(path for path in files_below(folder) if path.suffix.lower() in SUFFIXES)


def files_below(folder: Path) -> Iterator[Path]:
    """Every file in a folder and its subfolders, links to folders included. A link that leads back
    to a folder above it is left out."""
    return _below(folder, frozenset(_place(above) for above in folder.resolve().parents))


def _below(folder: Path, above: frozenset[_Place]) -> Iterator[Path]:
    try:
        here = _place(folder)
        if here in above:
            return
        with os.scandir(folder) as entries:
            children = [(folder / entry.name, entry.is_dir()) for entry in entries]
    except OSError as error:
        LOG.warning("%s cannot be listed: %s", folder, error.strerror)
        return
    for path, is_folder in children:
        if is_folder:
            yield from _below(path, above | {here})
        else:
            yield path


def _place(folder: Path) -> _Place:
    status = folder.stat()
    return status.st_dev, status.st_ino
