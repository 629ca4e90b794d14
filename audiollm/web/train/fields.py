"""The fields of the Train page: recordings, settings, and the settings as a file.

Those of the hyperparameters are made from the options of `FitConfig`: type, choices, step and
default. What the fields do stands in planning.py.
"""

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from audiollm import hub
from audiollm.contracts.fit import OPTIONS, FitConfig
from audiollm.web.static import Static, of_browser
from audiollm.web.train import proposal, recordings
from audiollm.web.train.plan import PRESETS, keys
from audiollm.web.train.recordings import Chosen
from audiollm.web.train.sources import EMODB

DEFAULT = proposal.first().values()
KINDS = typing.get_type_hints(FitConfig)


@dataclass(frozen=True, eq=False)
class Fields:
    """The settings of a person."""

    named: dict[str, Any]  # under the names of `Plan.values`
    chosen: Chosen
    presets: list[gr.Button]  # in the order of `plan.PRESETS`
    fits: gr.HTML  # what the proposed settings rest on
    offered: gr.State  # the last proposal, and its factor of the epochs
    save: gr.Button
    load: gr.UploadButton
    file: gr.Textbox  # content of the file that the browser saves
    file_message: gr.HTML

    @property
    def parts(self) -> set[Any]:
        """The fields, as inputs of an event."""
        return set(self.named.values())

    def values(self, given: Mapping[Any, Any]) -> dict[str, Any]:
        """The values of an event, by name."""
        return {name: given[part] for name, part in self.named.items()}


def lay_out(static: Static) -> Fields:
    """Place them in a column."""
    named: dict[str, Any] = {}

    def place(kind: Callable[..., Any], key: str, *args: Any, **more: Any) -> None:
        words = {"label": of_browser(f"train_{key}"), "info": of_browser(f"train_{key}_info")}
        part = kind(*args, **words, elem_id=f"train-{key.replace('_', '-')}", **more)
        static.place(part, f"train_{key}", "label")
        named[key] = static.place(part, f"train_{key}_info", "info")

    def place_options(section: str) -> None:
        for key, (name, _) in keys(section).items():
            if name == "llm":
                place(gr.Dropdown, key, list(hub.LLMS), value=DEFAULT[key], **free)
            elif choices := typing.get_args(KINDS[name]):
                place(gr.Dropdown, key, list(choices), value=DEFAULT[key])
            else:
                how = {"precision": 0} if KINDS[name] is int else {"step": OPTIONS[name].step}
                place(gr.Number, key, DEFAULT[key], **how)

    free = {"allow_custom_value": True}
    hidden: dict[str, Any] = {"visible": "hidden"}
    static.html("train_data_title", "<h2>{}</h2>")
    place(gr.Dropdown, "source", [("EmoDB", EMODB)], value=EMODB)
    way_in = recordings.lay_out_upload(static)
    before = recordings.lay_out_uploads(static)
    place(gr.Textbox, "folder", max_lines=1, **hidden)
    place(gr.Textbox, "data_set", max_lines=1, placeholder="user/name", **hidden)
    place(gr.Textbox, "pattern", max_lines=1, **hidden)
    place(gr.Checkbox, "alone", False, **hidden)
    static.html("train_settings_title", "<h2>{}</h2>")
    place(gr.Textbox, "name", DEFAULT["name"], max_lines=1)
    small: dict[str, Any] = {"size": "sm", "min_width": 80}
    with gr.Row(elem_id="train-presets"):
        presets = [static.button(f"preset_{n}", elem_id=f"preset-{n}", **small) for n in PRESETS]
    fits = gr.HTML(elem_id="train-fits")
    place_options("first")
    with static.fold("train_more", elem_id="train-more"):
        place(gr.Checkbox, "all_learn", DEFAULT["all_learn"])
        place(gr.Number, "clips", DEFAULT["clips"], precision=0)
        place(gr.Dropdown, "encoder", list(hub.ENCODERS), value=DEFAULT["encoder"], **free)
        place(gr.Dropdown, "device", [DEFAULT["device"]], value=DEFAULT["device"], **free)
        place_options("train_more")
    with static.fold("train_fine", elem_id="train-fine"):
        place_options("train_fine")
    with gr.Row(elem_id="train-files"):
        save = static.button("settings_save", elem_id="settings-save", **small)
        label: Any = of_browser("settings_load")
        load = gr.UploadButton(label, file_types=[".json"], elem_id="settings-load", **small)
        static.place(load, "settings_load", "label")
    file_message = gr.HTML(elem_id="settings-told")
    file = gr.Textbox(visible="hidden", elem_id="settings-file")
    which = ("source", "folder", "data_set", "pattern", "alone", "all_learn")
    return Fields(
        named=named,
        chosen=Chosen(**{key: named[key] for key in which}, upload=way_in, uploads=before),
        presets=presets,
        fits=fits,
        offered=gr.State({"factor": 1.0, **DEFAULT}),
        save=save,
        load=load,
        file=file,
        file_message=file_message,
    )
