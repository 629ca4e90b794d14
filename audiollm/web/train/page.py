"""The Train page: `Page` places its parts.

The settings are placed by fields.py and moved by planning.py, the jobs are moved by events.py; what
happens stands in actions.py and activation.py, what is shown in view.py.
"""

from typing import Any

import gradio as gr

from audiollm.web.static import HIDDEN, Static
from audiollm.web.train import curves
from audiollm.web.train.fields import Fields
from audiollm.web.train.recordings import Recordings
from audiollm.web.train.results import Results

INTERVAL = 2.0  # s between two looks at the jobs


class Page:
    """Everything that the owner sees and touches, placed in its tab."""

    def __init__(self, static: Static, tab: gr.Tab) -> None:
        self.tab = tab
        static.html("train_intro", elem_id="train-intro")
        with gr.Row(elem_id="train-sides"):
            with gr.Column(scale=5, min_width=300):
                self.fields = Fields(static)
            with gr.Column(scale=5, min_width=300):
                self.recordings = Recordings(static)
                self._plan(static)
                with gr.Column(elem_id="job"):
                    self._job(static)
                self.commands = static.labelled(
                    gr.Textbox,
                    "train_commands",
                    lines=6,
                    max_lines=14,
                    interactive=False,
                    buttons=["copy"],
                )
        self.result = gr.HTML(elem_id="job-result")
        self.results = Results(static)
        self.clock = gr.Timer(INTERVAL, active=False)  # for the owner alone
        self.seen = gr.State({})  # what was shown last: what stays the same is not sent again

    def _plan(self, static: Static) -> None:
        """What the settings amount to, and the buttons that start it."""
        self.estimate = gr.HTML(elem_id="train-estimate")
        with gr.Row(elem_id="train-buttons"):
            self.start = static.button("train_start", variant="primary", interactive=False)
            self.prepare = static.button("train_prepare", interactive=False)
        self.message = gr.HTML(elem_id="train-message")  # also what is missing
        self.split = static.button("train_split", size="sm", **HIDDEN)

    def _job(self, static: Static) -> None:
        """A job where it was started: progress, buttons, curves, log; and the other jobs."""

        def button(key: str) -> gr.Button:
            name = key.replace("_", "-")
            return static.button(key, size="sm", min_width=80, elem_id=name, **HIDDEN)

        static.html("jobs_title", "<h2>{}</h2>", elem_id="jobs-title")
        self.detail = gr.HTML(elem_id="job-detail")
        with gr.Row(elem_id="job-buttons"):
            self.stop, self.kill = button("job_stop"), button("job_kill")
            self.resume, self.remove = button("job_resume"), button("job_remove")
        with gr.Row(elem_id="job-promote"):
            self.activate = button("promote")
            self.anyway = button("promote_anyway")
            self.restore = button("roll_back")
        self.job_message = gr.HTML(elem_id="job-message")
        bare: dict[str, Any] = {"show_label": False, "container": False, **HIDDEN}
        self.curves = gr.Plot(curves.curves([], "en"), elem_id="curves", **bare)
        lines: dict[str, Any] = {"lines": 8, "max_lines": 8, "interactive": False, **HIDDEN}
        self.log = static.labelled(gr.Textbox, "log", elem_id="job-log", **lines)
        self.jobs = static.labelled(gr.Radio, "jobs", elem_id="jobs", **HIDDEN)
        chosen: dict[str, Any] = {"choices": [], "multiselect": True, **HIDDEN}
        self.overlay = static.labelled(gr.Dropdown, "overlay", info=True, **chosen)
        self.running = gr.HTML(elem_id="train-running", **HIDDEN)  # for sound.js
        self.sound = static.labelled(gr.Checkbox, "train_sound", container=False)
