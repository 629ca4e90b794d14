"""The only reader of environment variables: folders, device, limits.

Every variable is listed in docs/settings.md; a test fails when one is missing there.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from audiollm.errors import ConfigError

ASSETS = Path(__file__).resolve().parent.parent / "assets"


@dataclass(frozen=True)
class Settings:
    """What differs between machines. Build it with `Settings.from_env()`."""

    model: str = "tiny"  # preset name or model folder that answers
    device: str = "auto"  # auto | cpu | cuda | cuda:N | mps
    home: Path = field(default_factory=lambda: Path.home() / ".cache" / "audiollm")
    max_seconds: float = 3600.0  # longest accepted recording
    max_bytes: int = 512 * 1024 * 1024  # largest accepted file
    host: str = "127.0.0.1"
    port: int = 7860
    hub: str = "huggingface"  # huggingface | modelscope
    mcp: bool = False  # the page is an MCP server too
    keep: bool = False  # strangers may keep a clip for labelling, too

    def __post_init__(self) -> None:
        if self.max_seconds <= 0:
            raise ConfigError(f"AUDIOLLM_MAX_SECONDS must be above 0, not {self.max_seconds}.")
        if self.max_bytes <= 0:
            raise ConfigError(f"AUDIOLLM_MAX_BYTES must be above 0, not {self.max_bytes}.")
        if not 0 <= self.port < 65536:
            raise ConfigError(f"AUDIOLLM_PORT must be a port number, not {self.port}.")
        if self.hub not in ("huggingface", "modelscope"):
            raise ConfigError(f"AUDIOLLM_HUB must be huggingface or modelscope, not {self.hub!r}.")

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, **given: Any) -> "Settings":
        """Settings from `AUDIOLLM_*`, defaults elsewhere; `given` stands above both.

        Raises:
            ConfigError: a value does not parse or is out of range.
        """
        env = os.environ if env is None else env
        default = cls()

        def number(name: str, fallback: float) -> float:
            text = env.get(name, "").strip()
            try:
                return float(text) if text else fallback
            except ValueError:
                raise ConfigError(f"{name} must be a number, not {text!r}.") from None

        def switch(name: str, fallback: bool) -> bool:
            text = env.get(name, "").strip()
            if text not in ("", "0", "1"):
                raise ConfigError(f"{name} must be 1 or 0, not {text!r}.")
            return text == "1" if text else fallback

        found = cls(
            model=env.get("AUDIOLLM_MODEL", "").strip() or default.model,
            device=env.get("AUDIOLLM_DEVICE", "").strip() or default.device,
            home=Path(env.get("AUDIOLLM_HOME", "").strip() or default.home).expanduser(),
            max_seconds=number("AUDIOLLM_MAX_SECONDS", default.max_seconds),
            max_bytes=int(number("AUDIOLLM_MAX_BYTES", default.max_bytes)),
            host=env.get("AUDIOLLM_HOST", "").strip()
            or ("0.0.0.0" if env.get("SPACE_ID") else default.host),  # noqa: S104
            port=int(number("AUDIOLLM_PORT", default.port)),
            hub=env.get("AUDIOLLM_HUB", "").strip() or default.hub,
            mcp=switch("AUDIOLLM_MCP", default.mcp),
            keep=switch("AUDIOLLM_KEEP", default.keep),
        )
        return replace(found, **given)
