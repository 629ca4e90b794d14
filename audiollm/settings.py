"""The only reader of environment variables: folders, device, limits.

Every variable is listed in docs/settings.md; a test fails when one is missing there.
"""

import ipaddress
import locale
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import isfinite, nan
from pathlib import Path
from typing import Any, Literal

from audiollm.errors import ConfigError
from audiollm.labels import Language

ASSETS = Path(__file__).resolve().parent.parent / "assets"
REFUSAL = "AUDIOLLM_REFUSAL"  # set by whoever starts a command, see `refusal_file`
SHORTEST = 12  # characters of a password
# how the owner logs in: no login on this machine, password, Hugging Face, not at all
Login = Literal["open", "password", "hub", "shut"]


@dataclass(frozen=True)
class Owner:
    """Who may train, label and switch models where others reach the page.

    Raises:
        ConfigError: no name, or a password that is easily guessed; the message never holds it.
    """

    name: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise ConfigError("setting_owner_name")
        if len(self.password) < SHORTEST or not self.password.isprintable():
            raise ConfigError("setting_owner_short", shortest=SHORTEST, length=len(self.password))
        if len(set(self.password)) < 5 or self.name.lower() in self.password.lower():
            raise ConfigError("setting_owner_guessed")

    @classmethod
    def parse(cls, text: str) -> "Owner":
        """From `name:password`; the password may hold further colons."""
        name, colon, password = text.partition(":")
        if not colon:
            raise ConfigError("setting_owner_colon")
        return cls(name, password)


@dataclass(frozen=True)
class Space:
    """The Hugging Face Space that the program runs in."""

    id: str  # owner/name
    author: str  # a person or an organisation
    oauth: bool = False  # people can log in with Hugging Face: hf_oauth in the README's head
    zero_gpu: bool = False  # a GPU is assigned for a minute at a time: no training

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Space | None":
        id = env.get("SPACE_ID", "").strip()
        if not id:
            return None
        # without its secret cookies could be forged, and outside of a real Space Gradio logs every
        # visitor in under the name of the token on this machine
        keys = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
        oauth = env.get("SYSTEM") == "spaces" and all(env.get(key, "").strip() for key in keys)
        author = env.get("SPACE_AUTHOR_NAME", "").strip() or id.partition("/")[0]
        return cls(id, author, oauth, env.get("SPACES_ZERO_GPU", "").lower() in ("1", "true"))


def _refused(name: str, expected: str, value: object) -> ConfigError:
    return ConfigError("setting_value", name=name, expected=expected, value=value)


def _folder(path: str) -> Path:
    """`~` needs a home directory: in a container a user may have none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError("setting_home", path=path) from error


def secret(name: str) -> str:
    """Value of a variable that a command was told by name, so that it is in no list of processes
    and in no history of a shell; "" where it is not set."""
    return os.environ.get(name, "")


def terminal_language() -> Language:
    """Of what a command says: the language of the locale."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    named = next((value for name in names if (value := os.environ.get(name))), None)
    chosen = named or locale.getlocale()[0] or ""  # Windows has no such variables
    return "zh" if chosen.lower().startswith(("zh", "chinese")) else "en"


def reporting_to(file: Path) -> dict[str, str]:
    """The environment of a command that writes to `file` why it refuses."""
    return {**os.environ, REFUSAL: str(file)}


def refusal_file() -> Path | None:
    """Where a command also writes why it refuses, so that whoever started it can translate it."""
    name = os.environ.get(REFUSAL)
    return Path(name) if name else None


def is_loopback(host: str) -> bool:
    """Whether a host, as one listens on or calls it, is this machine for itself alone."""
    name = host.strip().rstrip(".").lower()
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


@contextmanager
def without_proxies() -> Iterator[None]:
    """No proxy of the environment counts for the httpx clients that are made inside."""
    with _changed(no_proxy="*", NO_PROXY="*"):
        yield


@contextmanager
def cached_in(folder: str) -> Iterator[None]:
    """What is imported inside has its cache in `folder`, not in the user's home."""
    with _changed(XDG_CACHE_HOME=folder):
        yield


@contextmanager
def _changed(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@dataclass(frozen=True)
class Settings:
    """What differs between machines. Build it with `Settings.from_env()`."""

    model: str = "tiny"  # preset name or model folder that answers
    device: str = "auto"  # auto | cpu | cuda | cuda:N | mps
    precision: str = "auto"  # auto | float32 | bfloat16: what the LLM computes in
    engine: str = ""  # URL of a vLLM server that computes the LLM; "": this machine does
    engine_key: str = field(default="", repr=False)
    home: Path = field(default_factory=lambda: _folder("~/.cache/audiollm"))
    max_seconds: float = 3600.0  # longest accepted recording
    max_bytes: int = 512 * 1024 * 1024  # largest accepted file
    host: str = "127.0.0.1"
    port: int = 7860
    root_path: str = ""  # of the page behind a proxy that takes it off
    hub: str = "huggingface"  # huggingface | modelscope
    mcp: bool = False  # the page is an MCP server too
    keep: bool = False  # visitors may save clips for labelling, too
    owner: Owner | None = None  # logs in with a password
    space: Space | None = None

    def __post_init__(self) -> None:
        if self.max_seconds <= 0:
            raise _refused("AUDIOLLM_MAX_SECONDS", "> 0", self.max_seconds)
        if self.max_bytes <= 0:
            raise _refused("AUDIOLLM_MAX_BYTES", "> 0", self.max_bytes)
        if not 0 <= self.port < 65536:
            raise _refused("AUDIOLLM_PORT", "0-65535", self.port)
        if self.root_path and not self.root_path.startswith(("/", "http://", "https://")):
            raise _refused("AUDIOLLM_ROOT_PATH", "/PATH", self.root_path)
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise _refused("AUDIOLLM_PRECISION", "auto | float32 | bfloat16", self.precision)
        if self.engine and not self.engine.startswith(("http://", "https://")):
            raise _refused("AUDIOLLM_ENGINE", "http://HOST:PORT/v1", self.engine)
        if self.hub not in ("huggingface", "modelscope"):
            raise _refused("AUDIOLLM_HUB", "huggingface | modelscope", self.hub)

    @property
    def login(self) -> Login:
        """A password that was set is asked for everywhere, also behind a proxy on this machine."""
        if self.space and self.space.oauth:
            return "hub"
        if self.owner:
            return "password"
        return "open" if is_loopback(self.host) and not self.space else "shut"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, **overrides: Any) -> "Settings":
        """Settings from `AUDIOLLM_*`, then Gradio's own variables, defaults elsewhere; `overrides`
        replace all of them.

        Raises:
            ConfigError: a value does not parse or is out of range; no temporary folder can be
                written to.
        """
        try:
            tempfile.gettempdir()
        except FileNotFoundError as error:
            raise ConfigError("setting_temporary") from error
        env = os.environ if env is None else env
        home, space = env.get("AUDIOLLM_HOME", "").strip(), Space.from_env(env)
        default = cls(home=_folder(home)) if home else cls()

        def text(*names: str) -> str:
            return next((value for name in names if (value := env.get(name, "").strip())), "")

        def number(name: str, fallback: float) -> float:
            text = env.get(name, "").strip()
            try:
                value = float(text) if text else fallback
            except ValueError:
                value = nan
            if not isfinite(value):
                raise ConfigError("setting_number", name=name, value=text)
            return value

        def whole(name: str, fallback: int) -> int:
            value = number(name, fallback)
            if value != int(value):
                raise ConfigError("setting_whole", name=name, value=value)
            return int(value)

        def switch(name: str, fallback: bool) -> bool:
            text = env.get(name, "").strip()
            if text not in ("", "0", "1"):
                raise _refused(name, "1 | 0", text)
            return text == "1" if text else fallback

        settings = cls(
            model=env.get("AUDIOLLM_MODEL", "").strip() or default.model,
            device=env.get("AUDIOLLM_DEVICE", "").strip()
            or ("cpu" if space and space.zero_gpu else default.device),
            precision=env.get("AUDIOLLM_PRECISION", "").strip() or default.precision,
            engine=env.get("AUDIOLLM_ENGINE", "").strip(),
            engine_key=env.get("AUDIOLLM_ENGINE_KEY", "").strip(),
            home=default.home,
            max_seconds=number("AUDIOLLM_MAX_SECONDS", default.max_seconds),
            max_bytes=whole("AUDIOLLM_MAX_BYTES", default.max_bytes),
            host=text("AUDIOLLM_HOST", "GRADIO_SERVER_NAME")
            or ("0.0.0.0" if env.get("SPACE_ID") else default.host),  # noqa: S104
            port=whole("AUDIOLLM_PORT", whole("GRADIO_SERVER_PORT", default.port)),
            root_path=text("AUDIOLLM_ROOT_PATH", "GRADIO_ROOT_PATH"),
            hub=env.get("AUDIOLLM_HUB", "").strip() or default.hub,
            mcp=switch("AUDIOLLM_MCP", default.mcp),
            keep=switch("AUDIOLLM_KEEP", default.keep),
            owner=Owner.parse(env["AUDIOLLM_OWNER"]) if env.get("AUDIOLLM_OWNER") else None,
            space=space,
        )
        return replace(settings, **overrides)
