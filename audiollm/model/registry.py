"""Which models are on this machine: folders that hold an `audiollm.json`. No torch here."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiollm.contracts.manifest import MANIFEST_NAME, Manifest
from audiollm.contracts.options import read_json
from audiollm.errors import AudioLLMError
from audiollm.settings import ASSETS, Settings

LOG = logging.getLogger(__name__)
MAX_CARD = 64 * 1024  # characters
MADE = Path("models")  # where `python -m train merge --out models/NAME` puts them


@dataclass(frozen=True)
class Entry:
    """A model that could answer."""

    id: str  # what `Predictor.load` takes: a preset's name or an absolute folder
    name: str
    bytes: int  # of its files
    metrics: dict[str, Any]  # of `evaluate`; {} where not measured


def entries(settings: Settings) -> list[Entry]:
    """The bundled model first, then those in ./models and in the home folder, by name."""
    models = []
    for id, folder in _folders(settings):
        try:
            manifest = read_json(Manifest, folder / MANIFEST_NAME)
        except AudioLLMError as error:
            LOG.warning("%s is left out of the list of models: %s", folder, error)
            continue
        size = sum(p.stat().st_size for p in folder.iterdir() if p.is_file())
        models.append(Entry(id, manifest.name, size, manifest.metrics))
    return models


def id_of(model: str) -> str:
    """The id under which `entries` lists a model that was asked for by any name."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return model
    return "tiny" if folder.resolve() == (ASSETS / "tiny").resolve() else str(folder.resolve())


def _folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    """(id, folder), each folder once."""
    seen = set()
    folders = [("tiny", ASSETS / "tiny")]
    if (configured := Path(settings.model).expanduser()).is_dir():
        folders.append((id_of(settings.model), configured))
    for parent in (MADE, settings.home / "models"):
        try:
            children = sorted(parent.iterdir()) if parent.is_dir() else []
        except OSError as error:  # a folder that may not be read
            LOG.warning("%s cannot be listed: %s", parent, error)
            continue
        folders += [(str(child.resolve()), child) for child in children]
    for id, folder in folders:
        if (folder / MANIFEST_NAME).is_file() and folder.resolve() not in seen:
            seen.add(folder.resolve())
            yield id, folder


def read_card(folder: str) -> str:
    """The README.md of a model folder as Markdown without HTML, pictures and front matter.

    A folder may come from anywhere: nothing in its card may reach for another host by itself.
    "" where there is no card.
    """
    try:
        with (Path(folder) / "README.md").open(encoding="utf-8", errors="replace") as file:
            card = file.read(MAX_CARD)
    except OSError:
        return ""
    if card.startswith("---\n"):
        card = card[4:].partition("\n---\n")[2] or card
    return card.replace("<", "&lt;").replace("![", "[").strip()
