"""Every handler of the page, through its real addresses: strangers may call those listed here.

A handler that is added later and is neither on the list nor refuses strangers fails here.
"""

import functools
import inspect
import json
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import gradio as gr
import httpx
import pytest

from audiollm.labels import LANGUAGES
from audiollm.predictor import Predictor
from audiollm.settings import Owner, Settings
from audiollm.texts import text
from audiollm.web import Services, build_ui, launch_options
from audiollm.web.auth import access
from audiollm.web.auth.sessions import COOKIE, Sessions
from tests.browser.fake import FakePredictor

OWNER = Owner("ann", "correct horse battery")
SLOW = 240.0  # s: another job may have the processor
ANYBODY = {  # they analyse, change the language, log in; what is the owner's in them asks
    *(
        f"api.register.<locals>.{n}"
        for n in ("describe_model", "classify_emotion", "classify_emotions")
    ),
    "api.register.<locals>.classify_one_speaker",
    *(
        f"analyse.page.AnalysePage.{n}"
        for n in ("arrive", "look", "speak", "switch", "again", "returns")
    ),
    *(f"analyse.page.AnalysePage.{n}" for n in ("analyse", "begin", "change", "leave", "reorder")),
    *(f"analyse.page.AnalysePage.{n}" for n in ("stops", "tell")),
    "auth.login.Login.connect.<locals>.<lambda>",
    "auth.login.Login.connect.<locals>.enters.<locals>.enter",
    "auth.login.Login.connect.<locals>.look",
    # saving and removing ask Services.keeps
    *(f"analyse.more.MorePanel.{n}" for n in ("compares", "asks", "saves", "sends", "takes_back")),
    *(f"analyse.more.MorePanel.{n}" for n in ("forgets", "chooses")),
    *(f"analyse.correction_panel.CorrectionPanel.{n}" for n in ("offers", "corrects")),
    "analyse.correction_panel.CorrectionPanel.takes_back",
    *(f"analyse.voice.VoicePanel.{n}" for n in ("tell", "turned", "forgotten", "begin_reading")),
    "analyse.voice.VoicePanel.was_read",
    *(f"analyse.live_panel.LivePanel.{n}" for n in ("begins", "answers")),
    "analyse.voice.VoicePanel.connect.<locals>.decides.<locals>.decide",
    "str",  # chooses an example
}


@dataclass
class Served:
    """The page on a host with a password; `ran` are the owner's handlers that a request reached."""

    demo: Any
    url: str
    sessions: Sessions
    ran: list[str] = field(default_factory=list)

    def ask(self, event: Any, **headers: str) -> httpx.Response:
        """What the browser sends for an event that does not wait in the queue."""
        given = [nothing_in(part) for part in event.inputs]
        body = {"data": given, "fn_index": event._id, "session_hash": "s"}
        place = "run/predict" if not event.queue else "queue/join"
        with httpx.Client(timeout=SLOW, trust_env=False, headers=headers) as client:
            answer = client.post(f"{self.url}gradio_api/{place}", json=body)
            if not event.queue:
                return answer
            address = f"{self.url}gradio_api/queue/data?session_hash=s"
            with client.stream("GET", address) as lines:
                for line in lines.iter_lines():
                    told = json.loads(line[5:]) if line.startswith("data:") else {}
                    if told.get("msg") == "process_completed":
                        code = 200 if told["success"] else 500
                        return httpx.Response(code, json=told["output"])
        raise AssertionError(f"{name_of(event)} did not end")


def nothing_in(part: Any) -> Any:
    """What an empty field sends; Gradio itself refuses a slider without a number."""
    if isinstance(part, gr.CheckboxGroup):
        return []
    return part.minimum if isinstance(part, gr.Slider) else None


def name_of(event: Any) -> str:
    """Module below web and qualified name of what a handler does."""
    does = inspect.unwrap(event.fn)
    if isinstance(does, functools.partial):
        does = does.func
    return f"{does.__module__}.{does.__qualname__}".removeprefix("audiollm.web.").removeprefix(
        "builtins."
    )


def is_nothing(part: Any) -> bool:
    """An update that changes nothing, as each kind of component writes it."""
    skipped = {"__type__": "update"}
    return part in (None, skipped, {"props": skipped, **skipped})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Served for the whole network's eyes; what the owner's handlers do is only written down."""
    model: Future[Predictor] = Future()
    model.set_result(cast(Predictor, FakePredictor()))
    home: Path = tmp_path_factory.mktemp("home")
    services = Services(Settings(home=home, owner=OWNER, port=0), model, active="tiny")
    ran: list[str] = []
    refusing = access._refusing

    def recorded(does: Any, event: Any, services: Services) -> Any:
        @functools.wraps(does)
        def reached(*_: Any, **__: Any) -> Any:
            ran.append(name_of(event))
            nothing = [gr.skip() for _ in event.outputs]
            return nothing[0] if len(nothing) == 1 else nothing or None

        return refusing(reached, event, services)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "_refusing", recorded)
        demo = build_ui(services)
    address = demo.launch(**launch_options(demo, services.settings))[1]
    yield Served(demo, address, services.sessions, ran)
    demo.close()


def owners(page: Served) -> list[Any]:
    """The handlers that are not on the list."""
    found = [event for event in page.demo.fns.values() if event.fn is not None]
    return [event for event in found if name_of(event) not in ANYBODY]


def test_a_stranger_reaches_no_handler_but_those_listed(page: Served) -> None:
    shut = owners(page)
    assert len(shut) > 20
    assert {
        "train.events.connect.<locals>.acts.<locals>.act",
        "train.recordings.Uploads.connect.<locals>.take",
    } <= {name_of(event) for event in shut}
    strangers: list[dict[str, str]] = [{}, {"cookie": f"{COOKIE}=guess"}]
    for number, event in enumerate(shut):
        answer = page.ask(event, **strangers[number % 2])
        pressed = all(name in access.PRESSED for _, name in event.targets)
        told = answer.json()
        if pressed:
            assert answer.status_code == 500
            assert told["error"] in {text("refused", language) for language in LANGUAGES}
        else:
            assert answer.status_code == 200, (name_of(event), told)
            assert all(map(is_nothing, told["data"])), (name_of(event), told)
    assert page.ran == []


def test_the_owner_reaches_every_one_of_them(page: Served) -> None:
    token = page.sessions.begin()
    for event in owners(page):
        page.ran.clear()
        answer = page.ask(event, cookie=f"{COOKIE}={token}")
        assert answer.status_code == 200, (name_of(event), answer.text)
        assert page.ran == [name_of(event)]
    page.ran.clear()


def test_the_list_names_nothing_that_is_gone(page: Served) -> None:
    known = {name_of(event) for event in page.demo.fns.values() if event.fn is not None}
    assert known >= ANYBODY - {"str"}  # there may be no examples


def test_no_program_is_offered_what_is_the_owners(page: Served) -> None:
    offered = [event for event in page.demo.fns.values() if event.api_visibility == "public"]
    assert {event.api_name for event in offered if event.fn is not None} == {
        "analyse",
        "analyse_batch",
        "analyse_one_speaker",
        "model",
    }


def test_the_login_through_its_own_address(page: Served) -> None:
    page.sessions.pause = 0.01
    right = {"name": OWNER.name, "password": OWNER.password}
    event = next(
        e for e in owners(page) if name_of(e) == "train.events.connect.<locals>.acts.<locals>.act"
    )
    with httpx.Client(base_url=page.url, timeout=SLOW, trust_env=False) as client:

        def log_in(**headers: str) -> httpx.Response:
            return client.post("owner/login", json=right, headers=headers)

        for bad in ({**right, "password": "x"}, {**right, "name": "x"}):
            assert client.post("owner/login", json=bad).status_code == 401
        for broken in (b"", b"[]", b'{"name": 1, "password": 2}', b"x" * 5000, b"[" * 4000):
            assert client.post("owner/login", content=broken).status_code == 400
        assert log_in(origin="https://evil.example").status_code == 403
        assert log_in(**{"sec-fetch-site": "cross-site"}).status_code == 403
        assert not client.cookies
        entered = log_in()
        assert entered.json() == {"outcome": "in"}
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and "secure" not in cookie
        token = client.cookies[COOKIE]
        assert page.ask(event, cookie=f"{COOKIE}={token}").status_code == 200
        evil = {"cookie": f"{COOKIE}={token}", "origin": "https://evil.example"}
        assert page.ask(event, **evil).status_code == 500
        assert (
            "secure"
            in log_in(origin=page.url.replace("http:", "https:").rstrip("/"))
            .headers["set-cookie"]
            .lower()
        )
        client.cookies.set(COOKIE, token)
        assert client.post("owner/logout").status_code == 200
    assert page.ask(event, cookie=f"{COOKIE}={token}").status_code == 500


def test_without_a_login_there_is_nothing_to_call(tmp_path: Path) -> None:
    there = Settings(home=tmp_path, host="0.0.0.0")  # noqa: S104
    demo = build_ui(Services(there, Future()))
    names = {name_of(event) for event in demo.fns.values() if event.fn is not None}
    assert names <= ANYBODY
    assert [route.path for route in demo.routes] == ["/healthz", "/readyz"]
