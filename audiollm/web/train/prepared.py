"""Which prepared folders there are to train on, each in a few figures. No gradio."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiollm.web.auth.access import opened
from audiollm.web.services import Services

LOG = logging.getLogger(__name__)
MADE = Path("data")  # where `python -m train prepare` puts what it makes
PREPARED, SUMMARY = "prepare.json", "summary.json"
SIDES = ("train", "valid", "test")


@dataclass(frozen=True)
class Side:
    """The clips that train, validate or test."""

    clips: int
    speakers: int  # 0: not known
    hours: float


@dataclass(frozen=True)
class Data:
    """A prepared folder in figures."""

    folder: Path
    whole: Side
    classes: Mapping[str, int]  # canonical name -> clips
    sides: Mapping[str, Side]  # in the order of SIDES
    rejected: int = 0  # files
    shared: int = 0  # speakers on more than one side
    notes: tuple[str, ...] = ()


def prepared(services: Services) -> list[Data]:
    """The prepared folders in ./data and in the home folder, by name; broken ones are left out.

    Raises:
        ShutError: see `opened`.
    """
    found = []
    for folder in prepared_folders(services):
        try:
            found.append(_read(folder))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            LOG.warning("%s is left out of the list of data: %r", folder, error)
    return found


def prepared_folders(services: Services) -> list[Path]:
    """Where they are, broken ones too.

    Raises:
        ShutError: see `opened`.
    """
    folders: dict[Path, None] = {}
    for place in (MADE, opened(services).home / "data"):
        try:
            folders |= dict.fromkeys(sorted(path.parent.resolve() for path in _below(place)))
        except OSError as error:
            LOG.warning("%s cannot be listed: %s", place, error)
    return list(folders)


def _below(place: Path) -> list[Path]:
    return list(place.glob(f"*/{PREPARED}")) if place.is_dir() else []


def _read(folder: Path) -> Data:
    info = json.loads((folder / PREPARED).read_text(encoding="utf-8"))
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    split = info.get("split", {})
    return Data(
        folder,
        _side(summary["all"]),
        {str(name): int(n) for name, n in summary["all"]["classes"].items()},
        {name: _side(summary["splits"][name]) for name in SIDES},
        sum(int(n) for n in summary.get("rejected", {}).values()),
        len(split.get("shared_speakers", [])),
        tuple(str(note) for note in split.get("notes", [])),
    )


def _side(part: Mapping[str, Any]) -> Side:
    return Side(int(part["clips"]), int(part["speakers"]), float(part["hours"]))
