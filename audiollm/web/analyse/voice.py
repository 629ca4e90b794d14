"""The switch "Adapt to my voice" and what belongs to it: what is known, a text to read, Forget.

`lay_out` places the parts, `connect` says what moves them; what happens stands in adapting.py.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from audiollm.analysis.wording import percent
from audiollm.labels import Language, word
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import adapting
from audiollm.web.analyse.actions import explained
from audiollm.web.analyse.adapting import Decision
from audiollm.web.analyse.more import visitor
from audiollm.web.quiet import AT_ONCE
from audiollm.web.services import Services
from audiollm.web.static import Static

if TYPE_CHECKING:
    from audiollm.web.analyse.known_voice import Voice

LET_GO = 1.0  # s that a browser needs until it asks for a recording no more
DECISIONS: tuple[Decision, ...] = ("anew", "mine", "out")


@dataclass(frozen=True, eq=False)
class VoiceParts:
    """What a visitor sees and touches."""

    everything: gr.Column  # shown where the model takes a baseline
    switch: gr.Checkbox
    told: gr.HTML
    asks: gr.Column
    decisions: dict[Decision, gr.Button]
    buttons: gr.Row
    read: gr.Button
    forget: gr.Button
    reading: gr.Column  # the text, and its recording
    recorder: gr.Audio
    failed: gr.HTML  # that it is being heard, or why it cannot be used

    @property
    def view(self) -> list[Any]:
        """In the order of `show`."""
        return [self.switch, self.told, self.asks, self.buttons, self.reading, self.failed]


def lay_out(static: Static) -> VoiceParts:
    """Place the parts, hidden until the model is known."""
    with gr.Column(visible=False, elem_id="voice") as everything:
        switch = static.labelled(gr.Checkbox, "voice", container=False, elem_id="voice-switch")
        static.html("voice_consent", elem_id="voice-consent")
        told = gr.HTML(visible=False, elem_id="voice-told")
        with gr.Column(visible=False, elem_id="voice-asks") as asks:
            static.html("voice_other", '<p role="alert">{}</p>')
            with gr.Row(elem_id="voice-decisions"):
                decisions = {
                    decision: static.button(
                        f"voice_{decision}", size="sm", elem_id=f"voice-{decision}"
                    )
                    for decision in DECISIONS
                }
        with gr.Row(visible=False, elem_id="voice-buttons") as buttons:
            read = static.button("voice_read", size="sm", elem_id="voice-read")
            forget = static.button("voice_forget", size="sm", elem_id="voice-forget")
        with gr.Column(visible=False, elem_id="voice-reading") as reading:
            static.html("voice_how")
            static.html("voice_text", "<blockquote>{}</blockquote>", elem_id="voice-text")
            recorder = static.sound("voice_reading", sources=["microphone"], elem_id="voice-sound")
            failed = gr.HTML(visible=False, elem_id="voice-failed")
    return VoiceParts(
        everything=everything,
        switch=switch,
        told=told,
        asks=asks,
        decisions=decisions,
        buttons=buttons,
        read=read,
        forget=forget,
        reading=reading,
        recorder=recorder,
        failed=failed,
    )


def available(services: Services) -> Any:
    """An update for `VoiceParts.everything`."""
    card = services.card
    return gr.update(visible=bool(card and card.baseline))


def show(
    services: Services, who: str, language: Language, reads: bool | None = None, failed: str = ""
) -> list[Any]:
    """Updates for `VoiceParts.view`; `reads`: whether the text to read stands there, as
    before if it is None."""
    voice = adapting.known(services, who)
    on = voice is not None
    return [
        on,
        gr.update(value=told(services, voice, language), visible=on),
        gr.update(visible=bool(voice and voice.question)),
        gr.update(visible=on),
        gr.update() if on and reads is None else gr.update(visible=bool(on and reads)),
        gr.update(value=failed, visible=bool(failed)),
    ]


def told(services: Services, voice: "Voice | None", language: Language) -> str:
    """What is known of the voice, and what that means, in one paragraph."""
    if voice is None:
        return ""
    baseline = voice.others()
    if baseline is None:
        said = [text("voice_changed" if voice.forgotten else "voice_nothing", language)]
    elif not baseline.usable:
        said = [text("voice_few", language, n=round(baseline.seconds))]
    elif name := adapting.emotion(services, baseline):
        said = [text("voice_one_emotion", language, name=escape(word(name, language)))]
    else:
        said = [f"<b>{text('voice_rests', language, n=round(baseline.seconds))}</b>"]
        if found := adapting.gain(services, baseline.windows):
            shares = {"right": percent(found.right), "plain": percent(found.plain)}
            said.append(text(f"voice_{found.where}", language, clips=found.clips, **shares))
    return f'<p role="status">{("" if language == "zh" else " ").join(said)}</p>'


def connect(
    parts: VoiceParts,
    language: gr.Radio,
    services: Services,
    quiet: dict[str, Any],
    turn: dict[str, Any],
) -> Any:
    """`quiet` are options of every event, `turn` of those that wait for the model. Returns the
    event after which a clip that was not compared with this voice has to be analysed anew."""

    def turned(on: bool, chosen: Language, request: gr.Request) -> list[Any]:
        adapting.switch(services, visitor(request), on)
        return show(services, visitor(request), chosen)

    def forget(chosen: Language, request: gr.Request) -> list[Any]:
        adapting.forget(services, visitor(request))
        return show(services, visitor(request), chosen, reads=False)

    def begin(chosen: Language, request: gr.Request) -> list[Any]:
        return show(services, visitor(request), chosen, reads=True)

    def read(path: str | None, chosen: Language, request: gr.Request) -> Iterator[list[Any]]:
        """The player goes before the sound does, or it would ask for what is deleted."""
        who, failed = visitor(request), ""
        waits = render.notice(text("listening", chosen), "wait")
        yield [None, *show(services, who, chosen, reads=True, failed=waits)]
        time.sleep(LET_GO)
        try:
            if path:
                adapting.read(services, who, path, chosen)
        except Exception as error:
            known = adapting.said(error)
            said = explained(known, chosen) if known else text("voice_bug", chosen)
            failed = render.notice(said, "error")
        yield [None, *show(services, who, chosen, reads=bool(failed), failed=failed)]

    outputs = parts.view
    parts.switch.input(turned, [parts.switch, language], outputs, **AT_ONCE)
    parts.forget.click(forget, language, outputs, **AT_ONCE)
    parts.read.click(begin, language, outputs, **AT_ONCE)
    recorded = [parts.recorder, *outputs]
    parts.recorder.stop_recording(read, [parts.recorder, language], recorded, **quiet, **turn)

    def decides(decision: Decision) -> Any:
        def decide(chosen: Language, request: gr.Request) -> list[Any]:
            adapting.decide(services, visitor(request), decision)
            return show(services, visitor(request), chosen)

        return decide

    decided = {
        decision: button.click(decides(decision), language, parts.view, **AT_ONCE)
        for decision, button in parts.decisions.items()
    }
    return decided["mine"]


def follow(
    parts: VoiceParts, language: gr.Radio, services: Services, answered: Sequence[Any]
) -> None:
    """What is known of the voice is told anew after every answer, and in another language."""

    def tell(chosen: Language, request: gr.Request) -> list[Any]:
        return show(services, visitor(request), chosen)

    for answer in answered:
        answer.then(tell, language, parts.view, **AT_ONCE)
    language.input(tell, language, parts.view, **AT_ONCE)
