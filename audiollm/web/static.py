"""Texts of a page that belong to no answer: labels, buttons, headings.

The browser translates them for the first paint (`gr.I18n`), so nobody sees them change; later
they follow the page's own language choice.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import gradio as gr
from gradio.i18n import I18nData

from audiollm.labels import LANGUAGES, Language
from audiollm.texts import TEXTS

Words = dict[Language, str]
T = TypeVar("T")
HIDDEN: dict[str, Any] = {"visible": "hidden"}  # on the page, which `visible=False` is not
OURS = "audiollm_"  # Gradio has words of its own under plain names such as `audio`
# and of some it has none: where an event ends, a screen reader would read "common.complete"
LACKING: dict[str, Words] = {
    "common.complete": {"en": "Complete", "zh": "完成"},
    "audio.recording_error": {
        "en": "Could not start recording from the microphone.",
        "zh": "无法开始用麦克风录音。",
    },
}


def visible(on: bool) -> Literal[True, "hidden"]:
    """The `visible` of a component that stays on the page."""
    return True if on else "hidden"


def of_browser(key: str) -> I18nData:
    """The text `key`, in the language of whoever's browser shows it."""
    return I18nData(OURS + key)


def choices(kind: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """(text `KIND_NAME` in the language of the browser, name)."""
    return [(str(of_browser(f"{kind}_{name}")), name) for name in names]


class Static:
    """The places of a page where such a text stands."""

    def __init__(self) -> None:
        self.words: dict[str, Words] = dict(TEXTS)
        self._places: list[tuple[Any, str, str, str]] = []

    def place(self, component: T, key: str, field: str = "value", frame: str = "{}") -> T:
        """Note that the text `key`, inside `frame`, is the `field` of a component."""
        self._places.append((component, field, key, frame))
        return component

    def html(self, key: str, frame: str = "<p>{}</p>", **options: Any) -> gr.HTML:
        """The text in a piece of HTML, `frame` around it."""
        before, after = frame.split("{}")
        value = before + str(of_browser(key)) + after
        return self.place(gr.HTML(value, **options), key, frame=frame)

    def labelled(
        self, kind: Callable[..., T], key: str, *, info: bool = False, **options: Any
    ) -> T:
        """A component of that kind with the text as its label, and `KEY_info` below it; its id is
        the key with hyphens, unless `elem_id` is given."""
        part = kind(label=of_browser(key), **_named(key, options))
        self.place(part, key, "label")
        return self.place(part, f"{key}_info", "info") if info else part

    def button(self, key: str, **options: Any) -> gr.Button:
        """A button that says the text."""
        return self.place(gr.Button(of_browser(key), **_named(key, options)), key)

    def fold(self, key: str, **options: Any) -> gr.Accordion:
        """A closed accordion."""
        fold = gr.Accordion(of_browser(key), open=False, **_named(key, options))
        return self.place(fold, key, "label")

    def sound(
        self, key: str, sources: Sequence[str] = ("upload", "microphone"), **options: Any
    ) -> gr.Audio:
        """The way in for a recording, with the browser's own player: page.js moves its place."""
        return self.labelled(
            gr.Audio,
            key,
            sources=list(sources),
            type="filepath",
            buttons=[],
            editable=False,
            waveform_options=gr.WaveformOptions(show_recording_waveform=False),
            **options,
        )

    @property
    def components(self) -> list[Any]:
        return list(dict.fromkeys(component for component, *_ in self._places))

    def speak(self, language: Language) -> list[Any]:
        """Updates for `components`: every text in one language."""
        fields_of: dict[Any, dict[str, Any]] = {}  # of a component: its label, its info, ...
        for component, field, key, frame in self._places:
            fields_of.setdefault(component, {})[field] = frame.format(self.words[key][language])
        return [gr.update(**fields) for fields in fields_of.values()]

    def i18n(self) -> gr.I18n:
        """All texts for the browser. Gradio knows Chinese browsers as zh-CN and zh-TW."""
        whole = {
            OURS + key: words
            for key, words in self.words.items()
            if not any("{" in sentence for sentence in words.values())
        } | LACKING
        tables = {
            language: {key: words[language] for key, words in whole.items()}
            for language in LANGUAGES
        }
        return gr.I18n(**{"en": tables["en"], "zh-CN": tables["zh"], "zh-TW": tables["zh"]})


def _named(key: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"elem_id": key.replace("_", "-"), **options}
