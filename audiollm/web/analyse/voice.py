"""The switch "Adapt to my voice" and what belongs to it: its state, a text to read, Forget.

What happens is in speaker_baseline.py.
"""

import time
from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from audiollm.analysis.wording import percent
from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import speaker_baseline
from audiollm.web.analyse.speaker_baseline import Decision, Enrolment
from audiollm.web.events import AT_ONCE, MODEL, QUIET, Update, public, repeats, visitor
from audiollm.web.services import Services
from audiollm.web.static import Static

LET_GO = 1.0  # s until a browser no longer asks for a recording
DECISIONS: tuple[Decision, ...] = ("anew", "mine", "out")


class VoicePanel:
    """The parts of the page, hidden until the model is known, and their handlers."""

    def __init__(self, services: Services, static: Static) -> None:
        self.services = services
        with gr.Column(visible=False, elem_id="voice") as self.everything:
            self.switch = static.labelled(
                gr.Checkbox, "voice", container=False, elem_id="voice-switch"
            )
            static.html("voice_consent", elem_id="voice-consent")
            self.state = gr.HTML(visible=False, elem_id="voice-state")
            with gr.Column(visible=False, elem_id="voice-asks") as self.asks:
                static.html("voice_other", '<p role="alert">{}</p>')
                with gr.Row(elem_id="voice-decisions"):
                    self.decisions = {
                        d: static.button(f"voice_{d}", size="sm", elem_id=f"voice-{d}")
                        for d in DECISIONS
                    }
            with gr.Row(visible=False, elem_id="voice-buttons") as self.buttons:
                self.read = static.button("voice_read", size="sm", elem_id="voice-read")
                self.forget = static.button("voice_forget", size="sm", elem_id="voice-forget")
            with gr.Column(visible=False, elem_id="voice-reading") as self.reading:
                static.html("voice_how")
                static.html("voice_text", "<blockquote>{}</blockquote>", elem_id="voice-text")
                self.recorder = static.sound(
                    "voice_reading", sources=["microphone"], elem_id="voice-sound"
                )
                self.failed = gr.HTML(visible=False, elem_id="voice-failed")
        self.view = [
            *(self.switch, self.state, self.asks),
            *(self.buttons, self.reading, self.recorder, self.failed),
        ]

    def available(self) -> Update:
        """Shown where the model takes a baseline."""
        card = self.services.card
        return {self.everything: gr.update(visible=bool(card and card.baseline))}

    def show(
        self, who: str, language: Language, reads: bool | None = None, failed: str = ""
    ) -> Update:
        """`reads`: whether the text to read is shown; None: as before."""
        enrolment = speaker_baseline.enrolment_of(self.services, who)
        on = enrolment is not None
        same = on and reads is None
        return {
            self.switch: on,
            self.state: gr.update(value=state(self.services, enrolment, language), visible=on),
            self.asks: gr.update(visible=bool(enrolment and enrolment.question)),
            self.buttons: gr.update(visible=on),
            self.reading: gr.skip() if same else gr.update(visible=bool(on and reads)),
            self.failed: gr.update(value=failed, visible=bool(failed)),
        }

    @public
    def tell(self, language: Language, request: gr.Request) -> Update:
        return self.show(visitor(request), language)

    @public
    def turned(self, on: bool, language: Language, request: gr.Request) -> Update:
        speaker_baseline.switch(self.services, visitor(request), on)
        return self.show(visitor(request), language)

    @repeats
    @public
    def forgotten(self, language: Language, request: gr.Request) -> Update:
        speaker_baseline.forget(self.services, visitor(request))
        return self.show(visitor(request), language, reads=False)

    @repeats
    @public
    def begin_reading(self, language: Language, request: gr.Request) -> Update:
        return self.show(visitor(request), language, reads=True)

    @public
    def was_read(self, path: str | None, chosen: Language, request: gr.Request) -> Iterator[Update]:
        """The player goes before the sound does, or it would ask for what is deleted."""
        who, failed = visitor(request), ""
        waits = render.notice(text("analysing", chosen), "wait")
        yield {self.recorder: None, **self.show(who, chosen, reads=True, failed=waits)}
        time.sleep(LET_GO)
        try:
            if path:
                speaker_baseline.read(self.services, who, path, chosen)
        except Exception as error:
            failed = render.notice(render.explained(error, chosen, "voice_bug"), "error")
        yield {self.recorder: None, **self.show(who, chosen, reads=bool(failed), failed=failed)}

    def connect(self, language: gr.Radio) -> Any:
        """Returns the event after which a clip that was not compared with the baseline has to be
        analysed again."""

        def decides(decision: Decision) -> Any:
            @repeats
            @public
            def decide(chosen: Language, request: gr.Request) -> Update:
                speaker_baseline.decide(self.services, visitor(request), decision)
                return self.show(visitor(request), chosen)

            return decide

        self.switch.input(self.turned, [self.switch, language], self.view, **AT_ONCE)
        self.forget.click(self.forgotten, language, self.view, **AT_ONCE)
        self.read.click(self.begin_reading, language, self.view, **AT_ONCE)
        language.input(self.tell, language, self.view, **AT_ONCE)
        recorded = [self.recorder, language]
        self.recorder.stop_recording(self.was_read, recorded, self.view, **QUIET, **MODEL)
        decided = {
            decision: button.click(decides(decision), language, self.view, **AT_ONCE)
            for decision, button in self.decisions.items()
        }
        return decided["mine"]


def state(services: Services, enrolment: Enrolment | None, language: Language) -> str:
    """The state of the baseline and its effect, in one paragraph."""
    if enrolment is None:
        return ""
    baseline = enrolment.others()
    if baseline is None:
        sentences = [text("voice_changed" if enrolment.forgotten else "voice_nothing", language)]
    elif not baseline.usable:
        sentences = [text("voice_few", language, n=round(baseline.seconds))]
    elif name := speaker_baseline.emotion(services, baseline):
        sentences = [text("voice_one_emotion", language, name=escape(word(name, language)))]
    else:
        seconds = round(baseline.seconds)
        sentences = [f"<b>{text('voice_rests', language, n=seconds)}</b>"]
        if gain := speaker_baseline.gain(services, baseline.windows):
            shares = {"right": percent(gain.right), "plain": percent(gain.plain)}
            sentences.append(text(f"voice_{gain.where}", language, clips=gain.clips, **shares))
    return f'<p role="status">{("" if language == "zh" else " ").join(sentences)}</p>'
