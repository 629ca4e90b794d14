"""Starting Gradio's server: on a slow machine, for many visitors, and whatever proxies the
environment names.

Gradio asks its own page over HTTP while it starts. With the proxies of the environment, which are
for other machines, that fails; so does a variable that httpx cannot parse. Models are fetched
through them all the same.
"""

import errno
import importlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
from gradio import blocks, http_server, queueing, routes, state_holder
from gradio_client import Client

from audiollm.errors import ConfigError
from audiollm.jobs import memory
from audiollm.web.failures import Brief

START = 120.0  # s that the server may take to start; Gradio alone would wait for 5
DIRECT = {"trust_env": False}


class Server(http_server.Server):
    """Gradio's, with more patience: only where its thread has ended, the port is taken."""

    def run_in_thread(self) -> None:
        try:
            super().run_in_thread()
        except http_server.ServerFailedToStartError:
            end = time.monotonic() + START
            while self.thread.is_alive() and not self.started and time.monotonic() < end:
                time.sleep(0.01)
            if not self.started:
                raise


class Session(state_holder.SessionState):
    """Gradio's state of a visitor, without a copy of the configuration of every component: 0.5 MiB,
    made while all others wait, and read at an address alone that `routes.py` does not allow.
    """

    def __init__(self, blocks: gr.Blocks) -> None:
        without: Any = SimpleNamespace(default_config=blocks.default_config, blocks=())
        super().__init__(without)

    def _update_config(self, key: int) -> None:
        """There is none."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """There is none."""


class _Direct:
    """httpx without the environment."""

    get = staticmethod(partial(httpx.get, **DIRECT))  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        return getattr(httpx, name)


@contextmanager
def _replaced(module: Any, name: str, value: object) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def launch(demo: gr.Blocks, options: dict[str, Any]) -> str:
    """Serves a page; returns its address.

    Raises:
        ConfigError: the port is taken, or nothing can listen at that address.
    """
    host, port = options["server_name"], options["server_port"]
    memory.return_freed()
    vars(state_holder)["SessionState"] = Session
    if options.get("mcp_server"):  # calls the page for every tool
        mcp: Any = importlib.import_module("gradio.mcp")
        mcp.Client = partial(Client, httpx_kwargs=DIRECT)
    for module in (queueing, routes):
        vars(module)["traceback"] = Brief()
    try:
        _require_free(host, port or 0)
        if ":" in host:  # IPv6, as part of an address
            options = {**options, "server_name": f"[{host.strip('[]')}]"}
        with (
            _replaced(blocks, "httpx", _Direct()),
            _replaced(http_server, "Server", Server),
            _replaced(http_server, "LOCALHOST_NAME", "127.0.0.1"),  # it looks there for the port
        ):
            return str(demo.launch(**options)[1])
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, None):  # None: Gradio's own, which gives other advice
            raise ConfigError("serve_taken", host=host, port=port) from error
        reason = error.strerror
        raise ConfigError("serve_address", host=host, port=port, reason=reason) from error


def _require_free(host: str, port: int) -> None:
    """Gradio takes every reason for a port that is taken.

    Raises:
        OSError: nothing can listen there.
    """
    family, *_, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    with socket.create_server(address[:2], family=family):
        pass
