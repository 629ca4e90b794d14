"""The fields of the Train page: recordings, settings, and the settings as a file.

Those of the hyperparameters are made from the options of `FitConfig`: type, choices, step and
default. What the fields do stands in planning.py.
"""

import typing
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from audiollm import hub
from audiollm.contracts.fit import OPTIONS, FitConfig
from audiollm.web.static import HIDDEN, Static, choices, of_browser
from audiollm.web.train import proposal, recordings
from audiollm.web.train.plan import PRESETS, USUAL, keys
from audiollm.web.train.sources import EMODB

DEFAULT = proposal.first().values()
KINDS = typing.get_type_hints(FitConfig)


class Fields:
    """The settings of a person; `by_name` has them under the names of `Plan.values`."""

    def __init__(self, static: Static) -> None:
        self.static, self.by_name = static, dict[str, Any]()
        free: dict[str, Any] = {"allow_custom_value": True}
        small: dict[str, Any] = {"size": "sm", "min_width": 80}
        static.html("train_data_title", "<h2>{}</h2>")
        self._place(gr.Dropdown, "source", choices=[("EmoDB", EMODB)], value=EMODB)
        self.uploads = recordings.Uploads(static)
        self._place(gr.Textbox, "folder", max_lines=1, **HIDDEN)
        self._place(gr.Textbox, "data_set", max_lines=1, placeholder="user/name", **HIDDEN)
        self._place(gr.Textbox, "pattern", max_lines=1, **HIDDEN)
        self._place(gr.Dropdown, "label_column", choices=[""], **free, **HIDDEN)
        self._place(gr.Checkbox, "alone", value=False, **HIDDEN)
        static.html("train_settings_title", "<h2>{}</h2>")
        self._place(gr.Textbox, "name", max_lines=1)
        # none where somebody has set other epochs
        self.preset = static.labelled(
            gr.Radio, "train_preset", choices=choices("preset", list(PRESETS)), value=USUAL
        )
        self.fits = gr.HTML(elem_id="train-fits")  # what the proposed settings rest on
        with gr.Row(elem_id="train-settings"):
            self._place_options("llm")
            self._place(gr.Dropdown, "device", choices=[DEFAULT["device"]], **free)
            self._place_options("first")
        with static.fold("train_more"), gr.Row():
            self._place(gr.Dropdown, "encoder", choices=list(hub.ENCODERS), **free)
            self._place(gr.Number, "clips", precision=0)
            self._place(gr.Checkbox, "all_learn")
            self._place_options("train_more")
        # the last proposal, and its factor of the epochs
        self.offered = gr.State({"factor": 1.0, **DEFAULT})
        with gr.Row(elem_id="train-files"):
            self.save = static.button("settings_save", **small)
            label: Any = of_browser("settings_load")
            self.load = gr.UploadButton(
                label, file_types=[".json"], elem_id="settings-load", **small
            )
            static.place(self.load, "settings_load", "label")
        self.file_message = gr.HTML(elem_id="settings-message")
        # content of the file that the browser saves
        self.file = gr.Textbox(visible="hidden", elem_id="settings-file")

    def _place(self, kind: Callable[..., Any], key: str, **options: Any) -> None:
        options = {"value": DEFAULT[key], "min_width": 200, **options}
        self.by_name[key] = self.static.labelled(kind, f"train_{key}", info=True, **options)

    def _place_options(self, section: str) -> None:
        for key, (name, _) in keys(section).items():
            if name == "llm":
                self._place(gr.Dropdown, key, choices=list(hub.LLMS), allow_custom_value=True)
            elif allowed := typing.get_args(KINDS[name]):
                self._place(gr.Dropdown, key, choices=list(allowed))
            elif KINDS[name] is int:
                self._place(gr.Number, key, precision=0)
            else:
                self._place(gr.Number, key, step=OPTIONS[name].step)

    @property
    def parts(self) -> set[Any]:
        """The fields, as inputs of an event."""
        return set(self.by_name.values())

    def values(self, form: Mapping[Any, Any]) -> dict[str, Any]:
        """The values of an event, by name."""
        return {name: form[part] for name, part in self.by_name.items()}
