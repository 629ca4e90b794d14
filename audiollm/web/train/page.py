"""The Train page: `lay_out` places its parts.

The settings are placed by fields.py and moved by planning.py, the jobs are moved by events.py; what
happens stands in actions.py, what is shown in view.py.
"""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from audiollm.web.static import Static
from audiollm.web.train import after, curves, fields, recordings
from audiollm.web.train.after import After
from audiollm.web.train.fields import Fields
from audiollm.web.train.recordings import Shown

OFTEN = 2.0  # s between two looks at the jobs


@dataclass(frozen=True, eq=False)
class Parts:
    """What a person at the machine sees and touches."""

    tab: gr.Tab
    fields: Fields
    shown: Shown
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
    after: After
    curves: gr.Plot
    log: gr.Textbox
    running: gr.HTML
    sound: gr.Checkbox
    clock: gr.Timer
    seen: gr.State  # what was shown last: what stays the same is not sent again

    @property
    def looked(self) -> list[Any]:
        """In the order of `events.Look`."""
        buttons = [self.stop, self.kill, self.resume, self.remove, self.promote, self.back]
        shown = [
            self.jobs,
            self.overlay,
            self.detail,
            self.result,
            self.curves,
            self.log,
            self.running,
        ]
        return [*shown, *buttons, *self.after.looked, self.seen]


def lay_out(static: Static, tab: gr.Tab) -> Parts:
    """Place the parts in their tab, behind its door."""
    static.html("train_intro", elem_id="train-intro")
    with gr.Row(elem_id="train-sides"):
        with gr.Column(scale=5, min_width=300):
            given = fields.lay_out(static)
        with gr.Column(scale=5, min_width=300):
            shown = recordings.lay_out(static)
            estimate = gr.HTML(elem_id="train-estimate")
            with gr.Row(elem_id="train-buttons"):
                start = static.button("train_start", variant="primary", elem_id="train-start")
                prepare = static.button("train_prepare", elem_id="train-prepare")
            told = gr.HTML(elem_id="train-told")
            commands = static.labelled(
                gr.Textbox,
                "train_commands",
                lines=6,
                max_lines=14,
                interactive=False,
                buttons=["copy"],
                elem_id="train-commands",
            )
    static.html("jobs_title", "<h2>{}</h2>", elem_id="jobs-title")
    jobs = static.labelled(gr.Radio, "jobs", elem_id="jobs", visible="hidden")
    running = gr.HTML(elem_id="train-running", visible="hidden")  # for sound.js
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
        tested = after.lay_out(static)
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
        log = static.labelled(
            gr.Textbox,
            "log",
            lines=8,
            max_lines=8,
            interactive=False,
            visible="hidden",
            elem_id="job-log",
        )
    sound = static.labelled(gr.Checkbox, "train_sound", elem_id="train-sound", container=False)
    return Parts(
        tab=tab,
        fields=given,
        shown=shown,
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
        after=tested,
        curves=plot,
        log=log,
        running=running,
        sound=sound,
        clock=gr.Timer(OFTEN, active=False),  # for the owner alone
        seen=gr.State({}),
    )


def _hidden(key: str, static: Static) -> gr.Button:
    name = key.replace("_", "-")
    return static.button(key, size="sm", visible="hidden", min_width=80, elem_id=name)
