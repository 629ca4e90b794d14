"""What a new model gets wrong on its test speakers: heard, and sent to Label. No gradio here.

Nobody names a file: a job and a clip are named, and the evaluation of the job says where its sound
lies.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from audiollm.analysis.wording import percent
from audiollm.errors import DataError
from audiollm.labelling import sources
from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web.auth.access import opened
from audiollm.web.label.actions import book
from audiollm.web.said import SaidError
from audiollm.web.services import Services
from audiollm.web.train import actions, clips, tested
from audiollm.web.train.tested import Mistake, Tested

MOST = 50  # that are listed


def listed(found: Tested, language: Language) -> list[tuple[str, str]]:
    """(words, id) of the most confident mistakes."""
    return [(line(one, language), one.id) for one in found.wrong[:MOST]]


def line(one: Mistake, language: Language) -> str:
    """What was meant, what was answered, how surely, and who spoke."""
    return text(
        "wrong_line",
        language,
        label=word(one.label, language),
        answer=word(one.answer, language) if one.answer else text("wrong_silent", language),
        share=percent(one.share),
        speaker=one.speaker or "?",
    )


def sound(services: Services, job: str, clip: str) -> tuple[Mistake, tuple[int, np.ndarray]]:
    """A clip, its sample rate in Hz and its int16 samples [N].

    Raises:
        ShutError: see `access.opened`.
        SaidError: the job or its evaluation is gone, or the clip is none of its mistakes.
        AudioError, DataError: its sound cannot be had.
    """
    settings = opened(services)
    found, one = _named(services, job, clip)
    return one, clips.load(settings, found.data, one.path, one.id)


def send(services: Services, job: str, clip: str) -> bool:
    """Puts a clip into the queue of the Label page; False where it is there already.

    Raises:
        ShutError: see `access.opened`.
        SaidError: the clip is no mistake of the job, or its sound is no file.
        LabelError: it cannot be kept.
    """
    opened(services)
    found, one = _named(services, job, clip)
    gathered = sources.from_evaluation(found.place, share=0.0)
    tasks = [task for task in gathered.tasks if task.id == one.id]
    if not tasks:
        raise SaidError("wrong_no_file")
    return book(services).add_tasks(tasks) > 0


def report(services: Services, job: str, name: str) -> str:
    """The path of a copy of the job's whole report, which the page may hand out.

    Raises:
        ShutError: see `access.opened`.
        SaidError: there is none.
        DataError: it cannot be copied.
    """
    opened(services)
    found = _tested(services, job)
    if found.report is None:
        raise SaidError("wrong_gone")
    safe = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name)
    try:
        copy = Path(tempfile.mkdtemp(prefix="audiollm-report-")) / f"{safe}-report.html"
        shutil.copyfile(found.report, copy)
        os.utime(copy)
    except OSError as error:
        raise DataError(f"The report could not be copied ({error}): make room.") from error
    return str(copy)


def _tested(services: Services, job: str) -> Tested:
    known = (each for each in actions.jobs(services) if each.id == job)
    found = next((tested.of_job(each) for each in known), None)
    if found is None:
        raise SaidError("wrong_gone")
    return found


def _named(services: Services, job: str, clip: str) -> tuple[Tested, Mistake]:
    found = _tested(services, job)
    one = next((one for one in found.wrong if one.id == clip), None)
    if one is None:
        raise SaidError("wrong_gone")
    return found, one
