"""What the page shows while the microphone records; style.css shows it as long as it does.

live.js sends the last seconds through the hidden component `wire`. What happens is in live.py.
"""

import json
from functools import partial
from typing import Any

import gradio as gr

from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import live
from audiollm.web.analyse.course import course
from audiollm.web.analyse.live import Answer, Course, Live
from audiollm.web.analyse.plots import bars
from audiollm.web.events import AT_ONCE, Update, public, repeats, visitor
from audiollm.web.services import Services
from audiollm.web.static import Static

CONNECT = "window.audiollm.sendsLive((message) => trigger('submit', message), %s);"
ANSWERED = "() => { window.audiollm.answered(); }"
FIGURE: dict[str, Any] = {"show_label": False, "container": False, "elem_classes": "live-figure"}


class LivePanel:
    """The parts of the page and their handler."""

    def __init__(self, services: Services, static: Static) -> None:
        self.services, self.live = services, Live()
        with gr.Column(elem_id="live"):
            static.html("live_title", "<h2>{}</h2>", elem_id="live-title")
            self.headline = gr.HTML(elem_id="live-said")
            self.figure = gr.Plot(elem_id="live-figure", **FIGURE)
            self.course = gr.Plot(elem_id="live-course", **FIGURE)
            static.html("live_how", elem_id="live-how")
        timing = json.dumps({"seconds": live.SECONDS, "every": live.EVERY})
        self.wire = gr.HTML("", js_on_load=CONNECT % timing, elem_id="live-wire")
        self.state = gr.State(Course())
        self.parts: list[Any] = [self.headline, self.figure, self.course, self.state]

    @public
    def begins(self, language: Language) -> Update:
        """Removes what was said of the recording before."""
        waits = render.notice(text("live_waits", language), "wait")
        nothing: Update = dict.fromkeys((self.figure, self.course))
        return {self.headline: waits, **nothing, self.state: Course()}

    def show(self, answer: Answer, language: Language) -> Update:
        scored = bool(answer.probabilities)
        line = answer.course.timeline
        return {
            self.headline: answer_html(answer, language),
            self.figure: bars(answer.probabilities, language, True) if scored else gr.skip(),
            self.course: course(None, line, language) if line else gr.skip(),
            self.state: answer.course,
        }

    @partial(repeats, how="itself")  # with newer sound
    @public
    def answers(
        self, before: Course, language: Language, event: gr.EventData, request: gr.Request
    ) -> Update:
        try:
            answer = live.answer(
                self.services, self.live, event._data, before, language, visitor(request)
            )
        except Exception as error:
            return {self.headline: render.notice(render.explained(error, language), "wait")}
        return self.show(answer, language)

    def connect(self, sound: gr.Audio, language: gr.Radio) -> None:
        sound.start_recording(self.begins, language, self.parts, **AT_ONCE)
        event = self.wire.submit(
            self.answers, [self.state, language], self.parts, trigger_mode="once", **AT_ONCE
        )
        event.then(js=ANSWERED, **AT_ONCE)


def answer_html(answer: Answer, language: Language) -> str:
    """The answer in a line, or why there is none; its class is what style.css goes by."""
    if answer.state == "scored":
        words = render.headline(answer.probabilities, language)
    else:
        length = render.duration(answer.seconds, language)
        words = render.notice(text(f"live_{answer.state}", language, length=length), "wait")
    return f'<div class="live-said {answer.state}">{words}</div>'
