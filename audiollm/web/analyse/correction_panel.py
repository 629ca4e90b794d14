"""The part "Wrong? It was ..." under an answer; what happens is in correction.py."""

from typing import Any

import gradio as gr

from audiollm.web.analyse import correction
from audiollm.web.events import AT_ONCE, IN_TURN, QUIET, public, repeats, visitor
from audiollm.web.services import Services

CONNECT = """
element.addEventListener("click", (event) => {
  const said = event.target.closest("[data-said]")?.dataset.said;
  const consent = !!element.querySelector("[data-consent]")?.checked;
  if (said) trigger("submit", { said, consent });
  else if (event.target.closest("[data-back]")) trigger("clear");
});
"""
# what was pressed is gone, and the keyboard goes on at what has taken its place
FOCUS = "() => setTimeout(() => document.querySelector('#correction button')?.focus(), 100)"


class CorrectionPanel:
    """Placed inside the answer, so it is hidden with it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.html = gr.HTML("", js_on_load=CONNECT, elem_id="correction")

    @public
    def offers(self, request: gr.Request) -> str:
        return correction.html(self.services, visitor(request))

    @repeats
    @public
    def corrects(self, request: gr.Request, event: gr.EventData) -> str:
        data: dict[str, Any] = event._data if isinstance(event._data, dict) else {}
        label, consent = str(data.get("said", "")), data.get("consent") is True
        return correction.correct(self.services, visitor(request), label, consent)

    @repeats
    @public
    def takes_back(self, request: gr.Request) -> str:
        return correction.take_back(self.services, visitor(request))

    def connect(self, triggers: Any) -> None:
        """`answered`: the events after which there is an answer."""
        for answer in triggers:
            answer.then(self.offers, None, self.html, **IN_TURN)
        for event, act in ((self.html.submit, self.corrects), (self.html.clear, self.takes_back)):
            event(act, None, self.html, **QUIET).then(js=FOCUS, **AT_ONCE)
