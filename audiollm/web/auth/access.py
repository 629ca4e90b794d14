"""Who may do what changes this machine, or shows what is on it: its owner.

Every plain function that starts, changes or reads something of the owner's (jobs, data, labels,
models) begins with `opened(services)`. Nothing has to be handed down: who asks is known from the
event that runs (`visitors`). Besides, `guard` shuts every handler of the page that is not meant for
everybody, so one that forgets to ask is shut all the same.
"""

import inspect
from collections.abc import Callable, Collection, Iterator
from functools import wraps
from typing import Any

import gradio as gr

from audiollm.errors import AudioLLMError
from audiollm.settings import Settings
from audiollm.texts import text
from audiollm.web.analyse import actions
from audiollm.web.auth import visitors
from audiollm.web.services import Services

PRESSED = ("click", "submit", "upload")  # what a person does; the rest a page does by itself


class ShutError(AudioLLMError):
    """A stranger wants to do what is the owner's."""


def opened(services: Services) -> Settings:
    """The settings, for whoever owns this machine.

    Raises:
        ShutError: a stranger asks.
    """
    if not services.owned:
        raise ShutError(text("refused", "en"))
    return services.settings


def guard(demo: gr.Blocks, services: Services, anybody: Collection[int]) -> None:
    """From now on every handler of the page refuses strangers before it runs, but for those whose
    number is among `anybody`.

    What a person pressed is refused with a sentence; what the page asks by itself gets nothing.
    """
    for number, event in demo.fns.items():
        if event.fn is not None and number not in anybody:
            event.fn = _refusing(event.fn, event, services)


def _refusing(does: Callable[..., Any], event: Any, services: Services) -> Callable[..., Any]:
    """The handler, of the same kind and signature: Gradio looks at both."""
    if inspect.iscoroutinefunction(does) or inspect.isasyncgenfunction(does):
        raise TypeError(f"{does} is asynchronous, and what guards the page knows no such handler.")
    pressed = all(name in PRESSED for _, name in event.targets)
    nothing = [gr.skip() for _ in event.outputs]

    def refusal() -> Any:
        if pressed:
            request = visitors.asking()
            accepted = request.headers.get("accept-language") if request else ""
            said = text("refused", actions.spoken_language(accepted))
            raise gr.Error(said, print_exception=False)
        return nothing[0] if len(nothing) == 1 else nothing or None

    if inspect.isgeneratorfunction(does):

        @wraps(does)
        def steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
            if services.owned:
                yield from does(*args, **kwargs)
            else:
                yield refusal()

        return steps

    @wraps(does)
    def step(*args: Any, **kwargs: Any) -> Any:
        return does(*args, **kwargs) if services.owned else refusal()

    return step
