"""A made-up data set in EmoBox's layout: six speakers, two emotions, a fold for each speaker."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SPEAKERS = ("f1", "f2", "f3", "m1", "m2", "m3")
CODES = ("gio", "tri")


def rows(speakers: Iterable[str] = SPEAKERS) -> list[dict[str, Any]]:
    stems = [f"{code}-{speaker}-b{n}" for speaker in speakers for code in CODES for n in (1, 2)]
    return [
        {
            "key": f"emovo-{stem}",
            "dataset": "emovo",
            "wav": f"downloads/emovo/{stem.split('-')[1]}/{stem}.wav",
            "length": 2.5,
            "emo": stem[:3],
        }
        for stem in stems
    ]


def table(path: Path, entries: Iterable[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (e if isinstance(e, str) else json.dumps(e) for e in entries)
    path.write_text("".join(line + "\n" for line in lines))


def write(root: Path) -> Path:
    """The metadata, without sound."""
    table(root / "emovo.jsonl", rows())
    for number, tested in enumerate(SPEAKERS, 1):
        place = root / f"fold_{number}"
        others = [speaker for speaker in SPEAKERS if speaker != tested]
        table(place / f"emovo_train_fold_{number}.jsonl", rows(others))
        table(place / f"emovo_test_fold_{number}.jsonl", rows([tested]))
    return root
