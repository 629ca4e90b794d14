"""What can be done with an answer: compare it, ask about the clip, save it for labelling.

What happens is in compare.py and saved_clips.py.
"""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import gradio as gr

from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import compare, saved_clips
from audiollm.web.analyse.compare import Comparison
from audiollm.web.analyse.plots import pair
from audiollm.web.analyse.saved_clips import Evidence, Outcome
from audiollm.web.events import AT_ONCE, MODEL, QUIET, Update, public, repeats, shown_while, visitor
from audiollm.web.services import Services
from audiollm.web.static import Static, of_browser

# a button that is hidden loses the keyboard focus: it goes to the one that is pressed next
FOCUS = "() => setTimeout(() => document.querySelector('#%s')?.focus(), 100)"


class Saved:
    """Where a clip is saved: the message, and how it is removed."""

    def __init__(self, static: Static, id: str) -> None:
        self.message = gr.HTML(elem_id=id)
        self.forget = static.button("forget", size="sm", visible=False, elem_id=f"{id}-forget")
        self.id = gr.State("")
        self.parts: list[Any] = [self.message, self.forget, self.id]

    def show(self, outcome: Outcome) -> Update:
        return {
            self.message: outcome.message,
            self.forget: gr.update(visible=bool(outcome.id)),
            self.id: outcome.id,
        }

    def again(self, id: str, language: Language) -> Update:
        """For the same clip: that it is saved, and can be removed."""
        notice = render.notice(text("is_kept", language), "wait") if id else ""
        return self.show(Outcome(notice, id))


class MorePanel:
    """The parts below an answer, hidden until there is one, and their handlers.

    Inside a fold `visible` is True or False: what is "hidden" there shows when the fold opens.
    """

    def __init__(self, services: Services, static: Static) -> None:
        self.services = services
        with gr.Column(visible="hidden", elem_id="more") as self.everything:
            with static.fold("compare_title", elem_id="compare"):
                self.rival = gr.Radio([], label=of_browser("rival"), elem_id="rival")
                with gr.Column(visible=False, elem_id="second") as self.second:
                    self.other = static.sound("second_clip", elem_id="other")
                self.start = static.button("compare", size="sm", elem_id="compare-start")
                self.verdict = gr.HTML(elem_id="verdict")
                self.figure = gr.Plot(
                    pair([("", {}), ("", {})], "en"),
                    show_label=False,
                    container=False,
                    visible=False,
                    elem_id="pair",
                )
                self.send = static.button("send", size="sm", visible=False, elem_id="send")
                self.sent = Saved(static, "sent")
            with static.fold("ask_title", elem_id="ask"):
                self.question = gr.Textbox(
                    label=of_browser("question"), lines=1, max_lines=4, elem_id="question"
                )
                self.ask = static.button("ask", size="sm", elem_id="ask-start")
                self.reply = gr.HTML(elem_id="reply")
            with static.fold("keep_title", elem_id="keep", visible=services.keeps) as self.fold:
                static.html("keep_says")
                self.keep = static.button("keep", size="sm", elem_id="keep-start")
                self.saved = Saved(static, "kept")
        self.evidence = gr.State(None)  # Evidence of a disagreement, or None
        comparison = [self.verdict, self.figure, self.send, self.evidence]
        self.compared: list[Any] = [*comparison, *self.sent.parts]
        self.outcomes: list[Any] = [*self.compared, self.reply, *self.saved.parts]
        self.known: list[Any] = [self.rival, self.question]

    def available(self, language: Language) -> Update:
        """What depends on the model: until it is loaded, only recordings can be compared."""
        rivals, words = compare.rivals(self.services, language), text("question_example", language)
        label = text("rival", language)
        return {
            self.rival: gr.update(choices=rivals, value=rivals[-1][1], label=label),
            self.question: gr.update(placeholder=words, label=text("question", language)),
        }

    def clear(self, language: Language, sent: str = "", saved: str = "") -> Update:
        """Removes the outcomes of a clip, but not that clips of these ids are saved."""
        return {
            **self.show(Comparison()),
            **self.sent.again(sent, language),
            self.reply: "",
            **self.saved.again(saved, language),
        }

    def show(self, comparison: Comparison) -> Update:
        visible = comparison.figure is not None
        return {
            self.verdict: comparison.notice or comparison.verdict,
            self.figure: gr.update(value=comparison.figure, visible=True)
            if visible
            else gr.update(visible=False),
            self.send: gr.update(visible=bool(comparison.evidence)),
            self.evidence: comparison.evidence,
            **self.sent.show(Outcome("")),
        }

    def _still(self, request: gr.Request, path: str | None, language: Language) -> bool:
        """What comes when the visitor looks at another clip already is not shown."""
        return not path or self.services.requests.is_shown(visitor(request), path, language)

    @repeats
    @public
    def compares(
        self, path: str | None, rival: str, other: str | None, chosen: Language, request: gr.Request
    ) -> Iterator[Update]:
        who = visitor(request)
        with closing(compare.compare(self.services, path, rival, other, chosen, who)) as steps:
            is_current = partial(self._still, request, path, chosen)
            yield from shown_while(map(self.show, steps), is_current, self.show(Comparison()))

    @repeats
    @public
    def asks(
        self, path: str | None, question: str, language: Language, request: gr.Request
    ) -> Iterator[Update]:
        with closing(compare.ask(self.services, path, question, language)) as steps:
            is_current = partial(self._still, request, path, language)
            replies = ({self.reply: html} for html in steps)
            yield from shown_while(replies, is_current, {self.reply: ""})

    @public
    def saves(self, path: str | None, language: Language, request: gr.Request) -> Any:
        is_current = partial(self._still, request, path, language)
        outcome = saved_clips.keep_clip(self.services, path, language, is_current, visitor(request))
        return self.saved.show(outcome) if outcome else gr.skip()

    @public
    def sends(self, evidence: Evidence | None, language: Language) -> Update:
        return self._show_sent(saved_clips.keep(self.services, evidence, language))

    @public
    def takes_back(self, id: str, language: Language) -> Update:
        return self._show_sent(saved_clips.forget(self.services, id, language))

    def _show_sent(self, outcome: Outcome) -> Update:
        """A clip that is saved is not saved again."""
        return {self.send: gr.update(visible=not outcome.id), **self.sent.show(outcome)}

    @public
    def forgets(self, id: str, language: Language) -> Update:
        return self.saved.show(saved_clips.forget(self.services, id, language))

    @public
    def chooses(self, rival: str) -> Update:
        return {self.second: gr.update(visible=rival == compare.CLIP)}

    def connect(self, sound: gr.Audio, language: gr.Radio) -> None:
        self.rival.change(self.chooses, self.rival, self.second, **AT_ONCE)
        clip = [sound, self.rival, self.other, language]
        self.start.click(self.compares, clip, self.compared, **QUIET, **MODEL)
        triggers: Any = [self.ask.click, self.question.submit]
        gr.on(triggers, self.asks, [sound, self.question, language], [self.reply], **QUIET, **MODEL)
        self.keep.click(self.saves, [sound, language], self.saved.parts, **QUIET, **MODEL)
        outputs = [self.send, *self.sent.parts]
        self.send.click(self.sends, [self.evidence, language], outputs, **QUIET)
        back = self.sent.forget.click(self.takes_back, [self.sent.id, language], outputs, **QUIET)
        back.then(js=FOCUS % "send", **AT_ONCE)
        gone = [self.saved.id, language]
        back = self.saved.forget.click(self.forgets, gone, self.saved.parts, **QUIET)
        back.then(js=FOCUS % "keep-start", **AT_ONCE)
