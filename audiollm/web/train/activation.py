"""The model of a finished job: its figures, and its activation. No gradio here.

Every function that takes `services` refuses everybody but the owner.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audiollm.analysis.wording import paragraph
from audiollm.contracts.comparison import between
from audiollm.contracts.manifest import MANIFEST_NAME, Manifest
from audiollm.contracts.options import read_json
from audiollm.errors import AudioLLMError, ModelError
from audiollm.jobs.job import Job
from audiollm.labels import Language
from audiollm.model import registry
from audiollm.texts import text
from audiollm.web.auth.access import owner_settings
from audiollm.web.services import Services


class WorseError(AudioLLMError):
    """A model is worse than the active one, or was not tested; `codes` say which, as texts."""

    def __init__(self, codes: Sequence[str], **values: object) -> None:
        self.codes, self.blanks = tuple(codes), values
        super().__init__(self.in_language("en"))

    def in_language(self, language: Language) -> str:
        sentences = (text(code, language, **self.blanks) for code in (*self.codes, "promote_again"))
        return paragraph(sentences, language)


def model_of(job: Job) -> Path | None:
    """The model folder that the job has made; None where it is not there, or not yet."""
    models = [step.result for step in job.steps if step.result.name == MANIFEST_NAME]
    return models[0].parent if job.state == "done" and models and models[0].is_file() else None


def metrics_of(folder: Path) -> dict[str, Any]:
    """The figures that `evaluate --record` wrote into a model; {} where there are none."""
    try:
        return read_json(Manifest, folder / MANIFEST_NAME).metrics
    except AudioLLMError:
        return {}


def in_use(services: Services) -> tuple[str, dict[str, Any]]:
    """Name and figures of the active model; ("", {}) while there is none.

    Raises:
        ShutError: see `owner_settings`.
    """
    owner_settings(services)
    if not services.ready or services.model.exception():
        return "", {}
    card = services.predictor().card
    return card.name, card.metrics


def ua(metrics: Mapping[str, Any]) -> float | None:
    """UA among recorded figures; None where it is missing or no share."""
    try:
        value = float(metrics["ua"]["value"])
    except (KeyError, TypeError, ValueError):
        return None
    return value if 0 <= value <= 1 else None


def activate(services: Services, folder: str, *, anyway: bool = False) -> str:
    """Makes a model the active one; returns its name. The one before can be restored.

    Raises:
        ShutError: see `owner_settings`.
        WorseError: it is worse or was not tested; `anyway` activates it all the same.
        ModelError: there is no such model, it is active already, or one is being loaded.
    """
    settings, id = owner_settings(services), registry.id_of(folder)
    entry = next((e for e in registry.entries(settings) if e.id == id), None)
    if entry is None:
        raise ModelError("activate_no_model", folder=folder)
    if id == services.active and services.ready and not services.model.exception():
        raise ModelError("activate_already", name=entry.name)
    if not anyway:
        _compare(services, entry)
    before = services.active
    services.switch(id)
    services.previous = before
    return entry.name


def _compare(services: Services, entry: registry.Entry) -> None:
    """On the same clips where both were evaluated on them, else by their own figures.

    Raises:
        WorseError: see the class.
    """
    if not services.ready or services.model.exception():
        return  # nothing to be worse than
    card = services.predictor().card
    change = between(services.settings.home, Path(entry.id), Path(card.folder))
    if change is not None:
        if change.value < 0:
            codes = ["promote_worse_same"]
            codes += ["promote_chance"] if change.chance else []
            codes += [] if change.fair else ["promote_unfair"]
            values = {"new": f"{change.after:.2f}", "old": f"{change.before:.2f}"}
            values |= {"low": f"{change.low:+.2f}", "high": f"{change.high:+.2f}"}
            raise WorseError(codes, name=entry.name, clips=change.clips, **values)
        return
    new, old = ua(entry.metrics), ua(card.metrics)
    if old is not None and new is None:
        raise WorseError(["promote_unmeasured"], name=entry.name)
    if old is not None and new is not None and new < old:
        raise WorseError(["promote_worse"], name=entry.name, new=f"{new:.2f}", old=f"{old:.2f}")


def can_restore(services: Services) -> bool:
    """Whether a model was activated, and is still active or being loaded.

    Raises:
        ShutError: see `owner_settings`.
    """
    owner_settings(services)
    return bool(services.previous) and services.previous != services.active


def restore(services: Services) -> str:
    """Makes the model active again that was before `activate`; returns its id.

    Raises:
        ShutError: see `owner_settings`.
        ModelError: none was activated, or one is being loaded.
    """
    if not can_restore(services):
        raise ModelError("restore_none")
    before = services.previous
    services.switch(before)
    services.previous = ""
    return before
