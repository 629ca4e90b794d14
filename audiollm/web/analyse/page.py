"""The Analyse page: its layout and its handlers. What happens is in actions.py."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Any

import gradio as gr

from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web.analyse import actions, compare
from audiollm.web.analyse.actions import View
from audiollm.web.analyse.correction_panel import CorrectionPanel
from audiollm.web.analyse.covering import CHANGED, COVER, COVER_AGAIN, FAILED, NUMBERED
from audiollm.web.analyse.live_panel import LivePanel
from audiollm.web.analyse.more import MorePanel
from audiollm.web.analyse.plots import bars
from audiollm.web.analyse.voice import VoicePanel
from audiollm.web.events import ANSWER, AT_ONCE, IN_TURN, QUIET, Update, public, repeats, visitor
from audiollm.web.services import Services
from audiollm.web.static import Static, of_browser

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
TAKE_FILE = "(file) => [file, null]"


class AnalysePage:
    """The parts that a visitor sees, and their handlers.

    `language` is the choice of the whole page. Call `connect` when every page has placed its texts.
    """

    def __init__(self, services: Services, static: Static, language: gr.Radio) -> None:
        self.services, self.static, self.language = services, static, language
        with gr.Row(elem_id="sides"):
            with gr.Column(scale=5, min_width=300):
                static.html("intro", elem_id="intro")
                with gr.Column(elem_id="sound"):
                    self.sound = static.sound("audio", ["microphone"], elem_id="microphone")
                    static.html("insecure", elem_id="insecure")
                    with gr.Row(elem_id="anew"):  # where there is a recording
                        static.button("again", size="sm")  # page.js says what it does
                        self.button = static.button("analyse", size="sm")
                    self.file = gr.File(show_label=False, height=112, elem_id="upload")
                self.examples = self._examples()
                self.voice = VoicePanel(services, static)
            with gr.Column(scale=7, min_width=320, elem_id="answer"):
                self.live = LivePanel(services, static)
                self.notice = gr.HTML(elem_id="notice")
                self.loading = gr.HTML(visible=False, elem_id="loading")
                with gr.Column(visible="hidden", elem_id="result") as self.result:
                    self.headline = gr.HTML(elem_id="headline")
                    # drawn empty at once, so that the browser has plotly before the first answer
                    self.figure = gr.Plot(
                        bars({}, "en"),
                        label=of_browser("probabilities"),
                        show_label=False,
                        container=False,
                        elem_id="figure",
                    )
                    self.order = static.labelled(
                        gr.Checkbox, "order", container=False, elem_id="order"
                    )
                    self.words = gr.HTML(elem_id="text")
                    self.cues = gr.HTML(elem_id="cues")
                    self.actions = gr.HTML(elem_id="actions")
                    self.correction = CorrectionPanel(services)
                # style.css shows it while a progress bar says that there is something to stop
                self.stop = static.button("stop", size="sm", elem_id="stop")
        with gr.Column(visible="hidden", elem_id="over-time") as self.over_time:
            static.html("course", "<h2>{}</h2>", elem_id="course-title")
            self.course = gr.Plot(show_label=False, container=False, elem_id="course")
            self.hint = gr.HTML(elem_id="course-hint")
        self.more = MorePanel(services, static)
        self.about = gr.HTML(elem_id="about")
        self.picker = gr.Dropdown([], visible=False, elem_id="picker")
        with static.fold("card", elem_id="card"):
            self.card = gr.Markdown(sanitize_html=True)
        self.shown = gr.State(None)  # what the figure shows: class -> probability
        self.clock = gr.Timer(1.0, active=False)  # looks whether the model is loaded, until it is
        self.view: list[Any] = [
            *(self.notice, self.result, self.headline, self.figure, self.shown, self.words),
            *(self.cues, self.over_time, self.course, self.hint, self.actions),
            self.more.everything,
        ]
        self.number = gr.Number(0, visible=False)  # of the clip, counted in the browser
        folded = [self.result, self.over_time, self.more.everything]
        self.covered: list[Any] = [self.notice, *folded, self.hint, self.correction.html]
        state = [self.loading, self.about, self.picker, self.card, self.clock]
        self.known: list[Any] = [*state, *self.more.known, self.voice.everything]

    def _examples(self) -> list[gr.Button]:
        """A button for each bundled clip."""
        if not self.services.examples:
            return []
        self.static.html("examples", "<h3>{}</h3>", elem_id="examples-title")
        buttons = []
        with gr.Row(elem_id="examples"):
            for number, example in enumerate(self.services.examples):
                key = f"example_{number}"
                self.static.words[key] = example.words
                options: dict[str, Any] = {"min_width": 120, "elem_classes": "example"}
                buttons.append(self.static.button(key, size="sm", **options))
        return buttons

    # --- an answer

    def show(self, view: View) -> Update:
        drawn, course = view.figure is not None, view.course is not None
        return {
            self.notice: gr.update(value=view.notice, visible=bool(view.notice)),
            self.result: gr.update(visible=view.answered or "hidden"),
            self.headline: view.headline,
            **({self.figure: view.figure, self.shown: view.probabilities} if drawn else {}),
            self.words: view.text,
            self.cues: gr.update(value=view.cues, visible=bool(view.cues)),
            self.actions: gr.update(value=view.actions, visible=bool(view.actions)),
            self.over_time: gr.update(visible=bool(view.hint) or "hidden"),
            **({self.course: view.course} if course else {}),
            self.hint: view.hint,
            self.more.everything: gr.update(visible=bool(view.actions) or "hidden"),
        }

    def cover(self, view: View) -> Update:
        """The notice of a view, with the answer to another clip hidden."""
        hidden = gr.update(visible="hidden")
        notice = gr.update(value=view.notice, visible=bool(view.notice))
        covered: Update = {self.notice: notice, self.hint: "", self.correction.html: ""}
        return covered | dict.fromkeys((self.result, self.over_time, self.more.everything), hidden)

    @repeats
    @public
    def begin(
        self, path: str | None, language: Language, sent: str, saved: str, request: gr.Request
    ) -> Update:
        """The same clip again: that it is saved is shown as before. What is still running ends."""
        self.services.requests.begin(visitor(request), path, language)
        covered = self.cover(actions.begin(path, language))
        return covered | self.more.clear(language, sent, saved)

    @public
    def change(
        self, path: str | None, language: Language, number: float, request: gr.Request
    ) -> Any:
        """Beside `analyse`, which does not wait for it; where that came first, it has priority."""
        here = self.services.requests.change(visitor(request), path, language, int(number))
        return self.more.clear(language) if here else gr.skip()

    @repeats
    @public
    def analyse(
        self,
        path: str | None,
        language: Language,
        fixed: bool,
        number: float,
        request: gr.Request,
    ) -> Iterator[Update]:
        who = visitor(request)
        is_current = partial(self.services.requests.is_shown, who, path, language)
        with closing(
            actions.analyse(self.services, path, language, who, fixed, int(number))
        ) as views:
            for view in views:  # the last one may be of the request that came after this
                yield self.show(view)
            if not is_current():
                yield gr.skip()

    @public
    def again(
        self,
        path: str | None,
        language: Language,
        fixed: bool,
        number: float,
        request: gr.Request,
    ) -> Iterator[Update]:
        """In the other language, the clip that is there; without one nothing changes."""
        if path:
            yield from self.analyse(path, language, fixed, number, request)

    @public
    def reorder(self, fixed: bool, shares: Mapping[str, float] | None, language: Language) -> Any:
        return bars(shares, language, fixed) if shares else gr.skip()

    @public
    def tell(self, language: Language) -> str:
        return actions.about(self.services, language)

    @public
    def leave(self, request: gr.Request) -> None:
        self.services.leave(visitor(request))

    @repeats
    @public
    def stops(self, request: gr.Request) -> None:
        self.services.requests.stop(visitor(request))

    # --- the language, and the model

    def state(self, language: Language) -> Update:
        """Whether the model is there, and which others are."""
        going = actions.loading(self.services, language)
        choices = actions.choices(self.services, language)
        value = self.services.active if choices else None
        options: dict[str, Any] = {"choices": choices, "value": value, "visible": bool(choices)}
        return {
            self.loading: gr.update(value=going, visible=bool(going)),
            self.about: actions.about(self.services, language),
            self.picker: gr.update(label=text("picker", language), **options),
            self.card: compare.model_card(self.services),
        }

    def models(self, language: Language) -> Update:
        """Everything that depends on the model."""
        return {
            **self.state(language),
            **self.more.available(language),
            **self.voice.available(),
        }

    @public
    def speak(self, language: Language) -> Update:
        texts = dict(zip(self.static.components, self.static.speak(language), strict=True))
        fold = texts.get(self.more.fold, {}) | gr.update(visible=self.services.keeps)
        return {**self.models(language), **texts, self.more.fold: fold}

    @public
    def switch(self, id: str, language: Language) -> Update:
        """`actions.switch` accepts only what is offered."""
        actions.switch(self.services, id)
        return {**self.state(language), self.clock: gr.Timer(active=True)}

    @public
    def arrive(self, before: str, request: gr.Request) -> Update:
        accepted = request.headers.get("accept-language")
        language = actions.page_language(request.query_params.get("lang"), before, accepted)
        waits = gr.Timer(active=not self.services.ready)
        update = self.show(actions.empty(language)) | self.speak(language)
        update[self.language] |= {"value": language, "interactive": True}  # beside its own texts
        return update | {self.clock: waits}

    @public
    def look(self, language: Language) -> Update:
        done = self.services.ready  # before the text, or a load that ends in between is missed
        now = self.models(language) if done else self.state(language)
        return {self.clock: gr.Timer(active=not done), **now}

    @public
    def returns(self, language: Language) -> Update:
        """A training may have made a model meanwhile."""
        rivals = compare.rivals(self.services, language)
        return {**self.state(language), self.more.rival: gr.update(choices=rivals)}

    def connect(self, demo: gr.Blocks, tab: gr.Tab) -> Any:
        """Returns the event after which the visitor's language is known."""
        language = self.language
        remembered = gr.BrowserState("", storage_key="audiollm-language", secret="audiollm")  # noqa: S106
        # not with every look: what is shown anew inside a hidden part comes out of it
        spoken = list(dict.fromkeys([*self.known, self.more.fold, *self.static.components]))
        arrived = demo.load(
            self.arrive, remembered, list(dict.fromkeys([language, *self.view, *spoken])), **AT_ONCE
        )
        self.clock.tick(self.look, language, self.known, **AT_ONCE)
        outputs = [self.loading, self.about, self.picker, self.card]
        tab.select(self.returns, language, [*outputs, self.more.rival], **AT_ONCE)
        outputs.append(self.clock)
        self.picker.input(self.switch, [self.picker, language], outputs, **AT_ONCE)
        language.input(self.speak, language, spoken, **AT_ONCE)
        language.input(None, language, remembered, js="chosen => chosen", **AT_ONCE)
        arrived.then(js=OPEN_EXAMPLE, **AT_ONCE)
        self._connect_answer(demo)
        return arrived

    def _connect_answer(self, demo: gr.Blocks) -> None:
        language, sound, view, covered = self.language, self.sound, self.view, self.covered
        clip: list[Any] = [sound, language, self.order, self.number]
        self.more.connect(sound, language)
        self.live.connect(sound, language)
        changed = sound.change(None, clip[:2], covered, js=COVER, **AT_ONCE)
        changed.then(js=GO_TO_ANSWER, **AT_ONCE)
        counted = [*clip[:2], self.number]
        sound.change(self.change, counted, self.more.outcomes, js=CHANGED, **AT_ONCE)
        same = [*clip[:2], self.more.sent.id, self.more.saved.id]
        begun: Any = [self.button.click, language.input]
        begins = gr.on(begun, self.begin, same, [*covered, *self.more.outcomes], **IN_TURN)
        begins.then(js=GO_TO_ANSWER, **AT_ONCE)
        triggers: Any = [sound.stop_recording, self.button.click]
        # a second clip that comes while the first is answered is answered after it, not dropped
        last: dict[str, Any] = {"js": NUMBERED, "trigger_mode": "always_last", **QUIET, **ANSWER}
        events: list[Any] = [gr.on(triggers, self.analyse, clip, view, **last)]
        again = gr.on(language.input, self.again, clip, view, **last)
        # in the browser: of what the server sends for a player Gradio makes a copy with ffmpeg
        uploaded = self.file.upload(None, self.file, [sound, self.file], js=TAKE_FILE, **AT_ONCE)
        events.append(uploaded.then(self.analyse, clip, view, **last))
        for choice, example in zip(self.examples, self.services.examples, strict=True):
            chosen = repeats(public(partial(str, example.path)))
            event = choice.click(chosen, None, sound, **AT_ONCE)
            events.append(event.then(self.analyse, clip, view, **last))
        events.append(self.voice.connect(language).then(self.analyse, clip, view, **last))
        for answer in (*events, again):
            answer.then(None, clip[:2], covered, js=COVER_AGAIN, **AT_ONCE)
            answer.failure(None, language, self.notice, js=FAILED, **AT_ONCE)
        for answer in events:  # somebody may have activated another model meanwhile
            answer.then(self.voice.tell, language, self.voice.view, **AT_ONCE)
            answer.then(self.tell, language, self.about, **AT_ONCE)
        self.correction.connect([*events, again])
        demo.unload(self.leave)
        self.stop.click(self.stops, **AT_ONCE)
        self.order.input(self.reorder, [self.order, self.shown, language], self.figure, **AT_ONCE)
