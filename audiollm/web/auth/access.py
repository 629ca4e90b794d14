"""Who may do what changes this machine, or shows what is on it: its owner.

Every plain function that starts, changes or reads something of the owner's (jobs, data, labels,
models) begins with `owner_settings(services)`; who asks is known from the event that runs
(`identity`). Besides, `guard` refuses visitors every handler that is not declared `events.public`,
so a handler that forgets to ask is closed to them all the same.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import gradio as gr

from audiollm.errors import AudioLLMError
from audiollm.settings import Settings
from audiollm.texts import spoken_language, text
from audiollm.web.auth import identity
from audiollm.web.events import PUBLIC
from audiollm.web.services import Services

PRESSED = ("click", "submit", "upload")  # what a person does; the rest a page does by itself


class ShutError(AudioLLMError):
    """A visitor asks for what is the owner's."""


def owner_settings(services: Services) -> Settings:
    """The settings, for the owner.

    Raises:
        ShutError: a visitor asks.
    """
    if not services.owned:
        raise ShutError("refused")
    return services.settings


def guard(demo: gr.Blocks, services: Services) -> None:
    """Every handler of the page that is not public refuses visitors before it runs.

    What a person pressed is refused with a sentence; what the page asks by itself changes nothing.
    """
    for event in demo.fns.values():
        if event.fn is not None and not getattr(event.fn, PUBLIC, False):
            event.fn = _refusing(event.fn, event, services)


def _refusing(handler: Callable[..., Any], event: Any, services: Services) -> Callable[..., Any]:
    """The handler, of the same kind and signature: Gradio looks at both."""
    if inspect.iscoroutinefunction(handler) or inspect.isasyncgenfunction(handler):
        raise TypeError(f"{handler} is asynchronous, and the guard knows no such handler.")
    pressed = all(name in PRESSED for _, name in event.targets)

    def refusal() -> Any:
        if pressed:
            request = identity.current_request()
            accepted = request.headers.get("accept-language") if request else ""
            raise gr.Error(text("refused", spoken_language(accepted)), print_exception=False)
        return gr.skip() if event.outputs else None

    if inspect.isgeneratorfunction(handler):

        @wraps(handler)
        def steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
            if services.owned:
                yield from handler(*args, **kwargs)
            else:
                yield refusal()

        return steps

    @wraps(handler)
    def step(*args: Any, **kwargs: Any) -> Any:
        return handler(*args, **kwargs) if services.owned else refusal()

    return step
