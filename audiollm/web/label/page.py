"""The Label page: `lay_out` places its parts.

What moves them stands in events.py and label.js, what happens in actions.py and sources.py, what is
shown in card.py and report.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from audiollm.labelling.store import WORKS
from audiollm.labelling.tasks import REASONS
from audiollm.web.label.teach import HEAVIEST, Teaching
from audiollm.web.static import Static, of_browser

FORMATS = ("csv", "jsonl", "folder", "dataset", "studio")
# Gradio draws a tab when it is opened first; then label.js learns how to speak to the program.
CONNECT = """
const tell = (kind, data) => kind === "submit" ? trigger("submit", data) : trigger("input", data);
window.labelling?.connect(tell);
"""


@dataclass(frozen=True, eq=False)
class Parts:
    """What the owner of the machine sees and touches."""

    tab: gr.Tab
    person: gr.Textbox
    work: gr.Radio
    reasons: gr.CheckboxGroup
    blind: gr.Checkbox
    wire: gr.HTML  # what label.js says
    card: gr.HTML
    clips: gr.HTML  # sounds and pictures that label.js has asked for
    source: gr.Dropdown
    folder: gr.Textbox
    gather: gr.Button
    stop: gr.Button
    gathered: gr.HTML
    path: gr.Textbox
    upload: gr.File
    take: gr.Button
    format: gr.Radio
    give: gr.Button
    file: gr.File
    told: gr.HTML
    improving: gr.Accordion
    data: gr.Dropdown  # that the model learned from
    model: gr.Dropdown  # that is improved
    weight: gr.Slider  # of a label, beside 1 of any other clip
    epochs: gr.Number
    device: gr.Dropdown
    commands: gr.Textbox
    improve: gr.Button
    improved: gr.HTML
    progress: gr.Accordion
    refresh: gr.Button
    report: gr.HTML
    worth: gr.Button
    told_worth: gr.HTML
    curve: gr.Plot  # what labels have given, and what more of them may give

    @property
    def desk(self) -> list[Any]:
        """In the order of `events.connect`."""
        return [self.person, self.work, self.reasons, self.blind]

    @property
    def teaching(self) -> list[Any]:
        """In the order of `teach.plan`."""
        return [self.data, self.model, self.weight, self.epochs, self.device]


def lay_out(static: Static, tab: gr.Tab) -> Parts:
    """Place the parts in their tab, behind its door."""
    static.html("label_intro", elem_id="label-intro")
    with gr.Row(elem_id="label-desk", equal_height=False):
        person = _said(gr.Textbox, "label_person", static, max_lines=1, scale=2, min_width=160)
        work = _said(
            gr.Radio,
            "label_work",
            static,
            choices=_words("work", WORKS),
            value="first",
            scale=3,
            min_width=260,
        )
        blind = _said(gr.Checkbox, "label_blind", static, scale=3, min_width=240)
    for part in (person, blind):
        static.place(part, f"label_{part.elem_id.split('-')[1]}_info", "info")
    wire = gr.HTML("", js_on_load=CONNECT, elem_id="label-wire")
    card = gr.HTML("", elem_id="label-card")
    clips = gr.HTML("", elem_id="label-clips", visible="hidden")
    with _fold("label_choices", static):
        reasons = _said(
            gr.CheckboxGroup,
            "label_reasons",
            static,
            choices=_words("reason", REASONS),
            value=list(REASONS),
        )
    with _fold("label_add", static):
        source = _said(gr.Dropdown, "label_source", static, choices=[])
        folder = _said(gr.Textbox, "label_folder", static, visible=False, max_lines=1)
        static.place(folder, "label_folder_info", "info")
        with gr.Row():
            gather = _button("label_gather", static)
            stop = _button("label_stop", static, visible=False)
        gathered = gr.HTML(elem_id="label-gathered")
    with _fold("label_files", static):
        path = _said(gr.Textbox, "label_path", static, max_lines=1)
        static.place(path, "label_path_info", "info")
        upload = _said(
            gr.File, "label_upload", static, file_types=[".csv", ".jsonl", ".json"], height=150
        )
        take = _button("label_import", static)
        format = _said(
            gr.Radio, "label_format", static, choices=_words("format", FORMATS), value=FORMATS[0]
        )
        give = _button("label_export", static)
        file = _said(gr.File, "label_file", static, visible=False, interactive=False)
        told = gr.HTML(elem_id="label-told")
    with _fold("improve_title", static) as improving:
        with gr.Row():
            data = _said(gr.Dropdown, "improve_data", static, choices=[], scale=2, min_width=260)
            model = _said(gr.Dropdown, "improve_model", static, choices=[], min_width=220)
        with gr.Row():
            weight = _said(
                gr.Slider,
                "improve_weight",
                static,
                minimum=0.5,
                maximum=HEAVIEST,
                step=0.5,
                value=Teaching.weight,
                min_width=220,
            )
            epochs = _said(
                gr.Number,
                "improve_epochs",
                static,
                minimum=0.1,
                step=0.5,
                value=Teaching.epochs,
                min_width=160,
            )
            device = _said(
                gr.Dropdown,
                "improve_device",
                static,
                choices=[],
                min_width=160,
            )
        for part in (data, model, weight, epochs, device):
            static.place(part, f"{part.elem_id.replace('-', '_')}_info", "info")
        improve = _button("improve_start", static, variant="primary")
        improved = gr.HTML(elem_id="improve-told")
        commands = _said(
            gr.Textbox,
            "train_commands",
            static,
            lines=3,
            max_lines=14,
            interactive=False,
            buttons=["copy"],
            name="improve-commands",
        )
    with _fold("label_progress", static) as progress:
        report = gr.HTML(elem_id="label-report")
        refresh = _button("label_refresh", static)
        static.html("worth_title", "<h3>{}</h3>", elem_id="worth-title")
        told_worth = gr.HTML(elem_id="worth-told")
        curve = gr.Plot(show_label=False, container=False, visible=False, elem_id="worth-curve")
        worth = _button("worth_measure", static)
    return Parts(
        tab=tab,
        person=person,
        work=work,
        reasons=reasons,
        blind=blind,
        wire=wire,
        card=card,
        clips=clips,
        source=source,
        folder=folder,
        gather=gather,
        stop=stop,
        gathered=gathered,
        path=path,
        upload=upload,
        take=take,
        format=format,
        give=give,
        file=file,
        told=told,
        improving=improving,
        data=data,
        model=model,
        weight=weight,
        epochs=epochs,
        device=device,
        commands=commands,
        improve=improve,
        improved=improved,
        progress=progress,
        refresh=refresh,
        report=report,
        worth=worth,
        told_worth=told_worth,
        curve=curve,
    )


def _said(kind: Any, key: str, static: Static, *, name: str = "", **options: Any) -> Any:
    """A part with a label; it is found by its key unless it has another `name`."""
    return static.labelled(kind, key, elem_id=name or key.replace("_", "-"), **options)


def _words(kind: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Choices in the language of the browser, until the program knows the page's."""
    return [(str(of_browser(f"{kind}_{name}")), name) for name in names]


def _button(key: str, static: Static, **options: Any) -> gr.Button:
    name = key.replace("_", "-")
    return static.button(key, size="sm", min_width=80, elem_id=name, **options)


def _fold(key: str, static: Static) -> gr.Accordion:
    return static.fold(key, elem_id=key.replace("_", "-"))
