"""The Train page: `lay_out` places its parts.

What moves them stands in events.py, what happens in actions.py, what is shown in view.py.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from audiollm import hub
from audiollm.ui.static import Static, of_browser
from audiollm.ui.train import curves, recordings
from audiollm.ui.train.plan import PRESETS, Plan
from audiollm.ui.train.recordings import Chosen, Shown
from audiollm.ui.train.sources import EMODB, HUB

OFTEN = 2.0  # s between two looks at the jobs
DEFAULT = Plan("my-model")


@dataclass(frozen=True, eq=False)
class Parts:
    """What a person at the machine sees and touches."""

    tab: gr.Tab
    settings: list[Any]  # in the order of `plan`
    presets: list[gr.Button]  # in the order of `training_plan.PRESETS`
    chosen: Chosen
    shown: Shown
    name: gr.Textbox
    device: gr.Dropdown
    commands: gr.Textbox
    estimate: gr.HTML
    start: gr.Button
    prepare: gr.Button
    told: gr.HTML
    jobs: gr.Radio
    overlay: gr.Dropdown
    detail: gr.HTML
    stop: gr.Button
    kill: gr.Button
    resume: gr.Button
    remove: gr.Button
    result: gr.HTML
    promote: gr.Button
    anyway: gr.Button
    back: gr.Button
    said: gr.HTML
    curves: gr.Plot
    log: gr.Textbox
    clock: gr.Timer
    seen: gr.State  # what was shown last: what stays the same is not sent again

    @property
    def looked(self) -> list[Any]:
        """In the order of `events.Look`."""
        buttons = [self.stop, self.kill, self.resume, self.remove, self.promote, self.back]
        shown = [self.jobs, self.overlay, self.detail, self.result, self.curves, self.log]
        return [*shown, *buttons, self.seen]


def lay_out(static: Static, tab: gr.Tab) -> Parts:
    """Place the parts in their tab, behind its door."""
    static.html("train_intro", elem_id="train-intro")
    with gr.Row(elem_id="train-sides"):
        with gr.Column(scale=5, min_width=300):
            settings, way_in, presets = _settings(static)
        with gr.Column(scale=5, min_width=300):
            shown = recordings.lay_out(static)
            estimate = gr.HTML(elem_id="train-estimate")
            with gr.Row(elem_id="train-buttons"):
                start = _button("train_start", static, variant="primary", elem_id="train-start")
                prepare = _button("train_prepare", static, elem_id="train-prepare")
            told = gr.HTML(elem_id="train-told")
            commands = gr.Textbox(
                label=of_browser("train_commands"),
                lines=6,
                max_lines=14,
                interactive=False,
                buttons=["copy"],
                elem_id="train-commands",
            )
            static.place(commands, "train_commands", "label")
    static.html("jobs_title", "<h2>{}</h2>", elem_id="jobs-title")
    jobs = gr.Radio([], label=of_browser("jobs"), elem_id="jobs", visible="hidden")
    static.place(jobs, "jobs", "label")
    with gr.Column(elem_id="job"):
        detail = gr.HTML(elem_id="job-detail")
        with gr.Row(elem_id="job-buttons"):
            keys = ("stop", "kill", "resume", "remove")
            stop, kill, resume, remove = (_hidden(f"job_{key}", static) for key in keys)
        result = gr.HTML(elem_id="job-result")
        with gr.Row(elem_id="job-promote"):
            promote = _hidden("promote", static)
            anyway = _hidden("promote_anyway", static)
            back = _hidden("roll_back", static)
        said = gr.HTML(elem_id="job-told")
        overlay = gr.Dropdown([], multiselect=True, visible="hidden", elem_id="overlay")
        static.place(overlay, "overlay", "label")
        static.place(overlay, "overlay_info", "info")
        plot = gr.Plot(
            curves.curves([], "en"),
            show_label=False,
            container=False,
            visible="hidden",
            elem_id="curves",
        )
        log = gr.Textbox(
            label=of_browser("log"),
            lines=8,
            max_lines=8,
            interactive=False,
            visible="hidden",
            elem_id="job-log",
        )
        static.place(log, "log", "label")
    return Parts(
        tab=tab,
        settings=list(settings.values()),
        presets=presets,
        chosen=Chosen(
            source=settings["source"],
            folder=settings["folder"],
            data_set=settings["data_set"],
            pattern=settings["pattern"],
            alone=settings["alone"],
            upload=way_in,
        ),
        shown=shown,
        name=settings["name"],
        device=settings["device"],
        commands=commands,
        estimate=estimate,
        start=start,
        prepare=prepare,
        told=told,
        jobs=jobs,
        overlay=overlay,
        detail=detail,
        stop=stop,
        kill=kill,
        resume=resume,
        remove=remove,
        result=result,
        promote=promote,
        anyway=anyway,
        back=back,
        said=said,
        curves=plot,
        log=log,
        clock=gr.Timer(OFTEN, active=False),  # for the owner alone
        seen=gr.State({}),
    )


def _settings(static: Static) -> tuple[dict[str, Any], gr.File, list[gr.Button]]:
    """The settings under the names and in the order of `plan`, the way in for recordings, and the
    buttons that set several at once."""
    found: dict[str, Any] = {}

    def made(kind: Callable[..., Any], key: str, *args: Any, **options: Any) -> None:
        words = {"label": of_browser(f"train_{key}"), "info": of_browser(f"train_{key}_info")}
        part = kind(*args, **words, elem_id=f"train-{key.replace('_', '-')}", **options)
        static.place(part, f"train_{key}", "label")
        found[key] = static.place(part, f"train_{key}_info", "info")

    def whole(key: str, value: int) -> None:
        made(gr.Number, key, value, precision=0)

    free = {"allow_custom_value": True}
    static.html("train_data_title", "<h2>{}</h2>")
    made(gr.Dropdown, "source", [("EmoDB", EMODB)], value=EMODB)
    way_in = recordings.upload(static)
    made(gr.Textbox, "folder", visible="hidden", max_lines=1)
    made(gr.Textbox, "data_set", visible="hidden", max_lines=1, placeholder="user/name")
    made(gr.Textbox, "pattern", visible="hidden", max_lines=1)
    made(gr.Checkbox, "alone", False, visible="hidden")
    static.html("train_settings_title", "<h2>{}</h2>")
    made(gr.Textbox, "name", DEFAULT.name, max_lines=1)
    made(gr.Dropdown, "llm", list(hub.LLMS), value=DEFAULT.llm, **free)
    with gr.Row(elem_id="train-presets"):
        presets = [
            _button(f"preset_{name}", static, size="sm", min_width=80, elem_id=f"preset-{name}")
            for name in PRESETS
        ]
    made(gr.Number, "epochs_1", DEFAULT.epochs[0])
    made(gr.Number, "epochs_2", DEFAULT.epochs[1])
    with gr.Accordion(of_browser("train_more"), open=False, elem_id="train-more") as fold:
        whole("clips", DEFAULT.max_clips)
        whole("steps_1", DEFAULT.steps[0])
        whole("steps_2", DEFAULT.steps[1])
        whole("batch", DEFAULT.batch_size)
        made(gr.Dropdown, "encoder", list(hub.ENCODERS), value=DEFAULT.encoder, **free)
        made(gr.Dropdown, "device", [DEFAULT.device], value=DEFAULT.device, **free)
        whole("seed", DEFAULT.seed)
    static.place(fold, "train_more", "label")
    return {key: found[key] for key in inspect.signature(plan).parameters}, way_in, presets


def _button(key: str, static: Static, **options: Any) -> gr.Button:
    made = gr.Button(of_browser(key), **options)
    static.place(made, key)
    return made


def _hidden(key: str, static: Static) -> gr.Button:
    name = key.replace("_", "-")
    return _button(key, static, size="sm", visible="hidden", min_width=80, elem_id=name)


def plan(
    name: str,
    source: str,
    folder: str,
    data_set: str,
    pattern: str,
    alone: bool,
    llm: str,
    encoder: str,
    epochs_1: float,
    epochs_2: float,
    steps_1: int,
    steps_2: int,
    batch: int,
    seed: int,
    device: str,
    clips: int,
) -> Plan:
    """The settings as they stand on the page."""
    return Plan(
        name=name.strip(),
        source=source,
        folder=data_set if source == HUB else folder,
        speaker_pattern=pattern,
        split="random" if alone else "auto",
        llm=llm,
        encoder=encoder,
        epochs=(epochs_1, epochs_2),
        steps=(steps_1, steps_2),
        batch_size=batch,
        seed=seed,
        device=device,
        max_clips=clips,
    )
