"""The fields of the Train page: recordings, settings, and the settings as a file.

`lay_out` places them; what they do stands in planning.py.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr

from audiollm import hub
from audiollm.web.static import Static, of_browser
from audiollm.web.train import kept, proposal, recordings
from audiollm.web.train.form import KEYS
from audiollm.web.train.plan import PRESETS
from audiollm.web.train.recordings import Chosen
from audiollm.web.train.sources import EMODB
from audiollm.web.train.teaching import POOLINGS

DEFAULT = proposal.first()
FINE: dict[str, float] = {  # numbers of the second fold -> what an arrow adds; 0: whole ones
    "per_clip": 0,
    "rate_1": 1e-4,
    "rate_2": 1e-5,
    "weight_decay": 0.01,
    "tokens": 0,
    "hidden": 0,
    "dropout": 0.05,
    "input_dropout": 0.05,
    "functionals_dropout": 0.05,
    "noise": 0.05,
    "smoothing": 0.05,
    "lora_rank": 0,
    "lora_dropout": 0.05,
}


@dataclass(frozen=True, eq=False)
class Fields:
    """What a person sets."""

    named: dict[str, Any]  # in the order of `form.KEYS`
    chosen: Chosen
    presets: list[gr.Button]  # in the order of `plan.PRESETS`
    fits: gr.HTML  # what the proposed settings rest on
    offered: gr.State  # what was proposed last, and times how many passes
    save: gr.Button
    load: gr.UploadButton
    file: gr.Textbox  # what the browser saves
    filed: gr.HTML

    @property
    def settings(self) -> list[Any]:
        return list(self.named.values())


def lay_out(static: Static) -> Fields:
    """Place them in a column, under the names of `form.KEYS`."""
    found: dict[str, Any] = {}

    def made(kind: Callable[..., Any], key: str, *args: Any, **options: Any) -> None:
        words = {"label": of_browser(f"train_{key}"), "info": of_browser(f"train_{key}_info")}
        part = kind(*args, **words, elem_id=f"train-{key.replace('_', '-')}", **options)
        static.place(part, f"train_{key}", "label")
        found[key] = static.place(part, f"train_{key}_info", "info")

    def whole(key: str) -> None:
        made(gr.Number, key, getattr(DEFAULT, key), precision=0)

    free = {"allow_custom_value": True}
    static.html("train_data_title", "<h2>{}</h2>")
    made(gr.Dropdown, "source", [("EmoDB", EMODB)], value=EMODB)
    way_in = recordings.upload(static)
    before = kept.lay_out(static)
    made(gr.Textbox, "folder", visible="hidden", max_lines=1)
    made(gr.Textbox, "data_set", visible="hidden", max_lines=1, placeholder="user/name")
    made(gr.Textbox, "pattern", visible="hidden", max_lines=1)
    made(gr.Checkbox, "alone", False, visible="hidden")
    static.html("train_settings_title", "<h2>{}</h2>")
    made(gr.Textbox, "name", DEFAULT.name, max_lines=1)
    made(gr.Dropdown, "llm", list(hub.LLMS), value=DEFAULT.llm, **free)
    small = {"size": "sm", "min_width": 80}
    with gr.Row(elem_id="train-presets"):
        presets = [static.button(f"preset_{n}", elem_id=f"preset-{n}", **small) for n in PRESETS]
    fits = gr.HTML(elem_id="train-fits")
    made(gr.Number, "epochs_1", DEFAULT.epochs_1)
    made(gr.Number, "epochs_2", DEFAULT.epochs_2)
    with static.fold("train_more", elem_id="train-more"):
        made(gr.Checkbox, "all_learn", DEFAULT.all_learn)
        for key in ("clips", "steps_1", "steps_2", "batch"):
            whole(key)
        made(gr.Dropdown, "encoder", list(hub.ENCODERS), value=DEFAULT.encoder, **free)
        made(gr.Dropdown, "device", [DEFAULT.device], value=DEFAULT.device, **free)
        whole("seed")
    with static.fold("train_fine", elem_id="train-fine"):
        made(gr.Dropdown, "pooling", list(POOLINGS), value=DEFAULT.pooling)
        for key, step in FINE.items():
            if step:
                made(gr.Number, key, getattr(DEFAULT, key), step=step)
            else:
                whole(key)
    with gr.Row(elem_id="train-files"):
        save = static.button("settings_save", elem_id="settings-save", **small)
        load = gr.UploadButton(
            str(of_browser("settings_load")),
            file_types=[".json"],
            elem_id="settings-load",
            **small,  # type: ignore[arg-type]
        )
        static.place(load, "settings_load", "label")
    filed = gr.HTML(elem_id="settings-told")
    file = gr.Textbox(visible="hidden", elem_id="settings-file")
    return Fields(
        named={key: found[key] for key in KEYS},
        chosen=Chosen(
            source=found["source"],
            folder=found["folder"],
            data_set=found["data_set"],
            pattern=found["pattern"],
            alone=found["alone"],
            all_learn=found["all_learn"],
            upload=way_in,
            kept=before,
        ),
        presets=presets,
        fits=fits,
        offered=gr.State({"factor": 1.0, **asdict(DEFAULT)}),
        save=save,
        load=load,
        file=file,
        filed=filed,
    )
