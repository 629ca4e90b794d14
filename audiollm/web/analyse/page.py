"""The Analyse page: `lay_out` places its parts, `connect` says what moves them.

What happens stands in actions.py.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web.analyse import actions, adapting, compare, more, turns, voice
from audiollm.web.analyse.actions import View
from audiollm.web.analyse.more import More, visitor
from audiollm.web.analyse.plots import bars
from audiollm.web.analyse.voice import VoiceParts
from audiollm.web.quiet import AT_ONCE, QUIET, unrepeated
from audiollm.web.services import Services
from audiollm.web.static import Static, of_browser

# The model hears one batch at a time, so more visitors at once are not faster; but a short clip
# need not wait until somebody's hour is over
MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 4}
# On a phone the answer comes below the fold: go there, and leave wide screens in peace
GO_TO_ANSWER = """() => {
  const answer = document.getElementById("answer");
  if (answer.getBoundingClientRect().top > 0.6 * window.innerHeight)
    answer.scrollIntoView({ behavior: "smooth" });
}"""
# A link such as /?example=2 chooses the second example for whoever follows it
OPEN_EXAMPLE = """() => {
  const number = Number(new URLSearchParams(location.search).get("example"));
  document.querySelectorAll("button.example")[number - 1]?.click();
}"""


@dataclass(frozen=True, eq=False)
class Parts:
    """What a visitor sees and touches."""

    language: gr.Radio  # of the whole page
    sound: gr.Audio
    button: gr.Button
    examples: list[gr.Button]
    voice: VoiceParts
    notice: gr.HTML
    loading: gr.HTML
    result: gr.Column
    headline: gr.HTML
    figure: gr.Plot
    order: gr.Checkbox
    said: gr.State  # what the figure shows: class -> probability
    words: gr.HTML
    cues: gr.HTML
    actions: gr.HTML
    stop: gr.Button
    over_time: gr.Column
    course: gr.Plot
    hint: gr.HTML
    more: More
    about: gr.HTML
    picker: gr.Dropdown
    card: gr.Markdown
    clock: gr.Timer  # looks whether the model is loaded, until it is

    @property
    def view(self) -> list[Any]:
        """In the order of `show`."""
        figure = [self.figure, self.said]
        answer = [self.notice, self.result, self.headline, *figure, self.words, self.cues]
        over_time = [self.over_time, self.course, self.hint]
        return [*answer, self.actions, *over_time, self.more.everything]

    @property
    def cover(self) -> list[Any]:
        """In the order of `cover`."""
        folded = [self.result, self.over_time, self.more.everything]
        return [self.notice, *folded, self.hint, *self.more.outcomes]


def lay_out(services: Services, static: Static, language: gr.Radio) -> Parts:
    """Place the parts; `language` is the choice of the whole page."""
    with gr.Row(elem_id="sides"):
        with gr.Column(scale=5, min_width=300):
            static.html("intro", elem_id="intro")
            sound = static.sound("audio", elem_id="sound")
            static.html("insecure", elem_id="insecure")
            static.button("again", size="sm", elem_id="again")  # page.js says what it does
            button = static.button("analyse", variant="primary", elem_id="analyse")
            examples = _examples(services, static)
            own_voice = voice.lay_out(static)
        with gr.Column(scale=7, min_width=320, elem_id="answer"):
            notice = gr.HTML(elem_id="notice")
            loading = gr.HTML(visible=False, elem_id="loading")
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
                order = static.labelled(gr.Checkbox, "order", container=False, elem_id="order")
                words = gr.HTML(elem_id="text")
                cues = gr.HTML(elem_id="cues")
                actions = gr.HTML(elem_id="actions")
            # style.css shows it while a progress bar says that there is something to stop
            stop = static.button("stop", size="sm", elem_id="stop")
    with gr.Column(visible="hidden", elem_id="over-time") as over_time:
        static.html("course", "<h2>{}</h2>", elem_id="course-title")
        course = gr.Plot(show_label=False, container=False, elem_id="course")
        hint = gr.HTML(elem_id="course-hint")
    below = more.lay_out(services, static)
    about = gr.HTML(elem_id="about")
    picker = gr.Dropdown([], visible=False, elem_id="picker")
    with static.fold("card", elem_id="card"):
        card = gr.Markdown(sanitize_html=True)
    return Parts(
        language=language,
        sound=sound,
        button=button,
        examples=examples,
        voice=own_voice,
        notice=notice,
        loading=loading,
        result=result,
        headline=headline,
        figure=figure,
        order=order,
        said=gr.State(None),
        words=words,
        cues=cues,
        actions=actions,
        stop=stop,
        over_time=over_time,
        course=course,
        hint=hint,
        more=below,
        about=about,
        picker=picker,
        card=card,
        clock=gr.Timer(1.0, active=False),
    )


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
            buttons.append(static.button(key, size="sm", min_width=120, elem_classes="example"))
    return buttons


def connect(demo: gr.Blocks, parts: Parts, services: Services, static: Static) -> Any:
    """Call it when every page has placed its texts; returns the event after which the visitor's
    language is known."""
    view, clip = parts.view, [parts.sound, parts.language, parts.order]
    arrived = _arrivals(demo, parts, services, static)
    arrived.then(js=OPEN_EXAMPLE, **AT_ONCE)

    def begin(
        path: str | None, chosen: Language, sent: str, kept: str, request: gr.Request
    ) -> list[Any]:
        """The same clip again: that it is kept stands there as before."""
        turns.begin(services, visitor(request), path, chosen)  # what is still running ends
        return [*cover(actions.begin(path, chosen)), *more.nothing(chosen, sent, kept)]

    def change(path: str | None, chosen: Language, request: gr.Request) -> list[Any]:
        """Beside `analyse`, which need not wait for it; where that came first, it has the word."""
        begins = turns.change(services, visitor(request), path, chosen)
        covered = cover(actions.begin(path, chosen))
        return [*(covered if begins else [gr.skip()] * len(covered)), *more.nothing(chosen)]

    def analyse(
        path: str | None, chosen: Language, fixed: bool, request: gr.Request
    ) -> Iterator[list[Any]]:
        who = visitor(request)
        wanted = partial(turns.is_shown, services, who, path, chosen)
        with closing(actions.analyse(services, path, chosen, who, fixed)) as views:
            yield from unrepeated(map(show, views), wanted, len(view))

    def again(
        path: str | None, chosen: Language, fixed: bool, request: gr.Request
    ) -> Iterator[list[Any]]:
        """In the other language, the clip that is there; without one there is nothing to say."""
        if path:
            yield from analyse(path, chosen, fixed, request)

    def reorder(fixed: bool, said: Mapping[str, float] | None, chosen: Language) -> Any:
        return bars(said, chosen, fixed) if said else gr.skip()

    def tell(chosen: Language) -> str:
        return actions.about(services, chosen)

    def leave(request: gr.Request) -> None:
        turns.leave(services, visitor(request))
        adapting.leave(services, visitor(request))

    def stop(request: gr.Request) -> None:
        turns.stop(services, visitor(request))

    more.connect(parts.more, parts.sound, parts.language, services, QUIET, MODEL)
    parts.sound.change(change, clip[:2], parts.cover, **AT_ONCE).then(js=GO_TO_ANSWER, **AT_ONCE)
    same = [*clip[:2], parts.more.sent.kept, parts.more.kept.kept]
    begun = [parts.button.click, parts.language.input]
    gr.on(begun, begin, same, parts.cover, **AT_ONCE).then(js=GO_TO_ANSWER, **AT_ONCE)
    triggers = [parts.sound.upload, parts.sound.stop_recording, parts.button.click]
    # a second clip that comes while the first is answered is answered after it, not dropped
    last = {"trigger_mode": "always_last", **QUIET, **MODEL}
    answered = [gr.on(triggers, analyse, clip, view, **last)]
    gr.on(parts.language.input, again, clip, view, **last)
    for choice, example in zip(parts.examples, services.examples, strict=True):
        chosen = choice.click(partial(str, example.path), None, parts.sound, **AT_ONCE)
        answered.append(chosen.then(analyse, clip, view, **last))
    mine = voice.connect(parts.voice, parts.language, services, QUIET, MODEL)
    answered.append(mine.then(analyse, clip, view, **last))
    voice.follow(parts.voice, parts.language, services, answered)
    for answer in answered:  # somebody may have chosen another model meanwhile
        answer.then(tell, parts.language, parts.about, **AT_ONCE)
    demo.unload(leave)
    parts.stop.click(stop, **AT_ONCE)
    drawn = [parts.order, parts.said, parts.language]
    parts.order.input(reorder, drawn, parts.figure, **AT_ONCE)
    return arrived


def _arrivals(demo: gr.Blocks, parts: Parts, services: Services, static: Static) -> Any:
    """The visitor's language, and what is said of the model while it is being loaded."""
    known: list[Any] = [parts.loading, parts.about, parts.picker, parts.card]
    known += [parts.more.rival, parts.more.question, parts.more.ask, parts.voice.everything]
    # not with every look: what is shown anew inside a hidden part comes out of it
    told = [*known, parts.more.fold, *static.components]
    clock = parts.clock
    remembered = gr.BrowserState("", storage_key="audiollm-language", secret="audiollm")  # noqa: S106

    def state(chosen: Language) -> list[Any]:
        """Whether the model is there: the first two of `known`."""
        going = actions.loading(services, chosen)
        shown = gr.update(value=going, visible=bool(going))
        return [shown, actions.about(services, chosen)]

    def models(chosen: Language) -> list[Any]:
        """All that depends on the model, in the order of `known`."""
        found = actions.choices(services, chosen)
        label = text("picker", chosen)
        value = services.using if found else None
        return [
            *state(chosen),
            gr.update(choices=found, value=value, visible=bool(found), label=label),
            compare.model_card(services),
            more.choices(services, chosen),
            *more.said_of_questions(services, chosen),
            voice.available(services),
        ]

    def speak(chosen: Language) -> list[Any]:
        return [*models(chosen), gr.update(visible=services.keeps), *static.speak(chosen)]

    def switch(id: str, chosen: Language) -> list[Any]:
        actions.switch(services, id)
        return [*state(chosen), gr.Timer(active=True), services.using]

    def arrive(before: str, request: gr.Request) -> list[Any]:
        accepted = request.headers.get("accept-language")
        chosen = actions.page_language(request.query_params.get("lang"), before, accepted)
        waits = gr.Timer(active=not services.ready)
        return [chosen, waits, *show(actions.empty(chosen)), *speak(chosen)]

    def look(chosen: Language) -> list[Any]:
        done = services.ready  # before the text, or a load that ends in between is never told
        now = models(chosen) if done else [*state(chosen), *[gr.skip()] * (len(known) - 2)]
        return [gr.Timer(active=not done), *now]

    arrived = demo.load(arrive, remembered, [parts.language, clock, *parts.view, *told], **AT_ONCE)
    clock.tick(look, parts.language, [clock, *known], **AT_ONCE)
    parts.picker.input(
        switch, [parts.picker, parts.language], [*known[:2], clock, parts.picker], **AT_ONCE
    )
    parts.language.input(speak, parts.language, told, **AT_ONCE)
    parts.language.input(None, parts.language, remembered, js="chosen => chosen", **AT_ONCE)
    return arrived


def cover(view: View) -> list[Any]:
    """The first updates for `Parts.cover`: the notice of a view, and what stands there of another
    clip is no longer seen. What was compared, asked or kept comes after them."""
    notice = gr.update(value=view.notice, visible=bool(view.notice))
    return [notice, *[gr.update(visible="hidden")] * 3, ""]


def show(view: View) -> list[Any]:
    """Updates for the components of `Parts.view`."""
    return [
        gr.update(value=view.notice, visible=bool(view.notice)),
        gr.update(visible=view.answered or "hidden"),
        view.headline,
        gr.skip() if view.figure is None else view.figure,
        gr.skip() if view.figure is None else view.said,
        view.text,
        gr.update(value=view.cues, visible=bool(view.cues)),
        gr.update(value=view.actions, visible=bool(view.actions)),
        gr.update(visible=bool(view.hint) or "hidden"),
        gr.skip() if view.course is None else view.course,
        view.hint,
        gr.update(visible=bool(view.actions) or "hidden"),
    ]
