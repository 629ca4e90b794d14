"""Who may do what on the page: at this machine, on a public host, with a login and without one."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from gradio.context import LocalContext
from gradio.route_utils import Request as GradioRequest
from starlette.requests import Request

from audiollm.errors import ConfigError
from audiollm.settings import Owner, Settings, Space
from audiollm.web.auth import identity, remote_commands
from audiollm.web.auth.access import ShutError, owner_settings
from audiollm.web.auth.sessions import COOKIE, Outcome, Sessions
from audiollm.web.services import Services

HERE, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104


SECRET = "correct horse battery"
ANN = Owner("ann", SECRET)
HUB = {
    "SYSTEM": "spaces",
    "SPACE_ID": "ann/app",
    "OAUTH_CLIENT_ID": "i",
    "OAUTH_CLIENT_SECRET": "s",
    "OAUTH_SCOPES": "openid",
    "OPENID_PROVIDER_URL": "https://hub.example",
}


def asked(session: Any = None, **headers: str) -> Request:
    """A request with these headers, `_` for `-`."""
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": raw}
    return Request(scope | ({} if session is None else {"session": session}))


@pytest.fixture
def comes() -> Iterator[None]:
    """Whatever request a test sets is gone afterwards."""
    yield
    LocalContext.request.set(None)


def owned(
    host: str, request: Request | None, sessions: Sessions | None = None, **more: Any
) -> bool:
    LocalContext.request.set(GradioRequest(request) if request else None)
    services = Services(Settings(host=host, **more), Future(), sessions=sessions or Sessions())
    if services.owned:
        assert owner_settings(services) is services.settings
    else:
        with pytest.raises(ShutError):
            owner_settings(services)
    return services.owned


@pytest.mark.usefixtures("comes")
@pytest.mark.parametrize("name", ["localhost:7860", "127.0.0.1:80", "127.9.0.1", "[::1]:7860"])
def test_whoever_sits_at_the_machine_owns_it(name: str) -> None:
    assert owned(HERE, asked(host=name, origin=f"http://{name}"))
    assert owned("localhost", asked(host=name, origin=f"http://{name}"))
    assert owned(HERE, asked(host=name))  # a program
    assert not owned(EVERYWHERE, asked(host=name))


@pytest.mark.usefixtures("comes")
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:7860", "origin": "http://evil.example:7860"},  # DNS rebinding
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
        {"host": "abc.gradio.live"},
        {"host": "192.168.0.7"},
        {"host": "localhost:7860", "x_forwarded_for": "203.0.113.9"},
        {"host": "localhost:7860", "forwarded": "for=203.0.113.9"},
        {"host": "localhost:7860", "origin": "https://evil.example"},
        {"host": "localhost:7860", "origin": "http://localhost:9999"},
        {"host": "localhost:7860", "origin": "null"},
        {"host": "localhost:7860", "sec_fetch_site": "cross-site"},
        {"host": "localhost:7860", "sec_fetch_site": "same-site"},
    ],
)
def test_whoever_comes_through_the_net_does_not(headers: dict[str, str]) -> None:
    assert not owned(HERE, asked(**headers))


def test_a_program_without_an_event_is_at_the_machine() -> None:
    assert identity.current_request() is None
    assert owned(HERE, None)
    assert not owned(EVERYWHERE, None)
    assert not owned("example.org", None)


# --- a password


@pytest.mark.usefixtures("comes")
@pytest.mark.parametrize("host", [HERE, EVERYWHERE])
def test_whoever_has_logged_in_owns_it_and_nobody_else(host: str) -> None:
    sessions = Sessions()
    token = sessions.begin()
    of_owner = {"host": "my.example", "cookie": f"{COOKIE}={token}"}
    given: dict[str, Any] = {"sessions": sessions, "owner": ANN}
    assert owned(host, asked(**of_owner), **given)
    assert not owned(host, None, **given)  # no event, no owner
    assert not owned(host, asked(host="localhost:7860"), **given)  # a proxy stands there, perhaps
    assert not owned(host, asked(host="my.example", cookie=f"{COOKIE}={token[:-1]}"), **given)
    assert not owned(host, asked(**of_owner, origin="https://evil.example"), **given)
    assert not owned(host, asked(**of_owner, sec_fetch_site="cross-site"), **given)
    assert not owned(host, asked(**of_owner), owner=ANN)  # of another program, or before a restart
    sessions.end(token)
    assert not owned(host, asked(**of_owner), **given)


def test_a_login_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, now = Sessions(), time.monotonic()
    token = sessions.begin()
    assert sessions.knows(token)
    monkeypatch.setattr(time, "monotonic", lambda: now + 13 * 3600)
    assert not sessions.knows(token)
    sessions.begin()
    assert len(sessions._ends) == 1  # the old one is forgotten


def test_the_right_password_is_never_refused_because_others_guess() -> None:
    async def storm(sessions: Sessions) -> tuple[list[Outcome], int]:
        guesses = [asyncio.create_task(sessions.try_(ANN, "ann", f"x{i}")) for i in range(100)]
        await asyncio.sleep(0)  # all wait now
        entered = [await sessions.try_(ANN, "ann", SECRET) for _ in range(15)]
        waiting = sum(not guess.done() for guess in guesses)
        for guess in guesses:
            guess.cancel()
        return entered, waiting

    entered, waiting = asyncio.run(storm(Sessions(pause=3600)))
    assert entered == ["in"] * 15
    assert waiting == 100  # a wrong one is answered after its pause


def test_wrong_names_and_passwords_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    async def guess(sessions: Sessions) -> list[str]:
        tries = [("ann", "x"), ("bob", SECRET), ("ann", SECRET + "\udcff"), ("ann", SECRET)]
        return [await sessions.try_(ANN, *given) for given in tries]

    assert asyncio.run(guess(Sessions(pause=0))) == ["wrong"] * 3 + ["in"]
    assert len(caplog.records) == 1  # not a line for every guess


@pytest.mark.parametrize(
    "bad",
    ["ann", ":" + SECRET, " :" + SECRET, "ann:", "ann:short", "ann:" + "a" * 20, "ann:xx-Ann-12345",
     "ann:correct\nhorse battery"],
)  # fmt: skip
def test_a_bad_owner_is_refused_and_the_password_is_not_told(bad: str) -> None:
    with pytest.raises(ConfigError, match="AUDIOLLM_OWNER") as refused:
        Settings.from_env({"AUDIOLLM_OWNER": bad})
    secret = bad.partition(":")[2]
    assert not secret or secret not in str(refused.value)


def test_the_owner_is_read_and_never_shown() -> None:
    found = Settings.from_env({"AUDIOLLM_OWNER": f"ann:{SECRET}:more"})
    assert found.owner == Owner("ann", f"{SECRET}:more")
    assert SECRET not in repr(found)
    assert Settings.from_env({"AUDIOLLM_OWNER": ""}).owner is None


# --- a Space


def test_a_space_has_a_login_only_with_all_of_its_variables() -> None:
    assert Settings.from_env(HUB).login == "hub"
    assert Settings.from_env({**HUB, "AUDIOLLM_OWNER": f"ann:{SECRET}"}).login == "hub"
    for missing in HUB:
        env = {key: value for key, value in HUB.items() if key != missing}
        found = Settings.from_env({**env, "AUDIOLLM_HOST": EVERYWHERE})
        assert found.login == "shut", missing
        assert Settings.from_env({**env, "AUDIOLLM_OWNER": f"ann:{SECRET}"}).login == "password"
    assert Settings.from_env({"SPACE_ID": "ann/app", "AUDIOLLM_HOST": HERE}).login == "shut"
    assert Settings.from_env({}).login == "open"
    space = Settings.from_env({**HUB, "SPACE_AUTHOR_NAME": "org", "SPACES_ZERO_GPU": "true"}).space
    assert space == Space("ann/app", "org", oauth=True, zero_gpu=True)


def user(login: str, seconds: float = 60, **more: Any) -> dict[str, Any]:
    """A session as Gradio keeps it after a login with Hugging Face."""
    info = {"preferred_username": login, **more}
    return {"oauth_info": {"userinfo": info, "expires_at": time.time() + seconds}}


def member(role: str | None, name: str = "ann") -> dict[str, Any]:
    return {"preferred_username": name, "roleInOrg": role}


@pytest.mark.usefixtures("comes")
def test_the_author_of_a_space_owns_it() -> None:
    def enters(session: dict[str, Any] | None, **headers: str) -> bool:
        request = asked(session, **{"host": "ann-app.hf.space", **headers})
        return owned(EVERYWHERE, request, space=Space("ann/app", "ann", oauth=True))

    assert enters(user("ann"))
    assert enters(user("bob", orgs=[member("read", "x"), member("write")]))
    assert not enters(user("ann"), origin="https://evil.example")  # its cookie goes everywhere
    assert not enters(user("ann", seconds=-1))
    for session in (
        None,
        {},
        {"oauth_info": None},
        {"oauth_info": {"userinfo": {"preferred_username": "ann"}}},
        user("bob"),
        user("Ann"),
        user("bob", orgs=None),
        user("bob", orgs=[member("read"), member(None), member("admin", "other")]),
        user("bob", name="ann"),
    ):
        assert not enters(session)


def test_the_commands_for_elsewhere_are_understood() -> None:
    from shlex import split

    from train.__main__ import _parse

    space = Space("ann/app", "ann")
    own, job = remote_commands.own_computer(space), remote_commands.hub_job(space)
    said = [split(line) for line in own.splitlines()]
    *words, script = split(job)
    assert words[:3] == ["hf", "jobs", "run"] and words[-3:] == ["python:3.12", "bash", "-c"]
    inside = [split(line) for line in script.strip().split(" &&\n")]
    assert inside[1:-1] == said[1:]
    assert said[1][:3] == ["hf", "download", "ann/app"]
    parsed = [_parse(w[i:], w[i]) for w in said if "-m" in w for i in [w.index("train") + 1]]
    made = [found[1] for found in parsed]
    assert [found.stage for found in made[1:3]] == [1, 2]
    assert str(made[0].out) == made[1].data == made[2].data
    assert made[2].start == made[1].out
    assert made[3].run == made[2].out and made[4].model == made[3].out
