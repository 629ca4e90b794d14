"""What stands before a page that is the owner's: a login, or the reason why there is none.

`Gate.page` lays a page out behind its door, `Gate.connect` says what moves the doors. They only
show and hide: who may do what is decided by `access` for every single event.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import gradio as gr

from audiollm.errors import ConfigError
from audiollm.labels import Language
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.auth import elsewhere
from audiollm.web.auth.login import LOGIN, LOGOUT
from audiollm.web.quiet import AT_ONCE
from audiollm.web.services import Services
from audiollm.web.static import Static, of_browser

OFTEN = 30.0  # s between two looks whether a login still counts
HERE = 'new URL(window.gradio_config?.root || "/", location.href).pathname.replace(/\\/$/, "")'
# The password goes to its own address, and into no event
ENTER = f"""async (name, password, chosen) => {{
  const body = JSON.stringify({{ name, password }});
  try {{
    const answer = await fetch({HERE} + "{LOGIN}", {{ method: "POST", body }});
    return [(await answer.json()).outcome, "", chosen];
  }} catch {{
    return ["failed", "", chosen];
  }}
}}"""
# A page looks at its things when its tab is opened, and the owner stands in it already
OPEN_AGAIN = """() => {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const open = tabs.find((tab) => tab.getAttribute("aria-selected") === "true");
  const inside = [...document.querySelectorAll(".inside")].some((part) => part.offsetParent);
  if (!inside || !open || open === tabs[0]) return;
  tabs[0].click();
  setTimeout(() => open.click(), 100);
}"""
# What was seen behind the door goes with the page
LEAVE = f"""async () => {{
  await fetch({HERE} + "{LOGOUT}", {{ method: "POST" }});
  location.reload();
}}"""
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Door:
    """Either its outside is shown or its inside."""

    outside: gr.Column
    inside: gr.Column


@dataclass(frozen=True, eq=False)
class Form:
    """Where a name and a password are written."""

    name: gr.Textbox
    password: gr.Textbox
    enter: gr.Button
    told: gr.HTML


@dataclass(eq=False)
class Gate:
    """All doors of the page."""

    services: Services
    static: Static
    doors: list[Door] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)

    def page(self, name: str, lay_out: Callable[[], T], *, trains: bool = False) -> T | None:
        """Lay a page out behind a door; None, and the reason, where nobody can ever enter."""
        settings = self.services.settings
        space = settings.space
        if trains and space and space.zero_gpu:
            self._shut("door_zero_gpu", trains)
            return None
        if settings.login == "shut":
            self._shut("door_shut_space" if space else "door_shut", trains)
            return None
        if settings.login == "hub":
            require_oauth()
            gr.LoginButton(size="sm", elem_id=f"{name}-hub")
        with gr.Column(visible=False, elem_id=f"{name}-door", elem_classes="door") as outside:
            self.static.html(f"door_{settings.login}")
            if settings.login == "password":
                self.forms.append(self._form(name))
        seen = settings.login == "open"
        with gr.Column(visible=seen, elem_id=f"{name}-inside", elem_classes="inside") as inside:
            if settings.login == "password":
                leave = self.static.button("door_leave", size="sm", elem_id=f"{name}-leave")
                leave.click(None, js=LEAVE, **AT_ONCE)
            made = lay_out()
        self.doors.append(Door(outside, inside))
        return made

    def _shut(self, reason: str, trains: bool) -> None:
        self.static.html(reason, elem_classes="shut")
        space = self.services.settings.space
        if not trains or space is None:
            return
        self.static.html("door_elsewhere")
        for key, commands in (
            ("elsewhere_own", elsewhere.own_computer(space)),
            ("elsewhere_job", elsewhere.hub_job(space)),
        ):
            shown = gr.Textbox(
                commands,
                label=of_browser(key),
                lines=6,
                max_lines=14,
                interactive=False,
                buttons=["copy"],
                elem_id=key.replace("_", "-"),
                elem_classes="commands",
            )
            self.static.place(shown, key, "label")

    def _form(self, page: str) -> Form:
        def box(key: str, **options: Any) -> gr.Textbox:
            return self.static.labelled(gr.Textbox, key, max_lines=1, **options)

        fills = gr.InputHTMLAttributes
        name = box(
            "door_name", elem_id=f"{page}-owner", html_attributes=fills(autocomplete="username")
        )
        password = box(
            "door_secret",
            type="password",
            elem_id=f"{page}-password",
            html_attributes=fills(autocomplete="current-password"),
        )
        enter = self.static.button("door_enter", variant="primary", elem_id=f"{page}-enter")
        return Form(name, password, enter, gr.HTML(elem_id=f"{page}-told-door"))

    def connect(
        self, language: gr.Radio, arrived: Any, clocks: Sequence[gr.Timer], loading: gr.Timer
    ) -> Any:
        """`clocks` run for the owner alone; `loading` looks what may be chosen on the Analyse page.

        Returns the event after which the owner is inside.
        """
        services = self.services
        inside, watch = gr.State(False), gr.Timer(OFTEN, active=False)
        # how the doors stand on the page: until somebody has looked, neither side may show
        opened = gr.State(True if services.settings.login == "open" else None)
        sides = [side for door in self.doors for side in (door.outside, door.inside)]
        outcome = [*sides, opened, inside, watch, *clocks]

        def look(stands: bool | None) -> list[Any]:
            owner = services.owned
            # a door that is opened once more shows all that is hidden behind it
            same = stands == owner
            shown = [
                gr.skip() if same else gr.update(visible=side)
                for _ in self.doors
                for side in (not owner, owner)
            ]
            return [*shown, owner, owner, *(gr.Timer(active=owner) for _ in (watch, *clocks))]

        def enter(said: str, _password: str, chosen: Language) -> list[Any]:
            """`said` is what the login's own address has answered."""
            told = ""
            if not services.owned:
                key = f"door_{said}" if said in ("wrong", "busy") else "door_failed"
                told = render.notice(text(key, chosen), "error")
            return [*look(None), "", told, gr.Timer(active=services.owned)]

        arrived.then(look, opened, outcome, **AT_ONCE)
        watch.tick(look, opened, outcome, **AT_ONCE)
        for form in self.forms:
            entered = gr.on(
                [form.enter.click, form.name.submit, form.password.submit],
                enter,
                [form.name, form.password, language],
                [*outcome, form.password, form.told, loading],
                js=ENTER,
                **AT_ONCE,
            )
            entered.then(None, js=OPEN_AGAIN, **AT_ONCE)
        return inside.change(lambda: None, None, None, **AT_ONCE)


def require_oauth() -> None:
    """Spaces have what Gradio's login with Hugging Face needs; it would fail without a sentence.

    Raises:
        ConfigError: it is not here.
    """
    try:
        for part in ("authlib.integrations.starlette_client", "itsdangerous"):
            importlib.import_module(part)
    except ImportError as error:
        raise ConfigError(
            "Logging in with Hugging Face needs packages that are not here: "
            'pip install "gradio[oauth]", or take hf_oauth out of the head of README.md.'
        ) from error
