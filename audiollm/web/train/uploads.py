"""What somebody has uploaded: listed, and deleted for good, for voices are personal. No gradio."""

import shutil
from pathlib import Path
from uuid import uuid4

from audiollm.audio import SUFFIXES
from audiollm.jobs.job import ACTIVE
from audiollm.web.auth.access import opened
from audiollm.web.said import SaidError
from audiollm.web.services import Services
from audiollm.web.train import actions
from audiollm.web.train.sources import TABLES
from audiollm.web.train.upload import PART, UPLOADS, alone


def uploads(services: Services) -> list[Path]:
    """The folders of all uploads, by name.

    Raises:
        ShutError: see `opened`.
    """
    place = opened(services).home.resolve() / UPLOADS
    try:
        return sorted(p for p in place.iterdir() if _is_upload(p))
    except OSError:  # nobody has uploaded
        return []


def _is_upload(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not path.name.startswith(".")


def place_of(folder: Path) -> Path:
    """What is named to train on an upload: its table where it has one, else the folder."""
    tables = [path for path in folder.iterdir() if path.suffix.lower() in TABLES]
    return tables[0] if len(tables) == 1 else folder


def named(services: Services, name: str | None) -> Path:
    """The upload of that name.

    Raises:
        ShutError: see `opened`.
        SaidError: there is none.
    """
    for folder in uploads(services):
        if folder.name == name:
            return folder
    raise SaidError("upload_gone", name=name or "")


def sounds(folder: Path) -> int:
    """How many sound files are in it."""
    return sum(path.suffix.lower() in SUFFIXES for path in folder.rglob("*"))


def delete(services: Services, name: str | None) -> None:
    """Deletes an upload with all of its sounds. What was prepared from it holds none, and stays.

    Raises:
        ShutError: see `opened`.
        SaidError: there is none, a job is to read it, or the disk refuses.
    """
    folder = named(services, name)
    for job in actions.jobs(services):
        words = (word for step in job.steps for word in step.words)
        if job.state in ("waiting", *ACTIVE) and any(_is_in(word, folder) for word in words):
            raise SaidError("upload_used", name=folder.name, job=job.name)
    try:
        with alone(folder.parent):  # what cannot be deleted now goes with the next upload
            part = folder.with_name(f"{PART}{uuid4().hex}")
            folder.rename(part)
            shutil.rmtree(part)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SaidError("upload_stays", name=folder.name, reason=reason) from error


def _is_in(word: str, folder: Path) -> bool:
    return word == str(folder) or word.startswith(f"{folder}/")
