"""Whose voices a model, or its encoder, was trained on."""

from collections.abc import Iterable
from typing import Any

from audiollm.contracts.manifest import Manifest
from audiollm.contracts.messages import Message
from audiollm.contracts.plain_json import parse_json
from audiollm.settings import Settings

NAMED = 8  # speakers at most in a note


def known_voices(manifest: Manifest, speakers: Iterable[str], settings: Settings) -> list[Message]:
    """A note for the model and one for its encoder where it was trained on some of `speakers`."""
    from audiollm import hub
    from audiollm.errors import ModelError

    trained = {"model": set(manifest.training.get("speakers", {}).get("train", []))}
    try:
        folder = hub.locate(manifest.encoder.id, settings, files=hub.ENCODER_FILES, kind="encoder")
        record = parse_json((folder / "encoder.json").read_text(encoding="utf-8"))
        trained["encoder"] = set(record.get("speakers", {}).get("train", []))
    except (ModelError, OSError, ValueError):
        pass  # an encoder without a record of its speakers
    tested = set(speakers) - {""}
    return [
        Message.of(f"note_seen_{part}", speakers=sorted(both)[:NAMED])
        for part, names in trained.items()
        if (both := names & tested)
    ]


def voices_recorded(training: dict[str, Any]) -> bool:
    """Whether what a manifest tells of the training lists every speaker."""
    listed = bool(training.get("speakers", {}).get("train"))
    return bool(training.get("speakers_known", listed))
