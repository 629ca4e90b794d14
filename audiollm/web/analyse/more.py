"""What may be done with an answer: compare it, ask about the clip, keep it for labelling.

`lay_out` places the parts, `connect` says what moves them; what happens stands in compare.py.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

import gradio as gr

from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import compare, keeping, turns
from audiollm.web.analyse.keeping import Evidence, Outcome
from audiollm.web.analyse.plots import pair
from audiollm.web.quiet import AT_ONCE, unrepeated
from audiollm.web.services import Services
from audiollm.web.static import Static, of_browser

# a button that goes takes the keyboard's place along: it is given to the one that is pressed next
FOCUS = "() => setTimeout(() => document.querySelector('#%s')?.focus(), 100)"


@dataclass(frozen=True, eq=False)
class Keeping:
    """Where a clip is kept: what became of it, and how it is taken back."""

    told: gr.HTML
    forget: gr.Button
    kept: gr.State  # id of the kept clip, or ""

    @property
    def everything(self) -> list[Any]:
        """In the order of `kept`."""
        return [self.told, self.forget, self.kept]


@dataclass(frozen=True, eq=False)
class More:
    """The parts below an answer."""

    everything: gr.Column
    rival: gr.Radio
    second: gr.Column  # holds `other`, the second recording
    other: gr.Audio
    compare: gr.Button
    verdict: gr.HTML
    figure: gr.Plot
    send: gr.Button
    evidence: gr.State  # compare.Evidence of a disagreement, or None
    sent: Keeping
    question: gr.Textbox
    ask: gr.Button
    reply: gr.HTML
    fold: gr.Accordion  # around keeping, which strangers may not do everywhere
    keep: gr.Button
    kept: Keeping

    @property
    def compared(self) -> list[Any]:
        """In the order of `show`."""
        return [self.verdict, self.figure, self.send, self.evidence, *self.sent.everything]

    @property
    def outcomes(self) -> list[Any]:
        """Everything that belongs to one clip, in the order of `nothing`."""
        return [*self.compared, self.reply, *self.kept.everything]


def lay_out(services: Services, static: Static) -> More:
    """Place the parts, hidden until there is an answer.

    Inside a fold `visible` is True or False: what is "hidden" there shows when the fold opens.
    """
    with gr.Column(visible="hidden", elem_id="more") as everything:
        with static.fold("compare_title", elem_id="compare"):
            rival = gr.Radio([], label=of_browser("rival"), elem_id="rival")
            with gr.Column(visible=False, elem_id="second") as second:
                other = static.sound("second_clip", elem_id="other")
            start = static.button("compare", size="sm", elem_id="compare-start")
            verdict = gr.HTML(elem_id="verdict")
            figure = gr.Plot(
                pair([("", {}), ("", {})], "en"),
                show_label=False,
                container=False,
                visible=False,
                elem_id="pair",
            )
            send = static.button("send", size="sm", visible=False, elem_id="send")
            sent = _keeping(static, "sent")
        with static.fold("ask_title", elem_id="ask"):
            question = gr.Textbox(
                label=of_browser("question"), lines=1, max_lines=4, elem_id="question"
            )
            ask = static.button("ask", size="sm", elem_id="ask-start")
            reply = gr.HTML(elem_id="reply")
        with static.fold("keep_title", elem_id="keep", visible=services.keeps) as keeping:
            static.html("keep_says")
            keep = static.button("keep", size="sm", elem_id="keep-start")
            kept = _keeping(static, "kept")
    return More(
        everything=everything,
        rival=rival,
        second=second,
        other=other,
        compare=start,
        verdict=verdict,
        figure=figure,
        send=send,
        evidence=gr.State(None),
        sent=sent,
        question=question,
        ask=ask,
        reply=reply,
        fold=keeping,
        keep=keep,
        kept=kept,
    )


def _keeping(static: Static, id: str) -> Keeping:
    told = gr.HTML(elem_id=id)
    forget = static.button("forget", size="sm", visible=False, elem_id=f"{id}-forget")
    return Keeping(told, forget, gr.State(""))


def choices(services: Services, language: Language) -> Any:
    """What may be compared with, in words: as long as the model is being loaded, recordings."""
    found = compare.rivals(services, language)
    return gr.update(choices=found, value=found[-1][1], label=text("rival", language))


def nothing(language: Language, sent_id: str = "", kept_id: str = "") -> list[Any]:
    """Updates for `More.outcomes`: what was said before goes; that clips of these ids are kept, and
    can be removed, does not."""
    compared = show(compare.Comparison())[: -len(kept(Outcome("")))]
    sent, own = (
        kept(Outcome(render.notice(text("is_kept", language), "wait") if id else "", id))
        for id in (sent_id, kept_id)
    )
    return [*compared, *sent, "", *own]


def kept(came: Outcome) -> list[Any]:
    """Updates for `Keeping.everything`."""
    return [came.said, gr.update(visible=bool(came.kept)), came.kept]


def show(found: compare.Comparison) -> list[Any]:
    """Updates for `More.compared`."""
    drawn = found.figure is not None
    return [
        found.notice or found.verdict,
        gr.update(value=found.figure, visible=True) if drawn else gr.update(visible=False),
        gr.update(visible=bool(found.evidence)),
        found.evidence,
        *kept(Outcome("")),
    ]


def connect(
    parts: More,
    sound: gr.Audio,
    language: gr.Radio,
    services: Services,
    quiet: dict[str, Any],
    turn: dict[str, Any],
) -> None:
    """`quiet` are options of every event, `turn` of those that wait for the model.

    What comes when the visitor looks at another clip already is not shown.
    """

    def still(request: gr.Request, path: str | None, chosen: Language) -> bool:
        return not path or turns.is_shown(services, visitor(request), path, chosen)

    def against(
        path: str | None, rival: str, other: str | None, chosen: Language, request: gr.Request
    ) -> Iterator[list[Any]]:
        who = visitor(request)
        with closing(compare.compare(services, path, rival, other, chosen, who)) as steps:
            wanted = partial(still, request, path, chosen)
            yield from _while(wanted, map(show, steps), len(parts.compared))

    def ask(
        path: str | None, question: str, chosen: Language, request: gr.Request
    ) -> Iterator[list[Any]]:
        with closing(compare.ask(services, path, question, chosen)) as steps:
            wanted = partial(still, request, path, chosen)
            yield from _while(wanted, ([said] for said in steps), 1)

    def keep(path: str | None, chosen: Language, request: gr.Request) -> list[Any]:
        wanted = partial(still, request, path, chosen)
        came = compare.keep_clip(services, path, chosen, wanted, visitor(request))
        return kept(came) if came else [gr.skip()] * len(parts.kept.everything)

    def send(seen: Evidence | None, chosen: Language) -> list[Any]:
        came = keeping.keep(services, seen, chosen)
        return [gr.update(visible=not came.kept), *kept(came)]  # what is kept is not kept again

    def forget(id: str, chosen: Language) -> list[Any]:
        return kept(keeping.forget(services, id, chosen))

    def take_back(id: str, chosen: Language) -> list[Any]:
        came = keeping.forget(services, id, chosen)
        return [gr.update(visible=not came.kept), *kept(came)]

    def wants(rival: str) -> Any:
        return gr.update(visible=rival == compare.CLIP)

    parts.rival.change(wants, parts.rival, parts.second, **quiet, queue=False)
    inputs = [sound, parts.rival, parts.other, language]
    parts.compare.click(against, inputs, parts.compared, **quiet, **turn)
    places = [parts.send, *parts.sent.everything]
    parts.send.click(send, [parts.evidence, language], places, **quiet)
    asked: Sequence[Any] = [parts.ask.click, parts.question.submit]
    gr.on(asked, ask, [sound, parts.question, language], [parts.reply], **quiet, **turn)
    parts.keep.click(keep, [sound, language], parts.kept.everything, **quiet, **turn)
    gone = parts.sent.forget.click(take_back, [parts.sent.kept, language], places, **quiet)
    gone.then(js=FOCUS % "send", **AT_ONCE)
    inputs = [parts.kept.kept, language]
    gone = parts.kept.forget.click(forget, inputs, parts.kept.everything, **quiet)
    gone.then(js=FOCUS % "keep-start", **AT_ONCE)


def _while(
    wanted: Callable[[], bool], steps: Iterable[list[Any]], outputs: int
) -> Iterator[list[Any]]:
    return unrepeated(takewhile(lambda _: wanted(), steps), wanted, outputs)


def said_of_questions(services: Services, language: Language) -> list[Any]:
    """Updates for the box of questions and its button: open where the model can answer, else it
    says that it cannot."""
    card = services.card
    able = bool(card and card.questions)
    words = text("question_example" if able or not card else "cannot_ask", language)
    box = gr.update(placeholder=words, interactive=able, label=text("question", language))
    return [box, gr.update(interactive=able)]


def visitor(request: gr.Request) -> str:
    """One open page."""
    return request.session_hash or ""
