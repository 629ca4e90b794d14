"""Layout of the Analyse page; what happens on it stands in handlers.py."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from audiollm.labels import Language
from audiollm.ui import handlers
from audiollm.ui.handlers import View
from audiollm.ui.plots import bars
from audiollm.ui.services import Services
from audiollm.ui.static import Static, of_browser

# The model answers one visitor at a time: batching clips of strangers would not be faster on CPU
MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
# On a phone the answer comes below the fold: go there, and leave wide screens in peace
GO_TO_ANSWER = """() => {
  const answer = document.getElementById("answer");
  if (answer.getBoundingClientRect().top > 0.6 * window.innerHeight)
    answer.scrollIntoView({ behavior: "smooth" });
}"""


def page(demo: gr.Blocks, services: Services, static: Static) -> None:
    """Lay the page out and connect it. Call it inside `demo`."""
    with gr.Row(elem_id="top", equal_height=True):
        static.html("heading", "<h1>{}</h1>", elem_id="heading")
        language = gr.Radio(
            [("中文", "zh"), ("English", "en")],
            value="en",
            label=of_browser("language"),
            container=False,
            elem_id="language",
            min_width=180,
            scale=0,
        )
    static.place(language, "language", "label")
    with gr.Row(elem_id="sides"):
        with gr.Column(scale=5, min_width=300):
            static.html("intro", elem_id="intro")
            sound = gr.Audio(
                sources=["upload", "microphone"],
                type="filepath",
                label=of_browser("audio"),
                buttons=[],
                editable=False,
                elem_id="sound",
            )
            static.place(sound, "audio", "label")
            static.html("insecure", elem_id="insecure")
            button = gr.Button(of_browser("analyse"), variant="primary", elem_id="analyse")
            static.place(button, "analyse")
            examples = _examples(services, static)
        with gr.Column(scale=7, min_width=320, elem_id="answer"):
            notice = gr.HTML(elem_id="notice")
            with gr.Column(visible="hidden", elem_id="result") as result:
                headline = gr.HTML(elem_id="headline")
                # drawn empty at once, so that the browser has plotly before the first answer
                figure = gr.Plot(
                    bars({}, "en"),
                    label=of_browser("probabilities"),
                    show_label=False,
                    container=False,
                    elem_id="figure",
                )
                words = gr.HTML(elem_id="text")
                cues = gr.HTML(elem_id="cues")
    about = gr.HTML(elem_id="about")
    clock = gr.Timer(1.0, active=False)

    clip = [sound, language]
    view = [notice, result, headline, figure, words, cues]

    def begin(path: str | None, chosen: Language) -> list[Any]:
        return show(handlers.begin(path, chosen))

    def analyse(path: str | None, chosen: Language) -> Iterator[list[Any]]:
        for state in handlers.analyse(services, path, chosen):
            yield show(state)

    def empty(chosen: Language) -> list[Any]:
        return show(handlers.empty(chosen))

    def speak(chosen: Language) -> list[Any]:
        return [handlers.about(services, chosen), *static.speak(chosen)]

    def arrive(request: gr.Request) -> list[Any]:
        chosen = handlers.spoken_language(request.headers.get("accept-language"))
        waits = gr.Timer(active=not services.ready)
        return [chosen, waits, *empty(chosen), *speak(chosen)]

    def look(chosen: Language) -> list[Any]:
        done = services.ready  # before the text, or a load that ends in between is never told
        return [handlers.about(services, chosen), gr.Timer(active=not done)]

    told = [about, *static.components]
    demo.load(arrive, None, [language, clock, *view, *told], **AT_ONCE)
    clock.tick(look, language, [about, clock], **AT_ONCE)
    language.input(speak, language, told, **AT_ONCE)
    sound.clear(empty, language, view, **AT_ONCE)
    triggers = [sound.upload, sound.stop_recording, button.click]
    started = gr.on([*triggers, language.input], begin, clip, view, **AT_ONCE)
    started.then(js=GO_TO_ANSWER)
    # a second clip that comes while the first is answered is answered after it, not dropped
    gr.on(triggers, analyse, clip, view, trigger_mode="always_last", **QUIET, **MODEL)
    gr.on(language.input, partial(_again, analyse), clip, view, **QUIET, **MODEL)
    for choice, example in zip(examples, services.examples, strict=True):
        path = str(example.path)
        chosen = choice.click(partial(str, path), None, sound, **AT_ONCE)
        started = chosen.then(begin, clip, view, **AT_ONCE)
        started.then(js=GO_TO_ANSWER)
        started.then(analyse, clip, view, **QUIET, **MODEL)


def _again(analyse: Any, path: str | None, chosen: Language) -> Iterator[list[Any]]:
    """In the other language, the clip that is there; without one there is nothing to say."""
    if path:
        yield from analyse(path, chosen)


def _examples(services: Services, static: Static) -> list[gr.Button]:
    """A button for each bundled clip."""
    if not services.examples:
        return []
    static.html("examples", "<h3>{}</h3>", elem_id="examples-title")
    buttons = []
    with gr.Row(elem_id="examples"):
        for number, example in enumerate(services.examples):
            key = f"example_{number}"
            static.words[key] = example.words
            made = gr.Button(of_browser(key), size="sm", min_width=120, elem_classes="example")
            buttons.append(static.place(made, key))
    return buttons


def show(view: View) -> list[Any]:
    """Updates for notice, result, headline, figure, text, cues."""
    return [
        gr.update(value=view.notice, visible=bool(view.notice)),
        gr.update(visible=view.answered or "hidden"),
        view.headline,
        gr.skip() if view.figure is None else view.figure,
        view.text,
        gr.update(value=view.cues, visible=bool(view.cues)),
    ]
