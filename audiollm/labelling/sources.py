"""Where tasks come from: evaluations, clips that were kept, folders, suspected labels."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiollm import audio
from audiollm.audio import SUFFIXES, Sound
from audiollm.errors import AudioLLMError, LabelError
from audiollm.labelling.queue import drawn, reason
from audiollm.labelling.saved import SavedClip
from audiollm.labelling.tasks import Task
from audiollm.settings import Settings

RESULT = "result.json"  # what `python -m train evaluate` writes
SHARE = 0.1  # of all clips of a source are drawn at random
LONGEST = 120.0  # s: a longer recording holds more than one emotion and is no card
Answer = Mapping[str, float]  # class -> probability


@dataclass(frozen=True)
class Gathered:
    """Tasks of a source, as far as it has been gone through."""

    tasks: tuple[Task, ...]
    passed: int = 0  # clips that there is nothing to ask about
    unusable: int = 0  # clips whose sound is gone, is no speech, or is too long
    done: int = 0
    total: int = 0


def evaluations(places: Iterable[Path]) -> list[Path]:
    """The evaluations in these folders and in the folders inside them, by name."""
    found = {path for place in places for path in place.glob(f"*/{RESULT}")}
    return sorted(path.resolve() for path in found)


def from_evaluation(path: Path, share: float = SHARE) -> Gathered:
    """The clips that the model got wrong or was unsure about, and a random share of all.

    Raises:
        LabelError: it is no such file, or nobody can find its sounds.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        name = f"{result['model']['name']}, {result['data']['corpus']}"
        clips = result["clips"]
        tasks, passed, gone = [], 0, 0
        for clip in clips:
            answer = {str(k): float(p) for k, p in (clip["probabilities"] or {}).items()}
            why, score = reason(answer, {}, str(clip["label"]))
            chance = drawn(str(clip["id"]), share)
            if why == "plain" and not chance:
                passed += 1
                continue
            place = Path(clip["path"]).resolve()
            if not place.is_file() or float(clip["seconds"]) > LONGEST:
                gone += 1
                continue
            tasks.append(
                Task(
                    id=str(clip["id"]),
                    path=str(place),
                    seconds=float(clip["seconds"]),
                    source=name,
                    reason="random" if chance else why,
                    score=score,
                    original=str(clip["label"]),
                    model=str(result["model"]["name"]),
                    answer=answer,
                    speaker=str(clip["speaker"]),
                )
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabelError(
            f"{path} is no evaluation ({error!r}): make it with python -m train evaluate."
        ) from error
    if gone and not tasks:
        raise LabelError(f"The {gone} sounds that {path} names are not there: bring them back.")
    return Gathered(tuple(tasks), passed, gone, len(clips), len(clips))


def from_saved(saved: Sequence[SavedClip], settings: Settings) -> Gathered:
    """The clips that were saved on the Analyse page."""
    tasks, gone = [], 0
    for clip in saved:
        try:
            sound = _load(clip.path, settings)
        except AudioLLMError:
            gone += 1
            continue
        why, score = reason(clip.answer, clip.other_answer, "")
        tasks.append(
            Task(
                id=audio.content_hash(sound),
                path=str(clip.path.resolve()),
                seconds=sound.seconds,
                source="analyse",
                reason="disagreement" if clip.reason == "disagreement" else "sent",
                score=score if why == "disagreement" else 0.0,
                model=clip.model,
                answer=clip.answer,
                other_model=clip.other_model,
                other_answer=clip.other_answer,
            )
        )
    return Gathered(tuple(tasks), 0, gone, len(saved), len(saved))


def from_folder(
    folder: Path,
    hear: Callable[[Sound], tuple[str, Answer, str, Answer]],
    settings: Settings,
    share: float = SHARE,
) -> Iterator[Gathered]:
    """The sounds below a folder, after each that was heard.

    `hear` gives the model's name and answer, and those of its linear probe ("" and {} where
    it has none).

    Raises:
        LabelError: there is no such folder, or no sound in it.
    """
    if not folder.is_dir():
        raise LabelError(f"{folder} is no folder: give the path of one on this computer.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise LabelError(f"{folder} holds no sound files.")
    tasks: list[Task] = []
    gone = 0
    for done, path in enumerate(paths, start=1):
        try:
            sound = _load(path, settings)
            audio.require_speech(sound)
            model, answer, other_model, other = hear(sound)
        except AudioLLMError:
            gone += 1
            yield Gathered(tuple(tasks), 0, gone, done, len(paths))
            continue
        id = audio.content_hash(sound)
        why, score = reason(answer, other, "")
        tasks.append(
            Task(
                id=id,
                path=str(path.resolve()),
                seconds=sound.seconds,
                source=folder.name,
                reason="random" if drawn(id, share) else why,
                score=score,
                model=model,
                answer=answer,
                other_model=other_model,
                other_answer=other,
            )
        )
        yield Gathered(tuple(tasks), 0, gone, done, len(paths))


def from_suspects(path: Path, settings: Settings) -> Gathered:
    """Clips whose label is likely an error: what `python -m train suspects --out` writes.

    Raises:
        LabelError: a line cannot be used.
    """
    tasks: list[Task] = []
    passed, gone, number = 0, 0, 0
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path} cannot be read ({error}).") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            place = Path(row["path"]).resolve()
            if not row["likely"]:
                passed += 1
            elif not place.is_file():
                gone += 1
            else:
                tasks.append(_suspect(row, place, _load(place, settings).seconds, path))
        except (AudioLLMError, ValueError, KeyError, TypeError) as error:
            raise LabelError(f"{path.name}, line {number}: cannot be used ({error}).") from error
    return Gathered(tuple(tasks), passed, gone, number, number)


def _suspect(row: Mapping[str, Any], place: Path, seconds: float, path: Path) -> Task:
    label, confidence = str(row["label"]), float(row["confidence"])
    return Task(
        id=str(row["clip"]),
        path=str(place),
        seconds=seconds,
        source=path.parent.name,
        reason="suspect",
        score=min(1.0, max(0.0, 1 - confidence)),
        original=label,
        other_model="probe",
        other_answer={label: confidence},
        speaker=str(row["speaker"]),
    )


def _load(path: Path, settings: Settings) -> Sound:
    sound = audio.load(path, settings)
    if sound.seconds > LONGEST:
        raise LabelError(f"{path.name} is longer than {LONGEST:.0f} s: cut it into sentences.")
    return sound
