"""The web page: `build_ui(services)` lays it out, `launch_options` says how it is served."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from audiollm.settings import Settings, without_proxies

with without_proxies():  # importing it makes a client, which fails where a proxy is not understood
    import gradio as gr
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route

from audiollm.texts import TEXTS
from audiollm.web import api, repeats
from audiollm.web.analyse.page import AnalysePage
from audiollm.web.auth import access, identity, sessions
from audiollm.web.auth.login import Login
from audiollm.web.early import Early
from audiollm.web.events import QUEUE, THREADS
from audiollm.web.failures import Failures
from audiollm.web.headers import Headers, headers
from audiollm.web.label.page import LabelPage
from audiollm.web.quota import Quota
from audiollm.web.routes import AllowedRoutes, allowed, health
from audiollm.web.services import EXAMPLES, Services
from audiollm.web.serving import launch
from audiollm.web.static import Static, of_browser
from audiollm.web.streams import Streams
from audiollm.web.train import events as train_events
from audiollm.web.train import page as train

__all__ = ["Services", "build_ui", "launch", "launch_options", "serve"]

STYLE = Path(__file__).with_name("style.css")
# Fonts that a computer has: no page of ours asks another host for one
FONTS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "sans-serif",
)
BY_ITSELF = (
    *("too_large", "wrong_kind", "broken_off", "offline"),
    *("recording_gone", "level", "clipping"),
)
SWEEP, KEEP = 300, 3000  # s: how often old recordings are looked for, and from which age on
# The page has its width before Gradio has drawn anything, and keeps it whatever a tab holds
SHELL = """<style>
:root { scrollbar-gutter: stable; }
.gradio-container {
  width: 100% !important; max-width: min(1120px, 100%) !important; margin-inline: auto !important;
}
</style>"""


def _scripts(*names: str) -> str:
    sources = ((STYLE.parent / name).read_text(encoding="utf-8") for name in names)
    return "".join(f"<script>\n{source}</script>" for source in sources)


EARLY = _scripts("frames.js", "connection.js", "stream.js")
HEAD = SHELL + _scripts("page.js", "analyse/live.js", "train/sound.js", "label/label.js")


class Page(gr.Blocks):
    """Blocks that know their own texts, which `launch` wants to be told again, the addresses that
    are not Gradio's, and which requests are the owner's."""

    texts: gr.I18n
    routes: list[Route]
    owned: Callable[[Request], bool]


def serve(settings: Settings) -> tuple["Page", str]:
    """The page, which is served until it is closed, and its address.

    Raises:
        ConfigError: nothing can listen there; the model or the examples are refused.
    """
    services = Services.start(settings)
    services.watch()
    demo = build_ui(services)
    return demo, launch(demo, launch_options(demo, settings))


def build_ui(services: Services) -> Page:
    """The whole page, ready to launch."""
    static = Static()
    cache = (SWEEP, KEEP)
    with Page(analytics_enabled=False, title="AudioLLM", delete_cache=cache) as demo:
        api.register(services)  # first, or a listener of the page takes the name /analyse
        language = _top(static)
        login = Login(services, static)
        with gr.Tabs():
            with gr.Tab(of_browser("tab_analyse"), elem_id="analyse-tab") as first:
                static.place(first, "tab_analyse", "label")
                analysing = AnalysePage(services, static, language)
            with gr.Tab(of_browser("tab_train"), elem_id="train-tab") as tab:
                static.place(tab, "tab_train", "label")
                training = login.page("train", lambda: train.Page(static, tab), trains=True)
            with gr.Tab(of_browser("tab_label"), elem_id="label-tab") as tab:
                static.place(tab, "tab_label", "label")
                labelling = login.page("label", lambda: LabelPage(services, static, tab))
        arrived = analysing.connect(demo, first)
        clocks = [training.clock] if training else []
        entered = login.connect(language, arrived, clocks, analysing.clock)
        train_events.connect(training, services, language, entered, analysing.clock)
        if labelling:
            labelling.connect(language, entered)
    access.guard(demo, services)
    demo.routes = sessions.routes(services.settings, services.sessions) + health(services)
    demo.owned = partial(
        identity.is_owners, settings=services.settings, logged_in=services.sessions.knows
    )
    demo.texts = static.i18n()
    # programs wait in the same queue (gradio_client and /call do so); what would pass it by is shut
    demo.queue(max_size=QUEUE, api_open=False)
    return demo


def _top(static: Static) -> gr.Radio:
    """The heading, and the language of every page."""
    with gr.Row(elem_id="top", equal_height=True):
        static.html("heading", "<h1>{}</h1>", elem_id="heading")
        language = gr.Radio(
            [("中文", "zh"), ("English", "en")],
            value="en",
            label=of_browser("language"),
            container=False,
            elem_id="language",
            interactive=False,  # until the page has one, or that would replace what is chosen
            min_width=180,
            scale=0,
        )
    static.place(language, "language", "label")
    return language


def launch_options(demo: Page, settings: Settings) -> dict[str, Any]:
    """Arguments for `demo.launch`."""
    declared = f"<script>window.audiollm = {json.dumps(_for_browser(demo, settings))};</script>"
    return {
        "server_name": settings.host,
        "server_port": settings.port or None,
        "theme": theme(),
        "css_paths": [STYLE],
        "head": HEAD,
        "i18n": demo.texts,
        "app_kwargs": {
            "routes": demo.routes,
            "middleware": [
                Middleware(Headers, headers=headers(settings)),
                Middleware(AllowedRoutes, routes=allowed(settings)),
                Middleware(Quota, most=settings.max_bytes, owned=demo.owned),
                Middleware(Early, scripts=declared + EARLY),
                Middleware(Streams),
                Middleware(Failures),
            ],
        },
        "allowed_paths": [str(EXAMPLES)],
        "max_file_size": settings.max_bytes,
        "max_threads": THREADS,
        "show_error": True,
        "run_history": False,
        "footer_links": [],
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": settings.mcp and api.require_mcp(),
        "share": False,
        "enable_monitoring": False,
        "root_path": settings.root_path or None,
        "_frontend": False,  # else it gives up where its page takes 3 s to answer
        "quiet": True,
        "prevent_thread_lock": True,  # `app.py` says where the page is, then waits
    }


def _for_browser(demo: Page, settings: Settings) -> dict[str, Any]:
    """What the scripts say themselves, from which size on a file is too large, and which requests
    are sent again."""
    said = {key: TEXTS[key] for key in BY_ITSELF}
    return {"most": settings.max_bytes, "repeats": repeats.table(demo)} | said


def theme() -> gr.themes.Base:
    """Calm and plain: slate on white, one teal accent, fonts of the reader's own computer."""
    return gr.themes.Base(
        primary_hue="teal",
        neutral_hue="slate",
        text_size="lg",
        radius_size="lg",
        font=FONTS,
        font_mono=("ui-monospace", "monospace"),
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        block_border_width="1px",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
    )
