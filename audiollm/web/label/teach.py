"""A model learns from people's labels: what a person chooses, the commands, the job. No gradio.

The new model answers only when somebody lets it: `training.promote`, as for any other.
"""

import math
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from audiollm import hub
from audiollm.contracts.comparison import COMPARED
from audiollm.contracts.fit import METRICS_NAME, RUN_NAME
from audiollm.contracts.manifest import MANIFEST_NAME, Manifest, read_json
from audiollm.contracts.prepared import PREPARED, read_clips, read_info, read_summary
from audiollm.contracts.result import RESULT
from audiollm.errors import ConfigError, DataError
from audiollm.jobs.job import Step
from audiollm.jobs.queue import ROOT, Jobs
from audiollm.labelling.formats import write_jsonl
from audiollm.labelling.tasks import Outcome
from audiollm.labels import Language
from audiollm.model import registry
from audiollm.texts import text
from audiollm.web.auth.access import opened
from audiollm.web.label.actions import book
from audiollm.web.said import SaidError
from audiollm.web.services import Services
from audiollm.web.train import actions, estimate
from audiollm.web.train.sources import prepared_folders

CURRENT = ""  # the model that answers, whichever it is
HEAVIEST = 4.0  # what `relabel` takes


@dataclass(frozen=True)
class Teaching:
    """One model, once more through stage 2, with people's labels.

    Raises:
        ConfigError: a value cannot be used; the message holds it.
    """

    name: str  # of the new model
    model: str  # folder of the one that is improved
    data: str  # prepared folder
    weight: float = 2.0  # of a clip on which people agree, beside 1 of any other
    epochs: float = 2.0
    device: str = "cpu"
    temperature: float | None = None  # of the probabilities; None: the validation speakers say

    def __post_init__(self) -> None:
        for what, value, high in (("weight", self.weight, HEAVIEST), ("passes", self.epochs, 1000)):
            number = isinstance(value, int | float) and math.isfinite(value)
            if not number or not 0 < value <= high:
                raise ConfigError(f"The {what} must be above 0 and at most {high:g}, not {value}.")
        if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", self.device or ""):
            raise ConfigError(f"The device must be cpu, mps, cuda or cuda:N, not {self.device!r}.")

    def place(self, home: Path) -> Path:
        """Everything but the new model goes there."""
        return home / "runs" / f"{self.name}-improve"

    def steps_in(self, home: Path) -> list[Step]:
        """The commands, all paths absolute; the labels lie in `place` already."""
        place, model = self.place(home), home / "models" / self.name
        data, start, run = place / "data", place / "start", home / "runs" / f"{self.name}-stage2"
        judged = home / "runs" / f"{self.name}-evaluate"
        calibrated: tuple[str, ...] = ()
        if self.temperature is not None:
            said = ("--fitted-on", "the model before the labels")
            calibrated = ("--temperature", f"{self.temperature:g}", *said)
        taught = ("--model", self.model, "--data", self.data, "--weight", f"{self.weight:g}")
        fit = ("--data", str(data), "--from", str(start), "--epochs", f"{self.epochs:g}")
        evaluate = ("--model", str(model), "--data", str(data), "--record", "--out", str(judged))
        compare = ("--before", self.model, "--after", str(model), "--data", str(data))
        labels = ("--labels", str(place / "labels.jsonl"))
        return [
            Step(
                "relabel",
                ("train", "relabel", *labels, *taught, "--out", str(place)),
                start / RUN_NAME,
            ),
            Step(
                "stage 2",
                ("train", "fit", "--stage", "2", *fit, "--out", str(run)),
                run / METRICS_NAME,
            ),
            Step(
                "merge",
                ("train", "merge", "--run", str(run), "--out", str(model), *calibrated),
                model / MANIFEST_NAME,
            ),
            Step("evaluate", ("train", "evaluate", *evaluate), judged / RESULT),
            Step(
                "compare",
                ("train", "compare", *compare, "--out", str(place / COMPARED)),
                place / COMPARED,
            ),
        ]


def data_offered(services: Services) -> list[str]:
    """The prepared folders that the model may have learned from; first the one with most of the
    clips that people have labelled.

    Raises:
        ShutError: see `access.opened`.
    """
    folders = prepared_folders(services)
    if not folders:
        return []
    known = {outcome.task.id for outcome in _labelled(services)}
    return [str(f) for f in sorted(folders, key=lambda f: -len(known & _clips(f)))]


def _clips(folder: Path) -> set[str]:
    """The ids of prepared clips; none where nobody can read them."""
    try:
        return {clip.id for clip in read_clips(folder)}
    except DataError:
        return set()


def models_offered(services: Services, language: Language) -> list[tuple[str, str]]:
    """(words, id) of the models that can be improved, the one that answers first.

    Raises:
        ShutError: see `access.opened`.
    """
    entries = [(e.name, e.id) for e in registry.entries(opened(services))]
    name = next((name for name, id in entries if id == services.using), services.using)
    others = [(name, id) for name, id in entries if id != services.using]
    return [(text("improve_current", language, name=name), CURRENT), *others]


def plan(
    services: Services, data: str, model: str, weight: float, epochs: float, device: str
) -> Teaching:
    """What a person has chosen, as something that can be started.

    data: the prepared folder that the model learned from, or another that its encoder has heard.
    model: CURRENT, or an id of `models_offered`.

    Raises:
        ShutError: see `access.opened`.
        SaidError: there are no labels, no such data or model, or they do not go together.
        ConfigError, DataError: a setting or a file cannot be used.
    """
    settings = opened(services)
    if not _labelled(services):
        raise SaidError("improve_no_labels")
    folder = Path(data or "-").expanduser().resolve()
    if not (folder / PREPARED).is_file():
        raise SaidError("improve_no_data", folder=data)
    if model == CURRENT and (not services.ready or services.model.exception()):
        raise SaidError("improve_no_model")
    if model != CURRENT and model not in {entry.id for entry in registry.entries(settings)}:
        raise SaidError("improve_gone")
    place = hub.locate(model or services.using, settings)
    manifest = read_json(Manifest, place / MANIFEST_NAME)
    if manifest.prompt != "chat":
        raise SaidError("improve_original", name=manifest.name)
    heard, encoder = read_info(folder)["encoder"], manifest.encoder
    if heard and (heard["fingerprint"], heard["width"]) != (encoder.fingerprint, encoder.width):
        raise SaidError("improve_other_encoder", name=manifest.name, folder=folder.name)
    name = re.sub(r"-labelled(-\d+)?$", "", manifest.name)
    return Teaching(
        name=actions.free_name(services, f"{name}-labelled"),
        model=str(place),
        data=str(folder),
        weight=weight,
        epochs=epochs,
        device=device,
        temperature=None if _validates(folder) else manifest.calibration.temperature,
    )


def commands(services: Services, made: Teaching) -> str:
    """What a person would type for the same, as text to copy.

    Raises:
        ShutError: see `access.opened`.
    """
    home = opened(services).home.resolve()
    place = made.place(home)
    lines = [
        f"# Export, JSON lines: {place / 'labels.jsonl'}",
        shlex.join(["cd", str(ROOT)]),
        f"export {shlex.join([f'AUDIOLLM_HOME={home}', f'AUDIOLLM_DEVICE={made.device}'])}",
        *(shlex.join([sys.executable, "-m", *step.words]) for step in made.steps_in(home)),
    ]
    return "\n".join(lines)


def start(services: Services, made: Teaching) -> str:
    """Puts it into the queue of its device, with what people have labelled; returns its name.

    Raises:
        ShutError: see `access.opened`.
        LabelError, DataError, JobError: something cannot be read or written.
    """
    home = opened(services).home.resolve()
    place = made.place(home)
    try:
        place.mkdir(parents=True, exist_ok=True)
        write_jsonl(_labelled(services), place / "labels.jsonl")
    except OSError as error:
        raise DataError(f"{place} cannot be written ({error.strerror}): make room.") from error
    need = estimate.on_gpu(services, made.model, made.device)
    Jobs(home).add(made.name, made.device, made.steps_in(home), need=need)
    return made.name


def _labelled(services: Services) -> list[Outcome]:
    return [outcome for outcome in book(services).outcomes() if outcome.emotion]


def _validates(folder: Path) -> bool:
    """Whether prepared data have clips by which a temperature can be chosen."""
    return read_summary(folder).splits["valid"].clips > 0
