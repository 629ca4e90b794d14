"""The login before a page that is the owner's, or the reason why there is none.

`Login.page` lays a page out behind the login, `Login.connect` connects the handlers. They only show
and hide: who may do what is decided by `access` for every single event.
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
from audiollm.web.auth import remote_commands
from audiollm.web.auth.sessions import LOGIN, LOGOUT
from audiollm.web.events import AT_ONCE, Update, public
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
OPEN_TAB = "() => window.audiollm.openTab()"  # of the address, once it is known who asks
# What the owner's page showed is removed when the page is left
LEAVE = f"""async () => {{
  await fetch({HERE} + "{LOGOUT}", {{ method: "POST" }});
  location.reload();
}}"""
T = TypeVar("T")


@dataclass(eq=False)
class Login:
    """All pages behind the login: of each either the outside is shown or the inside."""

    services: Services
    static: Static
    pages: list[tuple[gr.Column, gr.Column]] = field(default_factory=list)  # outside, inside
    # name, password, button, message
    forms: list[tuple[gr.Textbox, gr.Textbox, gr.Button, gr.HTML]] = field(default_factory=list)

    def page(self, name: str, lay_out: Callable[[], T], *, trains: bool = False) -> T | None:
        """Lay a page out behind the login; None, and the reason, where nobody can log in."""
        settings = self.services.settings
        space = settings.space
        if trains and space and space.zero_gpu:
            self._shut("login_zero_gpu", trains)
            return None
        if settings.login == "shut":
            self._shut("login_shut_space" if space else "login_shut", trains)
            return None
        if settings.login == "hub":
            require_oauth()
            gr.LoginButton(size="sm", elem_id=f"{name}-hub")
        with gr.Column(visible=False, elem_id=f"{name}-login", elem_classes="login") as outside:
            self.static.html(f"login_{settings.login}")
            if settings.login == "password":
                self.forms.append(self._form(name))
        is_open = settings.login == "open"
        with gr.Column(visible=is_open, elem_id=f"{name}-inside", elem_classes="inside") as inside:
            if settings.login == "password":
                leave = self.static.button("login_leave", size="sm", elem_id=f"{name}-leave")
                leave.click(None, js=LEAVE, **AT_ONCE)
            content = lay_out()
        self.pages.append((outside, inside))
        return content

    def _shut(self, reason: str, trains: bool) -> None:
        self.static.html(reason, elem_classes="shut")
        space = self.services.settings.space
        if not trains or space is None:
            return
        self.static.html("login_elsewhere")
        for key, commands in (
            ("elsewhere_own", remote_commands.own_computer(space)),
            ("elsewhere_job", remote_commands.hub_job(space)),
        ):
            box = gr.Textbox(
                commands,
                label=of_browser(key),
                lines=6,
                max_lines=14,
                interactive=False,
                buttons=["copy"],
                elem_id=key.replace("_", "-"),
                elem_classes="commands",
            )
            self.static.place(box, key, "label")

    def _form(self, page: str) -> tuple[gr.Textbox, gr.Textbox, gr.Button, gr.HTML]:
        def box(key: str, fills: Any, **options: Any) -> gr.Textbox:
            html = gr.InputHTMLAttributes(autocomplete=fills)
            return self.static.labelled(
                gr.Textbox, key, max_lines=1, html_attributes=html, **options
            )

        name = box("login_name", "username", elem_id=f"{page}-owner")
        hidden: dict[str, Any] = {"type": "password", "elem_id": f"{page}-password"}
        password = box("login_secret", "current-password", **hidden)
        enter = self.static.button("login_enter", variant="primary", elem_id=f"{page}-enter")
        return name, password, enter, gr.HTML(elem_id=f"{page}-login-message")

    def connect(
        self, language: gr.Radio, arrived: Any, clocks: Sequence[gr.Timer], loading: gr.Timer
    ) -> Any:
        """`clocks` run for the owner alone; `loading` looks what may be chosen on the Analyse page.

        Returns the event after which the owner is logged in.
        """
        services = self.services
        inside, watch = gr.State(False), gr.Timer(OFTEN, active=False)
        # what the page shows: until somebody has looked, neither side
        shown = gr.State(True if services.settings.login == "open" else None)
        sides = [side for page in self.pages for side in page]
        outcome: list[Any] = [*sides, shown, inside, watch, *clocks]

        @public
        def look(before: bool | None) -> Update:
            owner = services.owned
            update: Update = {shown: owner, inside: owner}
            update |= {timer: gr.Timer(active=owner) for timer in (watch, *clocks)}
            if before != owner:  # a column that is shown once more shows all that is hidden in it
                for outer, inner in self.pages:
                    update |= {outer: gr.update(visible=not owner), inner: gr.update(visible=owner)}
            return update

        def enters(password: gr.Textbox, message_box: gr.HTML) -> Any:
            @public
            def enter(answer: str, _password: str, chosen: Language) -> Update:
                """`answer` is that of the login's own address."""
                message = ""
                if not services.owned:
                    key = "login_wrong" if answer == "wrong" else "login_failed"
                    message = render.notice(text(key, chosen), "error")
                looks = gr.Timer(active=services.owned)
                return {**look(None), password: "", message_box: message, loading: looks}

            return enter

        arrived.then(look, shown, outcome, **AT_ONCE).then(None, js=OPEN_TAB, **AT_ONCE)
        watch.tick(look, shown, outcome, **AT_ONCE)
        for name, password, button, message_box in self.forms:
            entered = gr.on(
                [button.click, name.submit, password.submit],
                enters(password, message_box),
                [name, password, language],
                [*outcome, password, message_box, loading],
                js=ENTER,
                **AT_ONCE,
            )
            entered.then(None, js=OPEN_AGAIN, **AT_ONCE)
        return inside.change(public(lambda: None), None, None, **AT_ONCE)


def require_oauth() -> None:
    """Spaces have what Gradio's login with Hugging Face needs; it would fail without a sentence.

    Raises:
        ConfigError: it is not here.
    """
    try:
        for part in ("authlib.integrations.starlette_client", "itsdangerous"):
            importlib.import_module(part)
    except ImportError as error:
        raise ConfigError("config_oauth") from error
