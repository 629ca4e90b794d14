"""A model is trained further on people's labels: settings, commands, job, and their part of the
Label page.

The new model becomes active only when somebody activates it on the Train page, as any other.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from audiollm import hub
from audiollm.contracts.comparison import COMPARED
from audiollm.contracts.fit import METRICS_NAME, RUN_NAME
from audiollm.contracts.manifest import MANIFEST_NAME, Manifest
from audiollm.contracts.options import check, option, options, read_json
from audiollm.contracts.prepared import PREPARED, read_clips, read_info, read_summary
from audiollm.contracts.result import RESULT
from audiollm.errors import DataError
from audiollm.jobs.job import Step, check_device
from audiollm.jobs.queue import Jobs
from audiollm.labelling.formats import write_jsonl
from audiollm.labelling.tasks import Outcome
from audiollm.labels import Language
from audiollm.model import registry
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.auth.access import owner_settings
from audiollm.web.events import AT_ONCE, QUIET, Update
from audiollm.web.label.queue import label_store
from audiollm.web.services import Services
from audiollm.web.static import Static
from audiollm.web.train import actions, estimate, recordings_view, view
from audiollm.web.train.sources import prepared

ACTIVE = ""  # the active model, whichever it is


@dataclass(frozen=True)
class LabelTraining:
    """Stage 2 of a model on its data with people's labels.

    Raises:
        ConfigError: a value is refused; the message holds it.
    """

    name: str = option("", "of the new model")
    model: str = option("", "folder of the model to start from")
    data: str = option("", "prepared folder")
    weight: float = option(2.0, "of a clip whose labels agree", above=0, high=4, step=0.5)
    epochs: float = option(2.0, "over all clips", above=0, high=1000, step=0.5)
    device: str = option("cpu", "cpu, mps, cuda or cuda:N")
    temperature: float | None = None  # None: calibrated on the validation split

    def __post_init__(self) -> None:
        check(self)
        check_device(self.device)

    def folder(self, home: Path) -> Path:
        """Of everything but the new model."""
        return home / "runs" / f"{self.name}-improve"

    def steps(self, home: Path) -> list[Step]:
        """The commands, with absolute paths; the labels are in `folder` already."""
        runs, folder, model = home / "runs", self.folder(home), home / "models" / self.name
        data, run = folder / "data", runs / f"{self.name}-stage2"
        evaluation, compared = runs / f"{self.name}-evaluate", folder / COMPARED
        calibration: tuple[str, ...] = ()
        if self.temperature is not None:
            fitted_on = ("--fitted-on", "the model before the labels")
            calibration = ("--temperature", f"{self.temperature:g}", *fitted_on)
        commands: dict[str, list[object]] = {
            "relabel": [
                *("--labels", folder / "labels.jsonl", "--model", self.model, "--data", self.data),
                *("--weight", f"{self.weight:g}", "--out", folder),
            ],
            "fit": [
                *("--stage", 2, "--data", data, "--from", folder / "start"),
                *("--epochs", f"{self.epochs:g}", "--out", run),
            ],
            "merge": ["--run", run, "--out", model, *calibration],
            "evaluate": ["--model", model, "--data", data, "--record", "--out", evaluation],
            "compare": [
                *("--before", self.model, "--after", model, "--data", data, "--out", compared),
            ],
        }
        results = (
            folder / "start" / RUN_NAME,
            run / METRICS_NAME,
            model / MANIFEST_NAME,
            evaluation / RESULT,
            compared,
        )
        return [
            Step("stage 2" if name == "fit" else name, ("train", name, *map(str, words)), result)
            for (name, words), result in zip(commands.items(), results, strict=True)
        ]


OPTIONS = options(LabelTraining)


def data_offered(services: Services, language: Language) -> list[tuple[str, str]]:
    """(words, id) of the prepared folders; first the one with the most labelled clips.

    Raises:
        ShutError: see `access.owner_settings`.
    """
    folders = prepared(services)
    if not folders:
        return []
    labelled = {outcome.task.id for outcome in _labelled(services)}
    order = sorted(folders, key=lambda folder: -len(labelled & _clips(folder)))
    return [(recordings_view.prepared(f, folders[f], language), str(f)) for f in order]


def _clips(folder: Path) -> set[str]:
    """The ids of prepared clips; none where they cannot be read."""
    try:
        return {clip.id for clip in read_clips(folder)}
    except DataError:
        return set()


def models_offered(services: Services, language: Language) -> list[tuple[str, str]]:
    """(words, id) of the models to start from, the active one first.

    Raises:
        ShutError: see `access.owner_settings`.
    """
    entries = [(e.name, e.id) for e in registry.entries(owner_settings(services))]
    name = next((name for name, id in entries if id == services.active), services.active)
    others = [(name, id) for name, id in entries if id != services.active]
    return [(text("fine_tuning_current", language, name=name), ACTIVE), *others]


def plan(
    services: Services, data: str, model: str, weight: float, epochs: float, device: str
) -> LabelTraining:
    """The settings of the page, checked.

    data: a prepared folder of the model's encoder.
    model: ACTIVE, or an id of `models_offered`.

    Raises:
        ShutError: see `access.owner_settings`.
        ConfigError: a setting is refused.
        DataError: there are no labels, no such data or model, or they do not fit together.
    """
    settings = owner_settings(services)
    if not _labelled(services):
        raise DataError("fine_tuning_no_labels")
    folder = Path(data or "-").expanduser().resolve()
    if not (folder / PREPARED).is_file():
        raise DataError("fine_tuning_no_data")
    if model == ACTIVE and (not services.ready or services.model.exception()):
        raise DataError("fine_tuning_no_model")
    if model != ACTIVE and model not in {entry.id for entry in registry.entries(settings)}:
        raise DataError("fine_tuning_gone")
    start = hub.locate(model or services.active, settings)
    manifest = read_json(Manifest, start / MANIFEST_NAME)
    if manifest.prompt != "chat":
        raise DataError("fine_tuning_original", name=manifest.name)
    encoder, used = manifest.encoder, read_info(folder)["encoder"]
    if used and (used["fingerprint"], used["width"]) != (encoder.fingerprint, encoder.width):
        raise DataError("fine_tuning_other_encoder", name=manifest.name, folder=folder.name)
    validated = read_summary(folder).splits["valid"].clips > 0
    name = re.sub(r"-labelled(-\d+)?$", "", manifest.name)
    return LabelTraining(
        name=actions.free_name(services, f"{name}-labelled"),
        model=str(start),
        data=str(folder),
        weight=weight,
        epochs=epochs,
        device=device,
        temperature=None if validated else manifest.calibration.temperature,
    )


def commands(services: Services, training: LabelTraining) -> str:
    """The same as commands for a terminal, as text to copy.

    Raises:
        ShutError: see `access.owner_settings`.
    """
    home = owner_settings(services).home.resolve()
    export = f"# Export, JSON lines: {training.folder(home) / 'labels.jsonl'}\n"
    return export + actions.shell_lines(home, training.device, training.steps(home))


def start(services: Services, training: LabelTraining) -> str:
    """Writes the labels and queues the job; returns the name of the new model.

    Raises:
        ShutError: see `access.owner_settings`.
        LabelError, DataError, JobError: something cannot be read or written.
    """
    home = owner_settings(services).home.resolve()
    folder = training.folder(home)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_jsonl(_labelled(services), folder / "labels.jsonl")
    except OSError as error:
        raise DataError("label_export_failed", reason=error) from error
    need = estimate.on_gpu(services, training.model, training.device)
    Jobs(home).add(training.name, training.device, training.steps(home), need=need)
    return training.name


def _labelled(services: Services) -> list[Outcome]:
    return [outcome for outcome in label_store(services).outcomes() if outcome.emotion]


class Training:
    """The part "Train a model on these labels"."""

    def __init__(self, services: Services, static: Static) -> None:
        self.services = services

        def field(kind: Any, name: str, **more: Any) -> Any:
            return static.labelled(kind, f"fine_tuning_{name}", info=True, min_width=160, **more)

        weight, epochs = OPTIONS["weight"], OPTIONS["epochs"]
        with static.fold("fine_tuning_title") as self.fold:
            with gr.Row():
                self.data = field(gr.Dropdown, "data", choices=[], scale=2)
                self.model = field(gr.Dropdown, "model", choices=[])
            with gr.Row():
                self.weight = field(
                    gr.Slider,
                    "weight",
                    minimum=weight.step,
                    maximum=weight.high,
                    step=weight.step,
                    value=LabelTraining.weight,
                )
                self.epochs = field(
                    gr.Number, "epochs", minimum=0.1, step=epochs.step, value=LabelTraining.epochs
                )
                self.device = field(gr.Dropdown, "device", choices=[])
            self.button = static.button("fine_tuning_start", variant="primary", size="sm")
            self.message = gr.HTML(elem_id="fine-tuning-message")
            self.commands = static.labelled(
                gr.Textbox,
                "train_commands",
                elem_id="fine-tuning-commands",
                lines=3,
                max_lines=14,
                interactive=False,
                buttons=["copy"],
            )

    def connect(self, language: gr.Radio) -> None:
        services = self.services
        names = ("data", "model", "weight", "epochs", "device")
        fields = {name: getattr(self, name) for name in names}

        def planned(form: Update) -> LabelTraining:
            return plan(services, **{name: form[part] for name, part in fields.items()})

        def proposed(form: Update) -> str:
            try:
                return commands(services, planned(form))
            except Exception as error:
                return f"# {view.explained(error, form[language])}"

        def begin(form: Update) -> str:
            try:
                name = start(services, planned(form))
                return render.notice(text("fine_tuning_started", form[language], name=name), "wait")
            except Exception as error:
                return view.failed(error, form[language])

        inputs: set[Any] = {*fields.values(), language}
        changes = [*(part.change for part in fields.values()), language.change, self.fold.expand]
        started = self.button.click(begin, inputs, self.message, **QUIET)
        gr.on(changes, proposed, inputs, self.commands, trigger_mode="always_last", **AT_ONCE)
        started.then(proposed, inputs, self.commands, **AT_ONCE)
