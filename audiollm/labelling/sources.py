"""Where tasks come from: evaluations, saved clips, folders, label errors of training data."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiollm import audio
from audiollm.audio import Sound
from audiollm.contracts.result import RESULT, read_result
from audiollm.errors import AudioLLMError, DataError, LabelError
from audiollm.labelling.formats.rows import at_line, json_lines
from audiollm.labelling.queue import is_random, reason
from audiollm.labelling.saved import SavedClip
from audiollm.labelling.tasks import Task
from audiollm.settings import Settings
from audiollm.texts import printable

RANDOM_SHARE = 0.1  # of all clips of a source
LONGEST = 120.0  # s: a longer recording holds more than one emotion
Answer = Mapping[str, float]  # class -> probability


@dataclass(frozen=True)
class Gathered:
    """The tasks of a source."""

    tasks: tuple[Task, ...]
    skipped: int = 0  # clips without a reason to label them
    unusable: int = 0  # clips whose sound is missing, contains no speech, or is too long


@dataclass(frozen=True)
class Answers:
    """The answers of a model and of its linear probe to one sound."""

    model: str
    answer: Answer
    other_model: str = ""  # "" and {} for a model without a probe
    other_answer: Answer = field(default_factory=dict)


def evaluations(folders: Iterable[Path]) -> list[Path]:
    """The evaluations in the subfolders of these folders, sorted."""
    return sorted(path.resolve() for folder in folders for path in folder.glob(f"*/{RESULT}"))


def from_evaluation(path: Path, share: float = RANDOM_SHARE) -> Gathered:
    """The clips with a wrong or uncertain answer, and a random share of all.

    Raises:
        LabelError: it is no evaluation, or its sounds are missing.
    """
    try:
        result = read_result(path)
    except DataError as error:
        raise LabelError("label_no_evaluation", path=path, reason=error) from error
    model = result["model"]["name"]
    tasks, skipped, missing = [], 0, 0
    for clip in result["clips"]:
        file, answer = Path(clip["path"]).resolve(), clip["probabilities"] or {}
        why, score = reason(answer, {}, clip["label"])
        random = is_random(clip["id"], share)
        if why == "plain" and not random:
            skipped += 1
        elif not file.is_file() or clip["seconds"] > LONGEST or printable(str(file)) != str(file):
            missing += 1
        else:
            tasks.append(
                Task(
                    id=clip["id"],
                    path=str(file),
                    seconds=clip["seconds"],
                    source=f"{model}, {result['data']['corpus']}",
                    reason="random" if random else why,
                    score=score,
                    original=clip["label"],
                    model=model,
                    answer=answer,
                    speaker=clip["speaker"],
                )
            )
    if missing and not tasks:
        raise LabelError("label_evaluation_sounds", n=missing, path=path)
    return Gathered(tuple(tasks), skipped, missing)


def from_saved(saved: Sequence[SavedClip], settings: Settings) -> Gathered:
    """The clips that were saved on the Analyse page."""
    tasks, unusable = [], 0
    for clip in saved:
        try:
            sound = _load(clip.path, settings)
        except AudioLLMError:
            unusable += 1
            continue
        why, score = reason(clip.answer, clip.other_answer, "")
        tasks.append(
            Task(
                id=audio.content_hash(sound),
                path=str(clip.path.resolve()),
                seconds=sound.seconds,
                source="analyse",
                reason="disagreement" if clip.reason == "disagreement" else "sent",
                score=score if why == "disagreement" else float(bool(clip.suggestion)),
                model=clip.model,
                answer=clip.answer,
                other_model=clip.other_model,
                other_answer=clip.other_answer,
                suggestion=clip.suggestion,
            )
        )
    return Gathered(tuple(tasks), 0, unusable)


def from_file(
    path: Path, source: str, answer: Callable[[Sound], Answers], settings: Settings
) -> Task | None:
    """The task of a sound file without a label; None where the sound cannot be used.

    answer: the model.
    """
    try:
        sound = _load(path, settings)
        audio.require_speech(sound)
        answers = answer(sound)
        id = audio.content_hash(sound)
        why, score = reason(answers.answer, answers.other_answer, "")
        return Task(
            id=id,
            path=str(path.resolve()),
            seconds=sound.seconds,
            source=source,
            reason="random" if is_random(id, RANDOM_SHARE) else why,
            score=score,
            **vars(answers),
        )
    except AudioLLMError:
        return None


def from_label_errors(path: Path, settings: Settings) -> Gathered:
    """The likely label errors of a file of `python -m train label-errors --out`.

    Raises:
        LabelError: a line cannot be used.
    """
    tasks: list[Task] = []
    skipped, missing = 0, 0
    for number, row in json_lines(path):
        try:
            file = Path(row["path"]).resolve()
            if not row["likely"]:
                skipped += 1
            elif not file.is_file():
                missing += 1
            else:
                tasks.append(_label_error(row, file, _load(file, settings).seconds, path))
        except AudioLLMError as error:
            raise at_line(path, number, error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise at_line(
                path, number, LabelError("label_bad_value", reason=repr(error))
            ) from error
    return Gathered(tuple(tasks), skipped, missing)


def _label_error(row: Mapping[str, Any], file: Path, seconds: float, path: Path) -> Task:
    label, confidence = str(row["label"]), float(row["confidence"])
    return Task(
        id=str(row["clip"]),
        path=str(file),
        seconds=seconds,
        source=path.parent.name,
        reason="label_error",
        score=min(1.0, max(0.0, 1 - confidence)),
        original=label,
        other_model="probe",
        other_answer={label: confidence},
        speaker=str(row["speaker"]),
    )


def _load(path: Path, settings: Settings) -> Sound:
    sound = audio.load(path, settings)
    if sound.seconds > LONGEST:
        raise LabelError("label_long_clip", file=path.name, seconds=f"{LONGEST:.0f}")
    return sound
