"""`python -m train compare --answers`: a new model against the one that is in use.

What the new one answered is read from its evaluation; only the other is asked, about the same
clips. It may have learned from their speakers: those are judged apart.
"""

import json
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from audiollm.errors import AudioLLMError, DataError
from audiollm.labels import ordered
from audiollm.settings import Settings
from train.data.dataset import Clip, Prepared
from train.evaluate.answers import MODELS, answers, heard_by, judged
from train.evaluate.report import EvaluationResult
from train.fit import runs

OWN = "Not speaker-independent: the model "


def against(before: str, told: Path, prepared: Prepared, settings: Settings) -> dict[str, Any]:
    """Both models on the clips of an evaluation, by the classes that both know.

    A comparison that cannot be made is a result, too: it says why, and nothing is judged.

    Args:
        before: preset or folder of the model in use.
        told: the new model's `result.json`.

    Raises:
        DataError: it is none, or belongs to other data.
    """
    new, clips, table, classes = _evaluated(told, prepared)
    result: dict[str, Any] = {
        "models": {
            "before": {"name": Path(before).name},
            "after": {**new, "classes": list(classes)},
        },
        "labels": {},
        "left": {},
        **dict.fromkeys(("corrected", "held_out", "heard")),
        "notes": [],
        "run": {
            "command": shlex.join(["python", "-m", "train", *sys.argv[1:]]),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": runs.provenance([], {})["versions"],
        },
    }
    try:
        about, other, notes = answers(before, clips, prepared, settings, ears=True)
        known = heard_by([before], settings)
        shared = [name for name in classes if name in about["classes"]]
        usable = [i for i, clip in enumerate(clips) if clip.label in shared]
        if len({clips[i].label for i in usable}) < 2:
            raise DataError(
                f"{about['name']} and {new['name']} share fewer than two classes of these clips."
            )
    except AudioLLMError as error:
        result["notes"].append(f"It could not be compared with {before}: {error}")
        return result
    left = Counter(clip.label for clip in clips if clip.label not in shared)
    if left or len(shared) < max(len(classes), len(about["classes"])):
        without = "".join(f", without {n} clips of {name}" for name, n in left.items())
        notes.append(f"Judged by the {len(shared)} classes that both know{without}.")
    tables = {
        "before": other[:, [about["classes"].index(name) for name in shared]],
        "after": table[:, [classes.index(name) for name in shared]],
    }
    for name, wanted in (("held_out", False), ("heard", True)):
        rows = [i for i in usable if (clips[i].speaker in known) == wanted]
        part = {m: tables[m][rows] for m in MODELS}
        result[name] = judged([clips[i] for i in rows], part, shared)
    result["models"]["before"] = about
    # whom the model in use has learned from is judged apart, and needs no further word
    result["notes"] = [n for n in notes if not n.startswith(OWN)]
    return result


def _evaluated(
    told: Path, prepared: Prepared
) -> tuple[dict[str, Any], list[Clip], np.ndarray, Sequence[str]]:
    """(what the new model is, its clips, their probabilities [N, C], the classes)."""
    by_id = {clip.id: clip for clip in prepared.clips}
    try:
        found: EvaluationResult = json.loads(told.read_text(encoding="utf-8"))
        rows = found["clips"]
        classes = ordered({name for row in rows for name in row["probabilities"] or ()})
        nothing = dict.fromkeys(classes, np.nan)
        table = [[(row["probabilities"] or nothing)[name] for name in classes] for row in rows]
        return dict(found["model"]), [by_id[row["id"]] for row in rows], np.array(table), classes
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{told} is no evaluation ({error!r}): make it with python -m train evaluate."
        ) from error
    except KeyError as error:
        raise DataError(
            f"{told} is of other clips than {prepared.folder} holds ({error}): evaluate again."
        ) from error
